//! Names that only the gateway may set: every spelling of each is removed from what clients send.
//!
//! Servers behind a gateway do not all compare names in the same way: CGI-like interfaces turn `-` and `_` (and some
//! of them every other sign) into one. `x_tenant_id` and `x.tenant.id` must therefore be taken for `x-tenant-id`. Two
//! names are the same here when they are equal after every run of bytes outside `[a-z0-9]` became one `-` and `-` was
//! taken off both ends.

use http::HeaderName;

/// A set of names that knows every spelling of each. Reading it does not allocate.
#[derive(Debug, Clone, Default)]
pub struct ManagedNames {
    /// Normal forms, no two alike.
    names: Box<[Box<[u8]>]>,
    /// Normal forms of beginnings.
    prefixes: Box<[Box<[u8]>]>,
    /// A bit for the length and the two ends of each name: nearly every other name fails here.
    sketch: [u64; SKETCH_WORDS],
    /// The same for the two ends alone, which a spelling with doubled signs has in common with the name.
    ends: [u64; SKETCH_WORDS],
}

const SKETCH_WORDS: usize = 8;

impl ManagedNames {
    /// The set of `names`, in any spelling.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> ManagedNames {
        let mut normal: Vec<Box<[u8]>> = names
            .into_iter()
            .map(|name| {
                once_each(core(name.as_str().as_bytes()))
                    .into_iter()
                    .map(folded)
                    .collect()
            })
            .collect();
        normal.sort_unstable();
        normal.dedup();
        let mut sketch = [0; SKETCH_WORDS];
        let mut ends = [0; SKETCH_WORDS];
        for name in &normal {
            for (sketch, (word, bit)) in [
                (&mut sketch, place_in_sketch(name, name.len())),
                (&mut ends, place_in_sketch(name, 0)),
            ] {
                if let Some(word) = sketch.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        ManagedNames {
            names: normal.into_boxed_slice(),
            prefixes: Box::default(),
            sketch,
            ends,
        }
    }

    /// The set, and every name that begins with one of `prefixes` (in normal form: `x-forwarded-`).
    #[must_use]
    pub fn and_beginning_with<const N: usize>(self, prefixes: [&str; N]) -> ManagedNames {
        let prefixes = prefixes.map(|prefix| Box::from(prefix.as_bytes()));
        ManagedNames {
            prefixes: Box::new(prefixes),
            ..self
        }
    }

    /// Is `name` a spelling of one of these? Allocates only for a name with doubled signs that begins and ends as one of
    /// these does, which nobody sends in good faith.
    pub fn matches(&self, name: &HeaderName) -> bool {
        let core = core(name.as_str().as_bytes());
        self.has(core) || (self.may_be_doubled(core) && has_run(core) && self.has(&once_each(core)))
    }

    fn has(&self, core: &[u8]) -> bool {
        (is_in(&self.sketch, place_in_sketch(core, core.len()))
            && self
                .names
                .iter()
                .any(|known| known.len() == core.len() && begins_with(core, known)))
            || self.prefixes.iter().any(|prefix| begins_with(core, prefix))
    }

    fn may_be_doubled(&self, core: &[u8]) -> bool {
        is_in(&self.ends, place_in_sketch(core, 0))
            || self
                .prefixes
                .iter()
                .any(|prefix| prefix.first().copied() == core.first().copied().map(folded))
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

/// Does `core` begin with `normal`, once it is folded?
fn begins_with(core: &[u8], normal: &[u8]) -> bool {
    core.len() >= normal.len() && core.iter().zip(normal).all(|(a, b)| folded(*a) == *b)
}

/// Which bit of a sketch stands for a name: made of its ends, which no spelling changes, and of a length.
fn place_in_sketch(core: &[u8], length: usize) -> (usize, u64) {
    let first = core.first().copied().map_or(0, folded);
    let last = core.last().copied().map_or(0, folded);
    let mixed =
        length.wrapping_mul(37) ^ usize::from(first).wrapping_mul(5) ^ usize::from(last).wrapping_mul(11);
    ((mixed >> 6) % SKETCH_WORDS, 1 << (mixed & 63))
}

fn is_in(sketch: &[u64; SKETCH_WORDS], (word, bit): (usize, u64)) -> bool {
    sketch.get(word).is_some_and(|word| word & bit != 0)
}

/// Are there two signs side by side?
fn has_run(core: &[u8]) -> bool {
    core.windows(2)
        .any(|pair| pair.iter().all(|byte| !byte.is_ascii_alphanumeric()))
}

/// The name with one sign for each run of them.
fn once_each(core: &[u8]) -> Vec<u8> {
    let mut once = core.to_vec();
    once.dedup_by(|next, kept| !next.is_ascii_alphanumeric() && !kept.is_ascii_alphanumeric());
    once
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
            "x--tenant-id",
            "x__tenant_-id",
            "__x.-tenant--id--",
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
            "x--tenantid",
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
        let managed = ManagedNames::new([]).and_beginning_with(["x-forwarded-"]);
        for spelling in [
            "x-forwarded-for",
            "X_Forwarded.Host",
            "_x-forwarded-x_",
            "x--forwarded-for",
            "x-forwarded__for",
        ] {
            assert!(managed.matches(&name(spelling)), "{spelling}");
        }
        for other in ["x-forwarded", "x-forwarded-", "x-forward", "forwarded", "x"] {
            assert!(!managed.matches(&name(other)), "{other}");
        }
    }

    #[test]
    fn all_of_many_names_are_known() {
        let many = || (0..500).map(|n| name(&format!("x-{n}-{}", "y".repeat(n % 90))));
        let managed = ManagedNames::new(many());
        assert!(many().all(|name| managed.matches(&name)));
        assert_eq!(managed.len(), 500);
    }

    #[test]
    fn long_names_are_told_apart() {
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
