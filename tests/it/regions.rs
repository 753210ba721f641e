//! The backend of the right region (ARUBA-23 to ARUBA-33).

use std::net::SocketAddr;

use tollgate::gateway::Gateway;

use crate::support::client::{Got, get, request, send};
use crate::support::gateway::{Fixture, start};

const ROUTES: &str = r#"
      - path: /{*rest}
        to: { backend: both }
"#;

#[tokio::test]
async fn the_claim_chooses_the_region() {
    let fixture = Fixture::with_routes(ROUTES).await;
    for region in ["us-1", "eu-1"] {
        let token = fixture.token("cust-1", region);
        let got = send(
            fixture.address,
            get("api.test", "/a", &[("authorization", &token)]),
        )
        .await;
        assert_eq!(got.header("x-served-by"), Some(&region[..2]), "{}", got.text());
    }
}

#[tokio::test]
async fn the_wrong_regions_door_answers_421_and_names_the_right_one() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "eu-1");
    let got = send(
        fixture.address,
        get("us.api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(got.status, 421, "{}", got.text());
    assert!(got.text().contains("eu.api.test"), "{}", got.text());
    assert!(fixture.us.seen().is_empty() && fixture.eu.seen().is_empty());
    let got = send(
        fixture.address,
        get("eu.api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.header("x-served-by")),
        (200, Some("eu"))
    );
}

#[tokio::test]
async fn a_region_that_nobody_serves_is_refused_and_goes_nowhere() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "mars-1");
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (503, Some("region_unavailable"))
    );
    assert!(fixture.us.seen().is_empty() && fixture.eu.seen().is_empty());
}

#[tokio::test]
async fn without_a_claim_the_host_chooses() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token_with(serde_json::json!({"customer_id": "cust-1", "sub": "u"}));
    let got = send(
        fixture.address,
        get("eu.api.test", "/a", &[("authorization", &token)]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.header("x-served-by")),
        (200, Some("eu"))
    );
}

/// The same gateway with another rule for regions, and customers who have a home in the file.
async fn with_rule(fixture: &Fixture, rule: &str) -> (Gateway, SocketAddr) {
    let text = fixture
        .config("1000000/s", ROUTES)
        .replace(
            "region: { from: [claim, host] }",
            &format!("region: {{ {rule} }}"),
        )
        .replace(
            "\ncustomers:\n",
            "\ncustomers:\n  at-home-in-eu: { region: eu-1 }\n  at-home-in-us: { region: us-1 }\n",
        );
    let (gateway, address, _) = start(&text).await;
    (gateway, address)
}

#[tokio::test]
async fn what_names_the_region_is_asked_in_the_order_of_the_api() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = |customer: &str, region: Option<&str>| {
        let claims = serde_json::json!({"customer_id": customer, "region": region, "sub": "u"});
        fixture.token_with(claims)
    };
    let stranger = token("cust-1", None);
    let (home, claimed) = (token("at-home-in-eu", None), token("at-home-in-eu", Some("us-1")));
    for (rule, calls) in [
        (
            "from: [claim, directory, host], wrong-door: forward",
            [
                (&stranger, "eu.api.test", "eu"),
                (&home, "us.api.test", "eu"),
                (&claimed, "eu.api.test", "us"),
            ],
        ),
        (
            "from: [directory, claim, host], wrong-door: forward",
            [
                (&stranger, "us.api.test", "us"),
                (&home, "us.api.test", "eu"),
                (&claimed, "us.api.test", "eu"),
            ],
        ),
        (
            "from: [host, claim, directory]",
            [
                (&claimed, "eu.api.test", "eu"),
                (&claimed, "api.test", "us"),
                (&home, "api.test", "eu"),
            ],
        ),
        (
            "from: [directory], default: us-1",
            [
                (&stranger, "api.test", "us"),
                (&home, "api.test", "eu"),
                (&claimed, "api.test", "eu"),
            ],
        ),
    ] {
        let (_gateway, address) = with_rule(&fixture, rule).await;
        for (token, host, served_by) in calls {
            let got = send(address, get(host, "/a", &[("authorization", token)])).await;
            assert_eq!(
                (got.status.as_u16(), got.header("x-served-by")),
                (200, Some(served_by)),
                "{rule}, {host}: {}",
                got.text()
            );
        }
    }
}

#[tokio::test]
async fn a_call_at_the_wrong_door_is_forwarded_or_redirected_if_the_api_says_so() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("cust-1", "eu-1");
    let put = |host: &str| {
        let fields = [("authorization", token.as_str())];
        request("PUT", host, "/a%2Cb?flag&x=1", &fields, "{}")
    };

    let (_gateway, address) = with_rule(&fixture, "from: [claim], wrong-door: forward").await;
    let got: Got = send(address, put("us.api.test")).await;
    assert_eq!(
        (got.status.as_u16(), got.header("x-served-by")),
        (200, Some("eu"))
    );
    assert_eq!(fixture.eu.only().target, "/a%2Cb?flag&x=1");

    let (_gateway, address) = with_rule(&fixture, "from: [claim], wrong-door: redirect").await;
    let got = send(address, put("us.api.test")).await;
    assert_eq!(
        (got.status.as_u16(), got.header("location")),
        (308, Some("https://eu.api.test/a%2Cb?flag&x=1")),
        "with the same method: {}",
        got.text()
    );
    assert_eq!(send(address, put("eu.api.test")).await.status, 200);
    assert_eq!((fixture.us.seen().len(), fixture.eu.seen().len()), (0, 2));
}
