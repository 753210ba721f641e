//! Calls by session that may change something: they show that a page or a program of the session's owner sent them.
//!
//! A browser sends cookies with whatever any page makes it send. So such a call brings a value in a header, which no other
//! page can set or know. The value belongs to the session, on the server: comparing header with cookie (double submit) fails
//! with clients that send no such cookie, or three of them, and with whoever can plant a cookie.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};

use super::presented::Presented;
use crate::accounts::Realm;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::{CsrfPlan, CsrfRotation, RefererRule, SessionCookie};
use crate::http::origin::{self, Scheme, Source};
use crate::rejection::Rejection;
use crate::store::outcome::Edit;

/// Values that are looked at in one request.
const MOST_VALUES: usize = 4;

/// The rule of one api.
#[derive(Debug, Clone)]
pub struct CsrfRule {
    headers: Box<[HeaderName]>,
    referer: RefererRule,
    /// The cookie of the next value, where each use makes a new one.
    renewed: Option<SessionCookie>,
}

/// A session whose value was used and is to be replaced, once the answer to its call is there: with a refusal the client
/// would not learn the new one.
#[derive(Debug)]
pub struct Renewal {
    realm: Arc<Realm>,
    session: Digest,
    cookie: SessionCookie,
    scheme: Scheme,
}

impl Renewal {
    /// Gives the session another value. The field that tells it to the client; `None` when the store did not take it, and
    /// the old one stays good.
    pub async fn perform(self, now: UnixTime) -> Option<HeaderValue> {
        let value = TokenValue::random(Shape::Base64Url);
        let store = self.realm.accounts().store();
        let name = self.realm.name().clone();
        let changed = store.change_csrf(name, self.session, Digest::of(value.reveal()), now);
        match changed.await {
            Ok(Edit::Done) => {}
            Ok(Edit::Unknown) => return None,
            Err(error) => {
                tracing::warn!(%error, "a CSRF value could not be renewed");
                return None;
            }
        }
        self.cookie.by(self.scheme).set(value.reveal()).ok()
    }
}

impl CsrfRule {
    /// The rule of a plan.
    pub fn new(plan: &CsrfPlan) -> CsrfRule {
        CsrfRule {
            headers: plan.headers.clone().into(),
            referer: plan.referer,
            renewed: match plan.rotation {
                CsrfRotation::Never => None,
                CsrfRotation::EachUse => Some(plan.cookie.clone()),
            },
        }
    }

    /// What is to be done after a call that has passed.
    pub(super) fn renewal(
        &self,
        presented: &Presented<'_>,
        realm: &Arc<Realm>,
        session: Digest,
    ) -> Option<Renewal> {
        let cookie = self.renewed.as_ref().filter(|_| presented.is_unsafe())?;
        Some(Renewal {
            realm: Arc::clone(realm),
            session,
            cookie: cookie.clone(),
            scheme: presented.scheme,
        })
    }

    /// Lets a call pass that is safe, or shows the value whose digest is `expected`.
    ///
    /// # Errors
    /// [`Rejection::CsrfFailed`].
    pub fn check(&self, presented: &Presented<'_>, expected: &Digest) -> Result<(), Rejection> {
        if !presented.is_unsafe() {
            return Ok(());
        }
        self.check_source(presented)?;
        let values = self
            .headers
            .iter()
            .flat_map(|name| presented.headers.get_all(name))
            .take(MOST_VALUES);
        let mut refusal = "there is no CSRF value";
        for value in values {
            if Digest::of_bytes(value.as_bytes()).matches(expected) {
                return Ok(());
            }
            refusal = "the CSRF value is not that of the session";
        }
        Err(Rejection::CsrfFailed(refusal))
    }

