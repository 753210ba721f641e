//! Removing what has ended, a bounded number of rows at a time.

use rusqlite::params;

use super::log::{signed, trim_changes};
use super::transaction::Tx;
use crate::base::clock::UnixTime;
use crate::identity::FamilyId;
use crate::store::backend::SweepPlan;
use crate::store::error::StoreError;
use crate::store::outcome::{Rest, Swept};
use crate::store::rules;

/// Tables whose rows go by their end alone.
const BY_END: [&str; 7] = [
    "DELETE FROM access WHERE key IN (SELECT key FROM access WHERE expires_at <= ?1 LIMIT ?3) AND ?2 = ?2",
    "DELETE FROM codes WHERE digest IN (SELECT digest FROM codes WHERE family IS NULL AND expires_at <= ?1 LIMIT ?3) \
     AND ?2 = ?2",
    "DELETE FROM denied WHERE (realm, key) IN (SELECT realm, key FROM denied WHERE until <= ?2 LIMIT ?3) AND ?1 = ?1",
    "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE ends_at <= ?2 LIMIT ?3) AND ?1 = ?1",
    "DELETE FROM remote_sessions WHERE digest IN (SELECT digest FROM remote_sessions WHERE ends_at <= ?2 LIMIT ?3) AND ?1 = ?1",
    // 30 days: `rules::KEEP_USED`.
    "DELETE FROM enrolments WHERE (realm, id) IN (SELECT realm, id FROM enrolments \
     WHERE expires_at <= ?1 - iif(node IS NULL, 0, 2592000) LIMIT ?3) AND ?2 = ?2",
    "DELETE FROM attempts WHERE (realm, key) IN (SELECT realm, key FROM attempts WHERE forget_at <= ?2 LIMIT ?3) \
     AND ?1 = ?1",
];

pub(super) fn sweep(tx: &Tx<'_>, plan: SweepPlan, now: UnixTime) -> Result<Swept, StoreError> {
    // A session that was used a moment ago must not go because of what is written of it.
    tx.write_touches()?;
    let ended_before = UnixTime(now.0.saturating_sub_unsigned(rules::KEEP_ENDED.as_secs()));
    let mut room = u64::from(plan.limit);
    let mut gone = |rows: usize| {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        room = room.saturating_sub(rows);
        room
    };
    let mut left = gone(0);
    for sql in BY_END {
        if left == 0 {
            break;
        }
        left = gone(tx.execute(sql, params![ended_before, now, signed(left)])?);
    }
    // By now the access tokens of families that are over are gone: none of them outlives its family.
    while left > 0 {
        let family: Option<FamilyId> = tx.first(
            "SELECT id FROM families WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
            params![ended_before],
            |row| row.get(0),
        )?;
        let Some(family) = family else {
            break;
        };
        let rows = tx.execute("DELETE FROM families WHERE id = ?1", params![family])?
            + tx.execute("DELETE FROM refresh WHERE family = ?1", params![family])?
            + tx.execute("DELETE FROM codes WHERE family = ?1", params![family])?;
        left = gone(rows);
    }
    if left > 0 {
        let keep_from = UnixTime(now.0.saturating_sub_unsigned(plan.keep_audit.as_secs()));
        // The newest stays, so that numbers grow.
        let rows = tx.execute(
            "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit ORDER BY seq LIMIT ?2) AND at < ?1 \
             AND seq < (SELECT max(seq) FROM audit)",
            params![keep_from, signed(left)],
        )?;
        left = gone(rows);
    }
    if left > 0 {
        let rows = trim_changes(tx, left)?;
        left = gone(usize::try_from(rows).unwrap_or(usize::MAX));
    }
    Ok(Swept {
        removed: u64::from(plan.limit).saturating_sub(left),
        rest: if left > 0 { Rest::Nothing } else { Rest::More },
    })
}
