//! `${NAME}`, `${NAME:-default}` and `${NAME:?hint}` in values, from the environment. `$${` stands for `${`.
//!
//! Done on the tree and not by the YAML reader, so that every missing variable is reported in one run, and so that a
//! value can never change the structure of the file. Keys are left alone. A node that the environment took part in
//! keeps the text of the file beside it: messages show that text, never the value.

use std::sync::Arc;

use super::findings::Findings;
use super::node::{Node, Value};

/// Longest text that interpolation may make, in bytes.
const LONGEST: usize = 64 << 10;

/// Replaces variables everywhere below `node`.
pub(super) fn interpolate(
    node: &mut Node,
    environment: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) {
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| interpolate(item, environment, findings)),
        Value::Map(entries) => {
            entries
                .iter_mut()
                .for_each(|(_, value)| interpolate(value, environment, findings));
        }
        Value::Text(text) if text.contains("${") => match expand(text, environment) {
            Ok(expanded) => {
                node.origin = Some(Arc::from(text.as_str()));
                *text = expanded;
            }
            Err(Problem { code, message, hint }) => {
                match hint {
                    Some(hint) => findings.error_with(code, node.mark, message, hint),
                    None => findings.error(code, node.mark, message),
                }
                node.broken = true;
            }
        },
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

struct Problem {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            result.push_str(literal);
            result.push_str("${");
            rest = after;
            continue;
        }
        result.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Err(Problem {
                code: "bad-interpolation",
                message: "`${` without `}`".to_owned(),
                hint: Some("write `$${` for a literal `${`".to_owned()),
            });
        };
        rest = after;
        result.push_str(&variable(inside, environment)?);
        if result.len() > LONGEST {
            return Err(Problem {
                code: "bad-interpolation",
                message: "the text is longer than 64 KiB with the variables in place".to_owned(),
                hint: None,
            });
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn variable(inside: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Problem {
            code: "bad-interpolation",
            message: format!("`${{{inside}}}` names no variable"),
            hint: Some("write `${NAME}`, `${NAME:-default}` or `${NAME:?hint}`".to_owned()),
        });
    }
    let value = environment(name).filter(|value| !value.is_empty());
    match (value, operator) {
        (Some(value), "") => Ok(value),
        (Some(value), operator) if operator.starts_with(":-") || operator.starts_with(":?") => Ok(value),
        (None, "") => Err(Problem {
            code: "variable-not-set",
            message: format!("the environment variable `{name}` is not set"),
            hint: Some(format!("set it, or give a default: `${{{name}:-…}}`")),
        }),
        (None, operator) => {
            if let Some(default) = operator.strip_prefix(":-") {
                Ok(default.to_owned())
            } else if let Some(hint) = operator.strip_prefix(":?") {
                Err(Problem {
                    code: "variable-not-set",
                    message: format!("the environment variable `{name}` is not set"),
                    hint: (!hint.is_empty()).then(|| hint.to_owned()),
                })
            } else {
                Err(unknown_operator(inside))
            }
        }
        (Some(_), _) => Err(unknown_operator(inside)),
    }
}

fn unknown_operator(inside: &str) -> Problem {
    Problem {
        code: "bad-interpolation",
        message: format!("`${{{inside}}}` is not understood"),
        hint: Some("write `${NAME}`, `${NAME:-default}` or `${NAME:?hint}`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, &'static str> {
        let environment = |name: &str| match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &environment).map_err(|problem| problem.code)
    }

    #[test]
    fn variables_are_replaced_with_defaults_and_an_escape() {
        assert_eq!(
            expanded("http://${HOST}:${PORT:-80}/"),
            Ok("http://db:80/".to_owned())
        );
        assert_eq!(expanded("${EMPTY:-x}"), Ok("x".to_owned()));
        assert_eq!(expanded("${HOST:?why}"), Ok("db".to_owned()));
        assert_eq!(expanded("a $${HOST} b"), Ok("a ${HOST} b".to_owned()));
        assert_eq!(expanded("$HOST"), Ok("$HOST".to_owned()));
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        assert_eq!(expanded("${NONE}"), Err("variable-not-set"));
        assert_eq!(expanded("${EMPTY:?say it}"), Err("variable-not-set"));
        assert_eq!(expanded("${HOST"), Err("bad-interpolation"));
        assert_eq!(expanded("${}"), Err("bad-interpolation"));
        assert_eq!(expanded("${HOST+x}"), Err("bad-interpolation"));
        assert_eq!(expanded("${1A}"), Err("bad-interpolation"));
    }
}
