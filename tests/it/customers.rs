//! Customers that an operator writes: what they may act on and what they may spend counts from the next request on.

use serde_json::{Value, json};
use tollgate::gateway::{Gateway, Options};

use crate::support::client::{request, send};
use crate::support::gateway::plan;
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /{*rest}
        to: { backend: backend }
"#;

const ACME: &str = "/v1/customers/acme";

/// A world with a limit per customer and a customer in the file, and alice's session in it.
async fn world() -> (World, String) {
    let mut world = World::with_routes(ROUTES).await;
    let text = world.text().replace(
        "limits:\n",
        "customers: { in-the-file: {} }\nregions: { eu-1: { hosts: [eu-1.test] } }\nlimits:\n  own: { rate: 1000/s, burst: 1000, per: customer }\n",
    );
    let text = text.replace("path: /{*rest}", "path: /{*rest}\n        limits: [own]");
    let options = Options {
        clock: world.clock.clone(),
        ..Options::default()
    };
    world.gateway = Gateway::start(plan(&text), options).await.expect("to start");
    world.address = world.gateway.addresses()[0];
    world.admin = world.gateway.admin_address().unwrap();
    let session = format!("sid={}", cookie(&world.sign_in("alice", PASSWORD).await, "sid"));
    (world, session)
}

async fn status_at(world: &World, session: &str, tenant: &str) -> u16 {
    let fields = [("cookie", session), ("tenantid", tenant)];
    world.call("GET", "/x", &fields, "").await.status.as_u16()
}

async fn put(world: &World, path: &str, body: Value) -> u16 {
    world.operate("PUT", path, Some(&body)).await.status.as_u16()
}

#[tokio::test]
async fn a_provider_gets_a_tenant_and_loses_it_from_the_next_request_on_aruba_58_to_62() {
    let (world, session) = world().await;
    assert_eq!(status_at(&world, &session, "t9").await, 403);
    let grants = json!({"name": "Acme", "tenants": [{"tenant": "t9", "roles": ["viewer"]}]});
    assert_eq!(put(&world, ACME, grants.clone()).await, 201);
    assert_eq!(status_at(&world, &session, "t9").await, 200);
    let seen = world.backend.seen().pop().unwrap();
    assert_eq!((seen.only("x-tenant"), seen.only("x-roles")), ("t9", "viewer"));

    let shown = world.operate("GET", ACME, None).await.json();
    assert_eq!(
        (&shown["name"], &shown["tenants"][0]["tenant"]),
        (&json!("Acme"), &json!("t9"))
    );
    let listed = world.operate("GET", "/v1/customers", None).await.json();
    assert_eq!(listed["items"], json!([shown]));

    let other = json!({"tenants": [{"tenant": "t8"}]});
    assert_eq!(put(&world, ACME, other).await, 204);
    assert_eq!(
        (
            status_at(&world, &session, "t9").await,
            status_at(&world, &session, "t8").await
        ),
        (403, 200)
    );
    assert_eq!(world.operate("DELETE", ACME, None).await.status, 204);
    assert_eq!(status_at(&world, &session, "t8").await, 403);
    assert_eq!(world.operate("DELETE", ACME, None).await.status, 404);
    assert_eq!(world.operate("GET", ACME, None).await.status, 404);
    let audit = world.operate("GET", "/v1/audit?subject=acme", None).await.text();
    for word in ["customer.put", "customer.delete", "operator:admin"] {
        assert!(audit.contains(word), "{audit}");
    }
}

#[tokio::test]
async fn a_quota_of_a_customer_counts_at_once() {
    let (world, session) = world().await;
    let call = async || world.call("GET", "/x", &[("cookie", &session)], "").await;
    assert_eq!(call().await.status, 200);
    let quota = json!({"quotas": {"own": {"rate": "1/m", "burst": 2}}});
    assert_eq!(put(&world, ACME, quota).await, 201);
    // A changed quota rescales what is left and refills nothing: of 999 in 1,000 come 1.998 in 2.
    let statuses = [call().await.status.as_u16(), call().await.status.as_u16()];
    assert_eq!(statuses, [200, 429]);
    let shown = world.operate("GET", ACME, None).await.json();
    assert_eq!(shown["quotas"], json!({"own": {"rate": "1/m", "burst": 2}}));
    assert_eq!(world.operate("DELETE", ACME, None).await.status, 204);
    world.pass(1);
    assert_eq!(call().await.status, 200);
}

#[tokio::test]
async fn what_names_nothing_or_is_of_the_file_is_refused_and_changes_nothing() {
    let (world, _) = world().await;
    for (path, body, status, word) in [
        (
            "/v1/customers/in-the-file",
            json!({}),
            409,
            "in the configuration",
        ),
        (ACME, json!({"region": "mars-1"}), 400, "`mars-1`"),
        (
            ACME,
            json!({"tenants": [{"tenant": "t", "region": "mars-1"}]}),
            400,
            "`mars-1`",
        ),
        (ACME, json!({"quotas": {"none": {"rate": "1/s"}}}), 400, "`none`"),
        (
            ACME,
            json!({"quotas": {"own": {"rate": "0/s"}}}),
            400,
            "lets nothing through",
        ),
        ("/v1/customers/a%20b", json!({}), 404, "no such customer"),
    ] {
        let got = world.operate("PUT", path, Some(&body)).await;
        assert_eq!(got.status.as_u16(), status, "{body}: {}", got.text());
        assert!(
            got.json()["detail"].as_str().unwrap().contains(word),
            "{}",
            got.text()
        );
    }
    assert_eq!(put(&world, ACME, json!({"unknown": 1})).await, 422);
    assert_eq!(put(&world, ACME, json!({"region": "eu-1"})).await, 201);
    assert_eq!(
        world
            .operate("DELETE", "/v1/customers/in-the-file", None)
            .await
            .status,
        409
    );
    let unknown = send(world.admin, request("GET", "admin", "/v1/customers", &[], "")).await;
    assert_eq!(unknown.status, 401);
}
