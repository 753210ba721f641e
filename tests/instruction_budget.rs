//! Instructions of one call, counted by callgrind and held to `benches/budget.txt`.
//!
//! Counts repeat to a few in ten thousand on a machine whose times vary by half, so they decide where times inform. Not
//! part of an ordinary test run, since the program that is counted has to be built with optimisation, which takes some
//! four minutes on two cores the first time: `make budget`, which CI runs after the tests. The scenarios are in
//! `benches/icount.rs`.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// By how much a count may exceed its budget: one part in so many (3 %).
const TOLERANCE: u64 = 33;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A line of the table.
struct Row {
    scenario: String,
    instructions: u64,
    /// How many calls are counted together.
    calls: u64,
    /// A scenario whose count is taken off: what a library computes in a way that the code here cannot change would
    /// hide what it can.
    less: Option<String>,
}

fn table() -> (String, Vec<Row>) {
    let text = std::fs::read_to_string(Path::new(ROOT).join("benches/budget.txt")).unwrap();
    let (comments, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    let rows = lines.into_iter().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.len(), 4, "{line:?}");
        Row {
            scenario: words[0].to_owned(),
            instructions: words[1].parse().unwrap(),
            calls: words[2].parse().unwrap(),
            less: (words[3] != "-").then(|| words[3].to_owned()),
        }
    });
    (comments.join("\n"), rows.collect())
}

/// Builds the program that is counted, and says where it is.
fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["build", "--locked", "--profile", "bench-ci", "--bench", "icount"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the build failed");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "icount")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable")
}

/// Instructions of `calls` calls.
fn counted(program: &Path, scenario: &str, calls: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=icount::measured*"])
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("counts").display()
        ))
        .arg(program)
        .args([scenario, &calls.to_string()])
        .output()
        .expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario}: {text}");
    let counted = text
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .unwrap_or_else(|| panic!("{text}"))
        .1;
    let count = counted.trim().parse().unwrap();
    // Nothing is counted when the function in which counting is switched on was not found.
    assert!(count > calls, "{scenario}: {count} instructions");
    count
}

fn scenarios(program: &Path) -> Vec<String> {
    let output = Command::new(program).arg("--list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
#[ignore = "builds with optimisation, some four minutes the first time: make budget"]
fn instructions_of_a_call_stay_within_their_budget() {
    let (comments, rows) = table();
    let program = build();
    let named: Vec<&str> = rows.iter().map(|row| row.scenario.as_str()).collect();
    assert_eq!(scenarios(&program), named, "each scenario has one budget");

    let whole: Vec<u64> = rows
        .iter()
        .map(|row| counted(&program, &row.scenario, row.calls) / row.calls)
        .collect();
    let net = |scenario: &str| {
        let at = |name: &str| named.iter().position(|known| *known == name).unwrap();
        let less = rows[at(scenario)]
            .less
            .as_deref()
            .map_or(0, |less| whole[at(less)]);
        whole[at(scenario)] - less
    };
    // The digest apart, which a short token and a session have less of.
    for hit in ["own_token_hit", "session_hit"] {
        let ratio = net(hit) as f64 / net("token_hit") as f64;
        println!("{hit:20} {ratio:>9.2} times token_hit");
        assert!(
            ratio <= 1.3,
            "{hit} costs {ratio:.2} times what a remembered JWT costs"
        );
    }
    let (mut written, mut over) = (comments, Vec::new());
    for (row, count) in rows.iter().zip(&whole) {
        let less = row.less.as_ref().map_or(0, |less| {
            whole[named.iter().position(|name| name == less).unwrap()]
        });
        let (count, budget) = (count.saturating_sub(less), row.instructions);
        let of_budget = 100.0 * count as f64 / budget.max(1) as f64;
        println!("{:20} {count:>9} of {budget:>9} ({of_budget:.1} %)", row.scenario);
        if count > budget + budget / TOLERANCE {
            over.push(row.scenario.as_str());
        }
        written += &format!(
            "\n{:20} {count:>13} {:>7}   {}",
            row.scenario,
            row.calls,
            row.less.as_deref().unwrap_or("-")
        );
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told to write by the environment"
    )]
    if std::env::var("BUDGET").is_ok_and(|word| word == "write") {
        std::fs::write(Path::new(ROOT).join("benches/budget.txt"), written + "\n").unwrap();
        return;
    }
    assert!(
        over.is_empty(),
        "over budget: {over:?}. Where it went: callgrind_annotate. Worth it: make budget BUDGET=write"
    );
}
