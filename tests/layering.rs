//! The floors of the house, checked: a module imports only what is below it.
//!
//! Every path in `src` that starts at the crate's root (`crate::…`, `super::…` that climbs up to it, `tollgate::…` in the
//! program) is an arrow from the module it stands in to the module it names. An arrow that points up, or sideways
//! against the order of a floor, fails with file, line and the arrow. Third-party crates have homes; naming one
//! elsewhere fails the same way. `#[cfg(test)]` items are exempt: tests may reach for whatever proves the point.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};

/// Where a module stands: its floor, and its place in the floor's order. On one floor a module may import those with
/// a smaller place; `None` stands apart and neither imports a neighbour nor is imported by one.
struct Floor {
    module: &'static str,
    level: u8,
    place: Option<u8>,
}

const fn floor(module: &'static str, level: u8, place: u8) -> Floor {
    Floor {
        module,
        level,
        place: Some(place),
    }
}

const fn apart(module: &'static str, level: u8) -> Floor {
    Floor {
        module,
        level,
        place: None,
    }
}

/// The whole house. A new top-level module does not pass before it has a row here.
const HOUSE: &[Floor] = &[
    floor("base", 0, 0),
    floor("identity", 1, 0),
    floor("http", 1, 0),
    floor("rejection", 1, 1),
    floor("config", 2, 0),
    floor("telemetry", 2, 1),
    floor("net", 2, 1),
    floor("jose", 2, 2),
    floor("store", 2, 3),
    floor("accounts", 2, 4),
    apart("routing", 3),
    apart("conditions", 3),
    floor("auth", 3, 0),
    floor("limits", 3, 1),
    floor("headers", 3, 2),
    floor("upstream", 3, 3),
    floor("oauth", 4, 0),
    floor("endpoints", 4, 1),
    apart("local", 4),
    apart("admin", 4),
    floor("snapshot", 5, 0),
    floor("shard", 5, 1),
    floor("trail", 5, 2),
    floor("reply", 5, 3),
    floor("pipeline", 5, 4),
    floor("server", 5, 5),
    floor("gateway", 5, 6),
    floor("cli", 5, 7),
    floor("main", 5, 8),
];

/// Crates that only the named modules may touch, so that replacing one is a change in one place. A submodule
/// narrows it: `cli::dev_cert`.
const HOMES: &[(&str, &[&str])] = &[
    (
        "hyper",
        &["http", "net", "upstream", "server", "reply", "admin", "cli"],
    ),
    (
        "hyper_util",
        &["http", "net", "upstream", "server", "reply", "admin", "cli"],
    ),
    ("httparse", &["upstream"]),
    ("axum", &["admin", "cli"]),
    ("jsonwebtoken", &["jose"]),
    ("governor", &["limits"]),
    ("prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("argon2", &["accounts"]),
    ("unicode_normalization", &["identity"]),
    ("clap", &["cli"]),
    ("rustix", &["cli"]),
    ("serde_saphyr", &["config"]),
    ("schemars", &["config"]),
    ("rustls", &["net", "server"]),
    ("tokio_rustls", &["net", "server"]),
    ("rustls_native_certs", &["net"]),
    ("rcgen", &["cli"]),
    ("rusqlite", &["store"]),
    ("tikv_jemallocator", &["main"]),
];

/// A word or a sign of the source, with its line.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// Splits Rust into words and signs; comments, strings, characters and lifetimes fall out. `::` is one sign.
fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let (mut i, mut line, mut out) = (0, 1, Vec::new());
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80;
    while i < bytes.len() {
        let b = at(i);
        let start = i;
        if b == b'/' && at(i + 1) == b'/' {
            while i < bytes.len() && at(i) != b'\n' {
                i += 1;
            }
        } else if b == b'/' && at(i + 1) == b'*' {
            let mut depth = 1;
            i += 2;
            while i < bytes.len() && depth > 0 {
                match (at(i), at(i + 1)) {
                    (b'*', b'/') => (depth, i) = (depth - 1, i + 2),
                    (b'/', b'*') => (depth, i) = (depth + 1, i + 2),
                    _ => i += 1,
                }
            }
        } else if let Some(end) = raw_string_end(bytes, i) {
            i = end;
        } else if b == b'"' || (b == b'b' && at(i + 1) == b'"') {
            i += if b == b'b' { 2 } else { 1 };
            while i < bytes.len() && at(i) != b'"' {
                i += if at(i) == b'\\' { 2 } else { 1 };
            }
            i += 1;
        } else if b == b'\'' {
            // A character ends with a quote, a lifetime does not.
            if at(i + 1) == b'\\' {
                i += 3;
                while i < bytes.len() && at(i) != b'\'' {
                    i += 1;
                }
                i += 1;
            } else {
                let width = source[i + 1..].chars().next().map_or(1, char::len_utf8);
                i += if at(i + 1 + width) == b'\'' { width + 2 } else { 1 };
            }
        } else if is_word(b) {
            while i < bytes.len() && is_word(at(i)) {
                i += 1;
            }
            out.push(Token {
                text: source[start..i].to_owned(),
                line,
            });
        } else if b == b':' && at(i + 1) == b':' {
            i += 2;
            out.push(Token {
                text: "::".to_owned(),
                line,
            });
        } else {
            i += 1;
            if !b.is_ascii_whitespace() {
                out.push(Token {
                    text: char::from(b).to_string(),
                    line,
                });
            }
        }
        i = i.min(bytes.len());
        line += bytes[start..i].iter().filter(|b| **b == b'\n').count();
    }
    out
}

fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let before = start
        .checked_sub(1)
        .and_then(|i| bytes.get(i))
        .copied()
        .unwrap_or(b' ');
    if before.is_ascii_alphanumeric() || before == b'_' {
        return None;
    }
    let mut i = start;
    if matches!(bytes.get(i), Some(b'b' | b'c')) {
        i += 1;
    }
    if bytes.get(i) != Some(&b'r') {
        return None;
    }
    i += 1;
    let hashes = bytes.get(i..)?.iter().take_while(|b| **b == b'#').count();
    i += hashes;
    if bytes.get(i) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let rest = bytes.get(i + 1..)?;
    let length = rest.windows(end.len()).position(|window| window == end)?;
    Some(i + 1 + length + end.len())
}

/// Takes out every item under an attribute `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let marked = tokens.len() >= i + MARK.len()
            && tokens[i..i + MARK.len()]
                .iter()
                .zip(MARK)
                .all(|(token, text)| token.text == text);
        if !marked {
            out.push(tokens[i].clone());
            i += 1;
            continue;
        }
        i += MARK.len();
        let mut depth = 0;
        while i < tokens.len() {
            let text = tokens[i].text.as_str();
            i += 1;
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(text, ";" | "}") {
                break;
            }
        }
    }
    out
}

/// The first names after the crate's root in every path of `tokens`; `depth` is how many modules deep the file is.
fn arrows(tokens: &[Token], depth: usize, is_program: bool) -> Vec<Token> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut out = Vec::new();
    let mut inline: Vec<bool> = Vec::new();
    for i in 0..tokens.len() {
        match text(i) {
            "{" => inline.push(i >= 2 && text(i - 2) == "mod"),
            "}" => drop(inline.pop()),
            _ => {}
        }
        let begins = i == 0 || text(i - 1) != "::";
        let root = text(i) == "crate" || (is_program && text(i) == "tollgate");
        if begins && root && text(i + 1) == "::" {
            out.extend(first_names(tokens, i + 2));
        }
        if begins && text(i) == "super" {
            let mut climbed = 0;
            let mut j = i;
            while text(j) == "super" && text(j + 1) == "::" {
                (climbed, j) = (climbed + 1, j + 2);
            }
            if climbed > 0 && climbed == depth + inline.iter().filter(|module| **module).count() {
                out.extend(first_names(tokens, j));
            }
        }
    }
    out
}

/// `a::b` is `a`; `{a::b, c}` is `a` and `c`.
fn first_names(tokens: &[Token], start: usize) -> Vec<Token> {
    let Some(first) = tokens.get(start) else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![first.clone()];
    }
    let mut out = Vec::new();
    let (mut depth, mut expects) = (0, false);
    for token in &tokens[start..] {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                expects = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => expects = depth == 1,
            _ if expects => {
                out.push(token.clone());
                expects = false;
            }
            _ => {}
        }
    }
    out
}

/// Third-party crates that the tokens name at the start of a path.
fn crates(tokens: &[Token]) -> Vec<Token> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    (0..tokens.len())
        .filter(|i| {
            let after_path = *i >= 1 && text(i - 1) == "::" && *i >= 2 && is_name(text(i - 2));
            let named =
                text(i + 1) == "::" || (*i >= 1 && text(i - 1) == "use" && matches!(text(i + 1), ";" | "as"));
            named && !after_path && is_name(text(*i))
        })
        .map(|i| tokens[i].clone())
        .collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !matches!(text, "use" | "return" | "in" | "as")
}

fn look_up(module: &str) -> Option<&'static Floor> {
    HOUSE.iter().find(|floor| floor.module == module)
}

/// Why the arrow is forbidden, or nothing.
fn objection(from: &Floor, to: &Floor) -> Option<String> {
    if from.module == to.module || to.level < from.level {
        return None;
    }
    if to.level > from.level {
        return Some(format!("floor {} may not import floor {}", from.level, to.level));
    }
    match (from.place, to.place) {
        (Some(mine), Some(theirs)) if theirs < mine => None,
        (Some(_), Some(_)) => Some(format!("on floor {} `{}` comes first", from.level, from.module)),
        (None, _) | (_, None) => Some(format!("on floor {} they stand apart", from.level)),
    }
}

