//! Floor 2: the configuration, from YAML to a checked [`plan::Plan`].

pub mod diagnostic;
pub mod plan;
