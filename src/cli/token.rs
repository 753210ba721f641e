//! `tollgate token`: tokens to try a gateway with, a look into tokens that do not work, and those that a gateway has given out.

mod inspect;
mod issued;
mod mint;

use super::command::Exit;

/// Mint, inspect, list, issue and revoke bearer tokens
///
/// `mint` and `inspect` need no gateway. `list`, `issue` and `revoke` ask a running one, as its operator.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate token mint --key signing.pem --issuer https://idp.example/ --audience central \\
      | tollgate token inspect -")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Mint(Box<mint::Args>),
    Inspect(inspect::Args),
    List(issued::ListArgs),
    Issue(issued::IssueArgs),
    Revoke(issued::RevokeArgs),
}

/// Runs the command; it fails when no token was signed, the token is not accepted, or a gateway does not do it.
pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Mint(args) => mint::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::List(args) => issued::list(args),
        Command::Issue(args) => issued::issue(args),
        Command::Revoke(args) => issued::revoke(args),
    }
}

/// A token, of a text that may have `Bearer` before it and white space around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests;
