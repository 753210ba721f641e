//! Access tokens of our own as JSON Web Tokens (RFC 9068): what is in them, written and read in one place.

use serde_json::{Map, Value};

use super::claims::VerifiedClaims;
use super::fault::TokenFault;
use super::verify::Policy;
use crate::base::clock::UnixTime;
use crate::config::plan::Algorithm;
use crate::identity::{ClientId, CustomerId, FamilyId, Jti, Role, Scope, SubjectId, TenantId, scopes};

/// Their `typ`, without `application/` (RFC 9068 section 2.1):
///
/// > a "typ" header parameter with a value of "at+JWT" [...] RECOMMENDED that the "application/" prefix be omitted
pub const TYPE: &str = "at+jwt";

/// What such a token says (RFC 9068 section 2.2), and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// `iss`: the token service.
    pub issuer: String,
    /// `aud`: for whom it is; not empty. Written as one text if it is one.
    pub audience: Vec<String>,
    /// `sub`: the user (32 hexadecimal digits), or the client where it acts for itself.
    pub subject: SubjectId,
    /// `client_id`: to whom it was given.
    pub client_id: ClientId,
    /// `jti`: by which the store knows it.
    pub id: Jti,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `scope`: separated by spaces; not there when there is none.
    pub scopes: Vec<Scope>,
    /// `roles`: an array (RFC 9068 section 2.2.3.1); not there when there is none.
    pub roles: Vec<Role>,
    /// `customer`: whose quota is charged.
    pub customer: Option<CustomerId>,
    /// `tenant`: whose data is touched.
    pub tenant: Option<TenantId>,
    /// `family`: the grant that it comes of.
    pub family: FamilyId,
}

impl AccessClaims {
    /// The claims as they are signed.
    pub fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        put("iss", Value::from(self.issuer.as_str()));
        put(
            "aud",
            match self.audience.as_slice() {
                [only] => Value::from(only.as_str()),
                several => Value::from(several),
            },
        );
        put("sub", Value::from(self.subject.as_str()));
        put("client_id", Value::from(self.client_id.as_str()));
        put("jti", Value::from(self.id.as_str()));
        put("iat", Value::from(self.issued_at.0));
        put("exp", Value::from(self.expires_at.0));
        if !self.scopes.is_empty() {
            put("scope", Value::from(scopes::joined(&self.scopes)));
        }
        if !self.roles.is_empty() {
            put("roles", self.roles.iter().map(Role::as_str).collect());
        }
        if let Some(customer) = &self.customer {
            put("customer", Value::from(customer.as_str()));
        }
        if let Some(tenant) = &self.tenant {
            put("tenant", Value::from(tenant.as_str()));
        }
        put("family", Value::from(self.family.to_string()));
        members
    }

    /// Reads the claims of a token that was verified by [`policy`].
    ///
    /// # Errors
    /// [`TokenFault::Claim`] with the first that is missing or is not what it should be: then it is none of ours, whoever
    /// signed it.
    pub fn read(claims: &VerifiedClaims) -> Result<AccessClaims, TokenFault> {
        let members = &claims.members;
        let roles = match members.get("roles") {
            None => Vec::new(),
            Some(Value::Array(roles)) => roles
                .iter()
                .map(|role| role.as_str().and_then(|role| Role::try_from(role).ok()))
                .collect::<Option<_>>()
                .ok_or(TokenFault::Claim("roles"))?,
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(TokenFault::Claim("roles"));
            }
        };
        let audience = match members.get("aud") {
            Some(Value::Array(several)) => several
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            other => other
                .and_then(Value::as_str)
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        Ok(AccessClaims {
            issuer: text(members, "iss")?.to_owned(),
            audience,
            subject: required(members, "sub")?,
            client_id: required(members, "client_id")?,
            id: required(members, "jti")?,
            issued_at: members
                .get("iat")
                .and_then(Value::as_i64)
                .map(UnixTime)
                .ok_or(TokenFault::Claim("iat"))?,
            expires_at: claims.expires,
            scopes: scopes::parse(optional_text(members, "scope")?.unwrap_or_default())
                .map_err(|_| TokenFault::Claim("scope"))?,
            roles,
            customer: optional(members, "customer")?,
            tenant: optional(members, "tenant")?,
            family: required(members, "family")?,
        })
    }
}

/// By what our own access tokens are verified. No leeway: the clock that issued them is ours, or as good as ours.
pub fn policy(issuer: &str, audience: &[String], algorithm: Algorithm) -> Policy {
    Policy {
        issuer: issuer.to_owned(),
        audience: audience.to_vec(),
        algorithms: vec![algorithm],
        types: vec![TYPE.to_owned()],
        leeway: 0,
    }
}

fn optional_text<'c>(
    members: &'c Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'c str>, TokenFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(TokenFault::Claim(name))
        }
    }
}

fn text<'c>(members: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, TokenFault> {
    optional_text(members, name)?.ok_or(TokenFault::Claim(name))
}

