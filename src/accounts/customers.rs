//! The customers of the store, held in memory: read without a lock, and never older than the start of the request that reads.
//!
//! The store tells of a customer that was changed or removed before that operation is answered. Nothing is read at that
//! moment; its name is noted as outdated, and from then on a request that concerns it reads it anew before it goes on
//! ([`Customers::settle`]). So a grant that was taken away is gone for the next request, and a thousand changes cost a
//! thousand notes. What no request asks for is brought up to date by a task, a little later and many at a time.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::Notify;

use super::directory::{Grant, Grants, header};
use crate::base::tasks;
use crate::base::units::Quota;
use crate::identity::{CustomerId, LimitName, RegionName, TenantId, TenantUuid};
use crate::store::backend::{PageSize, Paging};
use crate::store::model::{Change, CustomerRecord};
use crate::store::{Listener, Store, StoreError};

/// A customer of the store, ready for requests.
#[derive(Debug)]
pub struct StoredCustomer {
    /// Home region, by name: which number it has depends on the configuration.
    pub region: Option<RegionName>,
    /// Quotas of its own, by the limit's name.
    pub quotas: Vec<(LimitName, Quota)>,
    /// Its UUID as a header value.
    pub uuid: Option<HeaderValue>,
    grants: Grants,
}

impl StoredCustomer {
    fn new(record: CustomerRecord) -> StoredCustomer {
        StoredCustomer {
            uuid: record.uuid.and_then(|uuid| header(uuid.as_str())),
            region: record.region,
            quotas: record.quotas,
            grants: Grants::new(record.tenants),
        }
    }

    /// The grant for a tenant, if there is one.
    pub fn grant(&self, tenant: &TenantId) -> Option<&Arc<Grant>> {
        self.grants.of(tenant)
    }
}

/// How long the task waits for further changes before it reads.
const SETTLING: Duration = Duration::from_millis(50);

/// How long the task waits after the store failed it.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A change copies one shard, so their number divides what a change costs with many customers.
const SHARDS: usize = 64;

type Shard = HashMap<CustomerId, Arc<StoredCustomer>, foldhash::fast::RandomState>;

/// Whose a UUID was when it was last read; the customer has the last word.
type Uuids = HashMap<TenantUuid, CustomerId, foldhash::fast::RandomState>;

/// All customers of one store.
#[derive(Debug)]
pub struct Customers {
    store: Store,
    hasher: foldhash::fast::RandomState,
    shards: Box<[ArcSwap<Shard>]>,
    uuids: Box<[ArcSwap<Uuids>]>,
    notes: Arc<Notes>,
    /// Grows with every change that became visible.
    generation: AtomicU64,
    /// Held by whoever reads; nobody else writes shards.
    reading: tokio::sync::Mutex<()>,
}

/// What the store has told and nobody has read since. Apart from the rest, so that the store, which holds its listeners, does
/// not hold itself.
#[derive(Debug)]
struct Notes {
    outdated: Mutex<Outdated>,
    /// How many there are: 0 is the usual answer to the question of each request.
    count: AtomicUsize,
    wake: Notify,
}

/// What is known to have changed and was not read since. The numbers tell a note from a later one of the same name.
#[derive(Debug)]
struct Outdated {
    customers: HashMap<CustomerId, u64>,
    everything: Option<u64>,
    next: u64,
}

