//! Floor 4: the admin listener. What probes, scrapers and operators ask, beside the traffic and not in its way.

mod applications;
mod control;
mod customers;
mod offline;
mod routes;
mod serve;
mod tokens;
mod users;

pub use control::Control;
pub use routes::{AdminState, Readiness, Reason};
pub use serve::{AdminError, Handle, serve};

#[cfg(test)]
mod tests;
