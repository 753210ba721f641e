//! Floor 2: the configuration, from YAML to a checked [`plan::Plan`].
//!
//! ```text
//! files --source--> tree --include, interpolate--> tree --shape--> raw types --resolve--> Plan
//!       (places)                                   (schema)        (private)    (or all diagnostics)
//! ```

pub mod diagnostic;
pub mod diff;
mod environment;
mod excerpt;
mod findings;
mod include;
mod interpolate;
mod load;
mod node;
pub mod plan;
mod raw;
mod read;
pub mod reference;
mod resolve;
pub mod schema;
mod shape;
mod source;
mod suggest;
mod text;
mod tombstones;
pub mod watch;

pub use diff::restart_needed;
pub use environment::environment;
pub use load::{load, load_text};
