//! `tollgate run`: the gateway, until it is told to stop.

use std::path::{Path, PathBuf};

use super::command::Exit;
use super::terminal::complain;

/// Run the gateway
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate run --config config/tollgate.yaml

SIGHUP or a changed file reloads the configuration; SIGTERM drains; a second SIGTERM ends at once.")]
pub(super) struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "config/tollgate.yaml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    until_stopped(&args.config, || {})
}

/// Runs the gateway of a configuration until it is told to stop. `started` is called once it serves.
pub(super) fn until_stopped(config: &Path, started: impl FnOnce()) -> Exit {
    match start(config, started) {
        Ok(()) => Exit::Success,
        Err(NotStarted) => {
            complain(&"this build has no gateway yet");
            Exit::Failure
        }
    }
}

/// What the gateway will say; here until it is there.
struct NotStarted;

fn start(_config: &Path, _started: impl FnOnce()) -> Result<(), NotStarted> {
    Err(NotStarted)
}
