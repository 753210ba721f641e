//! Signing in at a provider: the gateway as its client, and providers that do not behave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate::base::clock::Clock;
use tollgate::gateway::{Gateway, Options};

use crate::support::client::{Got, request, send};
use crate::support::gateway::plan;
use crate::support::upstream::{Seen, Upstream};
use crate::support::world::{START, cookie, cookies};

/// A provider: what it answers to codes and refresh tokens, and which access tokens it says are good.
#[derive(Default)]
struct Script {
    answers: Vec<(u16, Value)>,
    dead: Vec<String>,
    hangs: bool,
}

struct Portal {
    gateway: Gateway,
    text: String,
    _folder: tempfile::TempDir,
    address: std::net::SocketAddr,
    provider: Upstream,
    backend: Upstream,
    clock: Clock,
    script: Arc<Mutex<Script>>,
}

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");

fn config(provider: &str, backend: &str, more: &str) -> String {
    format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
store: memory
introspections:
  idp:
    url: {provider}/introspect
    client: {{ id: portal, secret: {{ file: SECRET }} }}
    claims: {{ customer: customer, roles: roles }}
    remember: 0ms
providers:
  idp:
    issuer: https://idp.test
    authorization: https://idp.test/authorize
    token: {provider}/token
    revocation: {provider}/revoke
    end-session: https://idp.test/logout
    client: {{ id: portal, secret: {{ file: SECRET }} }}
    scopes: [openid, cases]
    judge: idp
    deadline: 300ms
    {more}
backends:
  cases: {{ endpoints: ["{backend}"] }}
apis:
  portal:
    hosts: [portal.test]
    access: {{}}
    headers: {{ subject: X-User, customer: X-Customer, roles: X-Roles }}
    sign-ins:
      portal:
        provider: idp
        redirect-uri: https://portal.test/portal/callback
        cookie: portal
        csrf: {{ headers: [X-CSRF] }}
        lifetime: 8h
        idle: 30m
        after: /portal/
        after-sign-out: https://portal.test/bye
        forwards-token: true
    routes:
      - {{ path: /portal/login, methods: [GET], public: true, to: {{ begin-sign-in: portal }} }}
      - {{ path: /portal/callback, methods: [GET], public: true, to: {{ finish-sign-in: portal }} }}
      - {{ path: /portal/logout, methods: [POST], public: true, to: {{ end-sign-in: portal }} }}
      - {{ path: "/portal/cases/{{*rest}}", credentials: [signed-in: portal], to: {{ backend: cases }} }}
      - {{ path: "/portal/admin/{{*rest}}", credentials: [signed-in: portal], access: {{ roles: [customer_admin] }}, to: {{ backend: cases }} }}
"#
    )
}

/// An ID token that nobody has signed, which the connection to the provider vouches for.
fn id_token(claims: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims))
}

fn tokens(number: u32, nonce: &str) -> Value {
    let id = json!({"iss": "https://idp.test", "aud": "portal", "sub": "u1", "exp": START.0 + 3600, "nonce": nonce});
    json!({"access_token": format!("access-{number}"), "token_type": "Bearer", "expires_in": 600,
        "refresh_token": format!("refresh-{number}"), "id_token": id_token(id)})
}

fn form(seen: &Seen) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn field(form: &[(String, String)], name: &str) -> String {
    let found = form.iter().find(|(own, _)| own == name);
    found.map_or_else(String::new, |(_, value)| value.clone())
}

impl Portal {
    async fn start() -> Portal {
        Portal::with("").await
    }

    async fn with(more: &str) -> Portal {
        Portal::changed(more, &|text| text).await
    }

