use tollgate::base::digest::Digest;
use tollgate::base::secret::Secret;
use tollgate::identity::{CustomerId, RegionName, Role, TenantGrant, TenantId};
use tollgate::store::backend::{Existing, PageSize, Paging, StandingOf, UserFilter};
use tollgate::store::model::{Change, Reach, User, UserAccess, UserState};
use tollgate::store::outcome::{Creation, Edit, PasswordSet, Redemption, Rehash, StateChange};
use tollgate::store::rules::{self, Password};

use crate::world::{
    POLICY, World, a_code, a_session, a_user, at, elsewhere, first, key, operator, present, realm,
};

pub async fn a_name_is_taken_once_in_a_realm(world: World) {
    let anna = world.user("Anna").await;
    let second = world
        .store
        .create_user(a_user("anna"), operator(1))
        .await
        .unwrap();
    assert_eq!(second, Creation::Exists);
    let again = User {
        key: key("other"),
        ..anna.clone()
    };
    assert_eq!(
        world.store.create_user(again, operator(1)).await.unwrap(),
        Creation::Exists,
        "the id is taken"
    );
    let guest = User {
        realm: elsewhere(),
        ..a_user("anna")
    };
    assert_eq!(
        world.store.create_user(guest, operator(1)).await.unwrap(),
        Creation::Created
    );
    assert_eq!(
        world.store.user_by_key(realm(), key("anna")).await.unwrap(),
        Some(anna)
    );
}

pub async fn a_user_is_found_by_id_and_by_name_and_in_no_other_realm(world: World) {
    let anna = world.user("Anna").await;
    assert_eq!(
        world.store.user(realm(), anna.id).await.unwrap(),
        Some(anna.clone())
    );
    assert_eq!(world.store.user(elsewhere(), anna.id).await.unwrap(), None);
    assert_eq!(
        world.store.user_by_key(elsewhere(), key("anna")).await.unwrap(),
        None
    );
    assert_eq!(
        world.store.user_by_key(realm(), key("Anna")).await.unwrap(),
        None,
        "keys are exact"
    );
}

pub async fn everything_of_a_user_is_kept(world: World) {
    let user = User {
        name: "Änne O'Neil <a@example.com>".try_into().unwrap(),
        state: UserState::Activated,
        access: UserAccess {
            customer: None,
            roles: vec![Role::try_from("a").unwrap(), Role::try_from("b").unwrap()],
            tenants: vec![
                TenantGrant {
                    tenant: TenantId::try_from("t1").unwrap(),
                    region: Some(RegionName::try_from("eu-1").unwrap()),
                    roles: Some(vec![Role::try_from("viewer").unwrap()]),
                },
                TenantGrant {
                    tenant: TenantId::try_from("t2").unwrap(),
                    region: None,
                    roles: None,
                },
            ],
            default_tenant: Some(TenantId::try_from("t1").unwrap()),
            reach: Reach::Every,
        },
        changed_at: at(5),
        ..a_user("änne")
    };
    world.store.create_user(user.clone(), operator(0)).await.unwrap();
    assert_eq!(world.store.user(realm(), user.id).await.unwrap(), Some(user));
}

pub async fn users_are_listed_by_name_in_parts(world: World) {
    for name in ["dora", "anna", "carl", "berta"] {
        world.user(name).await;
    }
    let other = User {
        state: UserState::Pending,
        access: UserAccess {
            customer: Some(CustomerId::try_from("umbrella").unwrap()),
            ..a_user("x").access
        },
        ..a_user("emil")
    };
    world.store.create_user(other, operator(0)).await.unwrap();
    let guest = User {
        realm: elsewhere(),
        ..a_user("adam")
    };
    world.store.create_user(guest, operator(0)).await.unwrap();

    let all = UserFilter {
        realm: realm(),
        customer: None,
        state: None,
    };
    let mut paging = Paging::first(PageSize::new(2));
    let mut names = Vec::new();
    loop {
        let page = world.store.users(all.clone(), paging).await.unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.iter().map(|user| user.key.to_string()));
        match page.next {
            Some(place) => paging = Paging::after(place, PageSize::new(2)),
            None => break,
        }
    }
    assert_eq!(names, ["anna", "berta", "carl", "dora", "emil"]);

    let filtered = async |filter: UserFilter| {
        let page = world
            .store
            .users(filter, Paging::first(PageSize::MAX))
            .await
            .unwrap();
        assert_eq!(page.next, None);
        page.items.len()
    };
    let pending = UserFilter {
        state: Some(UserState::Pending),
        ..all.clone()
    };
    assert_eq!(filtered(pending).await, 1);
    let acme = UserFilter {
        customer: Some(CustomerId::try_from("acme").unwrap()),
        ..all
    };
    assert_eq!(filtered(acme).await, 4);
}

