//! The pages of the authorization endpoint: HTML that needs no script, and headers under which nothing else runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::header::{LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use crate::base::digest::Digest;
use crate::base::template::{Escape, escaped};

/// The one style sheet. Its digest is in the policy, so that no other one is applied.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:100vh}\
main{width:min(26rem,100% - 2rem);padding:1rem 0}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}\
label{display:block;font-weight:600;margin:1rem 0 .25rem}\
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #767676;border-radius:.25rem}\
button{font:inherit;padding:.5rem 1rem;margin:1rem .5rem 0 0;border:1px solid #767676;border-radius:.25rem;cursor:pointer}\
button.first{background:#0b57d0;border-color:#0b57d0;color:#fff}\
:focus-visible{outline:3px solid #c77700;outline-offset:2px}\
.alert{border-left:.25rem solid #b3261e;padding:.5rem .75rem;margin:0 0 1rem}\
ul{padding-left:1.25rem}";

/// What the sign-in page says above its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nothing: it is shown for the first time.
    None,
    /// Name and password are not those of an account, or the name is locked: which of the two is not said.
    Wrong,
    /// The right password of an account that may not sign in.
    Inactive,
    /// Nobody can be signed in now.
    Later,
}

impl Notice {
    fn text(self) -> Option<&'static str> {
        match self {
            Notice::None => None,
            Notice::Wrong => Some("The name or the password is wrong."),
            Notice::Inactive => Some("This account cannot be used."),
            Notice::Later => Some("Nobody can be signed in now. Try again in a moment."),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Notice::None => StatusCode::OK,
            // 401 would need a challenge that browsers answer with a dialogue of their own (RFC 9110 section 15.5.2).
            Notice::Wrong | Notice::Inactive => StatusCode::FORBIDDEN,
            Notice::Later => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The page that asks who is there. `name` is what was typed before.
pub(super) fn sign_in(application: &str, name: &str, notice: Notice) -> Response<Bytes> {
    let alert = notice.text().map_or_else(String::new, |text| {
        format!("<p class=\"alert\" role=\"alert\" id=\"alert\">{text}</p>")
    });
    let described = match notice {
        Notice::None => "",
        Notice::Wrong | Notice::Inactive | Notice::Later => " aria-describedby=\"alert\"",
    };
    let (focus_name, focus_password) = if name.is_empty() {
        (" autofocus", "")
    } else {
        ("", " autofocus")
    };
    let (application, name) = (
        escaped(application, Escape::Markup),
        escaped(name, Escape::Markup),
    );
    let body = format!(
        "<h1>Sign in</h1>{alert}<p>to continue to <strong>{application}</strong></p>\
         <form method=\"post\">\
         <input type=\"hidden\" name=\"step\" value=\"sign-in\">\
         <label for=\"username\">Name</label>\
         <input id=\"username\" name=\"username\" type=\"text\" value=\"{name}\" autocomplete=\"username\" \
         autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"320\" required{described}{focus_name}>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\" \
         required{described}{focus_password}>\
         <button class=\"first\" type=\"submit\">Sign in</button></form>"
    );
    page(notice.status(), "Sign in", &body, None)
}

/// What the consent page asks about.
#[derive(Debug)]
pub(super) struct Question<'q> {
    /// The application's name.
    pub(super) application: &'q str,
    /// The account's name.
    pub(super) account: &'q str,
    /// What is asked for.
    pub(super) scopes: Vec<&'q str>,
    /// Where the answer goes.
    pub(super) redirect_uri: &'q str,
    /// Comes back with the answer and shows that this page asked.
    pub(super) proof: &'q str,
}

/// The page that asks whether the application may.
pub(super) fn consent(question: &Question<'_>) -> Response<Bytes> {
    let safe = |text: &str| escaped(text, Escape::Markup).into_owned();
    let scopes: String = (question.scopes.iter())
        .map(|scope| format!("<li>{}</li>", safe(scope)))
        .collect();
    let scopes = if scopes.is_empty() {
        String::new()
    } else {
        format!("<p>It asks for:</p><ul>{scopes}</ul>")
    };
    let body = format!(
        "<h1>Allow {application}?</h1>\
         <p><strong>{application}</strong> wants to act for <strong>{account}</strong>.</p>{scopes}\
         <p>You will be sent to <strong>{place}</strong>.</p>\
         <form method=\"post\">\
         <input type=\"hidden\" name=\"step\" value=\"consent\">\
         <input type=\"hidden\" name=\"proof\" value=\"{proof}\">\
         <button class=\"first\" type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\
         <button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\
         <button type=\"submit\" name=\"decision\" value=\"switch\">Use another account</button></form>",
        application = safe(question.application),
        account = safe(question.account),
        place = safe(origin_of(question.redirect_uri)),
        proof = safe(question.proof),
    );
    page(
        StatusCode::OK,
        "Allow access?",
        &body,
        Some(question.redirect_uri),
    )
}

/// The page for a request that must not be answered by a redirect (RFC 6749 section 4.1.2.1).
pub(super) fn refused(status: StatusCode, sentence: &str) -> Response<Bytes> {
    let body = format!(
        "<h1>This link does not work</h1><p class=\"alert\" role=\"alert\">{}.</p>\
         <p>Go back to the application and try again; if that does not help, tell those who run it.</p>",
        escaped(sentence, Escape::Markup)
    );
    page(status, "This link does not work", &body, None)
}

/// Sends the browser on, to be asked for with GET (RFC 9110 section 15.4.4), with what the URL says kept out of logs and
/// caches on the way.
pub(super) fn see_other(target: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    let Ok(location) = HeaderValue::from_str(target) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "The address to go back to cannot be used",
        );
    };
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    answer
}

/// `onward` is where the answer to the page's form may redirect to: browsers hold `form-action` against that too.
fn page(status: StatusCode, title: &str, body: &str, onward: Option<&str>) -> Response<Bytes> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    );
    let digest = STANDARD.encode(Digest::of(STYLE).as_bytes());
    let onward = onward.map(policy_source).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'{onward}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut answer = Response::new(Bytes::from(html));
    *answer.status_mut() = status;
    let length = HeaderValue::from(answer.body().len());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: browsers would say `Origin: null` of the page's own form then.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // A source that is no header value is left out with the rest: nothing is allowed then.
    let policy = HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

/// Scheme and authority of a URI, or the scheme alone of one without authority.
fn origin_of(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.split_once(':').map_or(uri, |(scheme, _)| scheme);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    uri.get(..scheme.len() + 3 + end).unwrap_or(uri)
}

/// The URI as a source of a Content Security Policy, with a blank before it: the origin, or the scheme. Registered URIs have
/// neither blanks nor `;` or `,` in scheme and authority; what has them all the same is no source.
fn policy_source(uri: &str) -> String {
    let origin = origin_of(uri);
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'\'' | b'"'))
    };
    match (uri.contains("://"), is_plain(origin)) {
        (_, false) => String::new(),
        (true, true) if origin.starts_with("http") => format!(" {origin}"),
        (true | false, true) => format!(" {}:", origin.split(':').next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Response<Bytes>) -> &str {
        std::str::from_utf8(answer.body()).unwrap()
    }

    fn policy(answer: &Response<Bytes>) -> &str {
        answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap()
    }

    #[test]
    fn nothing_that_is_put_in_becomes_markup() {
        let evil = "\"><script>alert(1)</script>";
        let asked = Question {
            application: evil,
            account: evil,
            scopes: vec![evil],
            redirect_uri: "https://app.test/cb?x=\"><script>",
            proof: evil,
        };
        for answer in [
            sign_in(evil, evil, Notice::Wrong),
            consent(&asked),
            refused(StatusCode::BAD_REQUEST, evil),
        ] {
            assert!(!text(&answer).contains("<script"), "{}", text(&answer));
            assert!(!policy(&answer).contains("script"), "{}", policy(&answer));
        }
    }

    #[test]
    fn a_form_may_lead_to_the_application_that_asked_and_nowhere_else() {
        for (uri, source) in [
            ("https://app.test/cb?a=b", " 'self' https://app.test;"),
            ("http://127.0.0.1:5000/cb", " 'self' http://127.0.0.1:5000;"),
            ("com.example.app:/cb", " 'self' com.example.app:;"),
            ("com.example.app://cb/x", " 'self' com.example.app:;"),
            ("https://a.test;script-src/x", " 'self';"),
        ] {
            let asked = Question {
                application: "app",
                account: "me",
                scopes: vec![],
                redirect_uri: uri,
                proof: "p",
            };
            let answer = consent(&asked);
            assert!(
                policy(&answer).contains(&format!("form-action{source}")),
                "{uri}: {}",
                policy(&answer)
            );
        }
        assert!(policy(&sign_in("app", "", Notice::None)).contains("form-action 'self';"));
    }

    #[test]
    fn a_wrong_password_looks_like_a_lock_and_is_said_to_those_who_listen() {
        let answer = sign_in("app", "alice", Notice::Wrong);
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(text(&answer).contains("role=\"alert\""));
        assert!(text(&answer).contains("value=\"alice\""));
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[X_FRAME_OPTIONS], "DENY");
    }
}
