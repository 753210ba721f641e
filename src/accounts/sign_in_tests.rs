use std::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::accounts::{Accounts, Passwords};
use crate::config::plan::{
    LockoutKey, LockoutPlan, NameForm, RealmPlan, SessionsPlan, UserPlan, WhileLocked,
};
use crate::identity::password::{Cost, StoredPassword};
use crate::identity::{AccountName, RealmName, UserId, UserName};
use crate::store::Store;
use crate::store::backend::{PageSize, Paging};
use crate::store::model::{Reach, User, UserAccess};
use crate::telemetry::metrics::Metrics;

const NOW: UnixTime = UnixTime(1_800_000_000);
const ATTEMPTS: u32 = 5;
const LOCK: i64 = 60;

fn cost() -> Cost {
    Cost::new(32, 1, 1).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn hash(text: &str, cost: Cost) -> StoredPassword {
    StoredPassword::hash(&secret(text), cost).unwrap()
}

fn realm_name() -> RealmName {
    RealmName::try_from("central").unwrap()
}

fn file_user(name: &str, password: &str) -> UserPlan {
    let key = UserName::parse(name).unwrap();
    UserPlan {
        id: UserPlan::id_of(&realm_name(), &key),
        name: AccountName::try_from(name).unwrap(),
        key,
        password: hash(password, cost()),
        customer: None,
        roles: Vec::new(),
        tenants: Vec::new(),
        default_tenant: None,
        every_tenant: None,
    }
}

fn plan(key: LockoutKey) -> RealmPlan {
    RealmPlan {
        name: realm_name(),
        names: NameForm::Any,
        lockout: LockoutPlan {
            attempts: NonZeroU32::new(ATTEMPTS).unwrap(),
            window: Duration::from_secs(900),
            duration: Duration::from_secs(LOCK.unsigned_abs()),
            key,
            tokens: WhileLocked::Work,
        },
        sessions: SessionsPlan {
            lifetime: Duration::from_secs(3600),
            idle: Duration::from_secs(600),
            per_user: NonZeroU32::new(3).unwrap(),
        },
        users: vec![
            file_user("Root@Example.com", "file-password"),
            file_user("corp\\admin", "corp-password"),
        ],
        applications: Vec::new(),
    }
}

struct World {
    realm: Arc<Realm>,
    metrics: Arc<Metrics>,
}

impl World {
    async fn new() -> World {
        World::with(LockoutKey::User, 64).await
    }

    /// `room` passwords may wait to be hashed.
    async fn with(key: LockoutKey, room: usize) -> World {
        let store = Store::memory();
        let passwords = Passwords::start(cost(), NonZeroUsize::MIN, room).unwrap();
        let metrics = Metrics::new();
        let realm = Realm::new(
            &plan(key),
            Accounts::open(store, passwords),
            metrics.sign_ins("central"),
        );
        let world = World { realm, metrics };
        world
            .add("alice@example.com", Some("right"), UserState::Active)
            .await;
        world
    }

    async fn add(&self, name: &str, password: Option<&str>, state: UserState) -> UserId {
        self.add_hashed(name, password.map(|password| hash(password, cost())), state)
            .await
    }

    async fn add_hashed(&self, name: &str, password: Option<StoredPassword>, state: UserState) -> UserId {
        let user = User {
            realm: realm_name(),
            id: UserId::random(),
            name: AccountName::try_from(name).unwrap(),
            key: AccountKey::try_from(UserName::parse(name).unwrap().as_str()).unwrap(),
            state,
            password: password.map(|hash| Secret::new(hash.to_phc().into_bytes())),
            access: UserAccess {
                customer: None,
                roles: Vec::new(),
                tenants: Vec::new(),
                default_tenant: None,
                reach: Reach::Granted,
            },
            created_at: NOW,
            changed_at: NOW,
        };
        let id = user.id;
        let created = self.store().create_user(user, By::system(NOW)).await;
        assert!(created.is_ok());
        id
    }

    fn store(&self) -> &Store {
        self.realm.accounts().store()
    }

    fn hashes(&self) -> u64 {
        self.realm.accounts().passwords().computed()
    }

    async fn ask(&self, name: &str, password: &str, at: i64) -> &'static str {
        let now = UnixTime(NOW.0 + at);
        let outcome = self.realm.sign_in(name, None, secret(password), now).await;
        outcome.as_str()
    }
}

#[tokio::test]
async fn the_right_password_is_welcome_in_every_spelling_of_the_name_in_file_and_store() {
    let world = World::new().await;
    for name in [
        "alice@example.com",
        " ALICE@Example.COM ",
        "Ａｌｉｃｅ@example.com",
    ] {
        assert_eq!(world.ask(name, "right", 0).await, "welcome", "{name}");
    }
    assert_eq!(world.ask("root@example.com", "file-password", 0).await, "welcome");
    for (name, password) in [
        ("alice@example.com", "wrong"),
        ("alice@example.com", ""),
        ("alice@example.com", "file-password"),
        ("root@example.com", "right"),
        ("nobody@example.com", "right"),
        ("", "right"),
        ("a b", "right"),
        ("alice@example.com\0", "right"),
        (&"x".repeat(5_000), "right"),
    ] {
        assert_eq!(world.ask(name, password, 0).await, "wrong", "{name:?}");
    }
    assert!(
        world
            .metrics
            .render()
            .contains("tollgate_sign_ins_total{realm=\"central\",outcome=\"welcome\"} 4")
    );
}

