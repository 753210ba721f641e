//! Standard output and standard error. A reader that went away (`tollgate check | head`) is no reason to panic.

use std::fmt::Display;
use std::io::{self, Write};

/// A line on standard output.
pub(super) fn say(line: &dyn Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line on standard error.
pub(super) fn complain(line: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A prompt on standard error, without a line end; standard output is for what is made.
pub(super) fn hint(prompt: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
}
