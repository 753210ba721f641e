//! The limits of one route, and the proof that they let a call through.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::bucket::Spend;
use super::fields::{Standing, accepted};
use super::handles::{Handle, Handles};
use super::key::KeyParts;
use super::limit::{Limit, Rule, next_id};
use super::table::Cell;
use crate::auth::Known;
use crate::auth::access::Permit;
use crate::base::clock::Tick;
use crate::config::plan::LimitKey;
use crate::identity::{ApiName, ClientId, CustomerId, IssuerName, RouteName, SubjectId, TenantId};
use crate::rejection::Rejection;

/// Every call costs one token of every limit.
const ONE: NonZeroU32 = NonZeroU32::MIN;

/// The limits of one route, in the order of the configuration, those that need no caller first.
#[derive(Debug)]
pub struct Limits {
    api: ApiName,
    route: RouteName,
    before: Vec<Scoped>,
    after: Vec<Scoped>,
    /// Some limit shows its fields with every answer.
    always: bool,
    /// Some limit counts by the application that the request names.
    by_name: bool,
}

/// A limit on this route.
#[derive(Debug)]
pub(super) struct Scoped {
    limit: Arc<Limit>,
    /// Names what an identity may remember: the limit, or the limit on this route if the route is part of the
    /// key. `None` if the key has a part that changes from call to call (address, selected tenant).
    scope: Option<u64>,
}

/// Proof that every limit of the route let the call through. Nothing is forwarded without one.
#[derive(Debug)]
pub struct Admission {
    permit: Permit,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Admission {
    /// What the caller may do.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Fields for the answer, from limits that show theirs always. Usually none.
    pub fn response_fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }
}

/// Whom a call's tokens are taken from.
struct Asker<'c> {
    payer: Option<&'c CustomerId>,
    tenant: Option<&'c TenantId>,
    subject: Option<&'c SubjectId>,
    client: Option<&'c SubjectId>,
    /// The application that the request names.
    named: Option<&'c ClientId>,
    /// Who names subject and client; another issuer's may be called the same (RFC 7519 section 4.1.2).
    issuer: Option<&'c IssuerName>,
    address: IpAddr,
    /// Where this identity's buckets are remembered.
    handles: Option<&'c Handles>,
}

/// A bucket for one call.
enum Grip<'h> {
    Remembered(&'h Handle),
    Looked { cell: Cell, rule: Arc<Rule> },
}

impl Grip<'_> {
    fn cell(&self) -> &Cell {
        match self {
            Grip::Remembered(handle) => &handle.cell,
            Grip::Looked { cell, .. } => cell,
        }
    }

    fn rule(&self) -> &Rule {
        match self {
            Grip::Remembered(handle) => &handle.rule,
            Grip::Looked { rule, .. } => rule,
        }
    }
}

impl Limits {
    /// The limits of the route `route` of `api`, in the order in which they are spent.
    pub fn new(api: ApiName, route: RouteName, limits: Vec<Arc<Limit>>) -> Limits {
        let always = limits.iter().any(|limit| limit.always);
        let (before, after) = limits
            .into_iter()
            .map(Scoped::new)
            .partition(|scoped| scoped.limit.before_authentication());
        Limits {
            api,
            route,
            before,
            after,
            always,
            by_name: false,
        }
    }

    /// On this route requests name the application that they are for, and limits `per: client` count by that name
    /// ([`Limits::admit_named`]) whoever asks.
    #[must_use]
    pub fn by_named_client(mut self) -> Limits {
        for scoped in &mut self.after {
            if scoped.limit.per.contains(&LimitKey::Client) {
                self.by_name = true;
                // The name changes from call to call, so an identity has nothing to remember.
                scoped.scope = None;
            }
        }
        self
    }

    /// Is it of use to look for the name?
    pub fn counts_by_name(&self) -> bool {
        self.by_name
    }

    /// Spends the limits that need no caller, before anybody looks at the credentials. `client` is the
    /// client's own address, as far as the proxies in front are trusted.
    ///
    /// These tokens are not given back when a later stage refuses: what they pay for, looking at the
    /// credentials, has happened then.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`], or [`Rejection::Overloaded`] if a newcomer's bucket finds no room.
    pub fn admit_address(&self, client: IpAddr, now: Tick) -> Result<(), Rejection> {
        if self.before.is_empty() {
            return Ok(());
        }
        self.charge(&self.before, &Asker::nobody(client), &[], now, &mut Vec::new())
    }

