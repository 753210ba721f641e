use std::time::Duration;

use futures_util::future::join_all;
use tollgate::base::digest::Digest;
use tollgate::store::backend::PresentedRefresh;
use tollgate::store::model::{Change, NewFamily, RefreshState};
use tollgate::store::outcome::{Access, Rotation};

use crate::world::{
    DAY, HOUR, World, a_family, at, client, elsewhere, next, opaque, operator, realm, refreshing, tokens,
};

/// Refreshes `token`; the next are called `<name>.access` and `<name>.refresh`.
async fn rotate(world: &World, presented: PresentedRefresh, name: &str, seconds: i64) -> Rotation {
    let tokens = next(&format!("{name}.access"), &format!("{name}.refresh"), seconds);
    world
        .store
        .rotate_refresh(presented, tokens, at(seconds))
        .await
        .unwrap()
}

async fn refreshed(world: &World, token: &str, name: &str, seconds: i64) -> Rotation {
    rotate(world, refreshing(token), name, seconds).await
}

async fn state(world: &World, token: &str) -> Option<RefreshState> {
    let facts = world
        .store
        .refresh_facts(realm(), Digest::of(token))
        .await
        .unwrap();
    facts.map(|facts| facts.state)
}

pub async fn a_refresh_gives_the_next_tokens_and_keeps_the_family(world: World) {
    let issued = world.grant("g0", None).await;
    let Rotation::Rotated(again) = refreshed(&world, "g0.refresh", "g1", HOUR).await else {
        panic!("not refreshed")
    };
    assert_eq!(again.family.id, issued.family.id);
    assert_eq!(again.access_expires_at, at(3 * HOUR));
    assert_eq!(again.refresh_expires_at, Some(at(HOUR + DAY)));
    assert_eq!(again.family.expires_at, at(HOUR + DAY));
    assert_eq!(
        world.store.family(realm(), issued.family.id).await.unwrap(),
        Some(again.family)
    );
    assert!(world.works("g1.access", HOUR + 1).await);
    assert!(
        world.works("g0.access", HOUR + 1).await,
        "the first access token lives on to its own end"
    );
    assert_eq!(state(&world, "g0.refresh").await, Some(RefreshState::Used));
    let facts = world
        .store
        .refresh_facts(realm(), Digest::of("g1.refresh"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (facts.generation, facts.state, facts.issued_at),
        (1, RefreshState::Current, at(HOUR))
    );
    assert!(facts.is_live(at(HOUR + 1)));
    assert!(matches!(
        refreshed(&world, "g1.refresh", "g2", 2 * HOUR).await,
        Rotation::Rotated(_)
    ));
}

pub async fn a_family_grows_older_by_refreshing_and_never_older_than_its_end(world: World) {
    let family = NewFamily {
        ends_at: Some(at(2 * DAY)),
        ..a_family("app", None)
    };
    let issued = world
        .store
        .issue(family, tokens("a", Some("g0.refresh"), 0), operator(0))
        .await
        .unwrap();
    assert_eq!(issued.family.expires_at, at(DAY));
    let mut token = "g0.refresh".to_owned();
    for (number, seconds) in [(1, DAY - 1), (2, 2 * DAY - 10)] {
        let name = format!("g{number}");
        let Rotation::Rotated(issued) = refreshed(&world, &token, &name, seconds).await else {
            panic!("not refreshed")
        };
        let end = (seconds + DAY).min(2 * DAY);
        assert_eq!(issued.refresh_expires_at, Some(at(end)));
        assert_eq!(issued.access_expires_at, at((seconds + 2 * HOUR).min(2 * DAY)));
        assert_eq!(issued.family.expires_at, at(end));
        token = format!("{name}.refresh");
    }
    assert_eq!(refreshed(&world, &token, "g3", 2 * DAY).await, Rotation::Expired);
    assert!(matches!(
        world.access("g2.access", 2 * DAY).await,
        Access::Expired(_)
    ));
}

pub async fn a_used_token_revokes_the_family(world: World) {
    let issued = world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "g1", 100).await;
    refreshed(&world, "g1.refresh", "g2", 200).await;
    let cursor = world.cursor().await;
    let reused = refreshed(&world, "g0.refresh", "thief", 201).await;
    let family = issued.family.id;
    assert_eq!(reused, Rotation::Reused { family });
    for token in ["g0.access", "g1.access", "g2.access"] {
        assert_eq!(world.access(token, 202).await, Access::Revoked);
    }
    assert_eq!(world.access("thief.access", 202).await, Access::Unknown);
    assert_eq!(
        refreshed(&world, "g2.refresh", "g3", 203).await,
        Rotation::Revoked
    );
    assert_eq!(
        refreshed(&world, "g0.refresh", "g3", 203).await,
        Rotation::Revoked
    );
    assert_eq!(world.changes(cursor).await, [Change::FamilyRevoked(family)]);
    assert_eq!(world.actions().await, ["refresh.reuse", "token.issue"]);
}

pub async fn a_lost_answer_can_be_had_again_within_the_grace_period(world: World) {
    let issued = world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "lost", 100).await;
    let cursor = world.cursor().await;
    let Rotation::RotatedAgain(again) = refreshed(&world, "g0.refresh", "kept", 129).await else {
        panic!("not refreshed again")
    };
    assert_eq!(again.family.id, issued.family.id);
    assert_eq!(
        world.access("lost.access", 130).await,
        Access::Revoked,
        "one live chain"
    );
    assert_eq!(state(&world, "lost.refresh").await, Some(RefreshState::Replaced));
    assert!(world.works("kept.access", 130).await);
    assert_eq!(
        world.changes(cursor).await,
        [Change::AccessRevoked(opaque("lost.access"))]
    );
    assert!(matches!(
        refreshed(&world, "kept.refresh", "g2", 200).await,
        Rotation::Rotated(_)
    ));
}

