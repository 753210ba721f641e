//! Authorization requests, and where their answers go.

use super::*;
use crate::oauth::{AuthorizationRefused, AuthorizationRequest, OAuthError};
use crate::store::model::ApplicationEdit;

async fn read(
    world: &World,
    query: &str,
    answered: AnsweredBy,
) -> Result<AuthorizationRequest, AuthorizationRefused> {
    world.service.authorization_request(query, answered).await
}

/// The error that is shown.
async fn shown(world: &World, query: &str, answered: AnsweredBy) -> OAuthError {
    match read(world, query, answered).await {
        Err(AuthorizationRefused::Shown(refused)) => refused.error,
        other => panic!("{query}: {other:?}"),
    }
}

/// The error that is sent, and where to.
async fn sent(world: &World, query: &str) -> (OAuthError, String) {
    match read(world, query, AnsweredBy::Redirect).await {
        Err(AuthorizationRefused::Sent { location, refused }) => (refused.error, location),
        other => panic!("{query}: {other:?}"),
    }
}

fn pkce() -> String {
    format!("&code_challenge={CHALLENGE}&code_challenge_method=S256")
}

const TO: &str = "&redirect_uri=https%3A%2F%2Fapp.test%2Fcb";

#[tokio::test]
async fn rfc_6749_4_1_2_and_rfc_9207_2_a_code_comes_with_state_and_iss() {
    let world = World::new().await;
    let query = format!("client_id=web&response_type=code&scope=read&state=a%20b%26c{TO}");
    let request = read(&world, &query, AnsweredBy::Redirect).await.unwrap();
    assert_eq!(scopes::joined(&request.scopes), "read");
    assert_eq!(request.state.as_deref(), Some("a b&c"));
    let consent = Consent {
        user: world.alice,
        customer: None,
        tenant: None,
        roles: Vec::new(),
    };
    let code = world.service.grant_code(&request, consent, NOW).await.unwrap();
    assert_eq!(
        world.service.code_location(&request, &code),
        Some(format!(
            "https://app.test/cb?code={}&state=a+b%26c&iss=https%3A%2F%2Flogin.test",
            code.reveal()
        ))
    );
    assert_eq!(code.reveal().len(), 43);
    assert_eq!(
        world
            .service
            .refusal_of(&request, OAuthError::AccessDenied.into())
            .as_deref(),
        Some(
            "https://app.test/cb?error=access_denied&error_description=Access+was+denied&state=a+b%26c\
             &iss=https%3A%2F%2Flogin.test"
        )
    );
    let script = read(&world, &query, AnsweredBy::Body).await.unwrap();
    assert_eq!(world.service.code_location(&script, &code), None);
}

#[tokio::test]
async fn rfc_6749_4_1_2_1_who_is_in_doubt_is_never_redirected_to() {
    let world = World::new().await;
    for query in [
        format!("response_type=code{TO}"),
        format!("client_id=&response_type=code{TO}"),
        format!("client_id=nobody&response_type=code{TO}"),
        format!("client_id=a%20b&response_type=code{TO}"),
        format!("client_id=web&client_id=web&response_type=code{TO}"),
        "client_id=web&response_type=code".to_owned(),
        format!("client_id=web&response_type=code{TO}{TO}"),
        "client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fevil.test%2Fcb".to_owned(),
        "client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fapp.test%2Fcb%2F..".to_owned(),
        "client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fapp.test%2Fcb%23x".to_owned(),
        "client_id=web&response_type=code&redirect_uri=HTTPS%3A%2F%2Fapp.test%2Fcb".to_owned(),
        format!("client_id=web%&response_type=code{TO}"),
        format!("client_id=web&response_type=code{TO}&{}", "a=b&".repeat(70)),
    ] {
        assert_eq!(
            shown(&world, &query, AnsweredBy::Redirect).await,
            OAuthError::InvalidRequest,
            "{query}"
        );
    }
    // With one registered URI it may be left out.
    let request = read(&world, "client_id=plain&response_type=code", AnsweredBy::Redirect)
        .await
        .unwrap();
    let denied = world
        .service
        .refusal_of(&request, OAuthError::AccessDenied.into());
    assert!(denied.unwrap().starts_with("https://app.test/cb?error="));
}

