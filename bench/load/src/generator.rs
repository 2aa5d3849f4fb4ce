//! The load generator's loop.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::error::LoadError;
use crate::latency::Latency;
use crate::marker::{PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN};
use crate::schedule::{Schedule, Timer};
use crate::shape::{Pace, Shape};
use crate::sockets::Sockets;
use crate::target::Target;
use crate::traffic::Wrong;
use crate::visits::Visits;

/// Handshakes on their way at once, well below any server's backlog.
const OPENING_MAX: usize = 64;
/// All connections must be open within this.
const OPENING_WAIT: Duration = Duration::from_mins(1);
/// What is still on its way at the end is waited for while something comes within this,
const DRAIN_QUIET: Duration = Duration::from_secs(3);
/// and no longer than this.
const DRAIN_WAIT: Duration = Duration::from_secs(20);
const EVENTS_MAX: usize = 1024;
const TURN_MAX: Duration = Duration::from_millis(50);
pub(crate) const TIMER: Token = Token(usize::MAX);

/// What a generator has counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that are open now, visitors left out.
    pub open: usize,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that arrived at the sockets that stay.
    pub delivered: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Visitors that were let in.
    pub came: u64,
    /// Visitors that have gone again.
    pub went: u64,
}

/// Loads one server. One thread's work; nothing happens between the calls.
#[derive(Debug)]
pub struct Generator {
    poll: Poll,
    events: Events,
    timer: Timer,
    sockets: Sockets,
    /// Of an open loop.
    schedule: Option<Schedule>,
}

impl Generator {
    /// One that has not opened anything yet.
    ///
    /// # Errors
    ///
    /// [`LoadError::Files`] if the limit on open files is too low; it is raised as far as
    /// it goes. [`LoadError::System`] if the system has no epoll or timer left.
    pub fn new(target: Target, mut shape: Shape) -> Result<Self, LoadError> {
        crate::raise_file_limit(shape.sockets)?;
        shape.payload_bytes = shape
            .payload_bytes
            .clamp(PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MAX);
        shape.room = shape.room.max(1);
        shape.speakers = shape.speakers.clamp(1, shape.room);
        let poll = Poll::new()?;
        Ok(Self {
            timer: Timer::new(poll.registry(), TIMER)?,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            sockets: Sockets::new(target, shape),
            schedule: None,
        })
    }

    /// Opens every connection, 64 at once, and says how many the server let in; the
    /// others count as closed.
    ///
    /// # Errors
    ///
    /// Why the first was refused, if all of the first 64 were or all were in the end;
    /// [`LoadError::Slow`] after a minute; [`LoadError::Connect`] if this machine has no
    /// port or file left.
    pub fn open(&mut self) -> Result<usize, LoadError> {
        let wanted = self.sockets.shape.sockets;
        let deadline = Instant::now() + OPENING_WAIT;
        loop {
            let settled = self.sockets.open + self.sockets.gone;
            if self.sockets.open == 0 && self.sockets.gone >= OPENING_MAX.min(wanted.max(1)) {
                return self.sockets.refused.take().map_or(Ok(0), Err);
            }
            if settled == wanted {
                return Ok(self.sockets.open);
            }
            for at in self.sockets.connections.len()..wanted.min(settled + OPENING_MAX) {
                self.sockets.begin(at, self.poll.registry())?;
            }
            if Instant::now() > deadline {
                return Err(LoadError::Slow {
                    opened: settled,
                    wanted,
                    wait: OPENING_WAIT,
                });
            }
            self.turn(TURN_MAX)?;
        }
    }

    /// Lets the speakers begin; what they say first leaves at once.
    ///
    /// # Errors
    ///
    /// [`LoadError::System`] if the timer cannot be set.
    pub fn start(&mut self) -> Result<(), LoadError> {
        let now = Instant::now();
        let shape = self.sockets.shape;
        if let Pace::Rate(interval) = shape.pace {
            self.schedule = Some(Schedule::new(now, interval, shape.speaking()));
            self.timer.set(Duration::ZERO)?;
        }
        self.sockets.visits = shape.visitors.map(|visitors| Visits::new(visitors, now));
        self.sockets.traffic.start();
        self.sockets.speak();
        Ok(())
    }

    /// Lets the traffic run for `time`.
    ///
    /// # Errors
    ///
    /// [`LoadError::System`] if the system does not wait, [`LoadError::Connect`] if this
    /// machine has no port or file left for a visitor.
    pub fn run(&mut self, time: Duration) -> Result<(), LoadError> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            self.turn((until - now).min(TURN_MAX))?;
        }
    }

    /// Falls silent and waits for what is on its way: while anything arrives within
    /// three seconds, and for twenty at most.
    ///
    /// # Errors
    ///
    /// As [`Generator::run`].
    pub fn drain(&mut self) -> Result<(), LoadError> {
        self.schedule = None;
        self.sockets.visits = None;
        self.sockets.traffic.stop();
        let deadline = Instant::now() + DRAIN_WAIT;
        let mut last = (self.counts().delivered, Instant::now());
        while !self.sockets.traffic.has_all() {
            let now = Instant::now();
            if now > deadline || now - last.1 > DRAIN_QUIET {
                break;
            }
            self.turn(TURN_MAX)?;
            if self.counts().delivered != last.0 {
                last = (self.counts().delivered, Instant::now());
            }
        }
        Ok(())
    }

    /// Forgets the latencies so far: a window begins.
    pub fn begin_window(&mut self) {
        self.sockets.traffic.latency.clear();
    }

    /// Latencies of deliveries since the window began: in an open loop from when a
    /// message was due, else from just before its write.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.sockets.traffic.latency
    }

    /// Times from the first packet until a connection was open, visitors left out.
    #[must_use]
    pub fn handshakes(&self) -> &Latency {
        &self.sockets.handshakes
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.sockets.counts()
    }

    /// The ports at this end of the connections that are there, visitors left out.
    #[must_use]
    pub fn local_ports(&self) -> Vec<u16> {
        let stay = self.sockets.connections.iter();
        stay.take(self.sockets.shape.sockets)
            .filter_map(|it| it.stream.local_addr().ok())
            .map(|address| address.port())
            .collect()
    }

    /// What is wrong, if nothing more arrives; ask after [`Generator::drain`].
    #[must_use]
    pub fn wrong(&self) -> Wrong {
        self.sockets.traffic.wrong()
    }

    fn turn(&mut self, time_max: Duration) -> Result<(), LoadError> {
        let time = self.due()?.min(time_max);
        match self.poll.poll(&mut self.events, Some(time)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            if event.token() == TIMER {
                continue;
            }
            self.sockets.handle(event);
            // Answers go out after each socket's read, so that the server has work
            // while the generator reads on.
            self.sockets.speak();
        }
        Ok(())
    }

    /// Does what is due by the clock, and says how long nothing will be, in so far as
    /// the timer does not wake the poll by itself.
    fn due(&mut self) -> Result<Duration, LoadError> {
        let now = Instant::now();
        if let Some(schedule) = &mut self.schedule {
            let mut any = false;
            while let Some((number, since)) = schedule.take(now) {
                self.sockets.traffic.is_due(number, since);
                any = true;
            }
            if any {
                self.sockets.speak();
                let next = schedule.next();
                self.timer
                    .set(next.saturating_duration_since(Instant::now()))?;
            }
        }
        self.sockets
            .let_visitors_come_and_go(now, self.poll.registry())
    }
}
