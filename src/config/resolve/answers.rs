//! Answers of the gateway's own endpoints: a status, fields, and JSON with words that are replaced.

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::backends::{field_name, field_value};
use super::scope::Scope;
use crate::base::json_template::JsonTemplate;
use crate::config::plan::{
    AnswerPlan, CodeField, EnrolField, EnrolmentField, MintField, NoField, NodeField, SignInField,
    SignUrlField, TokenField,
};
use crate::config::raw::RawOwnAnswer;
use crate::config::read::At;
use crate::config::suggest;

/// What an answer may name, and what it is without the file saying anything.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// The words.
    const KNOWN: &'static [(&'static str, Self)];
    /// The standard body.
    const STANDARD: &'static str;
}

impl Words for SignInField {
    const KNOWN: &'static [(&'static str, SignInField)] = &[
        ("token", SignInField::Token),
        ("token_type", SignInField::TokenType),
        ("expires_in", SignInField::ExpiresIn),
        ("expires_at", SignInField::ExpiresAt),
        ("user", SignInField::User),
        ("csrf", SignInField::Csrf),
    ];
    // What there is none of is left out.
    const STANDARD: &'static str = r#"{"access_token":"{token}","token_type":"{token_type}","expires_in":"{expires_in}","user":"{user}"}"#;
}

impl Words for EnrolmentField {
    const KNOWN: &'static [(&'static str, EnrolmentField)] = &[
        ("id", EnrolmentField::Id),
        ("token", EnrolmentField::Token),
        ("in_use", EnrolmentField::InUse),
        ("metadata", EnrolmentField::Metadata),
        ("expiry_time", EnrolmentField::ExpiryTime),
        ("expires_at", EnrolmentField::ExpiresAt),
        ("last_modified", EnrolmentField::LastModified),
        ("node", EnrolmentField::Node),
        ("url", EnrolmentField::Url),
    ];
    const STANDARD: &'static str = r#"{"id":"{id}","token":"{token}","in_use":"{in_use}","expires_at":"{expires_at}","metadata":"{metadata}","node":"{node}"}"#;
}

impl Words for EnrolField {
    const KNOWN: &'static [(&'static str, EnrolField)] = &[
        ("uuid", EnrolField::Uuid),
        ("asset_id", EnrolField::Asset),
        ("client_id", EnrolField::ClientId),
        ("client_secret", EnrolField::ClientSecret),
        ("access_token", EnrolField::AccessToken),
        ("token_type", EnrolField::TokenType),
        ("expires_in", EnrolField::ExpiresIn),
    ];
    const STANDARD: &'static str = r#"{"uuid":"{uuid}","asset_id":"{asset_id}","client_id":"{client_id}","client_secret":"{client_secret}","access_token":"{access_token}","token_type":"{token_type}","expires_in":"{expires_in}"}"#;
}

impl Words for NodeField {
    const KNOWN: &'static [(&'static str, NodeField)] = &[
        ("uuid", NodeField::Uuid),
        ("asset_id", NodeField::Asset),
        ("status", NodeField::Status),
        ("metadata", NodeField::Metadata),
        ("joined_at", NodeField::JoinedAt),
        ("last_seen", NodeField::LastSeen),
    ];
    const STANDARD: &'static str = r#"{"uuid":"{uuid}","status":"{status}","asset_id":"{asset_id}","joined_at":"{joined_at}","last_seen":"{last_seen}","metadata":"{metadata}"}"#;
}

impl Words for SignUrlField {
    const KNOWN: &'static [(&'static str, SignUrlField)] = &[
        ("url", SignUrlField::Url),
        ("path", SignUrlField::Path),
        ("method", SignUrlField::Method),
        ("expires_in", SignUrlField::ExpiresIn),
        ("expires_at", SignUrlField::ExpiresAt),
    ];
    const STANDARD: &'static str =
        r#"{"url":"{url}","method":"{method}","expires_in":"{expires_in}","expires_at":"{expires_at}"}"#;
}

impl Words for CodeField {
    const KNOWN: &'static [(&'static str, CodeField)] = &[
        ("code", CodeField::Code),
        ("expires_in", CodeField::ExpiresIn),
        ("state", CodeField::State),
        ("iss", CodeField::Iss),
    ];
    const STANDARD: &'static str = r#"{"code":"{code}","state":"{state}","iss":"{iss}"}"#;
}

