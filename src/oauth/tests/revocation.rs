//! Revocation, and deletion by a signed-in user.

use super::*;
use crate::config::plan::DeleteTokenPlan;
use crate::store::backend::{AuditFilter, PageSize, Paging};

async fn revoked(world: &World, client: Client<'_>, token: &str) -> Answer {
    let request = Request::form(client, &[("token", token)]);
    Answer::of(world.service.revoke(request.call()).await)
}

fn is_empty_200(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(answer.headers["content-length"], "0");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn rfc_7009_2_1_an_access_token_ends_alone_and_a_refresh_token_with_its_family() {
    for format in BOTH {
        let world = World::of(format).await;
        let first = world.tokens().await;
        let second = world.refreshed(NOW, text(&first["refresh_token"])).await.good();
        is_empty_200(&revoked(&world, WEB, text(&first["access_token"])).await);
        assert!(!world.is_active(NOW, &first["access_token"]).await);
        assert!(world.is_active(NOW, &second["access_token"]).await);
        is_empty_200(&revoked(&world, WEB, text(&second["refresh_token"])).await);
        assert!(!world.is_active(NOW, &second["access_token"]).await);
        world
            .refreshed(NOW, text(&second["refresh_token"]))
            .await
            .is("invalid_grant", 400);
        let page = world
            .store
            .audit_entries(AuditFilter::default(), Paging::first(PageSize::MAX))
            .await
            .unwrap();
        let who: Vec<String> = page
            .items
            .iter()
            .filter(|entry| &*entry.note.action == "token.revoke")
            .map(|entry| entry.by.actor.to_string())
            .collect();
        assert_eq!(who, ["application:web", "application:web"]);
    }
}

#[tokio::test]
async fn rfc_7009_2_2_what_is_not_there_is_revoked_already() {
    let world = World::of(Format::Jwt).await;
    let tokens = world.tokens().await;
    let access = text(&tokens["access_token"]);
    for token in ["x", "a.b.c", access, access, &"a".repeat(20_000)] {
        is_empty_200(&revoked(&world, WEB, token).await);
    }
    // A wrong or unknown hint is no matter (section 2.1).
    let tokens = world.tokens().await;
    let refresh = text(&tokens["refresh_token"]);
    let request = Request::form(WEB, &[("token", refresh), ("token_type_hint", "access_token")]);
    is_empty_200(&Answer::of(world.service.revoke(request.call()).await));
    world.refreshed(NOW, refresh).await.is("invalid_grant", 400);
}

#[tokio::test]
async fn rfc_7009_2_1_a_client_revokes_its_own_tokens_alone() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    for name in ["access_token", "refresh_token"] {
        revoked(&world, OTHER, text(&tokens[name]))
            .await
            .is("invalid_grant", 400);
        revoked(&world, SPA, text(&tokens[name]))
            .await
            .is("invalid_grant", 400);
        revoked(&world, Client::Nobody, text(&tokens[name]))
            .await
            .is("invalid_client", 401);
    }
    assert!(world.is_active(NOW, &tokens["access_token"]).await);
    revoked(&world, WEB, "").await.is("invalid_request", 400);
    let mut get = Request::form(WEB, &[("token", "x")]);
    get.method = Method::GET;
    assert!(matches!(
        world.service.revoke(get.call()).await,
        Err(Rejection::MethodNotAllowed { .. })
    ));
}

async fn deleted(world: &World, caller: UserId, body: &str) -> Result<Answer, Rejection> {
    let plan = DeleteTokenPlan {
        service: ServiceRef::new(0),
        token: vec!["access_token".to_owned()],
        answer: AnswerPlan {
            status: StatusCode::OK,
            headers: Vec::new(),
            json: JsonTemplate::compile(&json!({ "status": true }), &[]).unwrap(),
        },
    };
    let request = Request {
        method: Method::DELETE,
        body: Bytes::from(body.to_owned()),
        ..Request::new()
    };
    let answer = world.service.delete_token(&plan, caller, request.call()).await;
    answer.map(|answer| Answer::of(Ok(answer)))
}

#[tokio::test]
async fn a_user_deletes_tokens_that_the_user_has_given_with_all_that_came_of_them() {
    for format in BOTH {
        let world = World::of(format).await;
        for name in ["access_token", "refresh_token"] {
            let tokens = world.tokens().await;
            let body = json!({ "access_token": tokens[name], "customer_id": "msp" }).to_string();
            // Somebody else hears the same, and nothing happens.
            let other = deleted(&world, UserId::random(), &body).await.unwrap();
            assert_eq!((other.status, &*other.body), (200, "{\"status\":true}"));
            assert!(world.is_active(NOW, &tokens["access_token"]).await);
            let own = deleted(&world, world.alice, &body).await.unwrap();
            assert_eq!((own.status, &*own.body), (200, "{\"status\":true}"));
            assert!(!world.is_active(NOW, &tokens["access_token"]).await);
            world
                .refreshed(NOW, text(&tokens["refresh_token"]))
                .await
                .is("invalid_grant", 400);
            let again = deleted(&world, world.alice, &body).await.unwrap();
            assert_eq!(again.body, own.body);
        }
    }
}

#[tokio::test]
async fn a_body_that_names_no_token_is_a_bad_request() {
    let world = World::new().await;
    for body in [
        "",
        "access_token=x",
        "[]",
        "\"x\"",
        "{}",
        "{\"access_token\":7}",
        "{\"access_token\":\"\"}",
        "{\"access_token\":[\"x\"]}",
        "{\"access_token\":\"x\"",
    ] {
        let refused = deleted(&world, world.alice, body).await;
        assert!(matches!(refused, Err(Rejection::BadRequest(_))), "{body}");
    }
    deleted(&world, world.alice, "{\"access_token\":\"x\"}")
        .await
        .unwrap();
}
