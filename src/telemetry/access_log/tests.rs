use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Version};
use serde_json::Value;

use super::{AccessLog, Field};
use crate::base::clock::{Clock, UnixTime};
use crate::config::plan::AccessLogPlan;
use crate::identity::{CredentialKind, CustomerId, Identity, IssuerName, LimitName, SubjectId, TenantId};
use crate::rejection::{RateLimited, Rejection};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{Ending, Record, Recorder};

const LONG: Duration = Duration::from_secs(30);

fn plan() -> AccessLogPlan {
    AccessLogPlan {
        file: None,
        query: true,
        redact: vec!["session".to_owned()],
        queue: 1_000,
    }
}

/// A writer whose contents a test can read.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shown {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

struct Set {
    log: AccessLog,
    shown: Shown,
    metrics: Arc<Metrics>,
    clock: Clock,
    recorder: Arc<Recorder>,
}

fn set(plan: &AccessLogPlan) -> Set {
    let metrics = Metrics::new();
    let shown = Shown::default();
    let log = AccessLog::to_writer(plan, Box::new(shown.clone()), &metrics).unwrap();
    let clock = Clock::manual(UnixTime(1_700_000_000));
    let recorder = Recorder::new(clock.clone(), Arc::clone(&metrics), Some(log.clone()));
    Set {
        log,
        shown,
        metrics,
        clock,
        recorder,
    }
}

fn identity() -> Identity {
    Identity {
        kind: CredentialKind::Jwt,
        issuer: IssuerName::try_from("central-idp").unwrap(),
        subject: SubjectId::try_from("user-1").unwrap(),
        client: Some(SubjectId::try_from("app-1").unwrap()),
        customer: None,
        tenant: None,
        tenants: Vec::new(),
        region: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        expires: UnixTime(0),
    }
}

