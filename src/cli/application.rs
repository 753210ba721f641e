//! `tollgate application`: applications of a running gateway, those of its store.

use http::Method;
use serde_json::{Value, json};

use super::command::Exit;
use super::operator::{NotDone, RealmOperator, columns, ended};
use super::terminal::say;
use crate::http::form;

/// Applications (OAuth clients) of a running gateway: list, create, delete
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate application create Reports --admin-token operator.token --realm staff --customer acme \\
      --grant authorization_code --grant refresh_token --scope read \\
      --redirect-uri https://reports.example.com/callback")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    Create(CreateArgs),
    Delete(OneArgs),
}

/// List the applications of the store: client id, name, state
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate application list --admin-token operator.token --realm staff")]
struct ListArgs {
    #[command(flatten)]
    operator: RealmOperator,
}

/// Register an application
///
/// Its client id and its secret go to standard output, a line each. The secret is not shown again: the gateway keeps its
/// digest only.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate application create Inventory --admin-token operator.token --realm staff --customer acme \\
      --grant client_credentials --scope read")]
struct CreateArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// For people
    #[arg(value_name = "NAME")]
    name: String,
    /// Without a secret: a public client, which needs PKCE
    #[arg(long)]
    public: bool,
    /// A grant type: `authorization_code`, `refresh_token`, `client_credentials`, or the URN of the token exchange
    #[arg(long = "grant", value_name = "GRANT", required = true)]
    grants: Vec<String>,
    /// A scope; several times for several
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Where codes may be sent to; several times for several
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// The user that it belongs to
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Who pays for what it does by itself
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// The one tenant that it may act on
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

/// Delete an application: its tokens end
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tollgate application delete 6b0cafe0 --admin-token operator.token --realm staff"
)]
struct OneArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// Its client id
    #[arg(value_name = "CLIENT-ID")]
    application: String,
}

pub(super) fn run(args: &Args) -> Exit {
    let outcome = match &args.command {
        Command::List(args) => args.operator.each("applications", |application| {
            columns(
                application,
                &[("client_id", 32), ("name", 40), ("state", 10), ("customer", 0)],
            )
        }),
        Command::Create(args) => created(args),
        Command::Delete(args) => {
            let path = format!("applications/{}", form::encoded(&args.application));
            args.operator.ask(Method::DELETE, &path, None).map(drop)
        }
    };
    ended("application", outcome)
}

fn created(args: &CreateArgs) -> Result<(), NotDone> {
    let body = json!({
        "name": args.name,
        "public": args.public,
        "grants": args.grants,
        "scopes": args.scopes,
        "redirect_uris": args.redirect_uris,
        "owner": args.owner,
        "customer": args.customer,
        "tenant": args.tenant,
    });
    let made = args.operator.ask(Method::POST, "applications", Some(&body))?;
    for name in ["client_id", "client_secret"] {
        if let Some(text) = made.get(name).and_then(Value::as_str) {
            say(&text);
        }
    }
    Ok(())
}
