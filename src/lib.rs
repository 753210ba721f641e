//! Tollgate: an API gateway for multi-tenant management APIs.
//!
//! The code stands on six floors; a module imports only what is below it (`tests/layering.rs`):
//!
//! ```text
//! floor 5  the house     main  cli  gateway  server  pipeline  reply  trail  shard  snapshot
//! floor 4  own answers   oauth  local  admin
//! floor 3  stages        routing   auth < limits < headers < upstream
//! floor 2  instruments   config  accounts  store  jose  net  telemetry
//! floor 1  words         rejection  http  identity
//! floor 0  base          clock  digest  units  secret  random  tasks
//! ```
#![forbid(unsafe_code)]

pub mod accounts;
pub mod admin;
pub mod auth;
pub mod base;
pub mod cli;
pub mod conditions;
pub mod config;
pub mod endpoints;
pub mod gateway;
pub mod headers;
pub mod http;
pub mod identity;
pub mod jose;
pub mod limits;
pub mod local;
pub mod net;
pub mod oauth;
pub mod pipeline;
pub mod rejection;
pub mod reply;
pub mod routing;
pub mod server;
pub mod shard;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod trail;
pub mod upstream;
