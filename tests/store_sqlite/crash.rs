//! `kill -9` in the middle of writing, again and again: what was acknowledged is there, and nothing is there by half.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use tollgate::base::digest::Digest;
use tollgate::base::random;
use tollgate::identity::{FamilyId, UserId};
use tollgate::store::backend::{FamilyFilter, PageSize, Paging, Which};
use tollgate::store::model::{RefreshState, UserState};
use tollgate::store::outcome::{Access, Redemption};
use tollgate::store::{Store, StorePlan};

use crate::child::{KINDS, Process, family_of};
use crate::world::{at, first, key, opaque, present, realm};

/// Rounds: few in the normal run; `make soak` says how many.
fn rounds() -> u32 {
    std::env::var("TOLLGATE_CRASH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10)
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds() {
        let before = acknowledged.len();
        kill_while_writing(&path, round, &mut acknowledged);

        let begun = Instant::now();
        let plan = StorePlan::Sqlite { path: path.clone() };
        let store = Store::open(&plan).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        store.check().await.unwrap();
        for (kind, name) in &acknowledged[before..] {
            there(&store, kind, name).await;
        }
        nothing_by_half(&store, round).await;
        store.close().await.unwrap();
    }
    println!(
        "{} rounds, {} operations acknowledged, slowest start {slowest:?}",
        rounds(),
        acknowledged.len()
    );
    let seen: BTreeSet<&str> = acknowledged.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(seen, BTreeSet::from(KINDS), "every kind of operation was met");
    let store = Store::open(&StorePlan::Sqlite { path }).await.unwrap();
    for (kind, name) in &acknowledged {
        there(&store, kind, name).await;
    }
}

/// Lets the child write until it has acknowledged some number of operations, and kills it there.
fn kill_while_writing(path: &Path, round: u32, acknowledged: &mut Vec<(String, String)>) {
    let mut child = Process::start(path, None);
    child.tell(&format!("flood round{round}"));
    // The first round sees every kind at least once; a random number of answers is a random moment.
    let mut left = KINDS.len() * 8 + usize::from(random::bytes16()[0]);
    let mut killed = false;
    while let Some(line) = child.line() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let [kind, name, answer] = words[..] else {
            panic!("`{line}`")
        };
        assert_eq!(answer, "done", "{line}");
        acknowledged.push((kind.to_owned(), name.to_owned()));
        left = left.saturating_sub(1);
        if left == 0 && !killed {
            // SIGKILL. What stands in the pipe by then was acknowledged as well, and is read on.
            child.child.kill().unwrap();
            killed = true;
        }
    }
}

async fn there(store: &Store, kind: &str, name: &str) {
    let access = |suffix: &str| store.access(realm(), opaque(&format!("{name}.{suffix}")), at(2));
    match kind {
        "issue" => assert!(
            matches!(access("access").await.unwrap(), Access::Live(_)),
            "{name}"
        ),
        "revoke" => assert_eq!(access("access").await.unwrap(), Access::Revoked, "{name}"),
        "redeem" => assert!(
            matches!(access("access").await.unwrap(), Access::Live(_) | Access::Revoked),
            "{name}"
        ),
        "rotate" => {
            assert!(
                matches!(access("access2").await.unwrap(), Access::Live(_)),
                "{name}"
            );
            let digest = Digest::of(&format!("{name}.refresh"));
            let facts = store.refresh_facts(realm(), digest).await.unwrap().unwrap();
            assert_eq!(facts.state, RefreshState::Used, "{name}");
        }
        "lock" => {
            let until = store.locked_until(realm(), key(name), at(1)).await.unwrap();
            assert_eq!(until, Some(at(60)), "{name}");
        }
        "session" => {
            let session = store.session(realm(), Digest::of(name), at(1)).await.unwrap();
            assert!(session.is_some(), "{name}");
        }
        "disable" => {
            let id = UserId::from_bytes(*family_of(name).as_bytes());
            let user = store.user(realm(), id).await.unwrap().unwrap();
            assert_eq!(user.state, UserState::Disabled, "{name}");
        }
        other => panic!("{other}"),
    }
}

/// Families come with their tokens. Codes of the last group may have been redeemed without anybody having heard of it; a second
/// use then says so, and one that was not redeemed is still good.
async fn nothing_by_half(store: &Store, round: u32) {
    let filter = FamilyFilter {
        realm: realm(),
        user: None,
        client_id: None,
        which: Which::All,
    };
    let mut paging = Paging::first(PageSize::MAX);
    let mut families: BTreeSet<FamilyId> = BTreeSet::new();
    loop {
        let page = store.families(filter.clone(), paging).await.unwrap();
        families.extend(page.items.iter().map(|family| family.id));
        match page.next {
            Some(place) => paging = Paging::after(place, PageSize::MAX),
            None => break,
        }
    }
    for lane in 0..4 {
        for number in 0..40 {
            let name = format!("round{round}-redeem-{lane}-{number}");
            let access = store
                .access(realm(), opaque(&format!("{name}.access")), at(2))
                .await
                .unwrap();
            let refresh = Digest::of(&format!("{name}.refresh"));
            let refresh = store.refresh_facts(realm(), refresh).await.unwrap();
            let family = families.contains(&family_of(&name));
            assert_eq!(!matches!(access, Access::Unknown), family, "{name}");
            assert_eq!(refresh.is_some(), family, "{name}");
        }
    }
    let name = format!("round{round}-redeem-0-0");
    let again = store
        .redeem_code(present(&name), first("x", "y", 3), at(3))
        .await
        .unwrap();
    assert!(matches!(again, Redemption::AlreadyUsed { .. }), "{again:?}");
}
