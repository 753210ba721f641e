//! Codes and families of tokens in memory.

use std::ops::Bound;

use super::{HeldAccess, HeldFamily, State, page};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, FamilyId, RealmName};
use crate::store::backend::{
    FamilyFilter, Holder, Paging, PresentedCode, PresentedRefresh, StandingOf, Which,
};
use crate::store::model::{
    AccessKey, Actor, By, Change, Family, FirstTokens, LiveAccess, NewAccess, NewFamily, NewTokens,
    NextTokens, RefreshFacts, RefreshState,
};
use crate::store::outcome::{
    Access, FamilyPage, FamilyPlace, FamilyStanding, Issued, Redemption, Revocation, Rotation, Standing,
    UserStanding,
};
use crate::store::rules::{CodeVerdict, HeldRefresh, RefreshVerdict};
use crate::store::{notes, rules};

impl State {
    pub(super) fn redeem_code(
        &mut self,
        presented: &PresentedCode,
        first: FirstTokens,
        now: UnixTime,
    ) -> Redemption {
        let Some(held) = self
            .codes
            .get_mut(&presented.digest)
            .filter(|held| held.code.realm == presented.realm)
        else {
            return Redemption::Unknown;
        };
        match rules::judge_code(&held.code, held.used, presented, now) {
            CodeVerdict::Good => {
                held.used = Some(first.family);
                let family = rules::family_of_code(held.code.clone(), &first);
                let by = By::new(Actor::Application(presented.client_id.clone()), now);
                Redemption::Redeemed(self.issue(family, first.tokens, Some(presented.digest), by))
            }
            CodeVerdict::AlreadyUsed(family) => {
                self.mark_revoked(family, now);
                self.note(notes::code_reused(&presented.realm, family), By::system(now));
                Redemption::AlreadyUsed { family }
            }
            CodeVerdict::Expired => Redemption::Expired,
            CodeVerdict::WrongClient => Redemption::WrongClient,
            CodeVerdict::WrongRedirect => Redemption::WrongRedirect,
            CodeVerdict::WrongVerifier => Redemption::WrongVerifier,
        }
    }

    pub(super) fn issue(
        &mut self,
        new: NewFamily,
        tokens: NewTokens,
        code: Option<Digest>,
        by: By,
    ) -> Issued {
        let issued = rules::first_of_family(new, &tokens, by.at);
        let family = &issued.family;
        self.places.insert(place(family));
        self.families.insert(
            family.id,
            HeldFamily {
                family: family.clone(),
                access: Vec::new(),
                refresh: Vec::new(),
                code,
                current: None,
            },
        );
        let key = tokens.access.key.clone();
        self.keep_access(family.id, tokens.access, issued.access_expires_at, by.at);
        if let (Some(refresh), Some(expires_at)) = (tokens.refresh, issued.refresh_expires_at) {
            self.keep_refresh(
                HeldRefresh {
                    digest: refresh.digest,
                    family: family.id,
                    generation: 0,
                    issued_at: by.at,
                    expires_at,
                    used_at: None,
                    state: RefreshState::Current,
                },
                key,
            );
        }
        self.note(notes::issued(&issued.family), by);
        issued
    }

    pub(super) fn rotate_refresh(
        &mut self,
        presented: &PresentedRefresh,
        next: NextTokens,
        now: UnixTime,
    ) -> Rotation {
        let Some(held) = self.refresh.get(&presented.digest).copied() else {
            return Rotation::Unknown;
        };
        let Some(family) = self
            .families
            .get(&held.family)
            .filter(|family| family.family.realm == presented.realm)
        else {
            return Rotation::Unknown;
        };
        let current = family.current.clone();
        let family = family.family.clone();
        let current_token = current
            .as_ref()
            .and_then(|(digest, _)| self.refresh.get(digest))
            .copied();
        match rules::judge_refresh(&held, &family, current_token.as_ref(), presented, now) {
            RefreshVerdict::Rotate => {
                if let Some(used) = self.refresh.get_mut(&presented.digest) {
                    used.state = RefreshState::Used;
                    used.used_at = Some(now);
                }
                Rotation::Rotated(self.extend(family, held, next, now))
            }
            RefreshVerdict::RotateAgain => {
                if let Some((digest, key)) = current {
                    if let Some(replaced) = self.refresh.get_mut(&digest) {
                        replaced.state = RefreshState::Replaced;
                    }
                    self.mark_access_revoked(&key);
                }
                Rotation::RotatedAgain(self.extend(family, held, next, now))
            }
            RefreshVerdict::Reused => {
                self.mark_revoked(held.family, now);
                self.note(
                    notes::refresh_reused(&presented.realm, held.family),
                    By::system(now),
                );
                Rotation::Reused { family: held.family }
            }
            RefreshVerdict::Expired => Rotation::Expired,
            RefreshVerdict::Revoked => Rotation::Revoked,
            RefreshVerdict::WrongClient => Rotation::WrongClient,
        }
    }