#[tokio::test]
async fn each_try_costs_one_hash_whoever_it_names_until_the_name_is_locked() {
    let world = World::new().await;
    world.add("pending@example.com", None, UserState::Pending).await;
    for name in [
        "alice@example.com",
        "root@example.com",
        "nobody@example.com",
        "pending@example.com",
        "not a name",
    ] {
        let before = world.hashes();
        assert_eq!(world.ask(name, "wrong", 0).await, "wrong");
        assert_eq!(world.hashes() - before, 1, "{name}");
    }
    for name in ["alice@example.com", "root@example.com", "nobody@example.com"] {
        for _ in 1..ATTEMPTS {
            assert_eq!(world.ask(name, "wrong", 0).await, "wrong", "{name}");
        }
        let before = world.hashes();
        for password in ["wrong", "right", "file-password"] {
            assert_eq!(world.ask(name, password, 1).await, "locked", "{name}");
        }
        assert_eq!(world.hashes(), before, "{name}");
    }
}

#[tokio::test]
async fn a_lock_is_of_one_name_in_all_its_spellings_ends_by_itself_and_a_success_forgets() {
    let world = World::new().await;
    world
        .add("bob@example.com", Some("right"), UserState::Active)
        .await;
    for name in [
        "alice@example.com",
        "ALICE@example.com",
        " alice@example.com",
        "alice@EXAMPLE.com",
        "Alice@example.com ",
    ] {
        assert_eq!(world.ask(name, "wrong", 0).await, "wrong");
    }
    assert_eq!(world.ask("alice@example.com", "right", LOCK - 1).await, "locked");
    assert_eq!(world.ask("bob@example.com", "right", 1).await, "welcome");
    assert_eq!(world.ask("alice@example.com", "right", LOCK).await, "welcome");
    for _ in 1..ATTEMPTS {
        assert_eq!(world.ask("alice@example.com", "wrong", LOCK).await, "wrong");
    }
    assert_eq!(world.ask("alice@example.com", "right", LOCK).await, "welcome");
    for _ in 1..ATTEMPTS {
        assert_eq!(world.ask("alice@example.com", "wrong", LOCK).await, "wrong");
    }
    assert_eq!(world.ask("alice@example.com", "right", LOCK).await, "welcome");
}

#[tokio::test]
async fn a_hundred_wrong_passwords_at_once_get_as_many_looks_as_there_are_attempts() {
    let world = World::new().await;
    let tries = (0..100).map(|n| {
        let world = &world;
        async move { world.ask("alice@example.com", &format!("wrong-{n}"), 0).await }
    });
    let outcomes = futures_util::future::join_all(tries).await;
    let count = |word: &str| outcomes.iter().filter(|outcome| **outcome == word).count();
    assert_eq!((count("wrong"), count("locked")), (5, 95), "{outcomes:?}");
    assert_eq!(world.hashes(), u64::from(ATTEMPTS));
}

#[tokio::test]
async fn a_hundred_right_passwords_at_once_lock_nobody_out() {
    let world = World::with(LockoutKey::User, 200).await;
    let tries = (0..100).map(|_| world.ask("alice@example.com", "right", 0));
    let outcomes = futures_util::future::join_all(tries).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == "welcome"),
        "{outcomes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_others_of_the_same_name_does_not_wait_for_ever() {
    let world = World::new().await;
    // Begun elsewhere, and never decided.
    let key = world.realm.key_of("alice@example.com", None).unwrap();
    for _ in 0..ATTEMPTS {
        let policy = world.realm.lock_policy();
        let attempt = world
            .store()
            .begin_attempt(realm_name(), key.clone(), policy, NOW)
            .await
            .unwrap();
        assert!(matches!(attempt, Attempt::Allowed { .. }));
    }
    let before = tokio::time::Instant::now();
    assert_eq!(world.ask("alice@example.com", "right", 0).await, "overloaded");
    assert!(before.elapsed() >= WAIT_FOR_OTHERS);
}

#[tokio::test]
async fn a_full_queue_refuses_and_does_not_count() {
    let world = World::with(LockoutKey::User, 0).await;
    for _ in 0..3 * ATTEMPTS {
        assert_eq!(world.ask("alice@example.com", "wrong", 0).await, "overloaded");
    }
    let key = world.realm.key_of("alice@example.com", None).unwrap();
    let locked = world.store().locked_until(realm_name(), key, NOW).await;
    assert_eq!(locked, Ok(None));
}

