//! Refresh tokens.

use super::*;
use crate::store::backend::{FamilyFilter, PageSize, Paging, Which};

fn after(seconds: i64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

#[tokio::test]
async fn rfc_6749_6_a_refresh_gives_a_new_access_token_and_a_new_refresh_token() {
    for format in BOTH {
        let world = World::of(format).await;
        let first = world.tokens().await;
        let second = world
            .refreshed(after(100), text(&first["refresh_token"]))
            .await
            .good();
        for name in ["access_token", "refresh_token"] {
            assert_ne!(first[name], second[name]);
        }
        assert_eq!(second["scope"], "all read");
        assert_eq!(second["expires_in"], json!(7_200));
        // The access token of before goes on to its own end.
        for tokens in [&first, &second] {
            assert!(world.is_active(after(100), &tokens["access_token"]).await);
        }
        assert!(!world.is_active(after(7_200), &first["access_token"]).await);
        assert!(world.is_active(after(7_299), &second["access_token"]).await);
    }
}

#[tokio::test]
async fn rfc_9700_4_14_a_refresh_token_used_twice_revokes_the_family() {
    let world = World::new().await;
    let first = world.tokens().await;
    let second = world.refreshed(NOW, text(&first["refresh_token"])).await.good();
    world
        .refreshed(after(11), text(&first["refresh_token"]))
        .await
        .is("invalid_grant", 400);
    for tokens in [&first, &second] {
        assert!(!world.is_active(NOW, &tokens["access_token"]).await);
        world
            .refreshed(after(11), text(&tokens["refresh_token"]))
            .await
            .is("invalid_grant", 400);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_may_be_asked_for_again_within_the_grace() {
    let world = World::new().await;
    let first = world.tokens().await;
    let lost = world.refreshed(NOW, text(&first["refresh_token"])).await.good();
    let again = world
        .refreshed(after(9), text(&first["refresh_token"]))
        .await
        .good();
    assert_ne!(lost["refresh_token"], again["refresh_token"]);
    assert!(!world.is_active(after(9), &lost["access_token"]).await);
    assert!(world.is_active(after(9), &again["access_token"]).await);
    let third = world
        .refreshed(after(9), text(&again["refresh_token"]))
        .await
        .good();
    // Two generations back is no lost answer.
    world
        .refreshed(after(9), text(&first["refresh_token"]))
        .await
        .is("invalid_grant", 400);
    assert!(!world.is_active(after(9), &third["access_token"]).await);
}

#[tokio::test]
async fn rfc_6749_6_scopes_may_be_fewer_and_never_more() {
    for format in BOTH {
        let world = World::of(format).await;
        let first = world.tokens().await;
        let with = |scope: &'static str, token: &Value| {
            let token = text(token).to_owned();
            let world = &world;
            async move {
                let parameters = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &*token),
                    ("scope", scope),
                ];
                world.token(WEB, &parameters).await
            }
        };
        for more in ["all read write", "admin", "ALL"] {
            with(more, &first["refresh_token"]).await.is("invalid_scope", 400);
        }
        let fewer = with("read", &first["refresh_token"]).await.good();
        assert_eq!(fewer["scope"], "read");
        let told = world
            .introspected(NOW, WEB, text(&fewer["access_token"]))
            .await
            .good();
        assert_eq!(told["scope"], "read");
        // > the scope of the original grant is what the next one may have again
        let all = with("", &fewer["refresh_token"]).await.good();
        assert_eq!(all["scope"], "all read");
    }
}

