//! Nodes: how they join, by an enrolment token or by somebody who lets them in, and what is known of them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::enrolment::{actor, no_node};
use crate::auth::access::Permit;
use crate::base::digest::Digest;
use crate::base::json_template::Filling;
use crate::base::token_value::{Shape, TokenValue};
use crate::config::plan::{EnrolField, EnrolPlan, NodeField, NodesPlan};
use crate::http::body::Body;
use crate::identity::{NodeId, NodeUuid};
use crate::oauth::answers::{self, planned, unavailable};
use crate::oauth::asked::{self, Asked};
use crate::oauth::issue::{Grant, Refreshing};
use crate::oauth::service::TokenService;
use crate::rejection::{BadRequest, Rejection};
use crate::store::backend::{PageSize, Paging, TenantFilter};
use crate::store::model::{Actor, By, Joining, NewNode, Node, Origin};
use crate::store::outcome::{Edit, Joined};

/// A body has a token, an identifier and some notes.
const LONGEST_BODY: u64 = 16 << 10;

/// Nodes that one list has at most.
const MOST_LISTED: usize = 10_000;

/// The endpoint by which nodes join.
#[derive(Debug)]
pub struct Enrol {
    plan: EnrolPlan,
    service: Arc<TokenService>,
}

impl Enrol {
    /// The endpoint of `plan`, for nodes whose tokens are of `service`.
    pub fn new(plan: EnrolPlan, service: Arc<TokenService>) -> Enrol {
        Enrol { plan, service }
    }

    /// Answers a request: by a token in the body on a public route, else by whoever calls. The node's secret and its first
    /// access token are in the answer and nowhere else.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`] for a token that is not there or was used, [`Rejection::TokenExpired`] for one whose
    /// time is over, [`Rejection::TenantForbidden`] for a node of another tenant, [`Rejection::RoleMissing`] for a node that
    /// lets another in, [`Rejection::BadRequest`], [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let bytes = asked::whole(body, LONGEST_BODY).await?;
        let members = asked::members(asked.headers, &bytes)?;
        let bad = || Rejection::BadRequest(BadRequest::Parameters);
        let uuid = asked::text_at(&members, &self.plan.uuid)?.ok_or_else(bad)?;
        let uuid = NodeUuid::try_from(uuid).map_err(|_| bad())?;
        let secret = TokenValue::random(Shape::Base64Url);
        let store = self.service.realm().accounts().store();
        let joined = match &self.plan.token {
            Some(pointer) => {
                let token = asked::text_at(&members, pointer)?.ok_or(Rejection::CredentialsMissing)?;
                let joining = Joining {
                    realm: self.service.realm().name().clone(),
                    token: Digest::of(token),
                    uuid,
                    id: NodeId::random(),
                    secret: Digest::of(secret.reveal()),
                };
                store.join(joining, asked.now).await
            }
            None => {
                no_node(asked)?;
                let new = self.let_in_by(asked.permit, asked, uuid, &secret);
                store.let_in(new, By::new(actor(asked), asked.now)).await
            }
        };
        let node = match joined.map_err(|error| unavailable(&error))? {
            Joined::In(node) => node,
            Joined::Used => {
                return Err(Rejection::CredentialsInvalid(
                    "the enrolment token was used before",
                ));
            }
            Joined::Expired => return Err(Rejection::TokenExpired),
            Joined::Unknown => return Err(Rejection::CredentialsInvalid("there is no such enrolment token")),
            Joined::Taken => return Err(Rejection::TenantForbidden),
        };
        let application = store.application(node.realm.clone(), node.client_id()).await;
        let application = application.map_err(|error| unavailable(&error))?;
        let grant = Grant {
            client_id: node.client_id(),
            user: None,
            customer: node.customer.clone(),
            tenant: node.tenant.clone(),
            scopes: application
                .map(|application| application.scopes)
                .unwrap_or_default(),
            roles: Vec::new(),
            origin: Origin::ClientCredentials,
            audience: None,
            until: None,
            refreshing: Refreshing::Without,
        };
        let by = By::new(Actor::Application(node.client_id()), asked.now);
        let tokens = self.service.issue(grant, by).await?;
        let (asset, client) = (node.id.to_string(), node.client_id());
        Ok(planned(&self.plan.answer, |field| match field {
            EnrolField::Uuid => Filling::Text(node.uuid.as_str().into()),
            EnrolField::Asset => Filling::Text(asset.as_str().into()),
            EnrolField::ClientId => Filling::Text(client.as_str().into()),
            EnrolField::ClientSecret => Filling::Text(secret.reveal().into()),
            EnrolField::AccessToken => Filling::Text(tokens.access.as_str().into()),
            EnrolField::TokenType => Filling::Text("Bearer".into()),
            EnrolField::ExpiresIn => Filling::Number(tokens.expires_in),
        }))
    }

    fn let_in_by(&self, permit: &Permit, asked: &Asked<'_>, uuid: NodeUuid, secret: &TokenValue) -> NewNode {
        NewNode {
            node: Node {
                realm: self.service.realm().name().clone(),
                uuid,
                id: NodeId::random(),
                customer: permit.payer().cloned(),
                tenant: permit.tenant().cloned(),
                metadata: "[]".to_owned(),
                joined_at: asked.now,
                let_in_by: actor(asked),
                last_seen: Some(asked.now),
            },
            secret: Digest::of(secret.reveal()),
            scopes: self.plan.scopes.clone(),
        }
    }
}

