//! Passwords as they are kept: Argon2id (RFC 9106) in PHC strings, each with the cost it was made at.
//!
//! Nothing here decides when a hash is computed; see [`super::password_pool`].

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::base::random;
use crate::base::secret::Secret;
pub use crate::identity::password::{BadHash, Cost, StoredPassword};
use crate::identity::password::{SALT, TAG};

/// The longest password in bytes: 1 KiB. What is longer is refused when it is set, and right for nobody when it is tried.
pub const LONGEST: usize = 1 << 10;

/// Why no hash was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is nothing to hash.
    #[error("the password is empty")]
    Empty,
    /// More than [`LONGEST`].
    #[error("the password is longer than {LONGEST} bytes")]
    TooLong,
    /// The memory of one hash could not be had.
    #[error("there is not enough memory to hash a password")]
    Memory,
}

impl StoredPassword {
    /// Hashes `password` with a new salt. Takes as long as `cost` says: some 30 ms for the usual one.
    ///
    /// # Errors
    /// An empty or too long password; memory that cannot be had.
    pub fn hash(password: &Secret, cost: Cost) -> Result<StoredPassword, HashError> {
        match password.reveal().len() {
            0 => return Err(HashError::Empty),
            1..=LONGEST => {}
            _ => return Err(HashError::TooLong),
        }
        let mut salt = [0; SALT];
        random::fill(&mut salt);
        let tag = computed(password.reveal(), &salt, cost, TAG)?;
        Ok(StoredPassword::computed(cost, &salt, &tag))
    }

    /// Is this the password? Takes as long as the hash's cost says, also for a password that is too long to be anybody's.
    ///
    /// # Errors
    /// [`HashError::Memory`] alone.
    pub fn matches(&self, password: &Secret) -> Result<bool, HashError> {
        let possible = password.reveal().len() <= LONGEST;
        let tried = if possible { password.reveal() } else { &[] };
        let tag = computed(tried, self.salt(), self.cost(), self.tag().len())?;
        Ok(bool::from(tag.ct_eq(self.tag())) && possible)
    }
}

fn computed(
    password: &[u8],
    salt: &[u8],
    cost: Cost,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, HashError> {
    let mut tag = Zeroizing::new(vec![0; length]);
    // Salt, length and cost are in the function's ranges by their constructors: what is left is memory.
    Params::new(cost.memory(), cost.passes(), cost.lanes(), Some(length))
        .and_then(|params| {
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
                password,
                salt,
                tag.as_mut_slice(),
            )
        })
        .map_err(|_| HashError::Memory)?;
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn cheap() -> Cost {
        Cost::new(32, 1, 1).unwrap()
    }

    #[test]
    fn hashes_are_those_of_the_reference_implementation() {
        // From the tests of the reference implementation of RFC 9106 (phc-winner-argon2, test.c).
        for text in [
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            let stored = StoredPassword::parse(text).unwrap();
            assert_eq!(stored.to_phc(), text);
            assert_eq!(stored.matches(&secret("password")), Ok(true), "{text}");
            assert_eq!(stored.matches(&secret("Password")), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_new_hash_has_its_own_salt_and_is_read_back() {
        let [one, other] =
            [(), ()].map(|()| StoredPassword::hash(&secret("correct horse"), cheap()).unwrap());
        assert_ne!(one.to_phc(), other.to_phc());
        let read = StoredPassword::parse(&one.to_phc()).unwrap();
        assert_eq!(read, one);
        assert_eq!(read.matches(&secret("correct horse")), Ok(true));
        assert_eq!(read.matches(&secret("correct horse ")), Ok(false));
        assert_eq!(read.matches(&secret("")), Ok(false));
        assert_eq!(format!("{read:?}"), "argon2id m=32,t=1,p=1 ***");
    }

    #[test]
    fn a_password_beyond_a_kilobyte_is_nobodys() {
        let longest = secret(&"x".repeat(LONGEST));
        let stored = StoredPassword::hash(&longest, cheap()).unwrap();
        assert_eq!(stored.matches(&longest), Ok(true));
        let longer = secret(&"x".repeat(LONGEST + 1));
        assert_eq!(StoredPassword::hash(&longer, cheap()), Err(HashError::TooLong));
        assert_eq!(StoredPassword::hash(&secret(""), cheap()), Err(HashError::Empty));
        // Not even of a hash of what is tried in its place.
        let salt = [7; SALT];
        let of_nothing =
            StoredPassword::computed(cheap(), &salt, &computed(b"", &salt, cheap(), TAG).unwrap());
        assert_eq!(of_nothing.matches(&longer), Ok(false));
    }
}