    /// Spends the other limits, one token each, in order. If one refuses, those before it get theirs back, so
    /// that a call that is refused here costs nothing of what counts the caller.
    ///
    /// # Errors
    /// As [`Limits::admit_address`].
    pub fn admit(&self, permit: Permit, client: IpAddr, now: Tick) -> Result<Admission, Rejection> {
        self.admit_named(permit, client, None, now)
    }

    /// As [`Limits::admit`], of a request that names the application `named`. Anybody can name any application, so a limit by
    /// name stands behind one by address: else who knows a name could use it up for its owner, and new names for everybody.
    ///
    /// # Errors
    /// As [`Limits::admit_address`].
    pub fn admit_named(
        &self,
        permit: Permit,
        client: IpAddr,
        named: Option<&ClientId>,
        now: Tick,
    ) -> Result<Admission, Rejection> {
        if self.after.is_empty() && !self.always {
            return Ok(Admission {
                permit,
                fields: Vec::new(),
            });
        }
        let asker = Asker {
            named,
            ..Asker::of(&permit, client)
        };
        let fields = self.spend(&asker, now)?;
        Ok(Admission { permit, fields })
    }

    fn spend(&self, asker: &Asker<'_>, now: Tick) -> Result<Vec<(HeaderName, HeaderValue)>, Rejection> {
        let mut standings = Vec::new();
        self.look(asker, now, &mut standings)?;
        match asker.handles {
            Some(handles) => self.charge(&self.after, asker, &handles.load(), now, &mut standings)?,
            None => self.charge(&self.after, asker, &[], now, &mut standings)?,
        }
        Ok(accepted(&standings))
    }

    /// Reports on the limits that were spent before authentication, where they show their fields always.
    fn look<'l>(
        &'l self,
        asker: &Asker<'_>,
        now: Tick,
        standings: &mut Vec<Standing<'l>>,
    ) -> Result<(), Rejection> {
        for scoped in self.before.iter().filter(|scoped| scoped.limit.always) {
            let grip = self.grip(scoped, asker, &[], now)?;
            standings.push(scoped.standing(&grip, now));
        }
        Ok(())
    }

    /// Spends `limits` from the first to the last. Recursive, so that what has to be given back stands on the
    /// stack.
    fn charge<'l>(
        &'l self,
        limits: &'l [Scoped],
        asker: &Asker<'_>,
        handles: &[Handle],
        now: Tick,
        standings: &mut Vec<Standing<'l>>,
    ) -> Result<(), Rejection> {
        let Some((scoped, later)) = limits.split_first() else {
            return Ok(());
        };
        let grip = self.grip(scoped, asker, handles, now)?;
        let (cell, rule) = (grip.cell(), grip.rule());
        match rule.bucket.spend(cell.word(), ONE, now) {
            Spend::Ok { .. } => {}
            Spend::Wait(wait) => {
                scoped.limit.note_refusal();
                return Err(Rejection::RateLimited(scoped.limit.looks.refused(rule, wait)));
            }
            // No bucket is smaller than one token.
            Spend::Never => return Err(Rejection::Overloaded("a limit lets nothing through")),
        }
        if scoped.limit.always {
            standings.push(scoped.standing(&grip, now));
        }
        self.charge(later, asker, handles, now, standings)
            .inspect_err(|_| rule.bucket.refund(cell.word(), ONE))
    }

    fn grip<'h>(
        &self,
        scoped: &Scoped,
        asker: &Asker<'_>,
        handles: &'h [Handle],
        now: Tick,
    ) -> Result<Grip<'h>, Rejection> {
        let limit = &scoped.limit;
        // Before the rule is looked for: one that changes meanwhile is looked for again at the next call.
        let customers = limit.customers();
        let remembered = scoped.scope.and_then(|scope| {
            let mut handles = handles.iter();
            handles.find(|handle| handle.scope == scope && handle.customers == customers)
        });
        if let Some(handle) = remembered {
            return Ok(Grip::Remembered(handle));
        }
        let rule = limit.rule_for(asker.payer);
        let mut key = limit.table.key();
        let mut complete = true;
        for part in &limit.per {
            complete &= self.add_part(&mut key, *part, asker);
        }
        let cell = limit
            .table
            .acquire(key.finish(), &rule.bucket, limit.generation, now)
            .map_err(|_| {
                limit.note_refusal();
                Rejection::Overloaded("a limit has no room for another bucket")
            })?;
        if let (Some(scope), Some(handles), true) = (scoped.scope, asker.handles, complete) {
            handles.remember(&Handle::new(
                scope,
                limit,
                customers,
                cell.clone(),
                Arc::clone(&rule),
            ));
        }
        Ok(Grip::Looked { cell, rule })
    }

    /// Adds the part of the key that `part` names; false if the call has none. Then the client's address
    /// stands in for it: nobody passes uncounted, and callers without that value do not share one bucket.
    fn add_part(&self, key: &mut KeyParts, part: LimitKey, asker: &Asker<'_>) -> bool {
        if let (LimitKey::Client, true) = (part, self.by_name) {
            match asker.named {
                Some(named) => key.add(b'm', named.as_str().as_bytes()),
                None => key.add_address(b'-', asker.address),
            }
            return asker.named.is_some();
        }
        if let (LimitKey::Subject | LimitKey::Client, Some(issuer)) = (part, asker.issuer) {
            key.add(b'n', issuer.as_str().as_bytes());
        }
        let named = match part {
            LimitKey::Customer => asker.payer.map(|customer| (b'c', customer.as_str())),
            LimitKey::Tenant => asker.tenant.map(|tenant| (b't', tenant.as_str())),
            LimitKey::Subject => asker.subject.map(|subject| (b's', subject.as_str())),
            LimitKey::Client => asker.client.map(|client| (b'o', client.as_str())),
            LimitKey::Route => {
                key.add(b'i', self.api.as_str().as_bytes());
                Some((b'r', self.route.as_str()))
            }
            LimitKey::Address => {
                key.add_address(b'a', asker.address);
                return true;
            }
        };
        match named {
            Some((kind, text)) => key.add(kind, text.as_bytes()),
            None => key.add_address(b'-', asker.address),
        }
        named.is_some()
    }
}

