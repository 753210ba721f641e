//! Floor 5: the command line. One file a command, each with its `Args` and a `run` that says how it ended.

mod application;
mod backend;
mod check;
mod command;
mod customer;
mod demo;
mod dev_cert;
mod hash_password;
mod hidden;
mod inventory;
mod keys;
mod operator;
mod run;
mod store;
mod stub;
mod terminal;
mod token;
mod user;

pub use command::{Exit, main};

#[cfg(test)]
mod tests;