#[test]
fn a_request_is_one_object_with_the_names_of_the_conventions() {
    let set = set(&plan());
    let mut record = Record::open(&set.recorder);
    record.asked(
        &Method::GET,
        "api.example.com",
        "/devices/7",
        Some("limit=50&session=abc"),
    );
    record.over(Version::HTTP_2, true);
    record.from("192.0.2.7".parse().unwrap(), "10.0.0.1".parse().unwrap());
    record.user_agent(Some(&HeaderValue::from_static("curl/8")));
    record.ids("r-1", Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    record.matched(&set.metrics.route("central", "GET /devices/{id}"));
    record.caller(&identity());
    record.user("alice@example.com");
    record.acting(
        Some(&CustomerId::try_from("c-1").unwrap()),
        Some(&TenantId::try_from("t-1").unwrap()),
    );
    record.region("us-1");
    record.upstream(
        "monitoring",
        Some("10.0.0.9:80"),
        2,
        Some(Duration::from_millis(3)),
    );
    record.answering(StatusCode::OK);
    record.request_bytes(5);
    record.sent(7);
    record.sent(8);
    set.clock.advance(Duration::from_micros(4_500));
    record.close(Ending::Whole);
    drop(record);
    assert!(set.log.flush(LONG));
    assert_eq!(
        set.shown.lines(),
        [serde_json::json!({
            "timestamp": "2023-11-14T22:13:20.000Z",
            "http.request.method": "GET",
            "server.address": "api.example.com",
            "url.path": "/devices/7",
            "url.query": "limit=50&session=***",
            "network.protocol.version": "2",
            "url.scheme": "https",
            "client.address": "192.0.2.7",
            "network.peer.address": "10.0.0.1",
            "user_agent.original": "curl/8",
            "tollgate.request_id": "r-1",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "tollgate.api": "central",
            "http.route": "GET /devices/{id}",
            "tollgate.credential": "jwt",
            "tollgate.issuer": "central-idp",
            "tollgate.subject": "user-1",
            "tollgate.user": "alice@example.com",
            "tollgate.client": "app-1",
            "tollgate.customer": "c-1",
            "tollgate.tenant": "t-1",
            "tollgate.region": "us-1",
            "tollgate.backend": "monitoring",
            "tollgate.endpoint": "10.0.0.9:80",
            "tollgate.attempts": 2,
            "tollgate.upstream.duration": 0.003,
            "http.response.status_code": 200,
            "tollgate.outcome": "answered",
            "http.request.body.size": 5,
            "http.response.body.size": 15,
            "http.server.request.duration": 0.0045,
        })]
    );
}

#[test]
fn a_refusal_says_its_code_its_limit_and_what_the_client_is_not_told() {
    let set = set(&plan());
    let mut record = Record::open(&set.recorder);
    record.refused(&Rejection::RateLimited(Box::new(RateLimited {
        limit: LimitName::try_from("per-customer").unwrap(),
        tokens: 7,
        period_seconds: 1,
        retry_after_seconds: 1,
        fields: Vec::new(),
    })));
    record.answering(StatusCode::TOO_MANY_REQUESTS);
    record.close(Ending::Whole);
    let mut record = Record::open(&set.recorder);
    record.refused(&Rejection::CredentialsInvalid("the signature does not match"));
    record.close(Ending::ClientGone);
    assert!(set.log.flush(LONG));
    let lines = set.shown.lines();
    assert_eq!(lines[0]["tollgate.refusal.code"], "rate_limited");
    assert_eq!(lines[0]["tollgate.limit"], "per-customer");
    assert_eq!(lines[0]["tollgate.outcome"], "refused");
    assert_eq!(
        lines[1]["tollgate.refusal.detail"],
        "invalid credentials: the signature does not match"
    );
    assert_eq!(lines[1]["tollgate.outcome"], "refused");
    assert!(
        set.metrics
            .render()
            .contains("tollgate_requests_total{api=\"none\",route=\"none\",code=\"rate_limited\"} 1")
    );
}

#[test]
fn a_record_that_is_dropped_was_left_by_its_client_and_is_counted_once() {
    let set = set(&plan());
    let mut record = Record::open(&set.recorder);
    record.answering(StatusCode::OK);
    assert_eq!(set.metrics.in_flight.value(), 1);
    drop(record);
    assert_eq!(set.metrics.in_flight.value(), 0);
    let mut record = Record::open(&set.recorder);
    record.close(Ending::UpstreamCut);
    record.close(Ending::Whole);
    drop(record);
    assert!(set.log.flush(LONG));
    let outcomes: Vec<String> = set
        .shown
        .lines()
        .iter()
        .map(|line| line["tollgate.outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["client_gone", "upstream_cut"]);
    let text = set.metrics.render();
    for code in ["client_gone", "upstream_cut"] {
        let line = format!("tollgate_requests_total{{api=\"none\",route=\"none\",code=\"{code}\"}} 1\n");
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn without_an_access_log_a_record_counts_all_the_same() {
    let metrics = Metrics::new();
    let recorder = Recorder::new(Clock::system(), Arc::clone(&metrics), None);
    let mut record = Record::open(&recorder);
    record.asked(&Method::GET, "h", "/", Some("a=b"));
    record.matched(&metrics.route("central", "devices"));
    record.answering(StatusCode::NOT_FOUND);
    record.close(Ending::Whole);
    assert!(
        metrics
            .render()
            .contains("tollgate_requests_total{api=\"central\",route=\"devices\",code=\"4xx\"} 1")
    );
}

#[test]
fn no_secret_of_a_query_reaches_the_log_and_no_query_at_all_unless_configured() {
    const CANARY: &str = "eyJhbGciOiJFUzI1NiJ9.canary.token";
    let secret = format!("access_token={CANARY}&a=1&client%5Fsecret={CANARY}&session={CANARY}");
    for query in [true, false] {
        let set = set(&AccessLogPlan { query, ..plan() });
        let mut record = Record::open(&set.recorder);
        record.asked(&Method::GET, "h", "/", Some(&secret));
        record.close(Ending::Whole);
        assert!(set.log.flush(LONG));
        let lines = set.shown.lines();
        assert!(!lines[0].to_string().contains("canary"));
        let shown = lines[0]
            .get(Field::Query.name())
            .map(|value| value.as_str().unwrap());
        let wanted = "access_token=***&a=1&client%5Fsecret=***&session=***";
        assert_eq!(shown, query.then_some(wanted));
    }
}

/// A writer that blocks, as a pipe that nobody reads, until the test lets it go.
struct Stuck {
    entered: SyncSender<()>,
    go: Receiver<()>,
    shown: Shown,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The test waits for the first write only.
        let _ = self.entered.try_send(());
        // Ends with an error when the test is over; then there is nothing left to prove.
        let _ = self.go.recv();
        self.shown.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_pipe_never_holds_a_worker_and_what_is_lost_is_counted() {
    let (entered, inside) = sync_channel(8);
    let (release, go) = sync_channel(0);
    let shown = Shown::default();
    let metrics = Metrics::new();
    let plan = AccessLogPlan { queue: 10, ..plan() };
    let stuck = Stuck {
        entered,
        go,
        shown: shown.clone(),
    };
    let log = AccessLog::to_writer(&plan, Box::new(stuck), &metrics).unwrap();
    let line = |number: u64| {
        let mut line = log.line();
        line.number(Field::Attempts, number);
        log.write(line);
    };
    line(0);
    inside.recv().unwrap();
    for number in 1..=25 {
        line(number);
    }
    assert_eq!(metrics.access_log_dropped.value(), 15);
    assert!(!log.flush(Duration::ZERO));
    drop(release);
    assert!(log.flush(LONG));
    let numbers: Vec<u64> = shown
        .lines()
        .iter()
        .map(|line| line["tollgate.attempts"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..=10).collect::<Vec<_>>());
    assert_eq!(metrics.access_log_lines.value(), 26);
}

#[test]
fn a_rotated_file_is_let_go_after_the_lines_that_belong_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let old = folder.path().join("access.log.1");
    let metrics = Metrics::new();
    let plan = AccessLogPlan {
        file: Some(path.clone()),
        ..plan()
    };
    let log = AccessLog::open(&plan, &metrics).unwrap();
    let line = |number: u64| {
        let mut line = log.line();
        line.number(Field::Attempts, number);
        log.write(line);
    };
    line(1);
    assert!(log.flush(LONG));
    std::fs::rename(&path, &old).unwrap();
    line(2);
    log.reopen();
    assert!(log.flush(LONG));
    line(3);
    assert!(log.flush(LONG));
    assert_eq!(
        std::fs::read_to_string(&old).unwrap(),
        "{\"tollgate.attempts\":1}\n{\"tollgate.attempts\":2}\n"
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"tollgate.attempts\":3}\n"
    );
}

#[test]
fn a_log_that_cannot_be_written_loses_lines_and_says_so_in_the_metric() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let metrics = Metrics::new();
    let log = AccessLog::to_writer(&plan(), Box::new(Full), &metrics).unwrap();
    log.write(log.line());
    assert!(log.flush(LONG));
    assert_eq!(metrics.access_log_dropped.value(), 1);
}

#[test]
fn the_manual_lists_every_field_and_every_parameter_that_is_hidden() {
    let page = include_str!("../../../docs/operations.md");
    let mut table = String::from("| field | what it says |\n|---|---|\n");
    for field in Field::ALL {
        table.push_str(&format!("| `{}` | {} |\n", field.name(), field.says()));
    }
    assert!(
        page.contains(&table),
        "put this into docs/operations.md:\n\n{table}"
    );
    for name in super::redaction::ALWAYS {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
