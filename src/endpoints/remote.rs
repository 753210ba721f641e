//! Signing in elsewhere: a browser is sent to the provider, comes back with a code, and gets a session; and the way out.
//!
//! What has to be known again when the browser comes back (the state, the nonce, the verifier, where it wanted to go) goes with
//! it, sealed, in a cookie that only the path of the way back gets. So nothing is kept here for whoever begins and does not
//! finish, and whoever comes back without having begun is refused. Over HTTPS its name begins with `__Host-`: only this host can have
//! set it, so nobody can plant a sign-in that somebody else began.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::auth::Presented;
use crate::auth::provider::ProviderError;
use crate::auth::remote::{OpenedRemote, RemoteSessions};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::sealed::SealingKey;
use crate::base::tasks;
use crate::base::token_value::{Shape, TokenValue};
use crate::http::cookie::{self, Attributes, CookieTemplate, SameSite};
use crate::http::form::{Bounds, Parameters};
use crate::http::origin::Scheme;
use crate::http::path;
use crate::oauth::answers;
use crate::oauth::asked::Asked;
use crate::rejection::{BadRequest, Rejection, bug};

/// How long a browser may take at the provider.
const LONGEST_WAY: Duration = Duration::from_secs(600);

/// Longest path that a browser is sent to afterwards.
const LONGEST_RETURN: usize = 2 << 10;

/// How the cookies of sign-ins under way begin, over HTTPS.
pub const UNDER_WAY: &str = "__Host-sign-in-";

/// So much of the state is in the name of the cookie: several sign-ins may be under way in one browser.
const STATE_IN_NAME: usize = 8;

/// One sign-in of an api.
#[derive(Debug, Clone)]
pub struct RemoteSignIn {
    sessions: Arc<RemoteSessions>,
    key: Arc<SealingKey>,
}

/// What comes back with the browser.
#[derive(Serialize, Deserialize)]
struct Way {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: i64,
}

impl RemoteSignIn {
    /// The sign-in with these sessions. `key` seals what goes with the browser.
    pub fn new(sessions: Arc<RemoteSessions>, key: Arc<SealingKey>) -> RemoteSignIn {
        RemoteSignIn { sessions, key }
    }

    /// Sends a browser to the provider.
    ///
    /// # Errors
    /// [`Rejection::Internal`].
    pub fn begin(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let plan = self.sessions.plan();
        let wanted = Parameters::read(asked.query.unwrap_or_default().as_bytes(), Bounds::USUAL).ok();
        let wanted = wanted
            .as_ref()
            .and_then(|all| all.single("return_to").ok().flatten());
        // Anything but a path of this host would make a good link lead to a bad place.
        let return_to = wanted.filter(|to| is_local(to)).unwrap_or(&plan.after);
        let random = || TokenValue::random(Shape::Base64Url).reveal().to_owned();
        let way = Way {
            state: random(),
            nonce: random(),
            verifier: random(),
            return_to: return_to.to_owned(),
            until: asked.now.plus(LONGEST_WAY).0,
        };
        let text = serde_json::to_vec(&way)
            .map(Zeroizing::new)
            .map_err(|error| bug(&error))?;
        let sealed = self.key.seal(&text, self.sessions.bound());
        let sealed = sealed.ok_or_else(|| bug(&"a sign-in could not be sealed"))?;
        let template = self.cookie(&way.state, asked.scheme)?;
        let cookie = template
            .set(&URL_SAFE_NO_PAD.encode(sealed))
            .map_err(|error| bug(&error))?;
        let provider = self.sessions.provider();
        let url = provider.authorization_url(&plan.redirect_uri, &way.state, &way.nonce, &way.verifier);
        let mut answer = redirect(StatusCode::FOUND, &url)?;
        answer.headers_mut().append(SET_COOKIE, cookie);
        Ok(answer)
    }

