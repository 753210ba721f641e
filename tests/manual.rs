//! The manual says what is true: commands, flags, make targets, metrics and configuration keys that it names exist, its
//! configurations load, its links lead somewhere, and nothing that exists is left out of the lists that claim to be whole.
//!
//! Marks in the pages: a fenced block `yaml config` is a whole configuration and must load; a plain `yaml`
//! block is a fragment.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::telemetry::metrics::TABLE;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the manual: path below the repository's root, and text.
struct Page {
    name: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    collect(&root().join("docs"), &mut paths);
    paths
        .into_iter()
        .map(|path| Page {
            name: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
            text: std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        })
        .collect()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            out.push(path);
        }
    }
}

/// A fenced block: what stands after the fence, the line of its first line, and its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn blocks(page: &Page) -> Vec<Block> {
    let mut out = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    info: info.trim().to_owned(),
                    line: number + 2,
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    out
}

/// Help of `tollgate` or of one of its commands.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "tollgate {command:?} --help: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn lists_command(help: &str, command: &str) -> bool {
    help.lines()
        .any(|line| line.split_whitespace().next() == Some(command) && line.starts_with("  "))
}

/// Does the help name the flag, as a whole word?
fn names_flag(help: &str, flag: &str) -> bool {
    help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .any(|word| word == flag)
}

/// Command lines of Tollgate in a text: the words after `tollgate`, up to what ends a command.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    text.replace("\\\n", " ")
        .split(['\n', '`', '|', ';'])
        .filter_map(|line| {
            let line = line.split(" # ").next().unwrap_or(line);
            let mut words = line.split_whitespace().skip_while(|word| !is_program(word));
            words.next()?;
            let words: Vec<String> = words.map(str::to_owned).collect();
            let begins = words.first()?.chars().next()?;
            (begins.is_ascii_lowercase() || begins == '-').then_some(words)
        })
        .collect()
}

fn is_program(word: &str) -> bool {
    word == "tollgate" || word.ends_with("/tollgate")
}

#[test]
fn every_command_and_flag_in_the_manual_exists() {
    let program = help(&[]);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let code: Vec<String> = blocks(&page)
            .into_iter()
            .filter(|block| block.info.starts_with("sh") || block.info.starts_with("console"))
            .map(|block| block.text)
            .chain(spans(&page.text))
            .collect();
        for words in code.iter().flat_map(|text| command_lines(text)) {
            seen += 1;
            let mut path: Vec<&str> = Vec::new();
            let mut text = program.clone();
            for word in &words {
                if word.starts_with('-') || !lists_command(&text, word) {
                    break;
                }
                path.push(word);
                text = help(&path);
            }
            let first = words.first().map(String::as_str).unwrap_or_default();
            if path.is_empty() && !first.starts_with('-') {
                wrong.push(format!(
                    "{}: no command `{first}` (in `tollgate {}`)",
                    page.name,
                    words.join(" ")
                ));
            }
            for word in &words {
                let flag = word.split('=').next().unwrap_or(word);
                if flag.starts_with("--") && flag.len() > 2 && !names_flag(&text, flag) {
                    wrong.push(format!(
                        "{}: `tollgate {}` has no flag `{flag}`",
                        page.name,
                        path.join(" ")
                    ));
                }
            }
        }
    }
    assert!(seen > 3, "only {seen} command lines found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands between single backquotes, outside fenced blocks.
fn spans(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut out = Vec::new();
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.trim().is_empty() {
            paragraph.extend([line, " "]);
            continue;
        }
        out.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
        paragraph.clear();
    }
    out
}

