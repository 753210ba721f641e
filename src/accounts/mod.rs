//! Floor 2: what is known of customers, their tenants and their users: names, passwords, standing.

pub mod directory;
pub mod name;
pub mod password;
pub mod password_pool;
pub mod standing;

pub use directory::{Customer, Directory, Grant};
pub use name::UserName;
pub use password::{Cost, StoredPassword};
pub use password_pool::Passwords;
