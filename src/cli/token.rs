//! `tollgate token`: tokens to try a gateway with, and a look into tokens that do not work.

mod inspect;
mod mint;

use super::command::Exit;

/// Mint and inspect bearer tokens
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
}

/// Runs the command; it fails when no token was signed, or the token is not accepted.
pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Mint(args) => mint::run(args),
        Command::Inspect(args) => inspect::run(args),
    }
}

#[cfg(test)]
mod tests;