    /// Stores the tokens that follow `used`.
    fn extend(&mut self, family: Family, used: HeldRefresh, next: NextTokens, now: UnixTime) -> Issued {
        let issued = rules::next_of_family(family, &next);
        if let Some(held) = self.families.get_mut(&used.family) {
            held.family.clone_from(&issued.family);
        }
        let key = next.access.key.clone();
        self.keep_access(used.family, next.access, issued.access_expires_at, now);
        self.keep_refresh(
            HeldRefresh {
                digest: next.refresh.digest,
                family: used.family,
                generation: used.generation.saturating_add(1),
                issued_at: now,
                expires_at: issued.refresh_expires_at.unwrap_or(issued.family.expires_at),
                used_at: None,
                state: RefreshState::Current,
            },
            key,
        );
        issued
    }

    fn keep_access(&mut self, family: FamilyId, new: NewAccess, expires_at: UnixTime, now: UnixTime) {
        if let Some(held) = self.families.get_mut(&family) {
            held.access.push(new.key.clone());
        }
        self.access.insert(
            new.key,
            HeldAccess {
                family,
                issued_at: now,
                expires_at,
                scopes: new.scopes,
                revoked: false,
            },
        );
    }

    fn keep_refresh(&mut self, refresh: HeldRefresh, with: AccessKey) {
        if let Some(held) = self.families.get_mut(&refresh.family) {
            held.refresh.push(refresh.digest);
            held.current = Some((refresh.digest, with));
        }
        self.refresh.insert(refresh.digest, refresh);
    }

    pub(super) fn access(&self, realm: RealmName, key: AccessKey, now: UnixTime) -> Access {
        let found = self
            .access
            .get(&key)
            .and_then(|held| Some((held, &self.families.get(&held.family)?.family)))
            .filter(|(_, family)| family.realm == realm);
        let Some((held, family)) = found else {
            return match self.denied.get(&(realm, key)) {
                Some(until) if now < *until => Access::Revoked,
                Some(_) | None => Access::Unknown,
            };
        };
        if held.revoked || family.revoked_at.is_some() {
            return Access::Revoked;
        }
        if now >= held.expires_at {
            return Access::Expired(Box::new(family.clone()));
        }
        Access::Live(Box::new(LiveAccess {
            scopes: held.scopes.clone().unwrap_or_else(|| family.scopes.clone()),
            family: family.clone(),
            issued_at: held.issued_at,
            expires_at: held.expires_at,
        }))
    }

    pub(super) fn refresh_facts(&self, realm: &RealmName, digest: Digest) -> Option<RefreshFacts> {
        let held = self.refresh.get(&digest)?;
        let family = &self.families.get(&held.family)?.family;
        (family.realm == *realm).then(|| RefreshFacts {
            family: family.clone(),
            generation: held.generation,
            issued_at: held.issued_at,
            expires_at: held.expires_at,
            state: held.state,
        })
    }

    pub(super) fn families(&self, filter: &FamilyFilter, paging: Paging<FamilyPlace>) -> FamilyPage {
        let last = match paging.after {
            Some(place) => Bound::Excluded(place),
            None => Bound::Unbounded,
        };
        let families = self
            .places
            .range((Bound::Unbounded, last))
            .rev()
            .filter_map(|place| self.families.get(&place.id))
            .map(|held| &held.family)
            .filter(|family| family.realm == filter.realm)
            .filter(|family| filter.user.is_none_or(|user| family.user == Some(user)))
            .filter(|family| {
                filter
                    .client_id
                    .as_ref()
                    .is_none_or(|client| family.client_id == *client)
            })
            .filter(|family| match filter.which {
                Which::LiveAt(now) => family.is_live(now),
                Which::All => true,
            })
            .cloned();
        page(families, paging.size, place)
    }

    pub(super) fn revoke_access(
        &mut self,
        realm: RealmName,
        key: AccessKey,
        until: UnixTime,
        by: By,
    ) -> Revocation {
        let known = self.access.get(&key).and_then(|held| {
            let family = &self.families.get(&held.family)?.family;
            let gone = held.revoked || family.revoked_at.is_some();
            (family.realm == realm).then_some((family.id, gone))
        });
        if let Some((family, gone)) = known {
            if gone {
                return Revocation::Already;
            }
            self.mark_access_revoked(&key);
            self.note(notes::access_revoked(&realm, &key, Some(family)), by);
            return Revocation::Revoked;
        }
        match &key {
            AccessKey::Opaque(_) => return Revocation::Unknown,
            AccessKey::Jwt(_) => {}
        }
        let place = (realm, key);
        if self.denied.get(&place).is_some_and(|held| until <= *held) {
            return Revocation::Already;
        }
        self.untold.push(Change::AccessRevoked(place.1.clone()));
        self.note(notes::access_revoked(&place.0, &place.1, None), by);
        self.denied.insert(place, until);
        Revocation::Revoked
    }

