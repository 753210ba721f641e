//! Load with constant arrivals over kept-alive connections: latency as callers feel it.
//!
//! `cargo run --release --example open-load -- --rate 10000 --seconds 10 http://127.0.0.1:8080/small`
//!
//! Requests are due at fixed moments, whatever the server does, and each is measured from the moment at which it was due.
//! A tool that sends the next request when the last was answered (wrk, ab) stops asking while the server stands still:
//! a stop of 200 ms is then one slow answer for each connection, where it met every caller of those 200 ms. Here it
//! shows in as many measurements.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the result goes to stdout, what went wrong to stderr"
)]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[path = "open_load/mod.rs"]
mod open_load;

/// The command line is wrong, as `tollgate` says it too.
#[cfg(target_os = "linux")]
const WRONG_COMMAND_LINE: u8 = 64;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    use open_load::{Arguments, run};

    let plan = match Arguments::try_parse() {
        Ok(arguments) => arguments.plan(),
        Err(error) => {
            // A pipe that is closed already leaves nobody to tell.
            let _told = error.print();
            let code = if error.use_stderr() { WRONG_COMMAND_LINE } else { 0 };
            return ExitCode::from(code);
        }
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("open-load: {wrong}");
            return ExitCode::from(WRONG_COMMAND_LINE);
        }
    };
    let outcome = match run(&plan) {
        Ok(outcome) => outcome,
        Err(failure) => {
            eprintln!("open-load: {failure}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(first) = &outcome.first_error {
        eprintln!(
            "open-load: {} requests went wrong; the first: {first}",
            outcome.errors
        );
    }
    match outcome.report().and_then(|report| report.to_json()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("open-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("open-load: this needs Linux, for epoll. Run it in a container or a virtual machine");
    ExitCode::FAILURE
}
