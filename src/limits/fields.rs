//! Rate-limit fields of an answer: `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers-11), and the names that were used before.
//!
//! In the draft's words a bucket is a quota `q` of its burst over a window `w` that is the time it takes to
//! fill: of `7/s` with burst 7 that is `q=7;w=1`. What is available (`r`) is then never more than `q`. The
//! effective window `t` is the time until one more token is there: "the number of seconds within which the
//! client can use no more than the available quota".

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::bucket::Bucket;
use super::limit::Rule;
use crate::config::plan::LegacyLimitHeaders;
use crate::http::number;
use crate::identity::LimitName;
use crate::rejection::RateLimited;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the fields of one limit look like.
#[derive(Debug)]
pub(super) struct Looks {
    name: LimitName,
    legacy: LegacyLimitHeaders,
}

/// What of the fields of one quota never changes.
#[derive(Debug)]
pub(super) struct Shown {
    /// `"name";q=7;w=1`
    policy: HeaderValue,
    /// `"name";r=0;t=1`: what nearly every refusal says.
    exhausted: HeaderValue,
    /// The burst.
    quota: HeaderValue,
}

/// How one limit stands after a call was let through.
#[derive(Debug)]
pub(super) struct Standing<'l> {
    pub(super) looks: &'l Looks,
    pub(super) shown: Shown,
    pub(super) remaining: u32,
    pub(super) next_token: Duration,
}

impl Clone for Shown {
    fn clone(&self) -> Shown {
        Shown {
            policy: self.policy.clone(),
            exhausted: self.exhausted.clone(),
            quota: self.quota.clone(),
        }
    }
}

impl Shown {
    pub(super) fn new(name: &LimitName, bucket: &Bucket) -> Shown {
        let mut policy = quoted(name);
        policy.extend_from_slice(b";q=");
        push_number(&mut policy, u64::from(bucket.burst()));
        policy.extend_from_slice(b";w=");
        push_number(&mut policy, whole_seconds(bucket.span()));
        Shown {
            policy: value(policy),
            exhausted: value(service_limit(name, 0, 1)),
            quota: HeaderValue::from(bucket.burst()),
        }
    }
}

impl Looks {
    pub(super) fn new(name: &LimitName, legacy: &LegacyLimitHeaders) -> Looks {
        Looks {
            name: name.clone(),
            legacy: legacy.clone(),
        }
    }

    /// The refusal of a bucket that has no token for another `wait`.
    pub(super) fn refused(&self, rule: &Rule, wait: Duration) -> Box<RateLimited> {
        let seconds = whole_seconds(wait);
        let mut fields = Vec::with_capacity(5);
        let current = if seconds == 1 {
            rule.shown.exhausted.clone()
        } else {
            value(service_limit(&self.name, 0, seconds))
        };
        fields.push((RATE_LIMIT.clone(), current));
        fields.push((RATE_LIMIT_POLICY.clone(), rule.shown.policy.clone()));
        self.push_legacy(&mut fields, &rule.shown, 0, seconds);
        Box::new(RateLimited {
            limit: self.name.clone(),
            tokens: rule.quota.tokens.get(),
            period_seconds: whole_seconds(rule.quota.per),
            retry_after_seconds: seconds,
            fields,
        })
    }

    fn push_legacy(
        &self,
        fields: &mut Vec<(HeaderName, HeaderValue)>,
        shown: &Shown,
        remaining: u32,
        seconds: u64,
    ) {
        if let Some(name) = &self.legacy.limit {
            fields.push((name.clone(), shown.quota.clone()));
        }
        if let Some(name) = &self.legacy.remaining {
            fields.push((name.clone(), number::value(u64::from(remaining))));
        }
        if let Some(name) = &self.legacy.reset {
            fields.push((name.clone(), number::value(seconds)));
        }
    }
}

/// The fields of an answer to a call that all of `standings` let through: one line for all limits, since it
/// is a list; the old names, which can say only one thing, speak of the limit that is nearest to refusing.
pub(super) fn accepted(standings: &[Standing<'_>]) -> Vec<(HeaderName, HeaderValue)> {
    let Some(nearest) = standings.iter().min_by_key(|standing| standing.remaining) else {
        return Vec::new();
    };
    let mut fields = Vec::with_capacity(5);
    let (mut current, mut policy) = (Vec::new(), Vec::new());
    for standing in standings {
        if !current.is_empty() {
            current.extend_from_slice(b", ");
            policy.extend_from_slice(b", ");
        }
        let seconds = whole_seconds(standing.next_token);
        current.extend_from_slice(&service_limit(&standing.looks.name, standing.remaining, seconds));
        policy.extend_from_slice(standing.shown.policy.as_bytes());
    }
    fields.push((RATE_LIMIT.clone(), value(current)));
    fields.push((
        RATE_LIMIT_POLICY.clone(),
        match standings {
            [only] => only.shown.policy.clone(),
            _ => value(policy),
        },
    ));
    nearest.looks.push_legacy(
        &mut fields,
        &nearest.shown,
        nearest.remaining,
        whole_seconds(nearest.next_token),
    );
    fields
}

/// `"name";r=REMAINING;t=SECONDS`
fn service_limit(name: &LimitName, remaining: u32, seconds: u64) -> Vec<u8> {
    let mut text = quoted(name);
    text.extend_from_slice(b";r=");
    push_number(&mut text, u64::from(remaining));
    text.extend_from_slice(b";t=");
    push_number(&mut text, seconds);
    text
}

/// A String of RFC 9651 section 3.3.3. The grammar of a limit's name has nothing that would need a backslash.
fn quoted(name: &LimitName) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    let mut text = Vec::with_capacity(name.len() + 24);
    text.push(b'"');
    text.extend_from_slice(name);
    text.push(b'"');
    text
}

