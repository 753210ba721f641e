//! The deadlines of one exchange, and waiting for its head within them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::alarm::Alarm;
use super::outbound::Progress;
use crate::config::plan::UpstreamTimeouts;
use crate::rejection::Rejection;

/// All deadlines of one exchange. `Copy`, since the answer's body needs them when the rest of the exchange is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
    pub(super) whole: Duration,
    pub(super) began: Instant,
    pub(super) whole_at: Instant,
}

/// Which deadline passed while the head of the answer was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The endpoint had the whole request and did not answer.
    FirstByte(Duration),
    /// The exchange as a whole took too long, and the endpoint was what was waited for.
    Whole(Duration),
    /// The exchange as a whole took too long because the client did not send its request's body.
    Client,
}

impl From<Expired> for Rejection {
    fn from(expired: Expired) -> Rejection {
        match expired {
            Expired::FirstByte(after) | Expired::Whole(after) => Rejection::UpstreamTimeout { after },
            Expired::Client => Rejection::RequestTimeout,
        }
    }
}

impl Deadlines {
    pub(super) fn new(began: Instant, timeouts: &UpstreamTimeouts) -> Deadlines {
        Deadlines {
            connect: timeouts.connect,
            first_byte: timeouts.first_byte,
            idle: timeouts.idle,
            whole: timeouts.whole,
            began,
            whole_at: began + timeouts.whole,
        }
    }

    /// `moment`, or the end of the whole exchange if that comes first.
    pub(super) fn within_whole(&self, moment: Instant) -> Instant {
        moment.min(self.whole_at)
    }

    /// Until when a connection must be there: each attempt has the connect deadline, all of them together the deadline
    /// for the first byte.
    pub(super) fn connect_by(&self, now: Instant) -> Instant {
        (now + self.connect).min(self.all_connects_by())
    }

    /// See [`Deadlines::connect_by`].
    pub(super) fn all_connects_by(&self) -> Instant {
        self.within_whole(self.began + self.first_byte)
    }

    /// Waits for `head`, the answer to a request sent at `sent`. While the client's body is under way the deadline for
    /// the first byte counts from its last movement, and does not count while the client has nothing to send.
    pub(super) fn head<'a, F: Future>(
        &'a self,
        head: F,
        sent: Instant,
        alarm: &'a mut Alarm,
        progress: Option<&'a Progress>,
    ) -> Head<'a, F> {
        Head {
            head,
            deadlines: self,
            alarm,
            progress,
            sent,
            waiting: false,
        }
    }

    /// The alarm went off at `now`: until when may the exchange go on, if it may?
    fn prolonged(
        &self,
        now: Instant,
        sent: Instant,
        progress: Option<&Progress>,
    ) -> Result<Instant, Expired> {
        let client = progress.is_some_and(Progress::waits_for_client);
        if now >= self.whole_at {
            return Err(if client {
                Expired::Client
            } else {
                Expired::Whole(self.whole)
            });
        }
        let since = if client {
            now
        } else {
            progress.map_or(sent, Progress::last)
        };
        let until = self.within_whole(since + self.first_byte);
        if until > now {
            Ok(until)
        } else {
            Err(Expired::FirstByte(self.first_byte))
        }
    }
}

pin_project_lite::pin_project! {
    /// See [`Deadlines::head`]. Written out, since an `async fn` would keep the request in it twice.
    pub(super) struct Head<'a, F> {
        #[pin]
        head: F,
        deadlines: &'a Deadlines,
        alarm: &'a mut Alarm,
        progress: Option<&'a Progress>,
        sent: Instant,
        waiting: bool,
    }
}

impl<F: Future> Future for Head<'_, F> {
    type Output = Result<F::Output, Expired>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.head.poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        if !*this.waiting {
            *this.waiting = true;
            this.alarm.set(
                this.deadlines
                    .within_whole(*this.sent + this.deadlines.first_byte),
            );
        }
        while this.alarm.poll(cx).is_ready() {
            match this
                .deadlines
                .prolonged(Instant::now(), *this.sent, *this.progress)
            {
                Ok(later) => this.alarm.set(later),
                Err(expired) => return Poll::Ready(Err(expired)),
            }
        }
        Poll::Pending
    }
}
