use proptest::prelude::*;

use super::*;

const WINDOW: i64 = 900;
const DURATION: i64 = 60;

fn policy(attempts: u32, success: OnSuccess) -> AttemptPolicy {
    AttemptPolicy::new(
        attempts,
        Duration::from_secs(WINDOW as u64),
        Duration::from_secs(DURATION as u64),
        success,
    )
    .unwrap()
}

/// A name's record that is stepped in place.
struct Name {
    attempts: Attempts,
    policy: AttemptPolicy,
}

impl Name {
    fn new(attempts: u32) -> Name {
        Name {
            attempts: Attempts::default(),
            policy: policy(attempts, OnSuccess::Forget),
        }
    }

    fn begin(&mut self, now: i64) -> Begun {
        let begun;
        (self.attempts, begun) = self.attempts.begin(&self.policy, UnixTime(now));
        begun
    }

    fn fail(&mut self, now: i64) -> Lock {
        let lock;
        (self.attempts, lock) = self.attempts.fail(&self.policy, UnixTime(now));
        lock
    }

    fn succeed(&mut self, now: i64) -> Lock {
        let lock;
        (self.attempts, lock) = self.attempts.succeed(&self.policy, UnixTime(now));
        lock
    }

    fn standing(&self, now: i64) -> Lock {
        self.attempts.standing(&self.policy, UnixTime(now))
    }

    fn wrong(&mut self, now: i64) -> Lock {
        assert_eq!(self.begin(now), Begun::Go);
        self.fail(now)
    }
}

#[test]
fn the_last_wrong_password_locks_and_the_lock_ends_by_itself() {
    let mut name = Name::new(3);
    assert_eq!(name.wrong(1000), Lock::Open);
    assert_eq!(name.wrong(1001), Lock::Open);
    let until = UnixTime(1062);
    assert_eq!(name.wrong(1002), Lock::Locked { until });
    for now in [1002, 1030, 1061] {
        assert_eq!(
            name.begin(now),
            Begun::Locked { until },
            "trying on does not prolong it"
        );
        assert_eq!(name.standing(now), Lock::Locked { until });
    }
    assert_eq!(name.standing(1062), Lock::Open);
    assert_eq!(name.wrong(1062), Lock::Open, "all attempts are there again");
    assert_eq!(name.wrong(1062), Lock::Open);
}

#[test]
fn the_right_password_at_the_last_attempt_still_counts_and_clears_the_record() {
    let mut name = Name::new(3);
    name.wrong(1000);
    name.wrong(1000);
    assert_eq!(name.begin(1000), Begun::Go);
    assert_eq!(name.succeed(1001), Lock::Open);
    assert_eq!(name.attempts, Attempts::default());
}

#[test]
fn a_hundred_at_once_get_as_many_looks_as_there_are_attempts() {
    let mut name = Name::new(5);
    let begun: Vec<Begun> = (0..100).map(|_| name.begin(1000)).collect();
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Go).count(), 5);
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Busy).count(), 95);
    assert_eq!(
        name.standing(1000),
        Lock::Open,
        "tokens work while nothing has failed"
    );
    for _ in 0..4 {
        assert_eq!(name.fail(1001), Lock::Open);
    }
    assert_eq!(
        name.fail(1001),
        Lock::Locked {
            until: UnixTime(1061)
        }
    );
}

#[test]
fn many_right_passwords_at_once_lock_nobody() {
    let mut name = Name::new(2);
    assert_eq!((name.begin(1000), name.begin(1000)), (Begun::Go, Begun::Go));
    assert_eq!(name.begin(1000), Begun::Busy);
    assert_eq!(name.succeed(1000), Lock::Open);
    assert_eq!(name.begin(1000), Begun::Go);
    assert_eq!((name.succeed(1000), name.succeed(1000)), (Lock::Open, Lock::Open));
}

#[test]
fn a_success_past_the_lock_does_not_count() {
    let mut name = Name::new(2);
    assert_eq!(name.begin(1000), Begun::Go);
    // Its window ends under it, and others use up the next one.
    let now = 1000 + WINDOW;
    name.wrong(now);
    let locked = name.wrong(now);
    assert_eq!(
        locked,
        Lock::Locked {
            until: UnixTime(now + DURATION)
        }
    );
    assert_eq!(name.succeed(now + 1), locked);
    assert_eq!(name.standing(now + 1), locked);
}

