//! `tollgate store`: copies of a store in use, and whether one is sound.

use std::path::PathBuf;

use super::command::Exit;
use super::terminal::{complain, say};
use crate::store::sqlite;

/// Back up and check the file that users, applications and tokens are kept in
///
/// Both work while a gateway runs, and change nothing of its file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate store backup /var/lib/tollgate/store.db /backup/store.db
  tollgate store check /backup/store.db")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Backup(BackupArgs),
    Check(CheckArgs),
}

/// Copy a store, as it is at one moment, while it may be in use
///
/// The copy is complete and on the disk when the command ends; before that it has another name. It is a store itself: to go back
/// to it, stop the gateway, put the copy in the place of its file, remove the files with `-wal` and `-shm` after its name,
/// and start again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate store backup /var/lib/tollgate/store.db /backup/store.db")]
struct BackupArgs {
    /// The store
    #[arg(value_name = "STORE")]
    from: PathBuf,
    /// The copy; must not be there yet
    #[arg(value_name = "COPY")]
    to: PathBuf,
}

/// Read the whole file and say whether it is sound
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate store check /backup/store.db")]
struct CheckArgs {
    /// The store
    #[arg(value_name = "STORE")]
    path: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    let (outcome, done) = match &args.command {
        Command::Backup(args) => (
            sqlite::copy_file(&args.from, &args.to),
            format!("{} is a copy of {}", args.to.display(), args.from.display()),
        ),
        Command::Check(args) => (
            sqlite::check_file(&args.path, &sqlite::Settings::default()),
            format!("{} is sound", args.path.display()),
        ),
    };
    match outcome {
        Ok(()) => {
            say(&done);
            Exit::Success
        }
        Err(error) => {
            complain(&format_args!("tollgate store: {error}"));
            Exit::Failure
        }
    }
}
