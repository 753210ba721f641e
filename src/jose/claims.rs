//! The claims of a token that was verified, and where in them something stands.

use serde_json::{Map, Value};

use super::fault::TokenFault;
use crate::base::clock::UnixTime;

/// The claims of a token whose signature, times, issuer and audience are good.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedClaims {
    /// Everything that the token says.
    pub members: Map<String, Value>,
    /// `sub`; not empty.
    pub subject: String,
    /// `exp`: the token is good before this, leeway apart.
    pub expires: UnixTime,
    /// `nbf`: the token is good from here on, leeway apart.
    pub begins: Option<UnixTime>,
}

impl VerifiedClaims {
    /// The claim at `place`: a top-level name, or a JSON Pointer (RFC 6901) if it begins with `/`. `null` counts as
    /// absent.
    pub fn at(&self, place: &str) -> Option<&Value> {
        let found = if place.starts_with('/') {
            pointer(&self.members, place)
        } else {
            self.members.get(place)
        };
        found.filter(|value| !value.is_null())
    }
}

fn pointer<'c>(members: &'c Map<String, Value>, place: &str) -> Option<&'c Value> {
    let mut steps = place
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    let mut value = members.get(&steps.next()?)?;
    for step in steps {
        value = match value {
            Value::Object(members) => members.get(&step)?,
            // RFC 6901 section 4: an index has no leading zero.
            Value::Array(elements) if step == "0" || !step.starts_with(['0', '+', '-']) => {
                elements.get(step.parse::<usize>().ok()?)?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return None;
            }
        };
    }
    Some(value)
}

/// A required text claim.
pub(super) fn text<'c>(members: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, TokenFault> {
    match members.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) | None => Err(TokenFault::Claim(name)),
    }
}

/// A NumericDate (RFC 7519 section 2): a JSON number, which need not be whole; whatever else stands there is refused.
///
/// A number as text counted as absent in one well-known library (CVE-2026-25537), which made tokens without end of
/// tokens with a strange one.
pub fn date(members: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, TokenFault> {
    // 2^53: whole numbers are exact up to here, and no date needs more.
    const BOUND: f64 = 9_007_199_254_740_992.0;
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let number = value.as_number().ok_or(TokenFault::Claim(name))?;
    if let Some(seconds) = number.as_i64() {
        return Ok(Some(UnixTime(seconds)));
    }
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by 2^53 in the guard")]
        Some(seconds) if seconds.abs() <= BOUND => Ok(Some(UnixTime(seconds.floor() as i64))),
        Some(_) | None => Err(TokenFault::Claim(name)),
    }
}

/// `aud` (RFC 7519 section 4.1.3): one text or an array of texts.
pub fn audience_has(members: &Map<String, Value>, wanted: &[String]) -> Result<bool, TokenFault> {
    let is_wanted = |text: &str| wanted.iter().any(|one| one == text);
    match members.get("aud") {
        Some(Value::String(text)) => Ok(is_wanted(text)),
        Some(Value::Array(elements)) => {
            let mut found = false;
            for element in elements {
                found |= is_wanted(element.as_str().ok_or(TokenFault::Claim("aud"))?);
            }
            Ok(found)
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Err(TokenFault::Claim("aud"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_claim_is_found_by_name_or_by_pointer() {
        let claims = VerifiedClaims {
            members: members(json!({
                "a": 1, "b/c": 2, "n": null, "d": {"e~f": [10, {"g": 3}], "": 4}, "/h": 5,
            })),
            subject: "s".to_owned(),
            expires: UnixTime(0),
            begins: None,
        };
        for (place, found) in [
            ("a", Some(json!(1))),
            ("/a", Some(json!(1))),
            ("b/c", Some(json!(2))),
            ("/b~1c", Some(json!(2))),
            ("/d/e~0f/1/g", Some(json!(3))),
            ("/d/", Some(json!(4))),
            ("n", None),
            ("/d/e~0f/01", None),
            ("/d/e~0f/-", None),
            ("/d/e~0f/+1", None),
            ("/d/e~0f/2", None),
            ("/a/b", None),
            ("/", None),
            ("x", None),
        ] {
            assert_eq!(claims.at(place), found.as_ref(), "{place}");
        }
    }

    #[test]
    fn a_date_is_a_number_and_nothing_else() {
        for (value, wanted) in [
            (json!(5), Some(5)),
            (json!(-5), Some(-5)),
            (json!(5.9), Some(5)),
            (json!(1e3), Some(1000)),
            (json!("5"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([5]), None),
            (json!({"a": 5}), None),
            (json!(1e300), None),
            (json!(u64::MAX), None),
        ] {
            let read = date(&members(json!({"exp": value.clone()})), "exp");
            match wanted {
                Some(seconds) => assert_eq!(read, Ok(Some(UnixTime(seconds))), "{value}"),
                None => assert_eq!(read, Err(TokenFault::Claim("exp")), "{value}"),
            }
        }
        assert_eq!(date(&members(json!({})), "exp"), Ok(None));
    }
}
