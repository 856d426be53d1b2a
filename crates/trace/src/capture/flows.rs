//! All TCP connections and name-server messages of a capture, in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use super::control::Control;
use super::dns::{self, Lookup};
use super::flow::{Flow, Role};
use super::packet::{Answer, Carried, Datagram, Packets, Segment};
use super::{file::Packet, sessions};
use crate::recording::Recording;
use crate::words::counted;

/// The most connections that are kept, each with less than a kilobyte: for a further one the oldest goes that is neither a
/// control connection nor one that a control connection has announced.
const MAX_FLOWS: usize = 65_536;

/// The most control connections.
const MAX_SESSIONS: usize = 10_000;

/// The most bytes of events, of all control connections together.
const MAX_EVENT_BYTES: usize = 512 * 1024 * 1024;

/// The most messages to and from name servers; the oldest go first.
const MAX_LOOKUPS: usize = 50_000;

/// Takes packets, and makes sessions of them.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    packets: Packets,
    /// The connection that stands between two ends: by its index in `all`, less those that were dropped before it.
    current: HashMap<[SocketAddr; 2], u64>,
    all: VecDeque<Flow>,
    /// How many of `all` were taken from its front.
    dropped: u64,
    /// Control connections and what belongs to them that were taken from its front.
    kept: Vec<Flow>,
    lookups: VecDeque<Lookup>,
    /// The ports that control connections have announced.
    announced: HashSet<u16>,
    /// The bytes of events.
    events: usize,
    /// The bytes that wait in all streams.
    waiting: usize,
    forgotten: u64,
}

impl Flows {
    /// Takes the next packet.
    pub(crate) fn packet(&mut self, packet: &Packet) {
        // The packet's bytes may be in `packets` (fragments put together), so that it is taken out while they are looked at.
        let mut packets = std::mem::take(&mut self.packets);
        match packets.read(packet) {
            Some(Carried::Tcp(segment)) => self.segment(&segment),
            Some(Carried::Udp(datagram)) => self.datagram(&datagram),
            Some(Carried::Icmp(answer)) => self.answer(answer),
            None => {}
        }
        self.packets = packets;
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let ends = if segment.from <= segment.to { [segment.from, segment.to] } else { [segment.to, segment.from] };
        let index = self.current.get(&ends).and_then(|n| usize::try_from(n.checked_sub(self.dropped)?).ok());
        let standing = index.and_then(|index| self.all.get_mut(index));
        match standing {
            Some(flow) if !flow.is_followed_by(segment) => {
                let (announced, size) = flow.control().map_or((0, 0), |c| (c.announcements.len(), c.size));
                flow.segment(segment, &mut self.waiting);
                if let Some(control) = flow.control_mut() {
                    self.announced.extend(control.announcements.iter().skip(announced).map(|a| a.port));
                    self.events += control.size.saturating_sub(size);
                    if self.events > MAX_EVENT_BYTES {
                        control.stop();
                    }
                }
            }
            standing => {
                // A lone RST or the last ACK of what has ended is no connection.
                if segment.rst && standing.is_none() {
                    return;
                }
                if let Some(flow) = standing {
                    flow.finish(&mut self.waiting);
                }
                let mut flow = Flow::new(segment, ends);
                flow.segment(segment, &mut self.waiting);
                self.current.insert(ends, self.dropped + self.all.len() as u64);
                self.all.push_back(flow);
                // Of control connections that go on, several may be in the way.
                for _ in 0..8 {
                    if self.all.len() > MAX_FLOWS {
                        self.forget();
                    }
                }
            }
        }
    }

    /// ICMP answers a segment of a connection. Of a connection that is not in the capture it tells nothing that could be drawn.
    fn answer(&mut self, answer: Answer) {
        let ends = if answer.from <= answer.to { [answer.from, answer.to] } else { [answer.to, answer.from] };
        let index = self.current.get(&ends).and_then(|n| usize::try_from(n.checked_sub(self.dropped)?).ok());
        if let Some(flow) = index.and_then(|index| self.all.get_mut(index)) {
            flow.answered(answer);
        }
    }

    /// Takes the oldest connection away, and keeps it aside where it matters.
    fn forget(&mut self) {
        let Some(mut flow) = self.all.pop_front() else { return };
        let standing = self.current.get(&flow.ends) == Some(&self.dropped);
        self.dropped += 1;
        if standing && flow.control().is_some() && self.all.len() < MAX_FLOWS + MAX_SESSIONS {
            // It may go on: it is the youngest again.
            self.current.insert(flow.ends, self.dropped + self.all.len() as u64);
            self.all.push_back(flow);
            return;
        }
        if standing {
            self.current.remove(&flow.ends);
        }
        flow.finish(&mut self.waiting);
        let mut ports = flow.ends.iter().map(|end| end.port());
        let is_data = ports.any(|port| port == sessions::ACTIVE_DATA || self.announced.contains(&port));
        if (flow.control().is_some() || is_data) && self.kept.len() < MAX_FLOWS {
            self.kept.push(flow);
        } else {
            self.forgotten += 1;
        }
    }

    fn datagram(&mut self, datagram: &Datagram<'_>) {
        if datagram.from.port() != dns::PORT && datagram.to.port() != dns::PORT {
            return;
        }
        if let Some(lookup) = Lookup::read(datagram.at, datagram.from, datagram.to, datagram.data) {
            if self.lookups.len() >= MAX_LOOKUPS {
                self.lookups.pop_front();
            }
            self.lookups.push_back(lookup);
        }
    }

    /// Makes sessions of what was seen.
    pub(crate) fn finish(mut self, mut notes: Vec<String>) -> Recording {
        let mut flows: Vec<Flow> = self.kept.into_iter().chain(self.all).collect();
        for flow in &mut flows {
            flow.finish(&mut self.waiting);
        }
        let mut lookups: Vec<Lookup> = self.lookups.into();
        for flow in &flows {
            if let Role::Dns(frames) = &flow.role {
                lookups.extend(frames.lookups.iter().cloned());
            }
        }
        lookups.sort_by_key(|lookup| lookup.at);
        if let Some((link, count)) = self.packets.unknown_link {
            let packets = counted(count, "packet", "packets");
            notes.push(format!(
                "{packets} of a link layer that is not read here (number {link}): Ethernet, Linux cooked, BSD loopback and raw \
                 IP are"
            ));
        }
        if self.forgotten > 0 {
            notes.push(format!(
                "{} were left out, as there are too many",
                counted(self.forgotten, "connection", "connections")
            ));
        }
        if flows.iter().filter_map(Flow::control).any(Control::is_full) {
            notes.push("of a very long session only the first part is shown".to_owned());
        }
        flows.sort_by_key(|flow| flow.began);
        let sessions = flows.iter().filter(|flow| flow.control().is_some()).count();
        if sessions > MAX_SESSIONS {
            notes.push(format!("of {sessions} sessions only the first {MAX_SESSIONS} are shown"));
        }
        let (sessions, lookups) = sessions::assemble(flows, lookups, MAX_SESSIONS);
        Recording { sessions, lookups, notes }
    }
}