    /// With a configuration that is changed so before it is read.
    async fn changed(more: &str, change: &dyn Fn(String) -> String) -> Portal {
        let script: Arc<Mutex<Script>> = Arc::default();
        let says = Arc::clone(&script);
        let provider = Upstream::behaving("provider", move |seen| {
            let mut script = says.lock().unwrap();
            match seen.target.as_str() {
                "/token" if script.hangs => {
                    // Longer than the gateway waits; nothing else runs on this thread meanwhile that the test needs.
                    drop(script);
                    std::thread::sleep(Duration::from_millis(400));
                    None
                }
                "/token" if script.answers.is_empty() => Some((400, json!({"error": "invalid_grant"}))),
                "/token" => Some(script.answers.remove(0)),
                "/introspect" => {
                    let token = field(&form(seen), "token");
                    let is_live = token.starts_with("access-") && !script.dead.contains(&token);
                    Some((200, if is_live {
                        json!({"active": true, "sub": "u1", "customer": "acme", "scope": "cases", "roles": ["customer_users"],
                            "exp": START.0 + 100_000})
                    } else {
                        json!({"active": false})
                    }))
                }
                _ => Some((200, json!({}))),
            }
        })
        .await;
        let backend = Upstream::start("cases").await;
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "the secret of the portal").expect("a file");
        let text =
            config(&provider.url(), &backend.url(), more).replace("SECRET", &secret.display().to_string());
        let text = change(text);
        let clock = Clock::manual(START);
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let gateway = Gateway::start(plan(&text), options).await.expect("to start");
        Portal {
            address: gateway.addresses()[0],
            text,
            _folder: folder,
            gateway,
            provider,
            backend,
            clock,
            script,
        }
    }

    fn says(&self, status: u16, answer: Value) {
        self.script.lock().unwrap().answers.push((status, answer));
    }

    async fn call(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Got {
        send(self.address, request(method, "portal.test", target, fields, "")).await
    }

    /// Begins to sign in: the state, the nonce, and the cookie that goes along.
    async fn begin(&self, target: &str) -> Begun {
        let got = self.call("GET", target, &[BROWSER]).await;
        assert_eq!(got.status, 302, "{}", got.text());
        let url = got.header("location").unwrap().to_owned();
        let (base, query) = url.split_once('?').unwrap();
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    percent_encoding::percent_decode_str(&value.replace('+', " "))
                        .decode_utf8_lossy()
                        .into_owned(),
                )
            })
            .collect();
        let (name, value) = cookies(&got).remove(0);
        Begun {
            base: base.to_owned(),
            state: field(&pairs, "state"),
            nonce: field(&pairs, "nonce"),
            asked: pairs,
            cookie: format!("{name}={value}"),
            set_cookie: got.header("set-cookie").unwrap().to_owned(),
        }
    }

    async fn back(&self, begun: &Begun, query: &str) -> Got {
        let fields = [BROWSER, ("cookie", begun.cookie.as_str())];
        self.call("GET", &format!("/portal/callback?{query}"), &fields)
            .await
    }

    /// Signs in: the session's cookie and its CSRF value.
    async fn signed_in(&self) -> (String, String) {
        let begun = self.begin("/portal/login").await;
        self.says(200, tokens(1, &begun.nonce));
        let got = self
            .back(
                &begun,
                &format!("code=c1&state={}&iss=https%3A%2F%2Fidp.test", begun.state),
            )
            .await;
        assert_eq!(got.status, 303, "{}", got.text());
        (
            format!("portal={}", cookie(&got, "portal")),
            cookie(&got, "csrftoken"),
        )
    }

    async fn case(&self, session: &str) -> Got {
        self.call("GET", "/portal/cases/1", &[("cookie", session)]).await
    }

    /// What the token endpoint was asked.
    fn asked(&self) -> Vec<Seen> {
        self.provider
            .seen()
            .into_iter()
            .filter(|seen| seen.target == "/token")
            .collect()
    }
}

struct Begun {
    base: String,
    asked: Vec<(String, String)>,
    state: String,
    nonce: String,
    cookie: String,
    set_cookie: String,
}

/// PULSE-01 to PULSE-06, PULSE-09, PULSE-11, PULSE-12.
#[tokio::test]
async fn a_browser_is_sent_to_the_provider_and_comes_back_with_a_code_for_a_session_whose_token_goes_to_the_backend()
 {
    let portal = Portal::start().await;
    let first = portal.call("GET", "/portal/cases/1?x=1&y", &[BROWSER]).await;
    assert_eq!(first.status, 302);
    assert_eq!(
        first.header("location"),
        Some("/portal/login?return_to=%2Fportal%2Fcases%2F1%3Fx%3D1%26y")
    );
    let begun = portal.begin(first.header("location").unwrap()).await;
    assert_eq!(begun.base, "https://idp.test/authorize");
    let asked = |name: &str| field(&begun.asked, name);
    assert_eq!(
        [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "code_challenge_method"
        ]
        .map(asked),
        [
            "code",
            "portal",
            "https://portal.test/portal/callback",
            "openid cases",
            "S256"
        ]
    );
    assert_eq!(
        [
            begun.state.len(),
            begun.nonce.len(),
            asked("code_challenge").len()
        ],
        [43, 43, 43]
    );
    for part in [
        "; Path=/portal/callback",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=600",
    ] {
        assert!(begun.set_cookie.contains(part), "{part}: {}", begun.set_cookie);
    }
    portal.says(200, tokens(1, &begun.nonce));
    let back = portal
        .back(
            &begun,
            &format!("code=c1&state={}&iss=https%3A%2F%2Fidp.test", begun.state),
        )
        .await;
    assert_eq!(
        (back.status.as_u16(), back.header("location")),
        (303, Some("/portal/cases/1?x=1&y"))
    );
    assert_eq!(back.header("referrer-policy"), Some("no-referrer"));
    let token_request = portal.asked().pop().unwrap();
    assert_eq!(
        token_request.only("authorization"),
        "Basic cG9ydGFsOnRoZStzZWNyZXQrb2YrdGhlK3BvcnRhbA=="
    );
    let posted = form(&token_request);
    assert_eq!(
        ["grant_type", "code", "redirect_uri"].map(|name| field(&posted, name)),
        ["authorization_code", "c1", "https://portal.test/portal/callback"]
    );
    let verifier = field(&posted, "code_verifier");
    let digest = tollgate::base::digest::Digest::of(&verifier);
    assert_eq!(
        URL_SAFE_NO_PAD.encode(digest.as_bytes()),
        asked("code_challenge"),
        "the challenge is that of the verifier"
    );

    let session = format!("portal={}; other=1", cookie(&back, "portal"));
    assert!(
        cookies(&back)
            .iter()
            .all(|(_, value)| !value.contains("access-1")),
        "no token in a cookie"
    );
    assert_eq!(portal.case(&session).await.status, 200);
    let seen = portal.backend.seen().pop().unwrap();
    assert_eq!(seen.only("authorization"), "Bearer access-1");
    assert_eq!(
        (seen.only("x-user"), seen.only("x-customer"), seen.only("x-roles")),
        ("u1", "acme", "customer_users")
    );
    assert_eq!(seen.only("cookie"), "other=1", "the session's own does not go on");
    // PULSE-17, PULSE-18.
    assert_eq!(
        portal
            .call("GET", "/portal/admin/users", &[("cookie", &session)])
            .await
            .status,
        403
    );
}

