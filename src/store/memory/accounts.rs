//! Users, applications, customers and lockout in memory.

use std::ops::Bound;

use super::{State, page};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::identity::{AccountKey, ClientId, CustomerId, RealmName, UserId};
use crate::store::backend::{ApplicationFilter, Existing, Holder, Paging, UserFilter};
use crate::store::model::{
    Application, ApplicationEdit, By, Change, CustomerRecord, LockPolicy, User, UserAccess, UserState,
};
use crate::store::outcome::{
    ApplicationPage, Attempt, Creation, CustomerPage, Edit, Failure, PasswordSet, Rehash, StateChange,
    UserPage, Written,
};
use crate::store::rules::Password;
use crate::store::{notes, rules};

impl State {
    pub(super) fn create_user(&mut self, user: User, by: By) -> Creation {
        let by_key = (user.realm.clone(), user.key.clone());
        let by_id = (user.realm.clone(), user.id);
        if self.keys.contains_key(&by_key) || self.users.contains_key(&by_id) {
            return Creation::Exists;
        }
        self.note(notes::user_created(&user), by);
        self.user_changed(&user.realm, user.id);
        self.keys.insert(by_key, user.id);
        self.users.insert(by_id, user);
        Creation::Created
    }

    pub(super) fn users(&self, filter: &UserFilter, paging: Paging<AccountKey>) -> UserPage {
        let first = match paging.after {
            Some(key) => Bound::Excluded((filter.realm.clone(), key)),
            None => Bound::Unbounded,
        };
        let users = self
            .keys
            .range((first, Bound::Unbounded))
            .filter(|((realm, _), _)| *realm == filter.realm)
            .filter_map(|((realm, _), id)| self.users.get(&(realm.clone(), *id)))
            .filter(|user| {
                filter
                    .customer
                    .as_ref()
                    .is_none_or(|wanted| user.access.customer.as_ref() == Some(wanted))
            })
            .filter(|user| filter.state.is_none_or(|wanted| user.state == wanted))
            .cloned();
        page(users, paging.size, |user| user.key.clone())
    }

    pub(super) fn set_password(
        &mut self,
        realm: RealmName,
        id: UserId,
        hash: Secret,
        existing: Existing,
        by: By,
    ) -> PasswordSet {
        let Some(user) = self.users.get_mut(&(realm.clone(), id)) else {
            return PasswordSet::Unknown;
        };
        user.password = Some(hash);
        user.state = rules::after_password(user.state);
        user.changed_at = by.at;
        let state = user.state;
        match existing {
            Existing::Keep => {}
            Existing::End => self.end_everything_of(&realm, id, by.at),
        }
        self.user_changed(&realm, id);
        self.note(notes::password_set(&realm, id, state), by);
        PasswordSet::Set(state)
    }

    pub(super) fn rehash_password(
        &mut self,
        realm: RealmName,
        id: UserId,
        old: &Secret,
        new: Secret,
    ) -> Rehash {
        match self.users.get_mut(&(realm, id)) {
            Some(user) if user.password.as_ref() == Some(old) => {
                user.password = Some(new);
                Rehash::Replaced
            }
            Some(_) | None => Rehash::Outdated,
        }
    }

    pub(super) fn change_user_state(
        &mut self,
        realm: RealmName,
        id: UserId,
        to: UserState,
        by: By,
    ) -> StateChange {
        let Some(user) = self.users.get_mut(&(realm.clone(), id)) else {
            return StateChange::Unknown;
        };
        let from = user.state;
        if from == to {
            return StateChange::Same;
        }
        let password = match user.password {
            Some(_) => Password::Chosen,
            None => Password::Missing,
        };
        if !rules::may_become(from, to, password) {
            return StateChange::NotAllowed(from);
        }
        user.state = to;
        user.changed_at = by.at;
        if to == UserState::Pending {
            user.password = None;
        }
        if rules::ends_everything(to) {
            self.end_everything_of(&realm, id, by.at);
        }
        self.user_changed(&realm, id);
        self.note(notes::state_changed(&realm, id, from, to), by);
        StateChange::Changed(from)
    }