pub async fn the_first_password_activates_and_does_not_approve(world: World) {
    let user = User {
        state: UserState::Pending,
        password: None,
        ..a_user("anna")
    };
    world.store.create_user(user.clone(), operator(0)).await.unwrap();
    assert_eq!(
        world
            .store
            .change_user_state(realm(), user.id, UserState::Active, operator(1))
            .await
            .unwrap(),
        StateChange::NotAllowed(UserState::Pending),
        "nobody is approved without a password"
    );
    let hash = Secret::new(b"$argon2id$1".to_vec());
    let set = world
        .store
        .set_password(realm(), user.id, hash.clone(), Existing::End, operator(2));
    assert_eq!(set.await.unwrap(), PasswordSet::Set(UserState::Activated));
    let approved = world
        .store
        .change_user_state(realm(), user.id, UserState::Active, operator(3));
    assert_eq!(
        approved.await.unwrap(),
        StateChange::Changed(UserState::Activated)
    );
    let now = world.store.user(realm(), user.id).await.unwrap().unwrap();
    assert_eq!(
        (now.state, now.password, now.changed_at),
        (UserState::Active, Some(hash.clone()), at(3))
    );
    let set = world
        .store
        .set_password(elsewhere(), user.id, hash, Existing::End, operator(4));
    assert_eq!(set.await.unwrap(), PasswordSet::Unknown);
}

pub async fn a_new_password_ends_sessions_and_tokens_if_it_is_asked_to(world: World) {
    let anna = world.user("anna").await;
    world
        .store
        .open_session(a_session("s", anna.id), operator(0))
        .await
        .unwrap();
    world.grant("anna", Some(anna.id)).await;
    let hash = || Secret::new(b"$argon2id$2".to_vec());
    world
        .store
        .set_password(realm(), anna.id, hash(), Existing::Keep, operator(1))
        .await
        .unwrap();
    assert!(world.works("anna.access", 2).await);
    let cursor = world.cursor().await;
    let set = world
        .store
        .set_password(realm(), anna.id, hash(), Existing::End, operator(2))
        .await
        .unwrap();
    assert_eq!(set, PasswordSet::Set(UserState::Active));
    assert!(!world.works("anna.access", 3).await);
    assert_eq!(
        world
            .store
            .session(realm(), Digest::of("s"), at(3))
            .await
            .unwrap(),
        None
    );
    let changes = world.changes(cursor).await;
    assert!(changes.contains(&Change::SessionEnded(Digest::of("s"))));
    assert!(changes.contains(&Change::UserChanged {
        realm: realm(),
        user: anna.id
    }));
}

pub async fn a_hash_is_renewed_only_while_it_is_the_same(world: World) {
    let anna = world.user("anna").await;
    let old = anna.password.clone().unwrap();
    let [renewed, chosen] =
        [b"$argon2id$renewed", b"$argon2id$chosen!"].map(|hash| Secret::new(hash.to_vec()));
    let rehash = world
        .store
        .rehash_password(realm(), anna.id, old.clone(), renewed.clone());
    assert_eq!(rehash.await.unwrap(), Rehash::Replaced);
    world
        .store
        .set_password(realm(), anna.id, chosen.clone(), Existing::Keep, operator(1))
        .await
        .unwrap();
    for stale in [old, renewed.clone()] {
        let rehash = world
            .store
            .rehash_password(realm(), anna.id, stale, renewed.clone());
        assert_eq!(rehash.await.unwrap(), Rehash::Outdated);
    }
    let now = world.store.user(realm(), anna.id).await.unwrap().unwrap();
    assert_eq!(now.password, Some(chosen));
}

pub async fn a_state_is_reached_only_from_where_it_may_be(world: World) {
    for (number, (from, to)) in UserState::ALL
        .iter()
        .flat_map(|from| UserState::ALL.iter().map(move |to| (*from, *to)))
        .enumerate()
    {
        let user = User {
            state: from,
            ..a_user(&format!("user{number}"))
        };
        world.store.create_user(user.clone(), operator(0)).await.unwrap();
        let expected = if from == to {
            StateChange::Same
        } else if rules::may_become(from, to, Password::Chosen) {
            StateChange::Changed(from)
        } else {
            StateChange::NotAllowed(from)
        };
        let change = world
            .store
            .change_user_state(realm(), user.id, to, operator(1))
            .await
            .unwrap();
        assert_eq!(change, expected, "{from} -> {to}");
        let now = world.store.user(realm(), user.id).await.unwrap().unwrap().state;
        assert_eq!(
            now,
            if matches!(change, StateChange::Changed(_)) {
                to
            } else {
                from
            }
        );
    }
}