impl Words for MintField {
    const KNOWN: &'static [(&'static str, MintField)] = &[
        ("client_id", MintField::ClientId),
        ("client_secret", MintField::ClientSecret),
        ("customer", MintField::Customer),
    ];
    const STANDARD: &'static str = r#"{"client_id":"{client_id}","client_secret":"{client_secret}"}"#;
}

impl Words for TokenField {
    const KNOWN: &'static [(&'static str, TokenField)] = &[
        ("access_token", TokenField::AccessToken),
        ("token_type", TokenField::TokenType),
        ("expires_in", TokenField::ExpiresIn),
        ("expires_at", TokenField::ExpiresAt),
        ("refresh_token", TokenField::RefreshToken),
        ("scope", TokenField::Scope),
        ("issued_token_type", TokenField::IssuedTokenType),
    ];
    // RFC 6749 section 5.1, RFC 8693 section 2.2.1.
    const STANDARD: &'static str = r#"{"access_token":"{access_token}","issued_token_type":"{issued_token_type}","token_type":"{token_type}","expires_in":"{expires_in}","refresh_token":"{refresh_token}","scope":"{scope}"}"#;
}

impl Words for NoField {
    const KNOWN: &'static [(&'static str, NoField)] = &[];
    const STANDARD: &'static str = "{}";
}

/// The answer as it is written, or the standard one. `needed` are the fields without which it tells nothing.
pub(super) fn resolve<F: Words>(
    at: Option<&At<RawOwnAnswer>>,
    needed: &[F],
    scope: &mut Scope<'_>,
) -> Option<AnswerPlan<F>> {
    let Some(at) = at else {
        return Some(AnswerPlan {
            status: StatusCode::OK,
            headers: Vec::new(),
            json: standard()?,
        });
    };
    let raw = &at.value;
    // RFC 9110 sections 15.3.5 and 15.3.6.
    if matches!(raw.status.value, 204 | 205) {
        scope.error(
            "contradiction",
            raw.status.mark,
            format!(
                "an answer with status {} has no body, and this one is JSON",
                raw.status.value
            ),
            "write 200",
        );
    }
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in &raw.headers.0 {
        let Some(header) = field_name(name, scope) else {
            continue;
        };
        if matches!(header.as_str(), "content-type" | "cache-control" | "set-cookie") {
            scope.error(
                "bad-value",
                name.mark,
                format!("`{}` is set by the gateway", name.value),
                "remove it",
            );
        } else if let Some(value) = field_value(value, scope) {
            headers.push((header, value));
        }
    }
    let json = match &raw.json {
        None => standard()?,
        Some(json) => template(json, &json.value.0, needed, scope)?,
    };
    Some(AnswerPlan {
        status: StatusCode::from_u16(raw.status.value).unwrap_or(StatusCode::OK),
        headers,
        json,
    })
}

fn standard<F: Words>() -> Option<JsonTemplate<F>> {
    let value: Value = serde_json::from_str(F::STANDARD).ok()?;
    JsonTemplate::compile(&value, F::KNOWN).ok()
}

fn template<F: Words, T>(
    at: &At<T>,
    text: &str,
    needed: &[F],
    scope: &mut Scope<'_>,
) -> Option<JsonTemplate<F>> {
    // The check made the text of a tree, so it is JSON.
    let value: Value = serde_json::from_str(text).ok()?;
    let words = || F::KNOWN.iter().map(|(word, _)| *word);
    let template = match JsonTemplate::compile(&value, F::KNOWN) {
        Ok(template) => template,
        Err(unknown) => {
            let message = format!(
                "nothing is put in place of `{{{}}}` at `{}`{}",
                unknown.word,
                unknown.pointer,
                suggest::did_you_mean(&unknown.word, words())
            );
            let hint = if F::KNOWN.is_empty() {
                "this answer has nothing to tell".to_owned()
            } else {
                format!("there are {}", suggest::list(words()))
            };
            scope.error("unknown-placeholder", at.mark, message, hint);
            return None;
        }
    };
    let told = template.fields();
    for (word, field) in F::KNOWN {
        if needed.contains(field) && !told.contains(field) {
            scope.error(
                "missing-placeholder",
                at.mark,
                format!("the answer does not tell `{{{word}}}`, which nobody can get otherwise"),
                format!("add `NAME: \"{{{word}}}\"`"),
            );
        }
    }
    Some(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_answer_compiles() {
        assert!(standard::<SignInField>().is_some());
        assert!(standard::<CodeField>().is_some());
        assert!(standard::<MintField>().is_some());
        assert!(standard::<TokenField>().is_some());
        assert!(standard::<NoField>().is_some());
    }
}
