//! `session:` of an api: the cookies of those who signed in.

use http::HeaderName;

use super::apis::World;
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{CsrfPlan, CsrfRotation, RealmRef, RefererRule, SessionCookie, SessionPlan};
use crate::config::raw::{RawCsrf, RawReferer, RawRotate, RawSameSite, RawSecure, RawSession};
use crate::config::read::At;
use crate::http::cookie::{Attributes, BadCookie, CookieTemplate, SameSite};

pub(super) fn resolve(at: &At<RawSession>, world: &World<'_>, scope: &mut Scope<'_>) -> Option<SessionPlan> {
    let raw = &at.value;
    let realm = scope.realms.find(&raw.realm, scope.findings);
    if raw.secure.value == RawSecure::Always && !world.https {
        scope.findings.warning(
            "no-https",
            raw.secure.mark,
            "no listener has TLS and no proxy is trusted to say `https`, so no client sends these cookies back",
            "add a listener with `tls`, or name the load balancer in `server.trusted-proxies`",
        );
    }
    let around = Around {
        path: &raw.path,
        same_site: &raw.same_site,
        secure: &raw.secure,
        cookie: &raw.cookie,
    };
    let cookie = cookie(around, &raw.cookie, Readable::ByNobody, scope);
    let read = read(raw, scope);
    let csrf = match &raw.csrf {
        None => None,
        Some(csrf) => Some(self::csrf(around, &csrf.value, &read, scope)?),
    };
    Some(SessionPlan {
        realm: RealmRef::new(realm?),
        cookie: cookie?,
        read,
        csrf,
    })
}

/// Which cookies are looked for.
fn read(raw: &RawSession, scope: &mut Scope<'_>) -> Vec<String> {
    let Some(list) = &raw.read else {
        return vec![raw.cookie.value.clone()];
    };
    let mut names: Vec<String> = Vec::new();
    for name in &list.value.0 {
        if names.contains(&name.value) {
            scope.error(
                "duplicate",
                name.mark,
                "this stands in `read` twice",
                "remove one of them",
            );
            continue;
        }
        if let Err(why) = CookieTemplate::new(&name.value, &Attributes::session())
            && why == BadCookie::Name
        {
            scope.findings.error("bad-value", name.mark, why.to_string());
        }
        names.push(name.value.clone());
    }
    if !names.contains(&raw.cookie.value) {
        scope.error(
            "contradiction",
            list.mark,
            format!(
                "a sign-in sets `{}`, and `read` does not look for it",
                raw.cookie.shown(&raw.cookie.value)
            ),
            "add it to `read`",
        );
    }
    names
}

/// Who may read a cookie beside the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readable {
    ByNobody,
    ByScripts,
}

/// What the cookies of a session have in common.
#[derive(Clone, Copy)]
pub(super) struct Around<'r> {
    pub path: &'r At<String>,
    pub same_site: &'r At<RawSameSite>,
    pub secure: &'r At<RawSecure>,
    /// The session's own cookie.
    pub cookie: &'r At<String>,
}

/// The cookie of a session of its own kind, and how calls by it show that they were meant.
pub(super) fn cookies(
    around: Around<'_>,
    csrf: Option<&RawCsrf>,
    scope: &mut Scope<'_>,
) -> Option<(SessionCookie, Option<CsrfPlan>)> {
    let cookie = cookie(around, around.cookie, Readable::ByNobody, scope);
    let csrf = match csrf {
        None => None,
        Some(csrf) => Some(self::csrf(
            around,
            csrf,
            std::slice::from_ref(&around.cookie.value),
            scope,
        )?),
    };
    Some((cookie?, csrf))
}

/// Each rule of browsers is asked about where the mistake stands: they drop such a cookie without a word.
fn cookie(
    raw: Around<'_>,
    name: &At<String>,
    readable: Readable,
    scope: &mut Scope<'_>,
) -> Option<SessionCookie> {
    let mut attributes = Attributes {
        path: raw.path.value.clone(),
        domain: None,
        max_age: None,
        http_only: readable == Readable::ByNobody,
        secure: true,
        same_site: Some(match raw.same_site.value {
            RawSameSite::Strict => SameSite::Strict,
            RawSameSite::Lax => SameSite::Lax,
            RawSameSite::None => SameSite::None,
        }),
    };
    let https = made(raw, name, &attributes, scope);
    attributes.secure = raw.secure.value == RawSecure::Always;
    let http = if https.is_some() {
        made(raw, name, &attributes, scope)
    } else {
        None
    };
    Some(SessionCookie {
        https: https?,
        http: http?,
    })
}

fn made(
    raw: Around<'_>,
    name: &At<String>,
    attributes: &Attributes,
    scope: &mut Scope<'_>,
) -> Option<CookieTemplate> {
    let bad = match CookieTemplate::new(&name.value, attributes) {
        Ok(template) => return Some(template),
        Err(bad) => bad,
    };
    let always = "write `secure: always`";
    let (mark, hint): (Mark, &str) = match bad {
        BadCookie::Name => (name.mark, "write for example `session`"),
        BadCookie::Path => (raw.path.mark, "write `/` for the whole host"),
        BadCookie::NoneWithoutSecure => (raw.same_site.mark, always),
        BadCookie::SecurePrefix => (name.mark, always),
        BadCookie::HostPrefix => (
            name.mark,
            "write `path: /` and `secure: always`, or choose another name",
        ),
        // Neither can be written.
        BadCookie::Domain | BadCookie::MaxAge => (name.mark, "remove it"),
    };
    scope.error("bad-cookie", mark, bad.to_string(), hint);
    None
}

fn csrf(raw: Around<'_>, csrf: &RawCsrf, read: &[String], scope: &mut Scope<'_>) -> Option<CsrfPlan> {
    if csrf.cookie.value == raw.cookie.value || read.contains(&csrf.cookie.value) {
        scope.error(
            "duplicate",
            csrf.cookie.mark,
            format!(
                "`{}` is the cookie of the session: scripts could read it",
                csrf.cookie.shown(&csrf.cookie.value)
            ),
            "give the CSRF value a cookie of its own",
        );
    }
    let cookie = cookie(raw, &csrf.cookie, Readable::ByScripts, scope);
    let mut headers: Vec<HeaderName> = Vec::new();
    for header in &csrf.headers.value.0 {
        if headers.contains(&header.value.0) {
            scope.error(
                "duplicate",
                header.mark,
                "this stands in `headers` twice",
                "remove one of them; letter case does not count",
            );
        } else {
            headers.push(header.value.0.clone());
        }
    }
    if headers.is_empty() {
        scope.error(
            "empty-list",
            csrf.headers.mark,
            "the value can come back in no header, so every call that changes something is refused",
            "write `headers: [X-CSRF-Token]`",
        );
    }
    Some(CsrfPlan {
        cookie: cookie?,
        headers,
        referer: match csrf.referer {
            RawReferer::None => RefererRule::None,
            RawReferer::SameHost => RefererRule::SameHost,
        },
        rotation: match csrf.rotate {
            RawRotate::Never => CsrfRotation::Never,
            RawRotate::EachUse => CsrfRotation::EachUse,
        },
    })
}
