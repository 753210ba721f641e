//! What the behaviour tests share.
#![allow(dead_code, reason = "not every test needs every tool")]

pub mod client;
pub mod driver;
pub mod example;
pub mod gateway;
pub mod keys;
pub mod process;
pub mod raw_backend;
pub mod raw_h2;
pub mod scripted;
pub mod single;
pub mod upstream;
pub mod world;
