//! An identity provider at whom users sign in: the gateway is its client (RFC 6749 section 1.1), by authorization codes with PKCE
//! (RFC 7636), server to server, and never sees a password.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::config::plan::{ClientProof, ProviderPlan};
use crate::http::form;
use crate::jose::{compact, strict_json};
use crate::net::fetch::{FetchError, Fetcher};

/// Longest token that is kept: a cookie's session may have three.
const LONGEST_TOKEN: usize = 16 << 10;

/// How long a token holds whose provider does not say (`expires_in` is RECOMMENDED, RFC 6749 section 5.1). It is refreshed then;
/// that it ended earlier is found out by whoever verifies it.
const UNSAID: u64 = 3_600;

/// A provider, ready to be asked.
pub struct Provider {
    plan: ProviderPlan,
    token: Fetcher,
    revocation: Option<Fetcher>,
    authorization: Option<HeaderValue>,
}

/// What a provider gave. `Debug` does not show it.
#[derive(Clone)]
pub struct ProviderTokens {
    /// The access token.
    pub access: Zeroizing<String>,
    /// By what the next ones are had.
    pub refresh: Option<Zeroizing<String>>,
    /// What the provider says of its user (OpenID Connect Core section 2).
    pub id: Option<Zeroizing<String>>,
    /// When the access token ends.
    pub expires_at: UnixTime,
    /// From when on others are asked for: a while before that.
    pub refresh_at: UnixTime,
}

/// Why a provider gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It refused: RFC 6749 section 5.2.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// It gave something else than what was asked for.
    #[error("the provider's answer is not what it should be: {0}")]
    Invalid(&'static str),
    /// It did not answer.
    #[error("the provider does not answer: {0}")]
    Silent(String),
}

impl Provider {
    /// The provider of a plan.
    ///
    /// # Errors
    /// [`FetchError`], when its authorities cannot be read.
    pub fn new(plan: &ProviderPlan) -> Result<Provider, FetchError> {
        let fetcher = |url| Fetcher::new(url, plan.ca.clone());
        let authorization = match (&plan.client_secret, plan.proof) {
            (Some(secret), ClientProof::Basic) => {
                let secret = String::from_utf8_lossy(secret.reveal());
                // RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
                let pair = format!("{}:{}", form::encoded(&plan.client_id), form::encoded(&secret));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok();
                value.map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
            }
            (Some(_), ClientProof::Post) | (None, _) => None,
        };
        Ok(Provider {
            token: fetcher(&plan.token)?,
            revocation: plan.revocation.as_ref().map(fetcher).transpose()?,
            authorization,
            plan: plan.clone(),
        })
    }

    /// Is it made of the same, the authorities' certificates included?
    pub(super) fn is_like(&self, other: &Provider) -> bool {
        let revocation = match (&self.revocation, &other.revocation) {
            (Some(own), Some(other)) => own.is_like(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        revocation && self.plan == other.plan && self.token.is_like(&other.token)
    }

    /// Its plan.
    pub fn plan(&self) -> &ProviderPlan {
        &self.plan
    }

    /// The authorization request (RFC 6749 section 4.1.1, RFC 7636 section 4.3), as a URL.
    pub fn authorization_url(&self, redirect_uri: &str, state: &str, nonce: &str, verifier: &str) -> String {
        let challenge = Digest::of(verifier).base64url();
        let scopes = self.plan.scopes.join(" ");
        let mut url = self.plan.authorization.to_string();
        let mut sign = if self.plan.authorization.query().is_some() {
            '&'
        } else {
            '?'
        };
        let nonce = if self.is_openid() { nonce } else { "" };
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", self.plan.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("scope", scopes.as_str()),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ] {
            if !value.is_empty() {
                url.push(sign);
                url.push_str(name);
                url.push('=');
                url.push_str(&form::encoded(value));
                sign = '&';
            }
        }
        url
    }

    /// Does it say who its user is by an ID token?
    pub fn is_openid(&self) -> bool {
        self.plan.scopes.iter().any(|scope| scope == "openid")
    }

    /// Posts a code (RFC 6749 section 4.1.3). Where the provider is one of OpenID Connect, the ID token is looked at too.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn redeem(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        nonce: &str,
        now: UnixTime,
    ) -> Result<ProviderTokens, ProviderError> {
        let tokens = self
            .ask(
                &[
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("redirect_uri", redirect_uri),
                    ("code_verifier", verifier),
                ],
                now,
            )
            .await?;
        if self.is_openid() {
            let token = tokens
                .id
                .as_ref()
                .ok_or(ProviderError::Invalid("there is no ID token"))?;
            self.check_id(token, nonce, now).map_err(ProviderError::Invalid)?;
        }
        Ok(tokens)
    }