pub async fn the_grace_period_counts_from_the_first_use(world: World) {
    world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "a", 100).await;
    assert!(matches!(
        refreshed(&world, "g0.refresh", "b", 120).await,
        Rotation::RotatedAgain(_)
    ));
    assert!(matches!(
        refreshed(&world, "g0.refresh", "c", 129).await,
        Rotation::RotatedAgain(_)
    ));
    assert!(matches!(
        refreshed(&world, "g0.refresh", "d", 130).await,
        Rotation::Reused { .. }
    ));
}

pub async fn a_grace_period_is_never_longer_than_a_minute(world: World) {
    world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "g1", 100).await;
    let patient = PresentedRefresh {
        grace: Duration::from_secs(3_600),
        ..refreshing("g0.refresh")
    };
    assert!(matches!(
        rotate(&world, patient.clone(), "a", 159).await,
        Rotation::RotatedAgain(_)
    ));
    assert!(matches!(
        rotate(&world, patient, "b", 160).await,
        Rotation::Reused { .. }
    ));
    world.grant("h0", None).await;
    let strict = PresentedRefresh {
        grace: Duration::ZERO,
        ..refreshing("h0.refresh")
    };
    assert!(matches!(
        rotate(&world, strict.clone(), "h1", 200).await,
        Rotation::Rotated(_)
    ));
    assert!(matches!(
        rotate(&world, strict, "h2", 200).await,
        Rotation::Reused { .. }
    ));
}

pub async fn there_is_no_grace_once_the_successor_was_used(world: World) {
    world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "g1", 100).await;
    refreshed(&world, "g1.refresh", "g2", 101).await;
    assert!(matches!(
        refreshed(&world, "g0.refresh", "x", 102).await,
        Rotation::Reused { .. }
    ));
}

pub async fn a_replaced_token_revokes_the_family(world: World) {
    world.grant("g0", None).await;
    refreshed(&world, "g0.refresh", "owner", 100).await;
    refreshed(&world, "g0.refresh", "thief", 101).await;
    assert!(matches!(
        refreshed(&world, "owner.refresh", "x", 102).await,
        Rotation::Reused { .. }
    ));
    assert_eq!(world.access("thief.access", 103).await, Access::Revoked);
}

pub async fn a_token_expires(world: World) {
    world.grant("g0", None).await;
    assert_eq!(refreshed(&world, "g0.refresh", "x", DAY).await, Rotation::Expired);
    assert_eq!(refreshed(&world, "never issued", "y", 1).await, Rotation::Unknown);
    let family = a_family("app", None);
    let mut short = tokens("long.access", Some("short.refresh"), 0);
    short.refresh.as_mut().unwrap().expires_at = at(60);
    world.store.issue(family, short, operator(0)).await.unwrap();
    assert_eq!(
        refreshed(&world, "short.refresh", "z", 60).await,
        Rotation::Expired,
        "before its family"
    );
}

pub async fn a_token_of_a_revoked_family_is_no_good(world: World) {
    let issued = world.grant("g0", None).await;
    world
        .store
        .revoke_family(realm(), issued.family.id, operator(1))
        .await
        .unwrap();
    assert_eq!(refreshed(&world, "g0.refresh", "x", 2).await, Rotation::Revoked);
    assert_eq!(world.access("x.access", 3).await, Access::Unknown);
}

pub async fn a_token_is_good_for_its_own_client_only(world: World) {
    world.grant("g0", None).await;
    let thief = PresentedRefresh {
        client_id: client("thief"),
        ..refreshing("g0.refresh")
    };
    assert_eq!(rotate(&world, thief.clone(), "x", 1).await, Rotation::WrongClient);
    assert!(matches!(
        refreshed(&world, "g0.refresh", "g1", 2).await,
        Rotation::Rotated(_)
    ));
    assert_eq!(rotate(&world, thief, "x", 500).await, Rotation::WrongClient);
    assert!(world.works("g1.access", 501).await, "a stranger ends nothing");
}

pub async fn a_token_means_nothing_in_another_realm(world: World) {
    world.grant("g0", None).await;
    let there = PresentedRefresh {
        realm: elsewhere(),
        ..refreshing("g0.refresh")
    };
    assert_eq!(rotate(&world, there, "x", 1).await, Rotation::Unknown);
    assert_eq!(
        world
            .store
            .refresh_facts(elsewhere(), Digest::of("g0.refresh"))
            .await
            .unwrap(),
        None
    );
}

pub async fn of_twenty_refreshes_at_once_one_chain_is_left(world: World) {
    let issued = world.grant("g0", None).await;
    let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
    let rotations = join_all(names.iter().map(|name| refreshed(&world, "g0.refresh", name, 10))).await;
    let count = |wanted: fn(&Rotation) -> bool| rotations.iter().filter(|rotation| wanted(rotation)).count();
    assert_eq!(count(|rotation| matches!(rotation, Rotation::Rotated(_))), 1);
    assert_eq!(
        count(|rotation| matches!(rotation, Rotation::RotatedAgain(_))),
        19
    );
    let mut current = Vec::new();
    let mut live = Vec::new();
    for name in &names {
        if state(&world, &format!("{name}.refresh")).await == Some(RefreshState::Current) {
            current.push(name);
        }
        if world.works(&format!("{name}.access"), 11).await {
            live.push(name);
        }
    }
    assert_eq!(current.len(), 1);
    assert_eq!(live, current);
    let family = world
        .store
        .family(realm(), issued.family.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(family.revoked_at, None);
    let token = format!("{}.refresh", current[0]);
    assert!(matches!(
        refreshed(&world, &token, "after", 100).await,
        Rotation::Rotated(_)
    ));
}
