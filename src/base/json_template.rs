//! Answers whose shape an operator writes: a JSON value with `{placeholder}`s in its strings, compiled at load.
//!
//! A string that is one placeholder and nothing else takes the value's own type: `"{expires_in}"` becomes `7200`, and a
//! member or element whose value is absent is left out. Anywhere else the value is put in as text. Names of members are
//! text as they are. Values are escaped; what comes out is always JSON, whatever is put in.

use std::borrow::Cow;

use serde_json::Value;

use super::template::{Escape, Meaning, Template, escaped};

/// A JSON value whose strings may name values of type `F`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonTemplate<F> {
    root: Node<F>,
}

/// What is put in for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filling<'v> {
    /// A text.
    Text(Cow<'v, str>),
    /// A number: without quotes where it stands alone.
    Number(i64),
    /// JSON that is put in as it is where it stands alone.
    Json(Cow<'v, str>),
    /// Nothing: left out where it would stand alone, empty within a text. The answer that is nothing else is `null`.
    Absent,
}

/// A placeholder that no value is known for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder `{{{word}}}` at `{pointer}`; there are {known}")]
pub struct UnknownPlaceholder {
    /// Its name.
    pub word: String,
    /// Where it stands, as a JSON pointer (RFC 6901); empty for the root.
    pub pointer: String,
    /// The names that would do.
    pub known: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node<F> {
    /// JSON that is the same each time.
    Fixed(String),
    /// One placeholder that stands alone.
    Lone(F),
    /// The inside of a string, escaped.
    Text(Template<F>),
    /// Names are JSON strings, with quotes.
    Object(Vec<(String, Node<F>)>),
    Array(Vec<Node<F>>),
}

impl<F: Copy> JsonTemplate<F> {
    /// Compiles `value`; `known` are the placeholders and their names (lower-case letters and `_`).
    ///
    /// # Errors
    /// [`UnknownPlaceholder`] for the first word in braces that is none of them.
    pub fn compile(value: &Value, known: &[(&str, F)]) -> Result<JsonTemplate<F>, UnknownPlaceholder> {
        Ok(JsonTemplate {
            root: compiled(value, known, &mut String::new())?,
        })
    }

    /// The placeholders that occur, in order and with repetitions: a login without its token can be refused at load.
    pub fn fields(&self) -> Vec<F> {
        let mut fields = Vec::new();
        collect(&self.root, &mut fields);
        fields
    }

    /// The answer as JSON text without white space.
    pub fn render<'v>(&self, value: impl Fn(F) -> Filling<'v>) -> String {
        let mut json = String::new();
        if !write(&self.root, &value, &mut json) {
            json.push_str("null");
        }
        json
    }
}

fn compiled<F: Copy>(
    value: &Value,
    known: &[(&str, F)],
    pointer: &mut String,
) -> Result<Node<F>, UnknownPlaceholder> {
    let node = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Fixed(value.to_string()),
        Value::String(text) => {
            let meaning = |word: &str| {
                known
                    .iter()
                    .find(|(name, _)| *name == word)
                    .map(|(_, field)| Meaning::Later(*field))
                    .ok_or_else(|| UnknownPlaceholder {
                        word: word.to_owned(),
                        pointer: pointer.clone(),
                        known: known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
                    })
            };
            // Escaped before it is split: an escape has no braces in it.
            let template = Template::compile(&escaped(text, Escape::Json), Escape::Json, meaning)?;
            match (template.lone(), template.fixed()) {
                (Some(field), _) => Node::Lone(field),
                (None, Some(fixed)) => Node::Fixed(format!("\"{fixed}\"")),
                (None, None) => Node::Text(template),
            }
        }
        Value::Array(elements) => {
            let nodes = elements
                .iter()
                .enumerate()
                .map(|(index, element)| within(&index.to_string(), element, known, pointer))
                .collect::<Result<Vec<_>, _>>()?;
            Node::Array(nodes)
        }
        Value::Object(members) => {
            let nodes = members
                .iter()
                .map(|(name, member)| {
                    let step = name.replace('~', "~0").replace('/', "~1");
                    let node = within(&step, member, known, pointer)?;
                    Ok((format!("\"{}\"", escaped(name, Escape::Json)), node))
                })
                .collect::<Result<Vec<_>, _>>()?;
            Node::Object(nodes)
        }
    };
    Ok(melted(node))
}

fn within<F: Copy>(
    step: &str,
    value: &Value,
    known: &[(&str, F)],
    pointer: &mut String,
) -> Result<Node<F>, UnknownPlaceholder> {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(step);
    let node = compiled(value, known, pointer);
    pointer.truncate(length);
    node
}

/// An array or object in which nothing changes is one piece of text.
fn melted<F: Copy>(node: Node<F>) -> Node<F> {
    let fixed = |node: &Node<F>| matches!(node, Node::Fixed(_));
    let melts = match &node {
        Node::Fixed(_) | Node::Lone(_) | Node::Text(_) => false,
        Node::Object(members) => members.iter().all(|(_, member)| fixed(member)),
        Node::Array(elements) => elements.iter().all(fixed),
    };
    if !melts {
        return node;
    }
    let mut json = String::new();
    write(&node, &|_| Filling::Absent, &mut json);
    Node::Fixed(json)
}

fn collect<F: Copy>(node: &Node<F>, fields: &mut Vec<F>) {
    match node {
        Node::Fixed(_) => {}
        Node::Lone(field) => fields.push(*field),
        Node::Text(template) => fields.extend(template.fields()),
        Node::Object(members) => members.iter().for_each(|(_, member)| collect(member, fields)),
        Node::Array(elements) => elements.iter().for_each(|element| collect(element, fields)),
    }
}

