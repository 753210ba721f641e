//! Token exchange.

use super::*;
use crate::store::model::Origin;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn asked<'a>(token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut parameters = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ACCESS),
    ];
    parameters.extend(more);
    parameters
}

async fn own(world: &World, client: Client<'_>) -> String {
    let tokens = world.token(client, &[("grant_type", "client_credentials")]).await;
    text(&tokens.good()["access_token"]).to_owned()
}

async fn for_tenant(world: &World, client: Client<'_>, token: &str, tenant: &str) -> Answer {
    let request = Request::form(client, &asked(token, &[])).tenant(tenant);
    world.send(ParameterPlaces::Form, request).await
}

#[tokio::test]
async fn rfc_8693_2_2_1_the_answer_says_what_was_issued_and_has_no_refresh_token() {
    for format in BOTH {
        let world = World::of(format).await;
        let tokens = world.tokens().await;
        let answer = world.token(WEB, &asked(text(&tokens["access_token"]), &[])).await;
        let new = answer.good();
        assert_eq!(new["issued_token_type"], ACCESS);
        assert_eq!(new["token_type"], "Bearer");
        assert_eq!(new["scope"], "all read");
        assert!(new["expires_in"].is_i64());
        assert_eq!(new.get("refresh_token"), None);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let Access::Live(live) = world.access(&new["access_token"]).await else {
            panic!("not live")
        };
        assert_eq!(live.family.user, Some(world.alice));
        assert_eq!(live.family.origin, Origin::Exchange);
        assert_eq!(live.family.tenant, None);
    }
}

#[tokio::test]
async fn a_provider_gets_a_token_for_a_tenant_of_its_own_and_for_no_other() {
    for format in BOTH {
        let world = World::of(format).await;
        let provider = own(&world, WEB).await;
        let new = for_tenant(&world, WEB, &provider, "t1").await.good();
        let Access::Live(live) = world.access(&new["access_token"]).await else {
            panic!("not live")
        };
        assert_eq!(live.family.tenant, Some(id("t1")));
        assert_eq!(live.family.customer, Some(id("msp")), "the provider pays");
        let told = world
            .introspected(NOW, WEB, text(&new["access_token"]))
            .await
            .good();
        assert_eq!(told["roles"], json!(["viewer"]), "the roles are the tenant's");
        assert_eq!(told["tenant"], "t1");
        if format == Format::Jwt {
            let (_, claims) = world.service.key_of(text(&new["access_token"]), NOW).unwrap();
            let claims = claims.unwrap();
            assert_eq!(claims.roles, roles("viewer"));
            assert_eq!(claims.tenant, Some(id("t1")));
        }
        for foreign in ["t3", "msp2", "a b", "../t1", "%20"] {
            for_tenant(&world, WEB, &provider, foreign)
                .await
                .is("invalid_target", 400);
        }
        for_tenant(&world, WEB, &provider, "msp").await.good();
    }
}

#[tokio::test]
async fn a_token_for_a_tenant_gets_no_token_for_another() {
    let world = World::new().await;
    let provider = own(&world, WEB).await;
    let narrow = for_tenant(&world, WEB, &provider, "t1").await.good();
    let narrow = text(&narrow["access_token"]);
    for_tenant(&world, WEB, narrow, "t2")
        .await
        .is("invalid_target", 400);
    for_tenant(&world, WEB, narrow, "msp")
        .await
        .is("invalid_target", 400);
    for_tenant(&world, WEB, narrow, "t1").await.good();
    let same = world.token(WEB, &asked(narrow, &[])).await.good();
    let Access::Live(live) = world.access(&same["access_token"]).await else {
        panic!("not live")
    };
    assert_eq!(live.family.tenant, Some(id("t1")));
    // Nor does a client that is made for one.
    let bound = Client::Basic("bound", "secret-of-bound");
    for_tenant(&world, bound, &provider, "t2")
        .await
        .is("invalid_target", 400);
    let own_token = own(&world, bound).await;
    for_tenant(&world, WEB, &own_token, "t2")
        .await
        .is("invalid_target", 400);
    let wide = world.token(bound, &asked(&provider, &[])).await.good();
    let Access::Live(live) = world.access(&wide["access_token"]).await else {
        panic!("not live")
    };
    assert_eq!(live.family.tenant, Some(id("t1")));
}

