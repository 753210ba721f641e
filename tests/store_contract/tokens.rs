use tollgate::base::digest::Digest;
use tollgate::identity::{FamilyId, Jti, UserId};
use tollgate::store::backend::{FamilyFilter, Holder, PageSize, Paging, StandingOf, Which};
use tollgate::store::model::{AccessKey, ApplicationState, Change, NewFamily, UserState};
use tollgate::store::outcome::{Access, FamilyStanding, Revocation, Standing, UserStanding};

use crate::world::{
    DAY, HOUR, POLICY, World, a_family, an_application, at, client, elsewhere, opaque, operator, realm,
    scopes, tokens,
};

pub async fn an_access_token_says_whom_it_was_given_to(world: World) {
    let issued = world.grant("g", Some(UserId::random())).await;
    let Access::Live(live) = world.access("g.access", 1).await else {
        panic!("not live")
    };
    assert_eq!(live.family, issued.family);
    assert_eq!((live.issued_at, live.expires_at), (at(0), at(2 * HOUR)));
    assert_eq!(live.scopes, scopes("all read"));
    assert_eq!(world.access("other", 1).await, Access::Unknown);
    let there = world
        .store
        .access(elsewhere(), opaque("g.access"), at(1))
        .await
        .unwrap();
    assert_eq!(there, Access::Unknown);
    let as_jwt = AccessKey::Jwt(Jti::try_from("g.access").unwrap());
    assert_eq!(
        world.store.access(realm(), as_jwt, at(1)).await.unwrap(),
        Access::Unknown
    );
    assert_eq!(
        world
            .store
            .refresh_facts(realm(), Digest::of("g.access"))
            .await
            .unwrap(),
        None
    );
}

pub async fn an_access_token_may_have_fewer_scopes_than_its_family(world: World) {
    let mut tokens = tokens("a", Some("r"), 0);
    tokens.access.scopes = Some(scopes("read"));
    let issued = world
        .store
        .issue(a_family("app", None), tokens, operator(0))
        .await
        .unwrap();
    assert_eq!(issued.family.scopes, scopes("all read"));
    assert!(matches!(world.access("a", 1).await, Access::Live(live) if live.scopes == scopes("read")));
}

pub async fn an_access_token_expires(world: World) {
    world.grant("g", None).await;
    assert!(world.works("g.access", 2 * HOUR - 1).await);
    assert!(matches!(
        world.access("g.access", 2 * HOUR).await,
        Access::Expired(_)
    ));
}

pub async fn an_access_token_is_revoked_alone(world: World) {
    let jti = Jti::random();
    let mut first = tokens("unused", Some("r"), 0);
    first.access.key = AccessKey::Jwt(jti.clone());
    world
        .store
        .issue(a_family("app", None), first, operator(0))
        .await
        .unwrap();
    world.grant("opaque", None).await;
    for key in [AccessKey::Jwt(jti), opaque("opaque.access")] {
        let cursor = world.cursor().await;
        let revoke = || {
            world
                .store
                .revoke_access(realm(), key.clone(), at(DAY), operator(1))
        };
        assert_eq!(revoke().await.unwrap(), Revocation::Revoked);
        assert_eq!(revoke().await.unwrap(), Revocation::Already);
        assert_eq!(
            world.store.access(realm(), key.clone(), at(2)).await.unwrap(),
            Access::Revoked
        );
        assert_eq!(world.changes(cursor).await, [Change::AccessRevoked(key)]);
    }
    let facts = world
        .store
        .refresh_facts(realm(), Digest::of("r"))
        .await
        .unwrap()
        .unwrap();
    assert!(facts.is_live(at(2)), "the family goes on");
}

pub async fn a_foreign_token_is_remembered_as_revoked_until_its_end(world: World) {
    let key = AccessKey::Jwt(Jti::try_from("https://issuer.example|123").unwrap());
    let revoke = |until| {
        world
            .store
            .revoke_access(realm(), key.clone(), at(until), operator(0))
    };
    assert_eq!(revoke(100).await.unwrap(), Revocation::Revoked);
    assert_eq!(revoke(100).await.unwrap(), Revocation::Already);
    assert_eq!(
        revoke(200).await.unwrap(),
        Revocation::Revoked,
        "longer than before"
    );
    for (seconds, expected) in [(199, Access::Revoked), (200, Access::Unknown)] {
        assert_eq!(
            world
                .store
                .access(realm(), key.clone(), at(seconds))
                .await
                .unwrap(),
            expected
        );
    }
    assert_eq!(
        world.store.access(elsewhere(), key.clone(), at(1)).await.unwrap(),
        Access::Unknown
    );
    let unknown = world
        .store
        .revoke_access(realm(), opaque("never issued"), at(100), operator(0))
        .await
        .unwrap();
    assert_eq!(unknown, Revocation::Unknown);
}

