//! Files that are not a store, or not one that can be used.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate::base::digest::Digest;
use tollgate::store::{Outage, Store, StoreError, StorePlan};

use crate::world::{World, a_session, a_user, at, operator, realm};

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(&StorePlan::Sqlite {
        path: path.to_owned(),
    })
    .await
}

async fn refused(path: &Path) -> StoreError {
    match open(path).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

/// A store with something in it, closed.
async fn a_store() -> (TempDir, PathBuf) {
    let world = World::in_file().await;
    let user = world.user("anna").await;
    for number in 0..300 {
        world.grant(&format!("g{number}"), Some(user.id)).await;
    }
    world.store.close().await.unwrap();
    let folder = world.folder.unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let world = World::in_file().await;
    world.user("anna").await;
    for entry in std::fs::read_dir(world.folder.unwrap().path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_closed_store_is_one_file_and_opens_again() {
    let (folder, path) = a_store().await;
    let store = open(&path).await.unwrap();
    assert_eq!(
        store
            .user_by_key(realm(), a_user("anna").key)
            .await
            .unwrap()
            .unwrap()
            .name,
        a_user("anna").name
    );
    store.close().await.unwrap();
    drop(store);
    let wal = folder.path().join("store.db-wal");
    let left = wal.metadata().map_or(0, |metadata| metadata.len());
    assert_eq!(left, 0, "the write-ahead log is carried over");
}

#[tokio::test]
async fn the_use_of_sessions_is_written_down_at_the_end() {
    let world = World::in_file().await;
    world
        .store
        .open_session(a_session("s", a_user("x").id), operator(0))
        .await
        .unwrap();
    world.store.touch(Digest::of("s"), at(500)).await.unwrap();
    world.store.close().await.unwrap();
    let folder = world.folder.unwrap();
    let store = open(&folder.path().join("store.db")).await.unwrap();
    let session = store
        .session(realm(), Digest::of("s"), at(1_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(session.last_seen, at(500));
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, b"").unwrap();
    open(&path).await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn something_else_is_not_taken_for_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "listeners:\n  - address: 127.0.0.1:8080\n".repeat(300)).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refused(&path).await, StoreError::Corrupt { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), before, "it is left as it was");

    let foreign = folder.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection
        .execute_batch("CREATE TABLE users (id INTEGER); INSERT INTO users VALUES (1)")
        .unwrap();
    let error = refused(&foreign).await;
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert!(!error.is_transient());
    let count: i64 = connection
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_in_words_and_left_alone() {
    let (_folder, path) = a_store().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&path).await;
    assert_eq!(error, StoreError::NewerSchema { found: 99, known: 2 });
    assert!(error.to_string().contains("schema version 99") && !error.is_transient());
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

type Damage = fn(&mut Vec<u8>);

#[tokio::test]
async fn a_damaged_store_is_refused() {
    let damages: [(&str, Damage); 4] = [
        ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("zeroes inside", |bytes| bytes[3 * 4_096..5 * 4_096].fill(0)),
        ("noise inside", |bytes| {
            for (place, byte) in bytes.iter_mut().enumerate().skip(4_096).step_by(97) {
                *byte ^= u8::try_from(place % 251).unwrap() | 1;
            }
        }),
        ("a broken head", |bytes| bytes[..16].fill(0)),
    ];
    for (name, damage) in damages {
        let (_folder, path) = a_store().await;
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, StoreError::Corrupt { .. }), "{name}: {error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn noise_in_the_write_ahead_log_is_as_if_it_had_not_been_written() {
    let (folder, path) = a_store().await;
    std::fs::write(folder.path().join("store.db-wal"), vec![0x5a; 100_000]).unwrap();
    let store = open(&path).await.unwrap();
    store.check().await.unwrap();
    assert!(
        store
            .user_by_key(realm(), a_user("anna").key)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let missing = tempfile::tempdir()
        .unwrap()
        .path()
        .join("no/such/folder/store.db");
    for path in [missing.as_path(), Path::new("/proc/store.db"), Path::new("/")] {
        let error = refused(path).await;
        let StoreError::Unavailable { outage, detail } = &error else {
            panic!("{error}")
        };
        assert!(matches!(outage, Outage::Io | Outage::ReadOnly), "{error}");
        assert!(
            detail.contains(path.to_str().unwrap()) || path == Path::new("/"),
            "{error}"
        );
    }
}
