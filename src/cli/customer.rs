//! `tollgate customer`: customers of a running gateway, those of its store.

use http::Method;
use serde_json::Value;

use super::command::Exit;
use super::operator::{NotDone, Operator, columns, ended, standard_input};
use super::terminal::say;
use crate::http::form;

/// Customers of a running gateway, and the tenants that providers among them may act on: list, show, put, delete
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate customer put acme --admin-token operator.token < acme.json
  tollgate customer show acme --admin-token operator.token")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    /// Show a customer as JSON
    Show(OneArgs),
    Put(PutArgs),
    /// Delete a customer: what it may act on and its own quotas; its users and tokens stay
    Delete(OneArgs),
}

/// List the customers of the store
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer list --admin-token operator.token")]
struct ListArgs {
    #[command(flatten)]
    operator: Operator,
}

/// Write a customer whole, new or not
///
/// Standard input has it as JSON: `name`, `region`, `quotas` (by the limit's name: `rate` and `burst`), `tenants` (each a
/// `tenant`, its `roles` there, its `region`). It counts from the next request on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer put acme --admin-token operator.token < acme.json")]
struct PutArgs {
    #[command(flatten)]
    operator: Operator,
    /// Its id, as tokens and users name it
    #[arg(value_name = "CUSTOMER")]
    customer: String,
}

/// One customer
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate customer show acme --admin-token operator.token")]
struct OneArgs {
    #[command(flatten)]
    operator: Operator,
    /// Its id
    #[arg(value_name = "CUSTOMER")]
    customer: String,
}

pub(super) fn run(args: &Args) -> Exit {
    let outcome = match &args.command {
        Command::List(args) => args.operator.each("/v1/customers", |customer| {
            columns(customer, &[("id", 32), ("name", 40), ("region", 0)])
        }),
        Command::Show(args) => args
            .operator
            .ask(Method::GET, &path(&args.customer), None)
            .map(|shown| say(&format_args!("{shown:#}"))),
        Command::Put(args) => written(args),
        Command::Delete(args) => args
            .operator
            .ask(Method::DELETE, &path(&args.customer), None)
            .map(drop),
    };
    ended("customer", outcome)
}

fn path(customer: &str) -> String {
    format!("/v1/customers/{}", form::encoded(customer))
}

fn written(args: &PutArgs) -> Result<(), NotDone> {
    let body: Value = serde_json::from_str(&standard_input()?)
        .map_err(|error| NotDone::Input(format!("it is not JSON: {error}")))?;
    args.operator
        .ask(Method::PUT, &path(&args.customer), Some(&body))
        .map(drop)
}
