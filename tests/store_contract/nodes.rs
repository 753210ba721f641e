use tollgate::base::digest::Digest;
use tollgate::identity::{ClientId, CustomerId, EnrolmentId, NodeId, NodeUuid, TenantId};
use tollgate::store::backend::{PageSize, Paging, SweepPlan, TenantFilter};
use tollgate::store::model::{Actor, Enrolment, GrantType, Joining, NewNode, Node};
use tollgate::store::outcome::{Creation, Edit, Joined};

use crate::world::{DAY, HOUR, World, an_application, at, elsewhere, operator, realm, scopes};

fn uuid(text: &str) -> NodeUuid {
    NodeUuid::try_from(text).unwrap()
}

fn tenant(text: &str) -> Option<TenantId> {
    Some(TenantId::try_from(text).unwrap())
}

/// A token whose text is `token`, good for an hour.
fn a_token(token: &str) -> Enrolment {
    Enrolment {
        realm: realm(),
        id: EnrolmentId::random(),
        digest: Digest::of(token),
        hint: token.chars().take(6).collect(),
        metadata: r#"[{"key":"site","val":"ams"}]"#.to_owned(),
        customer: Some(CustomerId::try_from("acme").unwrap()),
        tenant: tenant("t1"),
        scopes: scopes("node"),
        created_at: at(0),
        created_by: Actor::Operator(Box::from("root")),
        expires_at: at(HOUR),
        used: None,
    }
}

fn joining(token: &str, node: &str) -> Joining {
    Joining {
        realm: realm(),
        token: Digest::of(token),
        uuid: uuid(node),
        id: NodeId::random(),
        secret: Digest::of(&format!("secret of {node}")),
    }
}

async fn kept(world: &World, token: &str) -> Enrolment {
    let made = a_token(token);
    let outcome = world.store.create_enrolment(made.clone(), operator(0)).await;
    assert_eq!(outcome.unwrap(), Creation::Created);
    made
}

fn in_tenant(name: &str) -> TenantFilter {
    TenantFilter {
        realm: realm(),
        tenant: tenant(name),
    }
}

pub async fn a_token_lets_one_node_in_once(world: World) {
    let made = kept(&world, "token-1").await;
    let store = &world.store;
    assert_eq!(
        store.enrolment(realm(), made.id).await.unwrap(),
        Some(made.clone())
    );
    assert_eq!(store.enrolment(elsewhere(), made.id).await.unwrap(), None);
    let first = joining("token-1", "node-1");
    let Joined::In(node) = store.join(first.clone(), at(10)).await.unwrap() else {
        panic!("it may");
    };
    assert_eq!((node.uuid.clone(), node.id), (uuid("node-1"), first.id));
    assert_eq!(
        (node.tenant.clone(), node.metadata.as_str()),
        (tenant("t1"), made.metadata.as_str())
    );
    assert_eq!(
        store.node(realm(), uuid("node-1")).await.unwrap(),
        Some(*node.clone())
    );
    let used = store
        .enrolment(realm(), made.id)
        .await
        .unwrap()
        .unwrap()
        .used
        .unwrap();
    assert_eq!((used.node, used.at), (uuid("node-1"), at(10)));
    for again in ["node-1", "node-2"] {
        assert_eq!(
            store.join(joining("token-1", again), at(11)).await.unwrap(),
            Joined::Used
        );
    }
    let application = store
        .application(realm(), ClientId::of_node(&uuid("node-1")))
        .await;
    let application = application.unwrap().expect("the application that it is");
    assert_eq!(application.secret, Some(first.secret));
    assert_eq!(
        (application.tenant, application.scopes),
        (tenant("t1"), scopes("node"))
    );
    assert_eq!(application.grants, [GrantType::ClientCredentials]);
}

pub async fn of_many_nodes_at_once_one_joins(world: World) {
    kept(&world, "token-1").await;
    let joins = (0..20).map(|number| {
        world
            .store
            .join(joining("token-1", &format!("node-{number}")), at(1))
    });
    let outcomes = futures_util::future::join_all(joins).await;
    let let_in = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Joined::In(_))))
        .count();
    assert_eq!(let_in, 1);
    let page = world
        .store
        .nodes(in_tenant("t1"), Paging::first(PageSize::MAX))
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
}

