use std::time::Duration;

use tollgate::base::digest::Digest;
use tollgate::identity::{Jti, UserId};
use tollgate::store::backend::{FamilyFilter, PageSize, Paging, SweepPlan, Which};
use tollgate::store::model::{AccessKey, AuditNote};
use tollgate::store::outcome::{Access, Redemption, Rest, Rotation, Swept};

use crate::world::{
    DAY, HOUR, POLICY, World, a_code, a_session, at, first, key, next, operator, present, realm, refreshing,
};

async fn sweep(world: &World, seconds: i64) -> Swept {
    world
        .store
        .sweep(SweepPlan::default(), at(seconds))
        .await
        .unwrap()
}

async fn families(world: &World) -> usize {
    let filter = FamilyFilter {
        realm: realm(),
        user: None,
        client_id: None,
        which: Which::All,
    };
    world
        .store
        .families(filter, Paging::first(PageSize::MAX))
        .await
        .unwrap()
        .items
        .len()
}

pub async fn what_has_ended_goes_after_a_while(world: World) {
    let user = UserId::random();
    world
        .store
        .open_session(a_session("s", user), operator(0))
        .await
        .unwrap();
    world.store.store_code(a_code("unused", user)).await.unwrap();
    world.redeem("c", user).await;
    let foreign = AccessKey::Jwt(Jti::try_from("foreign").unwrap());
    world
        .store
        .revoke_access(realm(), foreign.clone(), at(100), operator(0))
        .await
        .unwrap();

    let nothing = Swept {
        removed: 0,
        rest: Rest::Nothing,
    };
    assert_eq!(sweep(&world, 99).await, nothing);
    assert!(
        sweep(&world, 600).await.removed >= 2,
        "the session and the foreign token"
    );
    assert_eq!(
        world
            .store
            .session(realm(), Digest::of("s"), at(1))
            .await
            .unwrap(),
        None
    );

    let redeem = |seconds| {
        world
            .store
            .redeem_code(present("unused"), first("a", "r", seconds), at(seconds))
    };
    sweep(&world, 300 + HOUR - 1).await;
    assert_eq!(
        redeem(300 + HOUR).await.unwrap(),
        Redemption::Expired,
        "for an hour one hears that it expired"
    );
    sweep(&world, 300 + HOUR).await;
    assert_eq!(redeem(300 + HOUR).await.unwrap(), Redemption::Unknown);

    let access_end = 10 + 2 * HOUR;
    sweep(&world, access_end + HOUR - 1).await;
    assert!(matches!(
        world.access("c.access", access_end).await,
        Access::Expired(_)
    ));
    sweep(&world, access_end + HOUR).await;
    assert_eq!(world.access("c.access", access_end).await, Access::Unknown);

    assert_eq!(families(&world).await, 1);
    sweep(&world, 10 + DAY + HOUR - 1).await;
    assert_eq!(families(&world).await, 1);
    assert!(sweep(&world, 10 + DAY + HOUR).await.removed > 0);
    assert_eq!(families(&world).await, 0);
    assert_eq!(sweep(&world, 10 + DAY + HOUR).await, nothing);
    let again = world
        .store
        .redeem_code(present("c"), first("a", "r", DAY), at(DAY))
        .await
        .unwrap();
    assert_eq!(again, Redemption::Unknown);
    let rotated = world
        .store
        .rotate_refresh(refreshing("c.refresh"), next("a", "r", DAY), at(DAY))
        .await
        .unwrap();
    assert_eq!(rotated, Rotation::Unknown);
}

pub async fn used_codes_and_tokens_stay_as_long_as_their_family(world: World) {
    let issued = world.redeem("c", UserId::random()).await;
    let family = issued.family.id;
    for number in 0..4_i64 {
        let from = if number == 0 {
            "c.refresh".to_owned()
        } else {
            format!("r{number}")
        };
        let seconds = (number + 1) * DAY / 2;
        let tokens = next(&format!("a{}", number + 1), &format!("r{}", number + 1), seconds);
        let rotated = world
            .store
            .rotate_refresh(refreshing(&from), tokens, at(seconds))
            .await
            .unwrap();
        assert!(matches!(rotated, Rotation::Rotated(_)), "{number}: {rotated:?}");
        sweep(&world, seconds).await;
    }
    // The first refresh token and the code have long been over by themselves.
    let reused =
        world
            .store
            .rotate_refresh(refreshing("c.refresh"), next("x", "y", 2 * DAY), at(2 * DAY + 60));
    assert_eq!(reused.await.unwrap(), Rotation::Reused { family });
    let replayed = world
        .store
        .redeem_code(present("c"), first("x", "y", 2 * DAY), at(2 * DAY + 61));
    assert_eq!(replayed.await.unwrap(), Redemption::AlreadyUsed { family });
    sweep(&world, 2 * DAY + 62).await;
    assert_eq!(
        world.access("a4", 2 * DAY + 63).await,
        Access::Revoked,
        "a revoked family is remembered as such"
    );
}

pub async fn a_session_that_was_just_used_is_not_swept(world: World) {
    world
        .store
        .open_session(a_session("used", UserId::random()), operator(0))
        .await
        .unwrap();
    world
        .store
        .open_session(a_session("unused", UserId::random()), operator(0))
        .await
        .unwrap();
    world.store.touch(Digest::of("used"), at(599)).await.unwrap();
    sweep(&world, 600).await;
    for (id, holds) in [("used", true), ("unused", false)] {
        let session = world
            .store
            .session(realm(), Digest::of(id), at(600))
            .await
            .unwrap();
        assert_eq!(session.is_some(), holds, "{id}");
    }
}

pub async fn attempts_go_when_they_say_nothing_any_more(world: World) {
    world
        .store
        .begin_attempt(realm(), key("anna"), POLICY, at(0))
        .await
        .unwrap();
    for _ in 0..3 {
        world
            .store
            .fail_attempt(realm(), key("carl"), POLICY, at(0))
            .await
            .unwrap();
    }
    assert_eq!(sweep(&world, 59).await.removed, 0);
    assert_eq!(sweep(&world, 60).await.removed, 1, "the lock is over");
    assert_eq!(sweep(&world, 599).await.removed, 0);
    assert_eq!(sweep(&world, 600).await.removed, 1, "the window is over");
}

pub async fn a_sweep_has_a_limit(world: World) {
    for number in 0..10 {
        let session = a_session(&number.to_string(), UserId::random());
        world.store.open_session(session, operator(0)).await.unwrap();
    }
    let plan = SweepPlan {
        limit: 4,
        ..SweepPlan::default()
    };
    let mut swept = Vec::new();
    loop {
        let sweep = world.store.sweep(plan, at(DAY)).await.unwrap();
        swept.push(sweep.removed);
        if sweep.rest == Rest::Nothing {
            break;
        }
    }
    assert_eq!(swept, [4, 4, 2]);
}

pub async fn the_audit_log_is_kept_for_as_long_as_it_says(world: World) {
    for seconds in [0, 50, 100] {
        let note = AuditNote {
            realm: None,
            action: Box::from("test.note"),
            subject: Box::from("x"),
            detail: Box::from(""),
        };
        world.store.audit(note, operator(seconds)).await.unwrap();
    }
    let plan = SweepPlan {
        keep_audit: Duration::from_secs(60),
        ..SweepPlan::default()
    };
    assert_eq!(world.store.sweep(plan, at(111)).await.unwrap().removed, 2);
    assert_eq!(world.actions().await.len(), 1);
}
