use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::base::clock::UnixTime;
use crate::rejection::Code;

/// A gateway's metrics with at least one series of every row.
fn full() -> std::sync::Arc<Metrics> {
    let metrics = Metrics::new();
    let route = metrics.route("central", "GET /devices/{id}");
    let ms = Duration::from_millis(3);
    route.ended(Outcome::Answered, Some(StatusCode::OK), ms);
    route.ended(
        Outcome::Refused(Code::RateLimited),
        Some(StatusCode::TOO_MANY_REQUESTS),
        ms,
    );
    route.ended(Outcome::ClientGone, None, ms);
    route.ended(Outcome::UpstreamCut, Some(StatusCode::OK), ms);
    metrics.upstream("monitoring", "us-1").duration.observe(ms);
    metrics.endpoints(&[reading("10.0.0.1", 0)]);
    metrics.ready(&[ReadyReading {
        backend: "monitoring".to_owned(),
        region: None,
        endpoint: "monitoring.internal:80".to_owned(),
        is_ready: true,
    }]);
    metrics.issuer("idp").refused.inc("signature");
    metrics.credential("central", "session").refused.inc("expired");
    metrics.sign_ins("central").outcomes.inc("wrong");
    metrics.introspection("legacy").active.inc();
    metrics.password_hashes(7);
    metrics.limit("per-customer").refusals.inc();
    metrics.listener("127.0.0.1:8080").refused.inc("cap");
    metrics.reload_succeeded(1, UnixTime(1_700_000_000));
    metrics.certificates([("api.example.com", UnixTime(1_800_000_000))]);
    metrics.entered(LifeState::Ready);
    metrics.program_log(|| 3);
    metrics
}

fn reading(address: &str, connects: u64) -> EndpointReading {
    EndpointReading {
        backend: "monitoring".to_owned(),
        region: Some("us-1".to_owned()),
        endpoint: "monitoring.internal:80".to_owned(),
        address: std::net::SocketAddr::new(address.parse().unwrap(), 80),
        connects,
        connect_failures: 1,
        reuses: 2 * connects,
        retries: 0,
        set_asides: 0,
        in_flight: 1,
        pooled: 2,
        is_aside: address.ends_with(".1"),
    }
}

