use std::time::Duration;

use tollgate::base::digest::Digest;
use tollgate::store::backend::SweepPlan;
use tollgate::store::model::{Change, RemoteSession};
use tollgate::store::outcome::{Creation, Edit};

use crate::world::{HOUR, World, at, operator};

/// A session whose id is `id`: an hour in all, ten minutes without use.
fn remote(id: &str) -> RemoteSession {
    RemoteSession {
        digest: Digest::of(id),
        sign_in: "portal/company".to_owned(),
        csrf: Digest::of(&format!("csrf of {id}")),
        sealed: vec![1, 2, 3],
        created_at: at(0),
        last_seen: at(0),
        expires_at: at(HOUR),
        idle: Duration::from_secs(600),
    }
}

async fn open(world: &World, id: &str) -> RemoteSession {
    let session = remote(id);
    let opened = world.store.open_remote(session.clone(), operator(0)).await;
    assert_eq!(opened.unwrap(), Creation::Created);
    session
}

async fn found(world: &World, id: &str, seconds: i64) -> Option<RemoteSession> {
    world.store.remote(Digest::of(id), at(seconds)).await.unwrap()
}

pub async fn one_that_is_used_holds_until_its_end_and_one_that_is_not_ends_before(world: World) {
    let opened = open(&world, "used").await;
    open(&world, "unused").await;
    assert_eq!(found(&world, "used", 1).await, Some(opened));
    assert_eq!(found(&world, "other", 1).await, None);
    for minute in 1..=59 {
        world
            .store
            .touch(Digest::of("used"), at(minute * 60))
            .await
            .unwrap();
        let seen = found(&world, "used", minute * 60).await.unwrap().last_seen;
        assert_eq!(seen, at(minute * 60));
    }
    assert!(found(&world, "unused", 599).await.is_some());
    assert_eq!(found(&world, "unused", 600).await, None);
    assert!(found(&world, "used", HOUR - 1).await.is_some());
    assert_eq!(found(&world, "used", HOUR).await, None, "use does not prolong it");
}

pub async fn an_id_is_taken_once(world: World) {
    let opened = open(&world, "s").await;
    let mut other = remote("s");
    other.sign_in = "portal/other".to_owned();
    let again = world.store.open_remote(other, operator(1)).await;
    assert_eq!(again.unwrap(), Creation::Exists);
    assert_eq!(found(&world, "s", 1).await, Some(opened));
}

pub async fn other_tokens_take_the_place_of_the_old_and_whoever_remembers_it_is_told(world: World) {
    let mut session = open(&world, "s").await;
    let cursor = world.cursor().await;
    let edit = world.store.reseal_remote(session.digest, vec![4, 5]).await;
    assert_eq!(edit.unwrap(), Edit::Done);
    session.sealed = vec![4, 5];
    assert_eq!(
        world.changes(cursor).await,
        [Change::SessionChanged(session.digest)]
    );
    assert_eq!(found(&world, "s", 1).await, Some(session));
    let unknown = world.store.reseal_remote(Digest::of("other"), vec![6]).await;
    assert_eq!(unknown.unwrap(), Edit::Unknown);
}

pub async fn it_is_ended_once_and_whoever_remembers_it_is_told(world: World) {
    let session = open(&world, "s").await;
    let cursor = world.cursor().await;
    let end = async || world.store.end_remote(session.digest, operator(5)).await.unwrap();
    assert_eq!(end().await, Edit::Done);
    assert_eq!(
        world.changes(cursor).await,
        [Change::SessionEnded(session.digest)]
    );
    assert_eq!(found(&world, "s", 6).await, None);
    assert_eq!(end().await, Edit::Unknown);
    let edit = world.store.reseal_remote(session.digest, vec![4]).await;
    assert_eq!(
        edit.unwrap(),
        Edit::Unknown,
        "a refresh that comes late brings it back to nobody"
    );
    assert_eq!(world.actions().await.len(), 2, "opened and ended");
}

pub async fn those_that_have_ended_are_swept(world: World) {
    open(&world, "used").await;
    open(&world, "unused").await;
    world.store.touch(Digest::of("used"), at(590)).await.unwrap();
    let sweep = async |seconds| {
        world
            .store
            .sweep(SweepPlan::default(), at(seconds))
            .await
            .unwrap();
    };
    sweep(700).await;
    assert!(found(&world, "used", 700).await.is_some());
    // What was swept is not there for whoever looks with an earlier clock either.
    assert_eq!(found(&world, "unused", 1).await, None);
    sweep(HOUR + 1).await;
    assert_eq!(found(&world, "used", 600).await, None);
}
