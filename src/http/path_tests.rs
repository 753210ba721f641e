use proptest::prelude::*;

use super::*;

fn normal(path: &str) -> String {
    normalise(path)
        .map(Cow::into_owned)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_path_in_normal_form_is_borrowed() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/d-e_f~",
        "/a;b=c",
        "/!$&'()*+,;=:@",
        "/a%20b/%C3%A4",
        "/.well-known/x",
        "/...",
    ] {
        assert!(
            matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path),
            "{path}"
        );
    }
}

#[test]
fn spellings_of_one_path_have_one_form() {
    for (path, expected) in [
        ("/%61dmin", "/admin"),
        ("/%41%2d%2E%5f%7e", "/A-._~"),
        ("/a%2cb", "/a%2Cb"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/.", "/"),
        ("//a", "/a"),
        ("/a//b///c", "/a/b/c"),
        ("/a//", "/a/"),
        ("//", "/"),
        ("/ä", "/%C3%A4"),
        ("/a|b{c}\"^`<>[]", "/a%7Cb%7Bc%7D%22%5E%60%3C%3E%5B%5D"),
        ("/a%25b", "/a%25b"),
        ("/%25zz", "/%25zz"),
    ] {
        assert_eq!(normal(path), expected, "{path}");
    }
}

#[test]
fn letter_case_is_kept() {
    assert_eq!(normal("/Admin"), "/Admin");
}

#[test]
fn what_servers_read_in_different_ways_is_refused() {
    use PathError::*;
    for (path, error) in [
        ("", Relative),
        ("*", Relative),
        ("a/b", Relative),
        ("/a%2fb", Separator),
        ("/a%2Fb", Separator),
        ("/a%5cb", Separator),
        ("/a\\b", Separator),
        ("/..%2fadmin", Separator),
        ("/a%00", Character),
        ("/a%0a", Character),
        ("/a%7f", Character),
        ("/a b", Character),
        ("/a#b", Character),
        ("/a?b", Character),
        ("/%", Escape),
        ("/%4", Escape),
        ("/%zz", Escape),
        ("/%u002e", Escape),
        ("/%+1", Escape),
        ("/%c0%ae%c0%ae/admin", NotUtf8),
        ("/%c0%af", NotUtf8),
        ("/%e0%80%af", NotUtf8),
        ("/%ff", NotUtf8),
        ("/%ed%a0%80", NotUtf8),
        ("/..", Climbs),
        ("/../a", Climbs),
        ("/a/../../b", Climbs),
        ("/a/%2e%2e/%2e%2e/b", Climbs),
        ("/%252e%252e/admin", Hidden),
        ("/.%252e/admin", Hidden),
        ("/%25252e%25252e/admin", Hidden),
        ("/a%252fb", Hidden),
        ("/a%255cb", Hidden),
        ("/a%2500", Hidden),
        ("/%2525252525252541", Hidden),
        ("/..;/admin", Hidden),
        ("/..;a=b/admin", Hidden),
        ("/..%3b/admin", Hidden),
        ("/..%3B/admin", Hidden),
        ("/.;/admin", Hidden),
        ("/;/admin", Hidden),
        ("/;x=y/admin", Hidden),
        ("/..%20/admin", Hidden),
        ("/%20../admin", Hidden),
        ("/a//../b", Ambiguous),
        ("/a/../b//c", Ambiguous),
    ] {
        assert_eq!(normalise(path), Err(error), "{path}");
    }
}

#[test]
fn a_long_path_of_nested_escapes_is_refused_in_one_go() {
    let path = format!("/{}", "%25".repeat(20_000));
    assert_eq!(
        normal(&path),
        path,
        "single escapes of a percent sign hide nothing"
    );
    let nested = format!("/%{}41", "25".repeat(30_000));
    assert_eq!(normalise(&nested), Err(PathError::Hidden));
}

#[test]
fn lenient_readings_are_found() {
    for (path, reading) in [
        ("/admin;x=y", Some("/admin")),
        ("/admin;x/b;y", Some("/admin/b")),
        ("/a%3Ab", Some("/a:b")),
        ("/admin%3Bx", Some("/admin")),
        ("/admin%20", Some("/admin")),
        ("/admin.%20./b", Some("/admin/b")),
        ("/admin.", Some("/admin")),
        ("/...", Some("/.")),
        ("/%20admin", Some("/admin")),
        ("/%2520%20admin%2520/b", Some("/admin/b")),
        ("/%2561dmin", Some("/admin")),
        ("/%252561dmin", Some("/admin")),
        ("/a%252Cb%253bc", Some("/a,b")),
        ("/%25", None),
        ("/100%25/%25zz", None),
        ("/%20", None),
        ("/a%20b", None),
        ("/%C3%A4", None),
        ("/a.b/c.d", None),
        ("/", None),
    ] {
        assert_eq!(lenient_reading(path).as_deref(), reading, "{path}");
    }
}

/// The same rules, written down a second time: slowly, with whole strings, one rule after the other.
fn reference(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains(['\\', '?', '#', ' ']) {
        return None;
    }
    let mut normal_segments = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for segment in &segments {
        let raw = segment.as_bytes();
        let mut decoded = Vec::new();
        let mut written = String::new();
        let mut at = 0;
        while at < raw.len() {
            let (byte, escaped) = if raw[at] == b'%' {
                let digits = segment.get(at + 1..at + 3)?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                at += 3;
                (u8::from_str_radix(digits, 16).ok()?, true)
            } else {
                at += 1;
                (raw[at - 1], false)
            };
            if byte < 0x20 || byte == 0x7f || byte == b'/' || byte == b'\\' {
                return None;
            }
            decoded.push(byte);
            let literal = byte.is_ascii_alphanumeric()
                || b"-._~".contains(&byte)
                || (!escaped && b"!$&'()*+,;=:@".contains(&byte));
            if literal {
                written.push(byte as char);
            } else {
                written.push_str(&format!("%{byte:02X}"));
            }
        }
        String::from_utf8(decoded.clone()).ok()?;
        if decoded != b"." && decoded != b".." {
            let mut level = decoded;
            for round in 0.. {
                let text = String::from_utf8_lossy(&level).into_owned();
                let name = text
                    .split(';')
                    .next()
                    .unwrap()
                    .trim_matches([' ', '\t', '\n', '\r', '\x0c']);
                if name == "." || name == ".." || (name.is_empty() && text.contains(';')) {
                    return None;
                }
                let next: Vec<u8> = percent_encoding::percent_decode(&level).collect();
                if next == level {
                    break;
                }
                if round == 2 || next.iter().any(|b| *b < 0x20 || [0x7f, b'/', b'\\'].contains(b)) {
                    return None;
                }
                level = next;
            }
        }
        normal_segments.push(written);
    }
    let last = normal_segments.len() - 1;
    let merges = normal_segments.iter().take(last).any(String::is_empty);
    if merges && normal_segments.iter().any(|s| s == "..") {
        return None;
    }
    let open = ["", ".", ".."].contains(&normal_segments[last].as_str());
    let mut kept: Vec<String> = Vec::new();
    for segment in normal_segments {
        match segment.as_str() {
            "" | "." => {}
            ".." => {
                kept.pop()?;
            }
            _ => kept.push(segment),
        }
    }
    let mut text = String::new();
    for segment in &kept {
        text.push('/');
        text.push_str(segment);
    }
    if open {
        text.push('/');
    }
    Some(text)
}

fn hostile_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("/".to_owned()),
        2 => prop::sample::select(vec![
            ".", "..", "%2e", "%2E%2e", "%252e", "%25", "%2f", "%5c", "\\", "..;", ";", ";a", "%3b", "%20", "%c3%a4", "%c3",
            "%00", "%", "%4", "ä", "|", "{", "~", "%7e", "%41", "%2525", "%25252e", "+", "%2B",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9_-]{1,4}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_normal_form_is_that_of_the_slow_reference(path in hostile_path()) {
        prop_assert_eq!(normalise(&path).ok().map(Cow::into_owned), reference(&path));
    }

    #[test]
    fn normalising_twice_is_normalising_once(path in hostile_path()) {
        if let Ok(once) = normalise(&path) {
            prop_assert!(matches!(normalise(&once), Ok(Cow::Borrowed(_))), "{}", once);
            prop_assert!(once.starts_with('/') && !once.contains("//") && once.is_ascii());
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(path in any::<String>()) {
        let _ = normalise(&path);
        let _ = lenient_reading(&path);
    }

    #[test]
    fn a_lenient_reading_is_a_fixed_point(path in hostile_path()) {
        if let Ok(once) = normalise(&path)
            && let Some(reading) = lenient_reading(&once)
        {
            prop_assert!(reading.starts_with('/'));
            prop_assert_eq!(lenient_reading(&reading), None);
        }
    }
}