#[tokio::test]
async fn rfc_8693_2_1_a_token_is_for_one_audience_that_the_service_knows() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let token = text(&tokens["access_token"]);
    for name in ["audience", "resource"] {
        let new = world
            .token(WEB, &asked(token, &[(name, "https://reports.test")]))
            .await
            .good();
        let (_, claims) = world.service.key_of(text(&new["access_token"]), NOW).unwrap();
        assert_eq!(claims.unwrap().audience, ["https://reports.test"]);
    }
    for more in [
        &[("audience", "elsewhere")][..],
        &[("resource", "https://elsewhere.test")],
        &[("audience", "central"), ("audience", "https://reports.test")],
        &[("audience", "central"), ("resource", "https://reports.test")],
    ] {
        world
            .token(WEB, &asked(token, more))
            .await
            .is("invalid_target", 400);
    }
    let same = [
        ("audience", "central"),
        ("audience", "central"),
        ("resource", "central"),
    ];
    world.token(WEB, &asked(token, &same)).await.good();
}

#[tokio::test]
async fn rfc_8693_2_1_the_types_are_those_of_our_access_tokens() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let token = text(&tokens["access_token"]);
    let grant = ("grant_type", EXCHANGE);
    let is = ("subject_token", token);
    for parameters in [
        &[grant, is][..],
        &[grant, ("subject_token_type", ACCESS)],
        &[
            grant,
            is,
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:refresh_token",
            ),
        ],
        &[
            grant,
            is,
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ],
        // This service does not sign.
        &[
            grant,
            is,
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ],
        &asked(
            token,
            &[("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")],
        ),
        &asked(token, &[("actor_token", token), ("actor_token_type", ACCESS)]),
        &asked(token, &[("actor_token_type", ACCESS)]),
    ] {
        world.token(WEB, parameters).await.is("invalid_request", 400);
    }
    world
        .token(WEB, &asked(token, &[("requested_token_type", ACCESS)]))
        .await
        .good();
}

#[tokio::test]
async fn rfc_8693_2_2_2_a_subject_token_that_does_not_hold_is_an_invalid_request() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let token = text(&tokens["access_token"]).to_owned();
    let opaque = World::new().await.tokens().await;
    let elsewhere = World::of(Format::Jwt).await.tokens().await;
    for bad in [
        "x",
        text(&tokens["refresh_token"]),
        text(&opaque["access_token"]),
        text(&elsewhere["access_token"]),
        &format!("{token}x"),
        &"a".repeat(9_000),
    ] {
        world
            .token(WEB, &asked(bad, &[]))
            .await
            .is("invalid_request", 400);
    }
    let late = UnixTime(NOW.0 + 7_200);
    world
        .token_at(late, WEB, &asked(&token, &[]))
        .await
        .is("invalid_request", 400);
    let until = super::refresh::locked(&world).await;
    world
        .token(WEB, &asked(&token, &[]))
        .await
        .is("invalid_request", 400);
    world.token_at(until, WEB, &asked(&token, &[])).await.good();
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
        .token_at(until, WEB, &asked(&token, &[]))
        .await
        .is("invalid_request", 400);
}

#[tokio::test]
async fn the_new_token_is_not_for_longer_nor_for_more_than_the_old_one() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code&scope=read").await;
    let parameters = [("grant_type", "authorization_code"), ("code", &*code)];
    let tokens = world.token(WEB, &parameters).await.good();
    let token = text(&tokens["access_token"]);
    let later = UnixTime(NOW.0 + 7_000);
    let new = world.token_at(later, WEB, &asked(token, &[])).await.good();
    assert_eq!(new["expires_in"], json!(200));
    assert_eq!(new["scope"], "read");
    world
        .token(WEB, &asked(token, &[("scope", "all")]))
        .await
        .is("invalid_scope", 400);
    world
        .token(MACHINE, &asked(token, &[]))
        .await
        .is("unauthorized_client", 400);
}
