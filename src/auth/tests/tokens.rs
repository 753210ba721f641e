//! Access tokens of our own.

use std::path::Path;

use super::*;
use crate::config::plan::Algorithm;
use crate::identity::{Jti, Role, Scope, SubjectId};
use crate::jose::access_token::{self, AccessClaims, TYPE};
use crate::jose::key_store::KeyStore;
use crate::store::Listener as _;
use crate::store::backend::Holder;
use crate::store::model::ApplicationEdit;

const TOKEN: &str = "ouzMaXEBbB6XqGtsWomK7MvaTuhrqDQ1";

fn call() -> Call {
    Call::get().bearer(TOKEN)
}

#[tokio::test]
async fn a_token_stands_for_its_user_its_application_and_what_was_granted() {
    let world = World::new().await;
    let family = world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    for _ in 0..2 {
        let caller = door.ask(&call()).await.unwrap();
        let known = caller.known().unwrap();
        let identity = &known.identity;
        assert_eq!(identity.kind, CredentialKind::Token);
        assert_eq!(identity.issuer.as_str(), "central");
        assert_eq!(identity.subject.as_str(), world.alice.to_string());
        assert_eq!(identity.client.as_ref().map(SubjectId::as_str), Some("app"));
        assert_eq!(identity.customer, Some(id("msp")));
        assert_eq!(identity.scopes, ids::<Scope>(&["all"]));
        assert_eq!(identity.roles, ids::<Role>(&["admin", "viewer"]));
        assert_eq!(known.tenant, Some(id("msp")), "its customer's own account");
        let own = known.own().unwrap();
        assert_eq!(own.family(), Some(family));
        assert_eq!(own.account().unwrap().name.as_str(), "alice");
        assert_eq!(own.session(), None);
    }
    assert_eq!(world.hits("service", CredentialKind::Token), 1);
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_and_not_remembered() {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    let long = "a".repeat(9_000);
    for token in ["unknown", "a.b.c", "a.b", &TOKEN.to_lowercase(), &long] {
        let code = door.code(&Call::get().bearer(token)).await;
        assert_eq!(code, Some(Code::CredentialsInvalid), "{token}");
    }
    world
        .issue_as(AccessKey::Opaque(Digest::of("late")), |_| {})
        .await;
    assert_eq!(door.code(&Call::get().bearer("late")).await, None);
    let other = NewFamilyRealm::of("other");
    world.issue("elsewhere", |family| family.realm = other.0).await;
    let code = door.code(&Call::get().bearer("elsewhere")).await;
    assert_eq!(code, Some(Code::CredentialsInvalid), "of another realm");
}

struct NewFamilyRealm(RealmName);

impl NewFamilyRealm {
    fn of(name: &str) -> NewFamilyRealm {
        NewFamilyRealm(id(name))
    }
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over_also_a_remembered_one() {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    assert_eq!(door.code(&call()).await, None);
    world.turn(HOUR - 1);
    assert_eq!(door.code(&call()).await, None);
    world.turn(1);
    for _ in 0..2 {
        assert_eq!(door.code(&call()).await, Some(Code::TokenExpired));
    }
}

/// What is done to a remembered token's world.
#[derive(Debug, Clone, Copy)]
enum Deed {
    RevokeToken,
    RevokeFamily,
    RevokeAllOfUser,
    RevokeAllOfApplication,
    DisableUser,
    ResetUser,
    DeleteUser,
    DisableApplication,
    DeleteApplication,
}

async fn do_it(world: &World, deed: Deed, family: FamilyId) {
    let (store, realm, by) = (world.store(), realm_name(), world.by());
    let app: ClientId = id("app");
    match deed {
        Deed::RevokeToken => {
            let key = AccessKey::Opaque(Digest::of(TOKEN));
            store.revoke_access(realm, key, world.now(), by).await.map(drop)
        }
        Deed::RevokeFamily => store.revoke_family(realm, family, by).await.map(drop),
        Deed::RevokeAllOfUser => {
            let holder = Holder::User(world.alice);
            store.revoke_families_of(realm, holder, by).await.map(drop)
        }
        Deed::RevokeAllOfApplication => {
            let holder = Holder::Application(app);
            store.revoke_families_of(realm, holder, by).await.map(drop)
        }
        Deed::DisableUser => store
            .change_user_state(realm, world.alice, UserState::Disabled, by)
            .await
            .map(drop),
        Deed::ResetUser => store
            .change_user_state(realm, world.alice, UserState::Pending, by)
            .await
            .map(drop),
        Deed::DeleteUser => store.delete_user(realm, world.alice, by).await.map(drop),
        Deed::DisableApplication => store
            .change_application(realm, app, edit(ApplicationState::Disabled), by)
            .await
            .map(drop),
        Deed::DeleteApplication => store.delete_application(realm, app, by).await.map(drop),
    }
    .unwrap();
}

fn edit(state: ApplicationState) -> ApplicationEdit {
    ApplicationEdit {
        name: "app".to_owned(),
        redirect_uris: Vec::new(),
        scopes: ids(&["all"]),
        grants: vec![GrantType::AuthorizationCode],
        state,
    }
}

#[tokio::test]
async fn whatever_ends_a_token_is_obeyed_by_the_next_request_also_by_one_that_is_remembered() {
    for deed in [
        Deed::RevokeToken,
        Deed::RevokeFamily,
        Deed::RevokeAllOfUser,
        Deed::RevokeAllOfApplication,
        Deed::DisableUser,
        Deed::ResetUser,
        Deed::DeleteUser,
        Deed::DisableApplication,
        Deed::DeleteApplication,
    ] {
        let world = World::new().await;
        let family = world.issue(TOKEN, |_| {}).await;
        let other = world.add_user("bob", "right").await;
        world.add_application("other", None).await;
        world
            .issue("other-token", |family| {
                family.user = Some(other);
                family.client_id = id("other");
            })
            .await;
        let doors = [world.door(vec![world.bearer()]), world.door(vec![world.bearer()])];
        for door in &doors {
            assert_eq!(door.code(&call()).await, None, "{deed:?}");
            let other = Call::get().bearer("other-token");
            assert_eq!(door.code(&other).await, None, "{deed:?}");
        }
        do_it(&world, deed, family).await;
        for door in &doors {
            for _ in 0..2 {
                let code = door.code(&call()).await;
                assert_eq!(code, Some(Code::CredentialsInvalid), "{deed:?}");
            }
            let other = Call::get().bearer("other-token");
            assert_eq!(door.code(&other).await, None, "{deed:?}: others go on");
        }
    }
}

#[tokio::test]
async fn a_disabled_applications_tokens_work_again_when_it_is_switched_on() {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    for (state, wanted) in [
        (ApplicationState::Active, None),
        (ApplicationState::Disabled, Some(Code::CredentialsInvalid)),
        (ApplicationState::Active, None),
    ] {
        let (realm, by) = (realm_name(), world.by());
        let changed = world
            .store()
            .change_application(realm, id("app"), edit(state), by)
            .await;
        changed.unwrap();
        assert_eq!(door.code(&call()).await, wanted);
    }
}

#[tokio::test]
async fn an_application_that_acts_for_itself_stops_with_its_owner_and_not_with_others() {
    let world = World::new().await;
    let owner = world.add_user("owner", "right").await;
    world.add_application("robot", Some(owner)).await;
    world
        .issue(TOKEN, |family| {
            family.user = None;
            family.client_id = id("robot");
            family.origin = Origin::ClientCredentials;
        })
        .await;
    let door = world.door(vec![world.bearer()]);
    let caller = door.ask(&call()).await.unwrap();
    let identity = caller.identity().unwrap();
    assert_eq!(identity.subject.as_str(), "robot");
    assert_eq!(identity.customer, Some(id("msp")));
    world.set_state(world.alice, UserState::Disabled).await;
    assert_eq!(door.code(&call()).await, None);
    world.set_state(owner, UserState::Disabled).await;
    assert_eq!(door.code(&call()).await, Some(Code::CredentialsInvalid));
    world.set_state(owner, UserState::Active).await;
    assert_eq!(door.code(&call()).await, None);
}

#[tokio::test]
async fn tokens_of_a_sign_in_need_no_application_and_others_do() {
    let world = World::new().await;
    for (origin, wanted) in [
        (Origin::SignIn, None),
        (Origin::Offline, None),
        (Origin::Code, Some(Code::CredentialsInvalid)),
        (Origin::Exchange, Some(Code::CredentialsInvalid)),
        (Origin::ClientCredentials, Some(Code::CredentialsInvalid)),
    ] {
        let token = origin.as_str().replace(':', "");
        world
            .issue(&token, |family| {
                family.origin = origin;
                family.client_id = id("nobody");
            })
            .await;
        let code = world
            .door(vec![world.bearer()])
            .code(&Call::get().bearer(&token))
            .await;
        assert_eq!(code, wanted, "{origin}");
    }
}

#[tokio::test]
async fn a_token_is_worth_what_was_granted_and_its_user_still_has() {
    let world = World::new().await;
    world
        .issue(TOKEN, |family| family.roles = ids(&["viewer", "lost"]))
        .await;
    let door = world.door(vec![world.bearer()]);
    let roles = async || {
        let caller = door.ask(&call()).await.unwrap();
        let roles = &caller.known().unwrap().values.roles;
        roles.as_ref().map(|roles| roles.to_str().unwrap().to_owned())
    };
    assert_eq!(
        roles().await.as_deref(),
        Some("viewer"),
        "not `admin`, not `lost`"
    );
    for (held, wanted) in [
        (&["admin"][..], None),
        (&["admin", "viewer", "more"][..], Some("viewer")),
    ] {
        let access = user_access(held);
        let edit = world
            .store()
            .change_user_access(realm_name(), world.alice, access, world.by());
        edit.await.unwrap();
        assert_eq!(roles().await.as_deref(), wanted);
    }
}

#[tokio::test]
async fn a_lock_suspends_tokens_where_the_realm_says_so_and_they_work_again_by_themselves() {
    let world = World::with(WhileLocked::Suspended).await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    assert_eq!(door.code(&call()).await, None);
    world.lock_alice().await;
    let refused = door.ask(&call()).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::AccountSuspended { retry_after_seconds } if retry_after_seconds == LOCK.unsigned_abs())
    );
    let fresh = world.door(vec![world.bearer()]);
    assert_eq!(
        fresh.code(&call()).await,
        Some(Code::AccountSuspended),
        "one that is looked up meanwhile too"
    );
    world.turn(LOCK - 1);
    assert_eq!(door.code(&call()).await, Some(Code::AccountSuspended));
    world.turn(1);
    assert_eq!(door.code(&call()).await, None);
    assert_eq!(fresh.code(&call()).await, None);
    world.lock_alice().await;
    assert_eq!(door.code(&call()).await, Some(Code::AccountSuspended));
    let cleared = world
        .store()
        .clear_attempts(realm_name(), id("alice"), world.by());
    cleared.await.unwrap();
    assert_eq!(door.code(&call()).await, None, "an operator has lifted it");

    let world = World::with(WhileLocked::Work).await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    world.lock_alice().await;
    assert_eq!(door.code(&call()).await, None, "strangers disturb nobody");
}