/// What is known of nodes: `GET` lists them or shows one, `DELETE` removes one with all its tokens.
#[derive(Debug)]
pub struct Nodes {
    plan: NodesPlan,
    service: Arc<TokenService>,
}

impl Nodes {
    /// The endpoint of `plan`.
    pub fn new(plan: NodesPlan, service: Arc<TokenService>) -> Nodes {
        Nodes { plan, service }
    }

    /// Answers a request. One that is not there is shown as such, and not as an error: that it is not registered is what the
    /// caller wants to know. Nodes of other tenants are not there. A node may look at itself alone.
    ///
    /// # Errors
    /// [`Rejection::NoRoute`] for the removal of one that is not there, [`Rejection::RoleMissing`] for a node that asks for
    /// others, [`Rejection::BadRequest`], [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let named = match asked.named {
            Some(text) => {
                let uuid = NodeUuid::try_from(text);
                Some(uuid.map_err(|_| Rejection::BadRequest(BadRequest::Parameters))?)
            }
            None => None,
        };
        let itself = self.itself(asked);
        match (asked.method, named) {
            (&Method::GET | &Method::HEAD, Some(uuid)) => {
                if itself.as_ref().is_some_and(|own| *own != uuid) {
                    return Err(Rejection::RoleMissing);
                }
                let found = self.find(asked, &uuid).await?;
                let shown = self.shown(asked, &uuid, found.as_ref());
                Ok(answers::json(StatusCode::OK, shown))
            }
            _ if itself.is_some() => Err(Rejection::RoleMissing),
            (&Method::GET | &Method::HEAD, None) => self.list(asked).await,
            (&Method::DELETE, Some(uuid)) => {
                let by = By::new(actor(asked), asked.now);
                let gone = self.store().remove_node(self.filter(asked), uuid, by).await;
                match gone.map_err(|error| unavailable(&error))? {
                    Edit::Done => Ok(answers::answer(StatusCode::NO_CONTENT, Bytes::new())),
                    Edit::Unknown => Err(Rejection::NoRoute),
                }
            }
            _ => Err(Rejection::NoRoute),
        }
    }

    /// The node that asks, if it is one.
    fn itself(&self, asked: &Asked<'_>) -> Option<NodeUuid> {
        let own = asked.permit.known()?.own()?;
        own.client_id().filter(|_| own.account().is_none())?.node()
    }

    async fn find(&self, asked: &Asked<'_>, uuid: &NodeUuid) -> Result<Option<Node>, Rejection> {
        let realm = self.service.realm().name().clone();
        let found = self.store().node(realm, uuid.clone()).await;
        let found = found.map_err(|error| unavailable(&error))?;
        Ok(found.filter(|found| found.tenant.as_ref() == asked.permit.tenant()))
    }

    async fn list(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let filter = self.filter(asked);
        let mut found: Vec<Node> = Vec::new();
        let mut paging = Paging::first(PageSize::MAX);
        loop {
            let page = self.store().nodes(filter.clone(), paging).await;
            let page = page.map_err(|error| unavailable(&error))?;
            found.extend(page.items);
            match page.next {
                Some(next) if found.len() < MOST_LISTED => paging = Paging::after(next, PageSize::MAX),
                Some(_) | None => break,
            }
        }
        let shown: Vec<String> = (found.iter())
            .map(|node| self.shown(asked, &node.uuid, Some(node)))
            .collect();
        let body = format!("{{\"count\":{},\"results\":[{}]}}", shown.len(), shown.join(","));
        Ok(answers::json(StatusCode::OK, body))
    }

    /// Those that the caller may know of.
    fn filter(&self, asked: &Asked<'_>) -> TenantFilter {
        TenantFilter {
            realm: self.service.realm().name().clone(),
            tenant: asked.permit.tenant().cloned(),
        }
    }

    fn store(&self) -> &crate::store::Store {
        self.service.realm().accounts().store()
    }

    fn shown(&self, asked: &Asked<'_>, uuid: &NodeUuid, node: Option<&Node>) -> String {
        let seen = node.and_then(|node| node.last_seen);
        let words = &self.plan.words;
        let status = match (node, seen) {
            (None, _) => &words.unknown,
            (Some(_), Some(seen)) if asked.now.since(seen) <= self.plan.connected_within => &words.connected,
            (Some(_), Some(_) | None) => &words.silent,
        };
        let time = |at: Option<crate::base::clock::UnixTime>| match at {
            Some(at) => Filling::Text(at.rfc3339().into()),
            None => Filling::Absent,
        };
        self.plan.answer.json.render(|field| match field {
            NodeField::Uuid => Filling::Text(Cow::Borrowed(uuid.as_str())),
            NodeField::Status => Filling::Text(Cow::Borrowed(status)),
            NodeField::Asset => match node {
                Some(node) => Filling::Text(node.id.to_string().into()),
                None => Filling::Absent,
            },
            NodeField::Metadata => match node {
                Some(node) => Filling::Json(Cow::Owned(node.metadata.clone())),
                None => Filling::Absent,
            },
            NodeField::JoinedAt => time(node.map(|node| node.joined_at)),
            NodeField::LastSeen => time(seen),
        })
    }
}
