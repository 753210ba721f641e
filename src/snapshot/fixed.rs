//! Answers from configuration.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response};

use crate::config::plan::FixedAnswer;

/// A route's fixed answer, compiled.
#[derive(Debug)]
pub struct Fixed(FixedAnswer);

impl Fixed {
    /// Compiles a plan's.
    pub fn new(plan: FixedAnswer) -> Fixed {
        Fixed(plan)
    }

    /// The answer.
    pub fn answer(&self) -> Response<Bytes> {
        let mut answer = Response::new(self.0.body.clone());
        *answer.status_mut() = self.0.status;
        for (name, value) in &self.0.headers {
            answer.headers_mut().append(name, value.clone());
        }
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(self.0.body.len()));
        answer
    }
}
