use futures_util::future::join_all;
use tollgate::base::digest::Digest;
use tollgate::identity::UserId;
use tollgate::store::backend::{FamilyFilter, PageSize, Paging, PresentedCode, RedirectRule, Which};
use tollgate::store::model::{AuthorizationCode, Change, Origin};
use tollgate::store::outcome::{Access, Redemption};

use crate::world::{World, a_code, at, client, elsewhere, first, opaque, present, realm};

async fn redeem(world: &World, presented: PresentedCode, seconds: i64) -> Redemption {
    let tokens = first(
        &format!("access at {seconds}"),
        &format!("refresh at {seconds}"),
        seconds,
    );
    world
        .store
        .redeem_code(presented, tokens, at(seconds))
        .await
        .unwrap()
}

pub async fn a_code_is_redeemed_once_and_gives_what_was_granted(world: World) {
    let code = a_code("c", UserId::random());
    world.store.store_code(code.clone()).await.unwrap();
    let tokens = first("a", "r", 10);
    let Redemption::Redeemed(issued) = world
        .store
        .redeem_code(present("c"), tokens.clone(), at(10))
        .await
        .unwrap()
    else {
        panic!("not redeemed")
    };
    let family = &issued.family;
    assert_eq!(family.id, tokens.family);
    assert_eq!(
        (&family.realm, &family.client_id, family.user),
        (&code.realm, &code.client_id, Some(code.user))
    );
    assert_eq!((&family.customer, &family.tenant), (&code.customer, &code.tenant));
    assert_eq!((&family.scopes, &family.roles), (&code.scopes, &code.roles));
    assert_eq!(
        (family.origin, family.created_at, family.revoked_at),
        (Origin::Code, at(10), None)
    );
    assert_eq!(family.expires_at, at(10 + 86_400));
    assert_eq!(issued.access_expires_at, at(10 + 7_200));
    assert_eq!(issued.refresh_expires_at, Some(at(10 + 86_400)));
    assert_eq!(
        world.store.family(realm(), family.id).await.unwrap().as_ref(),
        Some(family)
    );
    assert!(matches!(world.access("a", 11).await, Access::Live(live) if live.family == *family));
    assert!(
        world
            .store
            .refresh_facts(realm(), Digest::of("r"))
            .await
            .unwrap()
            .unwrap()
            .is_live(at(11))
    );
}

pub async fn a_second_use_revokes_what_the_first_gave(world: World) {
    let issued = world.redeem("c", UserId::random()).await;
    let cursor = world.cursor().await;
    for seconds in [20, 21] {
        let again = redeem(&world, present("c"), seconds).await;
        assert_eq!(
            again,
            Redemption::AlreadyUsed {
                family: issued.family.id
            }
        );
        assert_eq!(
            world.access(&format!("access at {seconds}"), seconds).await,
            Access::Unknown
        );
    }
    assert_eq!(world.access("c.access", 22).await, Access::Revoked);
    assert_eq!(
        world.changes(cursor).await,
        [Change::FamilyRevoked(issued.family.id)]
    );
    assert_eq!(world.actions().await, ["code.reuse", "code.reuse", "token.issue"]);
}

pub async fn a_replay_after_its_time_revokes_too(world: World) {
    let issued = world.redeem("c", UserId::random()).await;
    let again = redeem(&world, present("c"), 1_000).await;
    assert_eq!(
        again,
        Redemption::AlreadyUsed {
            family: issued.family.id
        }
    );
    assert_eq!(world.access("c.access", 1_001).await, Access::Revoked);
}

pub async fn a_code_expires(world: World) {
    for code in ["early", "late"] {
        world
            .store
            .store_code(a_code(code, UserId::random()))
            .await
            .unwrap();
    }
    assert!(matches!(
        redeem(&world, present("early"), 299).await,
        Redemption::Redeemed(_)
    ));
    assert_eq!(redeem(&world, present("late"), 300).await, Redemption::Expired);
    assert_eq!(
        redeem(&world, present("never stored"), 1).await,
        Redemption::Unknown
    );
}

pub async fn a_code_is_good_for_its_own_client_only_and_stays_so(world: World) {
    world
        .store
        .store_code(a_code("c", UserId::random()))
        .await
        .unwrap();
    let thief = PresentedCode {
        client_id: client("thief"),
        ..present("c")
    };
    assert_eq!(redeem(&world, thief.clone(), 1).await, Redemption::WrongClient);
    assert!(matches!(
        redeem(&world, present("c"), 2).await,
        Redemption::Redeemed(_)
    ));
    assert_eq!(redeem(&world, thief, 3).await, Redemption::WrongClient);
    assert!(world.works("access at 2", 4).await, "a stranger ends nothing");
}

