//! The fuzz targets without a fuzzer: the checks of `fuzz/checks.rs` on generated input.
//!
//! Half of the inputs are arbitrary bytes, half are put together from fragments that matter to the parser, since
//! arbitrary bytes seldom get past its first test. `FUZZ_SECONDS=30` goes on for so long per target.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the length of the run comes from the environment"
)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn bytes_or(fragments: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let joined = proptest::collection::vec(proptest::sample::select(fragments), 0..24)
        .prop_map(|parts| parts.concat().into_bytes());
    let broken =
        (joined.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        2 => joined,
        1 => broken,
    ]
}

fn drive(name: &str, fragments: &'static [&'static str], check: fn(&[u8])) {
    let seconds: u64 = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut inputs = 0;
    loop {
        let cases = 2048;
        let mut runner = TestRunner::new(Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        });
        runner
            .run(&bytes_or(fragments), |data| {
                check(&data);
                Ok(())
            })
            .unwrap_or_else(|failure| panic!("{name}: {failure}"));
        inputs += cases;
        if Instant::now() >= until {
            break;
        }
    }
    println!("{name}: {inputs} inputs, nothing found");
}

#[test]
fn a_normal_path_is_stable_and_hides_nothing() {
    drive(
        "path",
        &[
            "/", "a", "b.c", ".", "..", "%2e", "%2E", "%2f", "%5C", "\\", ";", ";x=1", "%25", "2e", "2f",
            "%00", "//", "%c3%a4", "%ff", "~", "%7e", "?", "#", " ", "%20", "ä", "...", "%", "%2", "A", ":",
            "@",
        ],
        checks::path,
    );
}

#[test]
fn a_head_that_passes_the_guard_is_read_in_one_way() {
    drive(
        "head",
        &[
            "1 GET /",
            "2 POST /",
            "0 GET /",
            "1 OPTIONS *",
            "1 GET http://a.test/x",
            "1 CONNECT a:1",
            "a/../b",
            "?q=1&r|s",
            "\n",
            "\nHost: a.test",
            "\nHost: A.test:80",
            "\nhost: [::1]:8",
            "\nHost: a@b",
            "\nContent-Length: 1",
            "\nContent-Length: 1, 1",
            "\nTransfer-Encoding: chunked",
            "\nTransfer-Encoding: x",
            "\nConnection: close, x-tenant-id",
            "\nX: y",
            "\nExpect: 100-continue",
            "\nUpgrade: h2c",
            "/",
            "%2e",
            ";",
        ],
        checks::head,
    );
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    drive(
        "forwarded",
        &[
            "X-Forwarded-For: ",
            "Forwarded: ",
            "for=",
            "10.0.0.2",
            "198.51.100.7",
            "\"[2001:db8::1]:80\"",
            "[fd00::1]",
            ", ",
            ";",
            "proto=https",
            "unknown",
            "_hidden",
            "\n",
            "\"",
            "\\",
            " ",
            ":1",
            "::ffff:10.0.0.1",
            "by=x",
        ],
        checks::forwarded,
    );
}

#[test]
fn a_bearer_token_is_the_only_credential_and_has_its_grammar() {
    drive(
        "authorization",
        &[
            "Bearer",
            "bearer ",
            " ",
            "  ",
            "\t",
            "abc",
            "a.b.c",
            "=",
            "==",
            ",",
            "Basic eDp5",
            "basic ",
            "eDp5",
            "Og==",
            "dSUzYTpw",
            "\"",
            "\n",
            "ä",
            ";",
            "~+/",
        ],
        checks::authorization,
    );
}

#[test]
fn a_cookie_has_a_name_and_comes_back_as_it_was_set() {
    drive(
        "cookie",
        &[
            "session",
            "=",
            ";",
            "; ",
            "a",
            "__Host-a",
            "__Secure-",
            "\"",
            " ",
            "\t",
            "\n",
            "ä",
            "\\",
            ",",
            "==",
            "csrftoken=x",
        ],
        checks::cookie,
    );
}

#[test]
fn a_form_is_what_it_is_when_it_is_written_anew() {
    drive(
        "form",
        &[
            "code", "c%6fde", "=", "&", "&&", "+", "%2B", "%", "%c3%a4", "%ff", "%00", "ä", ";", "a",
            "password", "%zz", "\n",
        ],
        checks::form,
    );
}

#[test]
fn a_request_of_this_host_is_read_so_by_others_too() {
    drive(
        "origin",
        &[
            "a.test\n",
            "a.test:8443\n",
            "https://",
            "HTTPS://",
            "http://",
            "a.test",
            "A.test.",
            ":443",
            ":8443",
            "/",
            "?",
            "#",
            "@",
            "\\",
            "[::1]",
            "null",
            "\n",
            "\n",
            " ",
            "%61",
        ],
        checks::origin,
    );
}

#[test]
fn a_password_hash_is_written_as_it_came() {
    drive(
        "password_hash",
        &[
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$",
            "$argon2id",
            "$v=19",
            "$m=256,t=2,p=1",
            "$m=262145,t=2,p=1",
            "$c29tZXNhbHQ",
            "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$",
            "=",
            ",",
            "0",
            "+",
            "AAAA",
            "$2b$12$",
        ],
        checks::password_hash,
    );
}

