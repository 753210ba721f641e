//! `tollgate hash-password` as people and scripts use it: at a terminal, and behind a pipe.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tollgate::accounts::password::StoredPassword;
use tollgate::base::secret::Secret;

fn program(arguments: &[&str], input: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("hash-password")
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn piped(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = program(arguments, Stdio::piped());
    // A program that has seen enough may have closed its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn holds(output: &[u8], password: &str) -> bool {
    let line = std::str::from_utf8(output).unwrap().strip_suffix('\n').unwrap();
    let stored = StoredPassword::parse(line).unwrap();
    stored
        .matches(&Secret::new(password.as_bytes().to_vec()))
        .unwrap()
}

#[test]
fn a_piped_password_becomes_a_hash_that_holds_for_it() {
    let output = piped(&[], b"correct horse\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stderr, b"");
    assert!(
        output.stdout.starts_with(b"$argon2id$v=19$m=19456,t=2,p=1$"),
        "{output:?}"
    );
    assert!(holds(&output.stdout, "correct horse"));
    assert!(!holds(&output.stdout, "correct horse\n"));
    let output = piped(&["--memory", "12MiB", "--passes", "3"], "ä".as_bytes());
    assert!(
        output.stdout.starts_with(b"$argon2id$v=19$m=12288,t=3,p=1$"),
        "{output:?}"
    );
    assert!(holds(&output.stdout, "ä"));
}

#[test]
fn a_cost_below_what_is_advised_is_a_wrong_command_line() {
    let output = piped(&["--memory", "18MiB", "--passes", "1"], b"hidden\n");
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert_eq!(output.stdout, b"");
}

#[test]
fn what_is_no_password_ends_with_1_and_a_reason_without_the_password() {
    for (input, reason) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"hidden\nhidden\n", "control character"),
        (b"hidden\xff", "UTF-8"),
        (&[b'h'; 1 << 20], "longer than 1024 bytes"),
    ] {
        let output = piped(&[], input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(reason) && !said.contains("hidden"), "{said}");
        assert_eq!(output.stdout, b"");
    }
}

/// The program at a terminal of its own. `answers` are typed as it asks; what it said, its output, and what the terminal
/// showed come back.
fn at_a_terminal(answers: &[&str]) -> (Option<i32>, String, Vec<u8>, Vec<u8>) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(name.as_bytes()))
        .unwrap();
    let mut child = program(&[], Stdio::from(terminal.try_clone().unwrap()));
    let mut keyboard = File::from(keyboard);
    let mut stderr = child.stderr.take().unwrap();
    let mut said = String::new();
    for answer in answers {
        // It asks when nothing shows any more: what is typed before that would show, and be thrown away.
        let asked = said.len();
        while !said[asked..].ends_with(": ") {
            let mut byte = [0];
            if stderr.read(&mut byte).unwrap() == 0 {
                panic!("it asks no more after {said:?}");
            }
            said.push(char::from(byte[0]));
        }
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    stderr.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    // Something to end the reading by: it shows, if the terminal shows again what is typed.
    keyboard.write_all(b"END\n").unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"END\r\n") {
        let mut byte = [0];
        keyboard.read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    drop(terminal);
    (output.status.code(), said, output.stdout, shown)
}

#[test]
fn a_typed_password_is_asked_for_twice_and_does_not_show() {
    let (code, said, output, shown) = at_a_terminal(&["corect\x7f\x7f\x7frect horse\r", "correct horse\r"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "Password: \nThe same again: \n");
    assert!(holds(&output, "correct horse"));
    assert_eq!(shown, b"END\r\n", "and the terminal shows again what is typed");
}

#[test]
fn two_different_ones_or_ctrl_c_make_no_hash() {
    let (code, said, output, shown) = at_a_terminal(&["hidden\r", "hiden\r"]);
    assert_eq!((code, output.len()), (Some(1), 0));
    assert!(
        said.ends_with("tollgate hash-password: the two are not the same\n"),
        "{said}"
    );
    assert_eq!(shown, b"END\r\n");
    let (code, said, output, shown) = at_a_terminal(&["hidden\x03"]);
    assert_eq!((code, output.len()), (Some(1), 0));
    assert!(said.ends_with("tollgate hash-password: interrupted\n"), "{said}");
    assert_eq!(shown, b"END\r\n");
}