pub async fn a_token_that_is_over_unknown_or_deleted_lets_nobody_in(world: World) {
    let made = kept(&world, "token-1").await;
    let store = &world.store;
    let outcome =
        async |token: &str, seconds| store.join(joining(token, "node-1"), at(seconds)).await.unwrap();
    assert_eq!(outcome("token-2", 0).await, Joined::Unknown);
    assert_eq!(outcome("token-1", HOUR).await, Joined::Expired);
    let there = Joining {
        realm: elsewhere(),
        ..joining("token-1", "node-1")
    };
    assert_eq!(store.join(there, at(0)).await.unwrap(), Joined::Unknown);
    assert_eq!(
        store
            .delete_enrolment(realm(), made.id, operator(1))
            .await
            .unwrap(),
        Edit::Done
    );
    assert_eq!(
        store
            .delete_enrolment(realm(), made.id, operator(1))
            .await
            .unwrap(),
        Edit::Unknown
    );
    assert_eq!(outcome("token-1", 2).await, Joined::Unknown);
    assert_eq!(store.node(realm(), uuid("node-1")).await.unwrap(), None);
}

pub async fn a_token_is_kept_once_and_listed_for_its_tenant(world: World) {
    let made = kept(&world, "token-1").await;
    let store = &world.store;
    let same_text = a_token("token-1");
    assert_eq!(
        store.create_enrolment(same_text, operator(0)).await.unwrap(),
        Creation::Exists
    );
    let same_id = Enrolment {
        id: made.id,
        ..a_token("token-2")
    };
    assert_eq!(
        store.create_enrolment(same_id, operator(0)).await.unwrap(),
        Creation::Exists
    );
    let of_none = Enrolment {
        tenant: None,
        ..a_token("token-3")
    };
    store
        .create_enrolment(of_none.clone(), operator(0))
        .await
        .unwrap();
    let list = async |filter: TenantFilter| {
        store
            .enrolments(filter, Paging::first(PageSize::MAX))
            .await
            .unwrap()
            .items
    };
    assert_eq!(list(in_tenant("t1")).await, [made]);
    assert_eq!(list(in_tenant("t2")).await, []);
    let none = TenantFilter {
        realm: realm(),
        tenant: None,
    };
    assert_eq!(list(none).await, [of_none]);
    for number in 10..15 {
        kept(&world, &format!("token-{number}")).await;
    }
    let (mut paging, mut seen) = (Paging::first(PageSize::new(2)), 0);
    loop {
        let page = store.enrolments(in_tenant("t1"), paging).await.unwrap();
        seen += page.items.len();
        let Some(next) = page.next else { break };
        paging = Paging::after(next, PageSize::new(2));
    }
    assert_eq!(seen, 6);
}

