//! Token buckets per customer (ARUBA-06) as a client meets them.

use crate::support::client::{get, send};
use crate::support::gateway::Fixture;

const ROUTES: &str = r#"
      - path: /{*rest}
        to: { backend: us }
"#;

#[tokio::test]
async fn the_eighth_call_of_a_burst_is_429_and_another_customer_is_not_touched_aruba_06() {
    let fixture = Fixture::with_limit("7/h", ROUTES).await;
    let first = fixture.token("cust-1", "us-1");
    for n in 1..=7 {
        let got = send(
            fixture.address,
            get("api.test", "/a", &[("authorization", &first)]),
        )
        .await;
        assert_eq!(got.status, 200, "call {n}");
    }
    let refused = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &first)]),
    )
    .await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "rate_limited");
    let wait: u64 = refused
        .header("retry-after")
        .expect("Retry-After")
        .parse()
        .expect("seconds");
    assert!(
        (500..=515).contains(&wait),
        "one token of 7/h comes back after 3600/7 s, not {wait}"
    );
    assert!(
        refused
            .header("ratelimit")
            .is_some_and(|value| value.contains("per-customer")),
        "{refused:?}"
    );
    assert!(
        refused
            .header("ratelimit-policy")
            .is_some_and(|value| value.contains("q=7")),
        "{refused:?}"
    );

    let same_customer = fixture.token_for("cust-1", "us-1", "another-user");
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &same_customer)]),
    )
    .await;
    assert_eq!(got.status, 429, "a customer's bucket is shared by its users");
    let other = fixture.token("cust-2", "us-1");
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &other)]),
    )
    .await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn calls_at_once_never_get_more_than_the_burst() {
    let fixture = Fixture::with_limit("7/d", ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let calls = (0..60).map(|_| {
        let (address, token) = (fixture.address, token.clone());
        tokio::spawn(async move {
            send(address, get("api.test", "/a", &[("authorization", &token)]))
                .await
                .status
        })
    });
    let mut passed = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap().as_u16() {
            200 => passed += 1,
            429 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(passed, 7);
}

#[tokio::test]
async fn a_customers_own_quota_and_its_plan_win_over_the_limits() {
    let fixture = Fixture::with_limit("1/d", ROUTES).await;
    for (customer, allowed) in [("gold-1", 3), ("own-1", 2), ("cust-9", 1)] {
        let token = fixture.token(customer, "us-1");
        for n in 0..=allowed {
            let got = send(
                fixture.address,
                get("api.test", "/a", &[("authorization", &token)]),
            )
            .await;
            assert_eq!(
                got.status.as_u16(),
                if n < allowed { 200 } else { 429 },
                "{customer} call {n}"
            );
        }
    }
}

#[tokio::test]
async fn bucket_state_survives_a_reload_and_a_larger_quota_is_no_refill() {
    let fixture = Fixture::with_limit("2/d", ROUTES).await;
    let token = fixture.token("cust-1", "us-1");
    let call = || get("api.test", "/a", &[("authorization", &token)]);
    assert_eq!(send(fixture.address, call()).await.status, 200);
    assert_eq!(send(fixture.address, call()).await.status, 200);
    assert_eq!(send(fixture.address, call()).await.status, 429);
    fixture.reload_with_limit("2/d", ROUTES).await;
    assert_eq!(
        send(fixture.address, call()).await.status,
        429,
        "a reload is no refill"
    );
    fixture.reload_with_limit("20/d", ROUTES).await;
    assert_eq!(
        send(fixture.address, call()).await.status,
        429,
        "an empty bucket stays empty under a larger quota"
    );
}

#[tokio::test]
async fn a_provider_pays_from_its_own_bucket_for_calls_on_its_tenants_aruba_58_to_62() {
    let fixture = Fixture::with_limit("2/d", ROUTES).await;
    let token = fixture.token("msp-1", "us-1");
    let call = |tenant: &str| {
        get(
            "api.test",
            "/a",
            &[("authorization", &token), ("TenantID", tenant)],
        )
    };
    assert_eq!(send(fixture.address, call("tenant-a")).await.status, 200);
    let seen = fixture.us.only();
    assert_eq!(
        (seen.only("x-tenant-id"), seen.only("x-customer-id")),
        ("tenant-a", "msp-1")
    );
    assert!(
        seen.headers.get("tenantid").is_none(),
        "the selector is read once and removed"
    );
    assert_eq!(send(fixture.address, call("tenant-b")).await.status, 200);
    assert_eq!(
        send(fixture.address, call("tenant-a")).await.status,
        429,
        "both calls were paid by the provider"
    );
    let tenants_own = fixture.token("tenant-a", "us-1");
    let got = send(
        fixture.address,
        get("api.test", "/a", &[("authorization", &tenants_own)]),
    )
    .await;
    assert_eq!(got.status, 200, "the tenant's own bucket is untouched");
}

#[tokio::test]
async fn a_tenant_without_a_grant_is_403_and_a_repeated_selector_400() {
    let fixture = Fixture::with_routes(ROUTES).await;
    let token = fixture.token("msp-1", "us-1");
    let got = send(
        fixture.address,
        get(
            "api.test",
            "/a",
            &[("authorization", &token), ("TenantID", "stranger")],
        ),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (403, Some("tenant_forbidden"))
    );
    let got = send(
        fixture.address,
        get(
            "api.test",
            "/a",
            &[
                ("authorization", &token),
                ("TenantID", "tenant-a"),
                ("TenantID", "tenant-b"),
            ],
        ),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (400, Some("tenant_invalid"))
    );
    assert!(fixture.us.seen().is_empty());
}
