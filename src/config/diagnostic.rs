//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is usable.
    Warning,
    /// It is not.
    Error,
}

impl Severity {
    /// The word for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A place in a file; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// Characters that the finding is about, at least 1.
    pub length: usize,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A stable code such as `unknown-key`.
    pub code: &'static str,
    /// Where.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The line of the file, as it stands there, without secrets.
    pub excerpt: Option<String>,
}

/// The finding as text, on several lines and without a line end:
///
/// ```text
/// error[unknown-key]: unknown key `rout`, did you mean `routes`?
///   --> gateway.yaml:12:5
///    |
/// 12 |     rout:
///    |     ^^^^
///    = hint: keys here are …
/// ```
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity.as_str(), self.code, self.message)?;
        let mut gutter = 0;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            gutter = number.len();
            write!(
                f,
                "\n{:gutter$}--> {}:{}:{}",
                "",
                place.file.display(),
                place.line,
                place.column
            )?;
            if let Some(excerpt) = &self.excerpt {
                let before = place.column.saturating_sub(1);
                // A masked excerpt is shorter than the line was; the caret stays within what is shown.
                let width = excerpt.chars().count();
                let before = before.min(width);
                let under = place.length.clamp(1, width.saturating_sub(before).max(1));
                write!(f, "\n{:gutter$} |\n{number} | {excerpt}", "")?;
                write!(f, "\n{:gutter$} | {:before$}{:^<under$}", "", "", "")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}
