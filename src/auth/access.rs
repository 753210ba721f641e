//! What a caller may do now: which tenant the call is for, with which roles and scopes, and who pays.
//!
//! The tenant and the payer are different things. A provider that acts on a tenant pays from its own quota and has the
//! roles that the grant gives it there, not those it has at home.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};

use super::credentials::Caller;
use super::known::{Known, Values};
use super::own::Own;
use super::presented::Presented;
use super::selector::{Selected, Selector};
use crate::accounts::directory::{Directory, Grant};
use crate::accounts::{Right, tenancy};
use crate::config::plan::{AccessPlan, RegionRef, TenantSelector};
use crate::identity::scopes::ScopeMethods;
use crate::identity::{CredentialKind, CustomerId, Identity, RegionName, Role, Scope, TenantId};
use crate::rejection::Rejection;

/// Claims that a route cannot do without, because it limits or injects by them. A token that lacks one is not valid
/// there: the alternative would be an empty header, or one bucket for everybody who lacks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequiredClaims {
    /// The customer.
    pub customer: bool,
    /// The tenant.
    pub tenant: bool,
    /// The home region.
    pub region: bool,
}

/// Do the scopes of our own tokens limit the methods?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeRule {
    /// A token needs a scope that lets the method through.
    Methods,
    /// Scopes are only those that a route asks for by name.
    Named,
}

/// Do backends get the tenant's UUID?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantUuids {
    /// They do, so it is looked up.
    Told,
    /// They do not.
    Untold,
}

/// A route's access rule, compiled.
#[derive(Debug, Clone)]
pub struct Access {
    rule: Rule,
    directory: Arc<Directory>,
    selector: Option<Selector>,
    uuid: TenantUuids,
    scopes: ScopeRule,
}

#[derive(Debug, Clone)]
enum Rule {
    Public,
    Required { needs: Needs, claims: RequiredClaims },
}

#[derive(Debug, Clone)]
struct Needs {
    scopes_any: Vec<Scope>,
    scopes_all: Vec<Scope>,
    roles_any: Vec<Role>,
    roles_all: Vec<Role>,
    /// The scopes that would have done (RFC 6750 section 3, `scope` attribute).
    scope_attribute: HeaderValue,
}

/// Proof that a caller may make this call, and for whom. Only [`Access::decide`] makes one.
#[derive(Debug)]
pub struct Permit {
    known: Option<Arc<Known>>,
    tenant: Tenant,
    /// On the heap, since few permits have them and each is moved about.
    uuid: Option<Box<HeaderValue>>,
    region: Option<RegionRef>,
    bearer: Option<Arc<HeaderValue>>,
}

/// Whose data the call is for.
#[derive(Debug)]
enum Tenant {
    /// The caller's own, as the token says.
    Own,
    /// One that the file grants.
    Granted { grant: Arc<Grant>, by: Chosen },
    /// One that the token grants.
    Named(TenantId, HeaderValue),
    /// Any: the caller's account has roles in every tenant.
    Everywhere(TenantId, HeaderValue),
}

/// Who named the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// The token; its region claim speaks of this tenant.
    ByToken,
    /// The client; the region claim speaks of another.
    ByClient,
}

impl Access {
    /// The rule of a route. `selector` has the headers by which clients of the api name a tenant.
    pub fn new(
        plan: &AccessPlan,
        claims: RequiredClaims,
        directory: Arc<Directory>,
        selector: &TenantSelector,
    ) -> Access {
        let rule = match plan {
            AccessPlan::Public => Rule::Public,
            AccessPlan::Required {
                credentials: _,
                scopes_any,
                scopes_all,
                roles_any,
                roles_all,
            } => Rule::Required {
                needs: Needs {
                    scope_attribute: scope_attribute(scopes_all, scopes_any),
                    scopes_any: scopes_any.clone(),
                    scopes_all: scopes_all.clone(),
                    roles_any: roles_any.clone(),
                    roles_all: roles_all.clone(),
                },
                claims,
            },
        };
        Access {
            rule,
            directory,
            selector: Selector::new(selector),
            uuid: TenantUuids::Untold,
            scopes: ScopeRule::Named,
        }
    }