#[tokio::test]
async fn only_the_right_password_hears_that_an_account_is_not_active() {
    let world = World::new().await;
    for (name, state) in [
        ("activated@example.com", UserState::Activated),
        ("rejected@example.com", UserState::Rejected),
        ("disabled@example.com", UserState::Disabled),
    ] {
        world.add(name, Some("right"), state).await;
        assert_eq!(world.ask(name, "wrong", 0).await, "wrong", "{name}");
        let outcome = world.realm.sign_in(name, None, secret("right"), NOW).await;
        assert!(
            matches!(outcome, Outcome::NotActive(found) if found == state),
            "{name}"
        );
        let refused = outcome.into_result(NOW).err().unwrap();
        assert_eq!(refused.code().as_str(), "account_inactive");
    }
}

#[tokio::test]
async fn without_a_store_nobody_is_let_in_and_nothing_is_hashed() {
    let world = World::new().await;
    world.store().close().await.unwrap();
    let before = world.hashes();
    assert_eq!(
        world.ask("alice@example.com", "right", 0).await,
        "store_unavailable"
    );
    assert_eq!(
        world.ask("root@example.com", "file-password", 0).await,
        "store_unavailable"
    );
    assert_eq!(world.hashes(), before);
}

#[tokio::test]
async fn a_hash_of_less_than_todays_cost_is_made_anew_at_the_next_sign_in() {
    let world = World::new().await;
    let weak = hash("right", Cost::new(16, 1, 1).unwrap());
    let id = world
        .add_hashed("old@example.com", Some(weak.clone()), UserState::Active)
        .await;
    assert_eq!(world.ask("old@example.com", "right", 0).await, "welcome");
    let user = world.store().user(realm_name(), id).await.unwrap().unwrap();
    let text = String::from_utf8(user.password.unwrap().reveal().to_vec()).unwrap();
    let made = StoredPassword::parse(&text).unwrap();
    assert_eq!(made.cost(), cost());
    assert_eq!(world.ask("old@example.com", "right", 0).await, "welcome");
}

#[tokio::test]
async fn a_domain_is_a_part_of_the_name_where_names_are_locked_so_and_says_nothing_elsewhere() {
    let world = World::with(LockoutKey::DomainAndUser, 64).await;
    let ask = async |name: &str, domain: Option<&str>, password: &str| {
        let outcome = world.realm.sign_in(name, domain, secret(password), NOW).await;
        outcome.as_str()
    };
    assert_eq!(ask("Admin", Some("CORP"), "corp-password").await, "welcome");
    assert_eq!(ask("corp\\admin", None, "corp-password").await, "welcome");
    assert_eq!(ask("corp\\admin", Some(" "), "corp-password").await, "welcome");
    assert_eq!(ask("admin", Some("other"), "corp-password").await, "wrong");
    assert_eq!(ask("admin", None, "corp-password").await, "wrong");
    for _ in 0..ATTEMPTS {
        ask("admin", Some("corp"), "wrong").await;
    }
    assert_eq!(ask("admin", Some("corp"), "corp-password").await, "locked");
    assert_eq!(ask("admin", Some("other"), "wrong").await, "wrong");

    let world = World::new().await;
    for n in 0..ATTEMPTS {
        let domain = format!("made-up-{n}");
        let outcome = world
            .realm
            .sign_in("alice@example.com", Some(&domain), secret("wrong"), NOW)
            .await;
        assert_eq!(outcome.as_str(), "wrong");
    }
    assert_eq!(
        world.ask("alice@example.com", "right", 0).await,
        "locked",
        "domains are no further guesses"
    );
}

#[tokio::test]
async fn a_session_is_opened_with_values_of_its_own_and_replaces_the_one_it_came_with() {
    let world = World::new().await;
    let Outcome::Welcome(account) = world
        .realm
        .sign_in("alice@example.com", None, secret("right"), NOW)
        .await
    else {
        panic!("not welcome");
    };
    let open = async |replaces, later: i64| {
        let opening = crate::accounts::Opening {
            account: &account,
            client_id: None,
            replaces,
        };
        world
            .realm
            .open_session(opening, UnixTime(NOW.0 + later))
            .await
            .unwrap()
    };
    let digest = |opened: &crate::accounts::Opened| crate::base::digest::Digest::of(opened.id.reveal());
    let first = open(None, 0).await;
    assert_ne!(first.id, first.csrf);
    assert_eq!(first.expires_at, UnixTime(NOW.0 + 3600));
    let second = open(Some(digest(&first)), 1).await;
    let held = async |opened| {
        let found = world.store().session(realm_name(), digest(opened), NOW).await;
        found.unwrap().is_some()
    };
    assert!(!held(&first).await && held(&second).await);
    for later in 2..5 {
        open(None, later).await;
    }
    assert!(!held(&second).await, "three at most");
    let page = world
        .store()
        .audit_entries(Default::default(), Paging::first(PageSize::MAX))
        .await
        .unwrap();
    let opened = page
        .items
        .iter()
        .filter(|entry| &*entry.note.action == "session.open");
    assert_eq!(opened.count(), 5);
}
