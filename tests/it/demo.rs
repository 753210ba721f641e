//! The demo: what it prints can be pasted, shows what it says, and nothing of it stays.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::foreign_peers::have;

/// A running `tollgate demo` and what it printed. Ended by a signal when dropped, as from a terminal.
struct Demo {
    child: Child,
    said: Vec<String>,
    _stdout: BufReader<ChildStdout>,
}

impl Demo {
    fn start(folder: &Path) -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .env("TMPDIR", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let said = stdout
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.contains("Ctrl-C ends"))
            .collect();
        Demo {
            child,
            said,
            _stdout: stdout,
        }
    }

    fn lines(&self, begin: &str) -> Vec<&str> {
        let lines = self.said.iter().map(String::as_str);
        lines.filter(|line| line.starts_with(begin)).collect()
    }

    fn end(&mut self) -> bool {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        sent.is_ok_and(|sent| sent.success()) && self.child.wait().is_ok_and(|end| end.success())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_leaves_nothing_behind_when_it_is_terminated() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path());
    assert_eq!(demo.lines("curl ").len(), 5);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(demo.end());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn each_of_the_five_lines_shows_what_its_title_says() {
    if !have("curl") || !have("bash") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let tokens = [demo.lines("US="), demo.lines("EU=")].concat().join("\n");
    let answers: Vec<String> = (demo.lines("curl ").iter())
        .map(|line| {
            // As in another terminal: the two tokens, then the line.
            let output = Command::new("bash")
                .args(["-c", &format!("{tokens}\n{line}")])
                .output()
                .unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let [injected, nobody, region, burst, too_many] = answers.as_slice() else {
        panic!("{answers:#?}");
    };
    let told: serde_json::Value = serde_json::from_str(injected).unwrap();
    let told = &told["the_gateway_told_us"];
    assert_eq!(
        told["x-tenant-id"],
        serde_json::json!(["acme-tenant-1"]),
        "{told}"
    );
    assert_eq!(told["x-customer-id"], serde_json::json!(["acme"]), "{told}");
    assert!(nobody.starts_with("HTTP/1.1 401 "), "{nobody}");
    assert!(nobody.contains("www-authenticate: Bearer"), "{nobody}");
    assert!(region.starts_with("HTTP/1.1 200 "), "{region}");
    assert!(region.contains("x-served-by: eu-1"), "{region}");
    // One token of the burst went into the line before; on a busy machine some come back in the meantime.
    let passed = burst.lines().filter(|line| *line == "200").count();
    let refused = burst.lines().filter(|line| *line == "429").count();
    assert_eq!(passed + refused, 10, "{burst}");
    assert!((6..=10).contains(&passed), "{burst}");
    assert!(too_many.starts_with("HTTP/1.1 400 "), "{too_many}");
    assert!(too_many.contains("item_cap_exceeded"), "{too_many}");
}
