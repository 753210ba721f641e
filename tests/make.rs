//! The Makefile: whoever lacks Rust or a C compiler is told so, and what to install, before anything else happens.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The file of `program`, though the shell may have it built in.
fn place_of(program: &str) -> PathBuf {
    let found = Command::new("bash")
        .args(["-c", &format!("type -P {program}")])
        .output()
        .unwrap();
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

/// `make TARGET` where the only programs are those in `folder`.
fn make(target: &str, folder: &Path) -> Output {
    // Cargo names itself to the tests that it runs, and `make` its options; neither is there for a newcomer.
    Command::new(place_of("make"))
        .args(["--directory", env!("CARGO_MANIFEST_DIR"), target])
        .env_clear()
        .env("PATH", folder)
        .output()
        .unwrap()
}

/// A folder with these programs, which do nothing, and the shell that the Makefile wants.
fn with(programs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(place_of("bash"), folder.path().join("bash")).unwrap();
    for program in programs {
        std::os::unix::fs::symlink(place_of("true"), folder.path().join(program)).unwrap();
    }
    folder
}

#[test]
fn every_target_that_builds_says_first_that_cargo_is_missing_and_where_it_comes_from() {
    let folder = with(&["cc"]);
    let makefile = include_str!("../Makefile");
    let builds: Vec<&str> = makefile
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(": "))
        .filter(|(_, rest)| rest.contains("## "))
        .map(|(target, _)| target)
        .filter(|target| !matches!(*target, "help" | "setup"))
        .collect();
    assert!(builds.contains(&"demo") && builds.contains(&"test"), "{builds:?}");
    for target in builds {
        let output = make(target, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{target}");
        assert!(
            said.contains("cargo is missing. Install Rust from https://rustup.rs/"),
            "{target}: {said}"
        );
        assert!(!said.contains("A C compiler is missing"), "{target}: {said}");
    }
}

#[test]
fn a_c_compiler_of_any_usual_name_will_do_and_without_one_the_packages_are_named() {
    let output = make("need-rust", with(&["cargo"]).path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("apt-get install build-essential"), "{said}");
    assert!(!said.contains("cargo is missing"), "{said}");
    for compiler in ["cc", "gcc", "clang"] {
        let output = make("need-rust", with(&["cargo", compiler]).path());
        assert!(output.status.success(), "{compiler}: {output:?}");
    }
}
