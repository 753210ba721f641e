//! What a resolver can see: the names of the other sections, the files, the environment, and where to report.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::config::findings::Findings;
use crate::config::node::Mark;
use crate::config::read::At;
use crate::config::source::Files;
use crate::config::suggest;
use crate::config::text::FilePath;

/// What a resolver can see.
pub(super) struct Scope<'a> {
    files: &'a Files,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub findings: &'a mut Findings,
    pub regions: Names,
    pub realms: Names,
    pub services: Names,
    /// Issuers, token services and introspections, in this order.
    pub authorities: Names,
    pub providers: Names,
    pub signed_urls: Names,
    pub limits: Names,
    pub plans: Names,
    pub backends: Names,
    pub dialects: Names,
    /// Files that the configuration names, as the program opens them.
    pub named_files: Vec<PathBuf>,
}

impl<'a> Scope<'a> {
    pub(in crate::config) fn new(
        files: &'a Files,
        environment: &'a dyn Fn(&str) -> Option<String>,
        findings: &'a mut Findings,
    ) -> Scope<'a> {
        Scope {
            files,
            environment,
            findings,
            regions: Names::default(),
            realms: Names::default(),
            services: Names::default(),
            authorities: Names::default(),
            providers: Names::default(),
            signed_urls: Names::default(),
            limits: Names::default(),
            plans: Names::default(),
            backends: Names::default(),
            dialects: Names::default(),
            named_files: Vec::new(),
        }
    }

    /// An error with a hint.
    pub(in crate::config) fn error(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.error_with(code, mark, message, hint);
    }

    /// Something wrong with the configuration as a whole, reported at the beginning of its first file.
    pub(in crate::config) fn whole_file(&mut self, code: &'static str, message: &str, hint: &str) {
        self.findings.error_with(
            code,
            Mark {
                file: 0,
                line: 1,
                column: 1,
                length: 1,
            },
            message,
            hint,
        );
    }

    /// A file named in the configuration: relative to the file that names it. It will be watched.
    pub(in crate::config) fn path(&mut self, name: &At<FilePath>) -> PathBuf {
        let path = self.unwatched_path(name);
        if !self.named_files.contains(&path) {
            self.named_files.push(path.clone());
        }
        path
    }

    /// The same for a file that is written.
    pub(in crate::config) fn unwatched_path(&self, name: &At<FilePath>) -> PathBuf {
        self.files.folder(name.mark.file).join(&name.value.0)
    }

    /// `file:line` of a mark.
    pub(in crate::config) fn place(&self, mark: Mark) -> String {
        format!("{}:{}", self.files.path(mark.file).display(), mark.line)
    }

    /// Is the mark in the same file as another? Then "line 3" says enough.
    pub(in crate::config) fn other_place(&self, here: Mark, other: Mark) -> String {
        if here.file == other.file {
            format!("line {}", other.line)
        } else {
            self.place(other)
        }
    }
}

/// The names of one section.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What it is called, in the singular.
    kind: String,
    /// Where it is declared, quoted.
    section: String,
    /// In the file's order, broken ones too.
    declared: Vec<String>,
    /// Index in the plan.
    index: HashMap<String, usize>,
}

impl Names {
    pub(in crate::config) fn new<'n>(
        kind: &str,
        section: &str,
        declared: &[String],
        good: impl Iterator<Item = &'n str>,
    ) -> Names {
        let index: HashMap<String, usize> = good
            .enumerate()
            .map(|(index, name)| (name.to_owned(), index))
            .collect();
        let mut declared = declared.to_vec();
        let known: std::collections::HashSet<&str> = declared.iter().map(String::as_str).collect();
        // Builtin ones are in the plan and not in the file.
        let builtin: Vec<String> = index
            .keys()
            .filter(|name| !known.contains(name.as_str()))
            .cloned()
            .collect();
        declared.extend(builtin);
        Names {
            kind: kind.to_owned(),
            section: format!("`{section}:`"),
            declared,
            index,
        }
    }

    /// Several sections as one: `parts` are kind, section and declared names; only those that declare some are spoken of, or
    /// the first.
    pub(in crate::config) fn joined<'n>(
        parts: &[(&str, &str, &[String])],
        good: impl Iterator<Item = &'n str>,
    ) -> Names {
        let declared: Vec<String> = parts
            .iter()
            .flat_map(|(_, _, names)| names.iter().cloned())
            .collect();
        let spoken: Vec<_> = match parts
            .iter()
            .filter(|(_, _, names)| !names.is_empty())
            .collect::<Vec<_>>()
        {
            some if some.is_empty() => parts.iter().take(1).collect(),
            some => some,
        };
        let kinds: Vec<&str> = spoken.iter().map(|(kind, _, _)| *kind).collect();
        let sections: Vec<String> = spoken
            .iter()
            .map(|(_, section, _)| format!("`{section}:`"))
            .collect();
        let names = Names::new("", "", &declared, good);
        Names {
            kind: kinds.join(" or "),
            section: sections.join(" and "),
            ..names
        }
    }

    /// The index of a name; `None` if there is none (which is reported) or if its entry is broken (which has been).
    pub(in crate::config) fn find(&self, name: &At<String>, findings: &mut Findings) -> Option<usize> {
        if let Some(index) = self.index.get(&name.value) {
            return Some(*index);
        }
        if self.declared.contains(&name.value) || !findings.is_whole() {
            return None;
        }
        let known = || self.declared.iter().map(String::as_str);
        let message = format!(
            "there is no {} `{}`{}",
            self.kind,
            name.shown(&name.value),
            suggest::did_you_mean(&name.value, known())
        );
        let hint = if self.declared.is_empty() {
            format!("{} declares none", self.section)
        } else {
            let has = if self.section.contains(" and ") {
                "have"
            } else {
                "has"
            };
            format!("{} {has} {}", self.section, suggest::list(known()))
        };
        findings.error_with("unknown-name", name.mark, message, hint);
        None
    }
}