pub async fn the_redirect_uri_must_be_repeated_as_the_rule_says(world: World) {
    use RedirectRule::{IfGiven, Repeated};
    let uri = Some("https://app.example.com/cb");
    let table = [
        (uri, uri, Repeated, true),
        (uri, None, Repeated, false),
        (uri, None, IfGiven, true),
        (uri, Some("https://app.example.com/cb/"), Repeated, false),
        (uri, Some("https://app.example.com/cb/"), IfGiven, false),
        (uri, Some("https://APP.example.com/cb"), IfGiven, false),
        (None, None, Repeated, true),
        (None, uri, Repeated, true),
    ];
    for (number, (asked, repeated, redirect_rule, good)) in table.into_iter().enumerate() {
        let name = format!("code {number}");
        let code = AuthorizationCode {
            redirect_uri: asked.map(str::to_owned),
            ..a_code(&name, UserId::random())
        };
        world.store.store_code(code).await.unwrap();
        let presented = PresentedCode {
            redirect_uri: repeated.map(str::to_owned),
            redirect_rule,
            ..present(&name)
        };
        let seconds = i64::try_from(number).unwrap();
        let redeemed = redeem(&world, presented, seconds).await;
        if good {
            assert!(
                matches!(redeemed, Redemption::Redeemed(_)),
                "{number}: {redeemed:?}"
            );
        } else {
            assert_eq!(redeemed, Redemption::WrongRedirect, "{number}");
            let right = PresentedCode {
                redirect_uri: asked.map(str::to_owned),
                ..present(&name)
            };
            let redeemed = redeem(&world, right, seconds + 100).await;
            assert!(
                matches!(redeemed, Redemption::Redeemed(_)),
                "{number}: it stayed good"
            );
        }
    }
}

pub async fn verifier_and_challenge_come_together_or_not_at_all(world: World) {
    let right = Some(Digest::of("verifier"));
    let table = [
        (right, right, true),
        (right, Some(Digest::of("guess")), false),
        (right, None, false),
        (None, right, false),
        (None, None, true),
    ];
    for (number, (challenge, verifier, good)) in table.into_iter().enumerate() {
        let name = format!("code {number}");
        let code = AuthorizationCode {
            challenge,
            ..a_code(&name, UserId::random())
        };
        world.store.store_code(code).await.unwrap();
        let presented = PresentedCode {
            verifier,
            ..present(&name)
        };
        let redeemed = redeem(&world, presented, i64::try_from(number).unwrap()).await;
        assert_eq!(
            matches!(redeemed, Redemption::Redeemed(_)),
            good,
            "{number}: {redeemed:?}"
        );
        assert!(good || redeemed == Redemption::WrongVerifier);
    }
}

pub async fn a_code_means_nothing_in_another_realm(world: World) {
    world
        .store
        .store_code(a_code("c", UserId::random()))
        .await
        .unwrap();
    let there = PresentedCode {
        realm: elsewhere(),
        ..present("c")
    };
    assert_eq!(redeem(&world, there, 1).await, Redemption::Unknown);
    assert!(matches!(
        redeem(&world, present("c"), 2).await,
        Redemption::Redeemed(_)
    ));
}

pub async fn of_fifty_redemptions_at_once_one_gets_tokens_and_ends_without_them(world: World) {
    world
        .store
        .store_code(a_code("c", UserId::random()))
        .await
        .unwrap();
    let redemptions = join_all((0..50).map(|number| {
        let tokens = first(&format!("a{number}"), &format!("r{number}"), 1);
        world.store.redeem_code(present("c"), tokens, at(1))
    }))
    .await;
    let redeemed = redemptions
        .iter()
        .filter(|redemption| matches!(redemption, Ok(Redemption::Redeemed(_))))
        .count();
    assert_eq!(redeemed, 1);
    let used = redemptions
        .iter()
        .filter(|redemption| matches!(redemption, Ok(Redemption::AlreadyUsed { .. })))
        .count();
    assert_eq!(used, 49);
    let filter = FamilyFilter {
        realm: realm(),
        user: None,
        client_id: None,
        which: Which::All,
    };
    let page = world
        .store
        .families(filter, Paging::first(PageSize::MAX))
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1, "one family");
    assert_eq!(
        page.items[0].revoked_at,
        Some(at(1)),
        "and who raced for it has it no longer"
    );
    for number in 0..50 {
        let access = world
            .store
            .access(realm(), opaque(&format!("a{number}")), at(2))
            .await
            .unwrap();
        assert!(matches!(access, Access::Unknown | Access::Revoked), "{access:?}");
    }
}
