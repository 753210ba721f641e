//! What the store in a file does beyond the contract: it survives being killed, a full disk, other processes and bad files, and
//! keeps no secret.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::large_futures,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "store_sqlite/child.rs"]
mod child;
#[path = "store_sqlite/copies.rs"]
mod copies;
#[path = "store_sqlite/crash.rs"]
mod crash;
#[path = "store_sqlite/disk.rs"]
mod disk;
#[path = "store_sqlite/files.rs"]
mod files;
#[path = "store_sqlite/scale.rs"]
mod scale;
#[path = "store_sqlite/secrets.rs"]
mod secrets;
#[path = "store_sqlite/sharing.rs"]
mod sharing;
#[allow(dead_code, reason = "the contract uses the rest of it")]
#[path = "store_contract/world.rs"]
mod world;
