//! Authorization codes at the token endpoint.

use super::*;

const CODE: (&str, &str) = ("grant_type", "authorization_code");

#[tokio::test]
async fn rfc_6749_5_1_the_answer_has_its_members_with_their_types_and_nobody_keeps_it() {
    for format in BOTH {
        let world = World::of(format).await;
        let code = world.code("client_id=web&response_type=code&scope=read").await;
        let answer = world.token(WEB, &[CODE, ("code", &code)]).await;
        let tokens = answer.good();
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["expires_in"], json!(7_200));
        assert_eq!(tokens["scope"], "read");
        assert!(tokens["refresh_token"].is_string());
        assert_eq!(tokens.get("issued_token_type"), None);
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["pragma"], "no-cache");
        assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
        let access = text(&tokens["access_token"]);
        match format {
            Format::Opaque => {
                assert_eq!(access.len(), 32);
                assert!(access.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
            Format::Jwt => assert_eq!(access.split('.').count(), 3),
        }
        assert!(world.is_active(NOW, &tokens["access_token"]).await);
    }
}

#[tokio::test]
async fn an_api_may_have_an_answer_of_its_own() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code&scope=all").await;
    let own = TokenEndpointPlan {
        answer: answer_plan(&json!({
            "token_type": "bearer", "access_token": "{access_token}", "refresh_token": "{refresh_token}",
            "expires_in": "{expires_in}", "until": "{expires_at}",
        })),
        ..endpoint(ParameterPlaces::Form)
    };
    let request = Request::form(WEB, &[CODE, ("code", &code)]);
    let tokens = Answer::of(world.service.token(&own, request.call()).await).good();
    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!(tokens["expires_in"], json!(7_200));
    assert_eq!(tokens["until"], "2023-11-15T00:13:20Z");
    assert_eq!(tokens.as_object().unwrap().len(), 5);
}

/// PULSE-07.
#[tokio::test]
async fn rfc_6749_4_1_2_a_code_is_used_once_and_a_second_use_revokes_what_came_of_it() {
    for format in BOTH {
        let world = World::of(format).await;
        let code = world.code("client_id=web&response_type=code").await;
        let tokens = world.token(WEB, &[CODE, ("code", &code)]).await.good();
        let next = world.refreshed(NOW, text(&tokens["refresh_token"])).await.good();
        assert!(world.is_active(NOW, &next["access_token"]).await);
        // Somebody else who has it learns nothing and ends nothing.
        world
            .token(OTHER, &[CODE, ("code", &code)])
            .await
            .is("invalid_grant", 400);
        assert!(world.is_active(NOW, &next["access_token"]).await);
        world
            .token(WEB, &[CODE, ("code", &code)])
            .await
            .is("invalid_grant", 400);
        for token in [&tokens["access_token"], &next["access_token"]] {
            assert!(!world.is_active(NOW, token).await);
        }
        world
            .refreshed(NOW, text(&next["refresh_token"]))
            .await
            .is("invalid_grant", 400);
    }
}

/// PULSE-07.
#[tokio::test]
async fn rfc_6749_4_1_2_a_code_is_good_for_its_time_and_for_its_client() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code").await;
    world
        .token(OTHER, &[CODE, ("code", &code)])
        .await
        .is("invalid_grant", 400);
    let last = UnixTime(NOW.0 + 299);
    let late = UnixTime(NOW.0 + 300);
    world
        .token_at(late, WEB, &[CODE, ("code", &code)])
        .await
        .is("invalid_grant", 400);
    world.token_at(last, WEB, &[CODE, ("code", &code)]).await.good();
    for made_up in ["x", &"A".repeat(43), &"A".repeat(60_000)] {
        world
            .token(WEB, &[CODE, ("code", made_up)])
            .await
            .is("invalid_grant", 400);
    }
    world.token(WEB, &[CODE]).await.is("invalid_request", 400);
}

