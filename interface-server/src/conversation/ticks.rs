//! Recurring events that a conversation's consumer has asked for.

use std::time::Duration;

use bytestring::ByteString;
use towpath_layer_core::{Application, Content, Counter, EventKind, Tick};

use super::{Action, Conversation, Stage, Turn};

/// Ticks of one conversation.
const TICKS_MAX: usize = 16;

/// The name of a tick, in bytes.
const NAME_LEN_MAX: usize = 255;

/// What is asked for more often is raised to this.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// MessagePack's nil: a tick says nothing but its name.
const NIL: &[u8] = &[0xc0];

#[derive(Debug)]
struct Recurring {
    event: Application,
    every: Duration,
    next: Duration,
}

impl Recurring {
    /// Moves the next time beyond `now`, without leaving the grid.
    fn step(&mut self, now: Duration) {
        let late = now.saturating_sub(self.next).as_nanos();
        let skipped = late / self.every.as_nanos().max(1);
        let steps = u32::try_from(skipped).unwrap_or(u32::MAX).saturating_add(1);
        self.next = self.next.saturating_add(self.every.saturating_mul(steps));
    }
}

#[derive(Debug, Default)]
struct Table {
    recurring: Vec<Recurring>,
    /// The time at which the shell was told to look.
    armed: Option<Duration>,
}

/// The ticks of a conversation; one pointer while there are none.
#[derive(Debug, Default)]
pub(super) struct Ticks(Option<Box<Table>>);

impl Ticks {
    fn set(&mut self, event: Application, every: Duration, now: Duration) -> bool {
        let table = self.0.get_or_insert_default();
        let next = now.saturating_add(every);
        let recurring = Recurring { event, every, next };
        let same = |known: &&mut Recurring| known.event == recurring.event;
        if let Some(known) = table.recurring.iter_mut().find(same) {
            *known = recurring;
        } else if table.recurring.len() < TICKS_MAX {
            table.recurring.push(recurring);
        } else {
            return false;
        }
        true
    }

    fn remove(&mut self, event: &Application) {
        if let Some(table) = &mut self.0 {
            table.recurring.retain(|known| known.event != *event);
        }
    }

    /// What is due; each is due again later.
    fn take_due(&mut self, now: Duration) -> Vec<Application> {
        let Some(table) = &mut self.0 else {
            return Vec::new();
        };
        let due = table
            .recurring
            .iter_mut()
            .filter(|known| known.next <= now)
            .map(|known| {
                known.step(now);
                known.event.clone()
            });
        due.collect()
    }

    /// What the shell has to be told, if that has changed.
    fn rearm(&mut self) -> Option<Action> {
        let table = self.0.as_mut()?;
        let at = table.recurring.iter().map(|known| known.next).min();
        let was = std::mem::replace(&mut table.armed, at);
        if at.is_none() {
            self.0 = None;
        }
        (was != at).then_some(Action::Wake { was, at })
    }
}

fn event(name: ByteString, stream: Option<ByteString>) -> Application {
    let content = Content::from_encoded(NIL.into());
    let event = Application::new(name, content);
    Application { stream, ..event }
}

impl Conversation {
    /// Starts or stops a tick.
    pub(super) fn set_tick(&mut self, tick: Tick, turn: &mut Turn<'_>) {
        let event = event(tick.name, tick.stream);
        match tick.every {
            None => {
                self.ticks.remove(&event);
                self.waiting.remove(&event);
            }
            Some(every) if self.ticks_run() => {
                let every = every.max(EVERY_MIN);
                let fits = event.name.len() <= NAME_LEN_MAX;
                if !fits || !self.ticks.set(event, every, turn.now) {
                    tracing::warn!(
                        path = %self.path,
                        "a tick is ignored: a conversation has {TICKS_MAX} at most, \
                         with names of {NAME_LEN_MAX} bytes"
                    );
                    turn.push(Action::Count(Counter::Dropped));
                }
            }
            // The connection is about to be gone, and its ticks are.
            Some(_) => {}
        }
        self.rearm(turn);
    }

    /// Emits the ticks that are due. One whose predecessor still waits, or is
    /// in flight, is left out; so is one for which the queue has no room.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) {
        for event in self.ticks.take_due(turn.now) {
            let in_flight = self.in_flight.as_ref().map(|event| &event.kind);
            let pending = self.waiting.contains(&event)
                || matches!(in_flight, Some(EventKind::Application(known)) if **known == event);
            let kind = EventKind::Application(Box::new(event));
            if !pending && self.waiting.has_room(&kind, turn.rules) {
                self.waiting.push(kind);
            }
        }
        self.rearm(turn);
        self.advance(turn);
    }

    /// Ends all ticks: the connection ends.
    pub(super) fn end_ticks(&mut self, turn: &mut Turn<'_>) {
        if let Some(table) = &mut self.ticks.0 {
            table.recurring.clear();
        }
        self.rearm(turn);
    }

    fn ticks_run(&self) -> bool {
        matches!(self.stage, Stage::Asking | Stage::Open) && !self.draining
    }

    fn rearm(&mut self, turn: &mut Turn<'_>) {
        if let Some(action) = self.ticks.rearm() {
            turn.push(action);
        }
    }
}
