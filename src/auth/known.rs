//! A caller whose credential was verified, with everything that follows from it made ready: a request that carries the
//! same token again looks it up and computes nothing.

use std::any::Any;
use std::sync::OnceLock;

use http::HeaderValue;

use super::own::Own;
use crate::accounts::directory::joined;
use crate::base::clock::UnixTime;
use crate::identity::{Identity, TenantId};

/// A verified caller. Shared by all requests that carry the same token, for as long as the token, its key and its
/// issuer's settings last.
#[derive(Debug)]
pub struct Known {
    /// What the credential says.
    pub identity: Identity,
    /// Whose data is touched unless the call selects another tenant: the token's tenant; if its issuer names none, the
    /// customer itself. `None` when the token does not say, though its issuer should.
    pub tenant: Option<TenantId>,
    /// Header values.
    pub values: Values,
    /// What `limits` remembers of this caller: handles of its buckets. Filled by `limits`, which alone knows the type.
    pub cells: OnceLock<Box<dyn Any + Send + Sync>>,
    /// From when on it is good (`nbf`), before leeway.
    pub(super) begins: Option<UnixTime>,
    /// The number of the key set that verified it; 0 where none did.
    pub(super) generation: u64,
    own: Option<Box<Own>>,
}

/// What the identity headers of a request are set to.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// The payer.
    pub customer: Option<HeaderValue>,
    /// [`Known::tenant`].
    pub tenant: Option<HeaderValue>,
    /// The subject.
    pub subject: Option<HeaderValue>,
    /// The scopes, separated by spaces; `None` when there are none.
    pub scopes: Option<HeaderValue>,
    /// The roles, separated by spaces; `None` when there are none.
    pub roles: Option<HeaderValue>,
}

impl Known {
    /// Makes everything ready. With `own_account` a token without a tenant acts on its customer's own account.
    pub(super) fn new(
        identity: Identity,
        own_account: bool,
        begins: Option<UnixTime>,
        generation: u64,
    ) -> Known {
        let own = |customer: &crate::identity::CustomerId| TenantId::try_from(customer.as_str()).ok();
        let tenant = match &identity.tenant {
            Some(tenant) => Some(tenant.clone()),
            None if own_account => identity.customer.as_ref().and_then(own),
            None => None,
        };
        let words = |text: String| if text.is_empty() { None } else { value(&text) };
        let values = Values {
            customer: identity.customer.as_ref().and_then(|id| value(id.as_str())),
            tenant: tenant.as_ref().and_then(|id| value(id.as_str())),
            subject: value(identity.subject.as_str()),
            scopes: words(joined(identity.scopes.iter().map(|scope| scope.as_str()))),
            roles: words(joined(identity.roles.iter().map(|role| role.as_str()))),
        };
        Known {
            identity,
            tenant,
            values,
            cells: OnceLock::new(),
            begins,
            generation,
            own: None,
        }
    }

    /// A caller of our own accounts. Without a tenant it acts on its customer's own account.
    pub(super) fn of_own(identity: Identity, own: Own) -> Known {
        Known {
            own: Some(Box::new(own)),
            ..Known::new(identity, true, None, 0)
        }
    }

    /// What our own accounts know of it; `None` for a caller of somebody else's.
    pub fn own(&self) -> Option<&Own> {
        self.own.as_deref()
    }
}

/// The grammars of identifiers are visible ASCII, so this succeeds for each of them.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
