//! Authorization codes in the file.

use rusqlite::{Row, params};

use super::tokens;
use super::transaction::Tx;
use super::values::{Spaced, Words};
use crate::base::clock::UnixTime;
use crate::identity::{FamilyId, RealmName};
use crate::store::backend::{Holder, PresentedCode};
use crate::store::error::StoreError;
use crate::store::model::{Actor, AuthorizationCode, By, FirstTokens};
use crate::store::outcome::Redemption;
use crate::store::rules::CodeVerdict;
use crate::store::{notes, rules};

fn code_of(row: &Row<'_>) -> rusqlite::Result<(AuthorizationCode, Option<FamilyId>)> {
    let code = AuthorizationCode {
        digest: row.get(0)?,
        realm: row.get(1)?,
        client_id: row.get(2)?,
        user: row.get(3)?,
        customer: row.get(4)?,
        tenant: row.get(5)?,
        scopes: row.get::<_, Words<_>>(6)?.0,
        roles: row.get::<_, Words<_>>(7)?.0,
        redirect_uri: row.get(8)?,
        challenge: row.get(9)?,
        issued_at: row.get(10)?,
        expires_at: row.get(11)?,
    };
    Ok((code, row.get(12)?))
}

pub(super) fn keep(tx: &Tx<'_>, code: &AuthorizationCode) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO codes (digest, realm, client_id, user, customer, tenant, scopes, roles, redirect_uri, challenge, \
         issued_at, expires_at, family) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, NULL)",
        params![
            code.digest,
            code.realm,
            code.client_id,
            code.user,
            code.customer,
            code.tenant,
            Spaced(&code.scopes),
            Spaced(&code.roles),
            code.redirect_uri,
            code.challenge,
            code.issued_at,
            code.expires_at,
        ],
    )?;
    Ok(())
}

pub(super) fn redeem(
    tx: &Tx<'_>,
    presented: &PresentedCode,
    first: FirstTokens,
    now: UnixTime,
) -> Result<Redemption, StoreError> {
    let found = tx.first(
        "SELECT digest, realm, client_id, user, customer, tenant, scopes, roles, redirect_uri, challenge, issued_at, \
         expires_at, family FROM codes WHERE digest = ?1 AND realm = ?2",
        params![presented.digest, presented.realm],
        code_of,
    )?;
    let Some((code, used)) = found else {
        return Ok(Redemption::Unknown);
    };
    match rules::judge_code(&code, used, presented, now) {
        CodeVerdict::Good => {
            // What a second use needs stays; the rest stands in the family.
            tx.execute(
                "UPDATE codes SET family = ?2, scopes = '', roles = '', redirect_uri = NULL, challenge = NULL \
                 WHERE digest = ?1",
                params![presented.digest, first.family],
            )?;
            let family = rules::family_of_code(code, &first);
            let by = By::new(Actor::Application(presented.client_id.clone()), now);
            tokens::issue(tx, family, first.tokens, &by).map(Redemption::Redeemed)
        }
        CodeVerdict::AlreadyUsed(family) => {
            tokens::mark_revoked(tx, family, now)?;
            tx.note(&notes::code_reused(&presented.realm, family), &By::system(now))?;
            Ok(Redemption::AlreadyUsed { family })
        }
        CodeVerdict::Expired => Ok(Redemption::Expired),
        CodeVerdict::WrongClient => Ok(Redemption::WrongClient),
        CodeVerdict::WrongRedirect => Ok(Redemption::WrongRedirect),
        CodeVerdict::WrongVerifier => Ok(Redemption::WrongVerifier),
    }
}

/// Drops the codes of `holder` that were not redeemed.
pub(super) fn drop_unused(tx: &Tx<'_>, realm: &RealmName, holder: &Holder) -> Result<(), StoreError> {
    match holder {
        Holder::User(user) => tx.execute(
            "DELETE FROM codes WHERE family IS NULL AND realm = ?1 AND user = ?2",
            params![realm, user],
        ),
        Holder::Application(client_id) => tx.execute(
            "DELETE FROM codes WHERE family IS NULL AND realm = ?1 AND client_id = ?2",
            params![realm, client_id],
        ),
        Holder::UserAtApplication(user, client_id) => tx.execute(
            "DELETE FROM codes WHERE family IS NULL AND realm = ?1 AND user = ?2 AND client_id = ?3",
            params![realm, user, client_id],
        ),
    }?;
    Ok(())
}
