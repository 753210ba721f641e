//! What all realms of one process share: the store, those who are told of its changes, and the threads that hash passwords.

use std::sync::Arc;

use super::customers::Customers;
use super::password_pool::Passwords;
use super::standing::Cells;
use crate::store::{Listener, Store};

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