    pub(super) fn revoke_refresh(
        &mut self,
        realm: &RealmName,
        digest: Digest,
        client_id: &ClientId,
        by: By,
    ) -> Revocation {
        let family = self
            .refresh
            .get(&digest)
            .and_then(|held| self.families.get(&held.family))
            .map(|held| &held.family)
            .filter(|family| family.realm == *realm);
        match family {
            None => Revocation::Unknown,
            Some(family) if family.client_id != *client_id => Revocation::WrongClient,
            Some(family) => self.revoke_family(realm, family.id, by),
        }
    }

    pub(super) fn revoke_family(&mut self, realm: &RealmName, id: FamilyId, by: By) -> Revocation {
        match self.families.get(&id) {
            Some(held) if held.family.realm == *realm => {}
            Some(_) | None => return Revocation::Unknown,
        }
        match self.mark_revoked(id, by.at) {
            Mark::Now => {
                self.note(notes::family_revoked(realm, id), by);
                Revocation::Revoked
            }
            Mark::Before => Revocation::Already,
        }
    }

    pub(super) fn revoke_families_of(&mut self, realm: &RealmName, holder: &Holder, by: By) -> u32 {
        let revoked = self.revoke_held_by(realm, holder, by.at);
        self.note(notes::families_revoked(realm, holder, revoked), by);
        revoked
    }

    /// Revokes the live families of `holder` and drops its codes.
    pub(super) fn revoke_held_by(&mut self, realm: &RealmName, holder: &Holder, at: UnixTime) -> u32 {
        let held_by = |user: Option<_>, client: &ClientId| match holder {
            Holder::User(holder) => user == Some(*holder),
            Holder::Application(holder) => client == holder,
            Holder::UserAtApplication(holder, at) => user == Some(*holder) && client == at,
        };
        self.codes.retain(|_, held| {
            let code = &held.code;
            held.used.is_some() || code.realm != *realm || !held_by(Some(code.user), &code.client_id)
        });
        let mut ids: Vec<FamilyId> = self
            .families
            .values()
            .map(|held| &held.family)
            .filter(|family| family.realm == *realm && held_by(family.user, &family.client_id))
            .filter(|family| family.is_live(at))
            .map(|family| family.id)
            .collect();
        ids.sort_unstable();
        for id in &ids {
            self.mark_revoked(*id, at);
        }
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    }

    fn mark_revoked(&mut self, id: FamilyId, at: UnixTime) -> Mark {
        match self.families.get_mut(&id) {
            Some(held) if held.family.revoked_at.is_none() => {
                held.family.revoked_at = Some(at);
                self.untold.push(Change::FamilyRevoked(id));
                Mark::Now
            }
            Some(_) | None => Mark::Before,
        }
    }

    fn mark_access_revoked(&mut self, key: &AccessKey) {
        if let Some(held) = self.access.get_mut(key).filter(|held| !held.revoked) {
            held.revoked = true;
            self.untold.push(Change::AccessRevoked(key.clone()));
        }
    }

    pub(super) fn standing(&self, realm: &RealmName, of: StandingOf, now: UnixTime) -> Standing {
        let user = of.user.and_then(|id| self.users.get(&(realm.clone(), id)));
        Standing {
            user: user.map(|user| UserStanding {
                state: user.state,
                locked_until: self.locked_until(realm.clone(), user.key.clone(), now),
            }),
            application: of.client_id.and_then(|client_id| {
                let application = self.applications.get(&(realm.clone(), client_id))?;
                Some(application.state)
            }),
            family: of
                .family
                .and_then(|id| self.families.get(&id))
                .map(|held| &held.family)
                .filter(|family| family.realm == *realm)
                .map(|family| FamilyStanding {
                    revoked_at: family.revoked_at,
                    expires_at: family.expires_at,
                }),
        }
    }

    /// Removes a family with everything that belongs to it, and says how many records that were.
    pub(super) fn drop_family(&mut self, id: FamilyId) -> u64 {
        let Some(held) = self.families.remove(&id) else {
            return 0;
        };
        self.places.remove(&place(&held.family));
        for key in &held.access {
            self.access.remove(key);
        }
        for digest in &held.refresh {
            self.refresh.remove(digest);
        }
        if let Some(code) = &held.code {
            self.codes.remove(code);
        }
        let records = 1 + held.access.len() + held.refresh.len() + usize::from(held.code.is_some());
        u64::try_from(records).unwrap_or(u64::MAX)
    }
}

enum Mark {
    Now,
    Before,
}

fn place(family: &Family) -> FamilyPlace {
    FamilyPlace {
        created_at: family.created_at,
        id: family.id,
    }
}
