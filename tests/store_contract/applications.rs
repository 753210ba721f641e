use std::num::NonZeroU32;
use std::time::Duration;

use tollgate::base::digest::Digest;
use tollgate::base::units::Quota;
use tollgate::identity::{CustomerId, LimitName, RegionName, TenantGrant, TenantId, UserId};
use tollgate::store::backend::{ApplicationFilter, PageSize, Paging, StandingOf};
use tollgate::store::model::{
    Actor, Application, ApplicationEdit, ApplicationState, Change, CustomerRecord, GrantType,
};
use tollgate::store::outcome::{Access, Creation, Edit, Redemption, Written};

use crate::world::{
    T0, World, a_code, an_application, at, client, elsewhere, first, operator, present, realm, scopes,
};

pub async fn a_client_id_is_taken_once_in_a_realm(world: World) {
    let app = an_application("app");
    let create = |app: Application| world.store.create_application(app, operator(0));
    assert_eq!(create(app.clone()).await.unwrap(), Creation::Created);
    let other = Application {
        name: "another".to_owned(),
        ..app.clone()
    };
    assert_eq!(create(other).await.unwrap(), Creation::Exists);
    let there = Application {
        realm: elsewhere(),
        ..app.clone()
    };
    assert_eq!(create(there).await.unwrap(), Creation::Created);
    assert_eq!(
        world.store.application(realm(), client("app")).await.unwrap(),
        Some(app)
    );
}

pub async fn everything_of_an_application_is_kept(world: World) {
    let app = Application {
        secret: None,
        redirect_uris: vec![
            "https://a.example/cb?x=1 2".to_owned(),
            "http://127.0.0.1/".to_owned(),
        ],
        owner: Some(UserId::random()),
        customer: Some(CustomerId::try_from("acme").unwrap()),
        tenant: Some(TenantId::try_from("267958b55d5a463e94a302c20f4a6b68").unwrap()),
        grants: GrantType::ALL.to_vec(),
        state: ApplicationState::Disabled,
        created_by: Actor::User(UserId::random()),
        ..an_application("app")
    };
    world
        .store
        .create_application(app.clone(), operator(0))
        .await
        .unwrap();
    assert_eq!(
        world.store.application(realm(), client("app")).await.unwrap(),
        Some(app)
    );
    assert_eq!(
        world.store.application(elsewhere(), client("app")).await.unwrap(),
        None
    );
}

pub async fn applications_are_listed_by_client_id_and_owner(world: World) {
    let owner = UserId::random();
    for (name, owner) in [("c", None), ("a", Some(owner)), ("b", Some(owner)), ("d", None)] {
        let app = Application {
            owner,
            ..an_application(name)
        };
        world.store.create_application(app, operator(0)).await.unwrap();
    }
    let list = |owner: Option<UserId>, paging| {
        let filter = ApplicationFilter {
            realm: realm(),
            owner,
        };
        world.store.applications(filter, paging)
    };
    let names = |items: &[Application]| -> Vec<String> {
        items.iter().map(|app| app.client_id.to_string()).collect()
    };
    let page = list(None, Paging::first(PageSize::new(3))).await.unwrap();
    assert_eq!(names(&page.items), ["a", "b", "c"]);
    let page = list(None, Paging::after(page.next.unwrap(), PageSize::new(3)))
        .await
        .unwrap();
    assert_eq!((names(&page.items), page.next), (vec!["d".to_owned()], None));
    let page = list(Some(owner), Paging::first(PageSize::MAX)).await.unwrap();
    assert_eq!(names(&page.items), ["a", "b"]);
}

pub async fn an_application_is_changed_and_gets_a_new_secret(world: World) {
    let app = an_application("app");
    world
        .store
        .create_application(app.clone(), operator(0))
        .await
        .unwrap();
    let edit = ApplicationEdit {
        name: "renamed".to_owned(),
        redirect_uris: Vec::new(),
        scopes: scopes("read"),
        grants: vec![GrantType::ClientCredentials],
        state: ApplicationState::Active,
    };
    let cursor = world.cursor().await;
    let done = world
        .store
        .change_application(realm(), client("app"), edit.clone(), operator(1))
        .await
        .unwrap();
    assert_eq!(done, Edit::Done);
    let done = world
        .store
        .rotate_secret(realm(), client("app"), Digest::of("new"), operator(2))
        .await
        .unwrap();
    assert_eq!(done, Edit::Done);
    let expected = Application {
        name: edit.name.clone(),
        redirect_uris: edit.redirect_uris.clone(),
        scopes: edit.scopes.clone(),
        grants: edit.grants.clone(),
        secret: Some(Digest::of("new")),
        ..app
    };
    assert_eq!(
        world.store.application(realm(), client("app")).await.unwrap(),
        Some(expected)
    );
    assert_eq!(world.changes(cursor).await.len(), 2);
    for unknown in [
        world
            .store
            .change_application(realm(), client("no"), edit, operator(3))
            .await
            .unwrap(),
        world
            .store
            .rotate_secret(elsewhere(), client("app"), Digest::of("x"), operator(3))
            .await
            .unwrap(),
    ] {
        assert_eq!(unknown, Edit::Unknown);
    }
}

