//! Floor 1: HTTP as this gateway reads it. Parsers, the one body type, and the rules of RFC 9110, 9112 and 3986 that
//! hyper leaves to its user. Nothing here knows of customers, routes or configuration.

pub mod authorization;
pub mod body;
pub mod hop;
pub mod managed;
pub mod names;
pub mod query;
pub mod trailers;
