//! `tollgate token list`, `issue` and `revoke`: the tokens that a running gateway has given out.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::super::command::Exit;
use super::super::operator::{NotDone, RealmOperator, ended, standard_input};
use super::super::terminal::{complain, say};
use super::bare;
use crate::base::clock::UnixTime;
use crate::base::units;
use crate::http::form;

/// List the tokens that a gateway has given out
///
/// One line for each grant: its id, when, until when, user, application, and how it came to be. A token itself is never
/// shown: the gateway does not have it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate token list --admin-token operator.token --realm staff --user alice")]
pub(super) struct ListArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// Only what this user gave, by id or name
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only what this application was given
    #[arg(long, value_name = "CLIENT-ID")]
    application: Option<String>,
    /// Also those that have ended or were revoked
    #[arg(long)]
    all: bool,
}

/// Make a token for a user or an application, without the steps of a grant
///
/// The token goes to standard output, once: the gateway keeps its digest only. What it is known by in the list goes to standard
/// error. It is opaque, so it can be revoked at any time; it is good where a token service of the realm with opaque tokens
/// is taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate token issue --admin-token operator.token --realm staff --application reports \\
      --user alice --scope read --lifetime 90d > reports.token")]
pub(super) struct IssueArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// The application that it is for
    #[arg(long, value_name = "CLIENT-ID")]
    application: String,
    /// The user that it acts for, by id or name; without one the application acts for itself
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A scope; several times for several. Without any: all of the application's
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long it is good: 1m to 366d
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = units::duration)]
    lifetime: Duration,
}

/// Revoke tokens: from the next request on they are no good
///
/// Refresh tokens of the same grant end with it. By `--id` as `token list` shows it; by user, by application or both; or the
/// one that is given on standard input.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("which").required(true).multiple(true).args(["id", "user", "application", "stdin"])),
    after_help = "\
Examples:
  tollgate token revoke --admin-token operator.token --realm staff --user alice
  tollgate token revoke --admin-token operator.token --realm staff --stdin < found.token"
)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    operator: RealmOperator,
    /// The one with this id
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "application", "stdin"])]
    id: Option<String>,
    /// All that this user gave, by id or name
    #[arg(long, value_name = "USER", conflicts_with = "stdin")]
    user: Option<String>,
    /// All that this application was given
    #[arg(long, value_name = "CLIENT-ID", conflicts_with = "stdin")]
    application: Option<String>,
    /// The one on standard input: an access or a refresh token. Not as an argument, since those are seen by everybody on the
    /// machine
    #[arg(long)]
    stdin: bool,
}

pub(super) fn list(args: &ListArgs) -> Exit {
    ended("token list", listed(args))
}

pub(super) fn issue(args: &IssueArgs) -> Exit {
    ended("token issue", issued(args))
}

pub(super) fn revoke(args: &RevokeArgs) -> Exit {
    ended("token revoke", revoked(args))
}

/// A query of what is said.
fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let said: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={}", form::encoded(value))))
        .collect();
    said.join("&")
}

fn listed(args: &ListArgs) -> Result<(), NotDone> {
    say(&row(
        "id",
        "generated",
        "expires",
        "origin",
        "application",
        "user",
    ));
    let asked = query(&[
        ("user", args.user.as_deref()),
        ("application", args.application.as_deref()),
        ("all", args.all.then_some("true")),
    ]);
    args.operator.each(&format!("tokens?{asked}"), |item| {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or("-");
        let time = |name: &str| {
            let at = item.get(name).and_then(Value::as_i64);
            at.map(|at| UnixTime(at).rfc3339())
        };
        let generated = time("generated_at").unwrap_or_default();
        let expires = match time("revoked_at") {
            Some(_) => "revoked".to_owned(),
            None => time("expires_at").unwrap_or_default(),
        };
        row(
            text("id"),
            &generated,
            &expires,
            text("origin"),
            text("application"),
            text("user"),
        )
    })
}

fn row(id: &str, generated: &str, expires: &str, origin: &str, application: &str, user: &str) -> String {
    format!("{id:<32}  {generated:<20}  {expires:<20}  {origin:<18}  {application:<32}  {user}")
}

fn issued(args: &IssueArgs) -> Result<(), NotDone> {
    let body = json!({
        "application": args.application,
        "user": args.user,
        "scopes": (!args.scopes.is_empty()).then_some(&args.scopes),
        "lifetime": args.lifetime.as_secs(),
    });
    let made = args.operator.ask(Method::POST, "tokens", Some(&body))?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
    let until = made.get("expires_at").and_then(Value::as_i64).unwrap_or_default();
    say(&text("token"));
    complain(&format_args!(
        "id {}, good until {}; the token is not shown again",
        text("id"),
        UnixTime(until).rfc3339()
    ));
    Ok(())
}

fn revoked(args: &RevokeArgs) -> Result<(), NotDone> {
    if let Some(id) = &args.id {
        let path = format!("tokens/{}", form::encoded(id));
        args.operator.ask(Method::DELETE, &path, None)?;
        say(&"revoked: 1");
        return Ok(());
    }
    if args.stdin {
        let text = standard_input()?;
        let body = json!({ "token": bare(&text) });
        let said = args.operator.ask(Method::POST, "tokens/revoke", Some(&body))?;
        let id = said.get("id").and_then(Value::as_str).unwrap_or_default();
        say(&format_args!("revoked: {id}"));
        return Ok(());
    }
    let asked = query(&[
        ("user", args.user.as_deref()),
        ("application", args.application.as_deref()),
    ]);
    let said = args
        .operator
        .ask(Method::DELETE, &format!("tokens?{asked}"), None)?;
    let count = said.get("revoked").and_then(Value::as_u64).unwrap_or_default();
    say(&format_args!("revoked: {count}"));
    Ok(())
}
