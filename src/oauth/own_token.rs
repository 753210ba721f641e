//! What a token of our own stands for now: the one answer that introspection, exchange, revocation, deletion and the signing of
//! new tokens share. The authenticators of the gateway come to the same ([`crate::auth::opaque`]); they remember it.

use std::sync::Arc;

use super::service::TokenService;
use crate::accounts::{Account, Client, Right, tenancy};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{CustomerId, Role, TenantId};
use crate::jose::access_token::AccessClaims;
use crate::jose::{compact, verify};
use crate::store::StoreError;
use crate::store::model::{AccessKey, ApplicationState, Family, LiveAccess, Origin, UserState};
use crate::store::outcome::Access;

/// An access token that was issued here and has neither ended nor been revoked.
#[derive(Debug)]
pub(super) struct OwnAccess {
    pub(super) live: Box<LiveAccess>,
    /// What a signed one says of itself.
    pub(super) claims: Option<AccessClaims>,
}

/// Who stands behind a family, and what that is worth now.
#[derive(Debug)]
pub(super) struct Holder {
    /// The user who gave the grant.
    pub(super) account: Option<Arc<Account>>,
    /// Whose quota is charged.
    pub(super) customer: Option<CustomerId>,
    /// Whose data is touched unless a call selects another tenant.
    pub(super) tenant: Option<TenantId>,
    /// Those of the family's roles that are still the holder's own.
    pub(super) own_roles: Vec<Role>,
    /// The roles in the tenant; the own ones where there is none.
    pub(super) roles: Vec<Role>,
}

impl TokenService {
    /// The name by which the store would know this text as an access token of this service; `None` when it cannot be one.
    /// A signed one must be good for that, and not over.
    pub(super) fn key_of(&self, text: &str, now: UnixTime) -> Option<(AccessKey, Option<AccessClaims>)> {
        if text.is_empty() || text.len() > compact::LONGEST {
            return None;
        }
        match self.signing() {
            Some(signing) if text.contains('.') => {
                let verified = verify::verify(text, &signing.keys.verifying(), &signing.policy, now).ok()?;
                let claims = AccessClaims::read(&verified).ok()?;
                Some((AccessKey::Jwt(claims.id.clone()), Some(claims)))
            }
            // Also where tokens are signed now: those of before go on to their end.
            Some(_) | None => Some((AccessKey::Opaque(Digest::of(text)), None)),
        }
    }

    /// The access token behind a text, if it is one of this service's and neither over nor revoked.
    pub(super) async fn own_access(
        &self,
        text: &str,
        now: UnixTime,
    ) -> Result<Option<OwnAccess>, StoreError> {
        Ok(match self.found(text, now).await? {
            Some((Access::Live(live), claims)) => Some(OwnAccess { live, claims }),
            Some((Access::Expired(_) | Access::Revoked | Access::Unknown, _)) | None => None,
        })
    }

    /// The grant that an access token came of, also when the token has expired: what it was refreshed to may be good.
    pub(super) async fn family_of_access(
        &self,
        text: &str,
        now: UnixTime,
    ) -> Result<Option<Family>, StoreError> {
        Ok(match self.found(text, now).await? {
            Some((Access::Live(live), _)) => Some(live.family),
            Some((Access::Expired(family), _)) => Some(*family),
            Some((Access::Revoked | Access::Unknown, _)) | None => None,
        })
    }

    /// What the store has of a text that may be an access token of this service, and the claims of a signed one.
    async fn found(
        &self,
        text: &str,
        now: UnixTime,
    ) -> Result<Option<(Access, Option<AccessClaims>)>, StoreError> {
        let Some((key, claims)) = self.key_of(text, now) else {
            return Ok(None);
        };
        let realm = self.realm().name().clone();
        let access = self.store().access(realm, key, now).await?;
        Ok(Some((access, claims)))
    }

