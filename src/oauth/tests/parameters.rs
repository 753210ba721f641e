//! Where parameters may stand, and what is too much of them.

use proptest::prelude::*;

use super::*;
use crate::http::form::MEDIA_TYPE;
use crate::oauth::parameters::Parameters;

const ANY: &str = "grant_type=client_credentials";

fn in_query(text: &str) -> Request {
    Request::new().query(text)
}

async fn form(request: Request) -> Answer {
    World::new().await.send(ParameterPlaces::Form, request).await
}

#[tokio::test]
async fn rfc_6749_3_2_the_method_is_post() {
    let world = World::new().await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
    ] {
        for places in [
            ParameterPlaces::Form,
            ParameterPlaces::Query,
            ParameterPlaces::QueryOrForm,
        ] {
            let mut request = in_query(&format!("{ANY}&client_id=web&client_secret=x"));
            request.method = method.clone();
            let refused = world.service.token(&endpoint(places), request.call()).await;
            let refused = refused.unwrap_err();
            assert!(
                matches!(&refused, Rejection::MethodNotAllowed { allow } if allow == "POST"),
                "{refused}"
            );
        }
    }
}

#[tokio::test]
async fn rfc_6749_3_2_a_parameter_without_a_value_is_left_out() {
    let answer = form(
        Request::new()
            .basic("web", SECRET)
            .with_form("grant_type=client_credentials&scope=&client_secret=&client_id=&audience=&code="),
    );
    assert_eq!(answer.await.good()["scope"], "all read");
    let answer = form(Request::new().basic("web", SECRET).with_form("grant_type="));
    answer.await.is("invalid_request", 400);
}

#[tokio::test]
async fn rfc_6749_3_2_an_unknown_parameter_is_ignored() {
    let answer = form(
        Request::form(
            WEB,
            &[
                ("grant_type", "client_credentials"),
                ("nonsense", "1"),
                ("__proto__", "x"),
            ],
        )
        .query("utm_source=mail&utm_source=mail"),
    );
    answer.await.good();
}

#[tokio::test]
async fn rfc_6749_3_2_a_parameter_is_there_once() {
    for text in [
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=read&scope=read",
        "grant_type=client_credentials&scope=read&scope=all",
        "grant_type=client_credentials&scope=&scope=all",
        "grant_type=client_credentials&nonsense=1&nonsense=1",
        "grant_type=client_credentials&s%63ope=read&scope=read",
    ] {
        let answer = form(Request::new().basic("web", SECRET).with_form(text));
        answer.await.is("invalid_request", 400);
    }
}

#[tokio::test]
async fn rfc_6749_2_3_1_parameters_of_a_form_endpoint_are_never_in_the_query() {
    for query in [
        "client_secret=x",
        "grant_type=client_credentials",
        "code=x",
        "refresh_token=x",
        "client_id=web",
        "clie%6et_id=web",
        "subject_token",
    ] {
        let answer = form(Request::form(WEB, &[("grant_type", "client_credentials")]).query(query));
        answer.await.is("invalid_request", 400);
    }
    let answer = form(in_query(&format!(
        "{ANY}&client_id=web&client_secret={}",
        crate::http::form::encoded(SECRET)
    )));
    answer.await.is("invalid_request", 400);
}

#[tokio::test]
async fn rfc_6749_b_a_body_is_a_form() {
    let good = encoded(&[("grant_type", "client_credentials")]);
    let with = |kind: Option<&str>| {
        let mut request = Request::new().basic("web", SECRET).with_form(&good);
        request.headers.remove(CONTENT_TYPE);
        match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        }
    };
    for kind in [
        MEDIA_TYPE,
        "application/x-www-form-urlencoded; charset=UTF-8",
        "Application/X-WWW-Form-URLEncoded",
    ] {
        form(with(Some(kind))).await.good();
    }
    for kind in [
        None,
        Some("application/json"),
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
    ] {
        form(with(kind)).await.is("invalid_request", 400);
    }
    let packed =
        Request::form(WEB, &[("grant_type", "client_credentials")]).header("content-encoding", "gzip");
    form(packed).await.is("invalid_request", 400);
    let plain =
        Request::form(WEB, &[("grant_type", "client_credentials")]).header("content-encoding", "identity");
    form(plain).await.good();
    form(Request::new().basic("web", SECRET))
        .await
        .is("invalid_request", 400);
}

#[tokio::test]
async fn what_is_no_form_or_too_large_a_one_is_refused() {
    for text in [
        "grant_type=%",
        "grant_type=%zz",
        "grant_type=%ff",
        "grant_type=\u{0}%00%0",
        &"a=b&".repeat(65),
    ] {
        form(Request::new().basic("web", SECRET).with_form(text))
            .await
            .is("invalid_request", 400);
    }
    let world = World::new().await;
    let large = Request::new().with_form(&format!("grant_type={}", "a".repeat(70_000)));
    let refused = world
        .service
        .token(&endpoint(ParameterPlaces::Form), large.call())
        .await;
    assert!(matches!(refused, Err(Rejection::BodyTooLarge { limit: 65_536 })));
}

