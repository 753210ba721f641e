//! `include:` and `dialects: { name: { file: … } }`: several files become one tree.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::interpolate::interpolate;
use super::node::{Key, Mark, Node, Value};
use super::source::{self, Files};

/// Deepest chain of includes, and most files in all.
const DEEPEST: usize = 8;
const MOST_FILES: usize = 256;

/// Reads files, puts variables in their place, and keeps what was found.
pub(super) struct Loader<'a> {
    pub files: &'a mut Files,
    pub findings: &'a mut Findings,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Loader<'_> {
    /// Reads the file and everything that it includes. `None` if the first file cannot be read at all.
    pub(in crate::config) fn load(&mut self, path: &Path) -> Option<Node> {
        match source::read(path, &path.display().to_string()) {
            Ok(text) => self.load_text(path, text),
            Err(fault) => {
                self.files.add(path, String::new());
                self.findings.fault(fault, None);
                None
            }
        }
    }

    /// The same from text that has been read.
    pub(in crate::config) fn load_text(&mut self, path: &Path, text: String) -> Option<Node> {
        let file = self.files.add(path, text);
        let mut root = self.parse(file, None)?;
        let mut chain = vec![path.to_owned()];
        self.includes(&mut root, &mut chain);
        self.dialects(&mut root);
        Some(root)
    }

    fn parse(&mut self, file: u16, named: Option<Mark>) -> Option<Node> {
        match source::parse(self.files, file) {
            Ok(mut node) => {
                interpolate(&mut node, self.environment, self.findings);
                Some(node)
            }
            Err(fault) => {
                self.findings.fault(fault, named);
                self.findings.lacks_a_file();
                None
            }
        }
    }

    /// Takes `include` out of the tree and merges what it names.
    fn includes(&mut self, root: &mut Node, chain: &mut Vec<PathBuf>) {
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
            if item.broken {
                self.findings.lacks_a_file();
                continue;
            }
            let Value::Text(name) = &item.value else {
                self.findings.error_with(
                    "wrong-type",
                    item.mark,
                    format!("`include` takes names of files, not {}", item.kind()),
                    "write `include: [limits.yaml, apis.yaml]`",
                );
                continue;
            };
            if let Some(included) = self.file(name, &item, chain) {
                merge(root, included, self.files, self.findings);
            }
        }
    }

    fn file(&mut self, name: &str, named: &Node, chain: &mut Vec<PathBuf>) -> Option<Node> {
        let path = self.files.folder(named.mark.file).join(name);
        let again = if chain.contains(&path) {
            Some(("include-cycle", "includes itself"))
        } else if self.files.paths().any(|other| other == path) {
            Some(("include-twice", "is included twice"))
        } else {
            None
        };
        if let Some((code, what)) = again {
            self.findings
                .error(code, named.mark, format!("`{}` {what}", shown(&path, named)));
            return None;
        }
        if chain.len() >= DEEPEST {
            self.too_many(named.mark);
            return None;
        }
        let mut node = self.read(&path, named)?;
        chain.push(path);
        self.includes(&mut node, chain);
        chain.pop();
        Some(node)
    }

    fn read(&mut self, path: &Path, named: &Node) -> Option<Node> {
        if self.files.paths().count() >= MOST_FILES {
            self.too_many(named.mark);
            return None;
        }
        match source::read(path, &shown(path, named)) {
            Ok(text) => {
                let file = self.files.add(path, text);
                self.parse(file, Some(named.mark))
            }
            Err(fault) => {
                // Watched all the same: its appearance is a change.
                self.files.add(path, String::new());
                self.findings.fault(fault, Some(named.mark));
                self.findings.lacks_a_file();
                None
            }
        }
    }

    fn too_many(&mut self, mark: Mark) {
        self.findings.error_with(
            "too-many-files",
            mark,
            "too many files",
            format!("at most {DEEPEST} levels of includes and {MOST_FILES} files"),
        );
        self.findings.lacks_a_file();
    }

    /// Puts the content of `file:` in the place of a dialect that names one.
    fn dialects(&mut self, root: &mut Node) {
        let Value::Map(entries) = &mut root.value else {
            return;
        };
        for (_, section) in entries.iter_mut().filter(|(key, _)| key.text == "dialects") {
            let Value::Map(dialects) = &mut section.value else {
                continue;
            };
            for (_, dialect) in dialects {
                let Some(file) = dialect.get("file").filter(|file| !file.broken) else {
                    continue;
                };
                let Value::Text(name) = &file.value else { continue };
                if let Value::Map(rows) = &dialect.value
                    && rows.len() > 1
                {
                    self.findings.error_with(
                        "one-of",
                        file.mark,
                        "a dialect has `file` or rows, not both",
                        "move the rows into the file, or the file's rows here",
                    );
                }
                let path = self.files.folder(file.mark.file).join(name);
                match self.read(&path, file) {
                    Some(node) => *dialect = node,
                    None => dialect.broken = true,
                }
            }
        }
    }
}

/// A file's name for messages: as it is written, where the environment took part.
fn shown(path: &Path, named: &Node) -> String {
    match &named.origin {
        Some(origin) => origin.to_string(),
        None => path.display().to_string(),
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