pub async fn a_disabled_application_is_suspended_and_loses_nothing(world: World) {
    let app = an_application("app");
    world
        .store
        .create_application(app.clone(), operator(0))
        .await
        .unwrap();
    world.grant("g", None).await;
    for state in [ApplicationState::Disabled, ApplicationState::Active] {
        let edit = ApplicationEdit {
            name: app.name.clone(),
            redirect_uris: app.redirect_uris.clone(),
            scopes: app.scopes.clone(),
            grants: app.grants.clone(),
            state,
        };
        world
            .store
            .change_application(realm(), client("app"), edit, operator(1))
            .await
            .unwrap();
        let of = StandingOf {
            client_id: Some(client("app")),
            ..StandingOf::default()
        };
        let standing = world.store.standing(realm(), of, at(2)).await.unwrap();
        assert_eq!(standing.application, Some(state));
        assert!(
            world.works("g.access", 2).await,
            "whether it is used is for the standing to say"
        );
    }
}

pub async fn a_deleted_application_takes_its_tokens_and_codes_along(world: World) {
    let anna = world.user("anna").await;
    world
        .store
        .create_application(an_application("app"), operator(0))
        .await
        .unwrap();
    let own = world.grant("own", Some(anna.id)).await;
    world.grant_to("other", "other", Some(anna.id), 0).await;
    world.store.store_code(a_code("c", anna.id)).await.unwrap();
    let cursor = world.cursor().await;
    let deleted = world
        .store
        .delete_application(realm(), client("app"), operator(1))
        .await
        .unwrap();
    assert_eq!(deleted, Edit::Done);
    assert_eq!(world.access("own.access", 2).await, Access::Revoked);
    assert!(world.works("other.access", 2).await);
    let redeemed = world
        .store
        .redeem_code(present("c"), first("a", "r", 2), at(2))
        .await
        .unwrap();
    assert_eq!(redeemed, Redemption::Unknown);
    let changes = world.changes(cursor).await;
    assert!(changes.contains(&Change::FamilyRevoked(own.family.id)));
    assert!(changes.contains(&Change::ApplicationChanged {
        realm: realm(),
        client_id: client("app")
    }));
    let deleted = world
        .store
        .delete_application(realm(), client("app"), operator(3))
        .await
        .unwrap();
    assert_eq!(deleted, Edit::Unknown);
}

pub async fn a_customer_is_written_replaced_listed_and_deleted(world: World) {
    let acme = CustomerRecord {
        uuid: None,
        id: CustomerId::try_from("acme").unwrap(),
        name: "Acme Ltd.".to_owned(),
        region: Some(RegionName::try_from("eu-1").unwrap()),
        quotas: vec![(
            LimitName::try_from("per-customer").unwrap(),
            Quota {
                tokens: NonZeroU32::new(70).unwrap(),
                per: Duration::from_millis(1_500),
                burst: NonZeroU32::new(7).unwrap(),
            },
        )],
        tenants: vec![TenantGrant {
            tenant: TenantId::try_from("t1").unwrap(),
            region: None,
            roles: None,
        }],
        created_at: T0,
    };
    assert_eq!(
        world.store.put_customer(acme.clone(), operator(0)).await.unwrap(),
        Written::Created
    );
    assert_eq!(
        world.store.customer(acme.id.clone()).await.unwrap(),
        Some(acme.clone())
    );
    let later = CustomerRecord {
        name: "Acme Inc.".to_owned(),
        quotas: Vec::new(),
        created_at: at(9),
        ..acme.clone()
    };
    let cursor = world.cursor().await;
    assert_eq!(
        world
            .store
            .put_customer(later.clone(), operator(9))
            .await
            .unwrap(),
        Written::Replaced
    );
    let kept = CustomerRecord {
        created_at: T0,
        ..later
    };
    let page = world.store.customers(Paging::first(PageSize::MAX)).await.unwrap();
    assert_eq!((page.items, page.next), (vec![kept], None));
    assert_eq!(
        world
            .store
            .delete_customer(acme.id.clone(), operator(10))
            .await
            .unwrap(),
        Edit::Done
    );
    assert_eq!(
        world
            .store
            .delete_customer(acme.id.clone(), operator(10))
            .await
            .unwrap(),
        Edit::Unknown
    );
    let changed = Change::CustomerChanged(acme.id);
    assert_eq!(world.changes(cursor).await, [changed.clone(), changed]);
}