pub async fn a_disabled_user_holds_nothing_any_more_and_gets_nothing_back(world: World) {
    let anna = world.user("anna").await;
    let carl = world.user("carl").await;
    for (name, user) in [("anna", anna.id), ("carl", carl.id)] {
        world
            .store
            .open_session(a_session(name, user), operator(0))
            .await
            .unwrap();
        world.grant(name, Some(user)).await;
        world
            .store
            .store_code(a_code(&format!("{name}.code"), user))
            .await
            .unwrap();
    }
    let disabled = world
        .store
        .change_user_state(realm(), anna.id, UserState::Disabled, operator(1));
    assert_eq!(disabled.await.unwrap(), StateChange::Changed(UserState::Active));
    let back = world
        .store
        .change_user_state(realm(), anna.id, UserState::Active, operator(2));
    assert_eq!(back.await.unwrap(), StateChange::Changed(UserState::Disabled));
    for (name, holds) in [("anna", false), ("carl", true)] {
        let session = world
            .store
            .session(realm(), Digest::of(name), at(3))
            .await
            .unwrap();
        assert_eq!(session.is_some(), holds, "{name}");
        assert_eq!(world.works(&format!("{name}.access"), 3).await, holds, "{name}");
        let tokens = first(&format!("{name}.2"), &format!("{name}.3"), 3);
        let code = world
            .store
            .redeem_code(present(&format!("{name}.code")), tokens, at(3))
            .await
            .unwrap();
        assert_eq!(matches!(code, Redemption::Redeemed(_)), holds, "{name}: {code:?}");
    }
}

pub async fn a_user_who_must_choose_a_password_anew_has_none(world: World) {
    let anna = world.user("anna").await;
    world.grant("anna", Some(anna.id)).await;
    world
        .store
        .change_user_state(realm(), anna.id, UserState::Pending, operator(1))
        .await
        .unwrap();
    let now = world.store.user(realm(), anna.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.password), (UserState::Pending, None));
    assert!(!world.works("anna.access", 2).await);
}

pub async fn what_a_user_may_do_is_replaced_as_a_whole(world: World) {
    let anna = world.user("anna").await;
    let access = UserAccess {
        customer: Some(CustomerId::try_from("umbrella").unwrap()),
        roles: Vec::new(),
        tenants: vec![TenantGrant {
            tenant: TenantId::try_from("t9").unwrap(),
            region: None,
            roles: Some(Vec::new()),
        }],
        default_tenant: Some(TenantId::try_from("t9").unwrap()),
        reach: Reach::Every,
    };
    let cursor = world.cursor().await;
    let edit = world
        .store
        .change_user_access(realm(), anna.id, access.clone(), operator(7))
        .await
        .unwrap();
    assert_eq!(edit, Edit::Done);
    let now = world.store.user(realm(), anna.id).await.unwrap().unwrap();
    assert_eq!((now.access, now.changed_at), (access.clone(), at(7)));
    let changed = Change::UserChanged {
        realm: realm(),
        user: anna.id,
    };
    assert_eq!(world.changes(cursor).await, [changed]);
    let edit = world
        .store
        .change_user_access(elsewhere(), anna.id, access, operator(8))
        .await
        .unwrap();
    assert_eq!(edit, Edit::Unknown);
}

pub async fn a_deleted_user_leaves_nothing_that_works(world: World) {
    let anna = world.user("anna").await;
    world
        .store
        .open_session(a_session("s", anna.id), operator(0))
        .await
        .unwrap();
    let issued = world.grant("anna", Some(anna.id)).await;
    world.store.store_code(a_code("c", anna.id)).await.unwrap();
    for _ in 0..3 {
        world
            .store
            .fail_attempt(realm(), anna.key.clone(), POLICY, at(0))
            .await
            .unwrap();
    }
    assert_eq!(
        world
            .store
            .delete_user(realm(), anna.id, operator(1))
            .await
            .unwrap(),
        Edit::Done
    );
    assert_eq!(
        world
            .store
            .delete_user(realm(), anna.id, operator(1))
            .await
            .unwrap(),
        Edit::Unknown
    );
    assert_eq!(
        world.store.user_by_key(realm(), anna.key.clone()).await.unwrap(),
        None
    );
    assert_eq!(
        world
            .store
            .session(realm(), Digest::of("s"), at(2))
            .await
            .unwrap(),
        None
    );
    assert!(!world.works("anna.access", 2).await);
    let redeemed = world
        .store
        .redeem_code(present("c"), first("a", "r", 2), at(2))
        .await
        .unwrap();
    assert_eq!(redeemed, Redemption::Unknown);
    assert_eq!(
        world
            .store
            .locked_until(realm(), anna.key.clone(), at(2))
            .await
            .unwrap(),
        None
    );
    let of = StandingOf {
        user: Some(anna.id),
        ..StandingOf::default()
    };
    assert_eq!(world.store.standing(realm(), of, at(2)).await.unwrap().user, None);
    let family = world
        .store
        .family(realm(), issued.family.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(family.revoked_at, Some(at(1)), "it stays in the list, revoked");
    let created = world
        .store
        .create_user(a_user("anna"), operator(3))
        .await
        .unwrap();
    assert_eq!(created, Creation::Created, "the name is free again");
}
