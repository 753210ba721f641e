use futures_util::FutureExt as _;

use super::*;
use crate::base::clock::UnixTime;
use crate::identity::{Role, TenantGrant};
use crate::store::model::By;

const NOW: UnixTime = UnixTime(1_000);

fn id(text: &str) -> CustomerId {
    CustomerId::try_from(text).unwrap()
}

fn tenant(text: &str) -> TenantId {
    TenantId::try_from(text).unwrap()
}

fn record(name: &str, tenants: &[&str]) -> CustomerRecord {
    CustomerRecord {
        uuid: None,
        id: id(name),
        name: name.to_owned(),
        region: None,
        quotas: Vec::new(),
        tenants: tenants
            .iter()
            .map(|name| TenantGrant {
                tenant: tenant(name),
                region: None,
                roles: Some(vec![Role::try_from("viewer").unwrap()]),
            })
            .collect(),
        created_at: NOW,
    }
}

async fn put(store: &Store, name: &str, tenants: &[&str]) {
    let written = store.put_customer(record(name, tenants), By::system(NOW)).await;
    assert!(written.is_ok());
}

fn has_grant(customers: &Customers, customer: &str, of: &str) -> bool {
    customers
        .get(&id(customer))
        .is_some_and(|customer| customer.grant(&tenant(of)).is_some())
}

#[tokio::test]
async fn what_is_changed_or_removed_is_so_for_whoever_asks_next() {
    let store = Store::memory();
    put(&store, "msp", &["a", "b"]).await;
    let customers = Customers::new(&store);
    assert!(!customers.is_settled(), "nothing was read yet");
    customers.settle([&id("msp")]).await.unwrap();
    assert!(customers.is_settled() && has_grant(&customers, "msp", "a"));
    let generation = customers.generation();

    put(&store, "msp", &["b"]).await;
    assert!(!customers.is_settled());
    customers.settle([&id("somebody-else")]).await.unwrap();
    assert!(!customers.is_settled(), "others do not wait for it");
    customers.settle([&id("msp")]).await.unwrap();
    assert!(!has_grant(&customers, "msp", "a") && has_grant(&customers, "msp", "b"));
    assert!(customers.is_settled() && customers.generation() > generation);

    store.delete_customer(id("msp"), By::system(NOW)).await.unwrap();
    customers.settle([&id("msp")]).await.unwrap();
    assert!(customers.get(&id("msp")).is_none() && customers.is_empty());
}

#[tokio::test]
async fn when_changes_were_missed_all_are_read_anew() {
    let store = Store::memory();
    let customers = Customers::new(&store);
    for n in 0..1_500 {
        put(&store, &format!("c{n}"), &["t"]).await;
    }
    customers.settle_all().await.unwrap();
    assert_eq!(customers.len(), 1_500);
    customers.notes.reload();
    assert!(!customers.is_settled());
    customers.settle([&id("c7")]).await.unwrap();
    assert!(customers.is_settled() && customers.len() == 1_500);
}

#[tokio::test]
async fn a_store_that_does_not_answer_leaves_it_outdated_and_says_so() {
    let store = Store::memory();
    let customers = Customers::new(&store);
    customers.settle_all().await.unwrap();
    put(&store, "msp", &["a"]).await;
    store.close().await.unwrap();
    assert!(customers.settle([&id("msp")]).await.is_err());
    assert!(!customers.is_settled());
    assert!(
        customers.settle([&id("other")]).await.is_ok(),
        "whoever is not concerned goes on"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_reads_what_nobody_asks_for_and_ends_with_the_customers() {
    let store = Store::memory();
    let customers = Customers::new(&store);
    customers.tend();
    for n in 0..10 {
        put(&store, &format!("c{n}"), &[]).await;
    }
    tokio::time::sleep(2 * SETTLING).await;
    assert!(customers.is_settled() && customers.len() == 10);
    put(&store, "late", &[]).await;
    tokio::time::sleep(2 * SETTLING).await;
    assert!(customers.is_settled() && customers.len() == 11);
    let weak = Arc::downgrade(&customers);
    drop(customers);
    tokio::time::sleep(2 * SETTLING).await;
    assert!(weak.upgrade().is_none());
}

#[test]
fn the_question_of_each_request_is_answered_at_once_when_nothing_is_outdated() {
    let customers = Customers::new(&Store::memory());
    assert!(customers.settle_all().now_or_never().unwrap().is_ok());
    assert_eq!(customers.settle([&id("msp")]).now_or_never(), Some(Ok(())));
}
