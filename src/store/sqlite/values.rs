//! How our types stand in a column.

use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::units::Quota;
use crate::identity::{
    AccountKey, AccountName, ClientId, CustomerId, EnrolmentId, FamilyId, Jti, LimitName, NodeId, NodeUuid,
    RealmName, RegionName, Role, Scope, TenantId, TenantUuid, UserId,
};
use crate::store::model::{
    AccessKey, Actor, ApplicationState, GrantType, Origin, Reach, RefreshState, UserState,
};

type SqlResult<T> = rusqlite::Result<T>;

/// What is in a column is not what its type says: the file is damaged, or somebody else wrote into it.
fn damaged(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FromSqlError {
    FromSqlError::Other(what.into())
}

macro_rules! text_columns {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                $name::try_from(value.as_str()?).map_err(damaged)
            }
        }
    )+};
}
text_columns!(
    RealmName,
    AccountName,
    AccountKey,
    ClientId,
    CustomerId,
    TenantId,
    TenantUuid,
    NodeUuid,
    RegionName
);

macro_rules! word_columns {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                let word = value.as_str()?;
                $name::parse(word).ok_or_else(|| damaged(format!("`{word}` is unknown")))
            }
        }
    )+};
}
word_columns!(UserState, Reach, ApplicationState, Origin, RefreshState);

macro_rules! byte_columns {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_bytes().as_slice()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                FromSql::column_result(value).map($name::from_bytes)
            }
        }
    )+};
}
byte_columns!(UserId, FamilyId, EnrolmentId, NodeId, Digest);

impl ToSql for UnixTime {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0))
    }
}

impl FromSql for UnixTime {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<UnixTime> {
        value.as_i64().map(UnixTime)
    }
}

impl ToSql for Secret {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.reveal()))
    }
}

impl FromSql for Secret {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Secret> {
        value.as_blob().map(|bytes| Secret::new(bytes.to_vec()))
    }
}

impl ToSql for Actor {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for Actor {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Actor> {
        let text = value.as_str()?;
        Actor::parse(text).ok_or_else(|| damaged(format!("`{text}` is no actor")))
    }
}

impl ToSql for AccessKey {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        let (kind, bytes) = match self {
            AccessKey::Opaque(digest) => (b'o', digest.as_bytes().as_slice()),
            AccessKey::Jwt(jti) => (b'j', jti.as_str().as_bytes()),
        };
        let mut out = Vec::with_capacity(1 + bytes.len());
        out.push(kind);
        out.extend_from_slice(bytes);
        Ok(ToSqlOutput::from(out))
    }
}

impl FromSql for AccessKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<AccessKey> {
        match value.as_blob()? {
            [b'o', digest @ ..] => <[u8; 32]>::try_from(digest)
                .map(|digest| AccessKey::Opaque(Digest::from_bytes(digest)))
                .map_err(damaged),
            [b'j', jti @ ..] => {
                let jti = std::str::from_utf8(jti).map_err(damaged)?;
                Jti::try_from(jti).map(AccessKey::Jwt).map_err(damaged)
            }
            _ => Err(damaged("is no key of an access token")),
        }
    }
}

/// A word of a list that is kept with spaces between.
pub(super) trait Word: Sized {
    fn word(&self) -> &str;
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! words_of_lists {
    ($($name:ident: $read:expr),+ $(,)?) => {$(
        impl Word for $name {
            fn word(&self) -> &str {
                self.as_str()
            }

            fn from_word(word: &str) -> Option<$name> {
                $read(word)
            }
        }
    )+};
}
words_of_lists!(
    Scope: |word| Scope::try_from(word).ok(),
    Role: |word| Role::try_from(word).ok(),
    GrantType: GrantType::parse,
);

/// A list of words, separated by spaces.
pub(super) struct Spaced<'l, T>(pub(super) &'l [T]);

impl<T: Word> ToSql for Spaced<'_, T> {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        let words: Vec<&str> = self.0.iter().map(Word::word).collect();
        Ok(ToSqlOutput::from(words.join(" ")))
    }
}

/// The same, read.
pub(super) struct Words<T>(pub(super) Vec<T>);

impl<T: Word> FromSql for Words<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Words<T>> {
        value
            .as_str()?
            .split_ascii_whitespace()
            .map(|word| T::from_word(word).ok_or_else(|| damaged(format!("`{word}` is unknown"))))
            .collect::<FromSqlResult<Vec<T>>>()
            .map(Words)
    }
}

/// Anything richer, as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> SqlResult<ToSqlOutput<'_>> {
        serde_json::to_string(&self.0)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Json<T>> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(damaged)
    }
}

/// A quota as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct HeldQuota {
    limit: LimitName,
    tokens: std::num::NonZeroU32,
    per_nanos: u64,
    burst: std::num::NonZeroU32,
}

pub(super) fn held_quotas(quotas: &[(LimitName, Quota)]) -> Json<Vec<HeldQuota>> {
    Json(
        quotas
            .iter()
            .map(|(limit, quota)| HeldQuota {
                limit: limit.clone(),
                tokens: quota.tokens,
                per_nanos: u64::try_from(quota.per.as_nanos()).unwrap_or(u64::MAX),
                burst: quota.burst,
            })
            .collect(),
    )
}

pub(super) fn quotas(held: Vec<HeldQuota>) -> Vec<(LimitName, Quota)> {
    held.into_iter()
        .map(|held| {
            let quota = Quota {
                tokens: held.tokens,
                per: Duration::from_nanos(held.per_nanos),
                burst: held.burst,
            };
            (held.limit, quota)
        })
        .collect()
}