fn required<I>(members: &Map<String, Value>, name: &'static str) -> Result<I, TokenFault>
where
    I: for<'t> TryFrom<&'t str>,
{
    I::try_from(text(members, name)?).map_err(|_| TokenFault::Claim(name))
}

fn optional<I>(members: &Map<String, Value>, name: &'static str) -> Result<Option<I>, TokenFault>
where
    I: for<'t> TryFrom<&'t str>,
{
    optional_text(members, name)?
        .map(I::try_from)
        .transpose()
        .map_err(|_| TokenFault::Claim(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::key_set::KeySet;
    use crate::jose::sign::SigningKey;
    use crate::jose::verify::verify;
    use crate::jose::{Key, compact};

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn claims() -> AccessClaims {
        AccessClaims {
            issuer: "https://login.test".to_owned(),
            audience: vec!["central".to_owned()],
            subject: SubjectId::try_from("0123456789abcdef0123456789abcdef").unwrap(),
            client_id: ClientId::try_from("reports").unwrap(),
            id: Jti::random(),
            issued_at: NOW,
            expires_at: UnixTime(NOW.0 + 7_200),
            scopes: scopes::parse("all read").unwrap(),
            roles: vec![Role::try_from("admin").unwrap()],
            customer: Some(CustomerId::try_from("acme").unwrap()),
            tenant: Some(TenantId::try_from("t1").unwrap()),
            family: FamilyId::random(),
        }
    }

    fn key() -> (SigningKey, KeySet) {
        let key = SigningKey::generate(Algorithm::ES256).unwrap().named("k1");
        let public = key.public_jwk().unwrap();
        let set = KeySet::new(vec![Key::from_jwk(public.as_object().unwrap()).unwrap().into()]);
        (key, set)
    }

    #[test]
    fn rfc_9068_2_2_every_claim_that_is_required_is_there_with_its_type() {
        let members = claims().members();
        for name in ["iss", "sub", "client_id", "jti", "aud"] {
            assert!(members[name].is_string(), "{name}");
        }
        for name in ["exp", "iat"] {
            assert!(members[name].is_i64(), "{name}");
        }
        assert_eq!(members["scope"], "all read");
        assert_eq!(members["roles"], json!(["admin"]));
        let two = AccessClaims {
            audience: vec!["a".to_owned(), "b".to_owned()],
            ..claims()
        };
        assert_eq!(two.members()["aud"], json!(["a", "b"]));
        let bare = AccessClaims {
            scopes: Vec::new(),
            roles: Vec::new(),
            customer: None,
            tenant: None,
            ..claims()
        };
        for name in ["scope", "roles", "customer", "tenant"] {
            assert_eq!(bare.members().get(name), None, "{name}");
        }
    }

    #[test]
    fn rfc_9068_2_1_and_4_the_type_is_at_jwt_and_nothing_else_is_taken() {
        let (key, set) = key();
        let policy = policy("https://login.test", &["central".to_owned()], Algorithm::ES256);
        let token = key.sign_as(TYPE, Algorithm::ES256, &claims().members()).unwrap();
        assert_eq!(
            compact::split(&token).unwrap().header.kind.as_deref(),
            Some("at+jwt")
        );
        assert!(verify(&token, &set, &policy, NOW).is_ok());
        for (kind, members, fault) in [
            ("JWT", claims().members(), TokenFault::Type),
            (
                TYPE,
                AccessClaims {
                    issuer: "https://login.test/".to_owned(),
                    ..claims()
                }
                .members(),
                TokenFault::Issuer,
            ),
            (
                TYPE,
                AccessClaims {
                    audience: vec!["other".to_owned()],
                    ..claims()
                }
                .members(),
                TokenFault::Audience,
            ),
            (
                TYPE,
                AccessClaims {
                    expires_at: NOW,
                    ..claims()
                }
                .members(),
                TokenFault::Expired,
            ),
        ] {
            let token = key.sign_as(kind, Algorithm::ES256, &members).unwrap();
            assert_eq!(verify(&token, &set, &policy, NOW), Err(fault));
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (key, set) = key();
        let both = ["central".to_owned(), "b".to_owned()];
        let policy = policy("https://login.test", &both, Algorithm::ES256);
        for claims in [
            claims(),
            AccessClaims {
                audience: both.to_vec(),
                scopes: Vec::new(),
                roles: Vec::new(),
                customer: None,
                tenant: None,
                ..claims()
            },
        ] {
            let token = key.sign_as(TYPE, Algorithm::ES256, &claims.members()).unwrap();
            let verified = verify(&token, &set, &policy, NOW).unwrap();
            assert_eq!(AccessClaims::read(&verified), Ok(claims));
        }
    }

    #[test]
    fn a_token_without_what_ours_have_is_none_of_ours() {
        let verified = |members: Map<String, Value>| VerifiedClaims {
            members,
            subject: "s".to_owned(),
            expires: NOW,
            begins: None,
        };
        for (name, value) in [
            ("client_id", Value::Null),
            ("client_id", json!("a b")),
            ("jti", json!(7)),
            ("iat", json!("7")),
            ("family", json!("7")),
            ("roles", json!("admin")),
            ("roles", json!(["admin", 1])),
            ("scope", json!(["all"])),
            ("customer", json!("")),
            ("tenant", json!(1)),
        ] {
            let mut members = claims().members();
            members.insert(name.to_owned(), value.clone());
            assert_eq!(
                AccessClaims::read(&verified(members)),
                Err(TokenFault::Claim(name)),
                "{value}"
            );
        }
        for name in ["client_id", "jti", "iat", "family"] {
            let mut members = claims().members();
            members.remove(name);
            assert_eq!(
                AccessClaims::read(&verified(members)),
                Err(TokenFault::Claim(name))
            );
        }
    }
}
