//! The line of a file that a message shows, without what must not be shown.
//!
//! Secrets belong into files or the environment. Who writes one into the configuration all the same gets a message about
//! it, and that message must not carry the secret into a log.

use super::node::{Node, Value};

/// Ranges of characters, by line, that are masked: line, first column, column after the last (from 1).
#[derive(Debug, Default, Clone)]
pub(super) struct Hidden(Vec<(u32, u32, u32)>);

/// A line of the text, masked.
pub(super) fn line(text: &str, line: u32, hidden: &Hidden) -> Option<String> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let found = text.lines().nth(index)?;
    let ranges: Vec<(u32, u32)> = hidden
        .0
        .iter()
        .filter(|(at, _, _)| *at == line)
        .map(|(_, from, to)| (*from, *to))
        .collect();
    let mut shown = String::with_capacity(found.len());
    let mut masked = false;
    for (column, character) in (1u32..).zip(found.chars()) {
        if ranges.iter().any(|(from, to)| (*from..*to).contains(&column)) {
            if !masked {
                shown.push_str("***");
            }
            masked = true;
        } else {
            masked = false;
            // A tab or control character would shift the caret or drive a terminal.
            shown.push(if character.is_control() { ' ' } else { character });
        }
    }
    Some(without_userinfo(shown.trim_end()))
}

/// A URL's user and password (RFC 3986 section 3.2.1) are masked wherever they stand.
fn without_userinfo(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        result.push_str(before);
        result.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ','))
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                result.push_str("***@");
                result.push_str(host);
            }
            None => result.push_str(authority),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}

/// Does this key announce something that must not be shown?
pub(super) fn is_secret_key(key: &str) -> bool {
    let folded: String = key
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    ["secret", "password", "passphrase", "token", "credential", "private", "apikey"]
        .iter()
        .any(|word| folded.contains(word))
        // `credentials` and `token-services` name who vouches, `tokens` counts, `suspends-tokens` is yes or no.
        && !matches!(
            folded.as_str(),
            "credentials" | "tokens" | "tokenservices" | "suspendstokens"
        )
        // A typing mistake is as long as the word, give or take; this is asked for every key of a file.
        || (4..=10).contains(&folded.len()) && super::suggest::nearest(key, ["secret", "password"]).is_some()
}

/// Does a key of this path announce something that must not be shown, and does the shape not say that only a name stands
/// there? List items are empty.
pub(super) fn is_secret_path(path: &[&str]) -> bool {
    // Below a route's target stand names, pointers and answers: `token` is an endpoint there, `password` a member of a body.
    if matches!(path, ["apis", _, "routes", "", "to", ..]) {
        return false;
    }
    // A key written in place of its service is a secret; the service and the header are not.
    if let [.., "credentials", "", "api-key", "service" | "header"] = path {
        return false;
    }
    path.iter().any(|key| is_secret_key(key))
}

/// Is this surely the name of a variable, and not a secret that somebody wrote in its place? Names that are not in
/// capitals work too, but are not shown.
pub(super) fn is_variable_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Hides scalars below keys that announce a secret, except where the shape says that they only name one.
pub(super) fn by_structure(text: &str, root: &Node) -> Hidden {
    let mut hidden = Hidden::default();
    descend(text, root, &mut Vec::new(), &mut hidden);
    hidden
}

fn descend<'n>(text: &str, node: &'n Node, path: &mut Vec<&'n str>, hidden: &mut Hidden) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                path.push(&key.text);
                descend(text, value, path, hidden);
                path.pop();
            }
        }
        Value::List(items) => {
            path.push("");
            items.iter().for_each(|item| descend(text, item, path, hidden));
            path.pop();
        }
        Value::Null => {}
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
            if is_secret_path(path) && !names_one(path, node) {
                hide_scalar(text, node, hidden);
            }
        }
    }
}

/// `secret: { file: … }` and `{ environment: … }`.
fn names_one(path: &[&str], node: &Node) -> bool {
    match path.last() {
        Some(&"file") => true,
        Some(&"environment") => node.scalar().is_some_and(|name| is_variable_name(&name)),
        Some(_) | None => false,
    }
}

/// Hides from the scalar's first character on as many characters as it spans, over all its lines.
fn hide_scalar(text: &str, node: &Node, hidden: &mut Hidden) {
    let mut left = node.mark.length.max(1);
    let mut from = node.mark.column;
    let start = usize::try_from(node.mark.line.saturating_sub(1)).unwrap_or(usize::MAX);
    for (number, line) in (node.mark.line..).zip(text.lines().skip(start)) {
        let width = u32::try_from(line.chars().count()).unwrap_or(u32::MAX);
        hidden.0.push((number, from, width.saturating_add(1)));
        // The rest of the first line is hidden whole: what follows a secret may be a part of it that ended too early.
        let used = width.saturating_add(2).saturating_sub(from);
        if used >= left {
            break;
        }
        left -= used;
        from = 1;
    }
}

/// Hides what looks like a secret in a text that could not be parsed: the rest of a line after such a key, and the
/// lines below it that are indented deeper.
pub(super) fn by_looks(text: &str) -> Hidden {
    let mut hidden = Hidden::default();
    let mut below: Option<usize> = None;
    for (number, line) in (1u32..).zip(text.lines()) {
        let indent = line.chars().take_while(|c| matches!(c, ' ' | '-')).count();
        let blank = line.trim().is_empty();
        if let Some(depth) = below {
            if blank {
                continue;
            }
            if indent > depth {
                hidden.0.push((number, 1, u32::MAX));
                continue;
            }
            below = None;
        }
        let mut column = 1u32;
        let mut word = String::new();
        for character in line.chars() {
            column = column.saturating_add(1);
            if character == ':' && is_secret_key(&word) {
                hidden.0.push((number, column, u32::MAX));
                below = Some(indent);
                break;
            }
            if character.is_alphanumeric() || matches!(character, '-' | '_') {
                word.push(character);
            } else if !matches!(character, '"' | '\'' | ' ') {
                word.clear();
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_under_a_secret_is_masked_even_where_the_file_cannot_be_parsed() {
        let text =
            "keys:\n  secret: hunter2 # x\n  secret: |\n    hunter2\n  \"pass_word\" : hunter2\nurl: a\n";
        let hidden = by_looks(text);
        for number in 1..=6 {
            let shown = line(text, number, &hidden).unwrap();
            assert!(!shown.contains("hunter2"), "{number}: {shown}");
        }
        assert_eq!(line(text, 6, &hidden).as_deref(), Some("url: a"));
        assert_eq!(line(text, 2, &hidden).as_deref(), Some("  secret:***"));
    }

    #[test]
    fn user_and_password_of_a_url_are_masked() {
        let text = "a: [http://u:hunter2@h:1, 'https://x@y/']";
        assert_eq!(
            line(text, 1, &Hidden::default()).as_deref(),
            Some("a: [http://***@h:1, 'https://***@y/']")
        );
    }
}
