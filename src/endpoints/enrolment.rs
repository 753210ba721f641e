//! Enrolment tokens: made by whoever may, for the tenant that the call is for; each lets one node join, once.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value};

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::json_template::Filling;
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::{EnrolmentField, EnrolmentTokensPlan};
use crate::http::body::Body;
use crate::identity::{CredentialKind, EnrolmentId};
use crate::oauth::answers::{self, bug, planned, unavailable};
use crate::oauth::asked::{self, Asked};
use crate::oauth::service::TokenService;
use crate::rejection::{BadRequest, Rejection};
use crate::store::backend::{PageSize, Paging, TenantFilter};
use crate::store::model::{Actor, By, Enrolment};
use crate::store::outcome::{Creation, Edit};

/// A body has a token, an end and some notes.
const LONGEST_BODY: u64 = 16 << 10;

/// Shortest and longest token that a caller may choose: 128 bits of base64 have 22 characters; a UUID has 36.
const CHOSEN: std::ops::RangeInclusive<usize> = 20..=512;

/// So much of a token is kept in clear.
const HINT: usize = 6;

/// Tokens that one list has at most.
const MOST_LISTED: usize = 10_000;

/// The endpoint: `GET` lists them or shows one, `POST` makes one, `DELETE` takes one back.
#[derive(Debug)]
pub struct EnrolmentTokens {
    plan: EnrolmentTokensPlan,
    service: Arc<TokenService>,
}

