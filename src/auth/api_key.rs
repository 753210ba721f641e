//! Callers by an access token of ours in a header of its own, for programs that can set a header and know nothing of OAuth.

use std::sync::Arc;

use http::HeaderName;

use super::known::Known;
use super::opaque::{Found, OwnTokens};
use super::presented::Presented;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::jose::compact;
use crate::rejection::{BadRequest, Rejection};

/// A header that carries tokens of one service.
#[derive(Debug, Clone)]
pub struct ApiKey {
    header: HeaderName,
    tokens: Arc<OwnTokens>,
}

impl ApiKey {
    /// Tokens of `tokens` in the field `header`.
    pub fn new(header: HeaderName, tokens: Arc<OwnTokens>) -> ApiKey {
        ApiKey { header, tokens }
    }

    /// The caller; `None` when there is no such field.
    ///
    /// # Errors
    /// [`Rejection::BadRequest`] for two fields; as a bearer token for the rest.
    pub(super) async fn identify(
        &self,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let mut lines = presented.headers.get_all(&self.header).iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        if lines.next().is_some() {
            return Err(Rejection::BadRequest(BadRequest::Field));
        }
        let token = line
            .to_str()
            .ok()
            .filter(|token| !token.is_empty() && token.len() <= compact::LONGEST)
            .ok_or(Rejection::CredentialsInvalid("the API key is no token"))?;
        let digest = Digest::of(token);
        if let Some(known) = self.tokens.recall(digest, now)? {
            return Ok(Some(known));
        }
        match Box::pin(self.tokens.look_up(token, digest, now)).await? {
            Found::Known(known) => Ok(Some(known)),
            Found::Unknown => Err(self.tokens.refuse_unknown()),
        }
    }
}
