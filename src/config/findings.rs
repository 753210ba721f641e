//! Collects what is wrong, all of it, while the passes over a configuration go on.

use std::collections::HashSet;

use super::diagnostic::{Diagnostic, Place, Severity};
use super::node::Mark;
use super::source::{Fault, Files};

/// More than this many findings are not kept: a file that is wrong everywhere is wrong in the same way.
const MOST: usize = 200;

/// One finding, before it knows its excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Finding {
    severity: Severity,
    code: &'static str,
    mark: Option<(u16, u32, u32, u32)>,
    message: String,
    hint: Option<String>,
}

impl std::hash::Hash for Severity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    seen: HashSet<Finding>,
    errors: usize,
    damaged: HashSet<(u16, u32, u32)>,
    lacks_a_file: bool,
}

impl Findings {
    /// An error.
    pub(in crate::config) fn error(&mut self, code: &'static str, mark: Mark, message: impl Into<String>) {
        self.push(Severity::Error, code, Some(mark), message.into(), None);
    }

    /// An error, and what to do about it.
    pub(in crate::config) fn error_with(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            Severity::Error,
            code,
            Some(mark),
            message.into(),
            Some(hint.into()),
        );
    }

    /// Something that is worth a look.
    pub(in crate::config) fn warning(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            Severity::Warning,
            code,
            Some(mark),
            message.into(),
            Some(hint.into()),
        );
    }

    /// A file that could not be read or parsed; `mark` is where it is named, if it is not the first.
    pub(in crate::config) fn fault(&mut self, fault: Fault, named: Option<Mark>) {
        self.push(
            Severity::Error,
            fault.code,
            fault.mark.or(named),
            fault.message,
            fault.hint,
        );
    }

    /// The map that stands here has lost something that was wrong.
    pub(in crate::config) fn damage(&mut self, mark: Mark) {
        self.damaged.insert((mark.file, mark.line, mark.column));
    }

    /// Has the map that stands here lost something? Then what it lacks may be what was taken out, and that has been
    /// reported.
    pub(in crate::config) fn is_damaged(&self, mark: Mark) -> bool {
        self.damaged.contains(&(mark.file, mark.line, mark.column))
    }

    /// A file that belongs to the configuration could not be read, so nobody knows what it would have declared.
    pub(in crate::config) fn lacks_a_file(&mut self) {
        self.lacks_a_file = true;
    }

    /// Are all files there? Else a name that nobody declares may stand in the missing one.
    pub(in crate::config) fn is_whole(&self) -> bool {
        !self.lacks_a_file
    }

    /// How many errors there are.
    pub(in crate::config) fn errors(&self) -> usize {
        self.errors
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        mark: Option<Mark>,
        message: String,
        hint: Option<String>,
    ) {
        let mark = mark.map(|mark| (mark.file, mark.line, mark.column, mark.length));
        let finding = Finding {
            severity,
            code,
            mark,
            message,
            hint,
        };
        if severity == Severity::Error {
            self.errors += 1;
        }
        // What is inherited by many routes is wrong once, where it stands.
        if self.all.len() < MOST && self.seen.insert(finding.clone()) {
            self.all.push(finding);
        }
    }

    /// All findings, by file and line, each with its excerpt.
    pub(in crate::config) fn finish(mut self, files: &Files) -> Vec<Diagnostic> {
        self.all.sort_by_key(|finding| finding.mark);
        self.all
            .into_iter()
            .map(|finding| {
                let mark = finding.mark.map(|(file, line, column, length)| Mark {
                    file,
                    line,
                    column,
                    length,
                });
                Diagnostic {
                    severity: finding.severity,
                    code: finding.code,
                    place: mark.map(|mark| Place {
                        file: files.path(mark.file).to_owned(),
                        line: mark.line as usize,
                        column: mark.column as usize,
                        length: mark.length as usize,
                    }),
                    message: finding.message,
                    hint: finding.hint,
                    excerpt: mark.and_then(|mark| files.excerpt(mark)),
                }
            })
            .collect()
    }
}
