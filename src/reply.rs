//! The answer on its way to the client: its body, and what must live as long as it.
//!
//! When the last byte went, or the client left first, the record is closed. What must happen at the end rides here,
//! because a client that goes away cancels everything else.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Response, Version};
use http_body::{Body, Frame, SizeHint};

use crate::http::body::Fate;
use crate::rejection::Rejection;
use crate::snapshot::View;
use crate::telemetry::record::{Ending, Record};
use crate::trail::Trail;
use crate::upstream::{UpstreamBody, UpstreamBodyError};

/// What a stage answered.
pub enum Answer {
    /// A backend's answer.
    Upstream(Response<UpstreamBody>),
    /// An answer from configuration.
    Whole(Response<Bytes>),
}

/// The body of every answer.
pub struct Reply {
    content: Content,
    record: Option<Record>,
    fate: Option<Fate>,
}

enum Content {
    Nothing,
    Whole(Bytes),
    Upstream(UpstreamBody),
}

impl Reply {
    /// Makes the answer that the client gets: the stage's, or the refusal in the look of its api.
    pub fn seal(view: &View, outcome: Result<Answer, Rejection>, mut trail: Trail) -> Response<Reply> {
        let (parts, content) = match outcome {
            Ok(Answer::Upstream(answer)) => {
                let (parts, body) = answer.into_parts();
                (parts, Content::Upstream(body))
            }
            Ok(Answer::Whole(answer)) => {
                let (parts, body) = answer.into_parts();
                (parts, Content::whole(body))
            }
            Err(rejection) => {
                trail.refused(&rejection);
                let (mut parts, body) = view.refuse(&rejection, trail.api, trail.id()).into_parts();
                parts
                    .headers
                    .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                if rejection.close() {
                    parts
                        .headers
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                (parts, Content::whole(body))
            }
        };
        trail.name();
        trail.record.answering(parts.status);
        let mut response = Response::from_parts(
            parts,
            Reply {
                content,
                record: Some(trail.record),
                fate: trail.fate,
            },
        );
        // The version of the backend's answer says nothing of the client's connection.
        *response.version_mut() = Version::HTTP_11;
        response
    }
}

impl Reply {
    /// An answer of the server's own, without a record.
    pub fn whole(body: Bytes) -> Reply {
        Reply {
            content: Content::whole(body),
            record: None,
            fate: None,
        }
    }

    fn close(&mut self, ending: Ending) {
        if let Some(record) = &mut self.record {
            if let Some(fate) = &self.fate {
                record.request_bytes(fate.seen());
            }
            record.close(ending);
        }
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.sent(bytes as u64);
        }
    }
}

impl Content {
    fn whole(body: Bytes) -> Content {
        if body.is_empty() {
            Content::Nothing
        } else {
            Content::Whole(body)
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        let this = &mut *self;
        match &mut this.content {
            Content::Nothing => {
                this.close(Ending::Whole);
                Poll::Ready(None)
            }
            Content::Whole(body) => {
                let body = std::mem::take(body);
                this.sent(body.len());
                this.content = Content::Nothing;
                Poll::Ready(Some(Ok(Frame::data(body))))
            }
            Content::Upstream(body) => {
                let polled = std::task::ready!(Pin::new(body).poll_frame(context));
                match &polled {
                    Some(Ok(frame)) => {
                        if let Some(data) = frame.data_ref() {
                            this.sent(data.len());
                        }
                    }
                    Some(Err(_)) => this.close(Ending::UpstreamCut),
                    None => this.close(Ending::Whole),
                }
                Poll::Ready(polled)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Nothing => true,
            Content::Whole(_) => false,
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Nothing => SizeHint::with_exact(0),
            Content::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // The server does not ask again after the last byte of a body whose length it knows, and not at all for HEAD.
        if self.is_end_stream() || matches!(self.content, Content::Whole(_)) {
            self.close(Ending::Whole);
        }
    }
}
