use std::convert::Infallible;

use std::sync::atomic::{AtomicBool, AtomicU8};

use futures_util::FutureExt as _;

use super::*;

const NOW: UnixTime = UnixTime(1_000);

fn realm() -> RealmName {
    RealmName::try_from("central").unwrap()
}

fn key(name: &str) -> AccountKey {
    AccountKey::try_from(name).unwrap()
}

fn things() -> Vec<Thing> {
    vec![
        Thing::User(realm(), UserId::from_bytes([1; 16])),
        Thing::Application(realm(), ClientId::try_from("app").unwrap()),
        Thing::Family(FamilyId::from_bytes([2; 16])),
        Thing::Session(Digest::of("session")),
        Thing::Access(AccessKey::Opaque(Digest::of("token"))),
    ]
}

fn changed(cells: &Cells, change: Change) {
    cells.changed(&[change]);
}

fn user_changed(cells: &Cells) {
    changed(
        cells,
        Change::UserChanged {
            realm: realm(),
            user: UserId::from_bytes([1; 16]),
        },
    );
}

fn attempts(cells: &Cells, name: &str, until: Option<i64>) {
    changed(
        cells,
        Change::AttemptsChanged {
            realm: realm(),
            key: key(name),
            locked_until: until.map(UnixTime),
        },
    );
}

/// A look-up that has found this.
fn read<T: Send + 'static>(reading: Reading<T>) -> Read<'static, T, Infallible> {
    Box::pin(std::future::ready(Ok(reading)))
}

/// Marks of a read during which nothing happens.
fn quiet(cells: &Cells, of: Vec<Thing>, lock: Option<Option<i64>>) -> Marks {
    let read = || {
        read(Reading {
            value: (),
            of: of.clone(),
            lock: lock.map(|until| (realm(), key("alice"), until.map(UnixTime))),
        })
    };
    cells.observe(read).now_or_never().unwrap().unwrap().1
}

#[test]
fn each_thing_that_changes_or_ends_is_seen_at_the_next_look() {
    let client_id = ClientId::try_from("app").unwrap();
    for (change, wanted) in [
        (
            Change::UserChanged {
                realm: realm(),
                user: UserId::from_bytes([1; 16]),
            },
            State::Stale,
        ),
        (
            Change::ApplicationChanged {
                realm: realm(),
                client_id,
            },
            State::Stale,
        ),
        (Change::FamilyRevoked(FamilyId::from_bytes([2; 16])), State::Ended),
        (Change::SessionEnded(Digest::of("session")), State::Ended),
        (Change::SessionChanged(Digest::of("session")), State::Stale),
        (
            Change::AccessRevoked(AccessKey::Opaque(Digest::of("token"))),
            State::Ended,
        ),
    ] {
        let cells = Cells::default();
        let marks = quiet(&cells, things(), None);
        assert_eq!(marks.state(&cells, NOW), State::Fine);
        changed(&cells, change.clone());
        assert_eq!(marks.state(&cells, NOW), wanted, "{change:?}");
    }
}

#[test]
fn changes_of_others_do_not_matter() {
    let cells = Cells::default();
    let marks = quiet(&cells, things(), Some(None));
    for change in [
        Change::UserChanged {
            realm: RealmName::try_from("other").unwrap(),
            user: UserId::from_bytes([1; 16]),
        },
        Change::FamilyRevoked(FamilyId::from_bytes([3; 16])),
        Change::SessionEnded(Digest::of("other")),
        Change::AccessRevoked(AccessKey::Opaque(Digest::of("session"))),
    ] {
        changed(&cells, change);
    }
    attempts(&cells, "bob", Some(2_000));
    assert_eq!(marks.state(&cells, NOW), State::Fine);
}

#[test]
fn a_lock_suspends_until_its_end_or_until_it_is_lifted() {
    let cells = Cells::default();
    let marks = quiet(&cells, things(), Some(None));
    attempts(&cells, "alice", Some(1_060));
    let until = UnixTime(1_060);
    assert_eq!(marks.state(&cells, NOW), State::Suspended { until });
    assert_eq!(marks.state(&cells, UnixTime(1_059)), State::Suspended { until });
    assert_eq!(marks.state(&cells, until), State::Fine, "by itself");
    attempts(&cells, "alice", Some(2_000));
    attempts(&cells, "alice", None);
    assert_eq!(marks.state(&cells, NOW), State::Fine);
    let read_locked = quiet(&cells, things(), Some(Some(1_060)));
    assert_eq!(read_locked.state(&cells, NOW), State::Suspended { until });
    attempts(&cells, "alice", None);
    assert_eq!(read_locked.state(&cells, NOW), State::Fine);
    let without = quiet(&cells, things(), None);
    attempts(&cells, "alice", Some(1_060));
    assert_eq!(
        without.state(&cells, NOW),
        State::Fine,
        "where a lock suspends nothing"
    );
}

#[test]
fn an_end_outweighs_a_lock_and_a_change() {
    let cells = Cells::default();
    let marks = quiet(&cells, things(), Some(Some(2_000)));
    user_changed(&cells);
    changed(&cells, Change::FamilyRevoked(FamilyId::from_bytes([2; 16])));
    assert_eq!(marks.state(&cells, NOW), State::Ended);
}

