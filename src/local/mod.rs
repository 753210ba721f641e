//! Floor 4: answers that need no backend.

pub mod redirect;
