//! Audit log, changes and sweeping in memory.

use std::cmp::Reverse;
use std::time::Duration;

use super::{State, page};
use crate::base::clock::UnixTime;
use crate::store::backend::{AuditFilter, PageSize, Paging, SweepPlan};
use crate::store::model::{AuditEntry, AuditNote, By, Change};
use crate::store::outcome::{AuditPage, Changes, Rest, Swept};
use crate::store::rules;

/// Entries of the audit log that are kept; the oldest go first. In memory there is no room for months.
const KEEP_ENTRIES: usize = 10_000;

impl State {
    pub(super) fn note(&mut self, note: AuditNote, by: By) {
        self.audited += 1;
        let seq = self.audited;
        self.audit.push_back(AuditEntry { seq, by, note });
        if self.audit.len() > KEEP_ENTRIES {
            self.audit.pop_front();
        }
    }

    pub(super) fn audit_entries(&self, filter: &AuditFilter, paging: Paging<u64>) -> AuditPage {
        let entries = self
            .audit
            .iter()
            .rev()
            .filter(|entry| paging.after.is_none_or(|after| entry.seq < after))
            .filter(|entry| {
                filter
                    .realm
                    .as_ref()
                    .is_none_or(|realm| entry.note.realm.as_ref() == Some(realm))
            })
            .filter(|entry| {
                filter
                    .subject
                    .as_ref()
                    .is_none_or(|subject| entry.note.subject == *subject)
            })
            .cloned();
        page(entries, paging.size, |entry| entry.seq)
    }

    pub(super) fn remember(&mut self, changes: Vec<Change>) {
        self.changed += u64::try_from(changes.len()).unwrap_or(0);
        self.changes.extend(changes);
        let keep = usize::try_from(rules::KEEP_CHANGES).unwrap_or(usize::MAX);
        let surplus = self.changes.len().saturating_sub(keep);
        self.changes.drain(..surplus);
    }

    pub(super) fn changes_since(&self, cursor: Option<u64>, size: PageSize) -> Changes {
        let oldest = self.changed - u64::try_from(self.changes.len()).unwrap_or(0);
        let Some(cursor) = cursor else {
            return Changes::Since {
                changes: Vec::new(),
                cursor: self.changed,
            };
        };
        if cursor < oldest || cursor > self.changed {
            return Changes::Reload { cursor: self.changed };
        }
        let known = usize::try_from(cursor - oldest).unwrap_or(usize::MAX);
        let changes: Vec<Change> = self
            .changes
            .iter()
            .skip(known)
            .take(size.get())
            .cloned()
            .collect();
        Changes::Since {
            cursor: cursor + u64::try_from(changes.len()).unwrap_or(0),
            changes,
        }
    }

    pub(super) fn sweep(&mut self, plan: SweepPlan, now: UnixTime) -> Swept {
        let limit = u64::from(plan.limit);
        let mut removed = 0;
        let ended_before = UnixTime(now.0.saturating_sub_unsigned(rules::KEEP_ENDED.as_secs()));

        let mut over: Vec<_> = self
            .families
            .values()
            .map(|held| &held.family)
            .filter(|family| family.expires_at <= ended_before)
            .map(|family| Reverse((family.expires_at, family.id)))
            .collect();
        over.sort_unstable();
        while removed < limit
            && let Some(Reverse((_, id))) = over.pop()
        {
            removed += self.drop_family(id);
        }

        let mut room = || {
            let room = removed < limit;
            removed += u64::from(room);
            room
        };
        self.remotes.retain(|_, session| session.is_live(now) || !room());
        self.enrolments.retain(|_, held| {
            let longer = match held.used {
                Some(_) => rules::KEEP_USED,
                None => Duration::ZERO,
            };
            let ended = held.expires_at.plus(longer) <= ended_before;
            !(ended && room())
        });
        self.codes.retain(|_, held| {
            let ended = held.used.is_none() && held.code.expires_at <= ended_before;
            !(ended && room())
        });
        let families = &mut self.families;
        self.access.retain(|key, held| {
            let goes = held.expires_at <= ended_before && room();
            if goes && let Some(family) = families.get_mut(&held.family) {
                family.access.retain(|other| other != key);
            }
            !goes
        });
        self.denied.retain(|_, until| !(*until <= now && room()));
        self.sessions.retain(|_, session| session.is_live(now) || !room());
        self.attempts.retain(|_, held| !(held.forget_at <= now && room()));
        let keep_from = UnixTime(now.0.saturating_sub_unsigned(plan.keep_audit.as_secs()));
        while self.audit.front().is_some_and(|entry| entry.by.at < keep_from) && room() {
            self.audit.pop_front();
        }
        Swept {
            removed,
            rest: if removed < limit {
                Rest::Nothing
            } else {
                Rest::More
            },
        }
    }
}
