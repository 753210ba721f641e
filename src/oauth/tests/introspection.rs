//! Introspection.

use super::*;

#[tokio::test]
async fn rfc_7662_2_2_an_active_token_says_what_it_stands_for() {
    for format in BOTH {
        let world = World::of(format).await;
        let tokens = world.tokens().await;
        let answer = world
            .introspected(NOW, OTHER, text(&tokens["access_token"]))
            .await;
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let told = answer.good();
        let mut expected = json!({
            "active": true, "token_type": "Bearer", "client_id": "web", "scope": "all read",
            "username": "alice@msp.test", "sub": world.alice.to_string(), "iss": ISSUER,
            "aud": ["central", "https://reports.test"], "iat": NOW.0, "exp": NOW.0 + 7_200,
            "customer": "msp", "roles": ["admin", "operator"],
        });
        if format == Format::Jwt {
            let (_, claims) = world.service.key_of(text(&tokens["access_token"]), NOW).unwrap();
            expected["jti"] = json!(claims.unwrap().id.as_str());
        }
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn rfc_7662_2_2_a_token_that_does_not_hold_is_inactive_and_nothing_else_is_said() {
    for format in BOTH {
        let world = World::of(format).await;
        let tokens = world.tokens().await;
        let access = text(&tokens["access_token"]);
        let inactive = |answer: &Answer| assert_eq!(answer.body, "{\"active\":false}");
        for unknown in [
            "x",
            "a.b.c",
            &"A".repeat(32),
            &format!("{access}="),
            &"a".repeat(20_000),
        ] {
            inactive(&world.introspected(NOW, WEB, unknown).await);
        }
        inactive(&world.introspected(UnixTime(NOW.0 + 7_200), WEB, access).await);
        // Suspended by a lock, and good again after it.
        let until = super::refresh::locked(&world).await;
        inactive(&world.introspected(NOW, WEB, access).await);
        assert!(world.is_active(until, &tokens["access_token"]).await);
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
        inactive(&world.introspected(until, WEB, access).await);
    }
}

#[tokio::test]
async fn a_lock_that_suspends_nothing_leaves_tokens_active() {
    let world = World::with(Wish {
        while_locked: WhileLocked::Work,
        ..Wish::default()
    })
    .await;
    let tokens = world.tokens().await;
    super::refresh::locked(&world).await;
    assert!(world.is_active(NOW, &tokens["access_token"]).await);
}

#[tokio::test]
async fn a_key_that_is_gone_takes_its_tokens_with_it() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let (folder, keys) = world.keys.as_ref().unwrap();
    let folder = crate::jose::key_folder::KeyFolder::new(folder.path());
    folder
        .rotate(crate::jose::key_folder::Retiring::Keep, NOW)
        .unwrap();
    keys.look_again().unwrap();
    assert!(world.is_active(NOW, &tokens["access_token"]).await);
    let after = world.tokens().await;
    folder
        .rotate(crate::jose::key_folder::Retiring::Revoke, NOW)
        .unwrap();
    keys.look_again().unwrap();
    for gone in [&tokens["access_token"], &after["access_token"]] {
        assert!(!world.is_active(NOW, gone).await);
    }
    // The grant is not the key's: it goes on.
    let next = world.refreshed(NOW, text(&after["refresh_token"])).await.good();
    assert!(world.is_active(NOW, &next["access_token"]).await);
}

#[tokio::test]
async fn rfc_7662_2_1_who_asks_has_proved_who_it_is() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let access = text(&tokens["access_token"]);
    for stranger in [
        Client::Nobody,
        SPA,
        Client::Basic("web", "wrong"),
        Client::Basic("spa", ""),
        Client::Public("web"),
    ] {
        world
            .introspected(NOW, stranger, access)
            .await
            .is("invalid_client", 401);
    }
    world.introspected(NOW, WEB, "").await.is("invalid_request", 400);
    let mut request = Request::form(WEB, &[("token", access)]);
    request.method = Method::GET;
    let refused = world.service.introspect(request.call()).await;
    assert!(matches!(refused, Err(Rejection::MethodNotAllowed { .. })));
    let in_query = Request::form(WEB, &[]).query(&format!("token={access}"));
    Answer::of(world.service.introspect(in_query.call()).await).is("invalid_request", 400);
}

#[tokio::test]
async fn rfc_7662_2_1_a_refresh_token_is_active_for_its_own_client_alone() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let refresh = text(&tokens["refresh_token"]);
    let told = world.introspected(NOW, WEB, refresh).await.good();
    assert_eq!(told["active"], true);
    assert_eq!(told["exp"], NOW.0 + 14 * 86_400);
    assert_eq!(told.get("token_type"), None);
    assert_eq!(
        world.introspected(NOW, OTHER, refresh).await.body,
        "{\"active\":false}"
    );
    // A hint that is wrong or unknown is no matter.
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let request = Request::form(WEB, &[("token", refresh), ("token_type_hint", hint)]);
        let told = Answer::of(world.service.introspect(request.call()).await).good();
        assert_eq!(told["active"], true);
    }
    world.refreshed(NOW, refresh).await.good();
    assert_eq!(
        world.introspected(NOW, WEB, refresh).await.body,
        "{\"active\":false}"
    );
}
