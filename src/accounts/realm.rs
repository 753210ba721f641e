//! One world of accounts: who is in it, looked up in the file first and then in the store.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::account::{Account, Client};
use super::shared::Accounts;
use crate::base::secret::Secret;
use crate::config::plan::{LockoutKey, LockoutPlan, NameForm, RealmPlan, SessionsPlan, WhileLocked};
use crate::identity::name::{BadEmail, BadName};
use crate::identity::{AccountKey, ClientId, RealmName, StoredPassword, UserId, UserName};
use crate::store::StoreError;
use crate::store::model::LockPolicy;
use crate::telemetry::metrics::SignInMetrics;

/// A realm of the configuration, at work.
#[derive(Debug)]
pub struct Realm {
    plan: RealmPlan,
    accounts: Arc<Accounts>,
    users: HashMap<UserId, FileUser>,
    keys: HashMap<AccountKey, UserId>,
    applications: HashMap<ClientId, Arc<Client>>,
    pub(super) metrics: Arc<SignInMetrics>,
    /// Told whenever an attempt to sign in has come to its end.
    pub(super) attempt_ended: Notify,
}

#[derive(Debug)]
struct FileUser {
    account: Arc<Account>,
    password: StoredPassword,
}

/// A user with the password to compare.
pub(super) struct Credential {
    pub(super) account: Arc<Account>,
    pub(super) password: Option<StoredPassword>,
    /// The hash as the store has it, to replace exactly that one; `None` for a user of the file.
    pub(super) stored: Option<Secret>,
}

impl Realm {
    /// The realm of `plan` in these accounts.
    pub fn new(plan: &RealmPlan, accounts: Arc<Accounts>, metrics: Arc<SignInMetrics>) -> Arc<Realm> {
        let mut users = HashMap::new();
        let mut keys = HashMap::new();
        for user in &plan.users {
            let Some(account) = Account::of_file(&plan.name, user) else {
                continue;
            };
            keys.insert(account.key.clone(), account.id);
            users.insert(
                account.id,
                FileUser {
                    account: Arc::new(account),
                    password: user.password.clone(),
                },
            );
        }
        let applications = plan
            .applications
            .iter()
            .map(|plan_of| {
                let mut client = Client::of_file(&plan.name, plan_of);
                client.application.owner = client.owner_key.as_ref().and_then(|key| keys.get(key).copied());
                (plan_of.client_id.clone(), Arc::new(client))
            })
            .collect();
        Arc::new(Realm {
            plan: plan.clone(),
            accounts,
            users,
            keys,
            applications,
            metrics,
            attempt_ended: Notify::new(),
        })
    }

    /// The realm of a new configuration: `previous` itself where nothing has changed, so that whatever is remembered of its
    /// users is kept; else a new one.
    pub fn carried(
        plan: &RealmPlan,
        accounts: &Arc<Accounts>,
        metrics: Arc<SignInMetrics>,
        previous: Option<&Arc<Realm>>,
    ) -> Arc<Realm> {
        match previous {
            Some(realm) if realm.is_of(plan) && Arc::ptr_eq(&realm.accounts, accounts) => Arc::clone(realm),
            Some(_) | None => Realm::new(plan, Arc::clone(accounts), metrics),
        }
    }

    fn is_of(&self, plan: &RealmPlan) -> bool {
        let RealmPlan {
            name,
            names,
            lockout,
            sessions,
            users,
            applications,
        } = plan;
        self.plan.name == *name
            && self.plan.names == *names
            && self.plan.lockout == *lockout
            && self.plan.sessions == *sessions
            && self.plan.users == *users
            && self.plan.applications == *applications
    }

    /// Its name.
    pub fn name(&self) -> &RealmName {
        &self.plan.name
    }

    /// What it shares with the others.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Its sessions.
    pub fn sessions(&self) -> SessionsPlan {
        self.plan.sessions
    }

    /// Its lockout.
    pub fn lockout(&self) -> LockoutPlan {
        self.plan.lockout
    }

    pub(super) fn lock_policy(&self) -> LockPolicy {
        let LockoutPlan {
            attempts,
            window,
            duration,
            key: _,
            tokens: _,
        } = self.plan.lockout;
        LockPolicy {
            attempts,
            window,
            duration,
        }
    }