#[test]
fn attempts_are_forgotten_when_their_window_ends() {
    let mut name = Name::new(2);
    name.wrong(1000);
    assert_eq!(name.attempts.forget_at(&name.policy), UnixTime(1000 + WINDOW));
    assert_eq!(name.wrong(1000 + WINDOW), Lock::Open);
    assert_ne!(name.wrong(999 + 2 * WINDOW), Lock::Open);
    assert_eq!(
        name.attempts.forget_at(&name.policy),
        UnixTime(999 + 2 * WINDOW + DURATION)
    );
}

#[test]
fn attempts_whose_end_is_never_told_free_their_places_as_a_lock_would() {
    let mut name = Name::new(2);
    assert_eq!((name.begin(1000), name.begin(1010)), (Begun::Go, Begun::Go));
    assert_eq!(name.begin(1009 + DURATION), Begun::Busy);
    assert_eq!(name.begin(1010 + DURATION), Begun::Go);
}

#[test]
fn a_success_that_keeps_what_failed_takes_no_place() {
    let mut name = Name::new(2);
    name.policy = policy(2, OnSuccess::Keep);
    for now in 0..10 {
        assert_eq!(name.begin(now), Begun::Go);
        assert_eq!(name.succeed(now), Lock::Open);
    }
    name.wrong(10);
    assert_eq!(name.begin(11), Begun::Go);
    assert_eq!(name.succeed(11), Lock::Open);
    assert_ne!(name.wrong(12), Lock::Open);
}

#[test]
fn a_clock_that_is_set_back_locks_for_twice_the_time_at_most() {
    let mut name = Name::new(1);
    name.wrong(10_000);
    assert_ne!(name.standing(10_000 - 30), Lock::Open);
    assert_eq!(
        name.begin(9_970),
        Begun::Locked {
            until: UnixTime(9_970 + DURATION)
        }
    );
    assert_eq!(name.standing(9_970 + DURATION), Lock::Open);
    name.wrong(20_000);
    assert_eq!(name.standing(20_000 - 3600), Lock::Open);
    assert_eq!(name.begin(20_000 - 3600), Begun::Go);
}

#[test]
fn a_policy_out_of_its_range_is_refused() {
    let of = |attempts, window, duration| {
        AttemptPolicy::new(
            attempts,
            Duration::from_millis(window),
            Duration::from_millis(duration),
            OnSuccess::Forget,
        )
        .map(|_| ())
    };
    assert_eq!(of(5, 900_000, 60_000), Ok(()));
    assert_eq!(of(0, 900_000, 60_000), Err(BadAttemptPolicy::Attempts));
    assert_eq!(of(1001, 900_000, 60_000), Err(BadAttemptPolicy::Attempts));
    assert_eq!(of(5, 0, 60_000), Err(BadAttemptPolicy::Window));
    assert_eq!(of(5, 1500, 60_000), Err(BadAttemptPolicy::Window));
    assert_eq!(of(5, 900_000, 0), Err(BadAttemptPolicy::Duration));
    assert_eq!(of(5, 900_000, 86_401_000), Err(BadAttemptPolicy::Duration));
}

/// One attempt after the other, as the rule is told to people.
#[derive(Default)]
struct Told {
    failures: Vec<i64>,
    locked_until: i64,
}

#[derive(Debug, PartialEq)]
enum Answer {
    In,
    Wrong,
    Locked,
}

impl Told {
    fn attempt(&mut self, right: bool, attempts: usize, now: i64) -> Answer {
        if now < self.locked_until {
            return Answer::Locked;
        }
        let old = self.failures.first().is_some_and(|first| now >= first + WINDOW);
        if old || self.failures.len() == attempts {
            self.failures.clear();
        }
        if right {
            self.failures.clear();
            return Answer::In;
        }
        self.failures.push(now);
        if self.failures.len() == attempts {
            self.locked_until = now + DURATION;
        }
        Answer::Wrong
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Fail,
    Succeed,
    /// The client went away and the process died: nobody tells the end.
    Lose,
}

fn spans() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..3_i64, 2 => 0..2 * DURATION, 1 => 0..2 * WINDOW]
}

