//! Reads configuration files into trees, within bounds, and keeps their text for excerpts.
//!
//! The only file that knows the YAML library (decision 4).

use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::excerpt;
use super::node::{Key, Mark, Node, Value};

/// Largest file, in bytes. Checked before parsing; 4 MiB is some 50,000 customers with quotas of their own.
pub(super) const LARGEST_FILE: u64 = 4 << 20;
/// Deepest nesting. The shipped configurations need 8. Reading is recursive, and a level takes some 35 KiB of stack in a
/// build without optimisation: more than twice this fits the 2 MiB of a thread.
const DEEPEST: usize = 20;
/// Most nodes in one file.
const MOST_NODES: usize = 1_000_000;
/// Most aliases in one file, and most nodes that aliases may stand for: a few lines of YAML can otherwise stand for
/// more memory than the machine has.
const MOST_ALIASES: usize = 1_000;
const MOST_REPLAYED: usize = 50_000;

/// A file that could not be turned into a tree.
#[derive(Debug)]
pub(super) struct Fault {
    pub code: &'static str,
    pub mark: Option<Mark>,
    pub message: String,
    pub hint: Option<String>,
}

/// One file: its name as the user wrote it, its text, and which characters of it must not be shown.
#[derive(Debug)]
pub(super) struct File {
    pub path: PathBuf,
    text: String,
    hidden: excerpt::Hidden,
}

/// All files of one load, by index.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<File>);

impl Files {
    /// Adds a file and returns its index. At most 65,535 fit; includes are bounded far below that.
    pub(in crate::config) fn add(&mut self, path: &Path, text: String) -> u16 {
        self.0.push(File {
            path: path.to_owned(),
            text,
            hidden: excerpt::Hidden::default(),
        });
        u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX)
    }

    /// The path of a file, as it was named.
    pub(in crate::config) fn path(&self, file: u16) -> &Path {
        self.0
            .get(usize::from(file))
            .map_or(Path::new(""), |file| &file.path)
    }

    /// The folder that relative names in this file start from.
    pub(in crate::config) fn folder(&self, file: u16) -> &Path {
        self.path(file).parent().unwrap_or(Path::new(""))
    }

    /// Every file, in the order of reading.
    pub(in crate::config) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|file| file.path.as_path())
    }

    /// The text of the file.
    pub(in crate::config) fn text(&self, file: u16) -> &str {
        self.0.get(usize::from(file)).map_or("", |file| &file.text)
    }

    /// The line that a mark is on, with what must not be shown masked.
    pub(in crate::config) fn excerpt(&self, mark: Mark) -> Option<String> {
        let file = self.0.get(usize::from(mark.file))?;
        excerpt::line(&file.text, mark.line, &file.hidden)
    }

    fn hide(&mut self, file: u16, hidden: excerpt::Hidden) {
        if let Some(file) = self.0.get_mut(usize::from(file)) {
            file.hidden = hidden;
        }
    }
}

/// Reads a file's text. Messages call it `shown`.
///
/// # Errors
/// Not readable, larger than [`LARGEST_FILE`], or not UTF-8.
pub(super) fn read(path: &Path, shown: &str) -> Result<String, Fault> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| Fault {
        code: "file-unreadable",
        mark: None,
        message: format!("cannot read `{shown}`: {}", reason(&error)),
        hint: None,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells "too large" from "just fits", also for a pipe whose size nobody knows.
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Fault {
            code: "file-too-large",
            mark: None,
            message: format!("`{shown}` is larger than 4 MiB"),
            hint: Some("split it with `include:`".to_owned()),
        });
    }
    String::from_utf8(bytes).map_err(|_| Fault {
        code: "file-not-text",
        mark: None,
        message: format!("`{shown}` is not UTF-8 text"),
        hint: None,
    })
}

/// What the operating system said, without the number that it adds.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// Parses a file that was added before. An empty file is an empty map.
///
/// # Errors
/// The first place where it is no YAML, or where it goes beyond a bound.
pub(super) fn parse(files: &mut Files, file: u16) -> Result<Node, Fault> {
    let text = files.text(file).to_owned();
    if text.len() as u64 > LARGEST_FILE {
        return Err(Fault {
            code: "file-too-large",
            mark: None,
            message: format!("`{}` is larger than 4 MiB", files.path(file).display()),
            hint: Some("split it with `include:`".to_owned()),
        });
    }
    let mut options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            max_nodes: MOST_NODES,
            max_aliases: MOST_ALIASES,
            max_anchors: MOST_ALIASES,
            max_documents: 1,
        },
    };
    options.alias_limits = AliasLimits::default();
    options.alias_limits.max_total_replayed_events = MOST_REPLAYED;
    let parsed = serde_saphyr::from_str_with_options::<Option<Spanned<Loose>>>(&text, options);
    let node = match parsed {
        Ok(Some(spanned)) => spanned.place(file),
        Ok(None) => Node::new(
            Mark {
                file,
                line: 1,
                column: 1,
                length: 1,
            },
            Value::Map(Vec::new()),
        ),
        Err(error) => {
            // The text has no structure: whatever looks like a secret is hidden by its looks alone.
            files.hide(file, excerpt::by_looks(&text));
            return Err(fault(file, &error));
        }
    };
    files.hide(file, excerpt::by_structure(&text, &node));
    Ok(node)
}