    /// Who stands behind a family. `None` for a user who is gone, not active, or has lost the tenant; for an application that
    /// is gone or switched off, or whose owner is not active where it acts for itself.
    pub(super) async fn holder(&self, family: &Family) -> Result<Option<Holder>, StoreError> {
        let client = self.realm().application(&family.client_id).await?;
        if !self.client_holds(family, client.as_deref()).await? {
            return Ok(None);
        }
        let account = match family.user {
            None => None,
            Some(id) => match self.realm().user(id).await?.filter(|account| is_active(account)) {
                None => return Ok(None),
                found => found,
            },
        };
        // The grant says what was true then; what counts is what is true now.
        let (customer, held) = match (&account, client.as_deref()) {
            (Some(account), _) => (account.customer.clone(), Some(account.roles.as_slice())),
            (None, Some(client)) => {
                let customer = client.application.customer.clone();
                (customer.or(family.customer.clone()), client.roles.as_deref())
            }
            (None, None) => (family.customer.clone(), None),
        };
        let still = |role: &&Role| held.is_none_or(|held| held.contains(role));
        let own_roles: Vec<Role> = family.roles.iter().filter(still).cloned().collect();
        let tenant = match &family.tenant {
            Some(tenant) => Some(tenant.clone()),
            None => account
                .as_ref()
                .and_then(|account| account.default_tenant.clone()),
        };
        let is_node = account.is_none() && family.client_id.node().is_some();
        let there = match &tenant {
            None => None,
            // Whoever let it in has granted it its tenant.
            Some(_) if is_node => Some(own_roles.clone()),
            Some(tenant) => {
                let there = self.roles_in(tenant, account.as_deref(), customer.as_ref(), &own_roles);
                let there = there.await?;
                if there.is_none() && family.tenant.is_some() {
                    return Ok(None);
                }
                there
            }
        };
        Ok(Some(Holder {
            tenant: tenant.filter(|_| there.is_some()),
            roles: there.unwrap_or_else(|| own_roles.clone()),
            own_roles,
            customer,
            account,
        }))
    }

    /// The roles of an account, or of an application of a customer, in a tenant; `None` when it may not act there. `own` are
    /// those that hold where no others are granted.
    pub(super) async fn roles_in(
        &self,
        tenant: &TenantId,
        account: Option<&Account>,
        customer: Option<&CustomerId>,
        own: &[Role],
    ) -> Result<Option<Vec<Role>>, StoreError> {
        let directory = self.directory();
        directory.settle(customer, Some(tenant)).await?;
        let Some(right) = tenancy::right(account, customer, directory, tenant) else {
            return Ok(None);
        };
        let everywhere = account.and_then(|account| account.every_tenant.as_ref());
        let roles = match right {
            Right::Granted(grant) => grant.grant.roles.clone(),
            Right::Everywhere => everywhere.map(|every| every.roles.clone()),
            Right::Home => None,
        };
        Ok(Some(roles.unwrap_or_else(|| own.to_vec())))
    }

    /// Does a lock on the user's name suspend the tokens of this holder at `now`?
    pub(super) async fn is_suspended(&self, holder: &Holder, now: UnixTime) -> Result<bool, StoreError> {
        match &holder.account {
            Some(account) if self.realm().lock_suspends() => {
                let (realm, key) = (self.realm().name().clone(), account.key.clone());
                Ok(self.store().locked_until(realm, key, now).await?.is_some())
            }
            Some(_) | None => Ok(false),
        }
    }

    async fn client_holds(&self, family: &Family, client: Option<&Client>) -> Result<bool, StoreError> {
        let Some(client) = client else {
            // Tokens of a sign-in, and those that an administrator made, need no application.
            return Ok(match family.origin {
                Origin::SignIn | Origin::Offline => true,
                Origin::Code | Origin::ClientCredentials | Origin::Exchange => false,
            });
        };
        match client.application.state {
            ApplicationState::Active => {}
            ApplicationState::Disabled => return Ok(false),
        }
        match family.user {
            Some(_) => Ok(true),
            None => self.owner_holds(client).await,
        }
    }

    /// May an application act for itself? Not when it belongs to somebody who is not active.
    pub(super) async fn owner_holds(&self, client: &Client) -> Result<bool, StoreError> {
        if !client.has_owner() {
            return Ok(true);
        }
        let owner = self.realm().owner_of(client).await?;
        Ok(owner.is_some_and(|account| is_active(&account)))
    }
}

fn is_active(account: &Account) -> bool {
    match account.state {
        UserState::Active => true,
        UserState::Pending | UserState::Activated | UserState::Rejected | UserState::Disabled => false,
    }
}
