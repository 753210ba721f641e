//! A configuration file as a tree in which every node and every key knows where it stands.
//!
//! The reader of `source.rs` makes it once; includes, interpolation, the check against the schema and the raw types
//! all work on it, so that each of them can point at a place.

use std::sync::Arc;

/// Where a node stands. Small and copied around; `file` is an index into [`super::source::Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Index of the file.
    pub file: u16,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub length: u32,
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub text: String,
    pub mark: Mark,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub mark: Mark,
    pub value: Value,
    /// For text that an environment variable took part in: the text of the file, which is what messages may show.
    pub origin: Option<Arc<str>>,
    /// What is wrong with it has been said; it is taken out without a further word.
    pub broken: bool,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// A value at a place.
    pub(in crate::config) fn new(mark: Mark, value: Value) -> Node {
        Node {
            mark,
            value,
            origin: None,
            broken: false,
        }
    }

    /// What kind of value this is, as a message names it.
    pub(in crate::config) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The node under this key of a map.
    pub(in crate::config) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_) => None,
        }
    }

    /// The text of a scalar, as it would be written; `None` for lists, maps and nothing.
    pub(in crate::config) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What a message may show of a scalar: the file's own text, never what the environment put in its place.
    pub(in crate::config) fn shown(&self) -> String {
        match &self.origin {
            Some(origin) => origin.to_string(),
            None => self.scalar().unwrap_or_else(|| self.kind().to_owned()),
        }
    }
}
