//! Nodes and enrolment tokens in memory.

use std::ops::Bound;

use super::{State, page};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{EnrolmentId, NodeUuid, RealmName};
use crate::store::backend::{Paging, TenantFilter};
use crate::store::model::{By, Enrolment, Joining, NewNode, Node, Used};
use crate::store::outcome::{Creation, Edit, EnrolmentPage, Joined, NodePage};
use crate::store::{notes, rules};

impl State {
    pub(super) fn create_enrolment(&mut self, enrolment: Enrolment, by: By) -> Creation {
        let place = (enrolment.realm.clone(), enrolment.id);
        let has_token =
            |other: &Enrolment| other.realm == enrolment.realm && other.digest == enrolment.digest;
        if self.enrolments.contains_key(&place) || self.enrolments.values().any(has_token) {
            return Creation::Exists;
        }
        self.note(notes::enrolment_created(&enrolment), by);
        self.enrolments.insert(place, enrolment);
        Creation::Created
    }

    pub(super) fn enrolments(&self, filter: &TenantFilter, paging: Paging<EnrolmentId>) -> EnrolmentPage {
        let first = match paging.after {
            Some(id) => Bound::Excluded((filter.realm.clone(), id)),
            None => Bound::Unbounded,
        };
        let found = self.enrolments.range((first, Bound::Unbounded));
        let found = found
            .filter(|((realm, _), held)| *realm == filter.realm && held.tenant == filter.tenant)
            .map(|(_, held)| held.clone());
        page(found, paging.size, |held| held.id)
    }

    pub(super) fn delete_enrolment(&mut self, realm: RealmName, id: EnrolmentId, by: By) -> Edit {
        if self.enrolments.remove(&(realm.clone(), id)).is_none() {
            return Edit::Unknown;
        }
        self.note(notes::enrolment_deleted(&realm, id), by);
        Edit::Done
    }

    pub(super) fn join(&mut self, joining: &Joining, now: UnixTime) -> Joined {
        let has_token = |held: &&Enrolment| held.realm == joining.realm && held.digest == joining.token;
        let found = self.enrolments.values().find(has_token).cloned();
        let enrolment = match rules::enrolment_at(found, now) {
            Ok(enrolment) => enrolment,
            Err(outcome) => return outcome,
        };
        let new = rules::joining_node(joining, &enrolment, now);
        let joined = self.let_in(new, By::new(enrolment.created_by.clone(), now));
        if let Joined::In(node) = &joined
            && let Some(held) = self.enrolments.get_mut(&(enrolment.realm, enrolment.id))
        {
            held.used = Some(Used {
                node: node.uuid.clone(),
                at: now,
            });
        }
        joined
    }

    pub(super) fn let_in(&mut self, new: NewNode, by: By) -> Joined {
        let NewNode {
            mut node,
            secret,
            scopes,
        } = new;
        let place = (node.realm.clone(), node.uuid.clone());
        if let Some(before) = self.nodes.get(&place) {
            if before.tenant != node.tenant || before.customer != node.customer {
                return Joined::Taken;
            }
            node.id = before.id;
            self.delete_application(node.realm.clone(), node.client_id(), by.clone());
        }
        match self.create_application(node.application(secret, scopes), by.clone()) {
            Creation::Created => {}
            Creation::Exists => return Joined::Taken,
        }
        self.note(notes::node_joined(&node), by);
        self.nodes.insert(place, node.clone());
        Joined::In(Box::new(node))
    }

    pub(super) fn touch_node(&mut self, mark: &Digest, now: UnixTime) {
        let is_it = |node: &&mut Node| Node::mark(&node.realm, &node.uuid) == *mark;
        if let Some(node) = self.nodes.values_mut().find(is_it) {
            node.last_seen = Some(node.last_seen.map_or(now, |seen| seen.max(now)));
        }
    }

    pub(super) fn nodes(&self, filter: &TenantFilter, paging: Paging<NodeUuid>) -> NodePage {
        let first = match paging.after {
            Some(uuid) => Bound::Excluded((filter.realm.clone(), uuid)),
            None => Bound::Unbounded,
        };
        let found = self.nodes.range((first, Bound::Unbounded));
        let found = found
            .filter(|((realm, _), held)| *realm == filter.realm && held.tenant == filter.tenant)
            .map(|(_, held)| held.clone());
        page(found, paging.size, |held| held.uuid.clone())
    }

    pub(super) fn remove_node(&mut self, of: TenantFilter, uuid: NodeUuid, by: By) -> Edit {
        let TenantFilter { realm, tenant } = of;
        let key = (realm.clone(), uuid);
        if self.nodes.get(&key).is_none_or(|node| node.tenant != tenant) {
            return Edit::Unknown;
        }
        let Some(node) = self.nodes.remove(&key) else {
            return Edit::Unknown;
        };
        self.delete_application(realm, node.client_id(), by.clone());
        self.note(notes::node_removed(&node), by);
        Edit::Done
    }
}
