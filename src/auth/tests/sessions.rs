//! Session cookies.

use super::*;
use crate::auth::session::MOST_VALUES;

fn call(id: &str) -> Call {
    Call::get().cookie(&format!("session={id}"))
}

#[tokio::test]
async fn a_session_stands_for_its_user() {
    let world = World::new().await;
    world.open_session("s1").await;
    let door = world.door(vec![world.session(&["session"], None)]);
    for _ in 0..2 {
        let caller = door.ask(&call("s1")).await.unwrap();
        let known = caller.known().unwrap();
        assert_eq!(known.identity.kind, CredentialKind::Session);
        assert_eq!(known.identity.subject.as_str(), world.alice.to_string());
        assert_eq!(known.values.roles.as_ref().unwrap(), "admin viewer");
        let own = known.own().unwrap();
        assert_eq!(own.session(), Some(Digest::of("s1")));
        assert!(own.family().is_none() && own.methods().is_none());
    }
    assert_eq!(world.hits("central", CredentialKind::Session), 1);
}

#[tokio::test]
async fn of_several_cookies_any_that_is_a_live_session_will_do() {
    let world = World::new().await;
    for id in ["s1", "s2"] {
        world.open_session(id).await;
    }
    let ended = world
        .store()
        .end_session(realm_name(), Digest::of("s2"), world.by());
    ended.await.unwrap();
    let door = world.door(vec![world.session(&["sessionid", "old-sessionid"], None)]);
    let long = "x".repeat(129);
    let many = (0..MOST_VALUES)
        .map(|n| format!("sessionid=no{n}; "))
        .collect::<String>();
    let same = "sessionid=no; ".repeat(50);
    for (line, wanted) in [
        ("sessionid=s1", None),
        ("old-sessionid=s1", None),
        (
            "csrftoken=C; sessionid=s1; csrftoken=C; sessionid=s1; old-sessionid=s1",
            None,
        ),
        ("sessionid=s2; sessionid=s1", None),
        ("sessionid=nonsense; old-sessionid=s1", None),
        (&format!("{same}sessionid=s1"), None),
        (&format!("sessionid={long}; sessionid=s1"), None),
        (&format!("{many}sessionid=s1"), Some(Code::SessionEnded)),
        ("sessionid=s2", Some(Code::SessionEnded)),
        ("sessionid=nonsense", Some(Code::SessionEnded)),
        (&format!("sessionid={long}"), Some(Code::SessionEnded)),
        ("sessionid=S1", Some(Code::SessionEnded)),
        ("sessionid=\"s1\"", Some(Code::SessionEnded)),
        ("sessionid=", Some(Code::CredentialsMissing)),
        ("sessionid", Some(Code::CredentialsMissing)),
        ("session=s1", Some(Code::CredentialsMissing)),
        ("SessionId=s1", Some(Code::CredentialsMissing)),
    ] {
        assert_eq!(door.code(&Call::get().cookie(line)).await, wanted, "{line}");
    }
    let lines = Call::get().cookie("a=1").cookie("sessionid=s1");
    assert_eq!(door.code(&lines).await, None);
}

#[tokio::test]
async fn a_session_ends_after_its_time_and_when_nobody_uses_it() {
    let world = World::new().await;
    world.open_session("idle").await;
    world.open_session("used").await;
    let door = world.door(vec![world.session(&["session"], None)]);
    for id in ["idle", "used"] {
        assert_eq!(door.code(&call(id)).await, None);
    }
    let mut at = 0;
    while at + IDLE - 1 < HOUR {
        world.turn(IDLE - 1);
        at += IDLE - 1;
        assert_eq!(door.code(&call("used")).await, None, "after {at} s");
    }
    for _ in 0..2 {
        assert_eq!(door.code(&call("idle")).await, Some(Code::SessionEnded));
    }
    world.turn(HOUR - at - 1);
    assert_eq!(door.code(&call("used")).await, None);
    world.turn(1);
    assert_eq!(door.code(&call("used")).await, Some(Code::SessionEnded));
}

#[tokio::test]
async fn the_use_of_a_session_is_written_down_once_a_minute_at_most() {
    let world = World::new().await;
    world.open_session("s1").await;
    let door = world.door(vec![world.session(&["session"], None)]);
    let seen = async || {
        let found = world.store().session(realm_name(), Digest::of("s1"), world.now());
        found.await.unwrap().unwrap().last_seen.0 - START.0
    };
    for (turn, wanted) in [(0, 0), (59, 0), (1, 60), (30, 60), (29, 60), (1, 120), (500, 620)] {
        world.turn(turn);
        assert_eq!(door.code(&call("s1")).await, None);
        assert_eq!(seen().await, wanted);
    }
    // Whoever looks it up anew finds it used as late as it was.
    let fresh = Sessions::new(
        Arc::clone(&world.realm),
        world.credential(CredentialKind::Session),
    );
    let fresh = SessionCookies::new(fresh, vec!["session".to_owned()], None);
    let fresh = world.door(vec![Accepted::Session(fresh)]);
    world.turn(IDLE - 1);
    assert_eq!(fresh.code(&call("s1")).await, None);
}

