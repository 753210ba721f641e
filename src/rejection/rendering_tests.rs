use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::identity::LimitName;
use crate::rejection::{BadRequest, BadVersion, OutOfRange, RateLimited, WrongRegion};

/// One of each, in the order of [`Code::ALL`]. Does not compile with a variant missing, as `code` is exhaustive.
fn one_of_each() -> Vec<Rejection> {
    vec![
        Rejection::BadRequest(BadRequest::Host),
        Rejection::ItemCapExceeded { found: 51, max: 50 },
        Rejection::TenantInvalid,
        Rejection::VersionUnsupported(BadVersion::TooNew {
            newest: "30.2.1".into(),
        }),
        Rejection::ParameterOutOfRange(Box::new(OutOfRange {
            name: "page_size".to_owned(),
            min: 1,
            max: 200,
        })),
        Rejection::MediaTypeUnsupported,
        Rejection::CredentialsMissing,
        Rejection::CredentialsInvalid("the signature of key 17 is wrong"),
        Rejection::TokenExpired,
        Rejection::SessionEnded("worker 3 forgot it"),
        Rejection::SignInFailed,
        Rejection::LockedOut {
            retry_after_seconds: 42,
        },
        Rejection::AccountSuspended {
            retry_after_seconds: 42,
        },
        Rejection::ClientUnknown("the signature is wrong"),
        Rejection::ScopeMissing {
            needed: HeaderValue::from_static("devices:read devices:write"),
        },
        Rejection::RoleMissing,
        Rejection::TenantForbidden,
        Rejection::SignInNeeded {
            location: HeaderValue::from_static("/login"),
        },
        Rejection::ProviderRefused("key 17"),
        Rejection::CsrfFailed("the queue"),
        Rejection::AccountInactive("key 17"),
        Rejection::NoRoute,
        Rejection::MethodNotAllowed {
            allow: HeaderValue::from_static("GET, HEAD"),
        },
        Rejection::RouteGone,
        Rejection::BodyTooLarge { limit: 1024 },
        Rejection::UriTooLong,
        Rejection::HeadersTooLarge,
        Rejection::WrongRegion(Box::new(WrongRegion {
            host: "eu.example.com".to_owned(),
            redirect: None,
        })),
        Rejection::ExpectationFailed,
        Rejection::RequestTimeout,
        limited(),
        Rejection::Internal(0xdead_beef),
        Rejection::NotImplemented("method"),
        Rejection::UpstreamUnreachable,
        Rejection::UpstreamInvalid,
        Rejection::RegionUnavailable,
        Rejection::UpstreamNotReady {
            retry_after_seconds: 5,
        },
        Rejection::Overloaded("the queue of worker 3 is full"),
        Rejection::AuthorityUnavailable,
        Rejection::StoreUnavailable,
        Rejection::UpstreamTimeout {
            after: Duration::from_secs(10),
        },
    ]
}

fn limited() -> Rejection {
    Rejection::RateLimited(Box::new(RateLimited {
        limit: LimitName::try_from("per-customer").unwrap(),
        tokens: 7,
        period_seconds: 1,
        retry_after_seconds: 3,
        fields: vec![(
            HeaderName::from_static("x-ratelimit-remaining-second"),
            HeaderValue::from_static("0"),
        )],
    }))
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn look(status: u16, content_type: Option<&'static str>, body: &str) -> Look {
    Look {
        status: StatusCode::from_u16(status).unwrap(),
        headers: Vec::new(),
        content_type: content_type.map(HeaderValue::from_static),
        body: body.to_owned(),
    }
}

#[test]
fn every_refusal_is_problem_json_by_default() {
    let looks = Looks::standard();
    let all = one_of_each();
    assert_eq!(all.iter().map(Rejection::code).collect::<Vec<_>>(), Code::ALL);
    for rejection in &all {
        let response = looks.render(rejection, "0af7");
        let code = rejection.code();
        assert_eq!(response.status(), code.status());
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let problem = json(&response);
        let shown = if code == Code::LockedOut {
            Code::SignInFailed
        } else {
            code
        };
        assert_eq!(problem["code"], shown.as_str());
        assert_eq!(problem["title"], shown.title());
        assert_eq!(problem["status"], code.status().as_u16());
        assert_eq!(problem["instance"], "0af7");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with('.') && detail.len() > 10, "{detail}");
    }
}

