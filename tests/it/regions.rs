//! The backend of the right region (ARUBA-23 to ARUBA-33).

use crate::support::client::{get, send};
use crate::support::gateway::Fixture;

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
