//! All TCP connections and name-server messages of a capture, in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::Time;

use super::control::Control;
use super::dns::{self, Lookup};
use super::flow::{Flow, Role};
use super::packet::{Answer, Carried, Datagram, Packets, Segment};
use super::recognise::CONTROL;
use super::{file::Packet, sessions};
use crate::input::Secrets;
use crate::recording::{RecordedSession, Recording};
use crate::words::counted;

/// The most connections that are kept, each with some 4 KiB beside what was said: for a further one the oldest goes that is
/// neither a control connection nor one that a control connection has announced.
const MAX_FLOWS: usize = 65_536;

/// The most control connections.
const MAX_SESSIONS: usize = 10_000;

/// The most bytes of what was said, on all connections together.
const MAX_SAID: usize = 512 * 1024 * 1024;

/// The most messages to and from name servers, and the most bytes of them; the oldest go first.
const MAX_LOOKUPS: usize = 50_000;
const MAX_LOOKUP_BYTES: usize = 64 * 1024 * 1024;

/// While a capture goes on: so long after its end, or its last word, a connection is kept that no session needs; so long one
/// that has not ended, and so long what name servers said.
const LINGERS: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(2 * 3600);
const LOOKED_UP: Duration = Duration::from_secs(600);

/// Takes packets, and makes sessions of them.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    secrets: Secrets,
    packets: Packets,
    /// The connection that stands between two ends: by its index in `all`, less those that were dropped before it.
    current: HashMap<[SocketAddr; 2], u64>,
    all: VecDeque<Flow>,
    /// How many of `all` were taken from its front.
    dropped: u64,
    /// Control connections and what belongs to them that were taken from its front.
    kept: Vec<Flow>,
    lookups: VecDeque<Lookup>,
    /// The bytes of them.
    looked_up: usize,
    /// The ports that control connections have announced.
    announced: HashSet<u16>,
    /// The bytes of what was said.
    said: usize,
    /// The bytes that wait in all streams.
    waiting: usize,
    forgotten: u64,
    /// Whether a control connection went over to TLS, so that data connections cannot be told by what announced them.
    secure: bool,
}

impl Flows {
    /// Keeps secrets, or not.
    pub(crate) fn new(secrets: Secrets) -> Flows {
        Flows { secrets, ..Flows::default() }
    }

    /// Takes the next packet. Says whether it may matter to a session.
    pub(crate) fn packet(&mut self, packet: &Packet) -> bool {
        // The packet's bytes may be in `packets` (fragments put together), so that it is taken out while they are looked at.
        let mut packets = std::mem::take(&mut self.packets);
        let matters = match packets.read(packet) {
            Some(Carried::Tcp(segment)) => self.segment(&segment),
            Some(Carried::Udp(datagram)) => {
                self.datagram(&datagram);
                false
            }
            Some(Carried::Icmp(answer)) => {
                self.answer(answer);
                true
            }
            None => false,
        };
        self.packets = packets;
        matters
    }

    /// Whether a connection of these ports may carry data of a session, or be one.
    fn is_near(&self, ends: &[SocketAddr; 2]) -> bool {
        let mut ports = ends.iter().map(|end| end.port());
        ports.any(|port| [sessions::ACTIVE_DATA, CONTROL].contains(&port) || self.announced.contains(&port))
    }