#[tokio::test]
async fn without_the_store_what_is_remembered_works_on_and_nothing_else() {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    world.issue("other", |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    assert_eq!(door.code(&call()).await, None);
    world.store().close().await.unwrap();
    assert_eq!(door.code(&call()).await, None);
    for token in ["other", "unknown"] {
        let code = door.code(&Call::get().bearer(token)).await;
        assert_eq!(code, Some(Code::StoreUnavailable), "{token}");
    }
}

#[tokio::test]
async fn when_changes_were_missed_nothing_that_is_remembered_is_believed() {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    let door = world.door(vec![world.bearer()]);
    assert_eq!(door.code(&call()).await, None);
    world.realm.accounts().cells().reload();
    assert_eq!(door.code(&call()).await, None, "the store knows it");
    assert_eq!(world.hits("service", CredentialKind::Token), 0);
    world.realm.accounts().cells().reload();
    world.store().close().await.unwrap();
    assert_eq!(door.code(&call()).await, Some(Code::StoreUnavailable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_is_revoked_while_it_is_looked_up_is_not_remembered_as_good() {
    const ROUNDS: usize = 300;
    let world = Arc::new(World::new().await);
    let door = Arc::new(Credentials::of(vec![world.bearer()]));
    for round in 0..ROUNDS {
        let token = format!("token-{round}");
        let family = world.issue(&token, |_| {}).await;
        let start = Arc::new(tokio::sync::Barrier::new(4));
        let mut lookups = Vec::new();
        for _ in 0..3 {
            let (world, door) = (Arc::clone(&world), Arc::clone(&door));
            let (start, call) = (Arc::clone(&start), Call::get().bearer(&token));
            #[expect(clippy::disallowed_methods, reason = "a test waits for what it spawns")]
            lookups.push(tokio::spawn(async move {
                start.wait().await;
                drop(door.identify(&call.presented(), &world.clock).await);
            }));
        }
        start.wait().await;
        let revoked = world.store().revoke_family(realm_name(), family, world.by());
        revoked.await.unwrap();
        // The answer to the revocation is there: from here on every request is refused.
        let call = Call::get().bearer(&token);
        for _ in 0..2 {
            let answer = door.identify(&call.presented(), &world.clock).await;
            let code = answer.err().map(|rejection| rejection.code());
            assert_eq!(code, Some(Code::CredentialsInvalid), "round {round}");
        }
        for lookup in lookups {
            lookup.await.unwrap();
        }
        let answer = door.identify(&call.presented(), &world.clock).await;
        assert!(answer.is_err(), "round {round}, after everybody has ended");
    }
}

// ---- signed ones

fn keys(folder: &Path) -> Arc<KeyStore> {
    KeyStore::open(folder, Algorithm::ES256, START).unwrap()
}

fn signed(keys: &Arc<KeyStore>) -> Signed {
    Signed {
        policy: access_token::policy(
            "https://login.example/",
            &["central".to_owned()],
            Algorithm::ES256,
        ),
        keys: Arc::clone(keys),
    }
}

impl World {
    /// Signs a token of a family that is in the store.
    async fn sign(&self, keys: &KeyStore, change: impl FnOnce(&mut AccessClaims)) -> String {
        let jti = Jti::random();
        let family = self.issue_as(AccessKey::Jwt(jti.clone()), |_| {}).await;
        let mut claims = AccessClaims {
            issuer: "https://login.example/".to_owned(),
            audience: vec!["central".to_owned()],
            subject: id(&self.alice.to_string()),
            client_id: id("app"),
            id: jti,
            issued_at: self.now(),
            expires_at: UnixTime(self.now().0 + HOUR),
            scopes: ids(&["all"]),
            roles: ids(&["admin", "root"]),
            customer: Some(id("somebody-else")),
            tenant: None,
            family,
        };
        change(&mut claims);
        keys.sign(TYPE, &claims.members()).unwrap()
    }
}

#[tokio::test]
async fn a_signed_token_stands_for_what_the_store_says_and_not_for_what_it_says_itself() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let keys = keys(folder.path());
    let tokens = world.tokens(CredentialKind::Token, Some(signed(&keys)));
    let door = world.door(vec![Accepted::Bearer(Authority::Own(tokens))]);
    let token = world.sign(&keys, |_| {}).await;
    for _ in 0..2 {
        let caller = door.ask(&Call::get().bearer(&token)).await.unwrap();
        let identity = caller.identity().unwrap();
        assert_eq!(identity.customer, Some(id("msp")));
        assert_eq!(identity.roles, ids::<Role>(&["admin", "viewer"]));
    }
    assert_eq!(world.hits("service", CredentialKind::Token), 1);
    // Opaque ones of the time before go on.
    world.issue(TOKEN, |_| {}).await;
    assert_eq!(door.code(&call()).await, None);
}

#[tokio::test]
async fn a_signed_token_that_is_forged_foreign_or_unknown_is_refused() {
    let (world, folder, other) = (
        World::new().await,
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (keys, stranger) = (keys(folder.path()), keys(other.path()));
    let tokens = world.tokens(CredentialKind::Token, Some(signed(&keys)));
    let door = world.door(vec![Accepted::Bearer(Authority::Own(tokens))]);
    let good = world.sign(&keys, |_| {}).await;
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let unknown = world.sign(&keys, |claims| claims.id = Jti::random()).await;
    let foreign = world
        .sign(&keys, |claims| claims.issuer = "https://other/".to_owned())
        .await;
    for token in [
        forged,
        world.sign(&stranger, |_| {}).await,
        unknown,
        foreign,
        world
            .sign(&keys, |claims| claims.audience = vec!["else".to_owned()])
            .await,
    ] {
        let code = door.code(&Call::get().bearer(&token)).await;
        assert_eq!(code, Some(Code::CredentialsInvalid));
    }
    // The store is not even asked about what was not signed here.
    world.store().close().await.unwrap();
    let made_up = world.door(vec![Accepted::Bearer(Authority::Own(
        world.tokens(CredentialKind::Token, Some(signed(&stranger))),
    ))]);
    assert_eq!(
        made_up.code(&Call::get().bearer(&good)).await,
        Some(Code::CredentialsInvalid)
    );
}

#[tokio::test]
async fn a_signed_token_ends_when_it_is_revoked_when_its_time_is_over_and_with_its_key() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let keys = keys(folder.path());
    let tokens = world.tokens(CredentialKind::Token, Some(signed(&keys)));
    let door = world.door(vec![Accepted::Bearer(Authority::Own(tokens))]);
    let token = world.sign(&keys, |_| {}).await;
    let ended = world.sign(&keys, |_| {}).await;
    for token in [&token, &ended] {
        assert_eq!(door.code(&Call::get().bearer(token)).await, None);
    }
    let alice = Holder::User(world.alice);
    world
        .store()
        .revoke_families_of(realm_name(), alice, world.by())
        .await
        .unwrap();
    for token in [&token, &ended] {
        let code = door.code(&Call::get().bearer(token)).await;
        assert_eq!(code, Some(Code::CredentialsInvalid));
    }
    let token = world.sign(&keys, |_| {}).await;
    assert_eq!(door.code(&Call::get().bearer(&token)).await, None);
    world.turn(HOUR);
    let code = door.code(&Call::get().bearer(&token)).await;
    assert_eq!(code, Some(Code::TokenExpired));
    let fresh = world.tokens(CredentialKind::Token, Some(signed(&keys)));
    let fresh = world.door(vec![Accepted::Bearer(Authority::Own(fresh))]);
    let code = fresh.code(&Call::get().bearer(&token)).await;
    assert_eq!(code, Some(Code::TokenExpired), "also one that was never seen");
}