    /// Refreshes tokens (RFC 6749 section 6). What the answer does not have stays as it is in `old`.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn refresh(
        &self,
        old: &ProviderTokens,
        now: UnixTime,
    ) -> Result<ProviderTokens, ProviderError> {
        let Some(refresh) = &old.refresh else {
            return Err(ProviderError::Refused("there is no refresh token".to_owned()));
        };
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.as_str()),
        ];
        let mut tokens = self.ask(&parameters, now).await?;
        if let (Some(old), Some(new)) = (&old.id, &tokens.id)
            && !is_of_the_same_user(old, new)
        {
            return Err(ProviderError::Invalid(
                "the ID token is of another user than before",
            ));
        }
        tokens.refresh = tokens.refresh.or_else(|| old.refresh.clone());
        tokens.id = tokens.id.or_else(|| old.id.clone());
        Ok(tokens)
    }

    /// Revokes the tokens (RFC 7009), where the provider has an endpoint for it. That it could not is logged; the session here
    /// has ended all the same.
    pub async fn revoke(&self, tokens: &ProviderTokens) {
        let Some(endpoint) = &self.revocation else {
            return;
        };
        let (token, hint) = match &tokens.refresh {
            Some(refresh) => (refresh, "refresh_token"),
            None => (&tokens.access, "access_token"),
        };
        let form = self.form(&[("token", token.as_str()), ("token_type_hint", hint)]);
        let asked = endpoint
            .submit(form, self.authorization.clone(), self.plan.deadline)
            .await;
        match asked {
            Ok(answer) if answer.status() == StatusCode::OK => {}
            Ok(answer) => tracing::warn!(
                provider = %self.plan.name, status = answer.status().as_u16(),
                "the provider did not revoke tokens of somebody who signed out"
            ),
            Err(error) => tracing::warn!(
                provider = %self.plan.name, %error,
                "the provider was not told that somebody signed out"
            ),
        }
    }

    /// Where a browser is sent to sign out there (OpenID Connect RP-Initiated Logout 1.0), where the provider has such a page.
    pub fn end_session_url(&self, tokens: &ProviderTokens, after: Option<&str>) -> Option<String> {
        let endpoint = self.plan.end_session.as_ref()?;
        let mut url = endpoint.to_string();
        let mut sign = if endpoint.query().is_some() { '&' } else { '?' };
        let hint = tokens.id.as_ref().map(|token| token.as_str());
        for (name, value) in [
            ("id_token_hint", hint),
            ("client_id", Some(self.plan.client_id.as_str())),
            ("post_logout_redirect_uri", after),
        ] {
            if let Some(value) = value {
                url.push(sign);
                url.push_str(name);
                url.push('=');
                url.push_str(&form::encoded(value));
                sign = '&';
            }
        }
        Some(url)
    }

    fn form(&self, parameters: &[(&str, &str)]) -> Bytes {
        let mut form = Zeroizing::new(String::new());
        let mut add = |name: &str, value: &str| {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            form.push_str(&form::encoded(value));
        };
        for (name, value) in parameters {
            add(name, value);
        }
        match (&self.plan.client_secret, self.plan.proof) {
            (Some(_), ClientProof::Basic) => {}
            (Some(secret), ClientProof::Post) => {
                add("client_id", &self.plan.client_id);
                add("client_secret", &String::from_utf8_lossy(secret.reveal()));
            }
            // A public client names itself (section 3.2.1).
            (None, _) => add("client_id", &self.plan.client_id),
        }
        Bytes::from(form.as_bytes().to_vec())
    }

    async fn ask(&self, parameters: &[(&str, &str)], now: UnixTime) -> Result<ProviderTokens, ProviderError> {
        let form = self.form(parameters);
        let within: Duration = self.plan.deadline;
        let answer = self.token.submit(form, self.authorization.clone(), within).await;
        let answer = answer.map_err(|error| ProviderError::Silent(error.to_string()))?;
        let members = strict_json::object(answer.body());
        let status = answer.status();
        if status == StatusCode::OK {
            let members = members.map_err(|_| ProviderError::Invalid("it is no JSON object"))?;
            return tokens(&members, now).map_err(ProviderError::Invalid);
        }
        let error = members
            .ok()
            .and_then(|members| Some(members.get("error")?.as_str()?.to_owned()));
        match error {
            // Somebody else's words: only such as an error code is made of (section 5.2) get into the log.
            Some(error) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                Err(ProviderError::Refused(
                    error.chars().filter(|c| plain(*c)).take(64).collect(),
                ))
            }
            Some(_) | None => Err(ProviderError::Silent(format!("status {}", status.as_u16()))),
        }
    }

    /// OpenID Connect Core section 3.1.3.7. The token came from the provider's own endpoint, so that its connection vouches for
    /// it and its signature need not: "the TLS server validation MAY be used to validate the issuer in place of checking the
    /// token signature" (item 6).
    fn check_id(&self, token: &str, nonce: &str, now: UnixTime) -> Result<(), &'static str> {
        let parts = compact::parts(token).map_err(|_| "the ID token is none")?;
        let claims = compact::decode(parts.payload).map_err(|_| "the ID token is none")?;
        let claims = strict_json::object(&claims).map_err(|_| "the ID token is none")?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if let Some(issuer) = &self.plan.issuer
            && text("iss") != Some(issuer)
        {
            return Err("the ID token is of another issuer");
        }
        let own = self.plan.client_id.as_str();
        let is_for_us = match claims.get("aud") {
            Some(Value::String(one)) => one == own,
            Some(Value::Array(many)) => {
                many.iter().any(|one| one.as_str() == Some(own))
                    && (many.len() == 1 || text("azp") == Some(own))
            }
            _ => false,
        };
        if !is_for_us || text("azp").is_some_and(|azp| azp != own) {
            return Err("the ID token is for another client");
        }
        let expires = claims
            .get("exp")
            .and_then(Value::as_i64)
            .ok_or("the ID token does not end")?;
        if now.0 >= expires.saturating_add(LEEWAY) {
            return Err("the ID token is over");
        }
        let said = text("nonce").unwrap_or_default();
        if !Digest::of(said).matches(&Digest::of(nonce)) {
            return Err("the ID token is of another sign-in");
        }
        Ok(())
    }
}

