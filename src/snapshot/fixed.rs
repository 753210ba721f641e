//! Answers from configuration.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::config::plan::FixedAnswer;

/// A route's fixed answer, compiled: its header is put together once and copied whole.
#[derive(Debug)]
pub struct Fixed {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Fixed {
    /// Compiles a plan's.
    pub fn new(plan: FixedAnswer) -> Fixed {
        let mut headers = HeaderMap::with_capacity(plan.headers.len() + 1);
        for (name, value) in plan.headers {
            headers.append(name, value);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(plan.body.len()));
        Fixed {
            status: plan.status,
            headers,
            body: plan.body,
        }
    }

    /// The answer.
    pub fn answer(&self) -> Response<Bytes> {
        let mut answer = Response::new(self.body.clone());
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers.clone();
        answer
    }
}
