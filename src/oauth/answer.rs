//! Answers of our own: JSON of an operator's template, never stored by anybody on the way.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, Response};

use crate::base::clock::UnixTime;
use crate::config::plan::AnswerPlan;

/// The answer of `plan` with this body.
///
/// > The authorization server MUST include the HTTP "Cache-Control" response header field with a value of "no-store" in any
/// > response containing tokens, credentials, or other sensitive information (RFC 6749 section 5.1)
pub fn answered<F>(plan: &AnswerPlan<F>, body: String) -> Response<Bytes> {
    let mut answer = json(body);
    *answer.status_mut() = plan.status;
    for (name, value) in &plan.headers {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}

/// A 200 with this JSON.
pub fn json(body: String) -> Response<Bytes> {
    let length = HeaderValue::from(body.len());
    let mut answer = Response::new(Bytes::from(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_LENGTH, length);
    answer
}

/// As RFC 3339 has it, in UTC: `2026-01-31T12:00:00Z`.
pub fn rfc3339(time: UnixTime) -> String {
    // Ends of tokens are within some years of now.
    jiff::Timestamp::from_second(time.0).map_or_else(|_| time.0.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(UnixTime(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(UnixTime(1_785_500_000)), "2026-07-31T12:13:20Z");
    }
}
