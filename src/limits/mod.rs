//! How much a caller may ask for: named token buckets, and caps on the items of one call.

pub mod bucket;
pub mod items;
pub mod json;
pub mod key;
pub mod table;
