//! Spoofed identity (classes: aliases, `Connection` lists, trailers, forwarded addresses, HTTP/2 to HTTP/1), written by
//! hand over raw sockets and judged at a backend that reads strictly. What arrives there is the verified identity, once
//! and under its own name; nothing that the client wrote in its place arrives under any name.

use std::fmt::Write as _;

use crate::support::client::raw;
use crate::support::raw_backend::{RawBackend, RawRequest};
use crate::support::raw_h2::over_http2;
use crate::support::single::{Setup, Single};

/// The mark in every value that a client makes up.
const MARK: &str = "spoofed";
/// The same where only an address would be believed.
const ADDRESS: &str = "9.9.9.9";

/// Names that carry identity towards the backend.
const IDENTITY: [&str; 4] = ["X-Tenant-ID", "X-Customer-ID", "X-Subject", "X-Request-ID"];

/// Names that state an address, a host, a method or a path.
const FORWARDED: [&str; 21] = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "X-Forwarded-Prefix",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "Remote-User",
    "X-Remote-User",
    "Proxy",
];

/// Every way to spell a name that some server behind a gateway takes for the same name.
fn spellings(name: &str) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    let odd: String = lower
        .chars()
        .enumerate()
        .map(|(at, c)| if at % 2 == 0 { c } else { c.to_ascii_uppercase() })
        .collect();
    let mut all = vec![
        name.to_owned(),
        lower.clone(),
        name.to_ascii_uppercase(),
        odd,
        format!("{name}-"),
        format!("{lower}_"),
        format!("-{name}"),
        format!("_{lower}"),
        format!("--{name}--"),
        format!("{lower}."),
    ];
    if name.contains('-') {
        all.extend([
            name.replace('-', "_"),
            lower.replace('-', "_"),
            lower.replacen('-', "_", 1),
            lower.replace('-', "."),
            lower.replace('-', "~"),
            lower.replace('-', "!"),
            lower.replace('-', "--"),
            lower.replace('-', "__"),
            lower.replace('-', "-_"),
        ]);
    }
    all
}

/// A name as the most lenient server reads it: one sign for each run of signs, none at the ends.
fn leniently(name: &str) -> String {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
}

/// What is wrong with a request at the backend; `None` if it carries just what was verified.
fn spoofed(request: &RawRequest, signed_in: bool) -> Option<String> {
    let wrong = |what: String| Some(format!("{what} in {request:?}"));
    let text = format!("{} {:?} {:?}", request.line, request.fields, request.trailers);
    if text.contains(MARK) || text.contains(ADDRESS) || String::from_utf8_lossy(&request.body).contains(MARK)
    {
        return wrong("something made up".to_owned());
    }
    let read = |wanted: &str| -> Vec<(&str, &str)> {
        request
            .fields
            .iter()
            .filter(|(name, _)| leniently(name) == leniently(wanted))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    };
    for (name, value) in [
        ("X-Tenant-ID", "cust-1"),
        ("X-Customer-ID", "cust-1"),
        ("X-Subject", "user-1"),
    ] {
        let found = read(name);
        let right = match found.as_slice() {
            [(spelling, seen)] => signed_in && spelling.eq_ignore_ascii_case(name) && *seen == value,
            [] => !signed_in,
            _ => false,
        };
        if !right {
            return wrong(format!("{name}: {found:?}"));
        }
    }
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("Host", "api.test"),
    ] {
        let found = read(name);
        if found.len() != 1 || found[0].1 != value || !found[0].0.eq_ignore_ascii_case(name) {
            return wrong(format!("{name}: {found:?}"));
        }
    }
    let trailers_wanted: &[&str] = if request.body == b"abc" {
        &["x-fine: yes"]
    } else {
        &[]
    };
    let chunked = !request.all("transfer-encoding").is_empty();
    if chunked && request.trailers != trailers_wanted {
        return wrong("other trailers than the harmless one".to_owned());
    }
    if request.all("trailer").iter().any(|line| *line != "x-fine") {
        return wrong("an announcement of more than the harmless one".to_owned());
    }
    if read("X-Request-ID").len() != 1 {
        return wrong("not one request id".to_owned());
    }
    for name in FORWARDED
        .into_iter()
        .chain(["TenantID", "Authorization", "Connection", "Upgrade"])
    {
        let ours = ["X-Forwarded-For", "X-Forwarded-Proto"].contains(&name);
        if !ours && !read(name).is_empty() {
            return wrong(format!("{name} goes up"));
        }
    }
    None
}

/// Status of the answer, or 0 when the connection just closed.
fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer)
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

