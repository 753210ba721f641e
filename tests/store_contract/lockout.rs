use futures_util::future::join_all;
use tollgate::store::model::Change;
use tollgate::store::outcome::{Attempt, Failure};

use crate::world::{POLICY, World, at, elsewhere, key, operator, realm};

async fn begin(world: &World, seconds: i64) -> Attempt {
    world
        .store
        .begin_attempt(realm(), key("anna"), POLICY, at(seconds))
        .await
        .unwrap()
}

async fn fail(world: &World, seconds: i64) -> Failure {
    world
        .store
        .fail_attempt(realm(), key("anna"), POLICY, at(seconds))
        .await
        .unwrap()
}

async fn locked(world: &World, seconds: i64) -> Option<i64> {
    let until = world
        .store
        .locked_until(realm(), key("anna"), at(seconds))
        .await
        .unwrap()?;
    Some(until.0 - at(0).0)
}

fn told(until: Option<i64>) -> Change {
    Change::AttemptsChanged {
        realm: realm(),
        key: key("anna"),
        locked_until: until.map(at),
    }
}

async fn lock(world: &World, seconds: i64) {
    for _ in 0..3 {
        assert!(matches!(begin(world, seconds).await, Attempt::Allowed { .. }));
        fail(world, seconds).await;
    }
    assert_eq!(locked(world, seconds).await, Some(seconds + 60));
}

pub async fn the_last_attempt_that_fails_starts_the_lock(world: World) {
    let cursor = world.cursor().await;
    for (ordinal, left) in [(1, 2), (2, 1)] {
        assert_eq!(begin(&world, 0).await, Attempt::Allowed { ordinal });
        assert_eq!(fail(&world, 0).await, Failure::Counted { left });
    }
    assert_eq!(begin(&world, 1).await, Attempt::Allowed { ordinal: 3 });
    assert_eq!(locked(&world, 1).await, None, "the third may be right");
    assert_eq!(world.changes(cursor).await, []);
    assert_eq!(fail(&world, 2).await, Failure::Locked { until: at(62) });
    assert_eq!(begin(&world, 3).await, Attempt::Locked { until: at(62) });
    assert_eq!(locked(&world, 61).await, Some(62));
    assert_eq!(world.changes(cursor).await, [told(Some(62))]);
    assert_eq!(world.actions().await, ["account.lock"]);
}

pub async fn a_lock_ends_by_itself_and_counting_begins_anew(world: World) {
    lock(&world, 0).await;
    assert_eq!(begin(&world, 59).await, Attempt::Locked { until: at(60) });
    assert_eq!(locked(&world, 60).await, None);
    assert_eq!(begin(&world, 60).await, Attempt::Allowed { ordinal: 1 });
    assert_eq!(fail(&world, 60).await, Failure::Counted { left: 2 });
}

pub async fn a_right_password_forgets_what_failed(world: World) {
    for _ in 0..2 {
        begin(&world, 0).await;
        fail(&world, 0).await;
    }
    let cursor = world.cursor().await;
    assert_eq!(begin(&world, 1).await, Attempt::Allowed { ordinal: 3 });
    world
        .store
        .clear_attempts(realm(), key("anna"), operator(1))
        .await
        .unwrap();
    assert_eq!(begin(&world, 2).await, Attempt::Allowed { ordinal: 1 });
    assert_eq!(world.changes(cursor).await, [], "there was no lock to speak of");

    world
        .store
        .clear_attempts(realm(), key("anna"), operator(3))
        .await
        .unwrap();
    lock(&world, 4).await;
    let cursor = world.cursor().await;
    world
        .store
        .clear_attempts(realm(), key("anna"), operator(5))
        .await
        .unwrap();
    assert_eq!(locked(&world, 5).await, None);
    assert_eq!(world.changes(cursor).await, [told(None)]);
    assert_eq!(world.actions().await, ["account.unlock", "account.lock"]);
}

pub async fn attempts_are_forgotten_after_the_window(world: World) {
    for _ in 0..2 {
        begin(&world, 0).await;
        fail(&world, 0).await;
    }
    assert_eq!(begin(&world, 600).await, Attempt::Allowed { ordinal: 1 });
}

pub async fn attempts_that_came_to_no_end_hold_the_account_for_one_duration(world: World) {
    for _ in 0..3 {
        begin(&world, 10).await;
    }
    assert_eq!(begin(&world, 11).await, Attempt::Locked { until: at(70) });
    assert_eq!(
        locked(&world, 11).await,
        None,
        "that is no lock: sessions and tokens go on"
    );
    assert_eq!(begin(&world, 70).await, Attempt::Allowed { ordinal: 1 });
}

pub async fn a_withdrawn_attempt_was_none(world: World) {
    for _ in 0..10 {
        assert_eq!(begin(&world, 0).await, Attempt::Allowed { ordinal: 1 });
        world.store.withdraw_attempt(realm(), key("anna")).await.unwrap();
    }
    world.store.withdraw_attempt(realm(), key("anna")).await.unwrap();
    begin(&world, 0).await;
    fail(&world, 0).await;
    world.store.withdraw_attempt(realm(), key("anna")).await.unwrap();
    assert_eq!(
        begin(&world, 0).await,
        Attempt::Allowed { ordinal: 2 },
        "what has failed stays counted"
    );
}

pub async fn a_clock_that_is_set_back_makes_no_lock_longer(world: World) {
    lock(&world, 3_600).await;
    assert_eq!(begin(&world, 0).await, Attempt::Locked { until: at(60) });
    assert_eq!(locked(&world, 1).await, Some(60));
    assert_eq!(begin(&world, 60).await, Attempt::Allowed { ordinal: 1 });
}

pub async fn other_names_and_realms_are_not_locked(world: World) {
    lock(&world, 0).await;
    for (realm, name) in [(realm(), "carl"), (elsewhere(), "anna")] {
        let attempt = world
            .store
            .begin_attempt(realm, key(name), POLICY, at(1))
            .await
            .unwrap();
        assert_eq!(attempt, Attempt::Allowed { ordinal: 1 });
    }
}

pub async fn an_attempt_begun_before_the_lock_does_not_lengthen_it(world: World) {
    for _ in 0..3 {
        begin(&world, 0).await;
    }
    for _ in 0..3 {
        fail(&world, 1).await;
    }
    assert_eq!(fail(&world, 30).await, Failure::Locked { until: at(61) });
    assert_eq!(locked(&world, 30).await, Some(61));
}

pub async fn of_a_hundred_attempts_at_once_so_many_are_allowed_as_the_policy_says(world: World) {
    let attempts = join_all((0..100).map(|_| begin(&world, 0))).await;
    let allowed: Vec<_> = attempts
        .iter()
        .filter(|attempt| matches!(attempt, Attempt::Allowed { .. }))
        .collect();
    assert_eq!(allowed.len(), 3, "{allowed:?}");
}
