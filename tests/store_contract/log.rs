use std::sync::{Arc, Mutex};

use tollgate::base::digest::Digest;
use tollgate::identity::UserId;
use tollgate::store::backend::{AuditFilter, PageSize, Paging};
use tollgate::store::model::{Actor, AuditNote, By, Change, UserState};
use tollgate::store::outcome::{Changes, Revocation};
use tollgate::store::{Listener, Notice, Outage, StoreError};

use crate::world::{World, a_session, at, client, elsewhere, key, operator, present, realm};

pub async fn what_is_done_has_an_entry_with_actor_and_time(world: World) {
    let anna = world.user("anna").await;
    let by = By::new(Actor::User(anna.id), at(7));
    world
        .store
        .change_user_state(realm(), anna.id, UserState::Disabled, by.clone())
        .await
        .unwrap();
    let by_itself = By::new(Actor::Application(client("app")), at(8));
    let note = AuditNote {
        realm: None,
        action: Box::from("sign_in.refuse"),
        subject: Box::from("x"),
        detail: Box::from("y"),
    };
    world.store.audit(note.clone(), by_itself.clone()).await.unwrap();
    let page = world
        .store
        .audit_entries(AuditFilter::default(), Paging::first(PageSize::MAX))
        .await
        .unwrap();
    let entries: Vec<_> = page.items.iter().map(|entry| (&entry.by, &entry.note)).collect();
    let disabled = AuditNote {
        realm: Some(realm()),
        action: Box::from("user.state"),
        subject: anna.id.to_string().into_boxed_str(),
        detail: Box::from("active -> disabled"),
    };
    let created = AuditNote {
        realm: Some(realm()),
        action: Box::from("user.create"),
        subject: anna.id.to_string().into_boxed_str(),
        detail: Box::from("anna (active)"),
    };
    assert_eq!(
        entries,
        [(&by_itself, &note), (&by, &disabled), (&operator(0), &created)]
    );
}

pub async fn entries_are_listed_newest_first_in_parts(world: World) {
    for number in 0..5 {
        let note = AuditNote {
            realm: (number % 2 == 0).then(realm),
            action: Box::from("test.note"),
            subject: number.to_string().into_boxed_str(),
            detail: Box::from(""),
        };
        world.store.audit(note, operator(number)).await.unwrap();
    }
    let list = async |filter: AuditFilter| {
        let mut paging = Paging::first(PageSize::new(2));
        let mut found = Vec::new();
        loop {
            let page = world.store.audit_entries(filter.clone(), paging).await.unwrap();
            found.extend(page.items.iter().map(|entry| entry.note.subject.to_string()));
            match page.next {
                Some(place) => paging = Paging::after(place, PageSize::new(2)),
                None => return found,
            }
        }
    };
    assert_eq!(list(AuditFilter::default()).await, ["4", "3", "2", "1", "0"]);
    let in_realm = AuditFilter {
        realm: Some(realm()),
        subject: None,
    };
    assert_eq!(list(in_realm).await, ["4", "2", "0"]);
    let about = AuditFilter {
        realm: None,
        subject: Some(Box::from("3")),
    };
    assert_eq!(list(about).await, ["3"]);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Change>>);

impl Listener for Heard {
    fn changed(&self, changes: &[Change]) {
        self.0.lock().unwrap().extend_from_slice(changes);
    }

    fn reload(&self) {
        panic!("nothing was missed");
    }
}

pub async fn changes_are_told_before_the_operation_is_answered(world: World) {
    let heard = Arc::new(Heard::default());
    world.store.listen(heard.clone());
    let mut queue = world.store.subscribe();
    let cursor = world.cursor().await;
    let mut expected = Vec::new();
    for number in 0..20 {
        let issued = world.grant(&format!("g{number}"), None).await;
        let revoked = world
            .store
            .revoke_family(realm(), issued.family.id, operator(1))
            .await
            .unwrap();
        assert_eq!(revoked, Revocation::Revoked);
        expected.push(Change::FamilyRevoked(issued.family.id));
        assert_eq!(*heard.0.lock().unwrap(), expected);
    }
    for change in &expected {
        assert_eq!(queue.next().await, Some(Notice::Changed(change.clone())));
    }
    assert_eq!(world.changes(cursor).await, expected);
}

