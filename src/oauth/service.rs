//! STUB of g's, to compile against until f's is there.
#![allow(missing_docs, unused, clippy::unused_async)]
use crate::accounts::Account;
use crate::base::clock::UnixTime;
use crate::base::token_value::TokenValue;
use crate::config::plan::{DeleteTokenPlan, MetadataPlan, TokenEndpointPlan};
use crate::auth::access::Permit;
use crate::http::body::Body;
use crate::identity::*;
use super::{OAuthError, Refused};
use crate::rejection::Rejection;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use std::time::Duration;
#[derive(Debug)]
pub struct TokenService;
#[derive(Debug)]
pub struct Call<'r> { pub method: &'r Method, pub headers: &'r HeaderMap, pub query: Option<&'r str>, pub tenant: Option<&'r str>, pub body: Body, pub now: UnixTime }
pub struct Granted { pub user: UserId, pub customer: Option<CustomerId>, pub tenant: Option<TenantId>, pub roles: Vec<Role> }
#[derive(Debug)]
pub struct AuthorizationRequest { client: ClientId }
pub struct AuthorizationRefused;
pub struct Tokens { pub access: TokenValue, pub expires_at: UnixTime }
impl AuthorizationRefused {
    pub fn refused(&self) -> Refused { OAuthError::ServerError.into() }
    pub fn error(&self) -> OAuthError { OAuthError::ServerError }
    pub fn redirect(&self) -> Option<(&str, Option<&str>)> { None }
}
impl AuthorizationRequest {
    pub fn client_id(&self) -> &ClientId { &self.client }
    pub fn application_name(&self) -> &str { "" }
    pub fn bound_to(&self) -> Option<&TenantId> { None }
    pub fn scopes(&self) -> &[Scope] { &[] }
    pub fn redirect_uri(&self) -> &str { "" }
    pub fn state(&self) -> Option<&str> { None }
}
impl TokenService {
    pub async fn authorization_request(&self, query: Option<&str>) -> Result<Result<AuthorizationRequest, AuthorizationRefused>, Rejection> { Err(Rejection::RouteGone) }
    pub async fn grant_code(&self, r: &AuthorizationRequest, g: Granted, now: UnixTime) -> Result<TokenValue, Rejection> { Err(Rejection::RouteGone) }
    pub async fn issue_for_sign_in(&self, a: &Account, c: Option<ClientId>, now: UnixTime) -> Result<Tokens, Rejection> { Err(Rejection::RouteGone) }
    pub fn issuer(&self) -> &str { "" }
    pub fn code_lifetime(&self) -> Duration { Duration::ZERO }
    pub async fn token(&self, p: &TokenEndpointPlan, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
    pub async fn revoke(&self, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
    pub async fn introspect(&self, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
    pub fn metadata(&self, p: &MetadataPlan, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
    pub fn key_set(&self, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
    pub async fn delete_token(&self, p: &DeleteTokenPlan, permit: &Permit, c: Call<'_>) -> Result<Response<Bytes>, Rejection> { Err(Rejection::RouteGone) }
}