    /// The same, and permits know the tenant's UUID, or not.
    #[must_use]
    pub fn with_uuids(mut self, uuid: TenantUuids) -> Access {
        self.uuid = uuid;
        self
    }

    /// The same with another rule about scopes; usually it is [`ScopeRule::Named`].
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeRule) -> Access {
        self.scopes = scopes;
        self
    }

    /// Brings up to date what is known of the customers that the decision about this call concerns, if they have changed in
    /// the store: so a grant that was taken away before this request came is gone. Usually two loads.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`], when the store cannot say; [`Rejection::TenantInvalid`] as in [`Access::decide`].
    pub async fn settle(&self, caller: &Caller, headers: &HeaderMap) -> Result<(), Rejection> {
        if self.directory.is_settled() {
            return Ok(());
        }
        let Some(known) = caller.known() else {
            return Ok(());
        };
        let selected = match &self.selector {
            Some(selector) => selector.read(headers)?,
            None => Selected::default(),
        };
        let named = selected.name.as_ref().map(|(tenant, _)| tenant);
        let tenant = named.or(known.tenant.as_ref());
        let settled = if selected.uuid.is_some() {
            Box::pin(self.directory.settle_all()).await
        } else {
            Box::pin(self.directory.settle(known.identity.customer.as_ref(), tenant)).await
        };
        settled.map_err(|error| {
            tracing::warn!(%error, "a customer that has changed cannot be read");
            Rejection::StoreUnavailable
        })
    }

    /// Decides whether `caller` may make the call.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`] when a claim that the route needs is missing, [`Rejection::ScopeMissing`],
    /// [`Rejection::TenantInvalid`] and [`Rejection::TenantForbidden`] for the tenant selected, and for an account of our
    /// own that has no customer or tenant where the route needs one; [`Rejection::RoleMissing`].
    pub fn decide(&self, caller: Caller, presented: &Presented<'_>) -> Result<Permit, Rejection> {
        let (needs, claims) = match &self.rule {
            // A selector on a public route is read by nobody; `headers` removes it.
            Rule::Public => {
                return Ok(Permit {
                    known: None,
                    tenant: Tenant::Own,
                    uuid: None,
                    region: None,
                    bearer: None,
                });
            }
            Rule::Required { needs, claims } => (needs, claims),
        };
        // Credentials of a route that is not public make no anonymous caller; if they did, this is the door.
        let (known, bearer) = caller.into_known().ok_or(Rejection::CredentialsMissing)?;
        let identity = &known.identity;
        let own = known.own();
        if claims.customer && identity.customer.is_none() {
            return Err(missing(own, "the customer claim is missing"));
        }
        if claims.region && identity.region.is_none() && own.is_none() {
            return Err(Rejection::CredentialsInvalid("the region claim is missing"));
        }
        match own.map(Own::methods) {
            // Scopes limit what was handed to a program, not whoever signed in.
            Some(None) => {}
            Some(Some(methods)) => {
                self.check_method(methods, &identity.scopes, presented.method)?;
                needs.check_scopes(&identity.scopes)?;
            }
            None => needs.check_scopes(&identity.scopes)?,
        }
        let (tenant, region) = match own {
            Some(own) => self.choose_own_tenant(&known, own, presented.headers)?,
            None if identity.kind == CredentialKind::SignedUrl => {
                self.tenant_of_link(&known, presented.headers)?
            }
            None => self.choose_tenant(&known, presented.headers)?,
        };
        if claims.tenant && matches!(tenant, Tenant::Own) && known.tenant.is_none() {
            return Err(missing(own, "the tenant claim is missing"));
        }
        let roles = match &tenant {
            Tenant::Granted { grant, by: _ } => grant.grant.roles.as_deref().unwrap_or(&identity.roles),
            Tenant::Everywhere(..) => own.map_or(&[][..], everywhere),
            Tenant::Own | Tenant::Named(..) => &identity.roles,
        };
        needs.check_roles(roles)?;
        let mut permit = Permit {
            known: Some(known),
            tenant,
            uuid: None,
            region,
            bearer,
        };
        if self.uuid == TenantUuids::Told {
            let uuid = permit.tenant().and_then(|tenant| self.directory.uuid_of(tenant));
            permit.uuid = uuid.map(Box::new);
        }
        Ok(permit)
    }

    fn check_method(
        &self,
        methods: &ScopeMethods,
        scopes: &[Scope],
        method: &Method,
    ) -> Result<(), Rejection> {
        match self.scopes {
            ScopeRule::Named => return Ok(()),
            ScopeRule::Methods => {}
        }
        if methods.allow(scopes, method) {
            return Ok(());
        }
        // Any of them would do; the last that the configuration names is the one that opens the least.
        let needed = methods.enough_for(method).last().map_or("", Scope::as_str);
        Err(Rejection::ScopeMissing {
            needed: HeaderValue::from_str(needed).unwrap_or_else(|_| HeaderValue::from_static("")),
        })
    }

    fn selected(&self, headers: &HeaderMap) -> Result<Option<(TenantId, HeaderValue)>, Rejection> {
        let Some(selector) = &self.selector else {
            return Ok(None);
        };
        let Selected { name, uuid } = selector.read(headers)?;
        let Some(uuid) = uuid else { return Ok(name) };
        // What nobody has a grant for and what is not there look alike.
        let tenant = self
            .directory
            .tenant_of(&uuid)
            .ok_or(Rejection::TenantForbidden)?;
        match name {
            Some((named, _)) if named != tenant => Err(Rejection::TenantInvalid),
            Some(named) => Ok(Some(named)),
            None => {
                let value = HeaderValue::from_str(tenant.as_str()).map_err(|_| Rejection::TenantInvalid)?;
                Ok(Some((tenant, value)))
            }
        }
    }

    /// The tenant of a caller of our own accounts: what the accounts say of it now, and not what the credential said when it
    /// was made.
    fn choose_own_tenant(
        &self,
        known: &Known,
        own: &Own,
        headers: &HeaderMap,
    ) -> Result<(Tenant, Option<RegionRef>), Rejection> {
        let selected = self.selected(headers)?;
        if let (Some(bound), Some((selected, _))) = (own.bound(), &selected)
            && bound != selected
        {
            return Err(Rejection::TenantForbidden);
        }
        if own.is_node() {
            // Whoever let it in has granted it its tenant, and no other.
            return Ok((Tenant::Own, None));
        }
        let customer = known.identity.customer.as_ref();
        let found = customer.and_then(|customer| self.directory.customer(customer));
        let home = || {
            found
                .as_ref()
                .and_then(|found| self.directory.region_of_customer(found))
        };
        let (tenant, value, by) = match selected {
            Some((tenant, value)) => (tenant, Some(value), Chosen::ByClient),
            None => match &known.tenant {
                Some(tenant) => (tenant.clone(), known.values.tenant.clone(), Chosen::ByToken),
                None => return Ok((Tenant::Own, home())),
            },
        };
        let account = own.account().map(Arc::as_ref);
        let right = tenancy::right_of(account, customer, found.as_ref(), &tenant);
        let value = value.ok_or(Rejection::TenantInvalid)?;
        Ok(match right.ok_or(Rejection::TenantForbidden)? {
            Right::Granted(grant) => {
                let region = self.directory.region_of(&grant);
                (Tenant::Granted { grant, by }, region)
            }
            Right::Everywhere => {
                let region = self.directory.home_of(&tenant);
                (Tenant::Everywhere(tenant, value), region)
            }
            Right::Home => match by {
                Chosen::ByToken => (Tenant::Own, home()),
                Chosen::ByClient => (Tenant::Named(tenant, value), home()),
            },
        })
    }

    /// A link is for the tenant that it was made for. Whoever has it is not its customer: neither do the customer's grants
    /// open others to it, nor do they give it roles.
    fn tenant_of_link(
        &self,
        known: &Known,
        headers: &HeaderMap,
    ) -> Result<(Tenant, Option<RegionRef>), Rejection> {
        let tenant = known.tenant.as_ref();
        if let Some((selected, _)) = self.selected(headers)?
            && tenant != Some(&selected)
        {
            return Err(Rejection::TenantForbidden);
        }
        let identity = &known.identity;
        let customer = identity.customer.as_ref();
        let customer = customer.and_then(|customer| self.directory.customer(customer));
        let region = match tenant {
            None => customer.and_then(|customer| self.directory.region_of_customer(&customer)),
            Some(tenant) => match customer.and_then(|customer| customer.grant(tenant).cloned()) {
                Some(grant) => self.directory.region_of(&grant),
                None => self.region_of(identity, tenant),
            },
        };
        Ok((Tenant::Own, region))
    }

    fn choose_tenant(
        &self,
        known: &Known,
        headers: &HeaderMap,
    ) -> Result<(Tenant, Option<RegionRef>), Rejection> {
        let identity = &known.identity;
        let customer = identity
            .customer
            .as_ref()
            .and_then(|customer| self.directory.customer(customer));
        let customer = customer.as_ref();
        let grant_for = |tenant: &TenantId| customer.and_then(|customer| customer.grant(tenant)).cloned();
        let Some((selected, value)) = self.selected(headers)? else {
            // The token's tenant may still be one that the file says more about.
            let Some(tenant) = &known.tenant else {
                let home = customer.and_then(|customer| self.directory.region_of_customer(customer));
                return Ok((Tenant::Own, home));
            };
            return Ok(match grant_for(tenant) {
                Some(grant) => {
                    let region = self.directory.region_of(&grant);
                    (
                        Tenant::Granted {
                            grant,
                            by: Chosen::ByToken,
                        },
                        region,
                    )
                }
                None => (Tenant::Own, self.region_of(identity, tenant)),
            });
        };
        if let Some(grant) = grant_for(&selected) {
            let region = self.directory.region_of(&grant);
            return Ok((
                Tenant::Granted {
                    grant,
                    by: Chosen::ByClient,
                },
                region,
            ));
        }
        let is_customer = identity
            .customer
            .as_ref()
            .is_some_and(|customer| customer.as_str() == selected.as_str());
        if is_customer || known.tenant.as_ref() == Some(&selected) || identity.tenants.contains(&selected) {
            let region = self.region_of(identity, &selected);
            return Ok((Tenant::Named(selected, value), region));
        }
        Err(Rejection::TenantForbidden)
    }

    /// Where the directory says that a tenant without a grant lives: at its own home, if it is a customer.
    fn region_of(&self, identity: &Identity, tenant: &TenantId) -> Option<RegionRef> {
        self.directory.home_of(tenant).or_else(|| {
            // A tenant that the token itself names and of which nothing is known is taken to live with its customer.
            let customer = self.directory.customer(identity.customer.as_ref()?)?;
            self.directory.region_of_customer(&customer)
        })
    }
}