#[test]
fn spellings_of_a_name_are_one_name() {
    drive(
        "user_name",
        &[
            "a",
            "A",
            "ß",
            "ẞ",
            "ς",
            "Σ",
            "İ",
            "ı",
            "ŉ",
            "ﬁ",
            "Ａ",
            "o\u{308}",
            "ö",
            "\u{345}",
            "@",
            ".",
            "example.com",
            " ",
            "\u{a0}",
            "\u{200b}",
            "\0",
            "-",
            "\"",
            "ǅ",
            "\u{fdfa}",
        ],
        checks::user_name,
    );
}

#[test]
fn a_redirection_uri_leads_to_one_place() {
    drive(
        "redirect_uri",
        &[
            "https://a.test/cb",
            "http://127.0.0.1",
            "http://[::1]",
            "http://localhost",
            ":80",
            ":8080",
            "/cb",
            "\n",
            "\nhttp://127.0.0.1",
            "?x=1",
            "?",
            "#",
            "@",
            ".",
            "..",
            "%2f",
            "%",
            "\\",
            "A",
            "com.example:/",
        ],
        checks::redirect_uri,
    );
}

#[test]
fn the_query_is_read_as_others_read_it() {
    drive(
        "query",
        &[
            "limit", "=", "&", "50", "51", "-1", "%6c", "limi%74", "+", ";", "offset", "?", "#", "ä", "%",
            "%zz", " ",
        ],
        checks::query,
    );
}

#[test]
fn the_item_counter_agrees_with_serde_json_however_the_text_is_cut() {
    drive(
        "items_json",
        &[
            "\u{1}",
            "\u{9}",
            "{",
            "}",
            "[",
            "]",
            "\"devices\"",
            "\"a\":{\"b\":[",
            ":",
            ",",
            "1",
            "-0.5e3",
            "true",
            "null",
            "\"\"",
            "\"x\\u0064\"",
            "{\"devices\":[",
            "]}",
            "{}",
            " ",
            "\n",
            "\"\\ud83d\\ude00\"",
            "\"",
            "\\\"",
            "0",
        ],
        checks::items_json,
    );
}

#[test]
fn a_token_is_accepted_only_if_it_is_signed_and_says_what_is_asked_for() {
    drive(
        "jws",
        &[
            "{\"alg\":\"HS256\"}\n",
            "{\"alg\":\"HS256\",\"typ\":\"JWT\"}\n",
            "{\"alg\":\"none\"}\n",
            "{\"alg\":\"HS256\",\"crit\":[\"b64\"]}\n",
            "{\"iss\":\"https://login.test/\",\"aud\":\"api\",\"sub\":\"u\",\"exp\":1800000600}",
            "{\"iss\":\"https://login.test/\",\"aud\":[\"x\",\"api\"],\"sub\":\"u\",\"exp\":1800000000.5,",
            "\"nbf\":1800000031",
            "\"sub\":\"\"",
            "\"exp\":\"1800000600\"",
            "\"exp\":1e99",
            "{",
            "}",
            ",",
            "null",
            ".",
            "eyJhbGciOiJub25lIn0",
            "AAAA",
            "=",
        ],
        checks::jws,
    );
}

#[test]
fn any_text_is_a_plan_or_a_list_of_findings() {
    drive(
        "config_yaml",
        &[
            "listeners:\n",
            "  - address: 127.0.0.1:8080\n",
            "backends:\n",
            "  b: { endpoints: [http://127.0.0.1:9000] }\n",
            "apis:\n",
            "  a:\n    hosts: [\"*\"]\n",
            "    routes:\n",
            "      - path: /{*rest}\n",
            "        public: true\n",
            "        to: { backend: b }\n",
            "limits:\n",
            "  l: { rate: 7/s, burst: 7, per: customer }\n",
            "&x",
            "*x",
            "<<: *x\n",
            "${SECRET}",
            "${NOTHING:-1}",
            "{",
            "}",
            "[",
            ": ",
            "\n",
            "- ",
            "!!binary ",
            "|\n",
            "\"",
            "'",
            "include: fuzz.yaml\n",
            "issuers:\n  i: { issuer: \"${SECRET}\", audience: a, algorithms: ES256, keys: { secret: { environment: SECRET } } }\n",
        ],
        checks::config_yaml,
    );
}

#[test]
fn an_answer_is_read_the_same_however_its_bytes_are_cut() {
    drive(
        "answer",
        &[
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 200\r\n",
            "HTTP/1.1 204 No Content\r\n",
            "HTTP/1.1 103 Early Hints\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive, x-a\r\n",
            "Keep-Alive: timeout=5\r\n",
            "x-a: 1\r\n",
            "x-b : 1\r\n",
            " folded\r\n",
            "\r\n",
            "\n",
            "hello",
            "5\r\nhello\r\n",
            "5;x=\"y\"\r\nhello\r\n",
            "5\nhello\n",
            "0\r\n",
            "0\r\n\r\n",
            "fffffffffffffffff\r\n",
            "-5\r\n",
        ],
        checks::answer,
    );
}