#[test]
fn every_make_target_in_the_manual_exists() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut wrong = Vec::new();
    for page in pages() {
        let code = blocks(&page)
            .into_iter()
            .filter(|block| block.info.starts_with("sh"))
            .map(|block| block.text);
        for text in code.chain(spans(&page.text)) {
            for line in text.lines() {
                let Some(target) = line.trim_start_matches("$ ").strip_prefix("make ") else {
                    continue;
                };
                let target = target.split_whitespace().next().unwrap_or_default();
                if !makefile
                    .lines()
                    .any(|rule| rule.starts_with(&format!("{target}:")))
                {
                    wrong.push(format!("{}: make {target}", page.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn words_with_prefix<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(move |word| word.starts_with(prefix) && word.len() > prefix.len())
}

#[test]
fn every_metric_in_the_manual_and_in_the_deployment_exists() {
    let known: BTreeSet<String> = TABLE
        .iter()
        .flat_map(|metric| ["", "_bucket", "_sum", "_count"].map(|suffix| format!("{}{suffix}", metric.name)))
        .collect();
    let mut wrong = Vec::new();
    for page in pages() {
        for word in words_with_prefix(&page.text, "tollgate_") {
            // `tollgate_upstream_*` stands for a family.
            if !known.contains(word)
                && !known
                    .iter()
                    .any(|name| word.ends_with('_') && name.starts_with(word))
            {
                wrong.push(format!("{}: {word}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_configuration_in_the_manual_loads() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let mut wrong = Vec::new();
    // Secrets are what a page cannot show.
    let environment = |name: &str| {
        let is_secret = name.ends_with("_KEY") || name.ends_with("_SECRET");
        is_secret.then(|| "k".repeat(40))
    };
    for page in pages() {
        for block in blocks(&page)
            .into_iter()
            .filter(|block| block.info == "yaml config")
        {
            seen += 1;
            let file = folder.path().join(format!("{seen}.yaml"));
            std::fs::write(&file, &block.text).unwrap();
            if let Err(findings) = tollgate::config::load(&file, &environment) {
                wrong.push(format!("{}:{}: {findings:#?}", page.name, block.line));
            }
        }
    }
    assert!(seen > 0, "no block is marked `yaml config`");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The sections of the configuration, and the keys anywhere in it, from its schema.
fn configuration_keys() -> (BTreeSet<String>, BTreeSet<String>) {
    fn walk(schema: &serde_json::Value, out: &mut BTreeSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
            out.extend(properties.keys().cloned());
        }
        match schema {
            serde_json::Value::Object(members) => members.values().for_each(|below| walk(below, out)),
            serde_json::Value::Array(items) => items.iter().for_each(|below| walk(below, out)),
            _ => {}
        }
    }
    let schema: serde_json::Value = serde_json::from_str(&tollgate::config::schema::published()).unwrap();
    let sections = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut keys = BTreeSet::new();
    walk(&schema, &mut keys);
    (sections, keys)
}

/// Parameters of a standard whose names are keys too, in the spelling of the file (RFC 6749 section 4.1.1).
const STANDARD: &[&str] = &["redirect_uri"];

#[test]
fn configuration_keys_in_the_manual_are_spelled_as_in_the_file() {
    let (sections, keys) = configuration_keys();
    let mut wrong = Vec::new();
    for page in pages() {
        for span in spans(&page.text) {
            let path = span.split(": ").next().unwrap_or(&span).trim_end_matches(':');
            let is_path = path
                .chars()
                .all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_' | '-'));
            if !is_path {
                continue;
            }
            // `server.drain.max`: what begins with a section is a path of keys.
            let parts: Vec<&str> = path.split('.').collect();
            if parts.len() > 1
                && sections.contains(parts[0])
                && !parts.iter().all(|part| keys.contains(*part))
            {
                wrong.push(format!("{}: `{span}`", page.name));
            }
            let kebab = path.replace('_', "-");
            if STANDARD.contains(&path) {
                continue;
            }
            if kebab != path && keys.contains(&kebab) && !keys.contains(path) {
                wrong.push(format!(
                    "{}: `{span}` is written `{kebab}` in the configuration",
                    page.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut wrong = Vec::new();
    for page in pages() {
        let folder = root().join(&page.name).parent().unwrap().to_owned();
        for target in page
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                root().join(&page.name)
            } else {
                folder.join(file)
            };
            if !path.exists() {
                wrong.push(format!("{}: {target}", page.name));
            } else if !anchor.is_empty() && !anchors(&path).contains(anchor) {
                wrong.push(format!("{}: {target} (no such heading)", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Anchors of a page's headings, as forges make them.
fn anchors(path: &Path) -> BTreeSet<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn the_index_of_the_manual_names_every_page() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let missing: Vec<String> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md") && name != "README.md" && !index.contains(&format!("]({name})")))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
    let mut rows: Vec<&str> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| ["))
        .collect();
    rows.sort_by_key(|row| row.split(']').next());
    for pair in rows.windows(2) {
        assert_ne!(
            pair[0].split(']').next(),
            pair[1].split(']').next(),
            "named twice"
        );
    }
    let decisions = std::fs::read_to_string(root().join("docs/decisions/README.md")).unwrap();
    let missing: Vec<String> = std::fs::read_dir(root().join("docs/decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md" && !decisions.contains(&format!("]({name})")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/decisions/README.md does not name {missing:?}"
    );
}

#[test]
fn every_dependency_has_its_lines_and_every_entry_its_dependency() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut declared = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if matches!(section, "[dependencies]" | "[dev-dependencies]")
            && let Some((name, _)) = line.split_once(" =")
        {
            declared.insert(name.to_owned());
        }
    }
    let page = std::fs::read_to_string(root().join("docs/decisions/dependencies.md")).unwrap();
    let described: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        described, declared,
        "docs/decisions/dependencies.md (left) against Cargo.toml (right)"
    );
}

#[test]
fn command_lines_are_found_in_text() {
    assert_eq!(
        command_lines("$ ./target/debug/tollgate run --config a.yaml # now\nls"),
        [["run", "--config", "a.yaml"]]
    );
    assert_eq!(
        command_lines("tollgate stub \\\n  --status 200"),
        [["stub", "--status", "200"]]
    );
    assert_eq!(command_lines("tollgate: a gateway"), Vec::<Vec<String>>::new());
    assert_eq!(spans("a `b` c\n```\n`x`\n```\n`d\ne`"), ["b", "d e"]);
}
