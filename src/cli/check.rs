//! `tollgate check`: all that is wrong with a configuration, without starting anything.

use std::path::PathBuf;

use serde_json::json;

use super::command::Exit;
use super::terminal::say;
use crate::config;
use crate::config::diagnostic::{Diagnostic, Severity};

/// Say what is wrong with a configuration, all of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate check --config config/tollgate.yaml

Exit codes: 0 if the gateway would start with it (warnings do not count), 78 if not.")]
pub(super) struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "config/tollgate.yaml")]
    config: PathBuf,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print something about configurations in general, and check nothing
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["config", "format"])]
    print: Option<Print>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, with the lines of the file
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Print {
    /// The JSON Schema, for editors
    Schema,
    /// Every key with its meaning, as Markdown
    Reference,
}

pub(super) fn run(args: &Args) -> Exit {
    match args.print {
        Some(Print::Schema) => {
            say(&config::schema::published().trim_end());
            return Exit::Success;
        }
        Some(Print::Reference) => {
            say(&config::reference::page().trim_end());
            return Exit::Success;
        }
        None => {}
    }
    let (ok, diagnostics) = match config::load(&args.config, &config::environment) {
        Ok(plan) => (true, plan.warnings),
        Err(diagnostics) => (false, diagnostics),
    };
    match args.format {
        Format::Text => text(args, &diagnostics),
        Format::Json => say(&document(ok, &diagnostics)),
    }
    if ok { Exit::Success } else { Exit::Config }
}

fn text(args: &Args, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        say(diagnostic);
        say(&"");
    }
    let count = |severity| {
        diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    };
    let plural = |count: usize, word: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {word}{end}")
    };
    let file = args.config.display();
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => say(&format!("{file}: good")),
        (0, warnings) => say(&format!("{file}: good, with {}", plural(warnings, "warning"))),
        (errors, 0) => say(&format!("{file}: {}", plural(errors, "error"))),
        (errors, warnings) => {
            say(&format!(
                "{file}: {}, {}",
                plural(errors, "error"),
                plural(warnings, "warning")
            ));
        }
    }
}

fn document(ok: bool, diagnostics: &[Diagnostic]) -> serde_json::Value {
    let all: Vec<serde_json::Value> = diagnostics
        .iter()
        .map(|found| {
            json!({
                "severity": found.severity.as_str(),
                "code": found.code,
                "file": found.place.as_ref().map(|place| place.file.display().to_string()),
                "line": found.place.as_ref().map(|place| place.line),
                "column": found.place.as_ref().map(|place| place.column),
                "length": found.place.as_ref().map(|place| place.length),
                "message": found.message,
                "hint": found.hint,
                "excerpt": found.excerpt,
            })
        })
        .collect();
    json!({"ok": ok, "diagnostics": all})
}