fn steps(of: &'static [Step]) -> impl Strategy<Value = Vec<(i64, Step)>> {
    proptest::collection::vec((spans(), proptest::sample::select(of)), 0..120)
}

proptest! {
    #[test]
    fn one_after_the_other_it_is_the_rule_as_it_is_told(
        attempts in 1..6_u32,
        tries in proptest::collection::vec((spans(), any::<bool>(), 0..3), 0..80),
    ) {
        let (mut name, mut told, mut now) = (Name::new(attempts), Told::default(), 1_000_000);
        for (span, right, mostly_wrong) in tries {
            now += span;
            let right = right && mostly_wrong == 0;
            let answer = match name.begin(now) {
                Begun::Locked { .. } => Answer::Locked,
                Begun::Busy => panic!("nothing is under way"),
                Begun::Go if right => {
                    prop_assert_eq!(name.succeed(now), Lock::Open);
                    Answer::In
                }
                Begun::Go => {
                    name.fail(now);
                    Answer::Wrong
                }
            };
            prop_assert_eq!(answer, told.attempt(right, attempts as usize, now));
            prop_assert_eq!(name.standing(now) == Lock::Open, now >= told.locked_until);
        }
    }

    #[test]
    fn however_attempts_overlap_the_looks_are_bounded_and_no_lock_is_passed(
        attempts in 1..6_u32,
        steps in steps(&[Step::Begin, Step::Begin, Step::Fail, Step::Lose, Step::Succeed]),
    ) {
        let (mut name, mut now) = (Name::new(attempts), 1_000_000);
        let mut under_way = 0_u32;
        // When attempts were let go on, since the last success.
        let mut looks: Vec<i64> = Vec::new();
        for (span, step) in steps {
            now += span;
            let before = name.standing(now);
            match step {
                Step::Begin => match name.begin(now) {
                    Begun::Go => {
                        prop_assert_eq!(before, Lock::Open);
                        under_way += 1;
                        looks.push(now);
                    }
                    Begun::Busy => prop_assert_eq!(before, Lock::Open),
                    Begun::Locked { until } => {
                        prop_assert_eq!(before, Lock::Locked { until });
                        prop_assert!(now < until.0 && until.0 <= now + DURATION);
                    }
                },
                Step::Fail if under_way > 0 => {
                    under_way -= 1;
                    let lock = name.fail(now);
                    prop_assert!(before == Lock::Open || before == lock, "a lock is not prolonged");
                }
                Step::Succeed if under_way > 0 => {
                    under_way -= 1;
                    let counted = name.succeed(now);
                    prop_assert_eq!(counted, before, "a success past the lock does not count");
                    if counted == Lock::Open {
                        looks.clear();
                    }
                }
                Step::Lose if under_way > 0 => under_way -= 1,
                Step::Fail | Step::Succeed | Step::Lose => {}
            }
            prop_assert!(name.attempts.failed <= name.attempts.count);
            prop_assert!(name.attempts.count <= attempts);
            prop_assert_eq!(name.standing(now + DURATION), Lock::Open);
            let over = name.attempts.forget_at(&name.policy);
            prop_assert_eq!(name.attempts.at(&name.policy, over.max(UnixTime(now))), Attempts::default());
        }
        // The end of one window and the beginning of the next may meet: never more than twice the attempts.
        let twice = 2 * attempts as usize;
        for group in looks.windows(twice) {
            prop_assert!(group[twice - 1] - group[0] >= DURATION.min(WINDOW));
        }
    }

    #[test]
    fn a_clock_that_jumps_never_locks_for_good(
        attempts in 1..4_u32,
        steps in steps(&[Step::Begin, Step::Fail]),
        jumps in proptest::collection::vec(-2 * WINDOW..WINDOW, 120),
    ) {
        let (mut name, mut now) = (Name::new(attempts), 1_000_000);
        for ((span, step), jump) in steps.into_iter().zip(jumps) {
            now += if span == 0 { jump } else { span };
            match step {
                Step::Begin => {
                    name.begin(now);
                }
                Step::Fail | Step::Succeed | Step::Lose => {
                    name.fail(now);
                }
            }
            if let Lock::Locked { until } = name.standing(now) {
                prop_assert!(until.0 <= now + DURATION);
            }
            prop_assert_eq!(name.standing(now + 2 * DURATION), Lock::Open);
        }
    }
}
