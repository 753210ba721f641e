//! When the store does not answer, nobody gets a 200 for what was not written down.

use super::*;
use crate::rejection::{Code, Retry};

#[track_caller]
fn is_unavailable(outcome: Result<Response<Bytes>, Rejection>) {
    let refused = outcome.unwrap_err();
    assert_eq!(refused.code(), Code::StoreUnavailable);
    assert_eq!(refused.code().status(), 503);
    assert!(matches!(refused.retry(), Retry::After(_)));
}

#[tokio::test]
async fn rfc_6749_5_2_a_store_that_is_down_is_503_with_retry_after_at_every_endpoint() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code").await;
    let tokens = world.tokens().await;
    let request = world
        .service
        .authorization_request("client_id=web&response_type=code", AnsweredBy::Redirect)
        .await
        .unwrap_err();
    drop(request);
    world.store.close().await.unwrap();
    let form = endpoint(ParameterPlaces::Form);
    for parameters in [
        &[("grant_type", "authorization_code"), ("code", &*code)][..],
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&tokens["refresh_token"])),
        ],
        &[("grant_type", "client_credentials")],
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", text(&tokens["access_token"])),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
        ],
    ] {
        let request = Request::form(WEB, parameters);
        is_unavailable(world.service.token(&form, request.call()).await);
    }
    for name in ["access_token", "refresh_token"] {
        let request = Request::form(WEB, &[("token", text(&tokens[name]))]);
        is_unavailable(world.service.revoke(request.call()).await);
        is_unavailable(world.service.introspect(request.call()).await);
    }
    // A client that is not in the file cannot be looked up.
    let stranger = Request::form(
        Client::Basic("stored", "x"),
        &[("grant_type", "client_credentials")],
    );
    is_unavailable(world.service.token(&form, stranger.call()).await);
    // What needs no store is answered: who is not known by the file's own word hears so.
    let wrong = Request::form(
        Client::Basic("web", "wrong"),
        &[("grant_type", "client_credentials")],
    );
    Answer::of(world.service.token(&form, wrong.call()).await).is("invalid_client", 401);
}

#[tokio::test]
async fn rfc_6749_4_1_2_1_a_code_that_was_not_stored_is_not_given_out() {
    let world = World::new().await;
    let query = format!(
        "client_id=web&response_type=code&state=7&redirect_uri={}",
        form::encoded(CALLBACK)
    );
    let request = world
        .service
        .authorization_request(&query, AnsweredBy::Redirect)
        .await
        .unwrap();
    world.store.close().await.unwrap();
    let consent = Consent {
        user: world.alice,
        customer: None,
        tenant: None,
        roles: Vec::new(),
    };
    let refused = world
        .service
        .grant_code(&request, consent, NOW)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::StoreUnavailable);
    let told = world
        .service
        .refusal_of(&request, super::super::OAuthError::TemporarilyUnavailable.into());
    assert_eq!(
        told.as_deref(),
        Some(
            "https://app.test/cb?error=temporarily_unavailable&error_description=Try+again+later&state=7\
             &iss=https%3A%2F%2Flogin.test"
        )
    );
}
