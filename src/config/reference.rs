//! The reference page of the manual, `docs/configuration.md`, generated from the schema.

use std::fmt::Write;

use serde_json::Value;

use super::schema;

const HEAD: &str = "\
<!-- Generated from the types in src/config/raw.rs: `tollgate check --print reference > docs/configuration.md` -->

# Configuration reference

Every key of a configuration. `config/tollgate.yaml` shows the usual ones at work; `tollgate check` says what is wrong with
a file, all of it at once; `config/tollgate.schema.json` lets an editor complete and check while you type.

## How it is written

- **YAML**, one file or several: `include: [file, …]` joins further files of the same shape. Names of files are relative to
  the file that they stand in. A key that stands twice is an error, in one file or in two.
- **Units are part of the text.** Durations: `250ms`, `30s`, `1m 30s`, `12h`, `7d`. Sizes: `64KiB`, `1MiB`, `1GiB`, `100B`.
  Rates: `7/s`, `100/m`, `1000/h`, `1/d`. A bare number is refused where a unit belongs.
- **The environment**: `${NAME}`, `${NAME:-default}` (also where it is empty), `${NAME:?what to do}` in any value, not in
  keys; `$${` is a literal `${`. Inside `{ … }` and `[ … ]` put it in quotes. Messages show the variable, never its value.
- **Secrets** never stand in the file: `secret: { file: path }` or `secret: { environment: NAME }`.
- **One or many**: where a list is wanted, a single value may stand alone.
- **A key without a value is an error**: `tls:` with nothing behind it never means \"no TLS\".
- **`danger_…`** keys weaken security; each is reported at every start.
- At most 4 MiB a file, 20 levels, 256 files.

What a reload cannot change, and is refused for: the addresses of `listeners` and `admin`, what a listener speaks (plain, TLS,
redirect), `server.workers`, `server.scheduler`, and `telemetry.access-log`.
";

/// The page.
pub fn page() -> String {
    let whole = schema::whole();
    let mut page = HEAD.to_owned();
    let _ = write!(page, "\n## The file\n\n");
    table(&mut page, whole);
    let mut names: Vec<String> = Vec::new();
    reach(whole, whole, &mut names);
    for name in &names {
        let Some(definition) = whole.pointer(&format!("/$defs/{name}")) else {
            continue;
        };
        let _ = write!(page, "\n## {name}\n\n");
        if let Some(text) = definition.get("description").and_then(Value::as_str) {
            let _ = write!(page, "{text}\n\n");
        }
        table(&mut page, definition);
    }
    page
}

/// The definitions in the order in which a reader meets them.
fn reach(schema: &Value, whole: &Value, names: &mut Vec<String>) {
    let mut fresh = Vec::new();
    references(schema, &mut |name| {
        if !names.iter().any(|known| known == name) && !fresh.iter().any(|known| known == name) {
            fresh.push(name.to_owned());
        }
    });
    for name in fresh {
        if names.contains(&name) {
            continue;
        }
        names.push(name.clone());
        if let Some(definition) = whole.pointer(&format!("/$defs/{name}")) {
            reach(definition, whole, names);
        }
    }
}

fn references(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|name| name.strip_prefix("#/$defs/"))
            {
                found(name);
            }
            map.iter()
                .filter(|(key, _)| *key != "$defs")
                .for_each(|(_, value)| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The keys of a map, or the choices of a word.
fn table(page: &mut String, schema: &Value) {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let _ = writeln!(
            page,
            "| key | value | default | meaning |\n| --- | --- | --- | --- |"
        );
        // What has to be there comes first.
        let (first, rest): (Vec<_>, Vec<_>) = properties
            .iter()
            .partition(|(name, _)| required.contains(&name.as_str()));
        for (name, property) in first.into_iter().chain(rest) {
            let default = match property.get("default") {
                _ if required.contains(&name.as_str()) => "required".to_owned(),
                None => String::new(),
                Some(default) => code(default),
            };
            let _ = writeln!(
                page,
                "| `{name}` | {} | {default} | {} |",
                kind(property),
                meaning(property)
            );
        }
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let _ = writeln!(page, "| one of | value | meaning |\n| --- | --- | --- |");
        for choice in choices {
            let text = meaning(choice);
            for word in words(choice) {
                let _ = writeln!(page, "| `{word}` | the word | {text} |");
            }
            for (name, property) in choice
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let _ = writeln!(page, "| `{name}:` | {} | {text} |", kind(property));
            }
        }
    }
}

fn words(schema: &Value) -> Vec<&str> {
    let all = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    all.chain(schema.get("const").and_then(Value::as_str)).collect()
}

fn code(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn meaning(schema: &Value) -> String {
    let mut text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .replace(['\n', '|'], " ");
    let bound = |name: &str, unit: &str| match (schema.get(name), schema.get(unit)) {
        (_, Some(Value::String(text))) => Some(text.clone()),
        (Some(Value::Number(number)), _) => Some(number.to_string()),
        _ => None,
    };
    let range = match (bound("minimum", "x-minimum"), bound("maximum", "x-maximum")) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        // Without an upper bound of its own, "at least 0" says nothing.
        (Some(_) | None, None) => None,
    };
    if let Some(range) = range {
        let _ = write!(text, " ({range})");
    }
    text
}

/// What a value looks like, with a link to the table of a map.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| name.strip_prefix("#/$defs/"))
    {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(several) = schema.get("anyOf").and_then(Value::as_array) {
        let list = several
            .iter()
            .find(|schema| schema.get("type").and_then(Value::as_str) == Some("array"));
        return match list.and_then(|list| list.get("items")) {
            Some(item) => format!("{}, or a list", kind(item)),
            None => "any".to_owned(),
        };
    }
    let words: Vec<String> = match schema.get("oneOf").and_then(Value::as_array) {
        Some(choices) => choices
            .iter()
            .flat_map(words)
            .map(|word| format!("`{word}`"))
            .collect(),
        None => words(schema).iter().map(|word| format!("`{word}`")).collect(),
    };
    if !words.is_empty() {
        return words.join(", ");
    }
    match schema.get("type") {
        Some(Value::Array(_)) => "a map or a list".to_owned(),
        Some(Value::String(kind)) => match (kind.as_str(), schema.get("format").and_then(Value::as_str)) {
            ("string", Some(format)) => format.to_owned(),
            ("string", None) => "text".to_owned(),
            ("integer", _) => "number".to_owned(),
            ("boolean", _) => "`true`, `false`".to_owned(),
            ("array", _) => match schema.get("items") {
                Some(item) => format!("list of {}", self::kind(item)),
                None => "list".to_owned(),
            },
            ("object", _) => match schema.get("additionalProperties") {
                Some(value) if value.is_object() => format!("map of {}", self::kind(value)),
                _ => "map".to_owned(),
            },
            (other, _) => other.to_owned(),
        },
        _ => "any".to_owned(),
    }
}