impl Outdated {
    fn draw(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Customers {
    /// Those of `store`. Nothing is read yet; the first that asks reads all of them.
    pub fn new(store: &Store) -> Arc<Customers> {
        let customers = Arc::new(Customers {
            store: store.clone(),
            hasher: foldhash::fast::RandomState::default(),
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            uuids: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            notes: Arc::new(Notes {
                outdated: Mutex::new(Outdated {
                    customers: HashMap::new(),
                    everything: Some(0),
                    next: 0,
                }),
                count: AtomicUsize::new(1),
                wake: Notify::new(),
            }),
            generation: AtomicU64::new(0),
            reading: tokio::sync::Mutex::new(()),
        });
        store.listen(Arc::clone(&customers.notes) as Arc<dyn Listener>);
        customers
    }

    /// What is known of a customer.
    pub fn get(&self, id: &CustomerId) -> Option<Arc<StoredCustomer>> {
        self.shard(id).load().get(id).cloned()
    }

    /// The customer of that UUID.
    pub fn of_uuid(&self, uuid: &TenantUuid) -> Option<CustomerId> {
        let id = self.uuids.get(self.place(uuid))?.load().get(uuid)?.clone();
        // What was read of the customer since may say otherwise.
        let own = self.get(&id)?;
        own.uuid
            .as_ref()
            .is_some_and(|own| own.as_bytes() == uuid.as_str().as_bytes())
            .then_some(id)
    }

    /// Customers in all.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().len()).sum()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which state this is: another number after each change, so that what was derived from it is derived anew.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Is anything outdated at all? One load.
    pub fn is_settled(&self) -> bool {
        self.notes.count.load(Ordering::Acquire) == 0
    }

    /// Brings these customers up to date, if they are outdated.
    ///
    /// # Errors
    /// [`StoreError`], when that cannot be read: then nobody knows what the customer may do.
    pub async fn settle(&self, ids: impl IntoIterator<Item = &CustomerId>) -> Result<(), StoreError> {
        if self.is_settled() {
            return Ok(());
        }
        let concerned: Vec<CustomerId> = {
            let outdated = self.notes.outdated();
            let all = outdated.everything.is_some();
            let is_concerned = |id: &&CustomerId| all || outdated.customers.contains_key(*id);
            ids.into_iter().filter(is_concerned).cloned().collect()
        };
        if concerned.is_empty() {
            return Ok(());
        }
        let _alone = self.reading.lock().await;
        self.read_all_if_missed().await?;
        for id in concerned {
            self.read(id).await?;
        }
        Ok(())
    }

    /// Brings everything up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_all(&self) -> Result<(), StoreError> {
        let _alone = self.reading.lock().await;
        self.read_all_if_missed().await?;
        let ids: Vec<CustomerId> = self.notes.outdated().customers.keys().cloned().collect();
        for id in ids {
            self.read(id).await?;
        }
        Ok(())
    }

    /// Starts the task that brings up to date what nobody asks for. It ends when nobody else holds `self`.
    pub fn tend(self: &Arc<Customers>) {
        tasks::spawn("customers", keep_current(Arc::downgrade(self)));
    }

    /// Reads one customer, if it is still outdated. Called by whoever holds `reading`.
    async fn read(&self, id: CustomerId) -> Result<(), StoreError> {
        // The note of before the read: one that comes while it runs is of a change that it may have missed.
        let Some(note) = self.notes.outdated().customers.get(&id).copied() else {
            return Ok(());
        };
        let found = self.store.customer(id.clone()).await?;
        if let Some(uuid) = found.as_ref().and_then(|record| record.uuid.as_ref())
            && let Some(held) = self.uuids.get(self.place(uuid))
        {
            held.rcu(|held| {
                let mut next = Uuids::clone(held);
                next.insert(uuid.clone(), id.clone());
                next
            });
        }
        self.shard(&id).rcu(|shard| {
            let mut next = Shard::clone(shard);
            match &found {
                Some(record) => next.insert(id.clone(), Arc::new(StoredCustomer::new(record.clone()))),
                None => next.remove(&id),
            };
            next
        });
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut outdated = self.notes.outdated();
        if outdated.customers.get(&id) == Some(&note) {
            outdated.customers.remove(&id);
        }
        self.notes.recount(&outdated);
        Ok(())
    }

    /// Reads all customers, if changes were missed. Called by whoever holds `reading`.
    async fn read_all_if_missed(&self) -> Result<(), StoreError> {
        let Some(note) = self.notes.outdated().everything else {
            return Ok(());
        };
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        let mut uuids: Vec<Uuids> = (0..SHARDS).map(|_| Uuids::default()).collect();
        let mut paging = Paging::first(PageSize::MAX);
        loop {
            let page = self.store.customers(paging).await?;
            for record in page.items {
                if let Some(uuid) = &record.uuid
                    && let Some(held) = uuids.get_mut(self.place(uuid))
                {
                    held.insert(uuid.clone(), record.id.clone());
                }
                let index = self.place(&record.id);
                if let Some(shard) = shards.get_mut(index) {
                    shard.insert(record.id.clone(), Arc::new(StoredCustomer::new(record)));
                }
            }
            match page.next {
                Some(place) => paging = Paging::after(place, PageSize::MAX),
                None => break,
            }
        }
        for (held, read) in self.uuids.iter().zip(uuids) {
            held.store(Arc::new(read));
        }
        for (held, read) in self.shards.iter().zip(shards) {
            held.store(Arc::new(read));
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut outdated = self.notes.outdated();
        if outdated.everything == Some(note) {
            outdated.everything = None;
        }
        self.notes.recount(&outdated);
        Ok(())
    }

    fn place(&self, key: &impl std::hash::Hash) -> usize {
        usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0) % SHARDS
    }

    #[expect(clippy::indexing_slicing, reason = "cut to the number of shards")]
    fn shard(&self, id: &CustomerId) -> &ArcSwap<Shard> {
        &self.shards[self.place(id)]
    }
}

impl Notes {
    fn outdated(&self) -> MutexGuard<'_, Outdated> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Under the lock, so that the count is never behind.
    fn recount(&self, outdated: &Outdated) {
        let notes = outdated.customers.len() + usize::from(outdated.everything.is_some());
        self.count.store(notes, Ordering::Release);
    }
}

impl Listener for Notes {
    fn changed(&self, changes: &[Change]) {
        let mut outdated = None;
        for change in changes {
            match change {
                Change::CustomerChanged(id) => {
                    let outdated = outdated.get_or_insert_with(|| self.outdated());
                    let note = outdated.draw();
                    outdated.customers.insert(id.clone(), note);
                }
                Change::UserChanged { .. }
                | Change::ApplicationChanged { .. }
                | Change::FamilyRevoked(_)
                | Change::AccessRevoked(_)
                | Change::SessionEnded(_)
                | Change::SessionChanged(_)
                | Change::AttemptsChanged { .. } => {}
            }
        }
        if let Some(outdated) = outdated {
            self.recount(&outdated);
            self.wake.notify_one();
        }
    }

    fn reload(&self) {
        let mut outdated = self.outdated();
        let note = outdated.draw();
        outdated.everything = Some(note);
        self.recount(&outdated);
        self.wake.notify_one();
    }
}

async fn keep_current(customers: Weak<Customers>) {
    loop {
        let Some(held) = customers.upgrade() else { return };
        let notes = Arc::clone(&held.notes);
        let settled = held.settle_all().await;
        if let Err(error) = &settled {
            tracing::warn!(%error, "customers cannot be read from the store; calls of those that changed are refused");
        }
        let is_failed = settled.is_err();
        drop(held);
        if is_failed {
            tokio::time::sleep(AFTER_FAILURE).await;
            continue;
        }
        notes.wake.notified().await;
        tokio::time::sleep(SETTLING).await;
    }
}

impl Drop for Customers {
    fn drop(&mut self) {
        self.notes.wake.notify_one();
    }
}

#[cfg(test)]
#[path = "customers_tests.rs"]
mod tests;
