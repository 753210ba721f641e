//! `kill -9` of the gateway in the middle of issuing, revoking and locking, again and again: what a client was told holds after
//! the next start.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tollgate::base::random;

use crate::support::client::{Got, get, request, send, try_send};
use crate::support::process::Process;
use crate::support::upstream::Upstream;
use crate::support::world::config;

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { form: {} }, gives: session } }
      - path: /token
        methods: [POST]
        public: true
        to: { token: { service: staff } }
      - path: /revoke
        methods: [POST]
        public: true
        to: { revoke: staff }
      - path: /{*rest}
        to: { backend: backend }
"#;

const CLIENT: &str = "client_id=app1&client_secret=the+secret+of+app1";

/// Rounds: few in the normal run; `make soak` says how many.
fn rounds() -> u32 {
    std::env::var("TOLLGATE_CRASH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10)
}

/// What clients were told, in answers that they have read.
#[derive(Default)]
struct Told {
    tokens: HashSet<String>,
    revoked: HashSet<String>,
    /// Revocations whose answer did not come: either may be true.
    perhaps: HashSet<String>,
    locked: Vec<String>,
}

fn start(folder: &Path, backend: &Upstream) -> Process {
    // A lock that is looked at after the next start has to last until then, and has to show.
    let text = config(
        backend,
        &format!("{{ sqlite: {}/store.db }}", folder.display()),
        ROUTES,
    )
    .replace("duration: 1m", "duration: 30m")
    .replace(
        "name: Reports & more",
        "name: Reports & more\n        customer: acme",
    )
    .replace("hosts: [api.test]", "hosts: [api.test]\n    dialect: telling")
        + "dialects: { telling: { locked_out: { status: 423 } } }\n";
    let file = folder.join("tollgate.yaml");
    std::fs::write(&file, text).unwrap();
    Process::start(&file)
}

/// `None` when the gateway was killed before it answered.
async fn post(address: SocketAddr, target: &str, body: &str) -> Option<Got> {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    try_send(address, request("POST", "api.test", target, &form, body))
        .await
        .ok()
}

/// One client that gets tokens, revokes every other one, and locks names, until nobody answers any more.
async fn works(
    address: SocketAddr,
    name: String,
    told: Arc<Mutex<Told>>,
    answers: Arc<AtomicUsize>,
) -> Option<()> {
    for turn in 0.. {
        let got = post(
            address,
            "/token",
            &format!("grant_type=client_credentials&{CLIENT}"),
        )
        .await?;
        assert_eq!(got.status, 200, "{}", got.text());
        let token = got.json()["access_token"].as_str().unwrap().to_owned();
        told.lock().unwrap().tokens.insert(token.clone());
        answers.fetch_add(1, Ordering::Relaxed);
        if turn % 2 == 0 {
            told.lock().unwrap().perhaps.insert(token.clone());
            let got = post(address, "/revoke", &format!("token={token}&{CLIENT}")).await?;
            assert_eq!(got.status, 200, "{}", got.text());
            told.lock().unwrap().revoked.insert(token);
            answers.fetch_add(1, Ordering::Relaxed);
        }
        if turn % 4 == 1 {
            // A name that nobody has is locked like any other.
            let nobody = format!("{name}-{turn}");
            for _ in 0..3 {
                let got = post(address, "/login", &format!("username={nobody}&password=wrong")).await?;
                assert_eq!(got.status, 401, "{}", got.text());
            }
            told.lock().unwrap().locked.push(nobody);
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
    None
}

async fn holds(address: SocketAddr, told: &Told) {
    for token in &told.tokens {
        let bearer = format!("Bearer {token}");
        let got = send(address, get("api.test", "/x", &[("authorization", &bearer)])).await;
        if told.revoked.contains(token) {
            assert_eq!(got.status, 401, "a revoked token came back");
        } else if !told.perhaps.contains(token) {
            assert_eq!(got.status, 200, "a token was lost: {}", got.text());
        }
    }
    for name in &told.locked {
        let got = post(address, "/login", &format!("username={name}&password=wrong"))
            .await
            .expect("an answer");
        assert_eq!(got.status, 423, "a lock was lost: {}", got.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_no_token_no_revocation_and_no_lock_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Upstream::start("backend").await;
    let mut all = Told::default();
    let mut slowest = Duration::ZERO;
    let mut process = start(folder.path(), &backend);
    for round in 0..rounds() {
        let told = Arc::new(Mutex::new(Told::default()));
        let answers = Arc::new(AtomicUsize::new(0));
        let lanes: Vec<_> = (0..4)
            .map(|lane| {
                let (told, answers) = (Arc::clone(&told), Arc::clone(&answers));
                tokio::spawn(works(process.address, format!("n{round}-{lane}"), told, answers))
            })
            .collect();
        // A random number of answers is a random moment.
        let enough = 20 + usize::from(random::bytes16()[0] % 64);
        while answers.load(Ordering::Relaxed) < enough {
            assert!(
                lanes.iter().any(|lane| !lane.is_finished()),
                "nobody works any more"
            );
            tokio::task::yield_now().await;
        }
        process.kill();
        for lane in lanes {
            lane.await.unwrap();
        }
        let begun = Instant::now();
        process = start(folder.path(), &backend);
        slowest = slowest.max(begun.elapsed());
        let told = std::mem::take(&mut *told.lock().unwrap());
        holds(process.address, &told).await;
        all.tokens.extend(told.tokens);
        all.revoked.extend(told.revoked);
        all.perhaps.extend(told.perhaps);
        all.locked.extend(told.locked);
    }
    // And what was said in earlier rounds still holds after the last; their locks may be over by now.
    let locks = all.locked.len();
    all.locked.clear();
    holds(process.address, &all).await;
    assert!(!all.tokens.is_empty() && !all.revoked.is_empty() && locks > 0);
    println!(
        "{} rounds: {} tokens, {} revocations, {} locks; slowest start {slowest:?}",
        rounds(),
        all.tokens.len(),
        all.revoked.len(),
        locks
    );
}
