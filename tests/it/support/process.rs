//! The real program as a child process, on ports of the system's choice.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A running `tollgate run`; ended when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    pub log: Vec<String>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

impl Process {
    /// Starts it with this configuration file and waits until it says that it serves.
    pub fn start(config: &Path) -> Process {
        Process::start_with(config, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(config: &Path, variables: &[(&str, &str)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("run")
            .arg("--config")
            .arg(config)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("to start");
        let (sender, lines) = channel();
        let stderr = child.stderr.take().expect("a pipe");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Process {
            child,
            lines,
            log: Vec::new(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            admin: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let admin = process.wait_for("admin listens");
        process.admin = address_in(&admin);
        let ready = process.wait_for("serving");
        process.address = address_in(&ready);
        process
    }

    /// Waits for a log line with this text, and gives it.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(Duration::from_secs(20))
                .unwrap_or_else(|_| panic!("no line with {text:?} in {:#?}", self.log));
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("its end")
    }

    /// Ends it at once, as the system does when memory is short: no handler runs.
    pub fn kill(&mut self) {
        self.child.kill().expect("to kill");
        self.wait();
    }

    /// Everything that it said; waits until it has ended.
    pub fn everything(&mut self) -> String {
        self.wait();
        self.log.extend(self.lines.iter());
        self.log.join("\n")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> SocketAddr {
    if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
        return line["address"]
            .as_str()
            .expect("an address")
            .parse()
            .expect("one");
    }
    let start = line
        .find("address=")
        .unwrap_or_else(|| panic!("no address in {line:?}"))
        + "address=".len();
    let rest = &line[start..];
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    rest[..end]
        .trim_matches('"')
        .parse()
        .unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

/// Runs the program with `words`, and `input` at its standard input, to its end.
pub async fn tollgate<W: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = W>, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("to start");
    // A command that reads nothing has closed its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    tokio::task::spawn_blocking(move || child.wait_with_output().expect("its end"))
        .await
        .expect("its output")
}

/// What a command that succeeded said.
pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a command complained of.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
