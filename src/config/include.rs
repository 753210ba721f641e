//! `include:` and `dialects: { name: { file: … } }`: several files become one tree.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::node::{Key, Mark, Node, Value};
use super::source::{self, Files};

/// Deepest chain of includes, and most files in all.
const DEEPEST: usize = 8;
const MOST_FILES: usize = 256;

/// Reads the file and everything that it includes. `None` if the first file cannot be read at all.
pub(super) fn load(path: &Path, files: &mut Files, findings: &mut Findings) -> Option<Node> {
    let text = match source::read(path) {
        Ok(text) => text,
        Err(fault) => {
            files.add(path, String::new());
            findings.fault(fault, None);
            return None;
        }
    };
    load_text(path, text, files, findings)
}

/// The same from text that has been read.
pub(super) fn load_text(
    path: &Path,
    text: String,
    files: &mut Files,
    findings: &mut Findings,
) -> Option<Node> {
    let file = files.add(path, text);
    let mut root = parse(file, None, files, findings)?;
    let mut chain = vec![path.to_owned()];
    includes(&mut root, &mut chain, files, findings);
    dialects(&mut root, files, findings);
    Some(root)
}

fn parse(file: u16, named: Option<Mark>, files: &mut Files, findings: &mut Findings) -> Option<Node> {
    match source::parse(files, file) {
        Ok(node) => Some(node),
        Err(fault) => {
            findings.fault(fault, named);
            None
        }
    }
}

/// Takes `include` out of the tree and merges what it names.
fn includes(root: &mut Node, chain: &mut Vec<PathBuf>, files: &mut Files, findings: &mut Findings) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    let Some(index) = entries.iter().position(|(key, _)| key.text == "include") else {
        return;
    };
    let (_, list) = entries.remove(index);
    let items = match list.value {
        Value::List(items) => items,
        _ => vec![list],
    };
    for item in items {
        let Value::Text(name) = &item.value else {
            findings.error_with(
                "wrong-type",
                item.mark,
                format!("`include` takes names of files, not {}", item.kind()),
                "write `include: [limits.yaml, apis.yaml]`",
            );
            continue;
        };
        if let Some(included) = file(name, item.mark, chain, files, findings) {
            merge(root, included, files, findings);
        }
    }
}

fn file(
    name: &str,
    named: Mark,
    chain: &mut Vec<PathBuf>,
    files: &mut Files,
    findings: &mut Findings,
) -> Option<Node> {
    let path = files.folder(named.file).join(name);
    if chain.contains(&path) {
        findings.error(
            "include-cycle",
            named,
            format!("`{}` includes itself", path.display()),
        );
        return None;
    }
    if files.paths().any(|other| other == path) {
        findings.error_with(
            "include-twice",
            named,
            format!("`{}` is included twice", path.display()),
            "everything in it would stand twice; remove one of them",
        );
        return None;
    }
    if chain.len() >= DEEPEST || files.paths().count() >= MOST_FILES {
        findings.error_with(
            "include-too-deep",
            named,
            "too many includes",
            format!("at most {DEEPEST} levels and {MOST_FILES} files"),
        );
        return None;
    }
    let mut node = read(&path, named, files, findings)?;
    chain.push(path);
    includes(&mut node, chain, files, findings);
    chain.pop();
    Some(node)
}

fn read(path: &Path, named: Mark, files: &mut Files, findings: &mut Findings) -> Option<Node> {
    match source::read(path) {
        Ok(text) => {
            let file = files.add(path, text);
            parse(file, Some(named), files, findings)
        }
        Err(fault) => {
            // Watched all the same: its appearance is a change.
            files.add(path, String::new());
            findings.fault(fault, Some(named));
            None
        }
    }
}

/// Joins two files: maps of names and lists are put together, everything else can stand in one of them.
fn merge(root: &mut Node, included: Node, files: &Files, findings: &mut Findings) {
    let place = |mark: Mark| format!("{}:{}", files.path(mark.file).display(), mark.line);
    let Value::Map(own) = &mut root.value else { return };
    let more = match included.value {
        Value::Map(entries) => entries,
        _ => {
            findings.error(
                "wrong-type",
                included.mark,
                format!("the configuration must be a map, not {}", included.kind()),
            );
            return;
        }
    };
    for (key, node) in more {
        let Some((first, mine)) = own.iter_mut().find(|(own, _)| own.text == key.text) else {
            own.push((key, node));
            continue;
        };
        let joinable = !matches!(key.text.as_str(), "server" | "admin" | "telemetry");
        match (&mut mine.value, node.value) {
            (Value::Map(mine), Value::Map(theirs)) if joinable => join(&key, mine, theirs, &place, findings),
            (Value::List(mine), Value::List(theirs)) => mine.extend(theirs),
            _ => findings.error_with(
                "duplicate-key",
                key.mark,
                format!("`{}` stands in two files", key.text),
                format!("the first is at {}", place(first.mark)),
            ),
        }
    }
}

fn join(
    section: &Key,
    mine: &mut Vec<(Key, Node)>,
    theirs: Vec<(Key, Node)>,
    place: &impl Fn(Mark) -> String,
    findings: &mut Findings,
) {
    // The check for two equal keys in one file comes later; here a file may still hold both.
    let before: Vec<(String, Mark)> = mine.iter().map(|(key, _)| (key.text.clone(), key.mark)).collect();
    let index: std::collections::HashMap<&str, Mark> =
        before.iter().map(|(name, mark)| (name.as_str(), *mark)).collect();
    for (key, node) in theirs {
        match index.get(key.text.as_str()) {
            Some(first) => findings.error_with(
                "duplicate-key",
                key.mark,
                format!("`{}` stands under `{}` in two files", key.text, section.text),
                format!("the first is at {}", place(*first)),
            ),
            None => mine.push((key, node)),
        }
    }
}

/// Puts the content of `file:` in the place of a dialect that names one.
fn dialects(root: &mut Node, files: &mut Files, findings: &mut Findings) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    for (_, section) in entries.iter_mut().filter(|(key, _)| key.text == "dialects") {
        let Value::Map(dialects) = &mut section.value else {
            continue;
        };
        for (_, dialect) in dialects {
            let Some(file) = dialect.get("file") else { continue };
            let (mark, Value::Text(name)) = (file.mark, &file.value) else {
                continue;
            };
            if let Value::Map(rows) = &dialect.value
                && rows.len() > 1
            {
                findings.error_with(
                    "one-of",
                    mark,
                    "a dialect has `file` or rows, not both",
                    "move the rows into the file, or the file's rows here",
                );
            }
            let path = files.folder(mark.file).join(name);
            if let Some(node) = read(&path, mark, files, findings) {
                *dialect = node;
            } else {
                dialect.broken = true;
            }
        }
    }
}
