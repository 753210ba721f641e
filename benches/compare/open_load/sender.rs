//! Sends what is due and reads what comes: one thread, which waits in one place.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{Answer, Reader};
use super::arguments::Plan;
use super::report::Outcome;

/// How long the first opening of a connection may take.
const OPENING: Duration = Duration::from_secs(5);

/// After this, a connection that could not be opened again is tried once more.
const RETRY: Duration = Duration::from_millis(10);

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Events that are taken at once.
const EVENTS: usize = 256;

/// Sends everything that the plan says. An error: no connection could be opened, or the machine refuses what this needs.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, String> {
    // The kernel may wake a thread 50 µs late, to wake several at once. Where it does not let itself be told otherwise,
    // that shows in `latest_start`.
    let _set = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let mut sender = Sender::open(plan)?;
    sender.start = Instant::now();
    sender.drive()?;
    Ok(sender.outcome)
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not there: it is to be opened again.
    Closed,
    Opening,
    Idle,
    /// A request is being written or answered: the arrival of this number.
    Busy(u64),
}

/// A place for a connection, which is filled anew when the server closes it.
struct Connection {
    stream: Option<TcpStream>,
    state: State,
    /// How much of the request is written, in bytes.
    written: usize,
    reader: Reader,
}

struct Sender<'a> {
    plan: &'a Plan,
    address: SocketAddr,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Places that can send. The one that has rested longest is the next, so that all are in use, as are all threads of a
    /// server that shares connections out among them.
    idle: VecDeque<usize>,
    /// Places whose connection could not be opened again, and when to try next.
    closed: Vec<usize>,
    retry: Option<Instant>,
    /// The arrival that is sent next. Those that are due and wait are the numbers from here on: a queue without a store.
    next: u64,
    /// Requests under way.
    busy: usize,
    start: Instant,
    read: Vec<u8>,
    outcome: Outcome,
}

impl<'a> Sender<'a> {
    /// Opens all connections.
    fn open(plan: &'a Plan) -> Result<Self, String> {
        let epoll =
            epoll::create(CreateFlags::CLOEXEC).map_err(|error| format!("epoll cannot be used: {error}"))?;
        let (address, first) = reach(&plan.addresses)?;
        let count = usize::from(plan.connections);
        let (begin, end) = plan.schedule.window();
        let mut sender = Self {
            plan,
            address,
            epoll,
            connections: Vec::with_capacity(count),
            idle: VecDeque::with_capacity(count),
            closed: Vec::new(),
            retry: None,
            next: 0,
            busy: 0,
            start: Instant::now(),
            read: vec![0; READ],
            outcome: Outcome {
                // At once, so that no measurement waits for the list to move.
                latencies: Vec::with_capacity(usize::try_from(plan.schedule.counted()).unwrap_or(0)),
                window: end.saturating_sub(begin),
                ..Outcome::default()
            },
        };
        let mut first = Some(first);
        for place in 0..count {
            let stream = match first.take() {
                Some(stream) => stream,
                None => TcpStream::connect_timeout(&address, OPENING).map_err(|error| {
                    format!("of {count} connections to {address} only {place} could be opened: {error}")
                })?,
            };
            stream
                .set_nodelay(true)
                .and_then(|()| stream.set_nonblocking(true))
                .and_then(|()| Ok(epoll::add(&sender.epoll, &stream, mark(place), EventFlags::IN)?))
                .map_err(|error| format!("a connection cannot be used: {error}"))?;
            sender.connections.push(Connection {
                stream: Some(stream),
                state: State::Idle,
                written: 0,
                reader: Reader::default(),
            });
            sender.idle.push_back(place);
        }
        Ok(sender)
    }

