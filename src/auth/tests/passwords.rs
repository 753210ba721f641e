//! Name and password with each request.

use super::*;
use crate::store::backend::Existing;

fn call(password: &str) -> Call {
    Call::get().basic("alice", password)
}

impl World {
    fn hashes(&self) -> u64 {
        self.realm.accounts().passwords().computed()
    }
}

#[tokio::test]
async fn a_right_password_is_hashed_once_a_minute() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    for _ in 0..3 {
        let caller = door.ask(&call("right")).await.unwrap();
        let identity = caller.identity().unwrap();
        assert_eq!(identity.kind, CredentialKind::Basic);
        assert_eq!(identity.subject.as_str(), world.alice.to_string());
    }
    assert_eq!(world.hashes(), 1);
    let spelled = Call::get().basic(" ALICE ", "right");
    assert_eq!(door.code(&spelled).await, None);
    assert_eq!(world.hashes(), 2, "another text");
    world.turn(59);
    assert_eq!(door.code(&call("right")).await, None);
    assert_eq!(world.hashes(), 2);
    world.turn(1);
    assert_eq!(door.code(&call("right")).await, None);
    assert_eq!(world.hashes(), 3);
}

#[tokio::test]
async fn requests_at_once_with_the_same_password_share_one_hash() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    let call = call("right");
    let codes = futures_util::future::join_all((0..50).map(|_| door.code(&call))).await;
    assert!(codes.iter().all(Option::is_none), "{codes:?}");
    assert_eq!(world.hashes(), 1);
}

#[tokio::test]
async fn a_password_is_taken_over_tls_only_and_not_even_tried_otherwise() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    assert_eq!(
        door.code(&call("right").plain()).await,
        Some(Code::CredentialsInvalid)
    );
    assert_eq!(world.hashes(), 0);
    assert_eq!(door.code(&call("right")).await, None);
}

#[tokio::test]
async fn the_same_wrong_password_again_and_again_is_one_attempt() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    for _ in 0..10 * ATTEMPTS {
        assert_eq!(door.code(&call("wrong")).await, Some(Code::SignInFailed));
    }
    assert_eq!(world.hashes(), 1);
    assert_eq!(door.code(&call("right")).await, None, "nobody is locked out");
    world.turn(10);
    assert_eq!(door.code(&call("wrong")).await, Some(Code::SignInFailed));
    assert_eq!(world.hashes(), 3, "after a while it is tried again");
}

#[tokio::test]
async fn different_wrong_passwords_lock_the_name_also_for_a_right_one_that_is_remembered() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    assert_eq!(door.code(&call("right")).await, None);
    for n in 0..ATTEMPTS {
        let code = door.code(&call(&format!("wrong-{n}"))).await;
        assert_eq!(code, Some(Code::SignInFailed));
    }
    let hashes = world.hashes();
    for password in ["right", "wrong-0", "wrong-new"] {
        let refused = door.ask(&call(password)).await.unwrap_err();
        assert!(
            matches!(refused, Rejection::LockedOut { retry_after_seconds } if retry_after_seconds == LOCK.unsigned_abs()),
            "{password}: {refused:?}"
        );
    }
    assert_eq!(world.hashes(), hashes);
    world.turn(LOCK);
    assert_eq!(door.code(&call("right")).await, None);
}

#[tokio::test]
async fn a_changed_password_counts_from_the_next_request_on() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    assert_eq!(door.code(&call("right")).await, None);
    assert_eq!(door.code(&call("new")).await, Some(Code::SignInFailed));
    let cost = Cost::new(32, 1, 1).unwrap();
    let hash = StoredPassword::hash(&Secret::new(b"new".to_vec()), cost).unwrap();
    let set = world.store().set_password(
        realm_name(),
        world.alice,
        Secret::new(hash.to_phc().into_bytes()),
        Existing::Keep,
        world.by(),
    );
    set.await.unwrap();
    assert_eq!(door.code(&call("right")).await, Some(Code::SignInFailed));
    assert_eq!(door.code(&call("new")).await, None);
}

#[tokio::test]
async fn an_account_that_is_switched_off_is_refused_at_the_next_request() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    assert_eq!(door.code(&call("right")).await, None);
    world.set_state(world.alice, UserState::Disabled).await;
    for _ in 0..2 {
        assert_eq!(door.code(&call("right")).await, Some(Code::AccountInactive));
        assert_eq!(door.code(&call("wrong")).await, Some(Code::SignInFailed));
    }
    world.set_state(world.alice, UserState::Active).await;
    assert_eq!(door.code(&call("right")).await, None);
}

#[tokio::test]
async fn names_that_nobody_has_are_answered_like_wrong_passwords() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    for name in ["nobody", "", "a b", "alice\u{200b}"] {
        let before = world.hashes();
        let code = door.code(&Call::get().basic(name, "right")).await;
        assert_eq!(code, Some(Code::SignInFailed), "{name:?}");
        assert_eq!(world.hashes() - before, 1, "{name:?}");
    }
    let later = world.door(vec![world.basic()]);
    world.add_user("nobody", "right").await;
    world.turn(10);
    assert_eq!(later.code(&Call::get().basic("nobody", "right")).await, None);
}

#[tokio::test]
async fn without_the_store_only_what_is_remembered_is_let_in() {
    let world = World::new().await;
    let door = world.door(vec![world.basic()]);
    assert_eq!(door.code(&call("right")).await, None);
    world.store().close().await.unwrap();
    assert_eq!(door.code(&call("right")).await, None);
    let other = Call::get().basic("ALICE", "right");
    assert_eq!(door.code(&other).await, Some(Code::StoreUnavailable));
    world.turn(60);
    assert_eq!(door.code(&call("right")).await, Some(Code::StoreUnavailable));
}
