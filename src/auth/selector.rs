//! The headers by which a client names the tenant that it acts on: by its name, by its UUID, or by both.
//!
//! They are never ignored: a call whose selector was not understood would run on the caller's own account. So what looks
//! like a selector and is not exactly it is refused, not dropped.

use http::{HeaderMap, HeaderValue};

use crate::config::plan::TenantSelector;
use crate::http::only_field::OnlyField;
use crate::identity::{TenantId, TenantUuid};
use crate::rejection::Rejection;

/// An api's selector, compiled.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    name: Option<OnlyField>,
    uuid: Option<OnlyField>,
}

/// What a client names.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// A tenant by its name.
    pub(super) name: Option<(TenantId, HeaderValue)>,
    /// A tenant by its UUID.
    pub(super) uuid: Option<TenantUuid>,
}

impl Selector {
    /// The selector with these names; `None` without any.
    pub(super) fn new(plan: &TenantSelector) -> Option<Selector> {
        let field = |name: &Option<http::HeaderName>| name.clone().map(OnlyField::new);
        let selector = Selector {
            name: field(&plan.name),
            uuid: field(&plan.uuid),
        };
        (selector.name.is_some() || selector.uuid.is_some()).then_some(selector)
    }

    /// What the client names: each at most once, in exactly one field of the right name, and within the grammar. Does not
    /// allocate without a selector.
    ///
    /// # Errors
    /// [`Rejection::TenantInvalid`] for several fields, for other spellings of the name (`Tenant_ID` for `TenantID`),
    /// and for a value outside the grammar.
    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Selected, Rejection> {
        let mut selected = Selected::default();
        if let Some(value) = found(self.name.as_ref(), headers)? {
            let tenant = TenantId::try_from(text(value)?).map_err(|_| Rejection::TenantInvalid)?;
            selected.name = Some((tenant, value.clone()));
        }
        if let Some(value) = found(self.uuid.as_ref(), headers)? {
            let uuid = TenantUuid::try_from(text(value)?).map_err(|_| Rejection::TenantInvalid)?;
            selected.uuid = Some(uuid);
        }
        Ok(selected)
    }
}

fn found<'h>(
    field: Option<&OnlyField>,
    headers: &'h HeaderMap,
) -> Result<Option<&'h HeaderValue>, Rejection> {
    match field {
        // Two values would be two tenants, of which the backend might choose the other.
        Some(field) => field.read(headers).map_err(|_| Rejection::TenantInvalid),
        None => Ok(None),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Rejection> {
    value.to_str().map_err(|_| Rejection::TenantInvalid)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<(Option<String>, Option<String>), Rejection> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let plan = TenantSelector {
            name: Some(HeaderName::from_static("x-tenant")),
            uuid: Some(HeaderName::from_static("x-tenant-uuid")),
        };
        let selected = Selector::new(&plan).unwrap().read(&headers)?;
        let name = selected.name.map(|(tenant, _)| tenant.to_string());
        Ok((name, selected.uuid.map(|uuid| uuid.to_string())))
    }

    #[test]
    fn each_field_names_a_tenant_in_its_own_way() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(&[("host", "a")]).unwrap(), (None, None));
        assert_eq!(read(&[("X-Tenant", "a")]).unwrap(), (some("a"), None));
        assert_eq!(read(&[("X-Tenant-UUID", "u")]).unwrap(), (None, some("u")));
        let both = [("X-Tenant", "a"), ("x-tenant-uuid", "u")];
        assert_eq!(read(&both).unwrap(), (some("a"), some("u")));
    }

    #[test]
    fn two_fields_an_empty_one_a_list_and_another_spelling_are_refused() {
        for name in ["x-tenant", "x-tenant-uuid"] {
            let folded = name.replace('-', "_");
            for fields in [
                &[(name, "tenant-a"), (name, "tenant-a")][..],
                &[(name, "")][..],
                &[(name, "tenant-a, tenant-b")][..],
                &[(folded.as_str(), "tenant-a")][..],
                &[(name, "tenant-a"), (folded.as_str(), "tenant-a")][..],
            ] {
                assert!(
                    matches!(read(fields), Err(Rejection::TenantInvalid)),
                    "{fields:?}"
                );
            }
        }
    }

    #[test]
    fn without_a_name_there_is_no_selector() {
        assert!(Selector::new(&TenantSelector::default()).is_none());
    }
}
