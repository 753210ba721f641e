//! The command table and the exit codes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{
    application, check, customer, demo, dev_cert, hash_password, keys, run, store, stub, token, user,
};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: as it should.
    Success,
    /// 1: something failed; the reason is on standard error.
    Failure,
    /// 64: the command line is wrong (`EX_USAGE` of sysexits).
    Usage,
    /// 78: the configuration is wrong (`EX_CONFIG` of sysexits).
    Config,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 64,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// An API gateway for multi-tenant management APIs: who calls, for which tenant, on whose quota, and where it goes.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 100, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Example:
  tollgate demo

Exit codes: 0 success, 1 failure, 64 wrong command line, 78 invalid configuration.";

// What a command is for, in short and at length, stands at its `Args`: a word here would take its place.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Demo(demo::Args),
    Stub(stub::Args),
    DevCert(dev_cert::Args),
    Token(token::Args),
    User(user::Args),
    Application(application::Args),
    Customer(customer::Args),
    Keys(keys::Args),
    Store(store::Args),
    HashPassword(hash_password::Args),
}

/// The program: reads the command line, runs the command.
pub fn main() -> ExitCode {
    match CommandLine::try_parse() {
        Ok(line) => match line.command {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Stub(args) => stub::run(&args),
            Command::DevCert(args) => dev_cert::run(&args),
            Command::Token(args) => token::run(&args),
            Command::User(args) => user::run(&args),
            Command::Application(args) => application::run(&args),
            Command::Customer(args) => customer::run(&args),
            Command::Keys(args) => keys::run(&args),
            Command::Store(args) => store::run(&args),
            Command::HashPassword(args) => hash_password::run(&args),
        },
        Err(error) => {
            // A reader that went away is no error.
            let _ = error.print();
            not_run(&error)
        }
    }
    .into()
}

/// How the program ends when no command is run: `--help` and `--version` come here too, and go to standard output.
fn not_run(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Success
    }
}

/// How the program ends with this command line; `None` if a command is run.
#[cfg(test)]
pub(super) fn without_command<'w>(words: impl Iterator<Item = &'w str>) -> Option<Exit> {
    CommandLine::try_parse_from(words).err().as_ref().map(not_run)
}

#[cfg(test)]
pub(super) fn command() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}