/// `Retry-After` (RFC 9110 section 10.2.3) has whole seconds; rounded up, so that whoever waits so long is
/// let through, and at least 1, so that nobody is told to come back at once.
fn whole_seconds(time: Duration) -> u64 {
    let up = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(up).max(1)
}

fn push_number(text: &mut Vec<u8>, number: u64) {
    // The longest u64 has 20 digits.
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    text.extend(digits.iter().skip(digits.len() - used));
}

/// Everything above is made of visible ASCII, which a field value may be made of.
fn value(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::{Quota, rate};
    use std::num::NonZeroU32;

    fn rule(name: &LimitName, text: &str, burst: u32) -> Rule {
        let (tokens, per) = rate(text).unwrap();
        let quota = Quota {
            tokens,
            per,
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let bucket = Bucket::new(quota);
        Rule {
            quota,
            bucket,
            shown: Shown::new(name, &bucket),
        }
    }

    fn legacy() -> LegacyLimitHeaders {
        LegacyLimitHeaders {
            limit: Some(HeaderName::from_static("x-ratelimit-limit-second")),
            remaining: Some(HeaderName::from_static("x-ratelimit-remaining-second")),
            reset: None,
        }
    }

    fn lines(fields: &[(HeaderName, HeaderValue)]) -> Vec<String> {
        fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn aruba_06_a_refusal_tells_when_to_come_back_in_new_and_old_words() {
        let name = LimitName::try_from("per-customer").unwrap();
        let looks = Looks::new(&name, &legacy());
        let refusal = looks.refused(&rule(&name, "7/s", 7), Duration::from_nanos(142_857_143));
        assert_eq!(
            lines(&refusal.fields),
            [
                r#"ratelimit: "per-customer";r=0;t=1"#,
                r#"ratelimit-policy: "per-customer";q=7;w=1"#,
                "x-ratelimit-limit-second: 7",
                "x-ratelimit-remaining-second: 0",
            ]
        );
        assert_eq!(
            (
                refusal.tokens,
                refusal.period_seconds,
                refusal.retry_after_seconds
            ),
            (7, 1, 1)
        );
    }

    #[test]
    fn waiting_times_are_rounded_up_to_whole_seconds_and_are_at_least_one() {
        for (time, seconds) in [
            (0, 1),
            (1, 1),
            (999_999_999, 1),
            (1_000_000_000, 1),
            (1_000_000_001, 2),
        ] {
            assert_eq!(whole_seconds(Duration::from_nanos(time)), seconds);
        }
        let name = LimitName::try_from("slow").unwrap();
        let looks = Looks::new(&name, &LegacyLimitHeaders::default());
        let refusal = looks.refused(&rule(&name, "100/h", 10), Duration::from_millis(35_001));
        assert_eq!(
            lines(&refusal.fields),
            [
                r#"ratelimit: "slow";r=0;t=36"#,
                r#"ratelimit-policy: "slow";q=10;w=360"#
            ]
        );
    }

    #[test]
    fn several_limits_share_a_line_and_the_old_names_speak_of_the_nearest() {
        let (fast, slow) = (
            LimitName::try_from("fast").unwrap(),
            LimitName::try_from("slow").unwrap(),
        );
        let (fast_looks, slow_looks) = (Looks::new(&fast, &legacy()), Looks::new(&slow, &legacy()));
        let standing = |looks, rule: Rule, remaining, next| Standing {
            looks,
            shown: rule.shown,
            remaining,
            next_token: Duration::from_millis(next),
        };
        let fields = accepted(&[
            standing(&fast_looks, rule(&fast, "7/s", 7), 6, 100),
            standing(&slow_looks, rule(&slow, "100/d", 100), 3, 864_000),
        ]);
        assert_eq!(
            lines(&fields),
            [
                r#"ratelimit: "fast";r=6;t=1, "slow";r=3;t=864"#,
                r#"ratelimit-policy: "fast";q=7;w=1, "slow";q=100;w=86400"#,
                "x-ratelimit-limit-second: 100",
                "x-ratelimit-remaining-second: 3",
            ]
        );
        assert!(accepted(&[]).is_empty());
    }
}