    /// Does a lock suspend tokens and sessions of the account?
    pub fn lock_suspends(&self) -> bool {
        match self.plan.lockout.tokens {
            WhileLocked::Suspended => true,
            WhileLocked::Work => false,
        }
    }

    /// The key of the account that somebody names, be there one or not; `None` for what can be nobody's name. Where names
    /// are locked by domain and name, the domain is a part of the name: `corp\alice` is one account, `alice` another.
    /// Otherwise a domain says nothing: were it counted and not looked up, each made-up domain would be a new set of guesses.
    pub fn key_of(&self, name: &str, domain: Option<&str>) -> Option<AccountKey> {
        let name = UserName::parse(name).ok()?;
        let domain = match self.plan.lockout.key {
            LockoutKey::User => None,
            LockoutKey::DomainAndUser => domain.filter(|domain| !domain.trim().is_empty()),
        };
        match domain {
            None => AccountKey::try_from(name.as_str()).ok(),
            Some(domain) => {
                let domain = UserName::parse(domain).ok()?;
                AccountKey::try_from(format!("{domain}\\{name}").as_str()).ok()
            }
        }
    }

    /// The user of this id.
    ///
    /// # Errors
    /// [`StoreError`], for a user that is not in the file.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(user) = self.users.get(&id) {
            return Ok(Some(Arc::clone(&user.account)));
        }
        let found = self.accounts.store().user(self.plan.name.clone(), id).await?;
        // One whose name the file has taken over is somebody else now.
        Ok(found
            .filter(|user| !self.keys.contains_key(&user.key))
            .map(|user| Arc::new(Account::of_store(user))))
    }

    /// The user of this name.
    ///
    /// # Errors
    /// As [`Realm::user`].
    pub async fn user_by_key(&self, key: &AccountKey) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(self.credential(key).await?.map(|found| found.account))
    }

    pub(super) async fn credential(&self, key: &AccountKey) -> Result<Option<Credential>, StoreError> {
        if let Some(user) = self.keys.get(key).and_then(|id| self.users.get(id)) {
            return Ok(Some(Credential {
                account: Arc::clone(&user.account),
                password: Some(user.password.clone()),
                stored: None,
            }));
        }
        let name = self.plan.name.clone();
        let Some(user) = self.accounts.store().user_by_key(name, key.clone()).await? else {
            return Ok(None);
        };
        let stored = user.password.clone();
        let password = stored.as_ref().and_then(|hash| {
            let text = std::str::from_utf8(hash.reveal()).ok()?;
            let parsed = StoredPassword::parse(text);
            if parsed.is_err() {
                tracing::error!(realm = %self.plan.name, user = %user.id, "the stored password is no hash");
            }
            parsed.ok()
        });
        Ok(Some(Credential {
            account: Arc::new(Account::of_store(user)),
            password,
            stored,
        }))
    }

    /// The application of this client id.
    ///
    /// # Errors
    /// [`StoreError`], for one that is not in the file.
    pub async fn application(&self, client_id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        if let Some(client) = self.applications.get(client_id) {
            return Ok(Some(Arc::clone(client)));
        }
        let name = self.plan.name.clone();
        let found = self.accounts.store().application(name, client_id.clone()).await?;
        Ok(found.map(|application| Arc::new(Client::of_store(application))))
    }

    /// The user that an application belongs to. `Ok(None)` when it has none, or none that is there.
    ///
    /// # Errors
    /// As [`Realm::user`].
    pub async fn owner_of(&self, client: &Client) -> Result<Option<Arc<Account>>, StoreError> {
        match (client.application.owner, &client.owner_key) {
            (Some(owner), _) => self.user(owner).await,
            (None, Some(key)) => self.user_by_key(key).await,
            (None, None) => Ok(None),
        }
    }
}

impl Client {
    /// Does it belong to somebody?
    pub fn has_owner(&self) -> bool {
        self.application.owner.is_some() || self.owner_key.is_some()
    }
}

/// A name that the realm gives to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGiven {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The realm's names are e-mail addresses.
    #[error(transparent)]
    Email(#[from] BadEmail),
}

impl Realm {
    /// May an account be given this name?
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn check_name(&self, name: &str) -> Result<(), NotGiven> {
        let name = UserName::parse(name)?;
        match self.plan.names {
            NameForm::Any => Ok(()),
            NameForm::Email => Ok(name.check_email()?),
        }
    }
}
