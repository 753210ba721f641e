//! How refusals look on the wire: data, rendered at load.
//!
//! A table with one row per [`Code`]. What HTTP itself asks for is added to every look, also to one from a dialect:
//! `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3), `Allow`, `Retry-After`, `Location`, and the
//! rate-limit fields. Rows whose text does not depend on the request are bytes that are shared, not written again.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::template::Template;
use super::{Code, Rejection, Retry};
use crate::base::template::Escape;
use crate::http::number;

pub use super::template::BadTemplate;

/// How one refusal looks. Templates may name `{code}`, `{title}`, `{detail}`, `{status}`, `{request_id}`,
/// `{retry_after}`, `{limit}`, `{host}`, `{scope}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Status.
    pub status: StatusCode,
    /// Fields; each value is a template.
    pub headers: Vec<(HeaderName, String)>,
    /// Content type; `None` with an empty body.
    pub content_type: Option<HeaderValue>,
    /// A template; values are escaped for JSON or markup where the content type says so.
    pub body: String,
}

/// Why a look cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLook {
    /// A template that cannot be used.
    #[error("{place} of `{code}`: {why}")]
    Template {
        /// Which refusal.
        code: &'static str,
        /// `body`, or a field's name.
        place: String,
        /// Why.
        why: BadTemplate,
    },
    /// The content type says JSON and the body is none.
    #[error("the body of `{code}` is not JSON: {why}")]
    NotJson {
        /// Which refusal.
        code: &'static str,
        /// What the JSON parser says.
        why: String,
    },
    /// The value of a field has characters that no field may have (RFC 9110 section 5.5).
    #[error("the value of `{name}` of `{code}` cannot be a header field's")]
    Value {
        /// Which refusal.
        code: &'static str,
        /// Which field.
        name: String,
    },
    /// A field that the gateway writes itself.
    #[error("`{name}` cannot be set for `{code}`: the gateway writes it")]
    Framing {
        /// Which refusal.
        code: &'static str,
        /// Which field.
        name: String,
    },
    /// A status that is no final answer, or cannot have a body although there is one.
    #[error("a refusal cannot have the status {status} (`{code}`)")]
    Status {
        /// Which refusal.
        code: &'static str,
        /// The status.
        status: u16,
    },
}

/// The schemes that the challenge of a 401 names (RFC 9110 section 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// Bearer tokens.
    Bearer,
    /// Name and password too. Browsers ask their user for both when they see it, so it is not for apis with sessions.
    BearerAndBasic {
        /// What the client is told that they are for.
        realm: crate::identity::ApiName,
    },
}

/// All looks of one dialect.
#[derive(Debug, Clone)]
pub struct Looks {
    /// Indexed by [`Code`].
    rows: Box<[Row]>,
}

#[derive(Debug, Clone)]
struct Row {
    status: StatusCode,
    /// What is the same each time.
    fixed: HeaderMap,
    /// What is not.
    written: Vec<(HeaderName, Template)>,
    body: RowBody,
    wait: Wait,
}

/// Does the answer say when to come back?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Told,
    /// Then it would differ from the answer that it is to look like.
    Kept,
}

#[derive(Debug, Clone)]
enum RowBody {
    Fixed(Bytes),
    Written(Template),
}

/// The body of the standard look: problem details (RFC 9457), with the code as an extension member.
const STANDARD_BODY: &str = "{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\
     \"detail\":\"{detail}\",\"code\":\"{code}\",\"instance\":\"{request_id}\"}\n";

/// Fields that an answer may get beside its row's: of limits up to four, `Retry-After`, and those that the gateway adds to
/// every answer.
const ADDED: usize = 8;

impl Looks {
    /// The standard looks, with `rows` in place of their own.
    ///
    /// # Errors
    /// The first [`BadLook`].
    pub fn compile(rows: &[(Code, Look)]) -> Result<Looks, BadLook> {
        Looks::offering(rows, &Offered::Bearer)
    }

