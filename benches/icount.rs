//! Scenarios whose instructions are counted, since counts repeat where times do not.
//!
//! `icount SCENARIO TIMES` runs one so many times inside [`measured`]; under
//! `valgrind --tool=callgrind --toggle-collect='icount::measured*'` only that is counted. `icount --list` names them.
//! Without arguments each runs once. `tests/instruction_budget.rs` holds them to `benches/budget.txt`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench may stop at the first surprise, and says what it has"
)]

mod scene;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Method, StatusCode};
use scene::callers::{Callers, OWN_TOKEN, OwnDoor};
use scene::{BEARER, Door, HIT, HOST, LIMITED, MISS, NOW, config, request};
use tollgate::auth::Presented;
use tollgate::base::clock::{Clock, Tick};
use tollgate::base::digest::Digest;
use tollgate::base::units::Quota;
use tollgate::limits::bucket::{Bucket, Spend};
use tollgate::limits::json::Counter;
use tollgate::routing::router::{Builder, HostMatch};

/// Name, and what prepares it and then runs it so many times.
type Scenario = (&'static str, fn(usize));

const SCENARIOS: &[Scenario] = &[
    ("router_10000_routes", router),
    ("token_digest", digest),
    ("token_hit", |times| token(HIT, times)),
    ("token_miss", |times| token(MISS, times)),
    ("bucket_spend", bucket),
    ("items_50_devices", items),
    ("pipeline_hit", |times| whole(HIT, StatusCode::OK, times)),
    ("pipeline_429", |times| {
        whole(LIMITED, StatusCode::TOO_MANY_REQUESTS, times);
    }),
    ("own_token_digest", |times| digest_of(OWN_TOKEN, times)),
    ("own_token_hit", |times| own(&Callers::open().token(), times)),
    ("session_hit", |times| own(&Callers::open().session(), times)),
];

/// Runs `work` so many times. A function of its own, with a name that can be found, in which counting is switched on.
#[inline(never)]
fn measured(times: usize, work: &mut dyn FnMut()) {
    for _ in 0..times {
        work();
    }
    // Keeps the loop from ending in a jump to `work`, after which this function would be over.
    black_box(times);
}

fn router(times: usize) {
    let mut builder = Builder::new();
    builder.host(HostMatch::Exact(HOST.to_owned()), 0);
    for n in 0..10_000 {
        let path = match n % 3 {
            0 => format!("/monitoring/v{}/things{n}", n % 7),
            1 => format!("/msp_api/v1/customers{n}/{{customer_id}}/devices"),
            _ => format!("/configuration/v{}/{{group}}/sub{n}/{{*rest}}", n % 7),
        };
        builder.route(0, &path, &[Method::GET, Method::PUT], n).unwrap();
    }
    let router = builder.build();
    let mut find = || {
        let found = router.find(
            black_box(HOST),
            black_box("/msp_api/v1/customers1/267958b55d5a463e/devices"),
            &Method::GET,
        );
        assert!(black_box(found).is_ok());
    };
    find();
    measured(times, &mut find);
}

fn door() -> Door {
    Door::open(&config("http://127.0.0.1:9"), Clock::manual(NOW))
}

fn digest(times: usize) {
    digest_of(BEARER.strip_prefix("Bearer ").unwrap(), times);
}

fn digest_of(token: &str, times: usize) {
    measured(times, &mut || {
        let digest = Digest::of(black_box(token));
        black_box(&digest);
    });
}

/// A caller of our own accounts who is remembered.
fn own(door: &OwnDoor, times: usize) {
    let presented = Presented::get(&door.headers);
    let mut identify = || {
        let caller = door.credentials.identify(&presented, &door.clock);
        assert!(black_box(caller.now_or_never().unwrap()).is_ok());
    };
    identify();
    measured(times, &mut identify);
}

fn token(path: &'static str, times: usize) {
    let door = door();
    let call = request(path);
    let route = door.view.router.find(HOST, path, &Method::GET).unwrap().payload;
    let mut identify = || {
        let presented = Presented::get(call.headers());
        let caller = route.credentials.identify(&presented, door.shard.clock());
        assert!(black_box(caller.now_or_never().unwrap()).is_ok());
    };
    identify();
    measured(times, &mut identify);
}

fn bucket(times: usize) {
    let tokens = NonZeroU32::new(1_000_000).unwrap();
    let bucket = Bucket::new(Quota {
        tokens,
        per: Duration::from_secs(1),
        burst: tokens,
    });
    let word = AtomicU64::new(0);
    let mut now = 0;
    measured(times, &mut || {
        now += 2_000;
        let spent = bucket.spend(&word, NonZeroU32::MIN, Tick(black_box(now)));
        assert!(matches!(spent, Spend::Ok { .. }));
    });
}

fn items(times: usize) {
    let one = r#"{"serial":"CNABCDEFGH","mac":"00:11:22:33:44:55"}"#;
    let text = format!(r#"{{"devices":[{}],"group":"floor-3"}}"#, [one; 50].join(","));
    let pointer = ["devices".to_owned()];
    measured(times, &mut || {
        let mut counter = Counter::new(&pointer, 50);
        let counted = counter
            .feed(black_box(&text).as_bytes())
            .and_then(|()| counter.finish());
        assert!(counted.is_ok());
    });
}

/// Requests are made before; what is counted ends with the answer dropped and its record closed.
fn whole(path: &'static str, status: StatusCode, times: usize) {
    let door = door();
    for _ in 0..2 {
        assert!(door.handle(request(path)).now_or_never().is_some());
    }
    let mut requests: Vec<_> = (0..times).map(|_| request(path)).collect();
    measured(times, &mut || {
        let request = requests.pop().unwrap();
        let answer = door.handle(request).now_or_never().unwrap();
        assert_eq!(black_box(answer).status(), status);
    });
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    // cargo adds words of its own, such as `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let found = words.first().and_then(|name| {
        let scenario = SCENARIOS.iter().find(|(known, _)| known == name);
        scenario.map(|(_, run)| run)
    });
    match (words.first().map(String::as_str), found) {
        (Some("--list"), _) => {
            for (name, _) in SCENARIOS {
                println!("{name}");
            }
        }
        (Some(_), Some(run)) => run(words.get(1).map_or(1, |times| times.parse().unwrap())),
        _ => {
            for (name, run) in SCENARIOS {
                run(1);
                println!("{name}: ran");
            }
        }
    }
}