/// A request's lines after `Host`, and its body with the trailers.
struct Case {
    name: String,
    lines: String,
    body: String,
}

fn lines(name: impl Into<String>, lines: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        lines: lines.into(),
        body: String::new(),
    }
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    // CVE-2025-64484, CVE-2026-33433, GHSA-f59h-q822-g45g: aliases.
    for name in IDENTITY {
        for spelling in spellings(name) {
            all.push(lines(
                format!("alias {spelling}"),
                format!("{spelling}: {MARK}\r\n"),
            ));
        }
        all.push(lines(
            format!("{name} twice"),
            format!("{name}: {MARK}\r\n{name}: {MARK}-2\r\n"),
        ));
        all.push(lines(
            format!("{name} in two spellings"),
            format!("{name}: {MARK}\r\n{}: {MARK}\r\n", name.replace('-', "_")),
        ));
        all.push(lines(
            format!("{name} as a list"),
            format!("{name}: cust-1, {MARK}\r\n"),
        ));
        all.push(lines(format!("{name} empty"), format!("{name}:\r\n")));
        // CVE-2024-45410, CVE-2025-48865, CVE-2026-105299: names that Connection lists.
        for listed in [name.to_owned(), name.to_ascii_lowercase(), name.replace('-', "_")] {
            all.push(lines(
                format!("Connection lists {listed}"),
                format!("Connection: {listed}\r\n{listed}: {MARK}\r\n"),
            ));
            all.push(lines(
                format!("Connection lists {listed} in its second line, among others"),
                format!(
                    "Connection: x-one\r\nConnection: keep-alive , {listed},, x-two\r\n{name}: {MARK}\r\n"
                ),
            ));
        }
    }
    all.push(lines(
        "Connection lists what the gateway sets",
        "Connection: x-forwarded-for, x-forwarded-host, x-forwarded-proto, traceparent, host\r\n",
    ));
    all.push(lines(
        "Connection lists Connection",
        format!("Connection: Connection, X-Tenant-ID\r\nX-Tenant-ID: {MARK}\r\n"),
    ));
    all.push(lines(
        "Proxy-Connection and Keep-Alive list it",
        format!("Proxy-Connection: X-Tenant-ID\r\nKeep-Alive: X-Tenant-ID\r\nX-Tenant-ID: {MARK}\r\n"),
    ));
    // CVE-2026-40575, GHSA-5m6w-wvh7-57vm, GHSA-6384-m2mw-rf54: forwarded addresses and paths.
    for name in FORWARDED {
        for spelling in [
            name.to_owned(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replace('-', "--"),
            format!("{name}_"),
        ] {
            all.push(lines(
                format!("forwarded {spelling}"),
                format!("{spelling}: for={ADDRESS};{MARK}\r\n{spelling}: {ADDRESS}\r\n"),
            ));
        }
    }
    // RFC 9110 section 6.5: trailers.
    for (name, trailer) in [
        ("exact", "X-Tenant-ID: spoofed"),
        ("lower case", "x-tenant-id: spoofed"),
        ("underscores", "X_Tenant_ID: spoofed"),
        ("mixed", "x_customer-id: spoofed"),
        ("a dot", "x.subject: spoofed"),
        ("signs at the end", "X-Tenant-ID--: spoofed"),
        ("doubled signs", "X--Tenant-ID: spoofed"),
        ("the request id", "X-Request-ID: spoofed"),
        ("the selector", "TenantID: spoofed"),
        ("forwarded", "Forwarded: for=9.9.9.9"),
        ("X-Forwarded-For", "X-Forwarded-For: 9.9.9.9"),
        ("X_Forwarded_For", "X_Forwarded_For: 9.9.9.9"),
        ("X-Original-URL", "X-Original-URL: /spoofed"),
        ("Authorization", "Authorization: Bearer spoofed"),
        ("Host", "Host: spoofed"),
        ("Cookie", "Cookie: spoofed"),
        ("Content-Length", "Content-Length: 0\r\nX-Tenant-ID: spoofed"),
        (
            "Transfer-Encoding",
            "Transfer-Encoding: chunked\r\nX-Tenant-ID: spoofed",
        ),
    ] {
        all.push(Case {
            name: format!("trailer: {name}"),
            // Announced, or HTTP/1.1 would not send it on; beside one that is harmless and must pass.
            lines: format!(
                "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Fine, {}\r\nTrailer: X-Tenant-ID\r\n",
                trailer.split(':').next().unwrap_or_default()
            ),
            body: format!("3\r\nabc\r\n0\r\nX-Fine: yes\r\n{trailer}\r\n\r\n"),
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_makes_up_reaches_the_backend_as_identity() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let token = single.token("cust-1");
    let mut failures = String::new();
    let cases = cases();
    println!("{} cases, each with and without credentials", cases.len());
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for case in &cases {
        for (path, authorization) in [
            ("/a", format!("Authorization: {token}\r\n")),
            ("/open/a", String::new()),
        ] {
            let method = if case.body.is_empty() { "GET" } else { "POST" };
            let bytes = format!(
                "{method} {path} HTTP/1.1\r\nHost: api.test\r\n{authorization}{}Connection: close\r\n\r\n{}",
                case.lines, case.body
            );
            let answer = raw(single.address, bytes.as_bytes()).await;
            let (requests, faults) = backend.take();
            let why = match requests.as_slice() {
                _ if !faults.is_empty() => Some(format!("the backend could not read: {faults:?}")),
                [request] if status(&answer) == 200 => spoofed(request, path == "/a"),
                _ => Some(format!(
                    "{} and {} at the backend",
                    status(&answer),
                    requests.len()
                )),
            };
            if let Some(why) = why {
                let _ = writeln!(failures, "{} at {path}: {why}", case.name);
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_selector_is_obeyed_or_refused_and_never_ignored() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let token = single.token("msp-1");
    let mut table: Vec<(String, Result<&str, u16>)> = vec![
        (String::new(), Ok("msp-1")),
        ("TenantID: tenant-a\r\n".to_owned(), Ok("tenant-a")),
        ("tenantid: tenant-a\r\n".to_owned(), Ok("tenant-a")),
        ("TENANTID: tenant-a\r\n".to_owned(), Ok("tenant-a")),
        ("tEnAnTiD: tenant-a\r\n".to_owned(), Ok("tenant-a")),
        ("TenantID: msp-1\r\n".to_owned(), Ok("msp-1")),
        (
            "Connection: TenantID\r\nTenantID: tenant-a\r\n".to_owned(),
            Ok("tenant-a"),
        ),
        ("TenantID: tenant-b\r\n".to_owned(), Err(403)),
        ("TenantID:\r\n".to_owned(), Err(400)),
        ("TenantID: tenant-a, msp-1\r\n".to_owned(), Err(400)),
        (
            "TenantID: tenant-a\r\nTenantID: tenant-a\r\n".to_owned(),
            Err(400),
        ),
        ("TenantID: tenant-a\r\ntenantid: msp-1\r\n".to_owned(), Err(400)),
        (
            "TenantID: tenant-a\r\nTenant_ID: tenant-a\r\n".to_owned(),
            Err(400),
        ),
        ("TenantID: msp-1\r\nTenantID_: tenant-a\r\n".to_owned(), Err(400)),
        ("TenantID: tenant a\r\n".to_owned(), Err(400)),
        ("TenantID: tenant-\u{e4}\r\n".to_owned(), Err(400)),
        // Other names are other names.
        (
            "X-TenantID: tenant-a\r\nTenant: tenant-a\r\n".to_owned(),
            Ok("msp-1"),
        ),
    ];
    for spelling in [
        "Tenant_ID",
        "Tenant-ID",
        "tenant_id",
        "tenant-id",
        "tenant.id",
        "TENANT_ID",
        "TenantID_",
        "TenantID-",
        "_TenantID",
        "-TenantID",
        "TenantID.",
        "Tenant--ID",
        "Tenant__ID",
        "--TenantID--",
        "t-e-n-a-n-t-i-d",
    ] {
        table.push((format!("{spelling}: tenant-a\r\n"), Err(400)));
    }
    println!("{} selectors", table.len());
    let mut failures = String::new();
    for (lines, expected) in &table {
        let bytes = format!(
            "GET /a HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\n{lines}Connection: close\r\n\r\n"
        );
        let answer = raw(single.address, bytes.as_bytes()).await;
        let (requests, faults) = backend.take();
        let observed = match requests.as_slice() {
            [one] => Ok(one.all("x-tenant-id").join("|")),
            _ => Err(status(&answer)),
        };
        let payers_right = requests.iter().all(|one| one.all("x-customer-id") == ["msp-1"]);
        let leaks = requests.iter().any(|one| {
            one.fields
                .iter()
                .any(|(name, _)| leniently(name).replace('-', "") == "tenantid")
        });
        if observed != expected.map(str::to_owned) || !faults.is_empty() || !payers_right || leaks {
            let _ = writeln!(
                failures,
                "{lines:?}: {expected:?} is expected, {observed:?} seen, {requests:?}"
            );
        }
        if *expected == Err(400) {
            assert!(
                String::from_utf8_lossy(&answer).contains("tenant_invalid"),
                "{lines:?}: {}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_the_same_is_cleaned_and_what_lists_names_is_refused() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let token = single.token("cust-1");
    let base = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a"),
        (":authority", "api.test"),
        ("authorization", token.as_str()),
    ];
    let mut failures = String::new();
    let mut check = |name: String, answered: bool, clean: bool| {
        let (requests, faults) = backend.take();
        let why = match requests.as_slice() {
            _ if !faults.is_empty() => Some(format!("{faults:?}")),
            [request] if clean => spoofed(request, true),
            [] if !clean && !answered => None,
            _ => Some(format!("answered {answered}, {requests:?}")),
        };
        if let Some(why) = why {
            let _ = writeln!(failures, "{name}: {why}");
        }
    };
    let mut aliases: Vec<String> = IDENTITY.iter().flat_map(|name| spellings(name)).collect();
    aliases.extend(FORWARDED.iter().map(|name| (*name).to_owned()));
    aliases.retain(|name| name.chars().all(|c| !c.is_ascii_uppercase()));
    aliases.extend(
        FORWARDED
            .iter()
            .map(|name| name.to_ascii_lowercase().replace('-', "_")),
    );
    for name in &aliases {
        let head: Vec<_> = base
            .into_iter()
            .chain([(name.as_str(), "spoofed, 9.9.9.9")])
            .collect();
        let answered = over_http2(single.address, &head, &[]).await;
        check(format!("alias {name}"), answered, true);
    }
    for trailer in [
        "x-tenant-id",
        "x_tenant_id",
        "x.customer.id",
        "x--subject",
        "x-request-id",
        "tenantid",
        "forwarded",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-original-url",
        "authorization",
        "host",
    ] {
        let announced = format!("x-fine, {trailer}");
        let head: Vec<_> = base
            .into_iter()
            .chain([("trailer", announced.as_str())])
            .collect();
        let trailers = [("x-fine", "yes"), (trailer, "spoofed, 9.9.9.9")];
        let answered = over_http2(single.address, &head, &trailers).await;
        check(format!("trailer {trailer}"), answered, true);
    }
    println!("{} aliases over HTTP/2", aliases.len());
    // RFC 9113 section 8.2.2: connection-specific fields make a request malformed; section 8.3: pseudo-fields in
    // trailers do, and section 8.2.1: upper case and signs that end a line in HTTP/1.
    for (name, value) in [
        ("connection", "x-tenant-id"),
        ("connection", "close, x-tenant-id"),
        ("proxy-connection", "x-tenant-id"),
        ("keep-alive", "x-tenant-id"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("X-Tenant-ID", "spoofed"),
        ("x-tenant-id: spoofed\r\nx", "y"),
        ("x-a", "b\r\nX-Tenant-ID: spoofed"),
        ("x-a", "b\nX-Tenant-ID: spoofed"),
        ("x-a", "b\0c"),
        ("x-tenant-id ", "spoofed"),
        ("x-tenant-id:", "spoofed"),
        (":tenant", "spoofed"),
        (":path", "/spoofed"),
        ("host", "spoofed.test"),
        ("content-length", "17"),
    ] {
        let head: Vec<_> = base.into_iter().chain([(name, value)]).collect();
        let answered = over_http2(single.address, &head, &[]).await;
        check(format!("field {name:?}: {value:?}"), answered, false);
    }
    // Section 8.1 calls a pseudo-field in trailers malformed; the library drops it instead, which is as safe.
    let head: Vec<_> = base.into_iter().chain([("trailer", "x-fine")]).collect();
    over_http2(single.address, &head, &[("x-fine", "yes"), (":path", "/spoofed")]).await;
    let (requests, _) = backend.take();
    assert!(
        requests.iter().all(|one| spoofed(one, true).is_none()),
        "{requests:?}"
    );
    assert!(failures.is_empty(), "\n{failures}");
}

/// The rest of a request on a kept-alive connection must not inherit what one before it verified.
#[tokio::test(flavor = "multi_thread")]
async fn identity_of_one_call_does_not_stick_to_the_connection() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let token = single.token("cust-1");
    let bytes = format!(
        "GET /a HTTP/1.1\r\nHost: api.test\r\nAuthorization: {token}\r\n\r\nGET /open/a HTTP/1.1\r\nHost: api.test\r\n\r\nGET /a HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(single.address, bytes.as_bytes()).await;
    let (requests, _) = backend.take();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(spoofed(&requests[0], true), None);
    assert_eq!(spoofed(&requests[1], false), None);
    assert!(String::from_utf8_lossy(&answer).contains("HTTP/1.1 401"));
}