#[tokio::test]
async fn rfc_6749_6_a_refresh_token_is_its_clients_own() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let refresh = text(&tokens["refresh_token"]);
    let parameters = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    for stranger in [OTHER, SPA] {
        world.token(stranger, &parameters).await.is("invalid_grant", 400);
    }
    for nothing in [text(&tokens["access_token"]), "x", &"A".repeat(32)] {
        world.refreshed(NOW, nothing).await.is("invalid_grant", 400);
    }
    world
        .token(WEB, &[("grant_type", "refresh_token")])
        .await
        .is("invalid_request", 400);
    world.refreshed(NOW, refresh).await.good();
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_time() {
    let world = World::new().await;
    let first = world.tokens().await;
    let fortnight = 14 * 86_400;
    world
        .refreshed(after(fortnight), text(&first["refresh_token"]))
        .await
        .is("invalid_grant", 400);
    let second = world
        .refreshed(after(fortnight - 1), text(&first["refresh_token"]))
        .await
        .good();
    world
        .refreshed(after(2 * fortnight - 2), text(&second["refresh_token"]))
        .await
        .good();
}

#[tokio::test]
async fn who_is_switched_off_does_not_refresh() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    world
        .store
        .change_user_state(
            world.realm_name(),
            world.alice,
            UserState::Disabled,
            By::system(NOW),
        )
        .await
        .unwrap();
    world
        .refreshed(NOW, text(&tokens["refresh_token"]))
        .await
        .is("invalid_grant", 400);
}

#[tokio::test]
async fn who_is_locked_out_refreshes_and_the_new_token_waits_for_the_end_of_the_lock() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let until = locked(&world).await;
    let next = world.refreshed(NOW, text(&tokens["refresh_token"])).await.good();
    for token in [&tokens["access_token"], &next["access_token"]] {
        assert!(!world.is_active(NOW, token).await);
        assert!(world.is_active(until, token).await);
    }
}

/// Locks alice out by wrong passwords; returns the end of the lock.
pub(super) async fn locked(world: &World) -> UnixTime {
    let policy = LockPolicy {
        attempts: NonZeroU32::new(2).unwrap(),
        window: Duration::from_secs(900),
        duration: Duration::from_secs(60),
    };
    let key: AccountKey = id("alice@msp.test");
    for _ in 0..2 {
        let realm = world.realm_name();
        world
            .store
            .begin_attempt(realm.clone(), key.clone(), policy, NOW)
            .await
            .unwrap();
        world
            .store
            .fail_attempt(realm, key.clone(), policy, NOW)
            .await
            .unwrap();
    }
    let until = world
        .store
        .locked_until(world.realm_name(), key, NOW)
        .await
        .unwrap();
    until.unwrap()
}

#[tokio::test]
async fn roles_that_were_taken_away_are_not_in_the_next_signed_token() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let fewer = UserAccess {
        roles: roles("operator auditor"),
        ..user("x").access
    };
    world
        .store
        .change_user_access(world.realm_name(), world.alice, fewer, By::system(NOW))
        .await
        .unwrap();
    let next = world.refreshed(NOW, text(&tokens["refresh_token"])).await.good();
    let (_, claims) = world.service.key_of(text(&next["access_token"]), NOW).unwrap();
    assert_eq!(claims.unwrap().roles, roles("operator"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_who_refresh_at_once_are_one_family_with_one_live_chain() {
    let world = Arc::new(World::new().await);
    let tokens = world.tokens().await;
    let refresh = text(&tokens["refresh_token"]).to_owned();
    let attempts = (0..20).map(|_| {
        let (world, refresh) = (Arc::clone(&world), refresh.clone());
        async move {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            crate::base::tasks::spawn("test", async move {
                let _ = sender.send(world.refreshed(NOW, &refresh).await);
            });
            receiver.await.unwrap()
        }
    });
    let answers = futures_util::future::join_all(attempts).await;
    let filter = FamilyFilter {
        realm: world.realm_name(),
        user: Some(world.alice),
        client_id: None,
        which: Which::All,
    };
    let families = world
        .store
        .families(filter, Paging::first(PageSize::MAX))
        .await
        .unwrap();
    assert_eq!(families.items.len(), 1);
    let mut live = 0;
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        live += usize::from(world.is_active(NOW, &answer.json()["access_token"]).await);
    }
    assert_eq!(live, 1, "each within the grace takes the place of the one before");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.is("invalid_grant", 400);
    }
}