#[test]
fn the_counters_of_an_endpoint_never_go_back_when_its_name_gets_other_addresses() {
    let metrics = Metrics::new();
    let value = |name: &str| -> u64 {
        let labels = "{backend=\"monitoring\",region=\"us-1\",endpoint=\"monitoring.internal:80\"} ";
        let text = metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{labels}")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    metrics.endpoints(&[reading("10.0.0.1", 10), reading("10.0.0.2", 20)]);
    assert_eq!(value("tollgate_upstream_connects_total"), 30);
    assert_eq!(value("tollgate_upstream_attempts_total"), 90);
    assert_eq!(value("tollgate_upstream_connections_pooled"), 4);
    assert_eq!(value("tollgate_upstream_addresses"), 2);
    assert_eq!(value("tollgate_upstream_addresses_aside"), 1);
    // One address went, another came, the third was read again.
    metrics.endpoints(&[reading("10.0.0.2", 25), reading("10.0.0.3", 3)]);
    assert_eq!(value("tollgate_upstream_connects_total"), 38);
    assert_eq!(value("tollgate_upstream_addresses_aside"), 0);
    // Pools that were made anew count from 0 again.
    metrics.endpoints(&[reading("10.0.0.2", 4)]);
    assert_eq!(value("tollgate_upstream_connects_total"), 42);
    assert_eq!(value("tollgate_upstream_requests_in_flight"), 1);
    metrics.endpoints(&[]);
    assert_eq!(value("tollgate_upstream_connects_total"), 42);
    assert_eq!(value("tollgate_upstream_requests_in_flight"), 0);
}

#[test]
fn every_row_of_the_table_is_in_the_output_with_its_help_and_its_type() {
    let text = full().render();
    for row in TABLE {
        assert!(
            text.contains(&format!("# HELP {} {}\n", row.name, row.help)),
            "{}",
            row.name
        );
        assert!(
            text.contains(&format!("# TYPE {} {}\n", row.name, row.kind.as_str())),
            "{}",
            row.name
        );
    }
    assert!(text.contains("process_resident_memory_bytes"));
}

#[test]
fn a_refusal_is_counted_by_its_code_and_an_answer_by_its_class() {
    let text = full().render();
    for line in [
        "tollgate_requests_total{api=\"central\",route=\"GET /devices/{id}\",code=\"2xx\"} 1",
        "tollgate_requests_total{api=\"central\",route=\"GET /devices/{id}\",code=\"rate_limited\"} 1",
        "tollgate_requests_total{api=\"central\",route=\"GET /devices/{id}\",code=\"client_gone\"} 1",
        "tollgate_requests_total{api=\"central\",route=\"GET /devices/{id}\",code=\"upstream_cut\"} 1",
        "tollgate_refusals_total{api=\"central\",code=\"rate_limited\"} 1",
        "tollgate_program_log_dropped_total 3",
        "tollgate_state{state=\"ready\"} 1",
        "tollgate_state{state=\"starting\"} 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn names_say_their_unit_and_counters_end_in_total() {
    for row in TABLE {
        assert!(
            row.name.starts_with("tollgate_") || row.name == "http_server_request_duration_seconds",
            "{}",
            row.name
        );
        assert_eq!(
            row.name.ends_with("_total"),
            row.kind == Kind::Counter,
            "{}",
            row.name
        );
        if row.unit == "seconds" {
            assert!(row.name.ends_with("_seconds"), "{}", row.name);
        }
        assert!(row.help.ends_with('.'), "{}", row.name);
    }
}

#[test]
fn no_label_is_taken_from_who_calls_or_what_is_asked() {
    for row in TABLE {
        for label in row.labels {
            assert!(
                [
                    "api",
                    "route",
                    "code",
                    "status_class",
                    "listener",
                    "reason",
                    "backend",
                    "region",
                    "endpoint",
                    "issuer",
                    "authority",
                    "kind",
                    "realm",
                    "outcome",
                    "limit",
                    "result",
                    "certificate",
                    "state",
                    "version",
                ]
                .contains(label),
                "{}: {label} is not known to be a closed set",
                row.name
            );
        }
    }
}

#[test]
fn a_route_costs_a_bounded_number_of_series_whatever_is_asked_of_it() {
    let metrics = Metrics::new();
    let route = metrics.route("central", "devices");
    for status in 100..600 {
        let status = StatusCode::from_u16(status).ok();
        route.ended(Outcome::Answered, status, Duration::ZERO);
        for code in Code::ALL {
            route.ended(Outcome::Refused(*code), status, Duration::ZERO);
        }
    }
    for outcome in [Outcome::ClientGone, Outcome::UpstreamCut] {
        route.ended(outcome, None, Duration::ZERO);
    }
    let series = metrics
        .render()
        .lines()
        .filter(|line| line.contains("route=\"devices\""))
        .count();
    // Six classes (one for no status) with a counter and a histogram of 15 buckets, sum and count; one counter for each
    // refusal; two for what broke off.
    assert_eq!(series, 6 * (1 + 17) + Code::ALL.len() + 2);
    let page = include_str!("../../../docs/metrics.md");
    assert!(page.contains(&format!("at most {series} series")), "{series}");
}

#[test]
fn a_route_that_a_reload_brings_back_goes_on_counting() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        metrics
            .route("central", "devices")
            .ended(Outcome::Answered, Some(StatusCode::OK), Duration::ZERO);
    }
    assert!(
        metrics
            .render()
            .contains("tollgate_requests_total{api=\"central\",route=\"devices\",code=\"2xx\"} 2")
    );
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            #[expect(
                clippy::disallowed_methods,
                reason = "whether a tool may be missing is up to who runs the tests"
            )]
            let must = std::env::var_os("CI").is_some();
            assert!(
                !must,
                "promtool is needed here (Debian package prometheus): {error}"
            );
            eprintln!("skipped: promtool is not installed (Debian package prometheus)");
            return;
        }
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(full().render().as_bytes())
        .unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(
        said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn the_manual_lists_every_metric_as_the_table_does() {
    let mut table = String::from("| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n");
    for row in TABLE {
        let labels = if row.labels.is_empty() {
            "-".to_owned()
        } else {
            row.labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        table.push_str(&format!(
            "| `{}` | {} | {} | {labels} | {} |\n",
            row.name,
            row.kind.as_str(),
            row.unit,
            row.help
        ));
    }
    let page = include_str!("../../../docs/metrics.md");
    assert!(page.contains(&table), "put this into docs/metrics.md:\n\n{table}");
}
