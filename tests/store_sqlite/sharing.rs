//! Other processes with the same file.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::store::backend::PageSize;
use tollgate::store::model::Change;
use tollgate::store::outcome::{Access, Changes, Revocation};
use tollgate::store::sqlite::Settings;
use tollgate::store::{Listener, Notice, Outage, Store, StoreError};

use crate::child::{Process, family_of};
use crate::world::{World, a_user, at, key, opaque, operator, realm};

async fn next(queue: &mut tollgate::store::Subscription) -> Notice {
    tokio::time::timeout(Duration::from_secs(20), queue.next())
        .await
        .expect("the change is told")
        .unwrap()
}

#[tokio::test]
async fn what_another_process_commits_is_told_here() {
    let world = World::in_file().await;
    let path = world.folder.as_ref().unwrap().path().join("store.db");
    let mut queue = world.store.subscribe();
    let mut child = Process::start(&path, None);
    assert_eq!(child.ask("issue a"), "done");
    assert!(world.works("a.access", 1).await, "committed is committed");
    // Nothing is written here meanwhile: the writer looks by itself.
    assert_eq!(child.ask("unissue a"), "Revoked");
    assert_eq!(
        next(&mut queue).await,
        Notice::Changed(Change::FamilyRevoked(family_of("a")))
    );
    assert_eq!(world.access("a.access", 2).await, Access::Revoked);

    // And the other way round, both writing.
    let revoked = world
        .store
        .revoke_family(realm(), family_of("a"), operator(3))
        .await
        .unwrap();
    assert_eq!(revoked, Revocation::Already);
    assert_eq!(child.ask("revoke b"), "done");
    let user = world.user("anna").await;
    assert_eq!(
        next(&mut queue).await,
        Notice::Changed(Change::FamilyRevoked(family_of("b")))
    );
    let created = Change::UserChanged {
        realm: realm(),
        user: user.id,
    };
    assert_eq!(next(&mut queue).await, Notice::Changed(created));
}

#[derive(Debug, Default)]
struct Counts(Mutex<(usize, usize)>);

impl Listener for Counts {
    fn changed(&self, changes: &[Change]) {
        self.0.lock().unwrap().0 += changes.len();
    }

    fn reload(&self) {
        self.0.lock().unwrap().1 += 1;
    }
}

#[tokio::test]
async fn whoever_is_too_far_behind_another_process_is_told_to_reload() {
    let world = World::in_file().await;
    let path = world.folder.as_ref().unwrap().path().join("store.db");
    let counts = Arc::new(Counts::default());
    world.store.listen(counts.clone());
    world.user("anna").await;
    let cursor = world.cursor().await;
    // As if another process had made very many changes and swept them.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "BEGIN; DELETE FROM changes; INSERT INTO changes (seq, kind, subject) VALUES (50000, 'family', zeroblob(16)); \
             COMMIT",
        )
        .unwrap();
    world.user("carl").await;
    assert_eq!(*counts.0.lock().unwrap(), (2, 1));
    let changes = world
        .store
        .changes_since(Some(cursor), PageSize::MAX)
        .await
        .unwrap();
    assert_eq!(changes, Changes::Reload { cursor: 50_001 });
}

/// A store whose file somebody else holds; `held` lets go of it.
async fn held(settings: Settings) -> (tempfile::TempDir, Store, rusqlite::Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::in_file(&path, settings).await.unwrap();
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    (folder, store, holder)
}

fn outage(error: &StoreError) -> Outage {
    assert!(error.is_transient(), "{error}");
    match error {
        StoreError::Unavailable { outage, .. } => *outage,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_file_that_is_held_too_long_refuses_writes_and_answers_questions() {
    let settings = Settings {
        busy: Duration::from_millis(20),
        ..Settings::default()
    };
    let (_folder, store, holder) = held(settings).await;
    let error = store.create_user(a_user("anna"), operator(0)).await.unwrap_err();
    assert_eq!(outage(&error), Outage::Locked);
    let access = store.access(realm(), opaque("x"), at(0)).await.unwrap();
    assert_eq!(access, Access::Unknown);
    holder.execute_batch("ROLLBACK").unwrap();
    store.create_user(a_user("anna"), operator(0)).await.unwrap();
}

/// Stops the writer after a commit until it is let go.
#[derive(Debug)]
struct Gate {
    reached: SyncSender<()>,
    open: Mutex<Receiver<()>>,
}

impl Listener for Gate {
    fn changed(&self, _: &[Change]) {
        self.reached.send(()).unwrap();
        let _ = self.open.lock().unwrap().recv();
    }

    fn reload(&self) {}
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_what_waits_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        queue: 2,
        ..Settings::default()
    };
    let store = Store::in_file(&folder.path().join("store.db"), settings)
        .await
        .unwrap();
    let (reached, at_gate) = sync_channel(8);
    let (let_go, open) = sync_channel(8);
    store.listen(Arc::new(Gate {
        reached,
        open: Mutex::new(open),
    }));
    let create = |name: &str| store.create_user(a_user(name), operator(0));
    let first = create("first");
    at_gate.recv().unwrap();
    // The writer has its hands full: two may wait, and no more.
    let waiting = [create("second"), create("third")];
    for name in ["fourth", "fifth"] {
        assert_eq!(outage(&create(name).await.unwrap_err()), Outage::QueueFull);
    }
    let access = store.access(realm(), opaque("x"), at(0)).await.unwrap();
    assert_eq!(access, Access::Unknown, "reading goes on");
    drop(let_go);
    first.await.unwrap();
    for created in futures_util::future::join_all(waiting).await {
        created.unwrap();
    }
    for (name, there) in [("first", true), ("third", true), ("fourth", false)] {
        let user = store.user_by_key(realm(), key(name)).await.unwrap();
        assert_eq!(user.is_some(), there, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_open_whether_it_happened() {
    let settings = Settings {
        busy: Duration::from_secs(30),
        deadline: Duration::from_millis(20),
        ..Settings::default()
    };
    let (_folder, store, holder) = held(settings).await;
    let user = a_user("anna");
    let error = store.create_user(user.clone(), operator(0)).await.unwrap_err();
    assert_eq!(outage(&error), Outage::TimedOut);
    let mut queue = store.subscribe();
    holder.execute_batch("ROLLBACK").unwrap();
    // Here it does.
    let created = Change::UserChanged {
        realm: realm(),
        user: user.id,
    };
    assert_eq!(next(&mut queue).await, Notice::Changed(created));
}

#[tokio::test]
async fn an_operation_goes_on_when_nobody_waits_for_it() {
    let world = World::in_file().await;
    let mut queue = world.store.subscribe();
    let user = a_user("anna");
    drop(world.store.create_user(user.clone(), operator(0)));
    let created = Change::UserChanged {
        realm: realm(),
        user: user.id,
    };
    assert_eq!(next(&mut queue).await, Notice::Changed(created));
}

#[tokio::test]
async fn two_stores_may_be_made_of_one_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let opened =
        futures_util::future::join_all((0..4).map(|_| Store::in_file(&path, Settings::default()))).await;
    for (number, store) in opened.into_iter().enumerate() {
        store
            .unwrap()
            .create_user(a_user(&format!("u{number}")), operator(0))
            .await
            .unwrap();
    }
}