/// PULSE-02.
#[tokio::test]
async fn programs_are_told_401_where_browsers_are_redirected() {
    let portal = Portal::start().await;
    for (fields, status) in [
        (&[][..], 401),
        (&[("accept", "application/json")][..], 401),
        (&[BROWSER][..], 302),
        (&[("sec-fetch-mode", "navigate")][..], 302),
        (&[BROWSER, ("sec-fetch-mode", "cors")][..], 401),
        (&[BROWSER, ("cookie", "portal=gone")][..], 302),
        (&[("cookie", "portal=gone")][..], 401),
    ] {
        let got = portal.call("GET", "/portal/cases/1", fields).await;
        assert_eq!(got.status.as_u16(), status, "{fields:?}");
    }
    let got = portal.call("POST", "/portal/cases/1", &[BROWSER]).await;
    assert_eq!(got.status, 401, "what is posted would be lost");
}

#[tokio::test]
async fn a_browser_goes_to_a_path_of_this_host_afterwards_whatever_the_link_says() {
    let portal = Portal::start().await;
    for (return_to, to) in [
        ("", "/portal/"),
        ("?return_to=%2Fportal%2Fcases%2F1", "/portal/cases/1"),
        ("?return_to=https%3A%2F%2Fevil.example", "/portal/"),
        ("?return_to=%2F%2Fevil.example", "/portal/"),
        ("?return_to=%2F%5Cevil.example", "/portal/"),
        ("?return_to=%2F%0D%0Ax", "/portal/"),
        ("?return_to=%2Fa&return_to=%2Fb", "/portal/"),
    ] {
        let begun = portal.begin(&format!("/portal/login{return_to}")).await;
        portal.says(200, tokens(1, &begun.nonce));
        let back = portal
            .back(&begun, &format!("code=c&state={}", begun.state))
            .await;
        assert_eq!(back.header("location"), Some(to), "{return_to}");
    }
}

#[tokio::test]
async fn who_did_not_begin_here_or_comes_from_another_provider_is_refused_before_anybody_is_asked() {
    let portal = Portal::with("issuer-in-answers: true").await;
    let begun = portal.begin("/portal/login").await;
    let other = portal.begin("/portal/login").await;
    let state = begun.state.as_str();
    let iss = "iss=https%3A%2F%2Fidp.test";
    let changed = format!("{}x", &state[..42]);
    for (what, query, status) in [
        ("another state", format!("code=c&{iss}&state={changed}"), 403),
        (
            "another sign-in's state",
            format!("code=c&{iss}&state={}", other.state),
            403,
        ),
        ("no state", format!("code=c&{iss}"), 400),
        ("a short one", format!("code=c&{iss}&state=x"), 400),
        (
            "two states",
            format!("code=c&{iss}&state={state}&state={state}"),
            400,
        ),
        (
            "another issuer",
            format!("code=c&iss=https%3A%2F%2Fevil.example&state={state}"),
            403,
        ),
        ("no issuer", format!("code=c&state={state}"), 403),
        ("no code", format!("{iss}&state={state}"), 400),
        ("two codes", format!("code=c&code=d&{iss}&state={state}"), 400),
        (
            "an error",
            format!("error=access_denied&{iss}&state={state}"),
            403,
        ),
    ] {
        let got = portal.back(&begun, &query).await;
        assert_eq!(got.status.as_u16(), status, "{what}: {}", got.text());
        assert!(got.headers.get("set-cookie").is_none(), "{what}");
    }
    // Without the cookie, and with one that somebody made up.
    let query = format!("/portal/callback?code=c&{iss}&state={state}");
    assert_eq!(portal.call("GET", &query, &[]).await.status, 403);
    let name = begun.cookie.split('=').next().unwrap();
    let forged = format!(
        "{name}={}",
        URL_SAFE_NO_PAD.encode(json!({"state": state}).to_string())
    );
    assert_eq!(
        portal.call("GET", &query, &[("cookie", &forged)]).await.status,
        403
    );
    portal.clock.advance(Duration::from_secs(600));
    let late = portal.back(&begun, &format!("code=c&{iss}&state={state}")).await;
    assert_eq!(
        (late.status.as_u16(), late.json()["code"].as_str()),
        (403, Some("provider_refused"))
    );
    assert!(portal.asked().is_empty());
}

