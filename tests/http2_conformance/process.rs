//! The real program as a child process, whose memory is its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::scene::{LISTENER, routes};

/// A running `tollgate run`; ended when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Process {
    /// Starts it before this backend, and waits until it says that it serves.
    pub fn start(backend: SocketAddr) -> Process {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, format!("{LISTENER}{}", routes(backend))).expect("to write");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("to start");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("the program to serve").expect("a line");
            let named = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix("address="));
            if let (true, Some(named)) = (line.contains("serving"), named) {
                break named.trim_matches('"').parse().expect("an address");
            }
        };
        // Somebody has to read what it says, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Process {
            child,
            address,
            _folder: folder,
        }
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("its memory");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<usize>()
            .expect("a number")
            * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
