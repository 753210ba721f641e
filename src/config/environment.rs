//! The environment of the program, as [`super::load`] wants it.

/// The value of an environment variable. One that is not UTF-8 counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a configuration meets the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    // A name that has no variable can make the standard library panic.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}
