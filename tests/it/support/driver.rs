//! A Python program that runs beside a test and talks to it line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::tokens::python;

/// A Python program that runs beside the test.
pub struct Driver {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    input: ChildStdin,
}

impl Driver {
    pub fn start(script: &str, arguments: &[&str]) -> Option<Driver> {
        Some(Driver::by(&python()?, script, arguments))
    }

    pub fn by(python: &str, script: &str, arguments: &[&str]) -> Driver {
        let mut child = Command::new(python)
            .arg(format!("{}/tests/foreign/{script}", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("to start Python");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        Driver { child, lines, input }
    }

    /// The next value; waits for it without holding the runtime's only thread.
    pub async fn next(mut self) -> (Driver, Value) {
        tokio::task::spawn_blocking(move || {
            let line = self.lines.next().expect("another line").expect("a line");
            let value = serde_json::from_str(&line).unwrap_or_else(|bad| panic!("{bad}: {line}"));
            (self, value)
        })
        .await
        .expect("a value")
    }

    pub fn go_on(&mut self) {
        self.input.write_all(b"\n").expect("to write");
        self.input.flush().expect("to write");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