#[test]
fn internals_never_reach_the_client() {
    for rejection in one_of_each() {
        let response = Looks::standard().render(&rejection, "0af7");
        let text = format!("{response:?}").to_ascii_lowercase();
        for inside in [
            "signature",
            "key 17",
            "deadbeef",
            "worker",
            "queue",
            "10s",
            "per-customer",
        ] {
            assert!(!text.contains(inside), "{inside} in {text}");
        }
    }
}

#[test]
fn rfc6750_3_challenges() {
    let challenge = |rejection: Rejection| {
        let response = Looks::standard().render(&rejection, "0");
        response
            .headers()
            .get(WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        challenge(Rejection::CredentialsMissing).as_deref(),
        Some("Bearer")
    );
    assert_eq!(
        challenge(Rejection::CredentialsInvalid("x")).as_deref(),
        Some("Bearer error=\"invalid_token\", error_description=\"The token is not valid\"")
    );
    assert_eq!(
        challenge(Rejection::TokenExpired).as_deref(),
        Some("Bearer error=\"invalid_token\", error_description=\"The token has expired\"")
    );
    assert_eq!(
        challenge(Rejection::ScopeMissing {
            needed: HeaderValue::from_static("a b")
        })
        .as_deref(),
        Some("Bearer error=\"insufficient_scope\", scope=\"a b\"")
    );
    assert_eq!(
        challenge(Rejection::RoleMissing).as_deref(),
        Some("Bearer error=\"insufficient_scope\"")
    );
    assert_eq!(challenge(Rejection::TenantForbidden), None);
}

#[test]
fn where_passwords_are_taken_a_401_says_so_unless_a_dialect_says_something_else() {
    let offered = Offered::BearerAndBasic {
        realm: crate::identity::ApiName::try_from("things").unwrap(),
    };
    let mut own = look(401, None, "");
    own.headers.push((WWW_AUTHENTICATE, "Bearer".to_owned()));
    let looks = Looks::offering(&[(Code::TokenExpired, own)], &offered).unwrap();
    let challenges = |rejection: Rejection| -> Vec<String> {
        let answer = looks.render(&rejection, "0");
        let fields = answer.headers().get_all(WWW_AUTHENTICATE);
        fields
            .iter()
            .map(|field| field.to_str().unwrap().to_owned())
            .collect()
    };
    let basic = "Basic realm=\"things\", charset=\"UTF-8\"";
    assert_eq!(challenges(Rejection::CredentialsMissing), ["Bearer", basic]);
    assert_eq!(challenges(Rejection::SignInFailed), ["Bearer", basic]);
    assert_eq!(challenges(Rejection::TokenExpired), ["Bearer"]);
    assert_eq!(
        challenges(Rejection::RoleMissing),
        ["Bearer error=\"insufficient_scope\""]
    );
}

#[test]
fn what_http_asks_for_is_in_every_look() {
    for looks in [
        Looks::standard(),
        Looks::compile(&[
            (Code::MethodNotAllowed, look(405, None, "")),
            (
                Code::RateLimited,
                look(
                    429,
                    Some("application/json"),
                    "{\"message\":\"API rate limit exceeded\"}",
                ),
            ),
            (Code::CredentialsInvalid, look(401, None, "")),
        ])
        .unwrap(),
    ] {
        let refused = looks.render(
            &Rejection::MethodNotAllowed {
                allow: HeaderValue::from_static("GET"),
            },
            "0",
        );
        assert_eq!(refused.headers()[ALLOW], "GET");
        let refused = looks.render(&limited(), "0");
        assert_eq!(refused.headers()[RETRY_AFTER], "3");
        assert_eq!(refused.headers()["x-ratelimit-remaining-second"], "0");
        let refused = looks.render(&Rejection::CredentialsInvalid(""), "0");
        assert!(
            refused.headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .contains("invalid_token")
        );
        assert_eq!(
            looks.render(&Rejection::Overloaded(""), "0").headers()[RETRY_AFTER],
            "1"
        );
    }
}

#[test]
fn a_dialect_changes_status_fields_and_body() {
    let mut row = look(
        418,
        Some("application/json; charset=utf-8"),
        "{\"e\":\"{code}\",\"n\":\"{limit}\",\"r\":{retry_after}}",
    );
    row.headers = vec![
        (HeaderName::from_static("x-error"), "{code}".to_owned()),
        (HeaderName::from_static("x-request"), "id={request_id}".to_owned()),
        (RETRY_AFTER, "60".to_owned()),
    ];
    let looks = Looks::compile(&[(Code::RateLimited, row)]).unwrap();
    let response = looks.render(&limited(), "0af7");
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["x-error"], "rate_limited");
    assert_eq!(response.headers()["x-request"], "id=0af7");
    assert_eq!(response.headers()[RETRY_AFTER], "60");
    assert_eq!(
        json(&response),
        serde_json::json!({"e": "rate_limited", "n": "per-customer", "r": 3})
    );
    let other = looks.render(&Rejection::NoRoute, "0af7");
    assert_eq!(other.headers()[CONTENT_TYPE], "application/problem+json");
}

