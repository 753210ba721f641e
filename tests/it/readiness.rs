//! Backends that are asked whether they can work: what is refused meanwhile, who is passed over, what the status says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use tollgate::gateway::Gateway;

use crate::forged::eventually;
use crate::support::client::{Got, get, request, send};
use crate::support::gateway::{plan, start};
use crate::support::upstream::Upstream;

/// A backend whose health is what the number says.
async fn backend(name: &'static str, health: u16) -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(health));
    let says = Arc::clone(&status);
    let upstream = Upstream::behaving(name, move |seen| {
        (seen.target == "/health").then(|| (says.load(Ordering::SeqCst), Value::Null))
    });
    (upstream.await, status)
}

/// Two regions and a door of its own for each.
fn config(us: &[&Upstream], eu: &[&Upstream]) -> String {
    let urls = |list: &[&Upstream]| list.iter().map(|one| one.url()).collect::<Vec<_>>().join(", ");
    format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
regions:
  us: {{ hosts: [us.test] }}
  eu: {{ hosts: [eu.test] }}
backends:
  cases:
    regions: {{ us: [{}], eu: [{}] }}
    version: 7.1.0
    ready: {{ path: /health, interval: 20ms, timeout: 2s, failures: 2 }}
apis:
  api:
    hosts: regions
    routes:
      - {{ path: "/cases/{{*rest}}", public: true, to: {{ backend: cases }} }}
      - path: /stat
        methods: [GET]
        public: true
        to: {{ status: {{ services: {{ cases: {{ backend: cases, metadata: {{ owner: support }} }}, fixed: {{ backend: fixed }} }} }} }}
"#,
        urls(us),
        urls(eu)
    )
    .replace("apis:", "  fixed: { respond: { status: 204 } }\napis:")
}

struct Running {
    gateway: Gateway,
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

impl Running {
    async fn start(text: &str) -> Running {
        let (gateway, address, admin) = start(text).await;
        Running {
            gateway,
            address,
            admin,
        }
    }

    async fn at(&self, host: &str, target: &str) -> Got {
        send(self.address, get(host, target, &[])).await
    }

    async fn status_of(&self, query: &str) -> Value {
        let got = self.at("us.test", &format!("/stat{query}")).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()
    }
}

/// AVI-44.
#[tokio::test]
async fn while_no_endpoint_of_a_region_is_ready_its_calls_are_503_and_not_sent_and_the_other_regions_go_on() {
    let ((us, us_health), (eu, eu_health)) = (backend("us", 503).await, backend("eu", 200).await);
    let running = Running::start(&config(&[&us], &[&eu])).await;
    let refused = running.at("us.test", "/cases/1").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "upstream_not_ready");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(running.at("eu.test", "/cases/1").await.status, 200);
    assert!(us.seen().is_empty());
    us_health.store(200, Ordering::SeqCst);
    eventually("the first region", async || {
        running.at("us.test", "/cases/2").await.status == 200
    })
    .await;
    eu_health.store(500, Ordering::SeqCst);
    eventually("the end of the other", async || {
        running.at("eu.test", "/cases/3").await.status == 503
    })
    .await;
    let metrics = send(running.admin, get("admin", "/metrics", &[])).await.text();
    let line = |region: &str, address: std::net::SocketAddr, value: u8| {
        format!(
            "tollgate_upstream_ready{{backend=\"cases\",region=\"{region}\",endpoint=\"{address}\"}} {value}"
        )
    };
    for wanted in [line("us", us.address, 1), line("eu", eu.address, 0)] {
        assert!(metrics.contains(&wanted), "{wanted} is not in {metrics}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_ready_is_passed_over_while_another_is() {
    let ((good, _), (bad, bad_health)) = (backend("good", 200).await, backend("bad", 503).await);
    let running = Running::start(&config(&[&good, &bad], &[&good])).await;
    for number in 0..20 {
        let got = running.at("us.test", &format!("/cases/{number}")).await;
        assert_eq!(got.status, 200);
    }
    assert_eq!((good.seen().len(), bad.seen().len()), (20, 0));
    bad_health.store(204, Ordering::SeqCst);
    eventually("a call to the other", async || {
        running.at("us.test", "/cases/x").await;
        !bad.seen().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_and_asks_what_is_new() {
    let ((first, _), (second, second_health)) = (backend("first", 200).await, backend("second", 503).await);
    let running = Running::start(&config(&[&first], &[&first])).await;
    let text = config(&[&first], &[&second]);
    running.gateway.reload(plan(&text)).await.unwrap();
    assert_eq!(
        running.at("us.test", "/cases/1").await.status,
        200,
        "known before"
    );
    assert_eq!(
        running.at("eu.test", "/cases/1").await.status,
        503,
        "new, and asked by the reload"
    );
    second_health.store(200, Ordering::SeqCst);
    eventually("the new one", async || {
        running.at("eu.test", "/cases/1").await.status == 200
    })
    .await;
}

/// PULSE-41, PULSE-44, PULSE-45.
#[tokio::test]
async fn the_status_tells_of_one_service_or_of_all_with_version_region_since_and_latency() {
    let ((us, _), (eu, _)) = (backend("us", 200).await, backend("eu", 503).await);
    let running = Running::start(&config(&[&us], &[&eu])).await;
    let one = running.status_of("?service=cases").await;
    let told = |key: &str| one[key].clone();
    assert_eq!(
        (told("service"), told("status"), told("version"), told("metadata")),
        (
            json!("cases"),
            json!("available"),
            json!("7.1.0"),
            json!({"owner": "support"})
        )
    );
    let regions = one["regions"].as_array().unwrap();
    let words: Vec<_> = regions
        .iter()
        .map(|region| (&region["region"], &region["status"]))
        .collect();
    assert_eq!(
        words,
        [
            (&json!("us"), &json!("available")),
            (&json!("eu"), &json!("unavailable"))
        ]
    );
    for region in regions {
        for time in ["since", "checked"] {
            let text = region[time].as_str().unwrap();
            assert!(text.ends_with('Z') && text.len() == 20, "{text}");
        }
    }
    assert!(
        regions[0]["latency_ms"]
            .as_f64()
            .is_some_and(|millis| millis > 0.0)
    );
    assert!(regions[1].get("latency_ms").is_none());
    let all = running.status_of("").await;
    let names: Vec<_> = all["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["service"])
        .collect();
    assert_eq!(names, [&json!("cases"), &json!("fixed")]);
    let fixed = running.status_of("?service=fixed").await;
    assert_eq!(fixed, json!({"service": "fixed", "status": "available"}));
    for (query, status) in [
        ("?service=nobody", 404),
        ("?service=", 404),
        ("?service=cases&service=fixed", 400),
    ] {
        assert_eq!(
            running.at("us.test", &format!("/stat{query}")).await.status,
            status,
            "{query}"
        );
    }
    let head = send(running.address, request("POST", "us.test", "/stat", &[], "")).await;
    assert_eq!(head.status, 405);
}