pub async fn a_node_that_joins_again_keeps_its_id_and_loses_its_old_secret(world: World) {
    let store = &world.store;
    kept(&world, "token-1").await;
    kept(&world, "token-2").await;
    let first = joining("token-1", "node-1");
    store.join(first.clone(), at(1)).await.unwrap();
    let again = Joining {
        secret: Digest::of("another secret"),
        ..joining("token-2", "node-1")
    };
    let Joined::In(node) = store.join(again.clone(), at(2)).await.unwrap() else {
        panic!("it may");
    };
    assert_eq!((node.id, node.joined_at), (first.id, at(2)));
    let application = store
        .application(realm(), node.client_id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(application.secret, Some(again.secret));
    // Another tenant cannot take it over, and its token stays good.
    let other = Enrolment {
        tenant: tenant("t2"),
        ..a_token("token-3")
    };
    store.create_enrolment(other, operator(0)).await.unwrap();
    assert_eq!(
        store.join(joining("token-3", "node-1"), at(3)).await.unwrap(),
        Joined::Taken
    );
    assert!(matches!(
        store.join(joining("token-3", "node-2"), at(4)).await.unwrap(),
        Joined::In(_)
    ));
}

pub async fn a_node_may_be_let_in_without_a_token_and_be_removed(world: World) {
    let store = &world.store;
    let node = Node {
        realm: realm(),
        uuid: uuid("node-1"),
        id: NodeId::random(),
        customer: None,
        tenant: tenant("t1"),
        metadata: "[]".to_owned(),
        joined_at: at(0),
        let_in_by: Actor::System,
        last_seen: None,
    };
    let new = NewNode {
        node: node.clone(),
        secret: Digest::of("secret"),
        scopes: scopes("node"),
    };
    let joined = store.let_in(new.clone(), operator(0)).await.unwrap();
    assert_eq!(joined, Joined::In(Box::new(node.clone())));
    let other = NewNode {
        node: Node {
            tenant: tenant("t2"),
            ..node.clone()
        },
        ..new
    };
    assert_eq!(store.let_in(other, operator(0)).await.unwrap(), Joined::Taken);
    let elsewhere = store
        .remove_node(in_tenant("t2"), uuid("node-1"), operator(1))
        .await;
    assert_eq!(elsewhere.unwrap(), Edit::Unknown, "it is another tenant's");
    assert_eq!(
        store
            .remove_node(in_tenant("t1"), uuid("node-1"), operator(1))
            .await
            .unwrap(),
        Edit::Done
    );
    assert_eq!(
        store
            .remove_node(in_tenant("t1"), uuid("node-1"), operator(1))
            .await
            .unwrap(),
        Edit::Unknown
    );
    assert_eq!(store.node(realm(), uuid("node-1")).await.unwrap(), None);
    assert_eq!(store.application(realm(), node.client_id()).await.unwrap(), None);
}

pub async fn an_ordinary_application_of_a_nodes_name_is_not_replaced(world: World) {
    kept(&world, "token-1").await;
    let store = &world.store;
    let application = an_application("node:node-1");
    store
        .create_application(application.clone(), operator(0))
        .await
        .unwrap();
    assert_eq!(
        store.join(joining("token-1", "node-1"), at(1)).await.unwrap(),
        Joined::Taken
    );
    assert_eq!(
        store
            .application(realm(), application.client_id.clone())
            .await
            .unwrap(),
        Some(application)
    );
    assert!(matches!(
        store.join(joining("token-1", "node-2"), at(2)).await.unwrap(),
        Joined::In(_)
    ));
}

pub async fn the_use_of_a_node_is_noted(world: World) {
    kept(&world, "token-1").await;
    let store = &world.store;
    store.join(joining("token-1", "node-1"), at(1)).await.unwrap();
    let mark = Node::mark(&realm(), &uuid("node-1"));
    let seen = async || {
        store
            .node(realm(), uuid("node-1"))
            .await
            .unwrap()
            .unwrap()
            .last_seen
    };
    assert_eq!(seen().await, Some(at(1)));
    store.touch(mark, at(50)).await.unwrap();
    assert_eq!(seen().await, Some(at(50)));
    store.touch(mark, at(40)).await.unwrap();
    assert_eq!(seen().await, Some(at(50)), "it does not go back");
    let page = store
        .nodes(in_tenant("t1"), Paging::first(PageSize::MAX))
        .await
        .unwrap();
    assert_eq!(page.items[0].last_seen, Some(at(50)));
    // Written down, and read from there.
    store.sweep(SweepPlan::default(), at(60)).await.unwrap();
    assert_eq!(seen().await, Some(at(50)));
}

pub async fn tokens_that_are_over_are_swept_and_used_ones_a_month_later(world: World) {
    let (unused, used) = (kept(&world, "token-1").await, kept(&world, "token-2").await);
    let store = &world.store;
    store.join(joining("token-2", "node-1"), at(1)).await.unwrap();
    store.sweep(SweepPlan::default(), at(HOUR + 10)).await.unwrap();
    assert!(
        store.enrolment(realm(), unused.id).await.unwrap().is_some(),
        "a while it says that it has expired"
    );
    store.sweep(SweepPlan::default(), at(3 * HOUR)).await.unwrap();
    assert_eq!(store.enrolment(realm(), unused.id).await.unwrap(), None);
    assert!(store.enrolment(realm(), used.id).await.unwrap().is_some());
    let last = 30 * DAY + 2 * HOUR;
    store.sweep(SweepPlan::default(), at(last - 1)).await.unwrap();
    assert!(store.enrolment(realm(), used.id).await.unwrap().is_some());
    store.sweep(SweepPlan::default(), at(last)).await.unwrap();
    assert_eq!(store.enrolment(realm(), used.id).await.unwrap(), None);
    assert!(
        store.node(realm(), uuid("node-1")).await.unwrap().is_some(),
        "its node stays"
    );
}