    pub(super) fn change_user_access(
        &mut self,
        realm: RealmName,
        id: UserId,
        access: UserAccess,
        by: By,
    ) -> Edit {
        let Some(user) = self.users.get_mut(&(realm.clone(), id)) else {
            return Edit::Unknown;
        };
        let note = notes::access_changed(&realm, id, &access);
        user.access = access;
        user.changed_at = by.at;
        self.user_changed(&realm, id);
        self.note(note, by);
        Edit::Done
    }

    pub(super) fn delete_user(&mut self, realm: RealmName, id: UserId, by: By) -> Edit {
        let Some(user) = self.users.remove(&(realm.clone(), id)) else {
            return Edit::Unknown;
        };
        self.end_everything_of(&realm, id, by.at);
        self.note(notes::user_deleted(&user), by);
        self.user_changed(&realm, id);
        let place = (realm, user.key);
        self.keys.remove(&place);
        self.forget_attempts(place);
        Edit::Done
    }

    fn end_everything_of(&mut self, realm: &RealmName, id: UserId, at: UnixTime) {
        self.drop_sessions_of(realm, id);
        self.revoke_held_by(realm, &Holder::User(id), at);
    }

    fn user_changed(&mut self, realm: &RealmName, user: UserId) {
        self.untold.push(Change::UserChanged {
            realm: realm.clone(),
            user,
        });
    }

    pub(super) fn create_application(&mut self, application: Application, by: By) -> Creation {
        let place = (application.realm.clone(), application.client_id.clone());
        if self.applications.contains_key(&place) {
            return Creation::Exists;
        }
        self.note(notes::application_created(&application), by);
        self.application_changed(&place.0, &place.1);
        self.applications.insert(place, application);
        Creation::Created
    }

    pub(super) fn applications(
        &self,
        filter: &ApplicationFilter,
        paging: Paging<ClientId>,
    ) -> ApplicationPage {
        let first = match paging.after {
            Some(client_id) => Bound::Excluded((filter.realm.clone(), client_id)),
            None => Bound::Unbounded,
        };
        let applications = self
            .applications
            .range((first, Bound::Unbounded))
            .map(|(_, application)| application)
            .filter(|application| application.realm == filter.realm)
            .filter(|application| filter.owner.is_none_or(|owner| application.owner == Some(owner)))
            .cloned();
        page(applications, paging.size, |application| {
            application.client_id.clone()
        })
    }

    pub(super) fn change_application(
        &mut self,
        realm: RealmName,
        client_id: ClientId,
        edit: ApplicationEdit,
        by: By,
    ) -> Edit {
        let place = (realm, client_id);
        let Some(application) = self.applications.get_mut(&place) else {
            return Edit::Unknown;
        };
        let note = notes::application_changed(&place.0, &place.1, &edit);
        application.name = edit.name;
        application.redirect_uris = edit.redirect_uris;
        application.scopes = edit.scopes;
        application.grants = edit.grants;
        application.state = edit.state;
        self.application_changed(&place.0, &place.1);
        self.note(note, by);
        Edit::Done
    }

    pub(super) fn rotate_secret(
        &mut self,
        realm: RealmName,
        client_id: ClientId,
        secret: Digest,
        by: By,
    ) -> Edit {
        let place = (realm, client_id);
        let Some(application) = self.applications.get_mut(&place) else {
            return Edit::Unknown;
        };
        application.secret = Some(secret);
        self.application_changed(&place.0, &place.1);
        self.note(notes::secret_rotated(&place.0, &place.1), by);
        Edit::Done
    }

    pub(super) fn delete_application(&mut self, realm: RealmName, client_id: ClientId, by: By) -> Edit {
        let place = (realm, client_id);
        if self.applications.remove(&place).is_none() {
            return Edit::Unknown;
        }
        let (realm, client_id) = place;
        let revoked = self.revoke_held_by(&realm, &Holder::Application(client_id.clone()), by.at);
        self.application_changed(&realm, &client_id);
        self.note(notes::application_deleted(&realm, &client_id, revoked), by);
        Edit::Done
    }

