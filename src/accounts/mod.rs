//! Floor 2: what is known of customers, their tenants and their users: who they are, and what is true of them now.

pub mod account;
pub mod customers;
pub mod directory;
pub mod password;
pub mod password_pool;
pub mod realm;
pub mod session;
pub mod shared;
pub mod sign_in;
pub mod standing;
pub mod tenancy;

pub use crate::identity::name;
pub use crate::identity::name::UserName;
pub use account::{Account, Client, Right};
pub use customers::Customers;
pub use directory::{Customer, Directory, Found, Grant, Grants};
pub use password::{Cost, StoredPassword};
pub use password_pool::Passwords;
pub use realm::Realm;
pub use session::{Opened, Opening};
pub use shared::{Accounts, usual_passwords};
pub use sign_in::Outcome;
