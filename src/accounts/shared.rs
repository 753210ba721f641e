//! What all realms of one process share: the store, those who are told of its changes, and the threads that hash passwords.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::customers::Customers;
use super::password::Cost;
use super::password_pool::{Passwords, PoolError, half_of_the_cores};
use super::standing::Cells;
use crate::base::clock::Clock;
use crate::base::tasks;
use crate::store::backend::SweepPlan;
use crate::store::outcome::Rest;
use crate::store::{Listener, Store};

/// Passwords that may wait for each thread that hashes: some seconds of work.
const ROOM_PER_THREAD: usize = 256;

/// How often the store is swept of what has ended.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The threads that hash passwords in a gateway: half of the cores.
///
/// # Errors
/// A system without threads or memory.
pub fn usual_passwords() -> Result<Passwords, PoolError> {
    let threads = half_of_the_cores();
    let room = NonZeroUsize::get(threads).saturating_mul(ROOM_PER_THREAD);
    Passwords::start(Cost::USUAL, threads, room)
}

/// The accounts of a process. There is one for each store.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    cells: Arc<Cells>,
    customers: Arc<Customers>,
    passwords: Passwords,
}

impl Accounts {
    /// The accounts of `store`. From here on its changes are heard of.
    pub fn open(store: Store, passwords: Passwords) -> Arc<Accounts> {
        let cells = Arc::new(Cells::default());
        store.listen(Arc::clone(&cells) as Arc<dyn Listener>);
        Arc::new(Accounts {
            customers: Customers::new(&store),
            cells,
            store,
            passwords,
        })
    }

    /// Starts what keeps them in order, on the current runtime: customers are brought up to date, and what has ended is swept
    /// out of the store. It ends when nobody holds the accounts any more.
    pub fn tend(self: &Arc<Accounts>, clock: &Clock) {
        self.customers.tend();
        tasks::spawn("store sweep", sweep(Arc::downgrade(self), clock.clone()));
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is true now of whoever is remembered.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The store's customers.
    pub fn customers(&self) -> &Arc<Customers> {
        &self.customers
    }

    /// Where passwords are hashed.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }
}

async fn sweep(accounts: Weak<Accounts>, clock: Clock) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(held) = accounts.upgrade() else { return };
        loop {
            match held.store.sweep(SweepPlan::default(), clock.unix()).await {
                Ok(swept) => match swept.rest {
                    Rest::Nothing => break,
                    Rest::More => {}
                },
                Err(error) => {
                    tracing::warn!(%error, "the store could not be swept");
                    break;
                }
            }
        }
    }
}
