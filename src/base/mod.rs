//! Floor 0: what every other module may use and what knows nothing of the gateway's words.

pub mod clock;
pub mod digest;
pub mod json_template;
pub mod random;
pub mod sealed;
pub mod secret;
pub mod tasks;
pub mod template;
pub mod token_value;
pub mod units;
pub mod version;
