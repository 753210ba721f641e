//! Floor 1: HTTP as this gateway reads it. Parsers, the one body type, and the rules of RFC 9110, 9112 and 3986 that
//! hyper leaves to its user. Nothing here knows of customers, routes or configuration.

pub mod authorization;
pub mod body;
pub mod cookie;
pub mod form;
pub mod forwarded;
pub mod guard;
pub mod head;
pub mod hop;
pub mod host;
pub mod managed;
pub mod names;
pub mod number;
pub mod only_field;
pub mod origin;
pub mod path;
pub mod pattern;
pub mod query;
pub mod redirect_uri;
pub mod request_id;
pub mod trace_context;
pub mod trailers;