#[tokio::test]
async fn rfc_6749_4_1_2_1_other_errors_go_to_the_client_with_its_state() {
    let world = World::new().await;
    let web = format!("client_id=web{TO}&state=7");
    let spa = format!("client_id=spa{TO}&state=7&response_type=code");
    for (query, error) in [
        (web.clone(), OAuthError::InvalidRequest),
        (
            format!("{web}&response_type=token"),
            OAuthError::UnsupportedResponseType,
        ),
        (
            format!("{web}&response_type=code%20id_token"),
            OAuthError::UnsupportedResponseType,
        ),
        (
            format!("{web}&response_type=code&scope=admin"),
            OAuthError::InvalidScope,
        ),
        (
            format!("{web}&response_type=code&scope=%22"),
            OAuthError::InvalidScope,
        ),
        (
            format!("{web}&response_type=code&scope=read&scope=read"),
            OAuthError::InvalidRequest,
        ),
        (
            format!("{web}&response_type=code&response_mode=fragment"),
            OAuthError::InvalidRequest,
        ),
        // RFC 7636 section 4.4.1.
        (spa.clone(), OAuthError::InvalidRequest),
        (
            format!("{spa}&code_challenge={CHALLENGE}"),
            OAuthError::InvalidRequest,
        ),
        (
            format!("{spa}&code_challenge={VERIFIER}&code_challenge_method=plain"),
            OAuthError::InvalidRequest,
        ),
        (
            format!("{spa}&code_challenge=x&code_challenge_method=S256"),
            OAuthError::InvalidRequest,
        ),
        (
            format!("client_id=machine{TO}&state=7&response_type=code"),
            OAuthError::UnauthorizedClient,
        ),
    ] {
        let (found, location) = sent(&world, &query).await;
        assert_eq!(found, error, "{query}");
        assert!(
            location.starts_with(&format!("https://app.test/cb?error={error}&error_description=")),
            "{location}"
        );
        assert!(
            location.ends_with("&state=7&iss=https%3A%2F%2Flogin.test"),
            "{location}"
        );
        if !query.contains("scope=read&scope=read") {
            assert_eq!(shown(&world, &query, AnsweredBy::Body).await, error);
        }
    }
    // A state that cannot be told from another is not sent back.
    for state in [
        "state=1&state=2".to_owned(),
        format!("state={}", "a".repeat(2_049)),
    ] {
        let query = format!("client_id=web{TO}&response_type=code&{state}");
        let (error, location) = sent(&world, &query).await;
        assert_eq!(error, OAuthError::InvalidRequest);
        assert!(!location.contains("state="), "{location}");
    }
    read(&world, &format!("{spa}{}", pkce()), AnsweredBy::Redirect)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_script_is_answered_without_a_redirect_uri_and_may_say_things_twice() {
    let world = World::new().await;
    let query = "client_id=web&response_type=code&scope=all&client_id=web&scope=all";
    let request = read(&world, query, AnsweredBy::Body).await.unwrap();
    assert_eq!(scopes::joined(&request.scopes), "all");
    for query in [
        "client_id=web&response_type=code&scope=all&scope=read",
        "client_id=web&client_id=other&response_type=code",
        "client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fevil.test",
    ] {
        assert_eq!(
            shown(&world, query, AnsweredBy::Body).await,
            OAuthError::InvalidRequest
        );
    }
    // None asked for: all that the client may have.
    let request = read(&world, "client_id=web&response_type=code", AnsweredBy::Body)
        .await
        .unwrap();
    assert_eq!(scopes::joined(&request.scopes), "all read");
}

#[tokio::test]
async fn rfc_6749_4_1_2_a_client_that_was_switched_off_gets_no_code() {
    let world = World::new().await;
    let record = Application {
        realm: world.realm_name(),
        client_id: id("stored"),
        name: "stored".to_owned(),
        secret: Some(Digest::of("x")),
        redirect_uris: vec![CALLBACK.to_owned()],
        owner: None,
        customer: None,
        tenant: None,
        scopes: Vec::new(),
        grants: vec![GrantType::AuthorizationCode],
        state: ApplicationState::Active,
        created_at: NOW,
        created_by: Actor::System,
    };
    let edit = ApplicationEdit {
        name: record.name.clone(),
        redirect_uris: record.redirect_uris.clone(),
        scopes: Vec::new(),
        grants: record.grants.clone(),
        state: ApplicationState::Disabled,
    };
    world
        .store
        .create_application(record, By::system(NOW))
        .await
        .unwrap();
    let query = "client_id=stored&response_type=code";
    read(&world, query, AnsweredBy::Redirect).await.unwrap();
    world
        .store
        .change_application(world.realm_name(), id("stored"), edit, By::system(NOW))
        .await
        .unwrap();
    assert_eq!(
        shown(&world, query, AnsweredBy::Redirect).await,
        OAuthError::InvalidRequest
    );
}
