//! Spellings of a protected path (classes: dot segments, doubled slashes, encodings, backslashes, parameters, overlong
//! UTF-8, NUL, letter case). None reaches what is protected without credentials, read as leniently as any server reads
//! it; and with credentials the path that the backend sees is the one that was matched.

use std::fmt::Write as _;

use crate::support::client::raw;
use crate::support::raw_backend::{RawBackend, RawRequest};
use crate::support::raw_h2::over_http2;
use crate::support::single::{Setup, Single};

/// A second api: everything is public but what lies at `/admin`.
const SITE: &str = r#"
  site:
    hosts: [site.test]
    credentials: [{ bearer: idp }]
    headers: { tenant: X-Tenant-ID }
    routes:
      - { path: /admin, access: {}, to: { backend: one } }
      - { path: "/admin/{*rest}", access: {}, to: { backend: one } }
      - { path: "/files/{name}", public: true, rewrite: { template: "/public/{name}" }, to: { backend: one } }
      - { path: "/v1/{*rest}", public: true, rewrite: { strip-prefix: /v1 }, to: { backend: one } }
      - { path: "/{*rest}", public: true, to: { backend: one } }
"#;

/// Targets that some server takes for `/admin/secret`.
fn spellings() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // Letters and digits encoded, in either case of the digits, once and twice.
    for (from, to) in [
        ("a", "%61"),
        ("d", "%64"),
        ("min", "%6din"),
        ("min", "%6Din"),
        ("n", "%6e"),
        ("n", "%6E"),
        ("a", "%2561"),
        ("a", "%252561"),
        ("a", "%u0061"),
        ("a", "%c1%a1"),
        ("a", "%e0%81%a1"),
        ("a", "%EF%BD%81"),
    ] {
        all.push(format!("/{}/secret", "admin".replacen(from, to, 1)));
    }
    all.push("/%61%64%6d%69%6e/%73%65%63%72%65%74".to_owned());
    // Slashes: doubled, encoded, backward, overlong, full width.
    for slash in [
        "//",
        "///",
        "/./",
        "/.//",
        "//./",
        "%2f",
        "%2F",
        "%252f",
        "%25252f",
        "%5c",
        "%5C",
        "%255c",
        "\\",
        "/\\",
        "%c0%af",
        "%c0%2f",
        "%e0%80%af",
        "%u2215",
        "%EF%BC%8F",
        "%e2%88%95",
        "%2f%2f",
        "/%2f",
        "/%2e/",
        "/%2E/",
        "/%252e/",
        "/;/",
        "/;x=y/",
        "/.;/",
        "/%3b/",
        "/%00/",
        "/%20/",
        "/%09/",
    ] {
        all.push(format!("{slash}admin/secret"));
        all.push(format!("/admin{slash}secret"));
    }
    // Ways out of a place that is open.
    for dots in [
        "..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "%25252e%25252e",
        "..;",
        "..;x",
        "%2e%2e;",
        "..%3b",
        "%c0%ae%c0%ae",
        "%e0%80%ae%e0%80%ae",
        "..%00",
        "..%20",
        "..%09",
        "%u002e%u002e",
        ".. ",
        "..\\",
        "..%5c",
        "...",
        "..%2f",
        "..%252f",
        ".%00.",
        "%EF%BC%8E%EF%BC%8E",
    ] {
        all.push(format!("/open/{dots}/admin/secret"));
        all.push(format!("/open{dots}/admin/secret"));
        all.push(format!("/files/{dots}/admin/secret"));
        all.push(format!("/files/{dots}%2fadmin%2fsecret"));
        all.push(format!("/v1{dots}/admin/secret"));
    }
    for target in [
        "/open/x/../../admin/secret",
        "/open/./../admin/secret",
        "/open//../admin/secret",
        "/open/..//admin/secret",
        "/../admin/secret",
        "/../../admin/secret",
        "/./admin/./secret",
        "/admin/./secret",
        "/admin/x/../secret",
        "/open/%2e%2e%2fadmin%2fsecret",
        "/open/..%2f..%2fadmin/secret",
        "/admin/../admin/secret",
        // What trails.
        "/admin/secret/",
        "/admin/secret//",
        "/admin/secret/.",
        "/admin/secret/..",
        "/admin/secret%00",
        "/admin/secret%00.css",
        "/admin/secret%20",
        "/admin/secret.",
        "/admin/secret;",
        "/admin/secret;x=y",
        "/admin;x/secret",
        "/admin;/secret",
        "/admin./secret",
        "/admin%20/secret",
        "/admin%00/secret",
        "/admin%09/secret",
        "/admin/secret%0a",
        "/admin/secret%0d%0a",
        "/admin/secret?",
        "/admin/secret?x=/open",
        "/admin/secret#/open",
        "/admin/secret%23",
        "/admin/secret%3f",
        "/admin?/secret",
        "/admin",
        "/admin/",
        "/admin%2f",
        "/admin;",
        "/admin.",
        "/admin%20",
        "/;/admin",
        "/;x/admin/secret",
        "/admin%2e/secret",
        "/admin%3b/secret",
        "/admin%3Bx=y/secret",
        "/admin%252f",
        "/%20admin/secret",
        "/ admin/secret",
        "/admin\t/secret",
        "/\tadmin/secret",
        "/admin/secret\\",
        "/admin~1/secret",
        "/admin::$DATA/secret",
        "/admin*/secret",
        // Other forms of a target.
        "http://site.test/admin/secret",
        "http://site.test//admin/secret",
        "http://site.test/open/../admin/secret",
        "//site.test/admin/secret",
        "HTTP://SITE.TEST/%61dmin/secret",
        "admin/secret",
        "./admin/secret",
        "\\admin\\secret",
        "?/admin/secret",
        "*",
        "",
    ] {
        all.push(target.to_owned());
    }
    // Letter case: paths are case-sensitive (RFC 9110 section 4.2.3), so these are other places; see the manual.
    for target in [
        "/ADMIN/secret",
        "/Admin/secret",
        "/admin/SECRET",
        "/%41dmin/secret",
    ] {
        all.push(target.to_owned());
    }
    all.sort();
    all.dedup();
    all
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits
            .filter(|_| *first == b'%')
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).replace('\\', "/")
}

