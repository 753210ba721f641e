//! How much a caller may ask for: named token buckets, and caps on the items of one call.

mod admission;
pub mod bucket;
mod fields;
mod handles;
pub mod items;
pub mod json;
pub mod key;
mod limit;
pub mod table;

pub use admission::{Admission, Limits};
pub use limit::Limit;