#[test]
fn when_changes_were_missed_everything_is_read_anew() {
    let cells = Cells::default();
    let marks = quiet(&cells, things(), None);
    let of_nothing = quiet(&cells, vec![], None);
    cells.reload();
    assert_eq!(marks.state(&cells, NOW), State::Stale);
    assert_eq!(of_nothing.state(&cells, NOW), State::Stale);
    assert_eq!(quiet(&cells, things(), None).state(&cells, NOW), State::Fine);
}

/// The race: the first read finds the family live; before its cell is held, the family is revoked. Were that read
/// believed, nobody would ever tell.
#[test]
fn what_is_revoked_while_it_is_read_is_read_again() {
    let cells = Cells::default();
    let (reads, revoked) = (AtomicU8::new(0), AtomicBool::new(false));
    let look_up = || {
        reads.fetch_add(1, Ordering::AcqRel);
        let live = !revoked.swap(true, Ordering::AcqRel);
        if live {
            changed(&cells, Change::FamilyRevoked(FamilyId::from_bytes([2; 16])));
        }
        read(Reading {
            value: live,
            of: things(),
            lock: None,
        })
    };
    let (live, _) = cells.observe(look_up).now_or_never().unwrap().unwrap();
    assert!(!live);
    assert_eq!(reads.into_inner(), 2);
}

/// The same with the revocation at any later moment: either it is in what was read, or in the cells.
#[test]
fn a_change_during_the_second_read_is_in_the_cells() {
    let cells = Cells::default();
    let reads = AtomicU8::new(0);
    let look_up = || {
        let number = reads.fetch_add(1, Ordering::AcqRel) + 1;
        user_changed(&cells);
        read(Reading {
            value: number,
            of: things(),
            lock: Some((realm(), key("alice"), None)),
        })
    };
    let (value, marks) = cells.observe(look_up).now_or_never().unwrap().unwrap();
    assert_eq!(value, 2, "it settles although something changes each time");
    assert_eq!(marks.state(&cells, NOW), State::Stale);
}

#[test]
fn a_lock_that_comes_or_goes_while_it_is_read_is_not_lost() {
    for (first, then) in [(None, Some(2_000)), (Some(2_000), None)] {
        let cells = Cells::default();
        let is_changed = AtomicBool::new(false);
        let look_up = || {
            // It is read, and then it changes, before the cells are held.
            let until = if is_changed.swap(true, Ordering::AcqRel) {
                then
            } else {
                attempts(&cells, "alice", then);
                first
            };
            let until = until.map(UnixTime);
            read(Reading {
                value: (),
                of: things(),
                lock: Some((realm(), key("alice"), until)),
            })
        };
        let ((), marks) = cells.observe(look_up).now_or_never().unwrap().unwrap();
        let wanted = match then {
            Some(until) => State::Suspended {
                until: UnixTime(until),
            },
            None => State::Fine,
        };
        assert_eq!(marks.state(&cells, NOW), wanted);
    }
}

#[test]
fn what_never_settles_is_refused() {
    let cells = Cells::default();
    let reads = AtomicU8::new(0);
    let look_up = || {
        let number = reads.fetch_add(1, Ordering::AcqRel);
        user_changed(&cells);
        read(Reading {
            value: (),
            of: vec![Thing::Family(FamilyId::from_bytes([number; 16]))],
            lock: None,
        })
    };
    let refused = cells.observe(look_up).now_or_never().unwrap();
    assert_eq!(refused.err(), Some(Observed::Unsettled(Unsettled)));
}

#[test]
fn cells_that_nobody_holds_go() {
    let cells = Cells::default();
    let kept: Vec<Marks> = (0..100_u8)
        .map(|n| quiet(&cells, vec![Thing::Family(FamilyId::from_bytes([n; 16]))], None))
        .collect();
    for n in 0..100_000_u32 {
        let mut bytes = [0xff; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        drop(quiet(
            &cells,
            vec![Thing::Family(FamilyId::from_bytes(bytes))],
            None,
        ));
    }
    assert!(
        cells.len() <= SHARDS * (FEW + 1) + 2 * kept.len(),
        "{}",
        cells.len()
    );
    for (n, marks) in (0_u8..).zip(&kept) {
        assert_eq!(marks.state(&cells, NOW), State::Fine);
        changed(&cells, Change::FamilyRevoked(FamilyId::from_bytes([n; 16])));
        assert_eq!(marks.state(&cells, NOW), State::Ended);
    }
}

/// Threads that look up and threads that revoke: what is acknowledged as revoked is never found live afterwards.
#[test]
fn under_load_nothing_that_was_revoked_stays_remembered_as_live() {
    const ROUNDS: u32 = 2_000;
    let cells = Cells::default();
    for round in 0..ROUNDS {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&round.to_be_bytes());
        let family = FamilyId::from_bytes(bytes);
        let revoked = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let lookup = scope.spawn(|| {
                let look_up = || {
                    read(Reading {
                        value: !revoked.load(Ordering::Acquire),
                        of: vec![Thing::Family(family)],
                        lock: None,
                    })
                };
                cells.observe(look_up).now_or_never().unwrap().unwrap()
            });
            // As a store does: commit, tell, answer.
            revoked.store(true, Ordering::Release);
            cells.changed(&[Change::FamilyRevoked(family)]);
            let (live, marks) = lookup.join().unwrap();
            assert!(!live || marks.state(&cells, NOW) == State::Ended, "round {round}");
        });
    }
}
