//! When keys are fetched: every decision a function of the time given, so that a test needs no waiting.

use std::time::Duration;

use crate::base::clock::Tick;
use crate::config::plan::KeyUrl;

/// Longest time between two fetches, whatever `max-age` says: a key that was removed because it leaked must not be good
/// for weeks.
pub const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3600);

/// Shortest time between two fetches, whatever `max-age` says: `no-store` must not become a fetch for every request.
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// Longest time between two attempts while they fail.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// When one key URL is fetched, and how long its keys are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    refresh: Duration,
    floor: Duration,
    stale: Duration,
    next: Tick,
    good: Option<Tick>,
    asked: Option<Tick>,
    failures: u32,
}

impl Schedule {
    /// A schedule that is due at once.
    pub fn new(plan: &KeyUrl, now: Tick) -> Schedule {
        Schedule {
            refresh: plan.refresh.clamp(SHORTEST_REFRESH, LONGEST_REFRESH),
            floor: plan.floor.max(SHORTEST_REFRESH),
            stale: plan.stale,
            next: now,
            good: None,
            asked: None,
            failures: 0,
        }
    }

    /// The same history under another plan.
    pub fn replanned(&self, plan: &KeyUrl) -> Schedule {
        let new = Schedule::new(plan, self.next);
        Schedule {
            good: self.good,
            asked: self.asked,
            failures: self.failures,
            ..new
        }
    }

    /// Until the next fetch; zero when it is due.
    pub fn wait(&self, now: Tick) -> Duration {
        self.next.since(now)
    }

    /// May a token with an unknown `kid` cause a fetch now? If so, this was the one for the next `floor`: made-up names
    /// must not become a flood of fetches. Fetches by the clock do not count, else a key that is new just after one
    /// would have to wait.
    pub fn ask(&mut self, now: Tick) -> bool {
        let allowed = self.asked.is_none_or(|asked| now >= asked.plus(self.floor));
        if allowed {
            self.asked = Some(now);
        }
        allowed
    }

    /// A fetch brought keys; `fresh` is what the answer said of its age.
    pub fn succeeded(&mut self, now: Tick, fresh: Option<Duration>) {
        let wait = fresh
            .unwrap_or(self.refresh)
            .clamp(self.floor.min(LONGEST_REFRESH), LONGEST_REFRESH)
            .min(self.stale.max(SHORTEST_REFRESH));
        self.good = Some(now);
        self.failures = 0;
        self.next = now.plus(wait);
    }

    /// A fetch failed. The next attempt follows after 1 s, 2 s, 4 s and so on up to [`LONGEST_BACKOFF`], each less up to
    /// one half by `dice` (any random number), so that many gateways do not come back all at once.
    pub fn failed(&mut self, now: Tick, dice: u64) {
        let whole = Duration::from_secs(1 << self.failures.min(20)).min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        let half = u64::try_from(whole.as_millis() / 2).unwrap_or(u64::MAX);
        self.next = now.plus(whole.saturating_sub(Duration::from_millis(dice % (half + 1))));
    }

    /// From when on the keys must not be used any more, if there are any: so long after the last good fetch.
    pub fn lapses(&self) -> Option<Tick> {
        self.good.map(|good| good.plus(self.stale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> Schedule {
        let plan = KeyUrl {
            url: "https://idp.example/jwks".parse().unwrap(),
            ca: None,
            refresh: 300 * SECOND,
            floor: 30 * SECOND,
            stale: 3600 * SECOND,
        };
        Schedule::new(&plan, Tick(0))
    }

    fn at(seconds: u64) -> Tick {
        Tick(0).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_fetch_is_due_at_once() {
        assert_eq!(schedule().wait(at(0)), Duration::ZERO);
        assert_eq!(schedule().lapses(), None);
    }

    #[test]
    fn max_age_is_honoured_within_bounds() {
        for (fresh, wanted) in [
            (None, 300),
            (Some(120), 120),
            (Some(0), 30),
            (Some(5), 30),
            (Some(99_999_999), 3600),
        ] {
            let mut schedule = schedule();
            schedule.succeeded(at(10), fresh.map(Duration::from_secs));
            assert_eq!(schedule.wait(at(10)), wanted * SECOND, "{fresh:?}");
        }
    }

    #[test]
    fn an_unknown_key_fetches_once_in_a_floor() {
        let mut schedule = schedule();
        schedule.succeeded(at(0), None);
        assert!(schedule.ask(at(1)));
        for second in 1..31 {
            assert!(!schedule.ask(at(second)), "{second}");
        }
        assert!(schedule.ask(at(31)));
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_a_bound() {
        let mut schedule = schedule();
        let mut last = Duration::ZERO;
        for failure in 0..40 {
            schedule.failed(at(0), 0);
            let wait = schedule.wait(at(0));
            assert!(wait >= last && wait <= LONGEST_BACKOFF, "{failure}: {wait:?}");
            last = wait;
        }
        assert_eq!(last, LONGEST_BACKOFF);
        schedule.succeeded(at(0), None);
        schedule.failed(at(0), 0);
        assert_eq!(schedule.wait(at(0)), SECOND);
    }

    #[test]
    fn the_jitter_takes_away_at_most_one_half() {
        for dice in [0, 1, 499, 500, 501, u64::MAX] {
            let mut schedule = schedule();
            schedule.failed(at(0), dice);
            let wait = schedule.wait(at(0));
            assert!(wait >= SECOND / 2 && wait <= SECOND, "{dice}: {wait:?}");
        }
    }

    #[test]
    fn keys_lapse_so_long_after_the_last_good_fetch_and_failures_do_not_prolong_them() {
        let mut schedule = schedule();
        schedule.succeeded(at(100), None);
        schedule.failed(at(400), 0);
        schedule.failed(at(500), 0);
        assert_eq!(schedule.lapses(), Some(at(3700)));
    }
}