pub async fn a_family_is_revoked_once(world: World) {
    let issued = world.grant("g", None).await;
    let cursor = world.cursor().await;
    let revoke = |realm| world.store.revoke_family(realm, issued.family.id, operator(5));
    assert_eq!(revoke(elsewhere()).await.unwrap(), Revocation::Unknown);
    assert_eq!(revoke(realm()).await.unwrap(), Revocation::Revoked);
    assert_eq!(revoke(realm()).await.unwrap(), Revocation::Already);
    assert_eq!(
        world.changes(cursor).await,
        [Change::FamilyRevoked(issued.family.id)]
    );
    assert_eq!(world.access("g.access", 6).await, Access::Revoked);
    let facts = world
        .store
        .refresh_facts(realm(), Digest::of("g.refresh"))
        .await
        .unwrap()
        .unwrap();
    assert!(!facts.is_live(at(6)));
    let family = world
        .store
        .family(realm(), issued.family.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(family.revoked_at, Some(at(5)));
    let unknown = world
        .store
        .revoke_family(realm(), FamilyId::random(), operator(5))
        .await
        .unwrap();
    assert_eq!(unknown, Revocation::Unknown);
}

pub async fn a_refresh_token_is_revoked_by_its_own_client_with_the_family(world: World) {
    world.grant("g", None).await;
    let revoke = |token: &str, by: &str| {
        world
            .store
            .revoke_refresh(realm(), Digest::of(token), client(by), operator(1))
    };
    assert_eq!(
        revoke("g.refresh", "thief").await.unwrap(),
        Revocation::WrongClient
    );
    assert!(world.works("g.access", 2).await);
    assert_eq!(revoke("g.refresh", "app").await.unwrap(), Revocation::Revoked);
    assert_eq!(revoke("g.refresh", "app").await.unwrap(), Revocation::Already);
    assert_eq!(revoke("unknown", "app").await.unwrap(), Revocation::Unknown);
    assert_eq!(world.access("g.access", 2).await, Access::Revoked);
}

async fn three_grants(world: &World) -> (UserId, UserId) {
    let (anna, carl) = (UserId::random(), UserId::random());
    world.grant_to("app", "anna.app", Some(anna), 0).await;
    world.grant_to("other", "anna.other", Some(anna), 0).await;
    world.grant_to("app", "carl.app", Some(carl), 0).await;
    (anna, carl)
}

async fn working(world: &World) -> Vec<&'static str> {
    let mut working = Vec::new();
    for name in ["anna.app", "anna.other", "carl.app"] {
        if world.works(&format!("{name}.access"), 10).await {
            working.push(name);
        }
    }
    working
}

pub async fn tokens_of_a_user_at_one_application_are_revoked_and_no_others(world: World) {
    let (anna, _) = three_grants(&world).await;
    let holder = Holder::UserAtApplication(anna, client("app"));
    let revoked = world
        .store
        .revoke_families_of(realm(), holder.clone(), operator(1))
        .await
        .unwrap();
    assert_eq!(revoked, 1);
    assert_eq!(working(&world).await, ["anna.other", "carl.app"]);
    let again = world
        .store
        .revoke_families_of(realm(), holder, operator(1))
        .await
        .unwrap();
    assert_eq!(again, 0);
}

pub async fn tokens_of_a_user_or_an_application_are_revoked_together(world: World) {
    let (anna, _) = three_grants(&world).await;
    let nobody = world
        .store
        .revoke_families_of(elsewhere(), Holder::User(anna), operator(1))
        .await
        .unwrap();
    assert_eq!(nobody, 0);
    let cursor = world.cursor().await;
    let revoked = world
        .store
        .revoke_families_of(realm(), Holder::User(anna), operator(1))
        .await
        .unwrap();
    assert_eq!((revoked, world.changes(cursor).await.len()), (2, 2));
    assert_eq!(working(&world).await, ["carl.app"]);
    let app = Holder::Application(client("app"));
    let revoked = world
        .store
        .revoke_families_of(realm(), app, operator(1))
        .await
        .unwrap();
    assert_eq!(revoked, 1, "those that are revoked already do not count");
    assert!(working(&world).await.is_empty());
}

