//! In which order the endpoints of a group are tried.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::config::plan::Balance;

/// At most so many endpoints of a group are tried for one request; beyond it the deadline would have passed anyway.
const TRIES: usize = 64;

/// One worker's state of choosing. Own cache line: the workers must not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Chooser {
    cursor: AtomicUsize,
    generator: AtomicU64,
}

impl Chooser {
    /// A chooser whose choices follow from `seed` alone.
    pub(super) fn seeded(seed: u64) -> Chooser {
        // Workers that all began with the first endpoint would hit it together after a start.
        let first = usize::try_from(mixed(seed) & 0xffff).unwrap_or(0);
        Chooser {
            cursor: AtomicUsize::new(first),
            generator: AtomicU64::new(seed),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): a good spread from one addition and three shifts. Load and store need not be
    /// one operation: two tasks of a stealing runtime that draw the same number do no harm.
    fn random(&self) -> u64 {
        let state = self
            .generator
            .load(Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.generator.store(state, Ordering::Relaxed);
        mixed(state)
    }

    fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.random() % bound).unwrap_or(0)
    }

    /// The endpoint to begin with, of `count` (at least one). `busy` tells how many calls one has in flight, and `None`
    /// for one that is set aside.
    pub(super) fn first(&self, balance: Balance, count: usize, busy: impl Fn(usize) -> Option<u32>) -> usize {
        if count < 2 {
            return 0;
        }
        match balance {
            Balance::RoundRobin => self.cursor.fetch_add(1, Ordering::Relaxed) % count,
            Balance::TwoChoices => {
                let one = self.below(count);
                let other = (one + 1 + self.below(count - 1)) % count;
                match (busy(one), busy(other)) {
                    (Some(first), Some(second)) if second < first => other,
                    (None, Some(_)) => other,
                    (Some(_), _) | (None, None) => one,
                }
            }
        }
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Walks over a group from its first choice: those that are not set aside, then those that are, none twice.
#[derive(Debug)]
pub(super) struct Walk {
    first: usize,
    count: usize,
    tried: u64,
}

impl Walk {
    pub(super) fn from(first: usize, count: usize) -> Walk {
        Walk {
            first,
            count,
            tried: 0,
        }
    }

    /// The next one, if any is left. When all are set aside they are tried all the same: a wrong suspicion must not
    /// make a backend unreachable.
    pub(super) fn next(&mut self, set_aside: impl Fn(usize) -> bool) -> Option<usize> {
        let reach = self.count.min(TRIES);
        let left = |tried: u64| (0..reach).filter(move |step| tried & (1 << step) == 0);
        let place = |step: usize| (self.first + step) % self.count;
        let step = left(self.tried)
            .find(|step| !set_aside(place(*step)))
            .or_else(|| left(self.tried).next())?;
        let index = place(step);
        self.tried |= 1 << step;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_robin_takes_one_after_the_other() {
        let chooser = Chooser::seeded(7);
        let start = chooser.first(Balance::RoundRobin, 3, |_| Some(0));
        let next: Vec<usize> = (0..5)
            .map(|_| chooser.first(Balance::RoundRobin, 3, |_| Some(0)))
            .collect();
        let expected: Vec<usize> = (1..6).map(|step| (start + step) % 3).collect();
        assert_eq!(next, expected);
    }

    #[test]
    fn two_choices_follow_from_the_seed_and_never_take_the_busiest_of_all() {
        let picks = |seed| {
            let chooser = Chooser::seeded(seed);
            (0..64)
                .map(|_| chooser.first(Balance::TwoChoices, 4, |at| Some(u32::try_from(at).unwrap_or(0))))
                .collect::<Vec<usize>>()
        };
        assert_eq!(picks(1), picks(1));
        assert_ne!(picks(1), picks(2));
        let all = picks(1);
        assert!(
            !all.contains(&3),
            "of two different ones the busier is never taken: {all:?}"
        );
        assert!((0..3).all(|at| all.contains(&at)), "all others are: {all:?}");
    }

    #[test]
    fn two_choices_prefer_the_one_that_is_not_set_aside() {
        let chooser = Chooser::seeded(3);
        for _ in 0..32 {
            let pick = chooser.first(Balance::TwoChoices, 2, |at| (at == 1).then_some(1_000));
            assert_eq!(pick, 1);
        }
    }

    #[test]
    fn a_walk_visits_each_once_and_those_set_aside_last() {
        let mut walk = Walk::from(2, 4);
        let order: Vec<usize> = std::iter::from_fn(|| walk.next(|at| at == 3)).collect();
        assert_eq!(order, [2, 0, 1, 3]);
        let mut walk = Walk::from(0, 2);
        let order: Vec<usize> = std::iter::from_fn(|| walk.next(|_| true)).collect();
        assert_eq!(order, [0, 1], "all set aside: tried anyway");
    }

    #[test]
    fn a_walk_over_very_many_endpoints_ends() {
        let mut walk = Walk::from(99, 100);
        assert_eq!(std::iter::from_fn(|| walk.next(|_| false)).count(), TRIES);
    }
}