/// ARUBA-100.
#[tokio::test]
async fn rfc_6749_4_1_3_the_redirect_uri_is_the_one_of_the_authorization_request() {
    let world = World::new().await;
    let named = "client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fapp.test%2Fcb";
    for (request, redirect_uri, good) in [
        (named, Some(CALLBACK), true),
        (named, None, false),
        (named, Some("http://127.0.0.1/cb"), false),
        (named, Some("https://app.test/cb/"), false),
        (named, Some("https://evil.test/cb"), false),
        ("client_id=web&response_type=code", None, true),
        // It may be left out there and named here, then it is one of those registered.
        ("client_id=web&response_type=code", Some(CALLBACK), true),
        (
            "client_id=web&response_type=code",
            Some("http://127.0.0.1:9999/cb"),
            true,
        ),
        (
            "client_id=web&response_type=code",
            Some("https://app.test/CB"),
            false,
        ),
        (
            "client_id=web&response_type=code",
            Some("https://evil.test/cb"),
            false,
        ),
    ] {
        let code = world.code(request).await;
        let mut parameters = vec![CODE, ("code", &*code)];
        parameters.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
        let answer = world.token(WEB, &parameters).await;
        if good {
            answer.good();
        } else {
            answer.is("invalid_grant", 400);
        }
    }
}

#[tokio::test]
async fn rfc_8252_7_3_the_port_of_a_loopback_uri_stays_the_one_that_was_named() {
    let world = World::new().await;
    let request = "client_id=web&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%3A5000%2Fcb";
    for (uri, good) in [
        ("http://127.0.0.1:5001/cb", false),
        ("http://127.0.0.1/cb", false),
        ("http://127.0.0.1:5000/cb", true),
    ] {
        let code = world.code(request).await;
        let answer = world
            .token(WEB, &[CODE, ("code", &code), ("redirect_uri", uri)])
            .await;
        assert_eq!(answer.status, if good { 200 } else { 400 }, "{uri}");
    }
}

#[tokio::test]
async fn rfc_7636_4_6_and_rfc_9700_4_8_challenge_and_verifier_belong_together() {
    let world = World::new().await;
    let with = format!("response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let other = VERIFIER.replace('d', "e");
    for (client, request, verifier, error) in [
        ("web", &*with, Some(VERIFIER), None),
        ("spa", &*with, Some(VERIFIER), None),
        // Downgrade one way: the challenge is not answered.
        ("web", &*with, None, Some("invalid_grant")),
        ("spa", &*with, None, Some("invalid_grant")),
        ("web", &*with, Some(&*other), Some("invalid_grant")),
        ("spa", &*with, Some(&*other), Some("invalid_grant")),
        ("spa", &*with, Some(CHALLENGE), Some("invalid_grant")),
        ("spa", &*with, Some("short"), Some("invalid_request")),
        // The other way: somebody took the challenge out.
        ("web", "response_type=code", Some(VERIFIER), Some("invalid_grant")),
        ("web", "response_type=code", None, None),
    ] {
        let code = world.code(&format!("client_id={client}&{request}")).await;
        let mut parameters = vec![CODE, ("code", &*code)];
        parameters.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let as_client = if client == "web" { WEB } else { SPA };
        let answer = world.token(as_client, &parameters).await;
        match error {
            None => drop(answer.good()),
            Some(error) => answer.is(error, 400),
        }
    }
}

#[tokio::test]
async fn pkce_may_be_asked_of_every_client() {
    let world = World::with(Wish {
        pkce: PkceRule::Always,
        ..Wish::default()
    })
    .await;
    let refused = world
        .service
        .authorization_request("client_id=web&response_type=code", AnsweredBy::Body)
        .await;
    assert!(refused.is_err());
    // A code of before the rule.
    let before = World::new().await;
    let code = before.code("client_id=web&response_type=code").await;
    world
        .token(WEB, &[CODE, ("code", &code)])
        .await
        .is("invalid_grant", 400);
}

#[tokio::test]
async fn a_client_that_may_not_refresh_gets_nothing_to_refresh_with() {
    let world = World::new().await;
    let code = world.code("client_id=plain&response_type=code").await;
    let plain = Client::Basic("plain", "secret-of-plain");
    let tokens = world.token(plain, &[CODE, ("code", &code)]).await.good();
    assert_eq!(tokens.get("refresh_token"), None);
    assert_eq!(tokens.get("scope"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_who_redeem_one_code_at_once_one_gets_a_token_and_it_is_revoked_by_the_others() {
    let world = Arc::new(World::new().await);
    let code = world.code("client_id=web&response_type=code").await;
    let attempts = (0..50).map(|_| {
        let (world, code) = (Arc::clone(&world), code.clone());
        async move { world.token(WEB, &[CODE, ("code", &code)]).await }
    });
    let tasks = attempts.map(in_a_task);
    let answers: Vec<Answer> = futures_util::future::join_all(tasks).await;
    let good: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.is("invalid_grant", 400);
    }
    let tokens = good[0].json();
    assert!(!world.is_active(NOW, &tokens["access_token"]).await);
}

/// On a thread of its own, as far as there are any.
async fn in_a_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    crate::base::tasks::spawn("test", async move {
        let _ = sender.send(work.await);
    });
    receiver.await.unwrap()
}

#[tokio::test]
async fn rfc_9068_a_signed_token_says_what_was_granted() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let (_, keys) = world.keys.as_ref().unwrap();
    let policy = crate::jose::access_token::policy(ISSUER, &["central".to_owned()], keys.algorithm());
    let token = text(&tokens["access_token"]);
    let verified = crate::jose::verify::verify(token, &keys.verifying(), &policy, NOW).unwrap();
    let claims = Value::Object(verified.members);
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], json!(["central", "https://reports.test"]));
    assert_eq!(claims["sub"], world.alice.to_string());
    assert_eq!(claims["client_id"], "web");
    assert_eq!(claims["iat"], NOW.0);
    assert_eq!(claims["exp"], NOW.0 + 7_200);
    assert_eq!(claims["scope"], "all read");
    assert_eq!(claims["customer"], "msp");
    assert_eq!(claims["roles"], json!(["admin", "operator"]));
    assert_eq!(claims.get("tenant"), None);
    assert!(matches!(
        world.access(&tokens["access_token"]).await,
        Access::Live(live) if claims["family"] == live.family.id.to_string()
    ));
    // The same at once again is another token.
    assert_ne!(world.tokens().await["access_token"], tokens["access_token"]);
}

