//! The documents that others read.

use super::*;
use crate::config::plan::MetadataPlan;
use crate::jose::key_set;

fn plan() -> MetadataPlan {
    let at = |path: &str| Some(format!("{ISSUER}/oauth/{path}"));
    MetadataPlan {
        service: ServiceRef::new(0),
        authorization: at("authorize"),
        token: at("token"),
        revocation: at("revoke"),
        introspection: at("introspect"),
        keys: at("keys"),
    }
}

fn get(method: Method) -> Request {
    Request {
        method,
        ..Request::new()
    }
}

#[tokio::test]
async fn rfc_8414_2_the_metadata_names_what_is_there() {
    let world = World::of(Format::Jwt).await;
    let answer = Answer::of(world.service.metadata(&plan(), &get(Method::GET).call()));
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(
        answer.good(),
        json!({
            "issuer": "https://login.test",
            "authorization_endpoint": "https://login.test/oauth/authorize",
            "token_endpoint": "https://login.test/oauth/token",
            "jwks_uri": "https://login.test/oauth/keys",
            "revocation_endpoint": "https://login.test/oauth/revoke",
            "introspection_endpoint": "https://login.test/oauth/introspect",
            "scopes_supported": ["all", "read"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [
                "authorization_code", "refresh_token", "client_credentials",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    );
}

#[tokio::test]
async fn rfc_8414_2_no_grant_is_named_whose_endpoint_is_not_there() {
    let world = World::with(Wish {
        refresh: None,
        ..Wish::default()
    })
    .await;
    let bare = MetadataPlan {
        authorization: None,
        revocation: None,
        introspection: None,
        keys: None,
        ..plan()
    };
    let document = Answer::of(world.service.metadata(&bare, &get(Method::HEAD).call())).good();
    assert_eq!(
        document["grant_types_supported"],
        json!([
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange"
        ])
    );
    for absent in [
        "authorization_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "jwks_uri",
        "code_challenge_methods_supported",
    ] {
        assert_eq!(document.get(absent), None);
    }
    assert!(document["response_types_supported"].is_array());
}

#[tokio::test]
async fn rfc_7517_5_the_key_set_verifies_what_is_signed() {
    let world = World::of(Format::Jwt).await;
    let answer = Answer::of(world.service.key_set(&get(Method::GET).call()));
    assert_eq!(answer.headers[CONTENT_TYPE], "application/jwk-set+json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let keys = key_set::from_jwks(answer.body.as_bytes()).unwrap();
    let tokens = world.tokens().await;
    let policy = crate::jose::access_token::policy(
        ISSUER,
        &["central".to_owned()],
        keys[0].algorithms().next().unwrap(),
    );
    let set = crate::jose::KeySet::new(keys);
    assert!(crate::jose::verify::verify(text(&tokens["access_token"]), &set, &policy, NOW).is_ok());
    let opaque = World::new().await;
    let none = Answer::of(opaque.service.key_set(&get(Method::GET).call()));
    assert_eq!(none.good(), json!({ "keys": [] }));
}

#[tokio::test]
async fn the_documents_are_read_by_get_and_head() {
    let world = World::new().await;
    for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
        let request = get(method);
        for outcome in [
            world.service.metadata(&plan(), &request.call()),
            world.service.key_set(&request.call()),
        ] {
            assert!(matches!(outcome, Err(Rejection::MethodNotAllowed { allow }) if allow == "GET, HEAD"));
        }
    }
}
