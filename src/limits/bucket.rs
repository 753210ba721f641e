//! One token bucket: spend, give back, look, change the quota.
//!
//! A bucket's whole state is one word: the tick at which it will be full again (0, or a tick that has passed:
//! it is full now). What is missing from it until then, its *debt*, is what governor's arithmetic works on.
//! governor counts time from the moment a limiter was made, so a word stored by one limiter means something
//! else to the next; here it never sees a clock at all: it judges the debt at "now = 0", and `now` comes in
//! as an argument. So the word means the same under every quota and on both sides of a reload, nothing reads
//! a clock twice, and a test needs none.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota as Pace, RateLimiter};

use crate::base::clock::Tick;
use crate::base::units::Quota;

/// Longest time a bucket may take to fill from empty: 2^62 ns, 146 years. Sums of two such times fit a word.
const LONGEST_SPAN: u64 = 1 << 62;

/// The rule of one bucket: what a token costs in time, and how much it holds. Its state is elsewhere: the
/// word that every call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    pace: Pace,
    /// Nanoseconds until one token is back, at least 1.
    token: u64,
    /// Nanoseconds from empty to full, at most [`LONGEST_SPAN`].
    span: u64,
    burst: NonZeroU32,
}

/// What came of asking for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// They were there and are spent.
    Ok {
        /// Whole tokens that are left.
        remaining: u32,
    },
    /// They will be there after so much time, if nobody else spends. Nothing was spent.
    Wait(Duration),
    /// The bucket never holds that many. Not a matter of time, so not a 429. Nothing was spent.
    Never,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Whole tokens that could be spent now.
    pub remaining: u32,
    /// Until one more whole token is there; zero when the bucket is full.
    pub next_token: Duration,
    /// Until the bucket is full.
    pub full: Duration,
}

impl Bucket {
    /// The rule that `quota` describes.
    ///
    /// A token's time is cut to whole nanoseconds, so that a client that calls 7 times in each second under
    /// `7/s` is never refused; the true rate is higher by less than one part in 10^7 below 100 calls a
    /// second. More than 10^9 a second is 10^9 a second. A burst that would take longer than 146 years to
    /// come back is cut to that.
    pub fn new(quota: Quota) -> Bucket {
        let per = u64::try_from(quota.per.as_nanos()).unwrap_or(u64::MAX);
        let token = (per / u64::from(quota.tokens.get())).clamp(1, LONGEST_SPAN);
        let burst = u32::try_from(LONGEST_SPAN / token)
            .ok()
            .and_then(NonZeroU32::new)
            .map_or(quota.burst, |most| most.min(quota.burst));
        // `token` is at least 1, so a pace can always be made of it.
        let pace = Pace::with_period(Duration::from_nanos(token))
            .unwrap_or_else(|| Pace::per_second(quota.tokens))
            .allow_burst(burst);
        Bucket {
            pace,
            token,
            span: token.saturating_mul(u64::from(burst.get())),
            burst,
        }
    }

    /// Capacity in tokens.
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// Time from empty to full.
    pub fn span(&self) -> Duration {
        Duration::from_nanos(self.span)
    }

    /// Takes `count` tokens from the bucket whose state is `word`, all or none. Any number of threads may do
    /// so at once; no token is given out twice.
    pub fn spend(&self, word: &AtomicU64, count: NonZeroU32, now: Tick) -> Spend {
        // Asked here and not left to governor, whose product of tokens and time could overflow for a count
        // that large.
        if count > self.burst {
            return Spend::Never;
        }
        let debt = Debt {
            word,
            now: now.0,
            most: self.span,
        };
        let limiter = Limiter::new(self.pace, debt, Standstill);
        // One token is the common case, and cheaper.
        let answer = if count == NonZeroU32::MIN {
            Ok(limiter.check())
        } else {
            limiter.check_n(count)
        };
        match answer {
            Ok(Ok(state)) => Spend::Ok {
                remaining: state.remaining_burst_capacity(),
            },
            Ok(Err(not_until)) => Spend::Wait(not_until.wait_time_from(STANDSTILL)),
            Err(_) => Spend::Never,
        }
    }

    /// Gives back `count` tokens that were spent a moment ago: the bucket holds what it would hold without
    /// that spending, never more than its capacity.
    pub fn refund(&self, word: &AtomicU64, count: NonZeroU32) {
        let given = self.token.saturating_mul(u64::from(count.get()));
        // The closure never declines, so there is no error to see.
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            Some(held.saturating_sub(given))
        });
    }

    /// Looks without spending.
    pub fn peek(&self, word: &AtomicU64, now: Tick) -> Level {
        let debt = word.load(Ordering::Acquire).saturating_sub(now.0).min(self.span);
        let remaining = self.span.saturating_sub(debt) / self.token;
        let over = debt % self.token;
        let next = match (debt, over) {
            (0, _) => 0,
            (_, 0) => self.token,
            (_, over) => over,
        };
        Level {
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            next_token: Duration::from_nanos(next),
            full: Duration::from_nanos(debt),
        }
    }

    /// The span in a form that fits beside a slot's other words: an `f32`, never above the true span and
    /// within 12 parts in 10^8 of it. Two buckets with the same stamp need no [`Bucket::rescale`]: the same
    /// debt is the same fraction of both.
    pub(super) fn stamp(&self) -> u32 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the precision of an f32 is what a stamp promises"
        )]
        let nearest = self.span as f32;
        // Rounded down, so that a fraction of it comes out too large, never too small: that would be a
        // refill.
        let above = f64::from(nearest) > self.span as f64;
        nearest.to_bits() - u32::from(above)
    }

    /// Makes `word`, written under the rule with the stamp `from`, mean the same *fraction* of this bucket:
    /// half full stays half full, empty stays empty, whatever the two quotas are. Rounded against the
    /// customer, by a nanosecond.
    pub(super) fn rescale(&self, word: &AtomicU64, from: u32, now: Tick) {
        let from = f64::from(f32::from_bits(from));
        if !(from.is_finite() && from > 0.0) {
            return;
        }
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            let debt = held.checked_sub(now.0).filter(|debt| *debt > 0)?;
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a fraction between 0 and 1 of a span below 2^62"
            )]
            let scaled = ((debt as f64 / from).min(1.0) * self.span as f64).ceil() as u64;
            Some(now.0.saturating_add(scaled.min(self.span)))
        });
    }
}

/// governor around one word, for one call; it is two numbers and costs nothing to make.
type Limiter<'w> = RateLimiter<NotKeyed, Debt<'w>, Standstill, StateInformationMiddleware>;

/// governor's store: one word, seen as a debt relative to `now`.
struct Debt<'w> {
    word: &'w AtomicU64,
    now: u64,
    /// A debt above the capacity can only be left by a larger quota that a call in flight still used; it
    /// counts as "empty", so that a smaller quota is not punished for longer than its own span.
    most: u64,
}

impl StateStore for Debt<'_> {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut held = self.word.load(Ordering::Acquire);
        loop {
            let debt = held.saturating_sub(self.now).min(self.most);
            let (answer, owed) = judge(Some(Nanos::from(debt)))?;
            let next = self.now.saturating_add(owed.as_u64());
            match self
                .word
                .compare_exchange_weak(held, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(answer),
                Err(current) => held = current,
            }
        }
    }
}

/// The only moment there is in governor's frame.
const STANDSTILL: Nanos = Nanos::new(0);

/// governor's clock: it stands still, since the debt is already relative to now.
struct Standstill;

impl Clock for Standstill {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        STANDSTILL
    }
}