#[test]
fn a_401_of_a_dialect_has_a_challenge_whatever_it_means() {
    let looks = Looks::compile(&[
        (Code::TenantForbidden, look(401, None, "")),
        (Code::CredentialsMissing, look(403, None, "")),
    ])
    .unwrap();
    assert_eq!(
        looks.render(&Rejection::TenantForbidden, "0").headers()[WWW_AUTHENTICATE],
        "Bearer"
    );
    assert!(
        !looks
            .render(&Rejection::CredentialsMissing, "0")
            .headers()
            .contains_key(WWW_AUTHENTICATE)
    );
    let mut own = look(401, None, "");
    own.headers
        .push((WWW_AUTHENTICATE, "Bearer realm=\"x\"".to_owned()));
    let looks = Looks::compile(&[(Code::CredentialsMissing, own)]).unwrap();
    let answer = looks.render(&Rejection::CredentialsMissing, "0");
    assert_eq!(
        answer
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .collect::<Vec<_>>(),
        ["Bearer realm=\"x\""]
    );
}

#[test]
fn a_locked_name_looks_like_a_wrong_password_unless_a_dialect_says_otherwise() {
    let locked = Rejection::LockedOut {
        retry_after_seconds: 42,
    };
    let row = look(401, Some("application/json"), "{\"m\":\"no\"}");
    for looks in [
        Looks::standard(),
        Looks::compile(&[(Code::SignInFailed, row)]).unwrap(),
    ] {
        let (one, other) = (
            looks.render(&locked, "0"),
            looks.render(&Rejection::SignInFailed, "0"),
        );
        assert_eq!(one.status(), other.status());
        assert_eq!(one.headers(), other.headers());
        assert_eq!(one.body(), other.body());
    }
    let row = look(429, Some("application/json"), "{\"wait\":{retry_after}}");
    let told = Looks::compile(&[(Code::LockedOut, row)])
        .unwrap()
        .render(&locked, "0");
    assert_eq!(told.status(), 429);
    assert_eq!(told.headers()[RETRY_AFTER], "42");
    assert_eq!(told.body(), "{\"wait\":42}");
}

