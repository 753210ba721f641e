//! Tests of the counter: hostile texts by table, arbitrary ones against serde_json.

use proptest::prelude::*;
use serde_json::Value;

use super::{Counter, Fault};

fn pointer(text: &str) -> Vec<String> {
    text.split('/').skip(1).map(str::to_owned).collect()
}

fn count(at: &str, most: u64, text: &[u8]) -> Result<u64, Fault> {
    let pointer = pointer(at);
    let whole = {
        let mut counter = Counter::new(&pointer, most);
        counter.feed(text).and_then(|()| counter.finish())
    };
    // The same text byte by byte must give the same answer.
    let mut counter = Counter::new(&pointer, most);
    let bytes = text
        .iter()
        .try_for_each(|byte| counter.feed(std::slice::from_ref(byte)))
        .and_then(|()| counter.finish());
    assert_eq!(whole, bytes, "{:?}", String::from_utf8_lossy(text));
    whole
}

#[test]
fn counts_the_array_at_the_pointer() {
    for (at, text, found) in [
        ("", "[]", 0),
        ("", "[1,2,3]", 3),
        ("", " [ [1,2] , {\"a\":[1,2,3]} ] ", 2),
        (
            "/devices",
            r#"{"devices":[{"serial":"a","mac":"b"},{}],"group":"x"}"#,
            2,
        ),
        ("/devices", r#"{"group":["devices",1,2,3],"devices":[1]}"#, 1),
        ("/devices", r#"{"x":{"devices":[1,2,3]},"devices":[]}"#, 0),
        ("/a/b", r#"{"a":{"b":[1,2]},"b":[1,2,3]}"#, 2),
        ("/a/1/b", r#"{"a":[{"b":[1]},{"b":[1,2]},{"b":[1,2,3]}]}"#, 2),
        ("/0", "[[1,2,3],[1]]", 3),
        ("/", r#"{"":[1,2]}"#, 2),
        ("/dévices", "{\"d\\u00e9vices\":[1,2]}", 2),
        ("/devices", r#"{"\u0064evices":[1,2]}"#, 2),
        // Nothing there: nothing to count.
        ("/devices", "{}", 0),
        ("/devices", r#"{"group":"x"}"#, 0),
        ("/devices", "[1,2,3]", 0),
        ("/devices", "null", 0),
        ("/devices", "-0.5e+7", 0),
        ("/a/b", r#"{"a":5}"#, 0),
        ("/01", "[[1],[1,2]]", 0),
    ] {
        assert_eq!(count(at, 50, text.as_bytes()), Ok(found), "{at} {text}");
    }
}

#[test]
fn aruba_17_fifty_pass_and_the_fifty_first_is_refused_before_the_text_ends() {
    let devices = |n: usize| format!(r#"{{"devices":[{}]}}"#, vec![r#"{"serial":"x"}"#; n].join(","));
    assert_eq!(count("/devices", 50, devices(50).as_bytes()), Ok(50));
    assert_eq!(count("/devices", 50, devices(51).as_bytes()), Err(Fault::TooMany));
    let open = devices(51);
    let cut = open.rfind("{\"serial").unwrap();
    let at = pointer("/devices");
    let mut counter = Counter::new(&at, 50);
    assert_eq!(counter.feed(&open.as_bytes()[..cut]), Ok(()));
    assert_eq!(counter.feed(b"{"), Err(Fault::TooMany));
}

/// clients.md 1.2: a client that repeats a call sends its body as a JSON string of JSON.
#[test]
fn aruba_16_a_body_that_is_a_json_string_is_decoded_once_and_no_deeper() {
    let inner = r#"{"devices":[{"serial":"\u00e9\n\ud83d\ude00"},{},{}]}"#;
    let once = serde_json::to_string(inner).unwrap();
    let twice = serde_json::to_string(&once).unwrap();
    assert_eq!(count("/devices", 50, inner.as_bytes()), Ok(3));
    assert_eq!(count("/devices", 50, once.as_bytes()), Ok(3));
    assert_eq!(count("/devices", 2, once.as_bytes()), Err(Fault::TooMany));
    assert_eq!(count("/devices", 50, twice.as_bytes()), Err(Fault::Malformed));
    assert_eq!(count("", 50, br#""[1,2]""#), Ok(2));
    assert_eq!(count("", 50, br#""\u005b1,2]""#), Ok(2));
    for bad in [
        r#""""#,
        r#"" ""#,
        r#""[1,2""#,
        r#""[1] x""#,
        r#""[1]"x"#,
        r#""[1]" "[1]""#,
        r#""[1]"#,
    ] {
        assert_eq!(count("", 50, bad.as_bytes()), Err(Fault::Malformed), "{bad}");
    }
}

#[test]
fn what_two_readers_may_read_in_two_ways_is_refused() {
    for (at, text) in [
        // RFC 8259 section 4: names within an object should be unique.
        ("/devices", r#"{"devices":[],"devices":[1,2,3]}"#),
        ("/devices", r#"{"devices":[],"\u0064evices":[1]}"#),
        ("/a/b", r#"{"a":{"b":[]},"a":{"b":[1]}}"#),
        ("/a/b", r#"{"a":1,"a":{"b":[1]}}"#),
        // Some readers take names that differ in case for the same.
        ("/devices", r#"{"Devices":[1]}"#),
        ("/devices", "{\"device\u{17f}\":[1]}"),
        ("/links", "{\"lin\u{212a}s\":[1]}"),
        // At that place stands something that is no array.
        ("/devices", r#"{"devices":{"0":1}}"#),
        ("/devices", r#"{"devices":"[1,2,3]"}"#),
        ("/devices", r#"{"devices":null}"#),
        ("", "{}"),
        ("", "5"),
    ] {
        assert_eq!(
            count(at, 50, text.as_bytes()),
            Err(Fault::Malformed),
            "{at} {text}"
        );
    }
    // A repeated name elsewhere does not change what is counted.
    assert_eq!(
        count("/devices", 50, br#"{"x":1,"x":2,"devices":[{"a":1,"a":2}]}"#),
        Ok(1)
    );
}

#[test]
fn hostile_texts_are_refused() {
    let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    let inside = |n: usize| {
        let mut text = br#"{"x":"#.to_vec();
        text.extend(deep(n));
        text.push(b'}');
        text
    };
    assert_eq!(count("/devices", 50, &inside(63)), Ok(0));
    assert_eq!(count("/devices", 50, &inside(64)), Err(Fault::Malformed));
    for text in [
        &b""[..],
        b" ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1}",
        br#"{"a"}"#,
        br#"{"a":}"#,
        br#"{"a":1,}"#,
        br#"{"a":1]"#,
        br"{a:1}",
        br"{1:1}",
        br#"{"a" 1}"#,
        br#"{,"a":1}"#,
        b"[1]x",
        b"[1][2]",
        b"[1],",
        b"1 2",
        b"\xef\xbb\xbf[1]",
        b"\0[1]",
        b"[1]\0",
        b"[01]",
        b"[-]",
        b"[+1]",
        b"[1.]",
        b"[.5]",
        b"[1e]",
        b"[1e+]",
        b"[0x10]",
        b"[1.e5]",
        b"-",
        b"1.",
        b"[NaN]",
        b"[Infinity]",
        b"[tru]",
        b"[truE]",
        b"[nul",
        b"nul",
        b"[nulll]",
        b"['a']",
        b"[//x\n1]",
        b"[/**/1]",
        b"[\"a\nb\"]",
        b"[\"\x1f\"]",
        br#"["\x41"]"#,
        br#"["\u12"]"#,
        br#"["\u12g4"]"#,
        br#"["\ud800"]"#,
        br#"["\ud800x"]"#,
        br#"["\ud800\n"]"#,
        br#"["\ud800\u0041"]"#,
        br#"["\udc00"]"#,
        br#"["\ud800\ud800"]"#,
        b"[\"\x80\"]",
        b"[\"\xc0\xaf\"]",
        b"[\"\xc1\xbf\"]",
        b"[\"\xe0\x80\x80\"]",
        b"[\"\xed\xa0\x80\"]",
        b"[\"\xf0\x80\x80\x80\"]",
        b"[\"\xf4\x90\x80\x80\"]",
        b"[\"\xf5\x80\x80\x80\"]",
        b"[\"\xc3\"]",
        b"[\"\xff\"]",
        b"[\xc2\xa01]",
        b"[\x0b1]",
    ] {
        for at in ["", "/devices"] {
            assert_eq!(
                count(at, 50, text),
                Err(Fault::Malformed),
                "{:?}",
                String::from_utf8_lossy(text)
            );
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("[ab/~]{0,2}|\\PC{0,3}", value, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What the counter must say of a text that is one JSON value with unique names, by a reader that builds it.
fn oracle(value: &Value, at: &[String]) -> Result<u64, Fault> {
    let mut value = value;
    for segment in at {
        let next = match value {
            Value::Object(members) => {
                let alike = |name: &&String| {
                    name.as_str() != segment
                        && name.to_uppercase().to_lowercase() == segment.to_uppercase().to_lowercase()
                };
                if members.keys().any(|name| alike(&name)) {
                    return Err(Fault::Malformed);
                }
                members.get(segment)
            }
            Value::Array(elements) => segment
                .parse::<usize>()
                .ok()
                .filter(|index| index.to_string() == *segment)
                .and_then(|index| elements.get(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let Some(next) = next else { return Ok(0) };
        value = next;
    }
    value
        .as_array()
        .map(|elements| elements.len() as u64)
        .ok_or(Fault::Malformed)
}

fn split_at(text: &[u8], borders: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut borders: Vec<usize> = borders
        .iter()
        .map(|border| border.index(text.len() + 1))
        .collect();
    borders.sort_unstable();
    let mut pieces = Vec::new();
    let mut begin = 0;
    for end in borders.into_iter().chain([text.len()]) {
        pieces.push(text[begin..end].to_vec());
        begin = end;
    }
    pieces
}

fn count_pieces(at: &[String], most: u64, pieces: &[Vec<u8>]) -> Result<u64, Fault> {
    let mut counter = Counter::new(at, most);
    for piece in pieces {
        counter.feed(piece)?;
    }
    counter.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_json_in_any_chunks_counts_as_serde_json_counts(
        value in json(),
        at in prop::collection::vec("[ab/~]{0,2}|[0-3]", 0..3),
        borders in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        pretty in any::<bool>(),
        encoded in any::<bool>(),
        most in 0u64..12,
    ) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let text = if encoded { serde_json::to_string(&text).unwrap() } else { text };
        let expected = if value.is_string() {
            // A string at the top is read as JSON once; a random one may happen to be JSON.
            let inner = value.as_str().map(serde_json::from_str::<Value>);
            match (encoded, inner) {
                (false, Some(Ok(inner))) if !inner.is_string() => oracle(&inner, &at),
                _ => Err(Fault::Malformed),
            }
        } else {
            oracle(&value, &at)
        };
        let found = count_pieces(&at, most, &split_at(text.as_bytes(), &borders));
        match expected {
            Ok(n) if n <= most => prop_assert_eq!(found, Ok(n)),
            Ok(_) => prop_assert_eq!(found, Err(Fault::TooMany)),
            // The array may be too long before the fault is reached.
            Err(_) => prop_assert!(found.is_err()),
        }
    }

    #[test]
    fn any_bytes_are_json_for_the_counter_only_if_they_are_for_serde_json(
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..24),
            prop::collection::vec(prop::sample::select(br#"[]{}",:\u0019dcef.-+tr n"#.to_vec()), 0..16),
        ],
        borders in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let at = ["devices".to_owned()];
        let ours = count_pieces(&at, 50, &split_at(&text, &borders));
        let theirs = serde_json::from_slice::<Value>(&text);
        match theirs {
            // A string is looked into, so it may be refused for what it holds; a number may be too large for
            // a float.
            Ok(Value::String(_)) => {}
            Ok(_) => prop_assert!(ours.is_ok(), "{:?}", String::from_utf8_lossy(&text)),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(ours.is_err(), "{:?}", String::from_utf8_lossy(&text)),
        }
    }
}