pub async fn the_token_list_is_newest_first_in_parts_and_filtered(world: World) {
    let anna = UserId::random();
    let mut ids = Vec::new();
    for (number, (client_id, user)) in [
        ("app", Some(anna)),
        ("app", None),
        ("other", Some(anna)),
        ("app", Some(anna)),
    ]
    .into_iter()
    .enumerate()
    {
        // Two of the same second: the id decides.
        let seconds = i64::try_from(number / 2).unwrap();
        let issued = world
            .grant_to(client_id, &format!("g{number}"), user, seconds)
            .await;
        ids.push((issued.family.created_at, issued.family.id, number));
    }
    ids.sort_unstable();
    ids.reverse();
    let sorted: Vec<usize> = ids.iter().map(|(_, _, number)| *number).collect();
    let number_of = |id: FamilyId| ids.iter().find(|(_, other, _)| *other == id).unwrap().2;
    let all = FamilyFilter {
        realm: realm(),
        user: None,
        client_id: None,
        which: Which::All,
    };
    let list = async |filter: FamilyFilter| {
        let mut paging = Paging::first(PageSize::new(1));
        let mut found = Vec::new();
        loop {
            let page = world.store.families(filter.clone(), paging).await.unwrap();
            found.extend(page.items.iter().map(|family| number_of(family.id)));
            match page.next {
                Some(place) => paging = Paging::after(place, PageSize::new(1)),
                None => return found,
            }
        }
    };
    let only = |keep: fn(&usize) -> bool| -> Vec<usize> { sorted.iter().copied().filter(keep).collect() };
    assert_eq!(list(all.clone()).await, sorted);
    let of_user = FamilyFilter {
        user: Some(anna),
        ..all.clone()
    };
    assert_eq!(list(of_user.clone()).await, only(|number| *number != 1));
    let of_app = FamilyFilter {
        client_id: Some(client("app")),
        ..all.clone()
    };
    assert_eq!(list(of_app).await, only(|number| *number != 2));
    let of_both = FamilyFilter {
        client_id: Some(client("app")),
        ..of_user
    };
    assert_eq!(list(of_both).await, only(|number| [0, 3].contains(number)));
    let there = FamilyFilter {
        realm: elsewhere(),
        ..all.clone()
    };
    assert!(list(there).await.is_empty());

    let first = ids.iter().find(|(_, _, number)| *number == 0).unwrap().1;
    world
        .store
        .revoke_family(realm(), first, operator(5))
        .await
        .unwrap();
    let live_at = |seconds| FamilyFilter {
        which: Which::LiveAt(at(seconds)),
        ..all.clone()
    };
    assert_eq!(list(live_at(6)).await, only(|number| *number != 0));
    assert!(list(live_at(3 * DAY)).await.is_empty());
    assert_eq!(list(all.clone()).await.len(), 4);
}

pub async fn the_standing_is_read_in_one_go(world: World) {
    let anna = world.user("anna").await;
    world
        .store
        .create_application(an_application("app"), operator(0))
        .await
        .unwrap();
    let issued = world.grant("g", Some(anna.id)).await;
    let of = StandingOf {
        user: Some(anna.id),
        client_id: Some(client("app")),
        family: Some(issued.family.id),
    };
    let expected = Standing {
        user: Some(UserStanding {
            state: UserState::Active,
            locked_until: None,
        }),
        application: Some(ApplicationState::Active),
        family: Some(FamilyStanding {
            revoked_at: None,
            expires_at: at(DAY),
        }),
    };
    assert_eq!(
        world.store.standing(realm(), of.clone(), at(1)).await.unwrap(),
        expected
    );
    for _ in 0..3 {
        world
            .store
            .fail_attempt(realm(), anna.key.clone(), POLICY, at(10))
            .await
            .unwrap();
    }
    let locked = async |seconds| {
        let of = of.clone();
        world
            .store
            .standing(realm(), of, at(seconds))
            .await
            .unwrap()
            .user
            .unwrap()
            .locked_until
    };
    assert_eq!(locked(69).await, Some(at(70)));
    assert_eq!(locked(70).await, None);
    assert_eq!(
        world.store.standing(elsewhere(), of, at(1)).await.unwrap(),
        Standing::default()
    );
}

pub async fn a_token_never_outlives_its_family(world: World) {
    let family = NewFamily {
        ends_at: Some(at(60)),
        ..a_family("app", None)
    };
    let issued = world
        .store
        .issue(family, tokens("a", Some("r"), 0), operator(0))
        .await
        .unwrap();
    assert_eq!(
        (issued.access_expires_at, issued.refresh_expires_at),
        (at(60), Some(at(60)))
    );
    assert_eq!(issued.family.expires_at, at(60));
    assert!(world.works("a", 59).await);
    assert!(matches!(world.access("a", 60).await, Access::Expired(_)));
}
