//! A capture that goes on.

use std::collections::HashSet;
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::{ConnectionId, EventKind, Purpose};

use super::Link;
use super::file::Packet;
use super::flow::Flow;
use super::flows::Flows;
use crate::recording::RecordedSession;

/// So many events of one session are kept; when there are more, the older half goes, but for the login.
const MAX_EVENTS: usize = 4_000;

/// How often what nobody needs any more is looked for.
const PRUNES: Duration = Duration::from_secs(2);

/// Data that has not grown for so long stalls.
const STALLS: Duration = Duration::from_secs(2);

/// Decodes packets while they come. Only what belongs to FTP is kept: connections that are something else, and sessions that
/// have ended, are forgotten after seconds; of a long session the middle is.
#[derive(Debug, Default)]
pub struct Live {
    flows: Flows,
    packet: Packet,
    ports: Vec<u16>,
    pruned: Time,
}

impl Live {
    /// Takes control connections to these ports of servers alone; to any port, where there is none.
    pub fn new(ports: Vec<u16>) -> Live {
        Live { ports, ..Live::default() }
    }

    /// Takes a packet: whether it may be a part of a session.
    pub fn packet(&mut self, at: Time, link: Link, bytes: &[u8]) -> bool {
        self.packet.at = at;
        self.packet.link = link.number().into();
        self.packet.bytes.clear();
        self.packet.bytes.extend_from_slice(bytes);
        if at.since(self.pruned) >= PRUNES {
            self.pruned = at;
            self.flows.prune(at, MAX_EVENTS);
        }
        self.flows.packet(&self.packet)
    }

    /// The sessions that go on, or ended a moment ago, as far as they are known: what is still missing is not told. Each comes
    /// with a name that it keeps.
    ///
    /// `growing` is whether data is told of that still flows; without, only once its connection has ended or stalls.
    pub fn sessions(&self, now: Time, growing: bool) -> Vec<(String, RecordedSession)> {
        let wanted = |flow: &Flow| {
            let server = flow.control().and_then(|control| flow.ends.get(control.server));
            self.ports.is_empty() || server.is_some_and(|end| self.ports.contains(&end.port()))
        };
        let mut sessions = self.flows.so_far(now, wanted);
        if !growing {
            sessions.iter_mut().for_each(|session| settled(session, now));
        }
        sessions.into_iter().map(|session| (name(&session), session)).collect()
    }
}

/// Leaves data out that still flows.
fn settled(session: &mut RecordedSession, now: Time) {
    let closed = session.events.iter().filter_map(|event| match event.kind {
        EventKind::Closed { connection, .. } => Some(connection),
        _ => None,
    });
    let closed: HashSet<ConnectionId> = closed.collect();
    session.events.retain(|event| match event.kind {
        EventKind::Data { connection, .. } => closed.contains(&connection) || now.since(event.at) > STALLS,
        _ => true,
    });
}

/// A name that no other session has: its ends, and when its control connection began.
fn name(session: &RecordedSession) -> String {
    let control = session.events.iter().find_map(|event| match &event.kind {
        EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) if c.purpose == Purpose::Control => {
            Some((c.client, c.server, event.at))
        }
        _ => None,
    });
    match control {
        Some((Some(client), Some(server), at)) => format!("{client} {server} {}", at.unix_nanos()),
        // Data whose control connection is not in the capture.
        _ => format!("data {}", session.header.start.unix_nanos()),
    }
}