    /// The same, where a 401 offers these ways to authenticate.
    ///
    /// # Errors
    /// The first [`BadLook`].
    pub fn offering(rows: &[(Code, Look)], offered: &Offered) -> Result<Looks, BadLook> {
        let own = |code: Code| rows.iter().rev().find(|(named, _)| *named == code);
        let row = |code: Code| match own(code) {
            Some((_, look)) => Row::compile(code, look, offered),
            None => Row::compile(code, &standard(code), offered),
        };
        let compiled = Code::ALL.iter().map(|code| match code {
            // Who guesses passwords is not told which of the guesses were looked at, unless a dialect says so.
            Code::LockedOut if own(Code::LockedOut).is_none() => Ok(Row {
                wait: Wait::Kept,
                ..row(Code::SignInFailed)?
            }),
            other => row(*other),
        });
        Ok(Looks {
            rows: compiled.collect::<Result<_, _>>()?,
        })
    }

    /// RFC 9457 problem JSON for every refusal.
    pub fn standard() -> Looks {
        // The standard looks compile: a test says so. A refusal without a row is an empty answer with its status.
        Looks::compile(&[]).unwrap_or_else(|_| Looks { rows: Box::default() })
    }

    /// The answer for one refusal. `request_id` must be text that needs no escaping in a header field.
    pub fn render(&self, rejection: &Rejection, request_id: &str) -> Response<Bytes> {
        let code = rejection.code();
        let mut response = Response::default();
        *response.status_mut() = code.status();
        let mut wait = Wait::Told;
        if let Some(row) = self.rows.get(code as usize) {
            wait = row.wait;
            *response.status_mut() = row.status;
            // Room at once for what is added below: a map that is cloned has none, and would grow twice.
            let mut headers = HeaderMap::with_capacity(row.fixed.len() + row.written.len() + ADDED);
            for (name, value) in &row.fixed {
                headers.append(name, value.clone());
            }
            for (name, template) in &row.written {
                if let Ok(value) = HeaderValue::try_from(template.render(rejection, request_id)) {
                    headers.append(name, value);
                }
            }
            *response.headers_mut() = headers;
            *response.body_mut() = match &row.body {
                RowBody::Fixed(bytes) => bytes.clone(),
                RowBody::Written(template) => Bytes::from(template.render(rejection, request_id)),
            };
        }
        if let (Retry::After(seconds), Wait::Told) = (rejection.retry(), wait)
            && !response.headers().contains_key(RETRY_AFTER)
        {
            response.headers_mut().insert(RETRY_AFTER, number::value(seconds));
        }
        add_own_fields(rejection, &mut response);
        response
    }
}

/// What only this very refusal knows.
fn add_own_fields(rejection: &Rejection, response: &mut Response<Bytes>) {
    match rejection {
        // > The origin server MUST generate an Allow header field in a 405 response (RFC 9110 section 15.5.6)
        Rejection::MethodNotAllowed { allow } => {
            response.headers_mut().insert(ALLOW, allow.clone());
        }
        Rejection::SignInNeeded { location } => {
            response.headers_mut().insert(LOCATION, location.clone());
        }
        Rejection::RateLimited(limited) => {
            for (name, value) in &limited.fields {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Rejection::WrongRegion(region) => {
            if let Some(location) = &region.redirect {
                // 308 keeps the method and the body (RFC 9110 section 15.4.9). There is nothing to read in it.
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, location.clone());
                response.headers_mut().remove(CONTENT_TYPE);
                *response.body_mut() = Bytes::new();
            }
        }
        _ => {}
    }
}

/// The standard look of a refusal. `no-store`: 404, 405, 410, 414 and 501 may otherwise be kept by caches (RFC 9110
/// section 15.1) and outlive what caused them.
fn standard(code: Code) -> Look {
    Look {
        status: code.status(),
        headers: vec![(CACHE_CONTROL, "no-store".to_owned())],
        content_type: Some(HeaderValue::from_static("application/problem+json")),
        body: STANDARD_BODY.to_owned(),
    }
}

/// The challenge of a refusal (RFC 6750 section 3). `None` where none belongs.
///
/// > If the request lacks any authentication information [...], the resource server SHOULD NOT include an error code
fn challenge(code: Code, status: StatusCode) -> Option<&'static str> {
    match (code, status) {
        (Code::CredentialsInvalid, StatusCode::UNAUTHORIZED) => {
            Some("Bearer error=\"invalid_token\", error_description=\"The token is not valid\"")
        }
        (Code::TokenExpired, StatusCode::UNAUTHORIZED) => {
            Some("Bearer error=\"invalid_token\", error_description=\"The token has expired\"")
        }
        (Code::ScopeMissing, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Some("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        (Code::RoleMissing, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Some("Bearer error=\"insufficient_scope\"")
        }
        // > A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header field containing at
        // > least one challenge (RFC 9110 section 11.6.1), whatever a dialect calls a 401.
        (_, StatusCode::UNAUTHORIZED) => Some("Bearer"),
        _ => None,
    }
}

