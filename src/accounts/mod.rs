//! Floor 2: what is known of customers, their tenants and their users: names, passwords, standing.

pub mod directory;
pub mod password;
pub mod password_pool;

pub use crate::identity::name;
pub use crate::identity::name::UserName;
pub use directory::{Customer, Directory, Grant};
pub use password::{Cost, StoredPassword};
pub use password_pool::Passwords;