/// Appends the node's JSON; `false`, and nothing appended, when it is absent.
fn write<'v, F: Copy>(node: &Node<F>, value: &impl Fn(F) -> Filling<'v>, json: &mut String) -> bool {
    match node {
        Node::Fixed(text) => json.push_str(text),
        Node::Lone(field) => match value(*field) {
            Filling::Text(text) => push_string(json, &escaped(&text, Escape::Json)),
            Filling::Number(number) => json.push_str(&number.to_string()),
            Filling::Json(value) => json.push_str(&value),
            Filling::Absent => return false,
        },
        Node::Text(template) => {
            let text = template.fill(|field| match value(field) {
                Filling::Text(text) | Filling::Json(text) => text,
                Filling::Number(number) => Cow::Owned(number.to_string()),
                Filling::Absent => Cow::Borrowed(""),
            });
            push_string(json, &text);
        }
        Node::Object(members) => list(json, ['{', '}'], members, |json, (name, member)| {
            json.push_str(name);
            json.push(':');
            write(member, value, json)
        }),
        Node::Array(elements) => list(json, ['[', ']'], elements, |json, element| {
            write(element, value, json)
        }),
    }
    true
}

fn push_string(json: &mut String, inside: &str) {
    json.push('"');
    json.push_str(inside);
    json.push('"');
}

/// What is there of `items`, with commas between them.
fn list<I>(json: &mut String, brackets: [char; 2], items: &[I], write: impl Fn(&mut String, &I) -> bool) {
    let [open, close] = brackets;
    json.push(open);
    let start = json.len();
    for item in items {
        let before = json.len();
        if before > start {
            json.push(',');
        }
        if !write(json, item) {
            json.truncate(before);
        }
    }
    json.push(close);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const KNOWN: &[(&str, u8)] = &[("token", 0), ("expires_in", 1), ("refresh", 2)];

    fn filled<'v>(token: &'v str, refresh: Option<&'v str>) -> impl Fn(u8) -> Filling<'v> {
        move |field| match (field, refresh) {
            (0, _) => Filling::Text(token.into()),
            (1, _) => Filling::Number(7200),
            (_, Some(refresh)) => Filling::Text(refresh.into()),
            (_, None) => Filling::Absent,
        }
    }

    #[test]
    fn a_placeholder_that_stands_alone_keeps_its_type_and_is_text_elsewhere() {
        let template = JsonTemplate::compile(
            &json!({"access_token": "{token}", "expires_in": "{expires_in}", "note": "{expires_in} s of {token}",
                    "kept": ["{a1}", {"x": null}], "status": true}),
            KNOWN,
        )
        .unwrap();
        let answer: Value = serde_json::from_str(&template.render(filled("a\"b", None))).unwrap();
        assert_eq!(
            answer,
            json!({"access_token": "a\"b", "expires_in": 7200, "note": "7200 s of a\"b",
                   "kept": ["{a1}", {"x": null}], "status": true})
        );
        assert_eq!(template.fields().len(), 4);
    }

    #[test]
    fn what_is_absent_is_left_out_with_its_name() {
        let template = JsonTemplate::compile(
            &json!({"refresh_token": "{refresh}", "all": ["{refresh}", "{token}", "{refresh}"], "said": "<{refresh}>"}),
            KNOWN,
        )
        .unwrap();
        let of = |refresh| -> Value { serde_json::from_str(&template.render(filled("t", refresh))).unwrap() };
        assert_eq!(of(None), json!({"all": ["t"], "said": "<>"}));
        assert_eq!(
            of(Some("r")),
            json!({"refresh_token": "r", "all": ["r", "t", "r"], "said": "<r>"})
        );
        let lone = JsonTemplate::compile(&json!("{refresh}"), KNOWN).unwrap();
        assert_eq!(lone.render(filled("t", None)), "null");
    }

    #[test]
    fn what_never_changes_is_one_piece_of_text() {
        let value = json!({"status": true, "extra": {"deep": [1, "two", {}]}});
        let template = JsonTemplate::compile(&value, KNOWN).unwrap();
        assert!(matches!(template.root, Node::Fixed(_)));
        assert_eq!(template.render(filled("t", None)), value.to_string());
    }

    #[test]
    fn an_unknown_placeholder_is_refused_with_its_place() {
        let refused = JsonTemplate::compile(&json!({"a/b": ["", {"~": "x {tokn}"}]}), KNOWN).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "unknown placeholder `{tokn}` at `/a~1b/1/~0`; there are token, expires_in, refresh"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(|text| Value::from(text.replace('{', "("))),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_without_placeholders_stays_what_it_is(value in any_json()) {
            let template = JsonTemplate::compile(&value, KNOWN).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&template.render(filled("t", None))).unwrap(), value);
        }

        #[test]
        fn whatever_is_put_in_comes_out_again(text in any::<String>(), more in any::<String>()) {
            let template =
                JsonTemplate::compile(&json!({"t": "{token}", "r": "({refresh})", "n": ["{expires_in}"]}), KNOWN)
                    .unwrap();
            let answer: Value = serde_json::from_str(&template.render(filled(&text, Some(&more)))).unwrap();
            prop_assert_eq!(answer, json!({"t": text, "r": format!("({more})"), "n": [7200]}));
        }
    }
}
