//! What a server tells of its sessions, to whoever records or draws them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::{SessionEvent, Time};

use crate::clock::Clock;

/// Takes the events of one session, in the order in which they happened. It is called from the tasks that carry the
/// session and must not block them: hand the event to a channel, or do little.
pub type EventSink = Arc<dyn Fn(SessionEvent) + Send + Sync>;

/// Decides which sessions are watched: called at each connection that is let in, before its greeting.
pub type EventSinks = Arc<dyn Fn(&NewSession) -> Option<EventSink> + Send + Sync>;

/// A session that begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NewSession {
    /// Its number, counted from 1 since the server began.
    pub number: u64,
    /// The client's address and port, canonical (no IPv4 address mapped into IPv6).
    pub peer: SocketAddr,
    /// The server's address and port, canonical.
    pub local: SocketAddr,
    /// When the connection was accepted.
    pub at: Time,
}

/// A session's sink and what is needed to fill it. Where nobody watches there is none, and no event is made.
pub(crate) struct Events {
    sink: EventSink,
    clock: Clock,
    connections: AtomicU32,
}

impl Events {
    pub(crate) fn new(sink: EventSink, clock: Clock) -> Events {
        Events { sink, clock, connections: AtomicU32::new(ConnectionId::CONTROL.0) }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Passes on an event that has its time already.
    pub(crate) fn pass(&self, event: SessionEvent) {
        (self.sink)(event);
    }

    pub(crate) fn tell(&self, kind: EventKind) {
        self.tell_at(self.now(), kind);
    }

    pub(crate) fn tell_at(&self, at: Time, kind: EventKind) {
        (self.sink)(SessionEvent { at, kind });
    }

    pub(crate) fn note(&self, connection: Option<ConnectionId>, text: String) {
        self.tell(EventKind::Note { connection, text });
    }

    /// Names a further connection of the session.
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A data connection as events tell it.
pub(crate) fn data_connection(
    id: ConnectionId,
    opener: End,
    client: SocketAddr,
    server: Option<SocketAddr>,
) -> Connection {
    Connection { id, purpose: Purpose::Data, opener, client: Some(client), server }
}