/// What the most lenient servers make of a path: decoded again and again, parameters and blanks cut off, dot segments
/// resolved with doubled slashes merged, or not. Full-width forms (`%EF%BC%8F`) are letters of their own here, as upper case
/// is: whoever folds them makes other names of them after everybody has decided.
fn readings(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut text = path.to_owned();
    for _ in 0..4 {
        for merge in [true, false] {
            let mut segments: Vec<&str> = Vec::new();
            for segment in text.split('/').skip(1) {
                let bare = segment.split([';', '\0']).next().unwrap_or_default();
                let bare = if bare.chars().all(|c| c == '.' || c.is_whitespace()) && !bare.contains("...") {
                    bare.trim()
                } else {
                    bare.trim().trim_end_matches('.')
                };
                // A segment of blanks alone is one for every server; it is not an empty one.
                let bare = if bare.is_empty() && !segment.is_empty() {
                    " "
                } else {
                    bare
                };
                match bare {
                    "." => {}
                    "" if merge => {}
                    ".." => {
                        segments.pop();
                    }
                    other => segments.push(other),
                }
            }
            all.push(format!("/{}", segments.join("/")));
        }
        text = decoded(&text);
    }
    all
}

fn path_of(request: &RawRequest) -> String {
    let target = request.line.split(' ').nth(1).unwrap_or_default();
    target.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn is_protected(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Why the request must not have come in this form; `None` if it may.
fn fault(request: &RawRequest, signed_in: bool) -> Option<String> {
    let path = path_of(request);
    let verified = !request.all("x-tenant-id").is_empty();
    if verified && !signed_in {
        return Some(format!("{path}: identity without a token"));
    }
    if verified != is_protected(&path) {
        return Some(format!(
            "{path}: matched as another path than what the backend sees"
        ));
    }
    if !verified && let Some(reading) = readings(&path).into_iter().find(|reading| is_protected(reading)) {
        return Some(format!("{path} may be read as {reading}"));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let normal = segments.iter().enumerate().all(|(at, segment)| {
        !matches!(*segment, "." | "..") && (!segment.is_empty() || at + 1 == segments.len())
    });
    (!normal || path.contains('\\')).then(|| format!("{path} is not in normal form"))
}

#[test]
fn the_lenient_reader_of_this_test_sees_through_the_usual_disguises() {
    for disguise in [
        "/open/../admin",
        "/%61dmin",
        "/%2561dmin",
        "/open/..;/admin",
        "//admin",
        "/x/%2e%2e/admin",
        "/open\\..\\admin",
        "/admin;x",
        "/admin%20",
        "/admin.",
        "/open/%252e%252e/admin",
    ] {
        assert!(
            readings(disguise).iter().any(|reading| is_protected(reading)),
            "{disguise}"
        );
    }
    assert!(
        !readings("/open/admin")
            .iter()
            .any(|reading| is_protected(reading))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_protected_path_gets_past_its_door() {
    let backend = RawBackend::start().await;
    let setup = Setup {
        routes: SITE,
        ..Setup::default()
    };
    let single = Single::before(&[backend.address], &setup).await;
    let token = single.token("cust-1");
    let targets = spellings();
    assert!(targets.len() >= 80, "{} spellings", targets.len());
    let mut failures = String::new();
    let (mut refused, mut forwarded) = (0, 0);
    for target in &targets {
        for authorization in [String::new(), format!("Authorization: {token}\r\n")] {
            let bytes = format!(
                "GET {target} HTTP/1.1\r\nHost: site.test\r\n{authorization}Connection: close\r\n\r\n"
            );
            let answer = String::from_utf8_lossy(&raw(single.address, bytes.as_bytes()).await).into_owned();
            let (requests, faults) = backend.take();
            let status = answer.get(9..12).unwrap_or("closed");
            let why = match requests.as_slice() {
                _ if !faults.is_empty() => Some(format!("the backend could not read: {faults:?}")),
                [] if status.starts_with('4') || status == "closed" || status == "501" => None,
                [one] if status == "200" => fault(one, !authorization.is_empty()),
                more => Some(format!("{status}, {} at the backend", more.len())),
            };
            if requests.is_empty() {
                refused += 1;
            } else {
                forwarded += 1;
            }
            if let Some(why) = why {
                let _ = writeln!(
                    failures,
                    "{target:?} ({}): {why}",
                    if authorization.is_empty() {
                        "nobody"
                    } else {
                        "somebody"
                    }
                );
            }
        }
    }
    println!(
        "{} spellings twice: {refused} refused, {forwarded} forwarded in normal form",
        targets.len()
    );
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_over_http2() {
    let backend = RawBackend::start().await;
    let setup = Setup {
        routes: SITE,
        ..Setup::default()
    };
    let single = Single::before(&[backend.address], &setup).await;
    let mut failures = String::new();
    for target in spellings() {
        let head = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", target.as_str()),
            (":authority", "site.test"),
        ];
        let answered = over_http2(single.address, &head, &[]).await;
        let (requests, faults) = backend.take();
        let why = match requests.as_slice() {
            _ if !faults.is_empty() => Some(format!("{faults:?}")),
            [] if !answered => None,
            [one] => fault(one, false),
            more => Some(format!("answered {answered}, {} at the backend", more.len())),
        };
        if let Some(why) = why {
            let _ = writeln!(failures, "{target:?}: {why}");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// The other way round: what is open is a corner, everything else wants credentials.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_corner_is_no_way_out_of_itself() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let mut failures = String::new();
    for target in spellings() {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
        raw(single.address, bytes.as_bytes()).await;
        let (requests, faults) = backend.take();
        for one in &requests {
            let path = path_of(one);
            let stays = readings(&path).iter().all(|reading| reading.starts_with("/open"));
            if !path.starts_with("/open/") || !stays {
                let _ = writeln!(failures, "{target:?}: {path} at the backend");
            }
        }
        if !faults.is_empty() {
            let _ = writeln!(failures, "{target:?}: {faults:?}");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_methods_and_hosts_are_refused_before_anybody_is_asked() {
    let backend = RawBackend::start().await;
    let setup = Setup {
        routes: SITE,
        ..Setup::default()
    };
    let single = Single::before(&[backend.address], &setup).await;
    for (line, host) in [
        ("GET /admin", "evil.test"),
        ("GET /", "site.test.evil.test"),
        ("CONNECT site.test:80", "site.test"),
    ] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8_lossy(&raw(single.address, bytes.as_bytes()).await).into_owned();
        assert!(
            answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 501"),
            "{line} {host}: {answer}"
        );
    }
    assert_eq!(backend.take(), (vec![], vec![]));
}