#[tokio::test]
async fn a_grant_for_a_tenant_is_worth_nothing_when_its_user_has_lost_the_tenant() {
    for format in BOTH {
        let world = World::of(format).await;
        let query = "client_id=web&response_type=code";
        let request = world
            .service
            .authorization_request(query, AnsweredBy::Body)
            .await
            .unwrap();
        let consent = Consent {
            user: world.alice,
            customer: Some(id("msp")),
            tenant: Some(id("t1")),
            roles: roles("admin operator"),
        };
        let code = world
            .service
            .grant_code(&request, consent.clone(), NOW)
            .await
            .unwrap();
        let tokens = world.token(WEB, &[CODE, ("code", code.reveal())]).await.good();
        let told = world
            .introspected(NOW, WEB, text(&tokens["access_token"]))
            .await
            .good();
        assert_eq!(told["tenant"], "t1");
        assert_eq!(told["roles"], json!(["viewer"]), "those that the user has there");
        let code = world.service.grant_code(&request, consent, NOW).await.unwrap();
        let elsewhere = UserAccess {
            customer: Some(id("somebody")),
            ..user("x").access
        };
        world
            .store
            .change_user_access(world.realm_name(), world.alice, elsewhere, By::system(NOW))
            .await
            .unwrap();
        assert!(!world.is_active(NOW, &tokens["access_token"]).await);
        let refresh = text(&tokens["refresh_token"]);
        world.refreshed(NOW, refresh).await.is("invalid_grant", 400);
        let late = world.token(WEB, &[CODE, ("code", code.reveal())]).await;
        match format {
            Format::Jwt => late.is("invalid_grant", 400),
            Format::Opaque => assert!(!world.is_active(NOW, &late.good()["access_token"]).await),
        }
    }
}

#[tokio::test]
async fn the_store_keeps_no_text_that_opens_anything() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code").await;
    let tokens = world.token(WEB, &[CODE, ("code", &code)]).await.good();
    let kept = format!("{:?}", world.store);
    for secret in [
        &*code,
        text(&tokens["access_token"]),
        text(&tokens["refresh_token"]),
        SECRET,
    ] {
        assert!(!kept.contains(secret));
    }
    let key = AccessKey::Opaque(Digest::of(text(&tokens["access_token"])));
    assert!(matches!(
        world.store.access(world.realm_name(), key, NOW).await,
        Ok(Access::Live(_))
    ));
}
