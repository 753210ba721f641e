//! The comparison rig (`benches/compare`): its parts by themselves, and once as a whole, for a second.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, ask the environment whether it is in CI, and say what it passed over"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare")
}

/// What a failed run said.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Is the program there? CI accepts no "no".
fn there(found: bool, what: &str) -> bool {
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "CI=true and {what}; `make setup` installs what the tests need"
    );
    if !found {
        eprintln!("passed over: {what}; `make setup` installs what the tests need");
    }
    found
}

#[test]
fn the_parts_of_the_rig_pass_their_own_tests() {
    let python = Command::new("python3").arg("--version").output();
    if !there(python.is_ok(), "there is no python3") {
        return;
    }
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // Discovery that finds nothing succeeds.
    assert!(!said(&output).contains("Ran 0 tests"), "{}", said(&output));
}

#[test]
fn the_profile_of_a_release_is_read_whole_or_not_at_all() {
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pgo"))
        .output();
    let Ok(output) = output else {
        there(false, "there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("Ran 0 tests"), "{}", said(&output));
}

#[test]
fn the_rig_tries_two_peers_and_measures_them_for_a_second() {
    let run = folder().join("run");
    let Ok(tools) = Command::new(&run).arg("tools").output() else {
        there(false, "there is no python3");
        return;
    };
    if !there(tools.status.success(), said(&tools).trim()) {
        return;
    }
    let results = tempfile::tempdir().unwrap();
    let record = results.path().join("record.json");
    // Nothing is pinned and one token is enough: this test shows that the rig works, not what it measures.
    let output = Command::new(&run)
        .args(["--peers", "haproxy,tollgate", "--scenarios", "plain,hs,seed-h2"])
        .args([
            "--secs", "1", "--warmup", "0", "--rounds", "1", "--no-pin", "--json",
        ])
        .arg(&record)
        .env("TOLLGATE", env!("CARGO_BIN_EXE_tollgate"))
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("does the whole job").count(), 2, "{said}");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let measurements = record["measurements"].as_array().unwrap();
    assert_eq!(measurements.len(), 6, "{said}");
    for one in measurements {
        assert!(one["cpu_us"].as_f64() > Some(0.0), "{one}");
        assert_eq!(one["unexpected"], 0, "{one}");
    }
}

#[test]
fn a_tool_that_is_missing_is_named_with_its_package() {
    let python = Command::new("bash")
        .args(["-c", "python3 -c 'import sys; print(sys.executable)'"])
        .output();
    let Some(python) = python.ok().filter(|output| output.status.success()) else {
        there(false, "there is no python3");
        return;
    };
    let output = Command::new(String::from_utf8(python.stdout).unwrap().trim())
        .arg(folder().join("run"))
        .arg("tools")
        .env("HAPROXY", "/nowhere/haproxy")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("apt-get install") && said(&output).contains("haproxy"),
        "{}",
        said(&output)
    );
}