    /// Until everything is answered, or given up.
    fn drive(&mut self) -> Result<(), String> {
        let (_, end) = self.plan.schedule.window();
        let last = self.start + end + self.plan.grace;
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            let now = self.send_due(Instant::now());
            self.reopen(now);
            if self.next >= self.plan.schedule.total && self.busy == 0 {
                return Ok(());
            }
            if now >= last {
                self.give_up(now);
                return Ok(());
            }
            // Without a connection to send on, only a readiness can bring one.
            let due =
                (!self.idle.is_empty() && self.next < self.plan.schedule.total).then(|| self.due(self.next));
            let wake = [due, self.retry].into_iter().flatten().fold(last, Instant::min);
            let timeout = Timespec::try_from(wake.saturating_duration_since(now))
                .map_err(|error| format!("a wait cannot be told to the kernel: {error}"))?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(format!("epoll failed: {error}")),
            }
            for event in events.drain(..) {
                let (flags, data) = (event.flags, event.data);
                if let Ok(place) = usize::try_from(data.u64()) {
                    self.ready(place, flags);
                }
            }
        }
    }

    /// When the arrival of this number is due.
    fn due(&self, arrival: u64) -> Instant {
        self.start + self.plan.schedule.due(arrival)
    }

    /// Sends what is due, as far as connections are free. Returns the time, since it has looked.
    fn send_due(&mut self, mut now: Instant) -> Instant {
        while self.next < self.plan.schedule.total && self.due(self.next) <= now {
            let Some(place) = self.idle.pop_front() else {
                break;
            };
            let arrival = self.next;
            self.next += 1;
            if let Some(connection) = self.connections.get_mut(place) {
                connection.state = State::Busy(arrival);
                connection.written = 0;
                self.busy += 1;
                now = self.write(place, arrival);
            }
        }
        now
    }

    /// Writes what is left of the request. Returns the time after that.
    fn write(&mut self, place: usize, arrival: u64) -> Instant {
        let (Some(connection), Some(request)) = (
            self.connections.get_mut(place),
            chosen(&self.plan.requests, arrival),
        ) else {
            return Instant::now();
        };
        let Some(mut stream) = connection.stream.as_ref() else {
            return Instant::now();
        };
        let left = request.get(connection.written..).unwrap_or_default();
        let was_split = connection.written > 0;
        let wrote = match stream.write(left) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            other => other,
        };
        let now = Instant::now();
        match wrote {
            Ok(count) => {
                connection.written += count;
                let is_whole = count == left.len();
                let watch = if is_whole {
                    EventFlags::IN
                } else {
                    EventFlags::IN | EventFlags::OUT
                };
                if (was_split || !is_whole)
                    && let Err(error) = epoll::modify(&self.epoll, stream, mark(place), watch)
                {
                    self.lose(place, arrival, format!("epoll failed: {error}"), now);
                } else if is_whole {
                    self.written(arrival, now);
                }
            }
            Err(error) => {
                self.written(arrival, now);
                self.lose(
                    place,
                    arrival,
                    format!("a request could not be written: {error}"),
                    now,
                );
            }
        }
        now
    }

    /// Notes how late it was.
    fn written(&mut self, arrival: u64, now: Instant) {
        if self.plan.schedule.is_counted(arrival) {
            let late = now.saturating_duration_since(self.due(arrival));
            self.outcome.latest_start = self.outcome.latest_start.max(late);
        }
    }

    /// Something can be done on this connection.
    fn ready(&mut self, place: usize, flags: EventFlags) {
        let Some(connection) = self.connections.get(place) else {
            return;
        };
        match connection.state {
            State::Closed => {}
            State::Opening => self.opened(place),
            State::Idle => self.read(place, None),
            State::Busy(arrival) => {
                if flags.contains(EventFlags::OUT) {
                    self.write(place, arrival);
                }
                // Writing may have found the connection broken, and another is being opened in its place.
                let is_same = self
                    .connections
                    .get(place)
                    .is_some_and(|now| now.state == State::Busy(arrival));
                if is_same && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.read(place, Some(arrival));
                }
            }
        }
    }

    /// Reads what has come: a piece of the answer, or the connection's end.
    fn read(&mut self, place: usize, arrival: Option<u64>) {
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        let Some(mut stream) = connection.stream.as_ref() else {
            return;
        };
        let came = stream.read(&mut self.read);
        let now = Instant::now();
        let read = match came {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Ok(0) => connection.reader.end().map(Some),
            Ok(count) => connection.reader.push(self.read.get(..count).unwrap_or_default()),
            Err(error) => Err(format!("the connection broke: {error}")),
        };
        let Some(arrival) = arrival else {
            // Closed, or spoken on without being asked: no request is lost by that.
            self.close(place, now);
            return;
        };
        match read {
            Ok(None) => {}
            Ok(Some(answer)) => self.answered(place, arrival, answer, now),
            Err(why) => self.lose(place, arrival, why, now),
        }
        // Whoever waited longest gets the connection that is free now, before the other events are looked at.
        self.send_due(now);
    }

    fn answered(&mut self, place: usize, arrival: u64, answer: Answer, now: Instant) {
        self.busy -= 1;
        let (begin, end) = self.plan.schedule.window();
        if (begin..end).contains(&now.saturating_duration_since(self.start)) {
            self.outcome.in_window += 1;
        }
        if self.plan.schedule.is_counted(arrival) {
            self.measure(arrival, now);
            *self.outcome.statuses.entry(answer.status).or_default() += 1;
        }
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        let is_written =
            chosen(&self.plan.requests, arrival).is_some_and(|request| connection.written == request.len());
        // Answered before it was asked to the end: what is left of the request would be taken for the next.
        if answer.keeps && is_written {
            connection.state = State::Idle;
            self.idle.push_back(place);
        } else {
            self.close(place, now);
        }
    }

    /// Notes the time since this one was due.
    fn measure(&mut self, arrival: u64, now: Instant) {
        let latency = now.saturating_duration_since(self.due(arrival)).as_micros();
        self.outcome
            .latencies
            .push(u32::try_from(latency).unwrap_or(u32::MAX));
    }

    /// A request will not be answered.
    fn lose(&mut self, place: usize, arrival: u64, why: String, now: Instant) {
        self.busy -= 1;
        if self.plan.schedule.is_counted(arrival) {
            self.outcome.errors += 1;
            self.outcome.first_error.get_or_insert(why);
        }
        self.close(place, now);
    }

    /// Counts whatever is unanswered. It has waited until now, which is the least that its latency would have been.
    fn give_up(&mut self, now: Instant) {
        let under_way = self
            .connections
            .iter()
            .filter_map(|connection| match connection.state {
                State::Busy(arrival) => Some(arrival),
                _ => None,
            });
        let left: Vec<u64> = under_way.chain(self.next..self.plan.schedule.total).collect();
        for arrival in left {
            if self.plan.schedule.is_counted(arrival) {
                self.measure(arrival, now);
                self.outcome.errors += 1;
                if arrival >= self.next {
                    self.written(arrival, now);
                }
                let grace = self.plan.grace;
                self.outcome
                    .first_error
                    .get_or_insert_with(|| format!("unanswered {grace:?} after the last was due"));
            }
        }
    }

    /// Closes what is there, and opens it again.
    fn close(&mut self, place: usize, now: Instant) {
        if let Some(connection) = self.connections.get_mut(place) {
            if connection.state == State::Idle {
                self.idle.retain(|other| *other != place);
            }
            // The kernel forgets the readiness of what is closed.
            connection.stream = None;
            connection.state = State::Closed;
            connection.reader = Reader::default();
            self.begin(place, now);
        }
    }

    /// Begins to open the connection of this place. What comes of it is seen by its readiness, or is tried later.
    fn begin(&mut self, place: usize, now: Instant) {
        match opening(self.address) {
            Ok(stream)
                if epoll::add(
                    &self.epoll,
                    &stream,
                    mark(place),
                    EventFlags::IN | EventFlags::OUT,
                )
                .is_ok() =>
            {
                if let Some(connection) = self.connections.get_mut(place) {
                    connection.stream = Some(stream);
                    connection.state = State::Opening;
                }
            }
            // Nothing is lost by that yet. Requests wait for a connection, and their waiting counts.
            _ => self.later(place, now),
        }
    }

    fn later(&mut self, place: usize, now: Instant) {
        self.closed.push(place);
        self.retry.get_or_insert(now + RETRY);
    }

    /// The opening came to its end, this way or that.
    fn opened(&mut self, place: usize) {
        let now = Instant::now();
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        let is_open = connection.stream.as_ref().is_some_and(|stream| {
            matches!(stream.take_error(), Ok(None))
                && epoll::modify(&self.epoll, stream, mark(place), EventFlags::IN).is_ok()
        });
        if is_open {
            connection.state = State::Idle;
            self.idle.push_back(place);
            self.send_due(now);
        } else {
            connection.stream = None;
            connection.state = State::Closed;
            self.later(place, now);
        }
    }

    /// Tries again what could not be opened, when it is time.
    fn reopen(&mut self, now: Instant) {
        if self.retry.is_some_and(|retry| retry <= now) {
            self.retry = None;
            for place in std::mem::take(&mut self.closed) {
                self.begin(place, now);
            }
        }
    }
}

/// The request of this arrival: they are sent in turn.
fn chosen(requests: &[Vec<u8>], arrival: u64) -> Option<&Vec<u8>> {
    let place = arrival.checked_rem(requests.len() as u64)?;
    requests.get(usize::try_from(place).ok()?)
}

fn mark(place: usize) -> EventData {
    EventData::new_u64(place as u64)
}

/// The first of these addresses that can be reached, and a connection to it.
fn reach(addresses: &[SocketAddr]) -> Result<(SocketAddr, TcpStream), String> {
    let mut failure = "the host has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(address, OPENING) {
            Ok(stream) => return Ok((*address, stream)),
            Err(error) => failure = format!("{address} cannot be reached: {error}. Is the server started?"),
        }
    }
    Err(failure)
}

/// A connection that is being opened, without waiting for it.
fn opening(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}
