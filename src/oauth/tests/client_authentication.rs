//! Who the client is, and the proof of it.

use super::*;

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[tokio::test]
async fn rfc_6749_2_3_1_a_client_authenticates_by_basic_or_in_the_form() {
    let world = World::new().await;
    for client in [WEB, Client::Post("web", SECRET), MACHINE] {
        world.token(client, &OWN).await.good();
    }
    // Form-encoded before it is joined, as the RFC has it.
    let secret = form::encoded(SECRET);
    assert_ne!(secret, SECRET);
    world.token(Client::Basic("web", &secret), &OWN).await.good();
    world.token(Client::Basic("%77eb", &secret), &OWN).await.good();
}

#[tokio::test]
async fn rfc_6749_5_2_an_unknown_client_and_a_wrong_secret_get_the_same_401() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for client in [
        Client::Basic("web", "wrong"),
        Client::Basic("nobody", SECRET),
        Client::Basic("web", ""),
        Client::Basic("", ""),
        Client::Basic("a b", "x"),
        Client::Basic("spa", "x"),
        Client::Post("web", "wrong"),
        Client::Post("nobody", SECRET),
        Client::Post("spa", "x"),
        Client::Public("web"),
        Client::Public("nobody"),
    ] {
        let answer = world.token(client, &OWN).await;
        answer.is("invalid_client", 401);
        assert_eq!(
            answer.headers["www-authenticate"],
            "Basic realm=\"central\", charset=\"UTF-8\""
        );
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    world.token(Client::Nobody, &OWN).await.is("invalid_client", 401);
}

#[tokio::test]
async fn rfc_6749_2_3_a_client_uses_one_way_at_a_time() {
    let world = World::new().await;
    let both = Request::form(WEB, &[OWN[0], ("client_id", "web"), ("client_secret", SECRET)]);
    world
        .send(ParameterPlaces::Form, both)
        .await
        .is("invalid_request", 400);
    let secret_only = Request::form(WEB, &[OWN[0], ("client_secret", SECRET)]);
    world
        .send(ParameterPlaces::Form, secret_only)
        .await
        .is("invalid_request", 400);
    let other = Request::form(WEB, &[OWN[0], ("client_id", "other")]);
    world
        .send(ParameterPlaces::Form, other)
        .await
        .is("invalid_request", 400);
    let same = Request::form(WEB, &[OWN[0], ("client_id", "web")]);
    world.send(ParameterPlaces::Form, same).await.good();
    let two = Request::form(WEB, &OWN).basic("web", SECRET);
    world
        .send(ParameterPlaces::Form, two)
        .await
        .is("invalid_request", 400);
}

#[tokio::test]
async fn rfc_6749_2_3_other_ways_are_not_supported() {
    let world = World::new().await;
    for value in [
        "Bearer abc",
        "Digest username=\"web\"",
        "Basic",
        "Basic !!!",
        "Basic d2Vi",
        "basic d2ViOgA=",
    ] {
        let request = Request::form(Client::Nobody, &OWN).header("authorization", value);
        world
            .send(ParameterPlaces::Form, request)
            .await
            .is("invalid_client", 401);
    }
    let assertion = [
        OWN[0],
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", "a.b.c"),
    ];
    world
        .token(Client::Public("spa"), &assertion)
        .await
        .is("invalid_client", 401);
}

#[tokio::test]
async fn rfc_6749_3_2_1_a_public_client_says_its_name_and_no_more() {
    let world = World::new().await;
    // Some clients write a name without a password as Basic.
    for client in [SPA, Client::Basic("spa", ""), Client::Post("spa", "")] {
        let code = world
            .code(&format!(
                "client_id=spa&response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256"
            ))
            .await;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", VERIFIER),
        ];
        world.token(client, &parameters).await.good();
    }
    world.token(SPA, &OWN).await.is("unauthorized_client", 400);
}

#[tokio::test]
async fn rfc_6749_5_2_a_client_may_use_the_grants_it_is_registered_for() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code").await;
    world
        .token(MACHINE, &[("grant_type", "authorization_code"), ("code", &code)])
        .await
        .is("unauthorized_client", 400);
    let plain = Client::Basic("plain", "secret-of-plain");
    world.token(plain, &OWN).await.is("unauthorized_client", 400);
}

#[tokio::test]
async fn a_client_that_was_switched_off_is_no_client_until_it_is_switched_on() {
    let world = World::new().await;
    let record = Application {
        realm: world.realm_name(),
        client_id: id("stored"),
        name: "stored".to_owned(),
        secret: Some(Digest::of("x")),
        redirect_uris: Vec::new(),
        owner: None,
        customer: Some(id("msp")),
        tenant: None,
        scopes: Vec::new(),
        grants: vec![GrantType::ClientCredentials],
        state: ApplicationState::Active,
        created_at: NOW,
        created_by: Actor::System,
    };
    let created = world
        .store
        .create_application(record.clone(), By::system(NOW))
        .await;
    assert_eq!(created, Ok(Creation::Created));
    let stored = Client::Basic("stored", "x");
    let tokens = world.token(stored, &OWN).await.good();
    assert_eq!(tokens.get("scope"), None, "it has no scopes, and asks for none");
    world
        .token(stored, &[OWN[0], ("scope", "read")])
        .await
        .is("invalid_scope", 400);
    for (state, good) in [
        (ApplicationState::Disabled, false),
        (ApplicationState::Active, true),
    ] {
        let edit = crate::store::model::ApplicationEdit {
            name: record.name.clone(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            grants: record.grants.clone(),
            state,
        };
        world
            .store
            .change_application(
                world.realm_name(),
                id::<ClientId>("stored"),
                edit,
                By::system(NOW),
            )
            .await
            .unwrap();
        assert_eq!(world.is_active(NOW, &tokens["access_token"]).await, good);
        let answer = world.token(stored, &OWN).await;
        assert_eq!(answer.status, if good { 200 } else { 401 });
    }
    world
        .store
        .rotate_secret(world.realm_name(), id("stored"), Digest::of("y"), By::system(NOW))
        .await
        .unwrap();
    world.token(stored, &OWN).await.is("invalid_client", 401);
    world.token(Client::Basic("stored", "y"), &OWN).await.good();
}
