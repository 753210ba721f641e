//! Sessions in memory.

use super::State;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{RealmName, UserId};
use crate::store::model::{By, Change, NewSession};
use crate::store::notes;
use crate::store::outcome::Edit;

impl State {
    pub(super) fn open_session(&mut self, new: NewSession, by: By) -> u32 {
        let session = new.session;
        let mut ended: Vec<Digest> = new
            .replaces
            .into_iter()
            .filter(|digest| {
                self.sessions
                    .get(digest)
                    .is_some_and(|old| old.realm == session.realm && old.user == session.user)
            })
            .collect();
        if let Some(at_most) = new.at_most {
            let mut held: Vec<(UnixTime, UnixTime, Digest)> = self
                .sessions
                .values()
                .filter(|held| held.realm == session.realm && held.user == session.user)
                .filter(|held| held.is_live(by.at) && !ended.contains(&held.digest))
                .map(|held| (held.last_seen, held.created_at, held.digest))
                .collect();
            held.sort_unstable();
            let room = usize::try_from(at_most.get() - 1).unwrap_or(usize::MAX);
            let surplus = held.len().saturating_sub(room);
            ended.extend(held.into_iter().take(surplus).map(|(_, _, digest)| digest));
        }
        for digest in &ended {
            self.sessions.remove(digest);
            self.untold.push(Change::SessionEnded(*digest));
        }
        self.note(notes::session_opened(&session), by);
        self.sessions.insert(session.digest, session);
        u32::try_from(ended.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn change_csrf(
        &mut self,
        realm: &RealmName,
        digest: Digest,
        csrf: Digest,
        now: UnixTime,
    ) -> Edit {
        match self.sessions.get_mut(&digest) {
            Some(session) if session.realm == *realm && session.is_live(now) => {
                session.csrf = csrf;
                self.untold.push(Change::SessionChanged(digest));
                Edit::Done
            }
            Some(_) | None => Edit::Unknown,
        }
    }

    pub(super) fn end_session(&mut self, realm: &RealmName, digest: Digest, by: By) -> Edit {
        if self
            .sessions
            .get(&digest)
            .is_none_or(|session| session.realm != *realm)
        {
            return Edit::Unknown;
        }
        if let Some(session) = self.sessions.remove(&digest) {
            self.untold.push(Change::SessionEnded(digest));
            self.note(notes::session_ended(&session), by);
        }
        Edit::Done
    }

    pub(super) fn end_sessions_of(&mut self, realm: &RealmName, user: UserId, by: By) -> u32 {
        let ended = self.drop_sessions_of(realm, user);
        self.note(notes::sessions_ended(realm, user, ended), by);
        ended
    }

    pub(super) fn drop_sessions_of(&mut self, realm: &RealmName, user: UserId) -> u32 {
        let mut ended: Vec<Digest> = self
            .sessions
            .values()
            .filter(|session| session.realm == *realm && session.user == user)
            .map(|session| session.digest)
            .collect();
        ended.sort_unstable();
        for digest in &ended {
            self.sessions.remove(digest);
            self.untold.push(Change::SessionEnded(*digest));
        }
        u32::try_from(ended.len()).unwrap_or(u32::MAX)
    }
}
