//! Names that only the gateway may set: every spelling of each is removed from what clients send.
//!
//! Servers behind a gateway do not all compare names in the same way: CGI-like interfaces turn `-` and `_` (and some
//! of them every other sign) into one. `x_tenant_id` and `x.tenant.id` must therefore be taken for `x-tenant-id`. Two
//! names are the same here when they are equal after every byte outside `[a-z0-9]` became `-` and `-` was taken off
//! both ends.

use http::HeaderName;

/// A set of names that knows every spelling of each. Reading it does not allocate.
#[derive(Debug, Clone, Default)]
pub struct ManagedNames {
    /// Normal forms, ordered by length, then bytes; no two alike.
    names: Box<[Box<[u8]>]>,
    /// Bit `n` says that a normal form of length `n` exists (63: or longer). Most names fail here.
    lengths: u64,
}

impl ManagedNames {
    /// The set of `names`, in any spelling.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> ManagedNames {
        let mut normal: Vec<Box<[u8]>> = names
            .into_iter()
            .map(|name| {
                core(name.as_str().as_bytes())
                    .iter()
                    .copied()
                    .map(folded)
                    .collect()
            })
            .collect();
        normal.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        normal.dedup();
        let lengths = normal.iter().fold(0, |bits, name| bits | length_bit(name.len()));
        ManagedNames {
            names: normal.into_boxed_slice(),
            lengths,
        }
    }

    /// Is `name` a spelling of one of these?
    pub fn matches(&self, name: &HeaderName) -> bool {
        self.position(name).is_some()
    }

    /// Which of the normal forms `name` is a spelling of; an index below [`ManagedNames::len`].
    pub fn position(&self, name: &HeaderName) -> Option<usize> {
        let core = core(name.as_str().as_bytes());
        if self.lengths & length_bit(core.len()) == 0 {
            return None;
        }
        self.names.iter().position(|known| {
            known.len() == core.len() && known.iter().zip(core).all(|(a, b)| *a == folded(*b))
        })
    }

    /// How many different names the set has.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Has the set no name?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Does `name`, in whatever spelling, begin with `prefix` (in normal form, `x-forwarded-`)?
pub fn begins_with(name: &HeaderName, prefix: &[u8]) -> bool {
    let core = core(name.as_str().as_bytes());
    core.len() >= prefix.len() && core.iter().zip(prefix).all(|(a, b)| folded(*a) == *b)
}

/// One byte of a name in normal form. `HeaderName` is lower case already; upper case is folded all the same, so that
/// the rule does not depend on it.
fn folded(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'-',
    }
}

/// The name without the signs at both ends.
fn core(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let [first, after @ ..] = rest {
        if first.is_ascii_alphanumeric() {
            break;
        }
        rest = after;
    }
    while let [before @ .., last] = rest {
        if last.is_ascii_alphanumeric() {
            break;
        }
        rest = before;
    }
    rest
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_spelling_of_a_managed_name_matches() {
        let managed = ManagedNames::new([name("X-Tenant-ID"), name("x-customer-id")]);
        for spelling in [
            "x-tenant-id",
            "X-TENANT-ID",
            "x_tenant_id",
            "x_tenant-id",
            "x.tenant.id",
            "x!tenant~id",
            "x-tenant-id-",
            "-x-tenant-id",
            "_x_tenant_id__",
            "x-customer_id",
        ] {
            assert!(managed.matches(&name(spelling)), "{spelling}");
        }
    }

    #[test]
    fn other_names_do_not_match() {
        let managed = ManagedNames::new([name("x-tenant-id")]);
        for other in [
            "x-tenant-ie",
            "xtenantid",
            "x-tenant-id2",
            "x--tenant-id",
            "host",
            "y-tenant-id",
            "__",
        ] {
            assert!(!managed.matches(&name(other)), "{other}");
        }
        assert!(!ManagedNames::default().matches(&name("x-tenant-id")));
    }

    #[test]
    fn a_prefix_matches_in_every_spelling() {
        for spelling in [
            "x-forwarded-for",
            "X_Forwarded.Host",
            "_x-forwarded_",
            "x-forwarded-x",
        ] {
            assert_eq!(
                begins_with(&name(spelling), b"x-forwarded-"),
                spelling != "_x-forwarded_",
                "{spelling}"
            );
        }
        assert!(!begins_with(&name("x-forward"), b"x-forwarded-"));
    }

    #[test]
    fn names_longer_than_the_length_filter_are_still_told_apart() {
        let long = "a".repeat(80);
        let managed = ManagedNames::new([name(&long)]);
        assert!(managed.matches(&name(&format!("{long}_"))));
        assert!(!managed.matches(&name(&"a".repeat(70))));
    }

    #[test]
    fn spellings_of_one_name_are_one_entry() {
        let managed = ManagedNames::new([name("x-a"), name("x_a"), name("x-a-")]);
        assert_eq!(managed.len(), 1);
        assert!(!managed.is_empty());
    }
}
