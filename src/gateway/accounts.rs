//! The store of accounts: opened once, kept over reloads, looked after, closed at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::StartError;
use crate::accounts::password_pool::half_of_the_cores;
use crate::accounts::{Accounts, Cost, Passwords};
use crate::base::clock::Clock;
use crate::base::tasks;
use crate::config::plan::Plan;
use crate::store::backend::{PageSize, SweepPlan};
use crate::store::outcome::Rest;

/// Passwords that wait for a thread. At 50 ms each and one thread the last of them waits some 3 s.
const ROOM: usize = 64;

/// How often the store is asked whether it answers, for `/ready`.
const ASK: Duration = Duration::from_secs(5);

/// How often what has ended is removed.
const SWEEP: Duration = Duration::from_secs(60);

/// The accounts of a process.
#[derive(Debug)]
pub(super) struct House {
    accounts: Arc<Accounts>,
    answers: Arc<AtomicBool>,
    upkeep: tokio::task::JoinHandle<()>,
}

impl House {
    /// Opens the store of `plan`, if it has realms. The first password is hashed here, which takes as long as each.
    ///
    /// # Errors
    /// A store that cannot be opened, threads that cannot be had.
    pub(super) async fn open(plan: &Plan, clock: &Clock) -> Result<Option<House>, StartError> {
        if plan.realms.is_empty() {
            return Ok(None);
        }
        let store = crate::store::Store::open(&plan.store).await;
        let store = store.map_err(|cause| StartError::Store { cause })?;
        let passwords = Passwords::start(Cost::USUAL, half_of_the_cores(), ROOM)
            .map_err(|cause| StartError::Passwords { cause })?;
        let accounts = Accounts::open(store, passwords);
        let answers = Arc::new(AtomicBool::new(true));
        let upkeep = tasks::spawn("store", look_after(Arc::clone(&accounts), Arc::clone(&answers), clock.clone()));
        Ok(Some(House {
            accounts,
            answers,
            upkeep,
        }))
    }

    /// The accounts.
    pub(super) fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Did the store answer when it was last asked?
    pub(super) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Writes down what is only in memory.
    pub(super) async fn close(&self) {
        self.upkeep.abort();
        if let Err(cause) = self.accounts.store().close().await {
            tracing::warn!(%cause, "the store could not be closed; sessions look a minute less used than they were");
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

async fn look_after(accounts: Arc<Accounts>, answers: Arc<AtomicBool>, clock: Clock) {
    let mut ask = tokio::time::interval(ASK);
    let mut sweep = tokio::time::interval(SWEEP);
    for interval in [&mut ask, &mut sweep] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    let store = accounts.store();
    loop {
        tokio::select! {
            _ = ask.tick() => {
                let answer = store.changes_since(None, PageSize::new(1)).await;
                if let Err(cause) = &answer {
                    tracing::warn!(%cause, "the store does not answer");
                }
                answers.store(answer.is_ok(), Ordering::Relaxed);
            }
            _ = sweep.tick() => loop {
                match store.sweep(SweepPlan::default(), clock.unix()).await {
                    Ok(swept) if swept.rest == Rest::More => {}
                    Ok(_) => break,
                    Err(cause) => {
                        tracing::warn!(%cause, "what has ended is not removed from the store");
                        break;
                    }
                }
            },
        }
    }
}
