//! The JSON Schema of the configuration, generated from the raw types: for editors, for the check, for the manual.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::raw::RawRoot;

/// The schema that `shape.rs` checks against.
pub(super) fn whole() -> &'static Value {
    static WHOLE: OnceLock<Value> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
        let mut schema = generator.into_root_schema_for::<RawRoot>().to_value();
        tidy(&mut schema);
        schema
    })
}

/// The schema as it is published, `config/tollgate.schema.json`: a JSON document with a line end.
pub fn published() -> String {
    let mut schema = whole().clone();
    allow_variables(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), json!("Tollgate configuration"));
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// An optional key may be left out, but not be empty: `tls:` without a value must never mean "no TLS". And what has a
/// default is not required.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            without_null(map);
            let defaults: Vec<String> = map
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter(|(_, property)| property.get("default").is_some_and(|default| !default.is_null()))
                .map(|(name, _)| name.clone())
                .collect();
            if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|name| !defaults.iter().any(|default| name.as_str() == Some(default)));
                if required.is_empty() {
                    map.remove("required");
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            // One sentence can be several lines in the source.
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text
                    .split("\n\n")
                    .map(|part| part.replace('\n', " "))
                    .collect::<Vec<_>>()
                    .join("\n\n");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = map.get_mut("type") {
        kinds.retain(|kind| kind.as_str() != Some("null"));
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(several)) = map.get_mut("anyOf") {
        several.retain(|schema| schema.get("type").and_then(Value::as_str) != Some("null"));
        if let [only] = several.as_slice()
            && let Some(only) = only.as_object().cloned()
        {
            map.remove("anyOf");
            for (key, value) in only {
                map.entry(key).or_insert(value);
            }
        }
    }
}

/// In the published schema a number or a boolean may also be a variable of the environment.
fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(kind @ ("integer" | "boolean")) = map.get("type").and_then(Value::as_str) {
                let kinds = json!([kind, "string"]);
                map.insert("type".to_owned(), kinds);
                map.insert("pattern".to_owned(), json!(r"\$\{"));
                map.remove("format");
            }
            map.values_mut().for_each(allow_variables);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