#[test]
fn values_are_escaped_for_the_content_type() {
    let wrong = Rejection::WrongRegion(Box::new(WrongRegion {
        host: "\"<b>".to_owned(),
        redirect: None,
    }));
    for (content_type, expected) in [
        ("application/json", "\"\\\"\\u003cb\\u003e\""),
        ("text/html; charset=utf-8", "\"&#34;&#60;b&#62;\""),
        ("text/plain", "\"\"<b>\""),
    ] {
        let looks =
            Looks::compile(&[(Code::WrongRegion, look(421, Some(content_type), "\"{host}\""))]).unwrap();
        assert_eq!(looks.render(&wrong, "0").body(), expected, "{content_type}");
    }
}

#[test]
fn a_row_that_depends_on_nothing_is_shared() {
    let looks = Looks::compile(&[(
        Code::NoRoute,
        look(404, Some("application/json"), "{\"m\":\"{title}\"}"),
    )])
    .unwrap();
    let first = looks.render(&Rejection::NoRoute, "1").into_body();
    let second = looks.render(&Rejection::NoRoute, "2").into_body();
    assert_eq!(first.as_ptr(), second.as_ptr());
}

#[test]
fn a_call_at_the_wrong_door_can_be_sent_to_the_right_one() {
    let redirect = Some(HeaderValue::from_static("https://eu.example.com/a?b"));
    let wrong = Rejection::WrongRegion(Box::new(WrongRegion {
        host: "eu.example.com".to_owned(),
        redirect,
    }));
    let response = Looks::standard().render(&wrong, "0");
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()[LOCATION], "https://eu.example.com/a?b");
    assert!(response.body().is_empty() && !response.headers().contains_key(CONTENT_TYPE));
}

#[test]
fn a_look_that_cannot_be_used_is_refused_at_load() {
    let refused = |look: Look| Looks::compile(&[(Code::NoRoute, look)]).unwrap_err().to_string();
    assert_eq!(
        refused(look(404, Some("application/json"), "{\"m\": {detail}}")),
        "the body of `no_route` is not JSON: expected value at line 1 column 7"
    );
    assert_eq!(
        refused(look(404, None, "{retry_after}")),
        "body of `no_route`: `{retry_after}` has no value in `no_route`"
    );
    assert!(refused(look(404, None, "{oops}")).contains("unknown placeholder `{oops}`"));
    assert_eq!(
        refused(look(204, None, "x")),
        "a refusal cannot have the status 204 (`no_route`)"
    );
    assert_eq!(
        refused(look(101, None, "")),
        "a refusal cannot have the status 101 (`no_route`)"
    );
    let mut framing = look(404, None, "");
    framing
        .headers
        .push((http::header::CONTENT_LENGTH, "0".to_owned()));
    assert_eq!(
        refused(framing),
        "`content-length` cannot be set for `no_route`: the gateway writes it"
    );
    let mut value = look(404, None, "");
    value
        .headers
        .push((HeaderName::from_static("x-a"), "a\nb".to_owned()));
    assert_eq!(
        refused(value),
        "the value of `x-a` of `no_route` cannot be a header field's"
    );
}

/// One line of the table in `docs/errors.md`.
fn rows_of_the_manual() -> Vec<Vec<String>> {
    include_str!("../../docs/errors.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn the_manual_has_every_code_with_its_status_and_fault() {
    let rows = rows_of_the_manual();
    let named: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(
        named,
        Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()
    );
    for (row, code) in rows.iter().zip(Code::ALL) {
        assert_eq!(row[1], code.status().as_str(), "{}", code.as_str());
        assert_eq!(
            row[2],
            format!("{:?}", code.fault()).to_lowercase(),
            "{}",
            code.as_str()
        );
        assert!(
            row[3].len() > 10 && row[4].len() > 10,
            "{} is not explained",
            code.as_str()
        );
        assert_eq!(Code::from_text(code.as_str()), Some(*code));
    }
}
