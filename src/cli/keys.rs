//! `tollgate keys`: the keys that a token service signs by.

use std::path::PathBuf;

use super::command::Exit;
use super::terminal::{complain, say};
use crate::base::clock::{Clock, UnixTime};
use crate::jose::algorithm;
use crate::jose::key_folder::{KeyFolder, KeyFolderError, Retiring};

/// List and rotate the keys that a token service signs by
///
/// A token service that signs its tokens makes its keys when it starts for the first time, in the folder that the
/// configuration names. One key is `current` and signs. `next` is published already, so that everybody knows it when it
/// becomes current. `previous` signs nothing any more; its tokens are good until they end.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate keys list --directory keys
  tollgate keys rotate --directory keys")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    Rotate(RotateArgs),
}

/// List the keys: name, state, since when, and the algorithm
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate keys list --directory keys")]
struct ListArgs {
    /// The folder of the keys
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// Make the next key the current one, and a new next one
///
/// The key that was current becomes the previous one, and the previous one is removed: tokens that it signed stop working.
/// So this is refused until a day after the last rotation, which is as long as a token lives at most. A gateway that is
/// running notices within a second, and need not be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate keys rotate --directory keys
  tollgate keys rotate --directory keys --revoke")]
struct RotateArgs {
    /// The folder of the keys
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// Also within a day of the last rotation: tokens of the previous key stop working, good or not
    #[arg(long, conflicts_with = "revoke")]
    force: bool,
    /// For a key that was stolen: remove the current key too. Every token signed so far stops working at once; clients
    /// with a refresh token get new ones
    #[arg(long)]
    revoke: bool,
}

/// Runs the command; it fails when the folder cannot be read or written, or it is too early.
pub(super) fn run(args: &Args) -> Exit {
    let now = Clock::system().unix();
    let outcome = match &args.command {
        Command::List(args) => listed(&KeyFolder::new(&args.directory)),
        Command::Rotate(args) => rotated(args, now),
    };
    match outcome {
        Ok(lines) => {
            for line in lines {
                say(&line);
            }
            Exit::Success
        }
        Err(error) => {
            complain(&format_args!("tollgate keys: {error}"));
            if let KeyFolderError::TooEarly { .. } = error {
                complain(&"  wait, or say --force: then those tokens stop working");
            }
            Exit::Failure
        }
    }
}

fn rotated(args: &RotateArgs, now: UnixTime) -> Result<Vec<String>, KeyFolderError> {
    let folder = KeyFolder::new(&args.directory);
    let retiring = match (args.revoke, args.force) {
        (true, _) => Retiring::Revoke,
        (false, true) => Retiring::KeepAndForce,
        (false, false) => Retiring::Keep,
    };
    folder.rotate(retiring, now)?;
    listed(&folder)
}

/// A line for each key, under a line of titles.
fn listed(folder: &KeyFolder) -> Result<Vec<String>, KeyFolderError> {
    let line = |kid: &str, state: &str, since: &str, algorithm: &str| {
        format!("{kid:<16}  {state:<8}  {since:<20}  {algorithm}")
    };
    let mut lines = vec![line("key", "state", "since", "algorithm")];
    for (entry, key) in folder.read()?.keys {
        lines.push(line(
            &entry.kid,
            entry.state.as_str(),
            &entry.since.rfc3339(),
            algorithm::name(key.usual_algorithm()),
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::plan::Algorithm;

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn args(directory: &Path) -> RotateArgs {
        RotateArgs {
            directory: directory.to_owned(),
            force: false,
            revoke: false,
        }
    }

    fn states(lines: &[String]) -> Vec<&str> {
        let states = lines.iter().skip(1).map(|line| line.split_whitespace().nth(1));
        states.collect::<Option<_>>().unwrap()
    }

    #[test]
    fn keys_are_listed_and_rotated_and_none_goes_too_early() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(place.path());
        assert!(matches!(listed(&folder), Err(KeyFolderError::Empty(_))));
        folder.make(Algorithm::ES256, NOW).unwrap();
        let lines = listed(&folder).unwrap();
        assert_eq!(states(&lines), ["current", "next"]);
        assert!(
            lines[1].ends_with("  current   2023-11-14T22:13:20Z  ES256"),
            "{lines:?}"
        );
        let lines = rotated(&args(place.path()), NOW).unwrap();
        assert_eq!(states(&lines), ["previous", "current", "next"]);
        let early = rotated(&args(place.path()), NOW);
        assert!(matches!(early, Err(KeyFolderError::TooEarly { .. })));
        let forced = RotateArgs {
            force: true,
            ..args(place.path())
        };
        assert_eq!(
            states(&rotated(&forced, NOW).unwrap()),
            ["previous", "current", "next"]
        );
        let revoked = RotateArgs {
            revoke: true,
            ..args(place.path())
        };
        assert_eq!(states(&rotated(&revoked, NOW).unwrap()), ["current", "next"]);
    }

    #[test]
    fn no_private_half_is_shown() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(place.path());
        folder.make(Algorithm::EdDSA, NOW).unwrap();
        let shown = listed(&folder).unwrap().join("\n");
        for (entry, key) in folder.read().unwrap().keys {
            assert!(shown.contains(&entry.kid));
            let pem = key.to_pem().unwrap();
            let secret = pem.lines().nth(1).unwrap();
            assert!(!shown.contains(secret));
        }
    }
}
