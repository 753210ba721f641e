//! Floor 2: what is known of customers, their tenants and their users: who they are, and what is true of them now.

pub mod customers;
pub mod directory;
pub mod name;
pub mod password;
pub mod password_pool;
pub mod standing;

pub use customers::Customers;
pub use directory::{Customer, Directory, Grant, Grants};
pub use name::UserName;
pub use password::{Cost, StoredPassword};
pub use password_pool::Passwords;
