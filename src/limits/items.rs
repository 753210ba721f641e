//! Item caps: at most so many items in one call. What is above is refused, never cut down to the cap: a
//! client that pages through a list by 100 and gets 50 would skip every second page, and never notice.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::json::{Counter, Fault};
use crate::config::plan::{ItemCapPlan, ItemCount};
use crate::http::body::Body;
use crate::http::query;
use crate::rejection::{BadRequest, Rejection};

/// The cap of one route.
#[derive(Debug, Clone)]
pub struct ItemCap {
    max: u64,
    count: ItemCount,
    hold: u64,
    within: Duration,
}

impl ItemCap {
    /// Most of a body that is held while it is counted, in bytes, unless said otherwise: 1 MiB.
    pub const HOLD: u64 = 1 << 20;

    /// The cap that `plan` describes. A body that is counted is held until the count is known: at most `hold` bytes of it,
    /// and at most for the time `within`.
    pub fn new(plan: &ItemCapPlan, hold: u64, within: Duration) -> ItemCap {
        ItemCap {
            max: plan.max,
            count: plan.count.clone(),
            hold,
            within,
        }
    }

    /// Checks every value of the counted parameter in the query, however often it occurs. Without it, and
    /// without a query, the call passes: then the service's own default holds.
    ///
    /// # Errors
    /// [`Rejection::ItemCapExceeded`] if one value is above the cap; [`BadRequest::ItemsQuery`] if one is not
    /// a whole number in ASCII digits (no sign, no space, not empty, below 2^64).
    pub fn check_query(&self, query: Option<&str>) -> Result<(), Rejection> {
        let (ItemCount::Query(name), Some(query)) = (&self.count, query) else {
            return Ok(());
        };
        for value in query::values(query, name) {
            let found = whole_number(&value).ok_or(Rejection::BadRequest(BadRequest::ItemsQuery))?;
            if found > self.max {
                return Err(Rejection::ItemCapExceeded { found, max: self.max });
            }
        }
        Ok(())
    }

    /// Reads `body` to its end, if this cap counts bodies, and counts while it arrives; gives back a body
    /// with the same bytes. Stops reading at the first element too many. An empty body passes, and so does
    /// JSON without anything at that place.
    ///
    /// Trailers of a body that was counted are dropped (RFC 9110 section 6.5.1 allows that).
    ///
    /// # Errors
    /// [`Rejection::ItemCapExceeded`]; [`BadRequest::ItemsBody`] if the body is not strict JSON, has
    /// something other than an array at that place, could be read in two ways, or is compressed, so that it
    /// cannot be counted; [`Rejection::BodyTooLarge`] if it is larger than what may be held;
    /// [`Rejection::RequestTimeout`] if it is not there in time; and what the client's body failed with.
    pub async fn check_body(&self, headers: &HeaderMap, body: Body) -> Result<Body, Rejection> {
        let ItemCount::Body(pointer) = &self.count else {
            return Ok(body);
        };
        if body.is_empty_now() {
            return Ok(body);
        }
        let too_large = Rejection::BodyTooLarge { limit: self.hold };
        if http_body::Body::size_hint(&body).lower() > self.hold {
            return Err(too_large);
        }
        if !is_plain(headers) {
            return Err(Rejection::BadRequest(BadRequest::ItemsBody));
        }
        let (counter, held) = self.read(pointer, body.due_within(self.within)).await?;
        if held.is_empty() {
            return Ok(Body::empty());
        }
        counter.finish().map_err(|fault| self.refusal(fault))?;
        Ok(Body::full(held))
    }

    async fn read<'p>(
        &self,
        pointer: &'p [String],
        mut body: Body,
    ) -> Result<(Counter<'p>, Bytes), Rejection> {
        let mut counter = Counter::new(pointer, self.max);
        let mut held = Held::Nothing;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if held.len().saturating_add(data.len()) as u64 > self.hold {
                return Err(Rejection::BodyTooLarge { limit: self.hold });
            }
            counter.feed(&data).map_err(|fault| self.refusal(fault))?;
            held.add(data);
        }
        Ok((counter, held.into_bytes()))
    }

    fn refusal(&self, fault: Fault) -> Rejection {
        match fault {
            Fault::Malformed => Rejection::BadRequest(BadRequest::ItemsBody),
            Fault::TooMany => Rejection::ItemCapExceeded {
                found: self.max.saturating_add(1),
                max: self.max,
            },
        }
    }
}

/// What was read of a body. One chunk, the common case, is not copied; more are joined, so that the body can
/// be sent again.
enum Held {
    Nothing,
    One(Bytes),
    Joined(BytesMut),
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Held::Nothing => 0,
            Held::One(bytes) => bytes.len(),
            Held::Joined(bytes) => bytes.len(),
        }
    }

    fn add(&mut self, data: Bytes) {
        *self = match std::mem::replace(self, Held::Nothing) {
            Held::Nothing => Held::One(data),
            Held::One(first) => {
                let mut joined = BytesMut::with_capacity((first.len() + data.len()).saturating_mul(2));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                Held::Joined(joined)
            }
            Held::Joined(mut joined) => {
                joined.extend_from_slice(&data);
                Held::Joined(joined)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Held::Nothing => Bytes::new(),
            Held::One(bytes) => bytes,
            Held::Joined(bytes) => bytes.freeze(),
        }
    }
}

/// Digits only: what `parse` takes besides (a plus sign), other readers may take otherwise.
fn whole_number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// No content coding, or the one that changes nothing (RFC 9110 section 8.4.1).
fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().all(|line| {
        line.as_bytes().split(|byte| *byte == b',').all(|coding| {
            coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity")
        })
    })
}
