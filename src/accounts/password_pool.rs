//! Where passwords are hashed: threads of their own behind a bounded queue, so that a storm of logins costs a part of the
//! machine and never the event loops.
//!
//! A name that nobody has is worked on like one that somebody has: a hash of the same cost, made of random bytes at start, is
//! compared in its place. The promise of equal time holds for stored hashes of the pool's own cost; older ones are made anew
//! at the next login ([`StoredPassword::needs_rehash`]).

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::password::{Cost, HashError, StoredPassword};
use crate::base::random;
use crate::base::secret::Secret;

/// What a password turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The account's own.
    Match,
    /// Anything else, also for an account that does not exist or has no password.
    Mismatch,
}

/// There is no room for another hash, or the pool has ended: 503, and try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be hashed")]
pub struct Overloaded;

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHashed {
    /// The password, or the memory.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The queue.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The system gives no thread.
    #[error("cannot start a thread to hash passwords: {0}")]
    Thread(#[source] std::io::Error),
    /// The system gives no memory.
    #[error("cannot hash a password: {0}")]
    Hash(#[source] HashError),
}

/// The pool. Dropping it ends its threads: what waits then is [`Overloaded`].
#[derive(Debug)]
pub struct Passwords {
    shared: Arc<Shared>,
}

struct Shared {
    cost: Cost,
    /// Nobody's password, compared where there is none.
    nobody: StoredPassword,
    /// Most that may wait.
    room: usize,
    queue: Mutex<Queue>,
    arrived: Condvar,
    computed: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    ended: bool,
}

enum Job {
    Verify {
        stored: Option<StoredPassword>,
        password: Secret,
        answer: oneshot::Sender<Result<Verdict, Overloaded>>,
    },
    Hash {
        password: Secret,
        answer: oneshot::Sender<Result<StoredPassword, HashError>>,
    },
}

impl Job {
    /// Did the one who asked go away?
    fn is_forsaken(&self) -> bool {
        match self {
            Job::Verify { answer, .. } => answer.is_closed(),
            Job::Hash { answer, .. } => answer.is_closed(),
        }
    }
}

/// Half of the cores, at least one: what logins may take at most.
pub fn half_of_the_cores() -> NonZeroUsize {
    std::thread::available_parallelism()
        .ok()
        .and_then(|cores| NonZeroUsize::new(cores.get() / 2))
        .unwrap_or(NonZeroUsize::MIN)
}

impl Passwords {
    /// Starts `threads` threads, for which up to `room` passwords wait. Computes one hash of `cost`, so it takes as long as
    /// one.
    ///
    /// # Errors
    /// A system without threads or memory.
    pub fn start(cost: Cost, threads: NonZeroUsize, room: usize) -> Result<Passwords, PoolError> {
        let pool = Passwords::idle(cost, room)?;
        for number in 0..threads.get() {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || {
                    while let Some(job) = shared.next() {
                        shared.run(job);
                    }
                })
                .map_err(PoolError::Thread)?;
        }
        Ok(pool)
    }

    /// A pool whose threads have not come yet.
    fn idle(cost: Cost, room: usize) -> Result<Passwords, PoolError> {
        let mut random = vec![0; 32];
        random::fill(&mut random);
        let nobody = StoredPassword::hash(&Secret::new(random), cost).map_err(PoolError::Hash)?;
        Ok(Passwords {
            shared: Arc::new(Shared {
                cost,
                nobody,
                room,
                queue: Mutex::default(),
                arrived: Condvar::new(),
                computed: AtomicU64::new(0),
            }),
        })
    }

    /// Is `password` the one that is stored? Exactly one hash is computed, whatever is stored, whatever is asked. The work
    /// waits its turn from this call on; when the future is dropped before its turn, nothing is computed.
    ///
    /// # Errors
    /// [`Overloaded`] at once when the queue is full; later when there is no memory or the pool ends.
    pub fn verify(
        &self,
        stored: Option<&StoredPassword>,
        password: Secret,
    ) -> impl Future<Output = Result<Verdict, Overloaded>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.shared.enqueue(Job::Verify {
            stored: stored.cloned(),
            password,
            answer,
        });
        async move {
            queued?;
            answered.await.unwrap_or(Err(Overloaded))
        }
    }

    /// A hash to store, at the pool's cost.
    ///
    /// # Errors
    /// As [`StoredPassword::hash`] and [`Passwords::verify`].
    pub fn hash(
        &self,
        password: Secret,
    ) -> impl Future<Output = Result<StoredPassword, NotHashed>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.shared.enqueue(Job::Hash { password, answer });
        async move {
            queued?;
            Ok(answered.await.map_err(|_| Overloaded)??)
        }
    }

    /// The cost of new hashes.
    pub fn cost(&self) -> Cost {
        self.shared.cost
    }

    /// How many hashes were computed since the start.
    pub fn computed(&self) -> u64 {
        self.shared.computed.load(Ordering::Relaxed)
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.ended = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.arrived.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, job: Job) -> Result<(), Overloaded> {
        let mut queue = self.queue();
        if queue.jobs.len() >= self.room {
            // Those who went away take no room from those who wait.
            queue.jobs.retain(|job| !job.is_forsaken());
        }
        if queue.jobs.len() >= self.room {
            return Err(Overloaded);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next job that somebody still waits for; `None` when the pool has ended.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            while let Some(job) = queue.jobs.pop_front() {
                if !job.is_forsaken() {
                    return Some(job);
                }
            }
            if queue.ended {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody to answer to is no error: the client left while the hash was computed.
    fn run(&self, job: Job) {
        match job {
            Job::Verify {
                stored,
                password,
                answer,
            } => {
                let matched = stored.as_ref().unwrap_or(&self.nobody).matches(&password);
                self.computed.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(match matched {
                    Ok(true) if stored.is_some() => Ok(Verdict::Match),
                    Ok(_) => Ok(Verdict::Mismatch),
                    Err(_) => Err(Overloaded),
                });
            }
            Job::Hash { password, answer } => {
                let hashed = StoredPassword::hash(&password, self.cost);
                if hashed.is_ok() {
                    self.computed.fetch_add(1, Ordering::Relaxed);
                }
                let _ = answer.send(hashed);
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "passwords at {}", self.cost)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn cheap() -> Cost {
        Cost::new(32, 1, 1).unwrap()
    }

    /// A pool in which the test itself does the work, so that it knows what waits.
    fn idle(room: usize) -> Passwords {
        Passwords::idle(cheap(), room).unwrap()
    }

    /// Does all that waits.
    fn work(pool: &Passwords) {
        while !pool.shared.queue().jobs.is_empty() {
            match pool.shared.queue().jobs.pop_front() {
                Some(job) if !job.is_forsaken() => pool.shared.run(job),
                Some(_) | None => {}
            }
        }
    }

    #[tokio::test]
    async fn the_right_password_matches_and_nothing_else_does() {
        let pool = Passwords::start(cheap(), NonZeroUsize::MIN, 8).unwrap();
        let stored = pool.hash(secret("right")).await.unwrap();
        assert_eq!(stored.cost(), cheap());
        assert_eq!(
            pool.verify(Some(&stored), secret("right")).await,
            Ok(Verdict::Match)
        );
        for wrong in ["", "wrong", &"x".repeat(2000)] {
            assert_eq!(
                pool.verify(Some(&stored), secret(wrong)).await,
                Ok(Verdict::Mismatch),
                "{wrong}"
            );
        }
        assert_eq!(pool.verify(None, secret("right")).await, Ok(Verdict::Mismatch));
        assert_eq!(pool.computed(), 6);
        assert_eq!(
            pool.hash(secret("")).await,
            Err(NotHashed::Hash(HashError::Empty))
        );
    }

    #[test]
    fn every_question_costs_one_hash_also_for_nobody_and_for_a_megabyte() {
        let pool = idle(8);
        let stored = StoredPassword::hash(&secret("right"), cheap()).unwrap();
        assert_eq!(pool.shared.nobody.cost(), stored.cost());
        let megabyte = "x".repeat(1 << 20);
        let asked = [
            pool.verify(Some(&stored), secret("right")).boxed(),
            pool.verify(None, secret("right")).boxed(),
            pool.verify(Some(&stored), secret(&megabyte)).boxed(),
            pool.verify(None, secret(&megabyte)).boxed(),
        ];
        work(&pool);
        assert_eq!(pool.computed(), 4);
        let verdicts = asked.map(|answer| answer.now_or_never());
        let wrong = Some(Ok(Verdict::Mismatch));
        assert_eq!(verdicts, [Some(Ok(Verdict::Match)), wrong, wrong, wrong]);
    }

    #[test]
    fn nothing_is_computed_for_those_who_went_away() {
        let pool = idle(8);
        let waits = pool.verify(None, secret("a"));
        drop(pool.verify(None, secret("b")));
        drop(pool.hash(secret("c")));
        work(&pool);
        assert_eq!(pool.computed(), 1);
        assert_eq!(waits.now_or_never(), Some(Ok(Verdict::Mismatch)));
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_those_who_went_away_take_no_room() {
        let pool = idle(2);
        let first = pool.verify(None, secret("a"));
        let second = pool.verify(None, secret("b"));
        assert_eq!(
            pool.verify(None, secret("c")).now_or_never(),
            Some(Err(Overloaded))
        );
        assert_eq!(
            pool.hash(secret("c")).now_or_never(),
            Some(Err(NotHashed::Overloaded(Overloaded)))
        );
        drop(first);
        let third = pool.verify(None, secret("c"));
        work(&pool);
        assert_eq!(second.now_or_never(), Some(Ok(Verdict::Mismatch)));
        assert_eq!(third.now_or_never(), Some(Ok(Verdict::Mismatch)));
        assert_eq!(pool.computed(), 2);
    }

    #[test]
    fn what_waits_when_the_pool_ends_is_answered() {
        let pool = idle(2);
        let waits = pool.verify(None, secret("a"));
        let shared = Arc::clone(&pool.shared);
        drop(pool);
        assert_eq!(waits.now_or_never(), Some(Err(Overloaded)));
        assert!(shared.next().is_none(), "the threads end");
    }

    #[tokio::test]
    async fn a_hundred_at_once_are_all_answered_by_two_threads() {
        let pool = Passwords::start(cheap(), NonZeroUsize::new(2).unwrap(), 100).unwrap();
        let asked: Vec<_> = (0..100).map(|_| pool.verify(None, secret("guess"))).collect();
        for answer in asked {
            assert_eq!(answer.await, Ok(Verdict::Mismatch));
        }
        assert_eq!(pool.computed(), 100);
    }

    #[test]
    fn logins_get_half_of_the_cores_and_at_least_one() {
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(half_of_the_cores().get(), (cores / 2).max(1));
    }
}