/// A credential that lacks what the route needs. One of somebody else is not valid here; one of our own is, and its account
/// may not do this.
fn missing(own: Option<&Own>, claim: &'static str) -> Rejection {
    match own {
        Some(_) => Rejection::TenantForbidden,
        None => Rejection::CredentialsInvalid(claim),
    }
}

/// Roles in every tenant.
fn everywhere(own: &Own) -> &[Role] {
    let every = own.account().and_then(|account| account.every_tenant.as_ref());
    every.map_or(&[], |every| &every.roles)
}

impl Needs {
    fn check_scopes(&self, has: &[Scope]) -> Result<(), Rejection> {
        let any = self.scopes_any.is_empty() || self.scopes_any.iter().any(|scope| has.contains(scope));
        if any && self.scopes_all.iter().all(|scope| has.contains(scope)) {
            Ok(())
        } else {
            Err(Rejection::ScopeMissing {
                needed: self.scope_attribute.clone(),
            })
        }
    }

    fn check_roles(&self, has: &[Role]) -> Result<(), Rejection> {
        let any = self.roles_any.is_empty() || self.roles_any.iter().any(|role| has.contains(role));
        if any && self.roles_all.iter().all(|role| has.contains(role)) {
            Ok(())
        } else {
            Err(Rejection::RoleMissing)
        }
    }
}

