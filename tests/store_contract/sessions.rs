use std::num::NonZeroU32;

use tollgate::base::digest::Digest;
use tollgate::identity::UserId;
use tollgate::store::model::{Change, NewSession, Session};
use tollgate::store::outcome::Edit;

use crate::world::{HOUR, World, a_session, at, client, elsewhere, operator, realm};

async fn session(world: &World, id: &str, seconds: i64) -> Option<Session> {
    world
        .store
        .session(realm(), Digest::of(id), at(seconds))
        .await
        .unwrap()
}

async fn open(world: &World, new: NewSession) -> u32 {
    world.store.open_session(new, operator(0)).await.unwrap()
}

async fn touch(world: &World, id: &str, seconds: i64) {
    world.store.touch(Digest::of(id), at(seconds)).await.unwrap();
}

pub async fn a_session_holds_until_its_absolute_end(world: World) {
    let mut new = a_session("s", UserId::random());
    new.session.client_id = Some(client("app"));
    open(&world, new.clone()).await;
    assert_eq!(session(&world, "s", 1).await, Some(new.session));
    for minute in 1..=59 {
        touch(&world, "s", minute * 60).await;
        assert_eq!(
            session(&world, "s", minute * 60).await.unwrap().last_seen,
            at(minute * 60)
        );
    }
    assert!(session(&world, "s", HOUR - 1).await.is_some());
    assert_eq!(session(&world, "s", HOUR).await, None, "use does not prolong it");
    assert_eq!(session(&world, "other", 1).await, None);
}

pub async fn a_session_ends_when_it_is_not_used(world: World) {
    open(&world, a_session("s", UserId::random())).await;
    assert!(session(&world, "s", 599).await.is_some());
    assert_eq!(session(&world, "s", 600).await, None);
    touch(&world, "s", 599).await;
    assert!(session(&world, "s", 1_198).await.is_some());
    assert_eq!(session(&world, "s", 1_199).await, None);
    touch(&world, "s", 100).await;
    assert!(
        session(&world, "s", 1_198).await.is_some(),
        "an older use changes nothing"
    );
}

pub async fn a_session_belongs_to_its_realm(world: World) {
    open(&world, a_session("s", UserId::random())).await;
    let digest = Digest::of("s");
    assert_eq!(
        world.store.session(elsewhere(), digest, at(1)).await.unwrap(),
        None
    );
    assert_eq!(
        world
            .store
            .end_session(elsewhere(), digest, operator(1))
            .await
            .unwrap(),
        Edit::Unknown
    );
    let csrf = world
        .store
        .change_csrf(elsewhere(), digest, Digest::of("x"), at(1))
        .await
        .unwrap();
    assert_eq!(csrf, Edit::Unknown);
    assert!(session(&world, "s", 2).await.is_some());
}

pub async fn a_sign_in_from_within_a_session_ends_the_old_one(world: World) {
    let user = UserId::random();
    open(&world, a_session("old", user)).await;
    let cursor = world.cursor().await;
    let new = NewSession {
        replaces: Some(Digest::of("old")),
        ..a_session("new", user)
    };
    assert_eq!(open(&world, new).await, 1);
    assert_eq!(session(&world, "old", 1).await, None);
    assert!(session(&world, "new", 1).await.is_some());
    assert_eq!(
        world.changes(cursor).await,
        [Change::SessionEnded(Digest::of("old"))]
    );
}

pub async fn a_session_of_somebody_else_is_not_replaced(world: World) {
    open(&world, a_session("theirs", UserId::random())).await;
    let new = NewSession {
        replaces: Some(Digest::of("theirs")),
        ..a_session("mine", UserId::random())
    };
    assert_eq!(open(&world, new).await, 0);
    assert!(session(&world, "theirs", 1).await.is_some());
}

pub async fn the_session_unused_for_longest_makes_room(world: World) {
    let user = UserId::random();
    let at_most = NonZeroU32::new(2);
    let new = |id: &str| NewSession {
        at_most,
        ..a_session(id, user)
    };
    assert_eq!(open(&world, new("a")).await, 0);
    assert_eq!(open(&world, new("b")).await, 0);
    open(&world, a_session("stranger", UserId::random())).await;
    touch(&world, "a", 30).await;
    assert_eq!(open(&world, new("c")).await, 1);
    for (id, holds) in [("a", true), ("b", false), ("c", true), ("stranger", true)] {
        assert_eq!(session(&world, id, 40).await.is_some(), holds, "{id}");
    }
}

pub async fn an_ended_session_is_gone_for_good(world: World) {
    let user = UserId::random();
    for id in ["a", "b", "c"] {
        open(&world, a_session(id, user)).await;
    }
    open(&world, a_session("stranger", UserId::random())).await;
    let end = |id: &str| world.store.end_session(realm(), Digest::of(id), operator(1));
    assert_eq!(end("a").await.unwrap(), Edit::Done);
    assert_eq!(end("a").await.unwrap(), Edit::Unknown);
    touch(&world, "a", 2).await;
    assert_eq!(
        session(&world, "a", 2).await,
        None,
        "a late use does not bring it back"
    );
    let cursor = world.cursor().await;
    assert_eq!(
        world
            .store
            .end_sessions_of(realm(), user, operator(3))
            .await
            .unwrap(),
        2
    );
    assert_eq!(world.changes(cursor).await.len(), 2);
    assert_eq!(session(&world, "b", 4).await, None);
    assert!(session(&world, "stranger", 4).await.is_some());
}

pub async fn the_csrf_value_can_be_changed_and_belongs_to_the_session(world: World) {
    open(&world, a_session("s", UserId::random())).await;
    let cursor = world.cursor().await;
    let change = |seconds| {
        world
            .store
            .change_csrf(realm(), Digest::of("s"), Digest::of("fresh"), at(seconds))
    };
    assert_eq!(change(1).await.unwrap(), Edit::Done);
    assert_eq!(session(&world, "s", 2).await.unwrap().csrf, Digest::of("fresh"));
    assert_eq!(
        world.changes(cursor).await,
        [Change::SessionChanged(Digest::of("s"))]
    );
    assert_eq!(change(HOUR).await.unwrap(), Edit::Unknown, "it has ended");
}
