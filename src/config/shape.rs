//! Checks a tree against the schema of the raw types: unknown keys, missing keys, wrong kinds, wrong forms, all at once.
//!
//! What is wrong is reported *and taken out of the tree*, so that the raw types can be read from the rest and the passes
//! that follow report what they find in the same run. A part that cannot do without what was taken out goes with it, up
//! to the next optional key, entry or item. The schema is the one that is published, so an editor and `check` agree.
//!
//! Two forms are made uniform on the way: a single value where a list may stand becomes a list, and a number or
//! `true`/`false` that came from the environment as text becomes what it stands for.

use serde_json::Value as Schema;

use super::findings::Findings;
use super::node::{Key, Mark, Node, Value};
use super::schema;
use super::suggest;
use super::text;
use super::tombstones;
use crate::base::units;

/// Whether a node can stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stays,
    Goes,
}

/// Checks the whole tree. The root always stays.
pub(super) fn check(root: &mut Node, findings: &mut Findings) {
    duplicate_keys(root, findings);
    let whole = schema::whole();
    let mut path = Vec::new();
    // The verdict is about what stands above, and nothing does.
    let _ = Walker { whole, findings }.node(root, whole, &mut path);
}

struct Walker<'a> {
    whole: &'a Schema,
    findings: &'a mut Findings,
}