#[tokio::test]
async fn rfc_6749_3_3_a_scope_of_50000_characters_is_an_invalid_scope() {
    let long = "read ".repeat(10_000);
    let parameters = [("grant_type", "client_credentials"), ("scope", long.as_str())];
    form(Request::form(WEB, &parameters))
        .await
        .is("invalid_scope", 400);
}

#[tokio::test]
async fn rfc_6749_5_2_grant_types_are_missing_or_unknown() {
    let world = World::new().await;
    for (grant, error) in [
        ("", "invalid_request"),
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("Client_Credentials", "unsupported_grant_type"),
        (
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "unsupported_grant_type",
        ),
    ] {
        world.token(WEB, &[("grant_type", grant)]).await.is(error, 400);
    }
    let none = World::with(Wish {
        refresh: None,
        ..Wish::default()
    })
    .await;
    none.refreshed(NOW, "x").await.is("unsupported_grant_type", 400);
    let tokens = none.tokens().await;
    assert_eq!(tokens.get("refresh_token"), None);
}

/// What a script sends that puts everything into the query: no body, no type of one.
fn script(code: &str) -> String {
    encoded(&[
        ("client_id", "web"),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
    ])
}

#[tokio::test]
async fn where_the_query_is_allowed_everything_may_stand_there() {
    for places in [ParameterPlaces::Query, ParameterPlaces::QueryOrForm] {
        let world = World::new().await;
        let code = world.code("client_id=web&response_type=code&scope=all").await;
        let request = in_query(&script(&code)).header("content-length", "0");
        let tokens = world.send(places, request).await.good();
        assert!(tokens["refresh_token"].is_string());
        let refresh = encoded(&[
            ("client_id", "web"),
            ("client_secret", SECRET),
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&tokens["refresh_token"])),
        ]);
        let next = world.send(places, in_query(&refresh)).await.good();
        assert_ne!(next["refresh_token"], tokens["refresh_token"]);
    }
}

#[tokio::test]
async fn where_the_query_is_allowed_old_scripts_send_json_and_say_things_twice() {
    let world = World::new().await;
    let code = world.code("client_id=web&response_type=code&scope=all").await;
    let twice = format!("{0}&{0}", script(&code));
    let request = Request {
        body: Bytes::from_static(b"{\"customer_id\": \"msp\"}"),
        ..in_query(&twice)
    };
    let request = request
        .header("content-type", "application/json")
        .header("authorization", "Bearer 0123456789")
        .header("cookie", "csrftoken=x; session=y");
    world.send(ParameterPlaces::Query, request).await.good();
}

#[tokio::test]
async fn where_the_query_is_allowed_what_is_said_in_two_ways_is_refused() {
    let world = World::new().await;
    let secret = crate::http::form::encoded(SECRET);
    let base = format!("{ANY}&client_id=web&client_secret={secret}");
    for (places, query, body) in [
        (ParameterPlaces::Query, format!("{base}&client_id=other"), ""),
        (ParameterPlaces::Query, format!("{base}&scope=read&scope=all"), ""),
        (ParameterPlaces::Query, format!("{base}&scope=read&scope="), ""),
        (ParameterPlaces::Query, base.clone(), "scope=read"),
        (
            ParameterPlaces::QueryOrForm,
            format!("{base}&scope=all"),
            "scope=read",
        ),
        (
            ParameterPlaces::QueryOrForm,
            format!("{base}&scope=read&scope=all"),
            "",
        ),
    ] {
        let request = in_query(&query).with_form(body);
        world.send(places, request).await.is("invalid_request", 400);
    }
    for (query, body) in [
        (base.clone(), "scope=read"),
        (format!("{base}&scope=read"), "scope=read"),
        (String::new(), &*format!("{base}&scope=read")),
    ] {
        let request = in_query(&query).with_form(body);
        let answer = world.send(ParameterPlaces::QueryOrForm, request).await;
        assert_eq!(answer.good()["scope"], "read");
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers
}

proptest! {
    #[test]
    fn whatever_is_sent_a_parameter_has_one_value_or_the_request_is_refused(
        query in "([a-b]|code|scope|=|&|%63|\\+|x){0,12}",
        body in "([a-b]|code|scope|=|&|%63|\\+|x){0,12}",
    ) {
        for places in [ParameterPlaces::Form, ParameterPlaces::Query, ParameterPlaces::QueryOrForm] {
            let headers = headers();
            let read = Parameters::read(places, Some(&query), &headers, body.as_bytes());
            let Ok(parameters) = read else { continue };
            let text = match places {
                ParameterPlaces::Form => body.clone(),
                ParameterPlaces::Query => query.clone(),
                ParameterPlaces::QueryOrForm => format!("{query}&{body}"),
            };
            let all = form::Parameters::read(text.as_bytes(), form::Bounds::USUAL).unwrap();
            for (name, value) in all.iter() {
                let only = parameters.get(name);
                prop_assert_eq!(only, Some(value).filter(|value| !value.is_empty()), "{}", name);
            }
            if places == ParameterPlaces::Form {
                prop_assert_eq!(all.repeated(), None);
            }
        }
    }
}