    fn application_changed(&mut self, realm: &RealmName, client_id: &ClientId) {
        self.untold.push(Change::ApplicationChanged {
            realm: realm.clone(),
            client_id: client_id.clone(),
        });
    }

    pub(super) fn put_customer(&mut self, mut customer: CustomerRecord, by: By) -> Written {
        let has_it = |other: &CustomerRecord| other.id != customer.id && other.uuid == customer.uuid;
        if customer.uuid.is_some() && self.customers.values().any(has_it) {
            return Written::Taken;
        }
        let before = self.customers.get(&customer.id).map(|before| before.created_at);
        if let Some(created_at) = before {
            customer.created_at = created_at;
        }
        self.note(notes::customer_written(&customer), by);
        self.untold.push(Change::CustomerChanged(customer.id.clone()));
        self.customers.insert(customer.id.clone(), customer);
        match before {
            Some(_) => Written::Replaced,
            None => Written::Created,
        }
    }

    pub(super) fn customers(&self, paging: Paging<CustomerId>) -> CustomerPage {
        let first = match paging.after {
            Some(id) => Bound::Excluded(id),
            None => Bound::Unbounded,
        };
        let customers = self
            .customers
            .range((first, Bound::Unbounded))
            .map(|(_, customer)| customer.clone());
        page(customers, paging.size, |customer| customer.id.clone())
    }

    pub(super) fn delete_customer(&mut self, id: CustomerId, by: By) -> Edit {
        if self.customers.remove(&id).is_none() {
            return Edit::Unknown;
        }
        self.note(notes::customer_deleted(&id), by);
        self.untold.push(Change::CustomerChanged(id));
        Edit::Done
    }

    pub(super) fn begin_attempt(
        &mut self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Attempt {
        let place = (realm, key);
        let held = self.attempts.get(&place).copied();
        let (attempt, written) = rules::begin(held, policy, now);
        if let Some(written) = written {
            if written.locked_until.is_some() {
                self.attempts_changed(&place, written.locked_until);
            }
            self.attempts.insert(place, written);
        }
        attempt
    }

    pub(super) fn fail_attempt(
        &mut self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Failure {
        let place = (realm, key);
        let held = self.attempts.get(&place).copied();
        let (failure, written) = rules::fail(held, policy, now);
        if written.locked_until != held.and_then(|held| held.locked_until) {
            self.attempts_changed(&place, written.locked_until);
            if let Some(until) = written.locked_until {
                self.note(notes::locked(&place.0, &place.1, until), By::system(now));
            }
        }
        self.attempts.insert(place, written);
        failure
    }

    pub(super) fn withdraw_attempt(&mut self, realm: RealmName, key: AccountKey) {
        let place = (realm, key);
        let Some(held) = self.attempts.get(&place).copied() else {
            return;
        };
        match rules::withdraw(held) {
            Some(written) => self.attempts.insert(place, written),
            None => self.attempts.remove(&place),
        };
    }

    pub(super) fn clear_attempts(&mut self, realm: RealmName, key: AccountKey, by: By) {
        let place = (realm, key);
        if self.forget_attempts(place.clone()) == Lock::Ended {
            self.note(notes::unlocked(&place.0, &place.1), by);
        }
    }

    fn forget_attempts(&mut self, place: (RealmName, AccountKey)) -> Lock {
        match self.attempts.remove(&place) {
            Some(held) if held.locked_until.is_some() => {
                self.attempts_changed(&place, None);
                Lock::Ended
            }
            Some(_) | None => Lock::None,
        }
    }

    pub(super) fn locked_until(&self, realm: RealmName, key: AccountKey, now: UnixTime) -> Option<UnixTime> {
        rules::locked(self.attempts.get(&(realm, key))?, now)
    }

    fn attempts_changed(&mut self, place: &(RealmName, AccountKey), locked_until: Option<UnixTime>) {
        self.untold.push(Change::AttemptsChanged {
            realm: place.0.clone(),
            key: place.1.clone(),
            locked_until,
        });
    }
}

#[derive(PartialEq)]
enum Lock {
    None,
    Ended,
}
