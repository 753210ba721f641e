//! Behaviour against the running gateway: real sockets, ports that the system chose, real backends.
#![allow(
    unreachable_pub,
    unused_qualifications,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::large_futures,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod support;

mod accounts_command;
mod callers;
mod canaries;
mod controller;
mod customers;
mod demo;
mod drain;
mod elsewhere;
mod foreign_credentials;
mod foreign_peers;
mod forged;
mod four_front_doors;
mod front_doors;
mod hash_password;
mod hostile;
mod identity_headers;
mod item_caps;
mod key_server_tls;
mod killed;
mod leftover_bodies;
mod life;
mod limits;
mod nodes;
mod offline_tokens;
mod operators;
mod pages;
mod paths;
mod portal;
mod readiness;
mod regions;
mod routing;
mod shipped;
mod sign_in;
mod signed_urls;
mod slow_clients;
mod spoof;
mod store_command;
mod streaming;
mod tokens;
mod upstream_failures;
