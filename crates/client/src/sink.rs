//! What happens in a session, for recordings and drawings.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use port21_proto::{SessionEvent, Time};

/// Takes the events of a session, in the order in which they happened. Any `Fn(SessionEvent)` is one.
///
/// Called from within the session's own work: what it does must be quick and must not block. Without a sink no event
/// is built.
pub trait EventSink: Send + Sync {
    /// Takes one event. Secrets are masked in it already.
    fn event(&self, event: SessionEvent);
}

impl<F: Fn(SessionEvent) + Send + Sync> EventSink for F {
    fn event(&self, event: SessionEvent) {
        self(event);
    }
}

/// The clock of a session: the wall clock's time when it was started and what has passed since, so that it never goes
/// back. Two sources of events of one recording share one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at_start: Time,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock, once.
    pub fn start() -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { at_start: Time::ZERO + since_epoch, started: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.at_start + self.started.elapsed()
    }
}