impl Scoped {
    fn new(limit: Arc<Limit>) -> Scoped {
        let steady = limit.per.iter().all(|part| match part {
            LimitKey::Customer | LimitKey::Subject | LimitKey::Client | LimitKey::Route => true,
            LimitKey::Tenant | LimitKey::Address => false,
        });
        let scope = if limit.per.contains(&LimitKey::Route) {
            next_id()
        } else {
            limit.id
        };
        Scoped {
            limit,
            scope: steady.then_some(scope),
        }
    }

    fn standing<'l>(&'l self, grip: &Grip<'_>, now: Tick) -> Standing<'l> {
        let rule = grip.rule();
        let level = rule.bucket.peek(grip.cell().word(), now);
        Standing {
            looks: &self.limit.looks,
            shown: rule.shown.clone(),
            remaining: level.remaining,
            next_token: level.next_token,
        }
    }
}

impl<'c> Asker<'c> {
    /// Before authentication there is only an address.
    fn nobody(address: IpAddr) -> Asker<'c> {
        Asker {
            payer: None,
            tenant: None,
            subject: None,
            client: None,
            named: None,
            issuer: None,
            address,
            handles: None,
        }
    }

    fn of(permit: &'c Permit, address: IpAddr) -> Asker<'c> {
        let identity = permit.identity();
        let payer = permit.payer();
        // What is remembered beside an identity was looked up for the customer that it names. A permit on
        // which somebody else pays must not spend from that.
        let own = identity.is_some_and(|identity| identity.customer.as_ref() == payer);
        Asker {
            payer,
            tenant: permit.tenant(),
            subject: identity.map(|identity| &identity.subject),
            client: identity.and_then(|identity| identity.client.as_ref()),
            named: None,
            issuer: identity.map(|identity| &identity.issuer),
            address,
            handles: permit.known().filter(|_| own).and_then(|known| remembered(known)),
        }
    }
}

/// Where `known` keeps its buckets; made at its first call.
fn remembered(known: &Known) -> Option<&Handles> {
    known
        .cells
        .get_or_init(|| Box::new(Handles::default()))
        .downcast_ref()
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
