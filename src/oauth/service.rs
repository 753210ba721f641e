//! A token service: an authorization server (RFC 6749) for the users and applications of one realm.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::accounts::{Directory, Realm};
use crate::config::plan::{AccessFormat, TokenServicePlan};
use crate::jose::access_token;
use crate::jose::key_store::KeyStore;
use crate::jose::verify::Policy;
use crate::store::Store;

/// A token service of the configuration, ready to answer. The endpoints are methods, each in the file of its name; they
/// hold nothing of a request, so one service answers all.
pub struct TokenService {
    plan: TokenServicePlan,
    realm: Arc<Realm>,
    directory: Arc<Directory>,
    signing: Option<Signing>,
    challenge: HeaderValue,
}

/// By what a service signs, and verifies, its tokens.
#[derive(Debug)]
pub(super) struct Signing {
    pub(super) keys: Arc<KeyStore>,
    pub(super) policy: Policy,
}

/// The plan asks for signed tokens and there are no keys for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token service that signs its tokens needs keys")]
pub struct NoKeys;

impl TokenService {
    /// The service of a plan. `keys` are opened from the folder that the plan names, by whoever shares them with the
    /// authenticator that verifies; opaque tokens need none.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn new(
        plan: &TokenServicePlan,
        realm: Arc<Realm>,
        directory: Arc<Directory>,
        keys: Option<Arc<KeyStore>>,
    ) -> Result<Arc<TokenService>, NoKeys> {
        let signing = match &plan.access.format {
            AccessFormat::Opaque => None,
            AccessFormat::Jwt { .. } => {
                let keys = keys.ok_or(NoKeys)?;
                let policy = access_token::policy(&plan.issuer, &plan.audience, keys.algorithm());
                Some(Signing { keys, policy })
            }
        };
        // The name's grammar has nothing that would need quoting.
        let challenge = HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", plan.name))
            .unwrap_or(HeaderValue::from_static("Basic realm=\"token service\""));
        Ok(Arc::new(TokenService {
            plan: plan.clone(),
            realm,
            directory,
            signing,
            challenge,
        }))
    }

    /// Its plan.
    pub fn plan(&self) -> &TokenServicePlan {
        &self.plan
    }

    /// `iss` of its tokens and answers (RFC 8414 section 2, RFC 9207 section 2).
    pub fn issuer(&self) -> &str {
        &self.plan.issuer
    }

    /// Whose users and applications.
    pub fn realm(&self) -> &Arc<Realm> {
        &self.realm
    }

    /// How long a code of it holds.
    pub fn code_lifetime(&self) -> Duration {
        self.plan.code_lifetime
    }

    pub(super) fn store(&self) -> &Store {
        self.realm.accounts().store()
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn signing(&self) -> Option<&Signing> {
        self.signing.as_ref()
    }

    /// What a client that did not authenticate is told (RFC 7617 section 2).
    pub(super) fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }
}

impl std::fmt::Debug for TokenService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenService")
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}
