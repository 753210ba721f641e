//! Client credentials, also those that a provider had made for one tenant.

use super::*;
use crate::store::model::Origin;

const OWN: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn rfc_6749_4_4_3_a_client_acts_for_itself_and_gets_no_refresh_token() {
    for format in BOTH {
        let world = World::of(format).await;
        let tokens = world.token(MACHINE, &[OWN]).await.good();
        assert_eq!(tokens.get("refresh_token"), None);
        assert_eq!(tokens["scope"], "all read");
        let Access::Live(live) = world.access(&tokens["access_token"]).await else {
            panic!("not live")
        };
        assert_eq!(live.family.user, None);
        assert_eq!(live.family.customer, Some(id("msp")));
        assert_eq!(live.family.roles, roles("reader"));
        assert_eq!(live.family.origin, Origin::ClientCredentials);
        let told = world
            .introspected(NOW, WEB, text(&tokens["access_token"]))
            .await
            .good();
        assert_eq!(told["sub"], "machine");
        assert_eq!(told.get("username"), None);
    }
}

#[tokio::test]
async fn rfc_6749_3_3_a_client_may_ask_for_less_and_not_for_more() {
    let world = World::new().await;
    let less = world.token(MACHINE, &[OWN, ("scope", "read")]).await.good();
    assert_eq!(less["scope"], "read");
    for more in ["admin", "read admin", "\"read\"", "read\tall"] {
        world
            .token(MACHINE, &[OWN, ("scope", more)])
            .await
            .is("invalid_scope", 400);
    }
}

#[tokio::test]
async fn rfc_6749_4_4_a_public_client_has_no_credentials_to_show() {
    World::new()
        .await
        .token(SPA, &[OWN])
        .await
        .is("unauthorized_client", 400);
}

#[tokio::test]
async fn a_client_that_was_made_for_a_tenant_acts_on_that_tenant_at_its_providers_cost() {
    let world = World::new().await;
    let minted = Application {
        realm: world.realm_name(),
        client_id: ClientId::random(),
        name: "for t1".to_owned(),
        secret: Some(Digest::of("minted-secret")),
        redirect_uris: Vec::new(),
        owner: Some(world.alice),
        customer: Some(id("msp")),
        tenant: Some(id("t1")),
        scopes: scopes::parse("all").unwrap(),
        grants: vec![GrantType::ClientCredentials],
        state: ApplicationState::Active,
        created_at: NOW,
        created_by: Actor::User(world.alice),
    };
    let name = minted.client_id.clone();
    let created = world.store.create_application(minted, By::system(NOW)).await;
    assert_eq!(created, Ok(Creation::Created));
    let client = Client::Basic(name.as_str(), "minted-secret");
    let tokens = world.token(client, &[OWN]).await.good();
    let Access::Live(live) = world.access(&tokens["access_token"]).await else {
        panic!("not live")
    };
    assert_eq!(live.family.tenant, Some(id("t1")));
    assert_eq!(live.family.customer, Some(id("msp")));
    // What its owner may no longer do, it does not do either.
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
    assert!(!world.is_active(NOW, &tokens["access_token"]).await);
    world.token(client, &[OWN]).await.is("unauthorized_client", 400);
}
