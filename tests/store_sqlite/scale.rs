//! How fast, and how large. Ignored in the normal run: they say numbers of this machine, and take their time.
//!
//! `cargo test --release --test store_sqlite scale -- --ignored --nocapture --test-threads 1`

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::identity::{FamilyId, UserId};
use tollgate::store::outcome::{Access, Redemption, Rotation};
use tollgate::store::{Store, StorePlan};

use crate::world::{a_code, a_family, at, first, next, opaque, operator, present, realm, refreshing, tokens};

const CALLERS: usize = 64;

/// How often a second the disk can be told to keep one page.
fn syncs_a_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("syncs")).unwrap();
    let page = [0x5a; 4_096];
    let begun = Instant::now();
    let mut syncs = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / begun.elapsed().as_secs_f64()
}

/// Runs `each` for every number below `count` in [`CALLERS`] tasks; answers how many a second, and the time of the slowest
/// hundredth.
async fn pace<F, Fut>(count: usize, each: F) -> (f64, Duration)
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let each = each.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for number in (caller..count).step_by(CALLERS) {
                    let begun = Instant::now();
                    each(number).await;
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let whole = begun.elapsed();
    times.sort_unstable();
    let rate = f64::from(u32::try_from(count).unwrap()) / whole.as_secs_f64();
    (rate, times[times.len() * 99 / 100])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn codes_redeemed_a_second() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let syncs = syncs_a_second(folder.path());
    println!("disk: {syncs:.0} writes of 4 KiB with fdatasync a second, one after the other");
    for (kind, store) in [
        ("memory", Store::memory()),
        (
            "sqlite",
            Store::open(&StorePlan::Sqlite {
                path: folder.path().join("store.db"),
            })
            .await
            .unwrap(),
        ),
    ] {
        const COUNT: usize = 20_000;
        let store = Arc::new(store);
        let shared = Arc::clone(&store);
        let (rate, slow) = pace(COUNT, move |number| {
            let store = Arc::clone(&shared);
            async move {
                store
                    .store_code(a_code(&format!("c{number}"), UserId::random()))
                    .await
                    .unwrap()
            }
        })
        .await;
        println!("{kind}: codes stored a second, {CALLERS} callers: {rate:.0}; p99 {slow:?}");
        let shared = Arc::clone(&store);
        let (rate, slow) = pace(COUNT, move |number| {
            let store = Arc::clone(&shared);
            async move {
                let first = first(&format!("a{number}"), &format!("r{number}"), 1);
                let redeemed = store
                    .redeem_code(present(&format!("c{number}")), first, at(1))
                    .await
                    .unwrap();
                assert!(matches!(redeemed, Redemption::Redeemed(_)));
            }
        })
        .await;
        println!("{kind}: codes redeemed a second, {CALLERS} callers: {rate:.0}; p99 {slow:?}");
        let shared = Arc::clone(&store);
        let (rate, slow) = pace(COUNT, move |number| {
            let store = Arc::clone(&shared);
            async move {
                let next = next(&format!("b{number}"), &format!("s{number}"), 2);
                let rotated = store
                    .rotate_refresh(refreshing(&format!("r{number}")), next, at(2))
                    .await
                    .unwrap();
                assert!(matches!(rotated, Rotation::Rotated(_)));
            }
        })
        .await;
        println!("{kind}: refreshes a second, {CALLERS} callers: {rate:.0}; p99 {slow:?}");
        let shared = Arc::clone(&store);
        let (rate, slow) = pace(COUNT, move |number| {
            let store = Arc::clone(&shared);
            async move {
                let access = store
                    .access(realm(), opaque(&format!("b{number}")), at(3))
                    .await
                    .unwrap();
                assert!(matches!(access, Access::Live(_)));
            }
        })
        .await;
        println!("{kind}: access tokens read a second, {CALLERS} callers: {rate:.0}; p99 {slow:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million tokens are written first"]
async fn a_store_of_a_million_tokens_starts_within_two_seconds() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("store.db");
    let plan = StorePlan::Sqlite { path: path.clone() };
    let store = Store::open(&plan).await.unwrap();
    store
        .issue(a_family("app", None), tokens("known", Some("r"), 0), operator(0))
        .await
        .unwrap();
    store.close().await.unwrap();
    drop(store);
    fill(&path);
    let size = path.metadata().unwrap().len();

    let begun = Instant::now();
    let store = Store::open(&plan).await.unwrap();
    let opened = begun.elapsed();
    assert!(matches!(
        store.access(realm(), opaque("known"), at(1)).await.unwrap(),
        Access::Live(_)
    ));
    store
        .issue(a_family("app", None), tokens("new", Some("r2"), 0), operator(0))
        .await
        .unwrap();
    let ready = begun.elapsed();
    let begun = Instant::now();
    store.backup(folder.path().join("copy.db")).await.unwrap();
    let copied = begun.elapsed();
    println!(
        "a million families with an access and a refresh token each: {} MiB; open {opened:?}, first write {ready:?}, backup \
         {copied:?}",
        size >> 20
    );
    assert!(ready < Duration::from_secs(2));

    let shared = Arc::new(store);
    let store = Arc::clone(&shared);
    let (rate, slow) = pace(20_000, move |number| {
        let store = Arc::clone(&shared);
        async move {
            let mut family = a_family("app", Some(UserId::random()));
            family.id = FamilyId::random();
            let tokens = tokens(&format!("t{number}"), Some(&format!("q{number}")), 1);
            store.issue(family, tokens, operator(1)).await.unwrap();
        }
    })
    .await;
    println!("issued a second into it, {CALLERS} callers: {rate:.0}; p99 {slow:?}");
    store.close().await.unwrap();
}

/// A million families and their tokens, by the shortest way: rows in the order of their keys, indices afterwards.
fn fill(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let indices: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN")
        .unwrap();
    for (name, _) in &indices {
        connection.execute_batch(&format!("DROP INDEX {name}")).unwrap();
    }
    connection
        .execute_batch(
            "INSERT INTO families (id, realm, client_id, user, scopes, roles, origin, created_at, expires_at)
               WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000000)
               SELECT randomblob(16) AS id, 'staff', 'app', randomblob(16), 'all read', 'customer_users', 'code',
                      1800000000 + value, 1800086400 + value FROM n ORDER BY id;
             INSERT INTO access (key, family, issued_at, expires_at, revoked)
               SELECT CAST('o' || CAST(randomblob(32) AS TEXT) AS BLOB) AS key, id, created_at, created_at + 7200, 0
               FROM families ORDER BY key;
             INSERT INTO refresh (digest, family, generation, issued_at, expires_at, state, access)
               SELECT randomblob(32) AS digest, id, 0, created_at, expires_at, 'current', randomblob(33)
               FROM families ORDER BY digest;",
        )
        .unwrap();
    for (_, sql) in &indices {
        connection.execute_batch(sql).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
