//! `tollgate run`: the gateway, until it is told to stop.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::command::Exit;
use super::terminal::complain;
use crate::config;
use crate::config::diagnostic::Diagnostic;
use crate::config::plan::Plan;
use crate::gateway::{self, StartError};
use crate::telemetry::logging::{self, Format, Logging};

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
    let started = load(&args.config).and_then(|plan| Ok((log(&plan)?, runtime()?, plan)));
    let (logging, runtime, plan) = match started {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let findings: &(dyn Fn(&[Diagnostic]) + Sync) = if plan.telemetry.log_json {
        &log_findings
    } else {
        &report
    };
    let ended = runtime.block_on(gateway::run(&args.config, plan, &environment, findings, &logging));
    // What the log still holds is written before the last word.
    drop(logging);
    match ended {
        Ok(()) => Exit::Success,
        Err(error) => not_started(&error),
    }
}

/// The plan of a configuration; what is wrong with it goes to standard error, and warnings too.
pub(super) fn load(file: &Path) -> Result<Plan, Exit> {
    match config::load(file, &environment) {
        Ok(plan) => {
            report(&plan.warnings);
            Ok(plan)
        }
        Err(diagnostics) => {
            report(&diagnostics);
            Err(Exit::Config)
        }
    }
}

/// The program log of `plan`. Keep it to the end.
pub(super) fn log(plan: &Plan) -> Result<Logging, Exit> {
    let format = if plan.telemetry.log_json {
        Format::Json
    } else {
        Format::Text
    };
    logging::init(&plan.telemetry.log_level, format).map_err(|error| {
        complain(&format_args!("tollgate: {error}"));
        Exit::Config
    })
}

/// For background tasks and signals; the workers bring their own.
pub(super) fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            complain(&format_args!(
                "tollgate: the system gives no event queue: {error}"
            ));
            Exit::Failure
        })
}

/// Says why the gateway did not start.
pub(super) fn not_started(error: &StartError) -> Exit {
    if let StartError::Configuration(diagnostics) = error {
        report(diagnostics);
        return Exit::Config;
    }
    complain(&format_args!("tollgate: {error}"));
    Exit::Failure
}

fn report(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        complain(&format_args!("{diagnostic}\n"));
    }
}

/// What is wrong with a configuration that came by a reload, for a program that reads the log.
fn log_findings(diagnostics: &[Diagnostic]) {
    for found in diagnostics {
        let place = found.place.as_ref();
        tracing::error!(
            code = found.code,
            file = place.map(|place| place.file.display().to_string()),
            line = place.map(|place| place.line),
            column = place.map(|place| place.column),
            hint = found.hint,
            "{}",
            found.message
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment for the configuration"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