/// "the REQUIRED scope of the access token for accessing the requested resource": all that are needed; of those that are
/// alternatives the first, since a client that asks for more than it needs is not what is wanted.
fn scope_attribute(all: &[Scope], any: &[Scope]) -> HeaderValue {
    let alternative = if any.iter().any(|scope| all.contains(scope)) {
        None
    } else {
        any.first()
    };
    let words: Vec<&str> = all.iter().chain(alternative).map(Scope::as_str).collect();
    // Scope tokens are visible ASCII (RFC 6749 section 3.3), so this succeeds.
    HeaderValue::from_str(&words.join(" ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Permit {
    /// Who is calling; `None` for anybody.
    pub fn identity(&self) -> Option<&Identity> {
        self.known.as_ref().map(|known| &known.identity)
    }

    /// The verified caller; `None` for anybody.
    pub fn known(&self) -> Option<&Arc<Known>> {
        self.known.as_ref()
    }

    /// Did the caller come by a signed URL?
    pub fn is_by_signed_url(&self) -> bool {
        self.identity()
            .is_some_and(|identity| identity.kind == CredentialKind::SignedUrl)
    }

    /// Whose quota is charged: always the caller's own customer, whatever tenant it acts on.
    pub fn payer(&self) -> Option<&CustomerId> {
        self.identity()?.customer.as_ref()
    }

    /// Whose data the call is for.
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.tenant {
            Tenant::Own => self.known.as_ref()?.tenant.as_ref(),
            Tenant::Granted { grant, by: _ } => Some(&grant.grant.tenant),
            Tenant::Named(tenant, _) | Tenant::Everywhere(tenant, _) => Some(tenant),
        }
    }

    /// [`Permit::tenant`] as a header value.
    pub fn tenant_value(&self) -> Option<&HeaderValue> {
        match &self.tenant {
            Tenant::Own => self.values()?.tenant.as_ref(),
            Tenant::Granted { grant, by: _ } => Some(&grant.value),
            Tenant::Named(_, value) | Tenant::Everywhere(_, value) => Some(value),
        }
    }

    /// The UUID of [`Permit::tenant`] as a header value, where it has one and the rule asks for it.
    pub fn tenant_uuid_value(&self) -> Option<&HeaderValue> {
        self.uuid.as_deref()
    }

    /// The `Authorization` that goes to the backend in the caller's name, for whoever signed in elsewhere.
    pub fn bearer_value(&self) -> Option<&HeaderValue> {
        self.bearer.as_deref()
    }

    /// [`Permit::payer`] as a header value.
    pub fn customer_value(&self) -> Option<&HeaderValue> {
        self.values()?.customer.as_ref()
    }

    /// The subject as a header value.
    pub fn subject_value(&self) -> Option<&HeaderValue> {
        self.values()?.subject.as_ref()
    }

    /// The token's scopes as a header value; `None` when there are none.
    pub fn scopes_value(&self) -> Option<&HeaderValue> {
        self.values()?.scopes.as_ref()
    }

    /// The roles in the tenant as a header value; `None` when there are none.
    pub fn roles_value(&self) -> Option<&HeaderValue> {
        match &self.tenant {
            Tenant::Granted { grant, by: _ } if grant.roles.is_some() => {
                grant.roles.as_ref().filter(|roles| !roles.is_empty())
            }
            Tenant::Everywhere(..) => {
                let account = self.known.as_ref()?.own()?.account()?;
                account.every_tenant.as_ref()?.value.as_ref()
            }
            Tenant::Own | Tenant::Granted { .. } | Tenant::Named(..) => self.values()?.roles.as_ref(),
        }
    }

    /// The region that the token names. Not for a tenant whose own region the file knows: the claim speaks of the
    /// caller, and the tenant's data lie elsewhere.
    pub fn claim_region(&self) -> Option<&RegionName> {
        match &self.tenant {
            Tenant::Granted {
                grant: _,
                by: Chosen::ByClient,
            } if self.region.is_some() => None,
            Tenant::Own | Tenant::Granted { .. } | Tenant::Named(..) | Tenant::Everywhere(..) => {
                self.identity()?.region.as_ref()
            }
        }
    }

    /// The region of the tenant as the file knows it.
    pub fn directory_region(&self) -> Option<RegionRef> {
        self.region
    }

    fn values(&self) -> Option<&Values> {
        self.known.as_ref().map(|known| &known.values)
    }
}

#[cfg(test)]
mod tests;
