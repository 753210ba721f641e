//! A field of which a request may have one, in one spelling.
//!
//! Where a field decides something, two of them would be two decisions, of which the server behind might take the other; and
//! one that is spelled a little differently is meant by whoever sends it, and read by servers that fold `_` into `-`. So
//! neither is passed over: the reader gets told.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field of one name.
#[derive(Debug, Clone)]
pub struct OnlyField {
    name: HeaderName,
}

/// There are several, or another spelling of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

impl OnlyField {
    /// The field with this name.
    pub fn new(name: HeaderName) -> OnlyField {
        OnlyField { name }
    }

    /// Its value; `None` when it is not there. Does not allocate.
    ///
    /// # Errors
    /// [`Ambiguous`] for several fields, and for other spellings of the name (`Tenant_ID` for `TenantID`).
    pub fn read<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Ambiguous> {
        let mut found = None;
        for (name, value) in headers {
            if *name == self.name {
                if found.replace(value).is_some() {
                    return Err(Ambiguous);
                }
            } else if self.is_spelling(name) {
                return Err(Ambiguous);
            }
        }
        Ok(found)
    }

    /// The same letters and digits, whatever signs stand among them. That is wider than what is removed as a managed
    /// name ([`super::managed`]), since a client that misspells the name means it all the same.
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

    fn read(fields: &[(&str, &str)]) -> Result<Option<String>, Ambiguous> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let field = OnlyField::new(HeaderName::from_static("tenantid"));
        let found = field.read(&headers)?;
        Ok(found.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_name_in_any_letter_case_is_the_name() {
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
                assert_eq!(read(fields), Err(Ambiguous), "{fields:?}");
            }
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_other_names() {
        for name in ["x-tenant-id", "tenant", "tenantid2", "tenantids", "tenant-i"] {
            assert_eq!(read(&[(name, "tenant-a")]), Ok(None), "{name}");
        }
    }

    #[test]
    fn of_two_fields_none_is_taken() {
        for second in ["tenant-a", "tenant-b"] {
            assert_eq!(
                read(&[("tenantid", "tenant-a"), ("tenantid", second)]),
                Err(Ambiguous)
            );
        }
    }
}