fn fault(file: u16, error: &serde_saphyr::Error) -> Fault {
    let mut error = error.without_snippet();
    // What went wrong behind an alias is what went wrong.
    while let serde_saphyr::Error::AliasError { error: behind, .. } = error {
        error = behind.without_snippet();
    }
    let mark = error
        .location()
        .filter(|location| location.line() > 0)
        .map(|location| Mark {
            file,
            line: bounded(location.line()),
            column: bounded(location.column()),
            length: 1,
        });
    let (code, message, hint) = match error {
        serde_saphyr::Error::Budget { .. }
        | serde_saphyr::Error::AliasReplayCounterOverflow { .. }
        | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } => (
            "file-too-complex",
            "the file goes beyond the bounds of a configuration".to_owned(),
            Some(format!(
                "at most {DEEPEST} levels, {MOST_NODES} values, {MOST_ALIASES} aliases that stand for at most \
                 {MOST_REPLAYED} values"
            )),
        ),
        serde_saphyr::Error::MultipleDocuments { .. } => (
            "yaml-syntax",
            "the file has more than one document".to_owned(),
            Some("remove the `---` between them, or use `include:`".to_owned()),
        ),
        // The library's sentences about syntax never quote values; its sentences about types would, but a tree takes
        // every type.
        other => (
            "yaml-syntax",
            format!("this is no YAML: {}", UserMessageFormatter.format_message(other)),
            None,
        ),
    };
    Fault {
        code,
        mark,
        message,
        hint,
    }
}

fn bounded(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// Any YAML value, before it knows its file.
enum Loose {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Loose>>),
    Map(Vec<(Spanned<String>, Spanned<Loose>)>),
}

trait Placed {
    fn place(self, file: u16) -> Node;
}

impl Placed for Spanned<Loose> {
    fn place(self, file: u16) -> Node {
        let value = match self.value {
            Loose::Null => Value::Null,
            Loose::Bool(value) => Value::Bool(value),
            Loose::Integer(value) => Value::Integer(value),
            Loose::Float(value) => Value::Float(value),
            Loose::Text(text) => Value::Text(text),
            Loose::List(items) => Value::List(items.into_iter().map(|item| item.place(file)).collect()),
            Loose::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| {
                        let mark = mark(file, &key.defined);
                        (
                            Key {
                                text: key.value,
                                mark,
                            },
                            node.place(file),
                        )
                    })
                    .collect(),
            ),
        };
        Node::new(mark(file, &self.defined), value)
    }
}

fn mark(file: u16, location: &serde_saphyr::Location) -> Mark {
    Mark {
        file,
        line: bounded(location.line()).max(1),
        column: bounded(location.column()).max(1),
        length: bounded(location.span().len()).max(1),
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Loose;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Loose, E> {
                Ok(Loose::Null)
            }
            fn visit_none<E: de::Error>(self) -> Result<Loose, E> {
                Ok(Loose::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Loose, E> {
                Ok(Loose::Bool(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Loose, E> {
                Ok(Loose::Integer(value.into()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Loose, E> {
                Ok(Loose::Integer(value.into()))
            }
            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Loose, E> {
                Ok(Loose::Integer(value))
            }
            fn visit_u128<E: de::Error>(self, value: u128) -> Result<Loose, E> {
                Ok(Loose::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Loose, E> {
                Ok(Loose::Float(value))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose::Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Loose, E> {
                Ok(Loose::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Loose, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Loose::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Loose, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Loose::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, Fault> {
        let mut files = Files::default();
        let file = files.add(Path::new("t.yaml"), text.to_owned());
        parse(&mut files, file)
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = tree("a:\n  b: [7, 'x']\n").unwrap();
        let list = root.get("a").and_then(|a| a.get("b")).unwrap();
        assert_eq!((list.mark.line, list.mark.column), (2, 6));
        let Value::List(items) = &list.value else {
            panic!("{list:?}")
        };
        assert_eq!(
            (items[1].mark.line, items[1].mark.column, items[1].mark.length),
            (2, 10, 3)
        );
        let Value::Map(entries) = &root.get("a").unwrap().value else {
            panic!()
        };
        assert_eq!(
            (
                entries[0].0.mark.line,
                entries[0].0.mark.column,
                entries[0].0.mark.length
            ),
            (2, 3, 1)
        );
    }

    #[test]
    fn both_of_two_equal_keys_are_kept_for_the_message() {
        let root = tree("a: 1\na: 2\n").unwrap();
        assert!(matches!(&root.value, Value::Map(entries) if entries.len() == 2));
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}", n - 1);
            laughs.push_str(&format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", ")));
        }
        let fault = tree(&laughs).unwrap_err();
        assert_eq!(fault.code, "file-too-complex", "{fault:?}");
        assert!(tree(&"[".repeat(100_000)).is_err());
        let nested = |levels: usize| {
            (0..levels)
                .map(|n| format!("{}a:\n", " ".repeat(n)))
                .collect::<String>()
        };
        assert!(tree(&nested(DEEPEST)).is_ok());
        assert_eq!(tree(&nested(DEEPEST + 1)).unwrap_err().code, "file-too-complex");
        assert!(tree(&nested(1_000)).is_err());
        assert_eq!(tree(&"x".repeat(5 << 20)).unwrap_err().code, "file-too-large");
    }
}