/// Findings in one file; `path` is relative to `src`.
fn findings(path: &str, source: &str) -> Vec<String> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let module = parts[0];
    if module == "lib" {
        return Vec::new();
    }
    let Some(from) = look_up(module) else {
        return vec![format!(
            "src/{path}:1: the module `{module}` has no floor; give it a row in tests/layering.rs"
        )];
    };
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    let tokens = without_tests(&tokens(source));
    let mut out = Vec::new();
    for name in arrows(&tokens, depth, module == "main") {
        let Some(to) = look_up(&name.text) else {
            // Items at the root of the crate (macros, re-exports) belong to no floor.
            continue;
        };
        if let Some(why) = objection(from, to) {
            out.push(format!(
                "src/{path}:{}: {module} -> {}: {why}",
                name.line, to.module
            ));
        }
    }
    for name in crates(&tokens) {
        if let Some((_, homes)) = HOMES.iter().find(|(home, _)| *home == name.text)
            && !homes.contains(&module)
        {
            out.push(format!(
                "src/{path}:{}: {module} -> crate {}: its home is {homes:?}",
                name.line, name.text
            ));
        }
    }
    out.sort();
    out.dedup();
    out
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// `telemetry/metrics/tests.rs` is pulled in by a `#[cfg(test)] mod tests;` beside it.
fn is_test_file(path: &Path) -> bool {
    path.file_stem()
        .is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
        || path.parent().is_some_and(|folder| folder.ends_with("tests"))
}

#[test]
fn a_module_imports_only_what_is_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "only {} source files found", files.len());
    let found: Vec<String> = files
        .iter()
        .filter(|path| !is_test_file(path))
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            findings(&name, &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(
        found.is_empty(),
        "{} forbidden arrows:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn an_arrow_that_points_up_is_found_with_file_line_and_reason() {
    let found = findings(
        "http/path.rs",
        "//! Paths.\n\nuse std::fmt;\nuse crate::rejection::Rejection;\n",
    );
    assert_eq!(
        found,
        ["src/http/path.rs:4: http -> rejection: on floor 1 `http` comes first"]
    );
    let found = findings("auth/mod.rs", "fn f() { crate::server::listener::bind() }");
    assert_eq!(
        found,
        ["src/auth/mod.rs:1: auth -> server: floor 3 may not import floor 5"]
    );
}

#[test]
fn every_way_to_write_a_path_is_read() {
    let finds = |path: &str, source: &str| findings(path, source).len();
    assert_eq!(
        finds(
            "config/mod.rs",
            "use crate::{base::units, jose::{jwk, sign}, telemetry};"
        ),
        2
    );
    assert_eq!(finds("net/dial.rs", "use super::super::{jose::jwk, base};"), 1);
    assert_eq!(finds("net/mod.rs", "use super::jose;"), 1);
    assert_eq!(
        finds("net/dial.rs", "mod deep { use super::super::super::jose; }"),
        1
    );
    assert_eq!(
        finds("net/dial.rs", "use super::jose;"),
        0,
        "a submodule of its own"
    );
    assert_eq!(
        finds("limits/mod.rs", "impl From<crate::upstream::Service> for X {}"),
        1
    );
    assert_eq!(finds("jose/mod.rs", "my_macro!(crate::accounts::directory);"), 1);
    assert_eq!(
        finds("admin/mod.rs", "use crate::local::status;"),
        1,
        "floor 4 modules stand apart"
    );
    assert_eq!(finds("routing/mod.rs", "use crate::auth::Caller;"), 1);
    assert_eq!(finds("main.rs", "fn main() { tollgate::cli::main() }"), 0);
}

#[test]
fn a_crate_away_from_home_is_found() {
    let found = findings(
        "upstream/pool.rs",
        "use hyper::body::Body;\nuse ::governor::Quota;\n",
    );
    assert_eq!(
        found,
        [r#"src/upstream/pool.rs:2: upstream -> crate governor: its home is ["limits"]"#]
    );
    assert_eq!(
        findings("auth/jwt.rs", "type K = jsonwebtoken::DecodingKey;").len(),
        1
    );
    assert_eq!(
        findings("auth/jwt.rs", "use crate::jose::jsonwebtoken::Key;").len(),
        0
    );
    assert_eq!(findings("config/mod.rs", "use clap;").len(), 1);
}

#[test]
fn what_is_no_code_and_what_is_a_test_does_not_count() {
    let source = r####"
        // crate::server
        /* crate::server /* crate::cli */ crate::gateway */
        const A: &str = "crate::server \" crate::cli";
        const B: &str = r#"crate::server " "#;
        const C: (char, char) = ('"', '\'');
        fn f<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests { use crate::server; fn g() { if true { crate::cli::x() } } }
        #[cfg(test)]
        use crate::gateway;
    "####;
    assert_eq!(findings("base/clock.rs", source), [""; 0]);
    let source = format!("{source}\nuse crate::rejection;");
    assert_eq!(
        findings("base/clock.rs", &source).len(),
        1,
        "what follows a test block counts again"
    );
}

#[test]
fn a_new_module_needs_a_floor() {
    assert_eq!(findings("utils/mod.rs", "").len(), 1);
    assert_eq!(findings("utils.rs", "").len(), 1);
}
