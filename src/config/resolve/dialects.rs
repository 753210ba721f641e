//! `dialects:`: how refusals look.

use http::{HeaderValue, StatusCode};

use super::backends::field_name;
use super::scope::Scope;
use crate::config::plan::{DialectPlan, DialectRow};
use crate::config::raw::{RawDialect, RawRow};
use crate::config::read::{At, Named};
use crate::config::suggest;
use crate::rejection::Code;
use crate::rejection::rendering::{Look, Looks};

/// What a template may name.
const PLACEHOLDERS: [&str; 9] = [
    "code",
    "title",
    "detail",
    "status",
    "request_id",
    "retry_after",
    "limit",
    "host",
    "scope",
];

/// The name of the builtin look, always the first of the plan.
const STANDARD: &str = "standard";

pub(super) fn resolve(raw: &Named<RawDialect>, scope: &mut Scope<'_>) -> Vec<DialectPlan> {
    let mut dialects = vec![DialectPlan {
        name: STANDARD.to_owned(),
        rows: Vec::new(),
    }];
    for (name, dialect) in &raw.0 {
        let rows = dialect
            .0
            .0
            .iter()
            .filter_map(|(code, row)| Code::from_text(&code.value).map(|code| (code, one(code, row, scope))))
            .collect();
        match dialects.first_mut() {
            // Rows under its name change the builtin look for every api that has no dialect of its own.
            Some(standard) if name.value == STANDARD => standard.rows = rows,
            _ => dialects.push(DialectPlan {
                name: name.value.clone(),
                rows,
            }),
        }
    }
    dialects
}

fn one(code: Code, at: &At<RawRow>, scope: &mut Scope<'_>) -> DialectRow {
    let raw = &at.value;
    let before = scope.findings.errors();
    let mut headers = Vec::new();
    for (name, value) in &raw.headers.0 {
        template(value, &value.value, scope);
        if HeaderValue::from_str(&value.value).is_err() {
            scope
                .findings
                .error("bad-value", value.mark, "this is not the value of a header field");
        }
        if let Some(name) = field_name(name, scope) {
            headers.push((name, value.value.clone()));
        }
    }
    if let (Some(json), Some(_)) = (&raw.json, &raw.body) {
        scope.error(
            "one-of",
            json.mark,
            "a row has `body` or `json`, not both",
            "remove one of them",
        );
    }
    if let Some(body) = &raw.body {
        template(body, &body.value, scope);
    }
    if let Some(json) = &raw.json {
        template(json, &json.value.0, scope);
    }
    let (body, kind) = match (&raw.json, &raw.body) {
        (Some(json), _) => (json.value.0.clone(), Some("application/json")),
        (None, Some(text)) if !text.value.is_empty() => {
            (text.value.clone(), Some("text/plain; charset=utf-8"))
        }
        (None, Some(_) | None) => (String::new(), None),
    };
    let content_type = match &raw.content_type {
        Some(written) => {
            let value = HeaderValue::from_str(&written.value)
                .ok()
                .filter(|_| written.value.contains('/'));
            if value.is_none() {
                scope.error(
                    "bad-value",
                    written.mark,
                    "this is not a content type",
                    "write for example `application/json`",
                );
            }
            value
        }
        None => kind.map(HeaderValue::from_static),
    };
    let status = raw
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(code.status());
    let row = DialectRow {
        status,
        headers,
        content_type: content_type.filter(|_| !body.is_empty()),
        body,
    };
    if scope.findings.errors() == before {
        // Whoever renders it has the last word; asked here, the mistake has a line.
        let look = Look {
            status: row.status,
            headers: row.headers.clone(),
            content_type: row.content_type.clone(),
            body: row.body.clone(),
        };
        if let Err(why) = Looks::compile(&[(code, look)]) {
            scope.findings.error("bad-look", at.mark, why.to_string());
        }
    }
    row
}

/// `{word}` in a template must be a word that is replaced; braces around anything else are literal, as in JSON.
fn template<T>(at: &At<T>, text: &str, scope: &mut Scope<'_>) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        rest = after;
        let end = after
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(after.len());
        let (word, tail) = after.split_at(end);
        if !word.is_empty() && tail.starts_with('}') && !PLACEHOLDERS.contains(&word) {
            scope.error(
                "unknown-placeholder",
                at.mark,
                format!(
                    "nothing is put in place of `{{{word}}}`{}",
                    suggest::did_you_mean(word, PLACEHOLDERS)
                ),
                format!("there are {}", suggest::list(PLACEHOLDERS)),
            );
        }
    }
}