#[tokio::test]
async fn what_a_provider_says_that_cannot_be_believed_opens_no_session() {
    let portal = Portal::start().await;
    let id = |changed: Value, nonce: &str| {
        let mut claims = json!({"iss": "https://idp.test", "aud": "portal", "sub": "u1", "exp": START.0 + 60, "nonce": nonce});
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        id_token(claims)
    };
    type Answer<'a> = Box<dyn Fn(&str) -> (u16, Value) + 'a>;
    let with_id = |changed: Value| -> Answer<'_> {
        Box::new(move |nonce| {
            let mut answer = tokens(1, nonce);
            answer["id_token"] = id(changed.clone(), nonce).into();
            (200, answer)
        })
    };
    let with = |name: &'static str, value: Value| -> Answer<'_> {
        Box::new(move |nonce| {
            let mut answer = tokens(1, nonce);
            answer[name] = value.clone();
            (200, answer)
        })
    };
    let cases: Vec<(&str, Answer<'_>, u16)> = vec![
        (
            "the code was redeemed before",
            Box::new(|_| (400, json!({"error": "invalid_grant"}))),
            403,
        ),
        ("another nonce", with_id(json!({"nonce": "another"})), 403),
        ("no nonce", with_id(json!({"nonce": null})), 403),
        (
            "another issuer",
            with_id(json!({"iss": "https://evil.example"})),
            403,
        ),
        ("another audience", with_id(json!({"aud": "else"})), 403),
        (
            "several audiences and no azp",
            with_id(json!({"aud": ["portal", "else"]})),
            403,
        ),
        ("another azp", with_id(json!({"azp": "else"})), 403),
        ("over", with_id(json!({"exp": START.0 - 61})), 403),
        ("no end", with_id(json!({"exp": null})), 403),
        ("no ID token", with("id_token", Value::Null), 403),
        ("an ID token that is none", with("id_token", json!("x.y")), 403),
        ("no access token", with("access_token", Value::Null), 403),
        ("an odd access token", with("access_token", json!("a\r\nb")), 403),
        ("no bearer token", with("token_type", json!("mac")), 403),
        ("a lifetime that is none", with("expires_in", json!("soon")), 403),
        (
            "a token that its own introspection does not know",
            with("access_token", json!("forged")),
            403,
        ),
        ("no JSON", Box::new(|_| (200, json!("text"))), 403),
        ("an outage", Box::new(|_| (500, json!({}))), 503),
        (
            "too many",
            Box::new(|_| (429, json!({"error": "slow_down"}))),
            503,
        ),
        ("nothing wrong", Box::new(|nonce| (200, tokens(1, nonce))), 303),
        ("an audience in a list", with_id(json!({"aud": ["portal"]})), 303),
        ("a lifetime as text", with("expires_in", json!("600")), 303),
    ];
    for (what, answer, status) in cases {
        let begun = portal.begin("/portal/login").await;
        let (says, json) = answer(&begun.nonce);
        portal.says(says, json);
        let got = portal
            .back(&begun, &format!("code=c&state={}", begun.state))
            .await;
        assert_eq!(got.status.as_u16(), status, "{what}: {}", got.text());
        assert_eq!(
            cookies(&got).iter().any(|(name, _)| name == "portal"),
            status == 303,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_provider_that_hangs_or_is_down_is_503_within_its_deadline() {
    let portal = Portal::start().await;
    let begun = portal.begin("/portal/login").await;
    portal.script.lock().unwrap().hangs = true;
    let began = std::time::Instant::now();
    let got = portal
        .back(&begun, &format!("code=c&state={}", begun.state))
        .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (503, Some("authority_unavailable"))
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// PULSE-10, PULSE-11.
#[tokio::test]
async fn a_token_that_is_revoked_there_is_worth_nothing_here_from_the_next_call_on() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    assert_eq!(portal.case(&session).await.status, 200);
    portal.script.lock().unwrap().dead.push("access-1".to_owned());
    let got = portal.case(&session).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (401, Some("session_ended"))
    );
    assert_eq!(portal.case(&session).await.status, 401);
    // When it would be refreshed the provider has the last word.
    portal.clock.advance(Duration::from_secs(540));
    assert_eq!(portal.case(&session).await.status, 401, "it is not refreshed");
    portal.script.lock().unwrap().dead.clear();
    assert_eq!(portal.case(&session).await.status, 401, "it has ended");
}

#[tokio::test]
async fn a_token_is_refreshed_before_its_end_once_for_all_calls_that_come_meanwhile() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(539));
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(portal.asked().len(), 1, "not yet");
    portal.clock.advance(Duration::from_secs(1));
    portal.says(200, json!({"access_token": "access-2", "token_type": "bearer", "expires_in": 600, "refresh_token": "refresh-2"}));
    let calls = (0..20).map(|_| portal.case(&session));
    let statuses: Vec<u16> = futures_util::future::join_all(calls)
        .await
        .iter()
        .map(|got| got.status.as_u16())
        .collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let asked = portal.asked();
    assert_eq!(asked.len(), 2, "one refresh");
    let posted = form(&asked[1]);
    assert_eq!(
        (field(&posted, "grant_type"), field(&posted, "refresh_token")),
        ("refresh_token".to_owned(), "refresh-1".to_owned())
    );
    // Nobody waits for it while the old one is good.
    let sent = portal.backend.seen();
    let sent: Vec<&str> = sent[1..].iter().map(|seen| seen.only("authorization")).collect();
    assert!(
        sent.iter()
            .all(|token| ["Bearer access-1", "Bearer access-2"].contains(token)),
        "{sent:?}"
    );
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(
        portal.backend.seen().pop().unwrap().only("authorization"),
        "Bearer access-2"
    );
    // The next time it is the new refresh token.
    portal.clock.advance(Duration::from_secs(600));
    portal.says(
        200,
        json!({"access_token": "access-3", "token_type": "bearer", "expires_in": 600}),
    );
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(field(&form(&portal.asked()[2]), "refresh_token"), "refresh-2");
}

