//! Nodes: machines that a tenant lets in, each with a UUID of its own; and the enrolment tokens by which they join.

use std::time::Duration;

use super::{Actor, Application, ApplicationState};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{
    ClientId, CustomerId, EnrolmentId, GrantType, NodeId, NodeUuid, RealmName, Scope, TenantId,
};

/// An enrolment token: it lets one node join, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The world of accounts.
    pub realm: RealmName,
    /// By what it is known; the token itself is known to who made it alone.
    pub id: EnrolmentId,
    /// Digest of the token.
    pub digest: Digest,
    /// The token's first characters, for people.
    pub hint: String,
    /// What is noted of it: a JSON array.
    pub metadata: String,
    /// Who pays for the node's calls.
    pub customer: Option<CustomerId>,
    /// Where the node acts, and nowhere else.
    pub tenant: Option<TenantId>,
    /// What the node's tokens allow.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: UnixTime,
    /// By whom.
    pub created_by: Actor,
    /// From when on it is no good.
    pub expires_at: UnixTime,
    /// The node that has joined by it.
    pub used: Option<Used>,
}

/// By which node a token was used, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The node.
    pub node: NodeUuid,
    /// When.
    pub at: UnixTime,
}

/// A node that has joined. It is an application too ([`Node::application`]), by which its tokens are what others' are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The world of accounts.
    pub realm: RealmName,
    /// Its own identifier, unique in the realm.
    pub uuid: NodeUuid,
    /// The identifier that it is given when it first joins.
    pub id: NodeId,
    /// Who pays for its calls.
    pub customer: Option<CustomerId>,
    /// Where it acts.
    pub tenant: Option<TenantId>,
    /// What is noted of it: a JSON array.
    pub metadata: String,
    /// When it joined.
    pub joined_at: UnixTime,
    /// Who let it.
    pub let_in_by: Actor,
    /// When it was last recognised as a caller. In the process that answers the calls up to [`Node::TOUCH_EVERY`] older.
    pub last_seen: Option<UnixTime>,
}

impl Node {
    /// How often the use of a node's tokens is noted, at most.
    pub const TOUCH_EVERY: Duration = Duration::from_secs(30);

    /// Its name as a client.
    pub fn client_id(&self) -> ClientId {
        ClientId::of_node(&self.uuid)
    }

    /// By what its use is noted: [`crate::store::Backend::touch`].
    pub fn mark(realm: &RealmName, uuid: &NodeUuid) -> Digest {
        Digest::of(&format!("node {realm} {uuid}"))
    }

    /// The application that it is.
    pub fn application(&self, secret: Digest, scopes: Vec<Scope>) -> Application {
        Application {
            realm: self.realm.clone(),
            client_id: self.client_id(),
            name: format!("node {}", self.uuid),
            secret: Some(secret),
            redirect_uris: Vec::new(),
            owner: None,
            customer: self.customer.clone(),
            tenant: self.tenant.clone(),
            scopes,
            grants: vec![GrantType::ClientCredentials],
            state: ApplicationState::Active,
            created_at: self.joined_at,
            created_by: self.let_in_by.clone(),
        }
    }
}

/// What a node brings when it joins by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// The world of accounts.
    pub realm: RealmName,
    /// Digest of the token.
    pub token: Digest,
    /// The node.
    pub uuid: NodeUuid,
    /// Its identifier, unless it has one already.
    pub id: NodeId,
    /// Digest of the secret that it gets.
    pub secret: Digest,
}

/// A node that somebody lets in without a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// The node. Its `id` is kept if it has one already.
    pub node: Node,
    /// Digest of the secret that it gets.
    pub secret: Digest,
    /// What its tokens allow.
    pub scopes: Vec<Scope>,
}
