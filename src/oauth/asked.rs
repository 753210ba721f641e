//! What an endpoint of our own is told of a request, and how it reads the body.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use crate::auth::access::Permit;
use crate::base::clock::UnixTime;
use crate::http::body::Body;
use crate::http::origin::Scheme;
use crate::jose::strict_json;
use crate::rejection::{BadRequest, Rejection};

/// A request as an endpoint sees it.
#[derive(Debug)]
pub struct Asked<'r> {
    /// The method.
    pub method: &'r Method,
    /// The header.
    pub headers: &'r HeaderMap,
    /// The query, byte for byte, without its `?`.
    pub query: Option<&'r str>,
    /// What the route's path captured as `{tenant}`.
    pub tenant: Option<&'r str>,
    /// What it captured as `{id}` or `{uuid}`.
    pub named: Option<&'r str>,
    /// The path, in normal form.
    pub path: &'r str,
    /// The host, and the port, as the client named them.
    pub authority: &'r str,
    /// What the client speaks, here or with a trusted proxy.
    pub scheme: Scheme,
    /// Who asks, and what it may do.
    pub permit: &'r Permit,
    /// When.
    pub now: UnixTime,
}

/// Is the media type of the body `application/json`? In any letter case, with or without parameters; one line only.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let media = line.as_bytes().split(|byte| *byte == b';').next();
    media.is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// The whole body, of at most `most` bytes.
///
/// # Errors
/// [`Rejection::BodyTooLarge`], before more is read; [`Rejection::RequestTimeout`] and [`BadRequest::Body`] for one that
/// stops.
pub async fn whole(mut body: Body, most: u64) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::BodyTooLarge { limit: most };
    if body.declared().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers say nothing to an endpoint.
        let Ok(data) = frame?.into_data() else { continue };
        if read.len() as u64 + data.len() as u64 > most {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// The members of a JSON body. A member that is there twice is refused at any depth.
///
/// # Errors
/// [`BadRequest::Parameters`] for anything that is no JSON object, or not said to be one.
pub fn members(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Rejection> {
    if !is_json(headers) {
        return Err(Rejection::BadRequest(BadRequest::Parameters));
    }
    strict_json::object(body).map_err(|_| Rejection::BadRequest(BadRequest::Parameters))
}

/// The text at a JSON Pointer (RFC 6901), given as its decoded steps; `None` where there is nothing or `null`.
///
/// # Errors
/// [`BadRequest::Parameters`] for anything that is no text.
pub fn text_at<'m>(
    members: &'m Map<String, Value>,
    pointer: &[String],
) -> Result<Option<&'m str>, Rejection> {
    let Some((first, steps)) = pointer.split_first() else {
        return Err(Rejection::BadRequest(BadRequest::Parameters));
    };
    let mut value = members.get(first);
    for step in steps {
        value = value.and_then(|value| match value {
            Value::Object(members) => members.get(step),
            Value::Array(elements) => step.parse().ok().and_then(|index: usize| elements.get(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        });
    }
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Rejection::BadRequest(BadRequest::Parameters))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(media: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(media).unwrap())])
    }

    #[test]
    fn json_is_what_says_that_it_is() {
        for media in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(is_json(&said(media)), "{media}");
        }
        for media in [
            "text/plain",
            "application/json5",
            "text/plain; application/json",
            "",
        ] {
            assert!(!is_json(&said(media)), "{media}");
        }
        assert!(!is_json(&HeaderMap::new()));
        let mut twice = said("application/json");
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(!is_json(&twice));
    }

    #[test]
    fn a_pointer_finds_text_and_refuses_what_is_none() {
        let body = br#"{"a":{"b":["x","y"],"n":1,"z":null},"t":"top"}"#;
        let members = members(&said("application/json"), body).unwrap();
        let at = |steps: &[&str]| {
            let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
            text_at(&members, &steps).map_err(|_| ())
        };
        assert_eq!(at(&["t"]), Ok(Some("top")));
        assert_eq!(at(&["a", "b", "1"]), Ok(Some("y")));
        assert_eq!(at(&["a", "b", "2"]), Ok(None));
        assert_eq!(at(&["a", "z"]), Ok(None));
        assert_eq!(at(&["t", "deeper"]), Ok(None));
        assert_eq!(at(&["a", "n"]), Err(()));
        assert_eq!(at(&["a"]), Err(()));
    }

    #[test]
    fn a_member_named_twice_is_refused() {
        for body in [
            r#"{"a":"1","a":"1"}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            "[]",
            "{} {}",
            "",
        ] {
            assert!(
                members(&said("application/json"), body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        assert_eq!(whole(Body::full("12345"), 5).await.unwrap(), "12345");
        assert!(matches!(
            whole(Body::full("123456"), 5).await,
            Err(Rejection::BodyTooLarge { limit: 5 })
        ));
    }
}
