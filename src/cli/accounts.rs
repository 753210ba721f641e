//! `tollgate user`, `tollgate application` and `tollgate customer`: whom a running gateway knows, beside those of its file.

use std::io::{IsTerminal as _, Read as _};

use http::Method;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::command::Exit;
use super::operator::{Gateway, NotDone, Operator};
use super::terminal::{complain, say};
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
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, clap::Subcommand)]
enum UserCommand {
    List(UserListArgs),
    Create(UserCreateArgs),
    State(UserStateArgs),
    /// End a lockout, of a user of the file too
    Unlock(UserArg),
    /// Delete a user: sessions and tokens end
    Delete(UserArg),
}

/// List the users of the store: id, name, state, customer
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate user list --admin-token operator.token --realm staff")]
struct UserListArgs {
    #[command(flatten)]
    operator: Operator,
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
struct UserCreateArgs {
    #[command(flatten)]
    operator: Operator,
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
struct UserStateArgs {
    #[command(flatten)]
    operator: Operator,
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
struct UserArg {
    #[command(flatten)]
    operator: Operator,
    /// Id or name
    #[arg(value_name = "USER")]
    user: String,
}

/// Applications (OAuth clients) of a running gateway: list, create, delete
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate application create Reports --admin-token operator.token --realm staff --customer acme \\
      --grant authorization_code --grant refresh_token --scope read \\
      --redirect-uri https://reports.example.com/callback")]
pub(super) struct ApplicationArgs {
    #[command(subcommand)]
    command: ApplicationCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ApplicationCommand {
    List(ApplicationListArgs),
    Create(ApplicationCreateArgs),
    Delete(ApplicationArg),
}

/// List the applications of the store: client id, name, state
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate application list --admin-token operator.token --realm staff")]
struct ApplicationListArgs {
    #[command(flatten)]
    operator: Operator,
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
struct ApplicationCreateArgs {
    #[command(flatten)]
    operator: Operator,
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
struct ApplicationArg {
    #[command(flatten)]
    operator: Operator,
    /// Its client id
    #[arg(value_name = "CLIENT-ID")]
    application: String,
}

/// Customers of a running gateway, and the tenants that providers among them may act on: list, show, put, delete
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate customer put acme --admin-token operator.token < acme.json
  tollgate customer show acme --admin-token operator.token")]
pub(super) struct CustomerArgs {
    #[command(subcommand)]
    command: CustomerCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CustomerCommand {
    List(CustomerListArgs),
    /// Show a customer as JSON
    Show(CustomerArg),
    Put(CustomerPutArgs),
    /// Delete a customer: what it may act on and its own quotas; its users and tokens stay
    Delete(CustomerArg),
}

/// List the customers of the store
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer list --admin-token operator.token")]
struct CustomerListArgs {
    #[command(flatten)]
    gateway: Gateway,
}

/// Write a customer whole, new or not
///
/// Standard input has it as JSON: `name`, `region`, `quotas` (by the limit's name: `rate` and `burst`), `tenants` (each a
/// `tenant`, its `roles` there, its `region`). It counts from the next request on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer put acme --admin-token operator.token < acme.json")]
struct CustomerPutArgs {
    #[command(flatten)]
    gateway: Gateway,
    /// Its id, as tokens and users name it
    #[arg(value_name = "CUSTOMER")]
    customer: String,
}

/// One customer
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer show acme --admin-token operator.token")]
struct CustomerArg {
    #[command(flatten)]
    gateway: Gateway,
    /// Its id
    #[arg(value_name = "CUSTOMER")]
    customer: String,
}

pub(super) fn user(args: &UserArgs) -> Exit {
    ended(
        "user",
        match &args.command {
            UserCommand::List(args) => args.operator.each("users", |user| {
                columns(user, &[("id", 32), ("name", 40), ("state", 10), ("customer", 0)])
            }),
            UserCommand::Create(args) => create_user(args),
            UserCommand::State(args) => {
                let path = args
                    .operator
                    .path(&format!("users/{}/state", form::encoded(&args.user)));
                let body = json!({ "state": args.state });
                args.operator.ask(Method::PUT, &path, Some(&body)).map(drop)
            }
            UserCommand::Unlock(args) => {
                let path = args
                    .operator
                    .path(&format!("users/{}/lock", form::encoded(&args.user)));
                args.operator.ask(Method::DELETE, &path, None).map(drop)
            }
            UserCommand::Delete(args) => {
                let path = args
                    .operator
                    .path(&format!("users/{}", form::encoded(&args.user)));
                args.operator.ask(Method::DELETE, &path, None).map(drop)
            }
        },
    )
}

pub(super) fn application(args: &ApplicationArgs) -> Exit {
    ended(
        "application",
        match &args.command {
            ApplicationCommand::List(args) => args.operator.each("applications", |application| {
                columns(
                    application,
                    &[("client_id", 32), ("name", 40), ("state", 10), ("customer", 0)],
                )
            }),
            ApplicationCommand::Create(args) => create_application(args),
            ApplicationCommand::Delete(args) => {
                let path = format!("applications/{}", form::encoded(&args.application));
                args.operator
                    .ask(Method::DELETE, &args.operator.path(&path), None)
                    .map(drop)
            }
        },
    )
}

pub(super) fn customer(args: &CustomerArgs) -> Exit {
    let path = |id: &str| format!("/v1/customers/{}", form::encoded(id));
    ended(
        "customer",
        match &args.command {
            CustomerCommand::List(args) => args.gateway.each("/v1/customers", |customer| {
                columns(customer, &[("id", 32), ("name", 40), ("region", 0)])
            }),
            CustomerCommand::Show(args) => args
                .gateway
                .ask(Method::GET, &path(&args.customer), None)
                .map(|shown| say(&format_args!("{shown:#}"))),
            CustomerCommand::Put(args) => standard_input().and_then(|text| {
                let body: Value = serde_json::from_str(&text)
                    .map_err(|error| NotDone::Input(format!("it is not JSON: {error}")))?;
                args.gateway
                    .ask(Method::PUT, &path(&args.customer), Some(&body))
                    .map(drop)
            }),
            CustomerCommand::Delete(args) => args
                .gateway
                .ask(Method::DELETE, &path(&args.customer), None)
                .map(drop),
        },
    )
}

fn ended(command: &str, outcome: Result<(), NotDone>) -> Exit {
    match outcome {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&format_args!("tollgate {command}: {error}"));
            Exit::Failure
        }
    }
}

/// A line of what is shown, in columns of these widths.
fn columns(shown: &Value, names: &[(&str, usize)]) -> String {
    let cell = |(name, width): &(&str, usize)| {
        let text = shown.get(*name).and_then(Value::as_str).unwrap_or("-");
        format!("{text:<width$}")
    };
    let cells: Vec<String> = names.iter().map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

fn create_user(args: &UserCreateArgs) -> Result<(), NotDone> {
    let mut access = Map::new();
    access.insert("roles".to_owned(), json!(args.roles));
    put(&mut access, "customer", args.customer.as_deref());
    put(&mut access, "default_tenant", args.default_tenant.as_deref());
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(args.name));
    body.insert("access".to_owned(), Value::Object(access));
    if !std::io::stdin().is_terminal() {
        let text = standard_input()?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        put(
            &mut body,
            "password",
            Some(password).filter(|text| !text.is_empty()),
        );
    }
    let path = args.operator.path("users");
    let made = args
        .operator
        .ask(Method::POST, &path, Some(&Value::Object(body)))?;
    say(&columns(&made, &[("id", 32), ("state", 0)]));
    Ok(())
}

fn create_application(args: &ApplicationCreateArgs) -> Result<(), NotDone> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(args.name));
    body.insert("public".to_owned(), json!(args.public));
    body.insert("grants".to_owned(), json!(args.grants));
    body.insert("scopes".to_owned(), json!(args.scopes));
    body.insert("redirect_uris".to_owned(), json!(args.redirect_uris));
    put(&mut body, "owner", args.owner.as_deref());
    put(&mut body, "customer", args.customer.as_deref());
    put(&mut body, "tenant", args.tenant.as_deref());
    let path = args.operator.path("applications");
    let made = args
        .operator
        .ask(Method::POST, &path, Some(&Value::Object(body)))?;
    for name in ["client_id", "client_secret"] {
        if let Some(text) = made.get(name).and_then(Value::as_str) {
            say(&text);
        }
    }
    Ok(())
}

fn put(body: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn standard_input() -> Result<Zeroizing<String>, NotDone> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(64 << 10)
        .read_to_string(&mut text)
        .map_err(|error| NotDone::Input(error.to_string()))?;
    Ok(text)
}