impl Row {
    fn compile(code: Code, look: &Look, offered: &Offered) -> Result<Row, BadLook> {
        let name_of_code = code.as_str();
        let status = look.status;
        let has_no_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if status.is_informational() || (has_no_body && !look.body.is_empty()) {
            return Err(BadLook::Status {
                code: name_of_code,
                status: status.as_u16(),
            });
        }
        let mut row = Row {
            status,
            fixed: HeaderMap::new(),
            written: Vec::new(),
            body: body(code, look)?,
            wait: Wait::Told,
        };
        if let Some(content_type) = &look.content_type {
            row.fixed.insert(CONTENT_TYPE, content_type.clone());
        }
        for (name, text) in &look.headers {
            if is_written_by_the_gateway(name) {
                return Err(BadLook::Framing {
                    code: name_of_code,
                    name: name.to_string(),
                });
            }
            row.add(code, name, text)?;
        }
        let has_challenge = look.headers.iter().any(|(name, _)| name == WWW_AUTHENTICATE);
        if let Some(text) = challenge(code, status).filter(|_| !has_challenge) {
            row.add(code, &WWW_AUTHENTICATE, text)?;
            match offered {
                Offered::BearerAndBasic { realm } if status == StatusCode::UNAUTHORIZED => {
                    // A token, so there is nothing to escape (RFC 7617 section 2.1 for the charset).
                    let basic = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
                    row.add(code, &WWW_AUTHENTICATE, &basic)?;
                }
                Offered::BearerAndBasic { realm: _ } | Offered::Bearer => {}
            }
        }
        Ok(row)
    }

    fn add(&mut self, code: Code, name: &HeaderName, text: &str) -> Result<(), BadLook> {
        let template = compiled(code, self.status, name.as_str(), text, Escape::None)?;
        let sample = HeaderValue::try_from(template.sample()).map_err(|_| BadLook::Value {
            code: code.as_str(),
            name: name.to_string(),
        })?;
        if template.fixed().is_some() {
            self.fixed.append(name, sample);
        } else {
            self.written.push((name.clone(), template));
        }
        Ok(())
    }
}

fn compiled(
    code: Code,
    status: StatusCode,
    place: &str,
    text: &str,
    escape: Escape,
) -> Result<Template, BadLook> {
    Template::compile(text, code, status.as_u16(), escape).map_err(|why| BadLook::Template {
        code: code.as_str(),
        place: place.to_owned(),
        why,
    })
}

fn body(code: Code, look: &Look) -> Result<RowBody, BadLook> {
    let escape = escape_for(look.content_type.as_ref());
    let template = compiled(code, look.status, "body", &look.body, escape)?;
    if escape == Escape::Json && !look.body.is_empty() {
        serde_json::from_str::<serde::de::IgnoredAny>(&template.sample()).map_err(|why| {
            BadLook::NotJson {
                code: code.as_str(),
                why: why.to_string(),
            }
        })?;
    }
    Ok(match template.fixed() {
        Some(text) => RowBody::Fixed(Bytes::copy_from_slice(text.as_bytes())),
        None => RowBody::Written(template),
    })
}

/// Framing and connection fields, and the content type, which has its own place.
fn is_written_by_the_gateway(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "content-length"
            | "content-type"
            | "transfer-encoding"
            | "connection"
            | "trailer"
            | "upgrade"
            | "keep-alive"
            | "date"
    )
}

fn escape_for(content_type: Option<&HeaderValue>) -> Escape {
    let Some(text) = content_type.and_then(|value| value.to_str().ok()) else {
        return Escape::None;
    };
    let media = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if media == "application/json" || media == "text/json" || media.ends_with("+json") {
        Escape::Json
    } else if media == "text/html" || media.ends_with("/xml") || media.ends_with("+xml") {
        Escape::Markup
    } else {
        Escape::None
    }
}

#[cfg(test)]
#[path = "rendering_tests.rs"]
mod tests;
