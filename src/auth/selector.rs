//! The header by which a client names the tenant that it acts on.
//!
//! It is never ignored: a call whose selector was not understood would run on the caller's own account. So what looks
//! like the selector and is not exactly it is refused, not dropped.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::identity::TenantId;
use crate::rejection::Rejection;

/// An api's selector, compiled.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    name: HeaderName,
}

impl Selector {
    /// The selector with this name.
    pub(super) fn new(name: HeaderName) -> Selector {
        Selector { name }
    }

    /// The tenant that the client names: exactly one, in exactly one field of the right name, and within the grammar.
    /// `None` when the client names none. Does not allocate without a selector.
    ///
    /// # Errors
    /// [`Rejection::TenantInvalid`] for several fields, for other spellings of the name (`Tenant_ID` for `TenantID`),
    /// and for a value outside the grammar.
    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Option<(TenantId, HeaderValue)>, Rejection> {
        let mut found = None;
        for (name, value) in headers {
            if *name == self.name {
                // Two values would be two tenants, of which the backend might choose the other.
                if found.replace(value).is_some() {
                    return Err(Rejection::TenantInvalid);
                }
            } else if self.is_spelling(name) {
                return Err(Rejection::TenantInvalid);
            }
        }
        let Some(value) = found else {
            return Ok(None);
        };
        let text = value.to_str().map_err(|_| Rejection::TenantInvalid)?;
        let tenant = TenantId::try_from(text).map_err(|_| Rejection::TenantInvalid)?;
        Ok(Some((tenant, value.clone())))
    }

    /// The same letters and digits, whatever signs stand among them. That is wider than what is removed as a managed
    /// name ([`crate::http::managed`]), since a client that misspells the selector means it all the same.
    fn is_spelling(&self, name: &HeaderName) -> bool {
        fn letters(name: &HeaderName) -> impl Iterator<Item = u8> {
            name.as_str().bytes().filter(u8::is_ascii_alphanumeric)
        }
        letters(name).eq(letters(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Option<String>, Rejection> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Selector::new(HeaderName::from_static("tenantid"))
            .read(&headers)
            .map(|found| found.map(|(tenant, _)| tenant.as_str().to_owned()))
    }

    #[test]
    fn the_name_in_any_letter_case_selects() {
        for name in ["TenantID", "tenantid", "TENANTID"] {
            assert_eq!(
                read(&[("host", "a"), (name, "tenant-a")]).unwrap().as_deref(),
                Some("tenant-a"),
                "{name}"
            );
        }
    }

    #[test]
    fn other_spellings_are_refused_also_beside_the_right_one() {
        for name in [
            "Tenant_ID",
            "Tenant-ID",
            "tenant.id",
            "TenantID_",
            "-tenantid",
            "_t_e_n_a_n_t_i_d_",
            "tenant--id",
        ] {
            for fields in [
                &[(name, "tenant-a")][..],
                &[("tenantid", "tenant-a"), (name, "tenant-a")][..],
                &[(name, "tenant-a"), ("tenantid", "tenant-a")][..],
            ] {
                assert!(
                    matches!(read(fields), Err(Rejection::TenantInvalid)),
                    "{fields:?}"
                );
            }
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_other_names() {
        for name in ["x-tenant-id", "tenant", "tenantid2", "tenantids", "tenant-i"] {
            assert!(matches!(read(&[(name, "tenant-a")]), Ok(None)), "{name}");
        }
    }

    #[test]
    fn two_fields_an_empty_one_and_a_list_are_refused() {
        for fields in [
            &[("tenantid", "tenant-a"), ("tenantid", "tenant-a")][..],
            &[("tenantid", "")][..],
            &[("tenantid", "tenant-a, tenant-b")][..],
        ] {
            assert!(
                matches!(read(fields), Err(Rejection::TenantInvalid)),
                "{fields:?}"
            );
        }
    }
}
