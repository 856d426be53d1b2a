//! What happens in a session, for recordings and drawings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::{SessionEvent, Time};
use tokio::time::Instant;

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
/// back. Two sources of events of one recording share one. It is tokio's: in a test whose time is paused it stands still too.
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

    /// When a monotonic timer has to fire for this time.
    pub(crate) fn instant(&self, at: Time) -> Option<Instant> {
        self.started.checked_add(at.since(self.at_start))
    }
}

/// Where all parts of a session put their events, and take the names of connections from.
#[derive(Clone)]
pub(crate) struct Recorder {
    sink: Option<Arc<dyn EventSink>>,
    clock: Clock,
    next: Arc<AtomicU32>,
}

impl Recorder {
    pub(crate) fn new(sink: Option<Arc<dyn EventSink>>, clock: Clock) -> Recorder {
        Recorder { sink, clock, next: Arc::new(AtomicU32::new(ConnectionId::CONTROL.0 + 1)) }
    }

    /// Takes nothing down.
    pub(crate) fn off() -> Recorder {
        Recorder::new(None, Clock::start())
    }

    pub(crate) fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// A name for a connection: 1 and up.
    pub(crate) fn name(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        if let Some(sink) = &self.sink {
            sink.event(SessionEvent { at: self.now(), kind: kind() });
        }
    }

    pub(crate) fn pass(&self, event: SessionEvent) {
        if let Some(sink) = &self.sink {
            sink.event(event);
        }
    }
}