#[tokio::test]
async fn a_token_that_lives_shorter_than_a_minute_is_refreshed_after_half_its_life_and_not_with_each_call() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(540));
    let short = |number: u32| json!({"access_token": format!("access-{number}"), "token_type": "bearer", "expires_in": 30, "refresh_token": "r"});
    portal.says(200, short(2));
    assert_eq!(portal.case(&session).await.status, 200);
    for _ in 0..3 {
        portal.clock.advance(Duration::from_secs(4));
        assert_eq!(portal.case(&session).await.status, 200);
    }
    assert_eq!(portal.asked().len(), 2, "it is good for a while");
    portal.clock.advance(Duration::from_secs(3));
    portal.says(200, short(3));
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(portal.asked().len(), 3);
}

#[tokio::test]
async fn a_provider_that_refuses_to_refresh_ends_the_session_and_one_that_does_not_answer_does_not() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(550));
    portal.says(500, json!({}));
    assert_eq!(
        portal.case(&session).await.status,
        200,
        "the old token is good for a while yet"
    );
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(portal.asked().len(), 2, "it is left alone for a moment");
    portal.clock.advance(Duration::from_secs(60));
    portal.says(500, json!({}));
    let got = portal.case(&session).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (503, Some("authority_unavailable"))
    );
    // The provider is left alone for a moment, and the session waits.
    for _ in 0..3 {
        assert_eq!(portal.case(&session).await.status, 503);
    }
    assert_eq!(portal.asked().len(), 3);
    portal.clock.advance(Duration::from_secs(5));
    portal.says(
        200,
        json!({"access_token": "access-2", "token_type": "Bearer", "expires_in": 600}),
    );
    assert_eq!(portal.case(&session).await.status, 200, "it answers again");
    portal.clock.advance(Duration::from_secs(560));
    portal.says(400, json!({"error": "invalid_grant"}));
    assert_eq!(portal.case(&session).await.json()["code"], "session_ended");
    assert_eq!(portal.case(&session).await.json()["code"], "session_ended");
    assert_eq!(portal.asked().len(), 5);
}

