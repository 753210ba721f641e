//! One timer, made when something is first waited for and moved on from then on.
//!
//! A connection keeps its alarm while it is idle. Moving a registered timer to a later moment is one atomic operation in
//! the runtime, whereas making and dropping one for every request takes the timer wheel's lock twice.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// A timer that costs nothing until it is set.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Sets it to go off at `moment`.
    pub(super) fn set(&mut self, moment: Instant) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(moment),
            None => self.0 = Some(Box::pin(tokio::time::sleep_until(moment))),
        }
    }

    /// Ready when it has gone off; pending for ever when it was never set.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
