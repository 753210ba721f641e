//! Floor 2: what is known of customers and their tenants.

pub mod directory;

pub use directory::{Customer, Directory, Grant};
