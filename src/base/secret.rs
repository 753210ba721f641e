//! Values that must not show up in logs, errors or memory longer than needed.

use zeroize::Zeroizing;

/// A secret. Its `Debug` says `***`, it has no `Display`, it is zeroed when dropped, it compares in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The secret itself. Named so that a reviewer finds every use.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.reveal(), other.reveal()))
    }
}

impl Eq for Secret {}