    /// Takes a browser back, posts its code, and opens a session.
    ///
    /// # Errors
    /// [`Rejection::CsrfFailed`] for one that did not begin here, or whose answer is another provider's;
    /// [`Rejection::ProviderRefused`], [`Rejection::AuthorityUnavailable`], [`Rejection::StoreUnavailable`],
    /// [`Rejection::BadRequest`].
    pub async fn finish(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let bad = || Rejection::BadRequest(BadRequest::Parameters);
        let query = asked.query.unwrap_or_default();
        let all = Parameters::read(query.as_bytes(), Bounds::USUAL).map_err(|_| bad())?;
        let single = |name: &str| all.single(name).map_err(|_| bad());
        let state = single("state")?.ok_or_else(bad)?;
        let (way, spent) = self.way_back(asked, state)?;
        let provider = Arc::clone(self.sessions.provider());
        // RFC 9207 section 2.4: which provider it was that answered.
        match (&provider.plan().issuer, single("iss")?) {
            (Some(own), Some(said)) if own != said => {
                return Err(Rejection::CsrfFailed("the answer is another provider's"));
            }
            (Some(_), None) if provider.plan().issuer_in_answers => {
                return Err(Rejection::CsrfFailed("the answer does not say whose it is"));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        if single("error")?.is_some() {
            return Err(Rejection::ProviderRefused("the provider says so"));
        }
        let code = single("code")?.ok_or_else(bad)?;
        let plan = self.sessions.plan();
        // A code is good once: what comes of it is not lost with a client that leaves meanwhile.
        let (this, code, headers, now) = (self.clone(), code.to_owned(), asked.headers.clone(), asked.now);
        let (verifier, nonce) = (way.verifier, way.nonce);
        let opened = tasks::carry_through("sign-in", async move {
            this.open(&code, &verifier, &nonce, &headers, now).await
        });
        let opened = opened.await.unwrap_or(Err(Rejection::AuthorityUnavailable))?;
        let mut answer = redirect(StatusCode::SEE_OTHER, &way.return_to)?;
        let fields = answer.headers_mut();
        let session = plan.cookie.by(asked.scheme).set(opened.id.reveal());
        fields.append(SET_COOKIE, session.map_err(|error| bug(&error))?);
        if let Some(csrf) = &plan.csrf {
            let value = csrf.cookie.by(asked.scheme).set(opened.csrf.reveal());
            fields.append(SET_COOKIE, value.map_err(|error| bug(&error))?);
        }
        fields.append(SET_COOKIE, spent);
        Ok(answer)
    }

    /// Posts the code, asks what its token is worth, and opens a session.
    async fn open(
        &self,
        code: &str,
        verifier: &str,
        nonce: &str,
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<OpenedRemote, Rejection> {
        let (provider, plan) = (self.sessions.provider(), self.sessions.plan());
        let redeemed = provider
            .redeem(code, &plan.redirect_uri, verifier, nonce, now)
            .await;
        let tokens = redeemed.map_err(|error| self.failed(&error))?;
        let opened = match self.sessions.judge(&tokens).await {
            Ok(_) => self.sessions.open(&tokens, headers, now).await,
            Err(Rejection::CredentialsInvalid(_) | Rejection::TokenExpired) => {
                Err(Rejection::ProviderRefused("its token is none that is taken here"))
            }
            Err(other) => Err(other),
        };
        if opened.is_err() {
            // Nobody will use them.
            self.sessions.revoke(vec![tokens]).await;
        }
        opened
    }

    /// Signs out: the session ends here, its tokens at the provider, and a browser is sent there to sign out of it altogether.
    ///
    /// # Errors
    /// [`Rejection::CsrfFailed`], [`Rejection::StoreUnavailable`]; then nothing has ended.
    pub async fn end(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let plan = self.sessions.plan();
        let presented = Presented {
            headers: asked.headers,
            method: asked.method,
            path: asked.path,
            query: asked.query,
            scheme: asked.scheme,
            authority: asked.authority,
        };
        let tokens = self.sessions.leave(&presented, asked.now).await?;
        let provider = self.sessions.provider();
        let there = tokens
            .first()
            .and_then(|tokens| provider.end_session_url(tokens, plan.after_sign_out.as_deref()));
        self.sessions.revoke(tokens).await;
        let mut answer = if takes_html(asked.headers) {
            let to = there
                .as_deref()
                .or(plan.after_sign_out.as_deref())
                .unwrap_or(&plan.after);
            redirect(StatusCode::SEE_OTHER, to)?
        } else {
            answers::json(StatusCode::OK, json!({"end_session": there}).to_string())
        };
        let fields = answer.headers_mut();
        fields.append(SET_COOKIE, plan.cookie.by(asked.scheme).clear());
        if let Some(csrf) = &plan.csrf {
            fields.append(SET_COOKIE, csrf.cookie.by(asked.scheme).clear());
        }
        Ok(answer)
    }

    /// What went with the browser, and the field that takes its cookie back.
    fn way_back(&self, asked: &Asked<'_>, state: &str) -> Result<(Way, HeaderValue), Rejection> {
        let template = self.cookie(state, asked.scheme)?;
        let opened = cookie::values(asked.headers, template.name())
            .take(4)
            .find_map(|value| {
                let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
                let text = self.key.open(&sealed, self.sessions.bound())?;
                let way: Way = serde_json::from_slice(&text).ok()?;
                Digest::of(&way.state).matches(&Digest::of(state)).then_some(way)
            });
        let way = opened.ok_or(Rejection::CsrfFailed("no sign-in of this browser has that state"))?;
        if asked.now >= UnixTime(way.until) {
            return Err(Rejection::ProviderRefused("it took too long"));
        }
        Ok((way, template.clear()))
    }

    /// The cookie of one sign-in that is under way.
    fn cookie(&self, state: &str, scheme: Scheme) -> Result<CookieTemplate, Rejection> {
        let bad = || Rejection::BadRequest(BadRequest::Parameters);
        let part = state
            .get(..STATE_IN_NAME)
            .filter(|_| is_plain(state))
            .ok_or_else(bad)?;
        let plan = self.sessions.plan();
        let is_secure = scheme == Scheme::Https || plan.cookie.http == plan.cookie.https;
        let (name, path) = if is_secure {
            // The prefix asks for this path (RFC 6265bis section 4.1.3.2).
            (format!("{UNDER_WAY}{part}"), "/".to_owned())
        } else {
            let back: http::Uri = plan.redirect_uri.parse().map_err(|_| bad())?;
            (format!("sign-in-{part}"), back.path().to_owned())
        };
        let attributes = Attributes {
            path,
            domain: None,
            max_age: Some(LONGEST_WAY),
            http_only: true,
            secure: is_secure,
            // The provider's page is another site, and leads here by a link.
            same_site: Some(SameSite::Lax),
        };
        CookieTemplate::new(&name, &attributes).map_err(|error| bug(&error))
    }

    fn failed(&self, error: &ProviderError) -> Rejection {
        let sign_in = self.sessions.name();
        match error {
            ProviderError::Refused(_) => {
                tracing::info!(sign_in, %error, "a code was not redeemed");
                Rejection::ProviderRefused("it does not take the code")
            }
            ProviderError::Invalid(_) => {
                tracing::warn!(sign_in, %error, "a code was not redeemed");
                Rejection::ProviderRefused("what it says cannot be believed")
            }
            ProviderError::Silent(_) => {
                tracing::warn!(sign_in, %error, "a code was not redeemed");
                Rejection::AuthorityUnavailable
            }
        }
    }
}

/// The alphabet of what is drawn here.
fn is_plain(state: &str) -> bool {
    state.len() <= 128
        && state
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Is it a path of this host, and nothing that a browser reads as another host?
fn is_local(to: &str) -> bool {
    let path = to.split(['?', '#']).next().unwrap_or_default();
    to.len() <= LONGEST_RETURN
        && to.starts_with('/')
        && !to.starts_with("//")
        && to
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"'))
        && path::is_normal(path)
}

/// Is whoever asks a browser that shows pages?
fn takes_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn redirect(status: StatusCode, to: &str) -> Result<Response<Bytes>, Rejection> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    let fields = answer.headers_mut();
    fields.insert(LOCATION, HeaderValue::from_str(to).map_err(|error| bug(&error))?);
    fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The code stands in the address that the browser comes from.
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_a_path_of_this_host_and_nowhere_else() {
        for to in ["/", "/portal/cases?x=1&y=%2F", "/a/b/", "/a?next=//b"] {
            assert!(is_local(to), "{to}");
        }
        for to in [
            "",
            "a",
            "//evil.example",
            "//evil.example/a",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x=y",
            "/a b",
            "/a#b",
            "/a?b=\"",
            "/./a",
            "/a/../b",
            "/a//b",
            "/%2e%2e/a",
            "/%2f/evil.example",
            "/é",
        ] {
            assert!(!is_local(to), "{to}");
        }
        assert!(!is_local(&format!("/{}", "a".repeat(LONGEST_RETURN))));
    }
}
