//! Makes signed URLs: whoever may call this endpoint gets a link to a path of the same api, in its own name.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use serde_json::Value;

use super::enrolment::no_node;
use crate::auth::signed_url::{Bearer, Link, UrlKeys};
use crate::base::json_template::Filling;
use crate::config::plan::{SignUrlField, SignUrlPlan};
use crate::http::body::Body;
use crate::http::path;
use crate::identity::ApiName;
use crate::oauth::answers::planned;
use crate::oauth::asked::{self, Asked};
use crate::rejection::{BadRequest, Rejection};

/// A body has a path, a method and a lifetime.
const LONGEST_BODY: u64 = 16 << 10;

/// Longest target that is signed: the guard refuses longer ones anyway.
const LONGEST_TARGET: usize = 4 << 10;

/// The endpoint.
#[derive(Debug)]
pub struct SignUrl {
    plan: SignUrlPlan,
    api: ApiName,
    keys: Arc<UrlKeys>,
}

impl SignUrl {
    /// The endpoint of `plan` in `api`.
    pub fn new(plan: SignUrlPlan, api: ApiName, keys: Arc<UrlKeys>) -> SignUrl {
        SignUrl { plan, api, keys }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::BadRequest`] for a body that is not as it should be, or a path that is in no normal form;
    /// [`Rejection::RoleMissing`] for a path or a method that no links are made for, and for nodes.
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let bad = || Rejection::BadRequest(BadRequest::Parameters);
        // Its link would be no node's any more.
        no_node(asked)?;
        let bytes = asked::whole(body, LONGEST_BODY).await?;
        let members = asked::members(asked.headers, &bytes)?;
        let target = match members.get("path") {
            Some(Value::String(target)) if target.len() <= LONGEST_TARGET => target.as_str(),
            _ => return Err(bad()),
        };
        let method = match members.get("method") {
            None => Method::GET,
            Some(Value::String(method)) => Method::from_bytes(method.as_bytes()).map_err(|_| bad())?,
            Some(_) => return Err(bad()),
        };
        let lifetime = match members.get("expires_in") {
            None => self.plan.lifetime,
            Some(value) => {
                let seconds = value.as_u64().filter(|seconds| *seconds > 0).ok_or_else(bad)?;
                Duration::from_secs(seconds)
            }
        };
        if lifetime > self.plan.longest {
            return Err(bad());
        }
        let uri: http::uri::PathAndQuery = target.parse().map_err(|_| bad())?;
        let is_plain = target.starts_with('/') && !target.contains('#') && target.is_ascii();
        let path = path::normalise(uri.path()).map_err(|_| Rejection::BadRequest(BadRequest::Path))?;
        if !is_plain {
            return Err(bad());
        }
        let is_offered = self.plan.paths.iter().any(|pattern| pattern.matches(&path));
        if !is_offered || !self.plan.methods.contains(&method) {
            return Err(Rejection::RoleMissing);
        }
        let permit = asked.permit;
        let identity = permit.identity().ok_or(Rejection::CredentialsMissing)?;
        let bearer = Bearer {
            subject: identity.subject.clone(),
            customer: permit.payer().cloned(),
            tenant: permit.tenant().cloned(),
        };
        let expires = asked.now.plus(lifetime);
        let link = Link {
            api: &self.api,
            method: &method,
            path: &path,
            query: uri.query(),
            expires,
        };
        let signed = self.keys.sign(&link, &bearer).ok_or(Rejection::Internal(0))?;
        let url = format!("{}://{}{signed}", asked.scheme.as_str(), asked.authority);
        Ok(planned(&self.plan.answer, |field| match field {
            SignUrlField::Url => Filling::Text(url.as_str().into()),
            SignUrlField::Path => Filling::Text(signed.as_str().into()),
            SignUrlField::Method => Filling::Text(method.as_str().into()),
            SignUrlField::ExpiresIn => Filling::Number(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
            SignUrlField::ExpiresAt => Filling::Text(expires.rfc3339().into()),
        }))
    }
}