impl EnrolmentTokens {
    /// The endpoint of `plan`, for nodes whose tokens are of `service`.
    pub fn new(plan: EnrolmentTokensPlan, service: Arc<TokenService>) -> EnrolmentTokens {
        EnrolmentTokens { plan, service }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::RoleMissing`] for a node; [`Rejection::BadRequest`] for a body that is not as it should be;
    /// [`Rejection::NoRoute`] for a token that is not there, or another tenant's; [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        no_node(asked)?;
        match (asked.method, asked.named) {
            (&Method::POST, None) => self.create(asked, body).await,
            (&Method::GET | &Method::HEAD, None) => self.list(asked).await,
            (&Method::GET | &Method::HEAD, Some(id)) => {
                let found = self.find(asked, id).await?;
                Ok(answers::json(StatusCode::OK, self.shown(asked, &found, None)))
            }
            (&Method::DELETE, Some(id)) => {
                let found = self.find(asked, id).await?;
                let (store, realm) = (self.store(), self.service.realm().name().clone());
                let by = By::new(actor(asked), asked.now);
                let gone = store.delete_enrolment(realm, found.id, by).await;
                match gone.map_err(|error| unavailable(&error))? {
                    Edit::Done => Ok(answers::answer(StatusCode::NO_CONTENT, Bytes::new())),
                    Edit::Unknown => Err(Rejection::NoRoute),
                }
            }
            _ => Err(Rejection::NoRoute),
        }
    }

    async fn create(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let bytes = asked::whole(body, LONGEST_BODY).await?;
        let members = if bytes.is_empty() {
            Map::new()
        } else {
            asked::members(asked.headers, &bytes)?
        };
        let (token, expires_at, metadata) = self.wanted(&members, asked.now)?;
        let text = match &token {
            Some(text) => Cow::Borrowed(*text),
            None => Cow::Owned(TokenValue::random(Shape::Base64Url).reveal().to_owned()),
        };
        let enrolment = Enrolment {
            realm: self.service.realm().name().clone(),
            id: EnrolmentId::random(),
            digest: Digest::of(&text),
            hint: text.chars().take(HINT).collect(),
            metadata,
            customer: asked.permit.payer().cloned(),
            tenant: asked.permit.tenant().cloned(),
            scopes: self.plan.scopes.clone(),
            created_at: asked.now,
            created_by: actor(asked),
            expires_at,
            used: None,
        };
        let by = By::new(actor(asked), asked.now);
        let kept = self.store().create_enrolment(enrolment.clone(), by).await;
        match kept.map_err(|error| unavailable(&error))? {
            Creation::Created => {}
            // Whoever chooses a token that is there would learn that it is; with 20 characters and more nobody guesses one.
            Creation::Exists if token.is_some() => return Err(bad()),
            Creation::Exists => return Err(bug(&"256 random bits were drawn twice")),
        }
        Ok(planned(&self.plan.answer, |field| {
            self.field(field, asked, &enrolment, Some(&text))
        }))
    }

    /// The token if the caller chooses one, its end, and what is noted of it.
    fn wanted<'m>(
        &self,
        members: &'m Map<String, Value>,
        now: UnixTime,
    ) -> Result<(Option<&'m str>, UnixTime, String), Rejection> {
        let token = match members.get(&self.plan.token) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_plain || !CHOSEN.contains(&text.len()) {
                    return Err(bad());
                }
                Some(text.as_str())
            }
            Some(_) => return Err(bad()),
        };
        let longest = now.plus(self.plan.longest);
        let expires_at = match members.get(&self.plan.expires) {
            None | Some(Value::Null) => now.plus(self.plan.lifetime),
            Some(Value::Number(number)) => {
                let seconds = number
                    .as_f64()
                    .filter(|seconds| *seconds >= 0.0 && *seconds < 1e12);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "within its range, and parts of a second do not matter"
                )]
                let at = UnixTime(seconds.ok_or_else(bad)? as i64);
                if at <= now || at > longest {
                    return Err(bad());
                }
                at
            }
            Some(_) => return Err(bad()),
        };
        let metadata = match members.get(&self.plan.metadata) {
            None | Some(Value::Null) => "[]".to_owned(),
            Some(value @ Value::Array(_)) => Some(value.to_string())
                .filter(|text| text.len() <= LONGEST_NOTES)
                .ok_or_else(bad)?,
            Some(_) => return Err(bad()),
        };
        Ok((token, expires_at, metadata))
    }

    async fn list(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let filter = TenantFilter {
            realm: self.service.realm().name().clone(),
            tenant: asked.permit.tenant().cloned(),
        };
        let mut found: Vec<Enrolment> = Vec::new();
        let mut paging = Paging::first(PageSize::MAX);
        loop {
            let page = self.store().enrolments(filter.clone(), paging).await;
            let page = page.map_err(|error| unavailable(&error))?;
            found.extend(page.items);
            match page.next {
                Some(next) if found.len() < MOST_LISTED => paging = Paging::after(next, PageSize::MAX),
                Some(_) | None => break,
            }
        }
        found.sort_by_key(|one| (one.created_at, one.id));
        let shown: Vec<String> = found.iter().map(|one| self.shown(asked, one, None)).collect();
        let body = format!("{{\"count\":{},\"results\":[{}]}}", shown.len(), shown.join(","));
        Ok(answers::json(StatusCode::OK, body))
    }

    async fn find(&self, asked: &Asked<'_>, id: &str) -> Result<Enrolment, Rejection> {
        let id = EnrolmentId::try_from(id).map_err(|_| Rejection::NoRoute)?;
        let realm = self.service.realm().name().clone();
        let found = self.store().enrolment(realm, id).await;
        let found = found.map_err(|error| unavailable(&error))?;
        found
            .filter(|found| found.tenant.as_ref() == asked.permit.tenant())
            .ok_or(Rejection::NoRoute)
    }

    fn store(&self) -> &crate::store::Store {
        self.service.realm().accounts().store()
    }

    fn shown(&self, asked: &Asked<'_>, enrolment: &Enrolment, token: Option<&str>) -> String {
        let value = |field| self.field(field, asked, enrolment, token);
        self.plan.answer.json.render(value)
    }

    fn field<'v>(
        &self,
        field: EnrolmentField,
        asked: &Asked<'_>,
        enrolment: &'v Enrolment,
        token: Option<&'v str>,
    ) -> Filling<'v> {
        let changed = enrolment
            .used
            .as_ref()
            .map_or(enrolment.created_at, |used| used.at);
        match field {
            EnrolmentField::Id => Filling::Text(enrolment.id.to_string().into()),
            EnrolmentField::Token => Filling::Text(match token {
                Some(token) => Cow::Borrowed(token),
                None => Cow::Owned(format!("{}…", enrolment.hint)),
            }),
            EnrolmentField::InUse => Filling::Json(enrolment.used.is_some().to_string().into()),
            EnrolmentField::Metadata => Filling::Json(Cow::Borrowed(&enrolment.metadata)),
            EnrolmentField::ExpiryTime => Filling::Number(enrolment.expires_at.0),
            EnrolmentField::ExpiresAt => Filling::Text(enrolment.expires_at.rfc3339().into()),
            EnrolmentField::LastModified => {
                Filling::Text(changed.0.saturating_mul(1_000_000).to_string().into())
            }
            EnrolmentField::Node => match &enrolment.used {
                Some(used) => Filling::Text(Cow::Borrowed(used.node.as_str())),
                None => Filling::Absent,
            },
            EnrolmentField::Url => Filling::Text(url(asked, &enrolment.id).into()),
        }
    }
}

/// Where this one is shown.
fn url(asked: &Asked<'_>, id: &EnrolmentId) -> String {
    let origin = format!("{}://{}", asked.scheme.as_str(), asked.authority);
    match asked.named {
        Some(_) => format!("{origin}{}", asked.path),
        None => format!("{origin}{}/{id}", asked.path.trim_end_matches('/')),
    }
}

fn bad() -> Rejection {
    Rejection::BadRequest(BadRequest::Parameters)
}

/// Longest notes of a token, in bytes of JSON: lists have them all.
const LONGEST_NOTES: usize = 2 << 10;

/// Nodes, and whoever has a link, let nobody in.
///
/// # Errors
/// [`Rejection::RoleMissing`].
pub(super) fn no_node(asked: &Asked<'_>) -> Result<(), Rejection> {
    let identity = asked.permit.identity().ok_or(Rejection::CredentialsMissing)?;
    match identity.kind {
        CredentialKind::Node => Err(Rejection::RoleMissing),
        CredentialKind::Jwt
        | CredentialKind::Token
        | CredentialKind::ApiKey
        | CredentialKind::Introspected
        | CredentialKind::Session
        | CredentialKind::Basic => Ok(()),
        // Whoever has a link may make the call that it is for, and let nobody in by it.
        CredentialKind::SignedUrl => Err(Rejection::RoleMissing),
    }
}

/// Who asks, for the audit log.
pub(super) fn actor(asked: &Asked<'_>) -> Actor {
    let own = asked.permit.known().and_then(|known| known.own());
    match own.map(|own| (own.account(), own.client_id())) {
        Some((Some(account), _)) => Actor::User(account.id),
        Some((None, Some(client))) => Actor::Application(client.clone()),
        // Somebody whom another issuer vouches for.
        Some((None, None)) | None => {
            let who = asked.permit.identity();
            let who = who.map(|who| format!("{}/{}", who.issuer, who.subject));
            Actor::Operator(who.unwrap_or_default().into())
        }
    }
}