pub async fn changes_are_read_from_a_cursor(world: World) {
    let start = world.cursor().await;
    let anna = world.user("anna").await;
    world
        .store
        .open_session(a_session("s", anna.id), operator(0))
        .await
        .unwrap();
    world
        .store
        .end_session(realm(), Digest::of("s"), operator(0))
        .await
        .unwrap();
    let Changes::Since { changes, cursor } = world
        .store
        .changes_since(Some(start), PageSize::new(1))
        .await
        .unwrap()
    else {
        panic!("reload")
    };
    let created = Change::UserChanged {
        realm: realm(),
        user: anna.id,
    };
    assert_eq!(changes, [created]);
    assert_eq!(
        world.changes(cursor).await,
        [Change::SessionEnded(Digest::of("s"))]
    );
    let end = world.cursor().await;
    assert_eq!(world.changes(end).await, []);
}

pub async fn a_cursor_that_is_unknown_means_read_everything_anew(world: World) {
    world.user("anna").await;
    let now = world.cursor().await;
    let ahead = world
        .store
        .changes_since(Some(now + 1), PageSize::MAX)
        .await
        .unwrap();
    assert_eq!(ahead, Changes::Reload { cursor: now });
}

pub async fn an_operation_that_changes_nothing_tells_nothing(world: World) {
    let anna = world.user("anna").await;
    let entries = world.actions().await.len();
    let cursor = world.cursor().await;
    let store = &world.store;
    store
        .change_user_state(realm(), anna.id, UserState::Active, operator(1))
        .await
        .unwrap();
    store
        .delete_user(realm(), UserId::random(), operator(1))
        .await
        .unwrap();
    store
        .delete_application(realm(), client("none"), operator(1))
        .await
        .unwrap();
    store
        .end_session(realm(), Digest::of("none"), operator(1))
        .await
        .unwrap();
    store
        .clear_attempts(realm(), key("none"), operator(1))
        .await
        .unwrap();
    store.withdraw_attempt(elsewhere(), key("none")).await.unwrap();
    store.touch(Digest::of("none"), at(1)).await.unwrap();
    store
        .redeem_code(present("none"), crate::world::first("a", "r", 1), at(1))
        .await
        .unwrap();
    assert_eq!(world.changes(cursor).await, []);
    assert_eq!(world.actions().await.len(), entries);
}

pub async fn whoever_does_not_keep_up_is_told_to_read_everything_anew(world: World) {
    let mut queue = world.store.subscribe();
    let user = UserId::random();
    // More sessions than the queue has room for end in one operation.
    let numbers: Vec<u32> = (0..4_200).collect();
    // Not all at once: a store may refuse what waits too long.
    for batch in numbers.chunks(500) {
        let opened = batch.iter().map(|number| {
            let session = a_session(&number.to_string(), user);
            world.store.open_session(session, operator(0))
        });
        for result in futures_util::future::join_all(opened).await {
            result.unwrap();
        }
    }
    assert_eq!(
        world
            .store
            .end_sessions_of(realm(), user, operator(1))
            .await
            .unwrap(),
        4_200
    );
    assert_eq!(queue.next().await, Some(Notice::Reload));
    assert!(matches!(
        queue.next().await,
        Some(Notice::Changed(Change::SessionEnded(_)))
    ));
}

pub async fn a_closed_store_refuses(world: World) {
    world.user("anna").await;
    world.store.close().await.unwrap();
    let closed = |error: StoreError| {
        assert!(!error.is_transient());
        matches!(
            error,
            StoreError::Unavailable {
                outage: Outage::Closed,
                ..
            }
        )
    };
    assert!(closed(
        world.store.user_by_key(realm(), key("anna")).await.unwrap_err()
    ));
    assert!(closed(
        world
            .store
            .end_session(realm(), Digest::of("s"), operator(1))
            .await
            .unwrap_err()
    ));
    assert!(closed(
        world.store.touch(Digest::of("s"), at(1)).await.unwrap_err()
    ));
}