/// Allowed difference of clocks, in seconds.
const LEEWAY: i64 = 60;

/// A token is refreshed so many seconds before its end, longer than a call to a backend usually takes; one that lives shorter than
/// twice as long, after half its life.
const REFRESH_BEFORE: u64 = 60;

/// However short a token lives, it is used so many seconds before another is asked for.
const FLOOR: u64 = 5;

/// What of an ID token stays the same when it is refreshed (OpenID Connect Core section 12.2).
fn is_of_the_same_user(old: &str, new: &str) -> bool {
    let claims = |token: &str| {
        let parts = compact::parts(token).ok()?;
        strict_json::object(&compact::decode(parts.payload).ok()?).ok()
    };
    match (claims(old), claims(new)) {
        (Some(old), Some(new)) => ["iss", "sub", "aud"]
            .iter()
            .all(|name| old.get(*name) == new.get(*name)),
        (None, _) | (_, None) => false,
    }
}

/// RFC 6749 section 5.1.
fn tokens(members: &Map<String, Value>, now: UnixTime) -> Result<ProviderTokens, &'static str> {
    let token = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= LONGEST_TOKEN => {
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            plain
                .then(|| Some(Zeroizing::new(text.clone())))
                .ok_or("a token has odd characters")
        }
        Some(_) => Err("a token is no text, empty or too long"),
    };
    let kind = members.get("token_type").and_then(Value::as_str);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("its tokens are no bearer tokens");
    }
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => UNSAID,
        // Some write it as text.
        Some(Value::String(text)) => text.parse().map_err(|_| "`expires_in` is no number")?,
        Some(value) => value.as_u64().ok_or("`expires_in` is no number")?,
    };
    Ok(ProviderTokens {
        access: token("access_token")?.ok_or("there is no access token")?,
        refresh: token("refresh_token")?,
        id: token("id_token")?,
        expires_at: now.plus(Duration::from_secs(seconds)),
        refresh_at: now.plus(Duration::from_secs(
            FLOOR.max(seconds.saturating_sub(REFRESH_BEFORE.min(seconds / 2))),
        )),
    })
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderTokens")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