#[tokio::test]
async fn a_session_ends_when_it_is_too_old_or_was_not_used_for_too_long() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(
        portal.case(&session).await.status,
        401,
        "half an hour without use"
    );
    let begun = portal.begin("/portal/login").await;
    let mut long = tokens(2, &begun.nonce);
    long["expires_in"] = json!(100_000);
    long["id_token"] = id_token(
        json!({"iss": "https://idp.test", "aud": "portal", "exp": START.0 + 100_000, "nonce": begun.nonce}),
    )
    .into();
    portal.says(200, long);
    let got = portal
        .back(&begun, &format!("code=c&state={}", begun.state))
        .await;
    let session = format!("portal={}", cookie(&got, "portal"));
    for _ in 0..16 {
        portal.clock.advance(Duration::from_secs(29 * 60));
        assert_eq!(portal.case(&session).await.status, 200);
    }
    portal.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(portal.case(&session).await.status, 401, "eight hours in all");
}

#[tokio::test]
async fn a_call_that_changes_something_needs_the_csrf_value_of_the_session() {
    let portal = Portal::start().await;
    let (session, csrf) = portal.signed_in().await;
    let cookie = ("cookie", session.as_str());
    assert_eq!(
        portal.call("POST", "/portal/cases/1", &[cookie]).await.json()["code"],
        "csrf_failed"
    );
    assert_eq!(
        portal
            .call("POST", "/portal/cases/1", &[cookie, ("x-csrf", "wrong")])
            .await
            .status,
        403
    );
    assert_eq!(
        portal
            .call("POST", "/portal/cases/1", &[cookie, ("x-csrf", &csrf)])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_here_revokes_its_tokens_there_and_sends_a_browser_there() {
    let portal = Portal::start().await;
    let (session, csrf) = portal.signed_in().await;
    let fields = [("cookie", session.as_str()), ("x-csrf", csrf.as_str())];
    assert_eq!(
        portal.call("POST", "/portal/logout", &fields[..1]).await.status,
        403,
        "another site cannot sign a user out"
    );
    let got = portal
        .call("POST", "/portal/logout", &[fields[0], fields[1], BROWSER])
        .await;
    assert_eq!(got.status, 303, "{}", got.text());
    let to = got.header("location").unwrap();
    assert!(
        to.starts_with("https://idp.test/logout?id_token_hint=")
            && to.ends_with("&client_id=portal&post_logout_redirect_uri=https%3A%2F%2Fportal.test%2Fbye"),
        "{to}"
    );
    assert_eq!(
        cookies(&got)
            .iter()
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>(),
        ["", ""]
    );
    let revoked = portal
        .provider
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/revoke")
        .expect("a revocation");
    assert_eq!(field(&form(&revoked), "token"), "refresh-1");
    assert_eq!(portal.case(&session).await.status, 401);
    let (session, csrf) = portal.signed_in().await;
    let got = portal
        .call(
            "POST",
            "/portal/logout",
            &[("cookie", &session), ("x-csrf", &csrf)],
        )
        .await;
    assert_eq!(got.status, 200);
    assert!(
        got.json()["end_session"]
            .as_str()
            .unwrap()
            .starts_with("https://idp.test/logout?")
    );
}

/// A token endpoint that answers when the test says so.
struct Gate(tokio::net::TcpListener);

impl Gate {
    async fn start() -> (Gate, Portal) {
        let gate = Gate(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}/token", gate.0.local_addr().unwrap());
        let portal = Portal::changed("", &|text| {
            let token = text
                .lines()
                .find(|line| line.starts_with("    token: "))
                .unwrap()
                .to_owned();
            text.replace(&token, &format!("    token: {url}"))
                .replace("deadline: 300ms", "deadline: 30s")
        })
        .await;
        (gate, portal)
    }

    /// Whoever asks next, with the form that it posts.
    async fn asked(&self) -> (tokio::net::TcpStream, Vec<(String, String)>) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut read = Vec::new();
        loop {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            read.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&read).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let head = head.to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .unwrap()
                .split("\r\n")
                .next()
                .unwrap();
            if body.len() >= length.parse().unwrap() {
                let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
                return (
                    stream,
                    pairs
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                );
            }
        }
    }

    async fn answer(mut stream: tokio::net::TcpStream, answer: &Value) {
        let body = answer.to_string();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
        let text = format!("{head} {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Signs in through it.
    async fn signed_in(&self, portal: &Portal) -> (String, String) {
        let begun = portal.begin("/portal/login").await;
        let query = format!("code=c1&state={}", begun.state);
        let (got, ()) = tokio::join!(portal.back(&begun, &query), async {
            let (stream, _) = self.asked().await;
            Gate::answer(stream, &tokens(1, &begun.nonce)).await;
        });
        assert_eq!(got.status, 303, "{}", got.text());
        (
            format!("portal={}", cookie(&got, "portal")),
            cookie(&got, "csrftoken"),
        )
    }

    /// A call on a connection that the client closes while the refresh is under way.
    async fn left(&self, portal: &Portal, session: &str) -> tokio::net::TcpStream {
        let mut client = tokio::net::TcpStream::connect(portal.address).await.unwrap();
        let text = format!("GET /portal/cases/1 HTTP/1.1\r\nHost: portal.test\r\nCookie: {session}\r\n\r\n");
        client.write_all(text.as_bytes()).await.unwrap();
        let (stream, form) = self.asked().await;
        assert_eq!(field(&form, "refresh_token"), "refresh-1");
        drop(client);
        stream
    }
}

fn second() -> Value {
    json!({"access_token": "access-2", "token_type": "Bearer", "expires_in": 600, "refresh_token": "refresh-2"})
}

#[tokio::test]
async fn what_a_refresh_brings_is_kept_also_if_the_client_leaves_or_the_configuration_changes_meanwhile() {
    let (gate, portal) = Gate::start().await;
    let (session, _) = gate.signed_in(&portal).await;
    portal.clock.advance(Duration::from_secs(600));
    let stream = gate.left(&portal, &session).await;
    // Another view of the same session: the plan is another, so nothing is carried over but who is asking.
    let changed = portal.text.replace("lifetime: 8h", "lifetime: 9h");
    portal.gateway.reload(plan(&changed)).await.unwrap();
    let (got, ()) = tokio::join!(portal.case(&session), async {
        // It waits for the answer to the first, and asks no second time with the same refresh token.
        tokio::task::yield_now().await;
        Gate::answer(stream, &second()).await;
    });
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        portal.backend.seen().pop().unwrap().only("authorization"),
        "Bearer access-2"
    );
    // After the next end it is the second refresh token.
    portal.clock.advance(Duration::from_secs(600));
    let (got, form) = tokio::join!(portal.case(&session), async {
        let (stream, form) = gate.asked().await;
        let third = json!({"access_token": "access-3", "token_type": "Bearer", "expires_in": 600});
        Gate::answer(stream, &third).await;
        form
    });
    assert_eq!(
        (got.status.as_u16(), field(&form, "refresh_token")),
        (200, "refresh-2".to_owned())
    );
}

#[tokio::test]
async fn whoever_signs_out_during_a_refresh_leaves_no_token_behind() {
    let (gate, portal) = Gate::start().await;
    let (session, csrf) = gate.signed_in(&portal).await;
    portal.clock.advance(Duration::from_secs(600));
    let stream = gate.left(&portal, &session).await;
    let fields = [("cookie", session.as_str()), ("x-csrf", csrf.as_str())];
    assert_eq!(portal.call("POST", "/portal/logout", &fields).await.status, 200);
    let second = second();
    let (got, ()) = tokio::join!(portal.case(&session), Gate::answer(stream, &second));
    assert_eq!(got.status, 401, "{}", got.text());
    let revoked = async || loop {
        let seen = portal.provider.seen();
        let revoked = seen.iter().filter(|seen| seen.target == "/revoke");
        let tokens: Vec<String> = revoked.map(|seen| field(&form(seen), "token")).collect();
        if tokens.len() >= 2 {
            return tokens;
        }
        tokio::task::yield_now().await;
    };
    let tokens = tokio::time::timeout(Duration::from_secs(20), revoked()).await;
    assert_eq!(tokens.expect("both are revoked"), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn whoever_wants_to_leave_may_also_while_the_provider_is_down_and_the_token_is_over() {
    let portal = Portal::start().await;
    let (session, csrf) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(600));
    portal.says(500, json!({}));
    assert_eq!(portal.case(&session).await.status, 503);
    let fields = [("cookie", session.as_str()), ("x-csrf", csrf.as_str())];
    assert_eq!(
        portal.call("POST", "/portal/logout", &fields[..1]).await.status,
        403
    );
    assert_eq!(portal.call("POST", "/portal/logout", &fields).await.status, 200);
    portal.clock.advance(Duration::from_secs(5));
    assert_eq!(portal.case(&session).await.json()["code"], "session_ended");
    let again = portal.call("POST", "/portal/logout", &fields).await;
    assert_eq!(again.status, 200, "there is nothing left to end");
}

#[tokio::test]
async fn a_sign_in_under_way_is_of_this_host_alone_and_goes_to_no_backend() {
    let https = |text: String| {
        text.replace(
            "server: { workers: 1 }",
            "server: { workers: 1, trusted-proxies: [127.0.0.1] }",
        )
    };
    let portal = Portal::changed("", &https).await;
    let by_https = ("x-forwarded-proto", "https");
    let got = portal.call("GET", "/portal/login", &[BROWSER, by_https]).await;
    let set = got.header("set-cookie").unwrap().to_owned();
    let (name, value) = cookies(&got).remove(0);
    assert!(name.starts_with("__Host-sign-in-"), "{set}");
    for attribute in ["Path=/;", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    // Under a name that a sibling of this host could have set it is nothing.
    let state = got.header("location").unwrap().split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap();
    let planted = format!("{}={value}", name.trim_start_matches("__Host-"));
    let back = format!("/portal/callback?code=c&state={state}");
    let refused = portal.call("GET", &back, &[("cookie", &planted), by_https]).await;
    assert_eq!(refused.json()["code"], "csrf_failed");
    let (session, _) = portal.signed_in().await;
    let all = format!("{session}; {name}={value}; mine=1");
    let got = portal.call("GET", "/portal/cases/1", &[("cookie", &all)]).await;
    assert_eq!(got.status, 200);
    assert_eq!(portal.backend.seen().pop().unwrap().only("cookie"), "mine=1");
}

#[tokio::test]
async fn a_session_of_one_sign_in_that_has_ended_does_not_stand_in_the_way_of_another() {
    let two = |text: String| {
        let second = "      second: { provider: idp, redirect-uri: \"https://portal.test/portal/back2\", cookie: second, forwards-token: true, csrf: { cookie: csrf2, headers: [X-CSRF] } }\n    routes:\n      - { path: /portal/login2, methods: [GET], public: true, to: { begin-sign-in: second } }\n      - { path: /portal/back2, methods: [GET], public: true, to: { finish-sign-in: second } }\n";
        text.replace("    routes:\n", second).replace(
            "/portal/cases/{*rest}\", credentials: [signed-in: portal]",
            "/portal/cases/{*rest}\", credentials: [signed-in: portal, signed-in: second]",
        )
    };
    let portal = Portal::changed("", &two).await;
    let (first, csrf) = portal.signed_in().await;
    let begun = portal.begin("/portal/login2").await;
    portal.says(200, tokens(2, &begun.nonce));
    let fields = [BROWSER, ("cookie", begun.cookie.as_str())];
    let got = portal
        .call(
            "GET",
            &format!("/portal/back2?code=c&state={}", begun.state),
            &fields,
        )
        .await;
    let both = format!("{first}; second={}", cookie(&got, "second"));
    let fields = [("cookie", first.as_str()), ("x-csrf", csrf.as_str())];
    assert_eq!(portal.call("POST", "/portal/logout", &fields).await.status, 200);
    assert_eq!(portal.case(&first).await.status, 401);
    let got = portal.case(&both).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        portal.backend.seen().pop().unwrap().only("authorization"),
        "Bearer access-2"
    );
}

#[tokio::test]
async fn tokens_of_one_provider_are_not_sent_to_another_that_takes_its_place() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    assert_eq!(portal.case(&session).await.status, 200);
    let changed = portal.text.replacen("/token\n", "/token2\n", 1);
    assert_ne!(changed, portal.text);
    portal.gateway.reload(plan(&changed)).await.unwrap();
    assert_eq!(portal.case(&session).await.json()["code"], "session_ended");
    portal.gateway.reload(plan(&portal.text)).await.unwrap();
    assert_eq!(portal.case(&session).await.status, 200, "nothing was lost");
}

#[tokio::test]
async fn a_refresh_does_not_make_a_session_another_users() {
    let portal = Portal::start().await;
    let (session, _) = portal.signed_in().await;
    portal.clock.advance(Duration::from_secs(550));
    let claims = json!({"iss": "https://idp.test", "aud": "portal", "sub": "u2", "exp": START.0 + 3600});
    let mut other = second();
    other["id_token"] = id_token(claims).into();
    portal.says(200, other);
    assert_eq!(
        portal.case(&session).await.status,
        200,
        "the old token is good yet"
    );
    assert_eq!(
        portal.backend.seen().pop().unwrap().only("authorization"),
        "Bearer access-1"
    );
    portal.clock.advance(Duration::from_secs(1));
    assert_eq!(portal.asked().len(), 2);
    assert_eq!(portal.case(&session).await.status, 200);
    assert_eq!(portal.asked().len(), 2, "it is left alone for a moment");
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_worth_nothing_after_the_sign_in() {
    let portal = Portal::start().await;
    let (planted, _) = portal.signed_in().await;
    let begun = portal.begin("/portal/login").await;
    portal.says(200, tokens(2, &begun.nonce));
    let fields = [("cookie", format!("{}; {planted}", begun.cookie))];
    let got = portal
        .call(
            "GET",
            &format!("/portal/callback?code=c&state={}", begun.state),
            &[("cookie", &fields[0].1)],
        )
        .await;
    assert_eq!(got.status, 303);
    assert_ne!(format!("portal={}", cookie(&got, "portal")), planted);
    assert_eq!(portal.case(&planted).await.status, 401);
}
