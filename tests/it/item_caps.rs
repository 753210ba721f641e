//! Item caps: refuse, never clamp; nothing goes upstream before the verdict (ARUBA-11 to ARUBA-18).

use crate::support::client::{get, request, send};
use crate::support::gateway::Fixture;

const ROUTES: &str = r#"
      - path: /msp_api/v1/customers
        methods: [GET]
        items: { query: limit }
        to: { backend: us }
      - path: /msp_api/v1/customers/{customer_id}/devices
        methods: [PUT]
        items: { body: /devices, max: 50 }
        to: { backend: us }
      - path: /{*rest}
        to: { backend: us }
"#;

fn devices(count: usize) -> String {
    let list: Vec<String> = (0..count)
        .map(|n| format!("{{\"serial\":\"S{n}\",\"mac\":\"00\"}}"))
        .collect();
    format!("{{\"devices\":[{}],\"group\":\"g\"}}", list.join(","))
}

#[tokio::test]
async fn fifty_items_pass_and_fifty_one_are_refused_aruba_12_17_18() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let call = |limit: &str| {
        get(
            "api.test",
            &format!("/msp_api/v1/customers?offset=0&limit={limit}"),
            &[("authorization", &token)],
        )
    };
    assert_eq!(send(fixture.address, call("50")).await.status, 200);
    let refused = send(fixture.address, call("51")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["code"], "item_cap_exceeded");
    assert_eq!(
        fixture.us.seen().len(),
        1,
        "nothing of a refused call goes upstream"
    );
}

#[tokio::test]
async fn every_value_of_a_repeated_parameter_is_looked_at() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    for (query, status) in [
        ("limit=10&offset=0&limit=10&offset=0", 200),
        ("limit=50&limit=1000", 400),
        ("limit=1000&limit=50", 400),
        ("limit=-1", 400),
        ("limit=1e3", 400),
        ("limit=", 400),
        ("limit", 400),
        ("limit=99999999999999999999999", 400),
        ("l%69mit=51", 400),
        ("limits=51", 200),
        ("offset=0", 200),
    ] {
        let got = send(
            fixture.address,
            get(
                "api.test",
                &format!("/msp_api/v1/customers?{query}"),
                &[("authorization", &token)],
            ),
        )
        .await;
        assert_eq!(got.status, status, "{query}: {}", got.text());
    }
}

#[tokio::test]
async fn a_route_without_a_cap_is_never_capped_aruba_15() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let got = send(
        fixture.address,
        get(
            "api.test",
            "/monitoring/v1/aps?limit=1000",
            &[("authorization", &token)],
        ),
    )
    .await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn the_devices_of_a_body_are_counted_while_it_streams_aruba_16() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let fields = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let path = "/msp_api/v1/customers/c1/devices";
    let good = devices(50);
    let got = send(fixture.address, request("PUT", "api.test", path, &fields, &good)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        fixture.us.only().body,
        good.as_bytes(),
        "the body goes on as it came"
    );

    let got = send(
        fixture.address,
        request("PUT", "api.test", path, &fields, &devices(51)),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (400, Some("item_cap_exceeded"))
    );

    let twice = serde_json::to_string(&good).unwrap();
    assert_eq!(
        send(fixture.address, request("PUT", "api.test", path, &fields, &twice))
            .await
            .status,
        200
    );
    let twice = serde_json::to_string(&devices(51)).unwrap();
    assert_eq!(
        send(fixture.address, request("PUT", "api.test", path, &fields, &twice))
            .await
            .status,
        400
    );
    for bad in [
        "{\"devices\":[1,2",
        "{\"devices\":[1,]}",
        "nonsense",
        "{\"devices\":7}",
    ] {
        let got = send(fixture.address, request("PUT", "api.test", path, &fields, bad)).await;
        assert_eq!(got.status, 400, "{bad}: {}", got.text());
    }
    assert_eq!(fixture.us.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_call_has_spent_its_token() {
    let fixture = Fixture::with_limit("2/d", ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let call = |limit: u32| {
        get(
            "api.test",
            &format!("/msp_api/v1/customers?limit={limit}"),
            &[("authorization", &token)],
        )
    };
    assert_eq!(send(fixture.address, call(51)).await.status, 400);
    assert_eq!(send(fixture.address, call(50)).await.status, 200);
    assert_eq!(send(fixture.address, call(50)).await.status, 429);
}