    fn check_source(&self, presented: &Presented<'_>) -> Result<(), Rejection> {
        match self.referer {
            RefererRule::None => return Ok(()),
            RefererRule::SameHost => {}
        }
        match origin::source(presented.headers, presented.scheme, presented.authority) {
            Source::Same => Ok(()),
            Source::Foreign => Err(Rejection::CsrfFailed("another site sent it")),
            Source::Unsaid if *presented.method == Method::POST => {
                Err(Rejection::CsrfFailed("a POST without Referer"))
            }
            Source::Unsaid => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ORIGIN, REFERER};
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::http::origin::Scheme;

    const TOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
    const OTHER: HeaderName = HeaderName::from_static("x-csrf-token");

    fn rule(referer: RefererRule) -> CsrfRule {
        CsrfRule {
            headers: [TOKEN, OTHER].into(),
            referer,
            renewed: None,
        }
    }

    fn check(referer: RefererRule, method: &Method, fields: &[(HeaderName, &str)]) -> Result<(), Rejection> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let presented = Presented {
            headers: &headers,
            method,
            path: "/",
            query: None,
            scheme: Scheme::Https,
            authority: "api.example.com",
        };
        rule(referer).check(&presented, &Digest::of("right"))
    }

    #[test]
    fn methods_that_may_change_something_need_the_value_of_the_session_in_one_of_the_headers() {
        let passes =
            |method: &Method, fields: &[(HeaderName, &str)]| check(RefererRule::None, method, fields).is_ok();
        let custom = Method::from_bytes(b"PURGE").unwrap();
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, custom] {
            assert!(!passes(&method, &[]), "{method}");
            assert!(passes(&method, &[(TOKEN, "right")]), "{method}");
            assert!(passes(&method, &[(OTHER, "right")]), "{method}");
            for wrong in ["wrong", "", "right ", "RIGHT", "right,right"] {
                let trimmed = wrong.trim();
                if trimmed != "right" {
                    assert!(!passes(&method, &[(TOKEN, wrong)]), "{method} {wrong:?}");
                }
            }
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert!(
                passes(&method, &[]) && passes(&method, &[(TOKEN, "wrong")]),
                "{method}"
            );
        }
    }

    #[test]
    fn a_value_in_another_place_is_none() {
        let fields = [
            (http::header::COOKIE, "csrftoken=right"),
            (HeaderName::from_static("x-xsrf-token"), "right"),
        ];
        assert!(check(RefererRule::None, &Method::POST, &fields).is_err());
    }

    #[test]
    fn of_several_values_one_must_be_right_and_few_are_looked_at() {
        let mut fields = vec![(TOKEN, "old"), (TOKEN, "right")];
        assert!(check(RefererRule::None, &Method::POST, &fields).is_ok());
        fields = vec![(TOKEN, "wrong"); MOST_VALUES];
        fields.push((TOKEN, "right"));
        assert!(check(RefererRule::None, &Method::POST, &fields).is_err());
    }

    #[test]
    fn where_the_api_says_so_the_referer_is_of_this_host_and_there_on_post() {
        let with = |method: &Method, more: &[(HeaderName, &str)]| {
            let mut fields = vec![(TOKEN, "right")];
            fields.extend(more.iter().cloned());
            check(RefererRule::SameHost, method, &fields).is_ok()
        };
        let own = (REFERER, "https://api.example.com");
        let foreign = (REFERER, "https://evil.example");
        assert!(with(&Method::POST, std::slice::from_ref(&own)));
        assert!(with(&Method::POST, &[(ORIGIN, "https://api.example.com")]));
        assert!(!with(&Method::POST, &[]));
        assert!(with(&Method::PUT, &[]) && with(&Method::DELETE, &[]));
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert!(!with(&method, std::slice::from_ref(&foreign)), "{method}");
            assert!(!with(&method, &[own.clone(), (ORIGIN, "null")]), "{method}");
            assert!(
                !with(&method, &[(REFERER, "http://api.example.com/")]),
                "the plain site is another one: {method}"
            );
        }
        assert!(
            check(RefererRule::SameHost, &Method::POST, &[own]).is_err(),
            "not instead of the value"
        );
        assert!(check(RefererRule::SameHost, &Method::GET, &[foreign]).is_ok());
    }
}