impl<'a> Walker<'a> {
    /// Follows `$ref`.
    fn resolve(&self, schema: &'a Schema) -> &'a Schema {
        match schema
            .get("$ref")
            .and_then(Schema::as_str)
            .and_then(|name| name.strip_prefix('#'))
        {
            Some(pointer) => self.whole.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    fn node(&mut self, node: &mut Node, schema: &'a Schema, path: &mut Vec<String>) -> Verdict {
        let schema = self.resolve(schema);
        if node.broken {
            return Verdict::Goes;
        }
        if let Some(several) = schema.get("anyOf").and_then(Schema::as_array) {
            return self.one_or_many(node, several, path);
        }
        if let Some(several) = schema.get("oneOf").and_then(Schema::as_array) {
            let hint = schema.get("x-hint").and_then(Schema::as_str);
            return self.variant(node, several, hint, path);
        }
        if node.value == Value::Null {
            let name = self.place_name(path);
            self.findings.error_with(
                "no-value",
                node.mark,
                format!("{name} has no value"),
                format!("write {} or remove the key", wanted(schema)),
            );
            return Verdict::Goes;
        }
        if let Some(words) = schema.get("enum").and_then(Schema::as_array) {
            return self.word(node, words.iter().filter_map(Schema::as_str).collect(), path);
        }
        if let Some(word) = schema.get("const").and_then(Schema::as_str) {
            return self.word(node, vec![word], path);
        }
        match schema.get("type") {
            Some(Schema::Array(_)) => self.json(node, path),
            Some(Schema::String(kind)) => match kind.as_str() {
                "object" => self.map(node, schema, path),
                "array" => self.list(node, schema, path),
                "string" => self.text(node, schema, path),
                "integer" => self.integer(node, schema, path),
                "boolean" => self.boolean(node, path),
                _ => Verdict::Stays,
            },
            _ => Verdict::Stays,
        }
    }

    /// `T` or a list of `T`.
    fn one_or_many(&mut self, node: &mut Node, several: &'a [Schema], path: &mut Vec<String>) -> Verdict {
        let list = several
            .iter()
            .find(|schema| schema.get("type").and_then(Schema::as_str) == Some("array"));
        let Some(list) = list else { return Verdict::Stays };
        if !matches!(node.value, Value::List(_)) {
            let placeholder = Node::new(node.mark, Value::Null);
            let one = std::mem::replace(node, placeholder);
            node.value = Value::List(vec![one]);
        }
        self.node(node, list, path)
    }

    /// An externally tagged enum: a word, or a map with one key.
    fn variant(
        &mut self,
        node: &mut Node,
        several: &'a [Schema],
        hint: Option<&str>,
        path: &mut Vec<String>,
    ) -> Verdict {
        let mut words = Vec::new();
        let mut keys: Vec<(&str, &'a Schema)> = Vec::new();
        for schema in several {
            if let Some(all) = schema.get("enum").and_then(Schema::as_array) {
                words.extend(all.iter().filter_map(Schema::as_str));
            }
            words.extend(schema.get("const").and_then(Schema::as_str));
            if let Some(properties) = schema.get("properties").and_then(Schema::as_object) {
                keys.extend(properties.iter().map(|(key, schema)| (key.as_str(), schema)));
            }
        }
        let name = self.place_name(path);
        match &mut node.value {
            Value::Map(entries) if !keys.is_empty() => {
                let marks: Vec<Mark> = entries.iter().map(|(key, _)| key.mark).collect();
                let known = |key: &Key| keys.iter().find(|(name, _)| *name == key.text);
                let mut verdict = Verdict::Stays;
                for (key, _) in entries.iter().filter(|(key, _)| known(key).is_none()) {
                    verdict = Verdict::Goes;
                    if words.contains(&key.text.as_str()) {
                        self.findings.error(
                            "wrong-type",
                            key.mark,
                            format!("`{}` stands alone, without `:`", key.text),
                        );
                    } else {
                        unknown_key(self.findings, key, keys.iter().map(|(name, _)| *name), path);
                    }
                }
                if verdict == Verdict::Goes {
                    return verdict;
                }
                match entries.as_mut_slice() {
                    [(key, value)] => {
                        let Some((_, schema)) = keys.iter().find(|(name, _)| *name == key.text) else {
                            return Verdict::Goes;
                        };
                        path.push(key.text.clone());
                        let verdict = self.node(value, schema, path);
                        path.pop();
                        verdict
                    }
                    _ => {
                        self.findings.error_with(
                            "one-of",
                            marks.get(1).copied().unwrap_or(node.mark),
                            format!("{name} takes exactly one key"),
                            format!("one of {}", suggest::list(keys.iter().map(|(name, _)| *name))),
                        );
                        Verdict::Goes
                    }
                }
            }
            Value::Text(text) if !words.is_empty() => {
                if words.contains(&text.as_str()) {
                    return Verdict::Stays;
                }
                let text = text.clone();
                let candidates = words.iter().copied().chain(keys.iter().map(|(name, _)| *name));
                let message = format!(
                    "{name} cannot be `{}`{}",
                    node.shown(),
                    suggest::did_you_mean(&text, candidates)
                );
                let message = self.unless_secret(path, message, &name);
                self.findings
                    .error_with("unknown-word", node.mark, message, choices(&words, &keys));
                Verdict::Goes
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => {
                let hint = hint.map_or_else(|| choices(&words, &keys), str::to_owned);
                self.findings.error_with(
                    "wrong-type",
                    node.mark,
                    format!("{name} cannot be {}", node.kind()),
                    hint,
                );
                Verdict::Goes
            }
        }
    }

    fn word(&mut self, node: &Node, words: Vec<&str>, path: &[String]) -> Verdict {
        match &node.value {
            Value::Text(text) if words.contains(&text.as_str()) => Verdict::Stays,
            Value::Text(text) => {
                self.findings.error_with(
                    "unknown-word",
                    node.mark,
                    format!(
                        "{} cannot be `{}`{}",
                        self.place_name(path),
                        node.shown(),
                        suggest::did_you_mean(text, words.iter().copied())
                    ),
                    format!("one of {}", suggest::list(words)),
                );
                Verdict::Goes
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => {
                let hint = format!("one of {}", suggest::list(words));
                self.wrong_type(node, "a word", path, Some(hint))
            }
        }
    }

    fn map(&mut self, node: &mut Node, schema: &'a Schema, path: &mut Vec<String>) -> Verdict {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let every = schema
            .get("additionalProperties")
            .filter(|schema| schema.is_object());
        let mark = node.mark;
        let Value::Map(entries) = &mut node.value else {
            let hint = match properties {
                Some(properties) => format!(
                    "keys here are {}",
                    suggest::list(properties.keys().map(String::as_str))
                ),
                None => "write `NAME: …`, one a line".to_owned(),
            };
            return self.wrong_type(node, "a map", path, Some(hint));
        };
        let mut taken: Vec<String> = Vec::new();
        let mut kept = Vec::with_capacity(entries.len());
        for (key, mut value) in std::mem::take(entries) {
            let below = properties
                .and_then(|properties| properties.get(&key.text))
                .or(every);
            let Some(below) = below else {
                let known = properties.into_iter().flat_map(|p| p.keys().map(String::as_str));
                unknown_key(self.findings, &key, known, path);
                self.findings.damage(mark);
                continue;
            };
            path.push(key.text.clone());
            if self.node(&mut value, below, path) == Verdict::Goes {
                taken.push(key.text);
                self.findings.damage(mark);
            } else {
                kept.push((key, value));
            }
            path.pop();
        }
        let mut verdict = Verdict::Stays;
        let required = schema
            .get("required")
            .and_then(Schema::as_array)
            .into_iter()
            .flatten();
        for name in required.filter_map(Schema::as_str) {
            if kept.iter().any(|(key, _)| key.text == name) {
                continue;
            }
            verdict = Verdict::Goes;
            // What was there and wrong has been reported as wrong, not as missing.
            if !taken.iter().any(|key| key == name) {
                let place = self.place_name(path);
                let description = properties
                    .and_then(|properties| properties.get(name))
                    .and_then(|schema| schema.get("description"))
                    .and_then(Schema::as_str)
                    .and_then(first_sentence);
                let message = format!("{place} needs `{name}`");
                match description {
                    Some(text) => {
                        self.findings
                            .error_with("missing-key", mark, message, format!("`{name}`: {text}"));
                    }
                    None => self.findings.error("missing-key", mark, message),
                }
            }
        }
        for (name, below) in properties.into_iter().flatten() {
            if let Some(default) = below.get("default")
                && !kept.iter().any(|(key, _)| key.text == *name)
            {
                let mut value = default_node(default, mark);
                path.push(name.clone());
                if self.node(&mut value, below, path) == Verdict::Stays {
                    kept.push((
                        Key {
                            text: name.clone(),
                            mark,
                        },
                        value,
                    ));
                }
                path.pop();
            }
        }
        node.value = Value::Map(kept);
        verdict
    }

    fn list(&mut self, node: &mut Node, schema: &'a Schema, path: &mut Vec<String>) -> Verdict {
        let Value::List(items) = &mut node.value else {
            return self.wrong_type(
                node,
                "a list",
                path,
                Some("write `[…]`, or one item a line after `- `".to_owned()),
            );
        };
        let Some(below) = schema.get("items") else {
            return Verdict::Stays;
        };
        let before = items.len();
        path.push(String::new());
        let mut kept = Vec::with_capacity(before);
        for mut item in std::mem::take(items) {
            if self.node(&mut item, below, path) == Verdict::Stays {
                kept.push(item);
            }
        }
        path.pop();
        let emptied = kept.is_empty() && before > 0;
        node.value = Value::List(kept);
        // A list whose every item was wrong must not pass for one that was left empty on purpose.
        if emptied { Verdict::Goes } else { Verdict::Stays }
    }

    fn text(&mut self, node: &mut Node, schema: &'a Schema, path: &[String]) -> Verdict {
        let Value::Text(written) = &node.value else {
            let hint = node
                .scalar()
                .map(|text| format!("put it in quotes: `\"{text}\"`"));
            return match (hint, schema.get("format").and_then(Schema::as_str)) {
                (Some(_), Some(format @ ("duration" | "size" | "rate"))) => {
                    let written = node.scalar().unwrap_or_default();
                    let message = text::check(format, &written).and_then(Result::err);
                    let message = message.unwrap_or_else(|| format!("{written} has no unit"));
                    self.findings.error("bad-value", node.mark, message);
                    Verdict::Goes
                }
                (hint, _) => self.wrong_type(node, "text", path, hint),
            };
        };
        let Some(format) = schema.get("format").and_then(Schema::as_str) else {
            return Verdict::Stays;
        };
        match text::check(format, written) {
            None => Verdict::Stays,
            Some(Ok(())) => self.quantity(node, written, schema, format, path),
            Some(Err(message)) => {
                let message = match &node.origin {
                    None => message,
                    Some(origin) => format!("what `{origin}` stands for is not of the form `{format}`"),
                };
                let name = self.place_name(path);
                let message = self.unless_secret(path, message, &name);
                self.findings.error("bad-value", node.mark, message);
                Verdict::Goes
            }
        }
    }

    /// Durations and sizes have bounds in their own units.
    fn quantity(
        &mut self,
        node: &Node,
        written: &str,
        schema: &Schema,
        format: &str,
        path: &[String],
    ) -> Verdict {
        let measure = |text: &str| match format {
            "duration" => units::duration(text).ok().map(|length| length.as_millis()),
            "size" => units::size(text).ok().map(u128::from),
            _ => None,
        };
        let bound = |name: &str| schema.get(name).and_then(Schema::as_str);
        let least = bound("x-minimum").and_then(|text| Some((text, measure(text)?)));
        let most = bound("x-maximum").and_then(|text| Some((text, measure(text)?)));
        let Some(value) = measure(written) else {
            return Verdict::Stays;
        };
        let low = least.is_some_and(|(_, least)| value < least);
        let high = most.is_some_and(|(_, most)| value > most);
        if !low && !high {
            return Verdict::Stays;
        }
        let least = least.map_or("0", |(text, _)| text);
        let most = most.map_or("any", |(text, _)| text);
        self.findings.error(
            "out-of-range",
            node.mark,
            format!(
                "{} must be from {least} to {most}, not {}",
                self.place_name(path),
                node.shown()
            ),
        );
        Verdict::Goes
    }

    fn integer(&mut self, node: &mut Node, schema: &'a Schema, path: &[String]) -> Verdict {
        let from_environment = match (&node.value, &node.origin) {
            (Value::Text(text), Some(_)) => text.trim().parse::<i128>().ok(),
            _ => None,
        };
        if let Some(number) = from_environment {
            node.value = Value::Integer(number);
        }
        let Value::Integer(number) = node.value else {
            return self.wrong_type(node, "a whole number", path, None);
        };
        let bound = |name: &str, default: i128| {
            schema
                .get(name)
                .and_then(Schema::as_i64)
                .map_or(default, i128::from)
        };
        let (least, most) = (
            bound("minimum", i128::from(i64::MIN)),
            bound("maximum", i128::from(u32::MAX)),
        );
        if (least..=most).contains(&number) {
            Verdict::Stays
        } else {
            self.findings.error(
                "out-of-range",
                node.mark,
                format!(
                    "{} must be from {least} to {most}, not {}",
                    self.place_name(path),
                    node.shown()
                ),
            );
            Verdict::Goes
        }
    }

    fn boolean(&mut self, node: &mut Node, path: &[String]) -> Verdict {
        let from_environment = match (&node.value, &node.origin) {
            (Value::Text(text), Some(_)) => text.trim().parse::<bool>().ok(),
            _ => None,
        };
        if let Some(value) = from_environment {
            node.value = Value::Bool(value);
        }
        match node.value {
            Value::Bool(_) => Verdict::Stays,
            _ => self.wrong_type(node, "`true` or `false`", path, None),
        }
    }

    /// A JSON document: any map or list, made into its text.
    fn json(&mut self, node: &mut Node, path: &[String]) -> Verdict {
        if !matches!(node.value, Value::Map(_) | Value::List(_)) {
            return self.wrong_type(node, "a map or a list", path, None);
        }
        let mut text = String::new();
        write_json(node, &mut text);
        node.value = Value::Text(text);
        Verdict::Stays
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str, path: &[String], hint: Option<String>) -> Verdict {
        let name = self.place_name(path);
        let message = match &node.origin {
            Some(origin) => format!("{name} must be {wanted}, which `{origin}` does not stand for"),
            None => format!("{name} must be {wanted}, not {}", node.kind()),
        };
        match hint.filter(|_| !secret_path(path)) {
            Some(hint) => self.findings.error_with("wrong-type", node.mark, message, hint),
            None => self.findings.error("wrong-type", node.mark, message),
        }
        Verdict::Goes
    }

    /// Where we are, for a message: the last key, or `the file`.
    fn place_name(&self, path: &[String]) -> String {
        match path {
            [] => "the configuration".to_owned(),
            [.., parent, last] if last.is_empty() => format!("an item of `{parent}`"),
            [.., last] => format!("`{last}`"),
        }
    }

    /// A message that quotes a value is replaced where the value may be a secret.
    fn unless_secret(&self, path: &[String], message: String, name: &str) -> String {
        if secret_path(path) {
            format!("{name} cannot be this")
        } else {
            message
        }
    }
}

/// A default of the schema, standing where the map stands that lacks the key.
fn default_node(default: &Schema, mark: Mark) -> Node {
    let value = match default {
        Schema::Null => Value::Null,
        Schema::Bool(value) => Value::Bool(*value),
        Schema::Number(number) => Value::Integer(number.as_i64().unwrap_or_default().into()),
        Schema::String(text) => Value::Text(text.clone()),
        Schema::Array(items) => Value::List(items.iter().map(|item| default_node(item, mark)).collect()),
        Schema::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| {
                    (
                        Key {
                            text: key.clone(),
                            mark,
                        },
                        default_node(value, mark),
                    )
                })
                .collect(),
        ),
    };
    Node::new(mark, value)
}

fn first_sentence(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    Some(
        line.split_once(". ")
            .map_or(line, |(first, _)| first)
            .trim_end_matches('.'),
    )
}

fn secret_path(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    super::excerpt::is_secret_path(&path) && path.last() != Some(&"file")
}

fn choices(words: &[&str], keys: &[(&str, &Schema)]) -> String {
    let mut parts = Vec::new();
    if !words.is_empty() {
        parts.push(suggest::list(words.iter().copied()));
    }
    if !keys.is_empty() {
        parts.push(format!(
            "a map with one of {}",
            suggest::list(keys.iter().map(|(name, _)| *name))
        ));
    }
    format!(
        "write {}{}",
        if keys.is_empty() { "one of " } else { "" },
        parts.join(" or ")
    )
}

fn wanted(schema: &Schema) -> String {
    let kind = schema.get("type").and_then(Schema::as_str).unwrap_or_default();
    match (kind, schema.get("format").and_then(Schema::as_str)) {
        ("object", _) => "a map (`{}` for an empty one)".to_owned(),
        ("array", _) => "a list (`[]` for an empty one)".to_owned(),
        ("string", Some(format)) => format!("a {format}"),
        ("integer", _) => "a number".to_owned(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        _ => "a value".to_owned(),
    }
}

fn unknown_key<'k>(
    findings: &mut Findings,
    key: &Key,
    known: impl Iterator<Item = &'k str> + Clone,
    path: &[String],
) {
    if let Some(instead) = tombstones::find(path, &key.text) {
        findings.error_with(
            "removed-key",
            key.mark,
            format!("`{}` is not a key any more", key.text),
            instead,
        );
        return;
    }
    findings.error_with(
        "unknown-key",
        key.mark,
        format!(
            "unknown key `{}`{}",
            key.text,
            suggest::did_you_mean(&key.text, known.clone())
        ),
        format!("keys here are {}", suggest::list(known)),
    );
}

/// Reports every key that stands twice in one map and keeps the first.
fn duplicate_keys(node: &mut Node, findings: &mut Findings) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| duplicate_keys(item, findings)),
        Value::Map(entries) => {
            let mut first: std::collections::HashMap<String, Mark> = std::collections::HashMap::new();
            entries.retain(|(key, _)| match first.get(&key.text) {
                Some(mark) => {
                    findings.error_with(
                        "duplicate-key",
                        key.mark,
                        format!("`{}` stands here twice", key.text),
                        format!("the first is on line {}", mark.line),
                    );
                    false
                }
                None => {
                    first.insert(key.text.clone(), key.mark);
                    true
                }
            });
            entries
                .iter_mut()
                .for_each(|(_, value)| duplicate_keys(value, findings));
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

/// Compact JSON (RFC 8259), keys in the order of the file.
fn write_json(node: &Node, text: &mut String) {
    let quoted = |value: &str| serde_json::Value::from(value).to_string();
    match &node.value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(&value.to_string()),
        Value::Integer(value) => text.push_str(&value.to_string()),
        Value::Float(value) => text.push_str(&serde_json::Value::from(*value).to_string()),
        Value::Text(value) => text.push_str(&quoted(value)),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&quoted(&key.text));
                text.push(':');
                write_json(value, text);
            }
            text.push('}');
        }
    }
}

/// The names of a section, also of entries that the check takes out: a reference to a broken entry is no second mistake.
pub(super) fn names(root: &Node, section: &str) -> Vec<String> {
    match root.get(section).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    }
}
