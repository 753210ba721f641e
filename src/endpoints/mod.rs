//! Floor 4: all endpoints that answer themselves, as the targets of routes: those of the token service, and what a front door
//! offers beside it.

mod enrolment;
mod nodes;
mod remote;
mod sign_url;
mod status;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::config::plan::{DeleteTokenPlan, MetadataPlan, TokenEndpointPlan};
use crate::http::body::Body;
use crate::oauth::asked::Asked;
use crate::oauth::authorize::Authorize;
use crate::oauth::authorize_step::{AuthorizeStep, user_of};
use crate::oauth::call::Call;
use crate::oauth::mint_client::MintClient;
use crate::oauth::service::TokenService;
use crate::oauth::sign_in::SignIn;
use crate::oauth::sign_out::SignOut;
use crate::rejection::Rejection;

pub use enrolment::EnrolmentTokens;
pub use nodes::{Enrol, Nodes};
pub use remote::{RemoteSignIn, UNDER_WAY};
pub use sign_url::SignUrl;
pub use status::{Status, Watched};

/// An endpoint, compiled.
#[derive(Debug)]
pub enum Endpoint {
    /// A sign-in with a password.
    SignIn(Box<SignIn>),
    /// Ends what the caller came with.
    SignOut(Box<SignOut>),
    /// The authorization endpoint for browsers.
    Authorize(Box<Authorize>),
    /// The authorization endpoint for programs.
    AuthorizeStep(Box<AuthorizeStep>),
    /// Credentials of an application for one tenant.
    MintClient(Box<MintClient>),
    /// The token endpoint.
    Token(Arc<TokenService>, TokenEndpointPlan),
    /// Revocation (RFC 7009).
    Revoke(Arc<TokenService>),
    /// Introspection (RFC 7662).
    Introspect(Arc<TokenService>),
    /// Metadata (RFC 8414).
    Metadata(Arc<TokenService>, MetadataPlan),
    /// The key set.
    Keys(Arc<TokenService>),
    /// Deletes a token.
    DeleteToken(Arc<TokenService>, DeleteTokenPlan),
    /// Which services can work.
    Status(Box<Status>),
    /// Makes signed URLs.
    SignUrl(Box<SignUrl>),
    /// Tokens by which nodes join.
    EnrolmentTokens(Box<EnrolmentTokens>),
    /// How they join.
    Enrol(Box<Enrol>),
    /// Those that have.
    Nodes(Box<Nodes>),
    /// Sends a browser to a provider.
    BeginSignIn(RemoteSignIn),
    /// Takes it back.
    FinishSignIn(RemoteSignIn),
    /// Signs out, here and there.
    EndSignIn(RemoteSignIn),
}

impl Endpoint {
    /// Answers a request. What a client of OAuth has done wrong is an answer too (RFC 6749 section 5.2).
    ///
    /// # Errors
    /// What has the look of the api.
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        match self {
            Endpoint::SignIn(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::SignOut(endpoint) => endpoint.answer(asked).await,
            Endpoint::Authorize(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::AuthorizeStep(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::MintClient(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::Token(service, plan) => service.token(plan, call(asked, body)).await,
            Endpoint::Revoke(service) => service.revoke(call(asked, body)).await,
            Endpoint::Introspect(service) => service.introspect(call(asked, body)).await,
            Endpoint::Metadata(service, plan) => service.metadata(plan, &call(asked, body)),
            Endpoint::Keys(service) => service.key_set(&call(asked, body)),
            Endpoint::Status(endpoint) => endpoint.answer(asked),
            Endpoint::EnrolmentTokens(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::Enrol(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::Nodes(endpoint) => endpoint.answer(asked).await,
            Endpoint::BeginSignIn(sign_in) => sign_in.begin(asked),
            Endpoint::FinishSignIn(sign_in) => sign_in.finish(asked).await,
            Endpoint::EndSignIn(sign_in) => sign_in.end(asked).await,
            Endpoint::SignUrl(endpoint) => endpoint.answer(asked, body).await,
            Endpoint::DeleteToken(service, plan) => {
                let caller = user_of(asked, service.realm())?.id;
                service.delete_token(plan, caller, call(asked, body)).await
            }
        }
    }
}

fn call<'r>(asked: &Asked<'r>, body: Body) -> Call<'r> {
    Call {
        method: asked.method,
        headers: asked.headers,
        query: asked.query,
        scheme: asked.scheme,
        authority: asked.authority,
        tenant: asked.tenant,
        body,
        now: asked.now,
    }
}
