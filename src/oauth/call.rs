//! A request to an endpoint of the token service, without a socket: what the pipeline found out, and the body.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt as _;

use crate::base::clock::UnixTime;
use crate::http::body::Body;
use crate::http::origin::Scheme;
use crate::rejection::Rejection;

/// Most bytes of a body that an endpoint reads: a token request has some hundred, a token some thousand.
pub const LARGEST_BODY: u64 = 64 << 10;

/// A request to an endpoint.
#[derive(Debug)]
pub struct Call<'r> {
    /// Its method.
    pub method: &'r Method,
    /// Its fields.
    pub headers: &'r HeaderMap,
    /// Its query, as it came and without the `?`.
    pub query: Option<&'r str>,
    /// The scheme that the client used, as far as it is known.
    pub scheme: Scheme,
    /// The host that the client asked for, with its port if that is not the scheme's own.
    pub authority: &'r str,
    /// What stands in the path in the place of `{tenant}`, if the route has one.
    pub tenant: Option<&'r str>,
    /// What it carries.
    pub body: Body,
    /// When it came.
    pub now: UnixTime,
}

/// Reads a body to its end, up to [`LARGEST_BODY`].
///
/// # Errors
/// [`Rejection::BodyTooLarge`]; what became of a body that ended early or did not go on.
pub async fn whole(mut body: Body) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::BodyTooLarge { limit: LARGEST_BODY };
    if body.declared().is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if (read.len() as u64).saturating_add(data.len() as u64) > LARGEST_BODY {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Refuses every method but `POST`.
pub(super) fn post_only(method: &Method) -> Result<(), Rejection> {
    only(method, &[Method::POST], HeaderValue::from_static("POST"))
}

/// Refuses every method but `GET` and `HEAD`.
pub(super) fn get_only(method: &Method) -> Result<(), Rejection> {
    only(
        method,
        &[Method::GET, Method::HEAD],
        HeaderValue::from_static("GET, HEAD"),
    )
}

fn only(method: &Method, allowed: &[Method], allow: HeaderValue) -> Result<(), Rejection> {
    if allowed.contains(method) {
        Ok(())
    } else {
        Err(Rejection::MethodNotAllowed { allow })
    }
}

/// Is the body what it seems to be? A compressed one is not unpacked here.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound_whether_it_says_its_length_or_not() {
        let largest = usize::try_from(LARGEST_BODY).unwrap();
        let full = |length: usize| Body::full(vec![b'a'; length]);
        let parts = |count: usize| {
            let parts = std::iter::repeat_n(
                Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'a'; 1024])),
                count,
            );
            let frames = parts.map(|part| part.map(Frame::data));
            Body::boxed(
                StreamBody::new(futures_util::stream::iter(frames))
                    .map_err(Into::into)
                    .boxed_unsync(),
            )
        };
        assert_eq!(whole(Body::empty()).await.unwrap(), "");
        assert_eq!(whole(full(largest)).await.unwrap().len(), largest);
        assert_eq!(whole(parts(64)).await.unwrap().len(), largest);
        for body in [full(largest + 1), parts(65)] {
            assert!(matches!(
                whole(body).await,
                Err(Rejection::BodyTooLarge { limit: LARGEST_BODY })
            ));
        }
    }
}
