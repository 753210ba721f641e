//! `tollgate user`: users of a running gateway, those of its store.

use std::io::IsTerminal as _;

use http::Method;
use serde_json::json;

use super::command::Exit;
use super::operator::{NotDone, RealmOperator, columns, ended, standard_input};
use super::terminal::say;
use crate::http::form;

/// Users of a running gateway: list, create, approve, disable, unlock, delete
///
/// They are kept in its store, beside the users of its file, which are changed there. Every change is in the audit log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate user create alice@example.com --admin-token operator.token --realm staff \\
      --customer acme --role admin < password.txt
  tollgate user state alice@example.com active --admin-token operator.token --realm staff")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    Create(CreateArgs),
    State(StateArgs),
    /// End a lockout, of a user of the file too
    Unlock(OneArgs),
    /// Delete a user: sessions and tokens end
    Delete(OneArgs),
}

/// List the users of the store: id, name, state, customer
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate user list --admin-token operator.token --realm staff")]
struct ListArgs {
    #[command(flatten)]
    operator: RealmOperator,
}

/// Create a user
///
/// The password is read from standard input; one line end after it is not part of it. With a password the user may sign in at
/// once. Without one, or where standard input is a terminal, the user is pending.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate user create alice@example.com --admin-token operator.token --realm staff \\
      --customer acme --role admin < password.txt")]
struct CreateArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// The name, as the realm has names
    #[arg(value_name = "NAME")]
    name: String,
    /// Who pays for the user's calls
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// A role outside of any tenant's; several times for several
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The tenant of calls that name none
    #[arg(long, value_name = "TENANT")]
    default_tenant: Option<String>,
}

/// Approve, reject or disable a user, or ask for another password
///
/// Any state but `active` ends the user's sessions and tokens.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tollgate user state alice@example.com disabled --admin-token operator.token --realm staff"
)]
struct StateArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// Id or name
    #[arg(value_name = "USER")]
    user: String,
    /// The state
    #[arg(value_name = "STATE", value_parser = ["active", "rejected", "disabled", "pending"])]
    state: String,
}

/// One user
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tollgate user unlock alice@example.com --admin-token operator.token --realm staff"
)]
struct OneArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// Id or name
    #[arg(value_name = "USER")]
    user: String,
}

pub(super) fn run(args: &Args) -> Exit {
    let one = |user: &str| format!("users/{}", form::encoded(user));
    let outcome = match &args.command {
        Command::List(args) => args.operator.each("users", |user| {
            columns(user, &[("id", 32), ("name", 40), ("state", 10), ("customer", 0)])
        }),
        Command::Create(args) => created(args),
        Command::State(args) => {
            let body = json!({ "state": args.state });
            let path = one(&args.user) + "/state";
            args.operator.ask(Method::PUT, &path, Some(&body)).map(drop)
        }
        Command::Unlock(args) => {
            let path = one(&args.user) + "/lock";
            args.operator.ask(Method::DELETE, &path, None).map(drop)
        }
        Command::Delete(args) => args
            .operator
            .ask(Method::DELETE, &one(&args.user), None)
            .map(drop),
    };
    ended("user", outcome)
}

fn created(args: &CreateArgs) -> Result<(), NotDone> {
    let password = if std::io::stdin().is_terminal() {
        None
    } else {
        Some(standard_input()?)
    };
    let password = password.as_ref().map(|text| {
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text)
    });
    let body = json!({
        "name": args.name,
        "password": password.filter(|text| !text.is_empty()),
        "access": { "customer": args.customer, "roles": args.roles, "default_tenant": args.default_tenant },
    });
    let made = args.operator.ask(Method::POST, "users", Some(&body))?;
    say(&columns(&made, &[("id", 32), ("state", 0)]));
    Ok(())
}