    fn segment(&mut self, segment: &Segment<'_>) -> bool {
        let ends = if segment.from <= segment.to { [segment.from, segment.to] } else { [segment.to, segment.from] };
        let index = self.current.get(&ends).and_then(|n| usize::try_from(n.checked_sub(self.dropped)?).ok());
        let standing = index.and_then(|index| self.all.get_mut(index));
        match standing {
            Some(flow) if !flow.is_followed_by(segment) => {
                let mut matters = false;
                let (announced, size) = (flow.control().map_or(0, |c| c.announcements.len()), flow.size());
                flow.segment(segment, &mut self.waiting);
                self.said = (self.said + flow.size()).saturating_sub(size);
                if self.said > MAX_SAID {
                    flow.stop();
                }
                if let Some(control) = flow.control() {
                    matters = true;
                    self.secure |= control.secure.is_some();
                    self.announced.extend(control.announcements.iter().skip(announced).map(|a| a.port));
                }
                matters || self.secure || self.is_near(&ends)
            }
            standing => {
                // A lone RST or the last ACK of what has ended is no connection.
                if segment.rst && standing.is_none() {
                    return false;
                }
                if let Some(flow) = standing {
                    let size = flow.size();
                    flow.finish(&mut self.waiting);
                    self.said = (self.said + flow.size()).saturating_sub(size);
                }
                let mut flow = Flow::new(segment, ends, self.secrets);
                flow.segment(segment, &mut self.waiting);
                self.said += flow.size();
                self.current.insert(ends, self.dropped + self.all.len() as u64);
                self.all.push_back(flow);
                // Of control connections that go on, several may be in the way.
                for _ in 0..8 {
                    if self.all.len() > MAX_FLOWS {
                        self.forget();
                    }
                }
                self.secure || self.is_near(&ends)
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
        self.said = self.said.saturating_sub(flow.size());
        flow.finish(&mut self.waiting);
        let mut ports = flow.ends.iter().map(|end| end.port());
        let is_data = ports.any(|port| port == sessions::ACTIVE_DATA || self.announced.contains(&port));
        if (flow.control().is_some() || is_data) && self.kept.len() < MAX_FLOWS {
            self.said += flow.size();
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
            self.looked_up += lookup.size();
            self.lookups.push_back(lookup);
            while self.lookups.len() > MAX_LOOKUPS || self.looked_up > MAX_LOOKUP_BYTES {
                self.forget_lookup();
            }
        }
    }

    fn forget_lookup(&mut self) {
        if let Some(oldest) = self.lookups.pop_front() {
            self.looked_up = self.looked_up.saturating_sub(oldest.size());
        }
    }

    /// Makes sessions of what was seen so far, with the control connections that `wanted` says.
    pub(super) fn so_far(&self, now: Time, wanted: impl Fn(&Flow) -> bool) -> Vec<RecordedSession> {
        let flows = self.kept.iter().chain(&self.all).filter(|flow| flow.control().is_none() || wanted(flow));
        let mut flows: Vec<Flow> =
            flows.map(|flow| flow.so_far(now)).filter(|f| f.control().is_none() || wanted(f)).collect();
        flows.sort_by_key(|flow| flow.began);
        let dns = self.all.iter().filter_map(|flow| match &flow.role {
            Role::Dns(frames) => Some(frames.lookups.iter()),
            _ => None,
        });
        let mut lookups: Vec<Lookup> = self.lookups.iter().chain(dns.flatten()).cloned().collect();
        lookups.sort_by_key(|lookup| lookup.at);
        sessions::assemble(flows, lookups, MAX_SESSIONS, false).0
    }

    /// Forgets connections that no session needs any more, and the middle of sessions of more than `most` events.
    pub(super) fn prune(&mut self, now: Time, most: usize) {
        let mut controls: HashMap<[IpAddr; 2], (bool, Time)> = HashMap::new();
        for flow in self.kept.iter_mut().chain(&mut self.all) {
            let silent = now.since(flow.last);
            if silent > IDLE || flow.is_over() && silent > LINGERS {
                continue;
            }
            let (key, began) = (sessions::hosts(flow), flow.began);
            let Some(control) = flow.control_mut() else { continue };
            let from = control.trim(most).or(control.from).unwrap_or(began);
            control.from = Some(from);
            let of_hosts = controls.entry(key).or_insert((false, from));
            *of_hosts = (of_hosts.0 || control.secure.is_some(), of_hosts.1.min(from));
        }
        let announced = std::mem::take(&mut self.announced);
        let needed = |flow: &Flow| {
            let silent = now.since(flow.last);
            let mut ports = flow.ends.iter().map(|end| end.port());
            let is_data = ports.any(|port| port == sessions::ACTIVE_DATA || announced.contains(&port));
            match (flow.control(), controls.get(&sessions::hosts(flow))) {
                (Some(_), _) => silent <= IDLE && !(flow.is_over() && silent > LINGERS),
                (None, Some((secure, from))) if is_data || *secure => !flow.is_over() || flow.last >= *from,
                _ => silent <= LINGERS,
            }
        };
        let mut waiting = self.waiting;
        let mut keep = |flow: &mut Flow| {
            let keep = needed(flow);
            if !keep {
                flow.finish(&mut waiting);
            }
            keep
        };
        self.kept.retain_mut(&mut keep);
        self.all.retain_mut(&mut keep);
        self.waiting = waiting;
        self.current = (self.dropped..).zip(&self.all).map(|(index, flow)| (flow.ends, index)).collect();
        let controls: Vec<&Control> = self.kept.iter().chain(&self.all).filter_map(Flow::control).collect();
        self.announced = controls.iter().flat_map(|control| control.announcements.iter().map(|a| a.port)).collect();
        self.secure = controls.iter().any(|control| control.secure.is_some());
        self.said = self.kept.iter().chain(&self.all).map(Flow::size).sum();
        let old = |lookup: &Lookup| now.since(lookup.at) > LOOKED_UP;
        while self.lookups.front().is_some_and(old) {
            self.forget_lookup();
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
        let (sessions, lookups) = sessions::assemble(flows, lookups, MAX_SESSIONS, true);
        Recording { sessions, lookups, notes }
    }
}