#[tokio::test]
async fn whatever_ends_a_session_is_obeyed_by_the_next_request() {
    for deed in ["end", "end all", "disable", "delete", "password"] {
        let world = World::new().await;
        world.open_session("s1").await;
        let door = world.door(vec![world.session(&["session"], None)]);
        assert_eq!(door.code(&call("s1")).await, None);
        let (store, realm, by) = (world.store(), realm_name(), world.by());
        match deed {
            "end" => store.end_session(realm, Digest::of("s1"), by).await.map(drop),
            "end all" => store.end_sessions_of(realm, world.alice, by).await.map(drop),
            "disable" => store
                .change_user_state(realm, world.alice, UserState::Disabled, by)
                .await
                .map(drop),
            "delete" => store.delete_user(realm, world.alice, by).await.map(drop),
            _ => {
                let hash = Secret::new(b"$argon2id$new".to_vec());
                let existing = crate::store::backend::Existing::End;
                store
                    .set_password(realm, world.alice, hash, existing, by)
                    .await
                    .map(drop)
            }
        }
        .unwrap();
        for _ in 0..2 {
            assert_eq!(door.code(&call("s1")).await, Some(Code::SessionEnded), "{deed}");
        }
    }
}

#[tokio::test]
async fn a_users_new_roles_are_those_of_the_sessions_next_request() {
    let world = World::new().await;
    world.open_session("s1").await;
    let door = world.door(vec![world.session(&["session"], None)]);
    assert_eq!(door.code(&call("s1")).await, None);
    let edit =
        world
            .store()
            .change_user_access(realm_name(), world.alice, user_access(&["auditor"]), world.by());
    edit.await.unwrap();
    let caller = door.ask(&call("s1")).await.unwrap();
    assert_eq!(caller.known().unwrap().values.roles.as_ref().unwrap(), "auditor");
}

#[tokio::test]
async fn a_lock_suspends_sessions_where_the_realm_says_so() {
    for (tokens, wanted) in [
        (WhileLocked::Suspended, Some(Code::AccountSuspended)),
        (WhileLocked::Work, None),
    ] {
        let world = World::with(tokens).await;
        world.open_session("s1").await;
        let door = world.door(vec![world.session(&["session"], None)]);
        assert_eq!(door.code(&call("s1")).await, None);
        world.lock_alice().await;
        assert_eq!(door.code(&call("s1")).await, wanted);
        world.turn(LOCK);
        assert_eq!(door.code(&call("s1")).await, None);
    }
}

#[tokio::test]
async fn calls_that_may_change_something_carry_the_value_of_that_session() {
    let world = World::new().await;
    for id in ["s1", "s2"] {
        world.open_session(id).await;
    }
    let rule = csrf_rule(RefererRule::None);
    let door = world.door(vec![world.session(&["session"], Some(rule))]);
    let post = || Call::post().cookie("session=s1");
    assert_eq!(door.code(&call("s1")).await, None, "a safe one needs none");
    assert_eq!(door.code(&post()).await, Some(Code::CsrfFailed));
    assert_eq!(door.code(&post().csrf("csrf-s1")).await, None);
    assert_eq!(
        door.code(&post().csrf("csrf-s2")).await,
        Some(Code::CsrfFailed),
        "another session's"
    );
    let planted = post().cookie("csrftoken=planted").csrf("planted");
    assert_eq!(door.code(&planted).await, Some(Code::CsrfFailed), "double submit");
    let dead = Call::post().cookie("session=nonsense");
    assert_eq!(
        door.code(&dead).await,
        Some(Code::SessionEnded),
        "a dead session is 401, not 403"
    );
    let changed = world
        .store()
        .change_csrf(realm_name(), Digest::of("s1"), Digest::of("new"), world.now());
    changed.await.unwrap();
    assert_eq!(door.code(&post().csrf("csrf-s1")).await, Some(Code::CsrfFailed));
    assert_eq!(door.code(&post().csrf("new")).await, None);
}

#[tokio::test]
async fn without_the_store_a_session_that_is_remembered_works_on() {
    let world = World::new().await;
    for id in ["s1", "s2"] {
        world.open_session(id).await;
    }
    let door = world.door(vec![world.session(&["session"], None)]);
    assert_eq!(door.code(&call("s1")).await, None);
    world.store().close().await.unwrap();
    world.turn(100);
    assert_eq!(door.code(&call("s1")).await, None);
    assert_eq!(door.code(&call("s2")).await, Some(Code::StoreUnavailable));
}

#[tokio::test]
async fn where_each_use_makes_a_new_value_the_answer_tells_it_and_the_old_one_is_over() {
    let world = World::new().await;
    world.open_session("s1").await;
    let rule = csrf_rule_that_rotates(CsrfRotation::EachUse);
    let door = world.door(vec![world.session(&["session"], Some(rule))]);
    let renewal = async |call: &Call| {
        let caller = door.ask(call).await.unwrap();
        door.credentials.renewal(&caller, &call.presented())
    };
    assert!(renewal(&call("s1")).await.is_none(), "a safe call uses none");
    let post = |csrf: &str| Call::post().cookie("session=s1").csrf(csrf);
    let first = renewal(&post("csrf-s1")).await.unwrap();
    assert_eq!(
        door.code(&post("csrf-s1")).await,
        None,
        "until the answer is there"
    );
    let field = first.perform(world.now()).await.unwrap();
    let value = field.to_str().unwrap().strip_prefix("csrftoken=").unwrap();
    let value = value.split(';').next().unwrap().to_owned();
    assert_eq!(door.code(&post("csrf-s1")).await, Some(Code::CsrfFailed));
    let second = renewal(&post(&value)).await.unwrap();
    world.store().close().await.unwrap();
    assert!(second.perform(world.now()).await.is_none());
    assert_eq!(
        door.code(&post(&value)).await,
        None,
        "the store did not take another"
    );

    let world = World::new().await;
    world.open_session("s1").await;
    let never = csrf_rule(RefererRule::None);
    let door = world.door(vec![world.session(&["session"], Some(never))]);
    let call = post("csrf-s1");
    let caller = door.ask(&call).await.unwrap();
    assert!(door.credentials.renewal(&caller, &call.presented()).is_none());
}
