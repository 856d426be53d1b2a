//! From connections to sessions: each control connection with the data connections and look-ups that belong to it.
//!
//! A data connection belongs to the announcement (PORT, EPRT, PASV, EPSV) of its port. The address counts as well, but not
//! for all: behind NAT, or with `--advertise`, it is another than the one that was told, and then that of the control
//! connection will do. Of several announcements the address that fits best wins, then the latest.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::SessionEvent;
use port21_proto::event::{Closing, Connection, ConnectionId, End, EventKind, Purpose, Segment};

use super::control::{Announcement, Control};
use super::dns::Lookup;
use super::flow::{Flow, Mark, Role};
use super::packet::Undelivered;
use super::{lookups, nat};
use crate::Session;
use crate::recording::{Header, RecordedSession, Recorder};
use crate::words::bytes;

/// The port that active data comes from (RFC 959 section 3.2).
pub(super) const ACTIVE_DATA: u16 = 20;

/// The port that tells whose a connection is (RFC 1413), and the most questions to it that are told of a session.
const IDENT: u16 = 113;
const MAX_IDENTS: usize = 16;

/// With so many of the last announcements of its port a connection is compared.
const MOST_COMPARED: usize = 1000;

/// So much earlier than its announcement a connection may seem to begin, where packets were captured out of order.
const EARLY: Duration = Duration::from_millis(20);

/// A data connection, and whose it is.
pub(super) struct Data {
    pub(super) flow: Flow,
    /// The side of the flow that is the client's.
    pub(super) client: usize,
    /// Why it is thought to belong to its session, where no announcement says so; or what else is to be known of it.
    pub(super) remark: Option<&'static str>,
}

/// A session on its way.
pub(super) struct Draft {
    pub(super) flow: Flow,
    pub(super) control: Box<Control>,
    pub(super) data: Vec<Data>,
    /// What is to be said of it beside what was seen.
    pub(super) notes: Vec<SessionEvent>,
}

/// Makes sessions of connections, which come in the order in which they began; and events of the look-ups that belong to
/// none of them. Before the capture has `ended` nothing is said of what may turn out to be otherwise.
pub(super) fn assemble(
    flows: Vec<Flow>,
    lookups: Vec<Lookup>,
    most: usize,
    ended: bool,
) -> (Vec<RecordedSession>, Vec<SessionEvent>) {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut others: Vec<Flow> = Vec::new();
    for mut flow in flows {
        match std::mem::replace(&mut flow.role, Role::Other(None)) {
            Role::Control(control) if drafts.len() < most => {
                drafts.push(Draft { flow, control, data: Vec::new(), notes: Vec::new() })
            }
            Role::Control(_) | Role::Dns(_) => {}
            role => {
                flow.role = role;
                others.push(flow);
            }
        }
    }
    let orphans = tie(&mut drafts, others);
    let drafts = if ended { nat::join(drafts) } else { drafts };
    let mut led = vec![false; lookups.len()];
    let drafted = drafts.into_iter().map(|draft| draft.session(&lookups, &mut led));
    let mut sessions: Vec<RecordedSession> = drafted.collect();
    sessions.extend(without_control(orphans));
    sessions.sort_by_key(|session| session.header.start);
    let apart: Vec<Lookup> = lookups.into_iter().zip(led).filter(|(_, led)| !led).map(|(lookup, _)| lookup).collect();
    if let ([session], true) = (sessions.as_mut_slice(), ended && !apart.is_empty()) {
        let at = session.events.last().map(|event| event.at).unwrap_or_default();
        session
            .events
            .push(SessionEvent { at, kind: EventKind::Note { connection: None, text: lookups::of_others(&apart) } });
    }
    let mut id = 0;
    let mut next = || {
        id += 1;
        ConnectionId(id)
    };
    let mut events = Vec::new();
    lookups::tell(apart, &mut next, &mut events);
    (sessions, events)
}

/// Gives data connections to their sessions; returns those that are data, and nobody's.
fn tie(drafts: &mut [Draft], flows: Vec<Flow>) -> Vec<Flow> {
    let mut announced: HashMap<u16, Vec<(usize, Announcement)>> = HashMap::new();
    let mut by_hosts: HashMap<[IpAddr; 2], Vec<usize>> = HashMap::new();
    for (i, draft) in drafts.iter().enumerate() {
        for &announcement in &draft.control.announcements {
            announced.entry(announcement.port).or_default().push((i, announcement));
        }
        by_hosts.entry(hosts(&draft.flow)).or_default().push(i);
    }
    announced.values_mut().for_each(|of_port| of_port.sort_by_key(|(_, announcement)| announcement.at));
    let mut orphans = Vec::new();
    for flow in flows {
        let candidates = flow.ends.iter().enumerate().flat_map(|(listener, end)| {
            let of_port = announced.get(&end.port()).map(Vec::as_slice).unwrap_or_default();
            let known = of_port.partition_point(|(_, announcement)| announcement.at <= flow.began + EARLY);
            let last = of_port.get(known.saturating_sub(MOST_COMPARED)..known).unwrap_or_default();
            last.iter().map(move |(draft, announcement)| (listener, *draft, *announcement))
        });
        let fitting = candidates.filter_map(|(listener, draft, announcement)| {
            // Who opened a connection does not listen.
            if flow.opener == Some(listener) {
                return None;
            }
            let fit = drafts.get(draft)?.fit(&flow, listener, &announcement)?;
            Some(((fit, announcement.at), draft, listener, announcement))
        });
        if let Some((_, draft, listener, announcement)) = fitting.max_by_key(|(fit, ..)| *fit) {
            let client = if announcement.listener == End::Client { listener } else { 1 - listener };
            if let Some(draft) = drafts.get_mut(draft) {
                draft.data.push(Data { flow, client, remark: None });
            }
            continue;
        }
        let near = by_hosts.get(&hosts(&flow)).into_iter().flatten();
        if let Some(asked) = near.clone().rev().find(|&&i| drafts.get(i).is_some_and(|draft| draft.is_ident(&flow))) {
            let answered = flow.has(Segment::SynAck) || flow.has(Segment::Rst);
            if let Some(draft) = drafts.get_mut(*asked).filter(|draft| draft.notes.len() < MAX_IDENTS) {
                draft.notes.push(SessionEvent { at: flow.began, kind: EventKind::Ident { answered } });
            }
            continue;
        }
        let guess = near.rev().find_map(|&i| Some((i, drafts.get(i)?.guess(&flow)?)));
        match guess {
            Some((i, (client, why))) => {
                if let Some(draft) = drafts.get_mut(i) {
                    draft.data.push(Data { flow, client, remark: Some(why) });
                }
            }
            None if flow.ends.iter().any(|end| end.port() == ACTIVE_DATA) => orphans.push(flow),
            None => {}
        }
    }
    orphans
}

pub(super) fn hosts(flow: &Flow) -> [IpAddr; 2] {
    let [a, b] = flow.ends.map(host);
    if a <= b { [a, b] } else { [b, a] }
}

pub(super) fn host(end: SocketAddr) -> IpAddr {
    end.ip().to_canonical()
}

impl Draft {
    pub(super) fn end(&self, end: End) -> SocketAddr {
        let [a, b] = self.flow.ends;
        if self.side(end) == 0 { a } else { b }
    }

    /// The side of its flow that an end is.
    pub(super) fn side(&self, end: End) -> usize {
        usize::from((self.control.server == 0) != (end == End::Server))
    }

    /// How well a connection fits an announcement of its port; nothing where it does not.
    fn fit(&self, flow: &Flow, listener: usize, announcement: &Announcement) -> Option<u8> {
        let [a, b] = flow.ends.map(host);
        let (at, from) = if listener == 0 { (a, b) } else { (b, a) };
        let listens = host(self.end(announcement.listener));
        let connects = host(self.end(announcement.listener.other()));
        match (announcement.address.map(|a| a.to_canonical()), at, from) {
            (Some(told), at, from) if told == at && from == connects => Some(5),
            (_, at, from) if at == listens && from == connects => Some(4),
            // A third host: server to server, a proxy, a bounce.
            (Some(told), at, _) if told == at => Some(3),
            // One of the two hosts is another than on the control connection: several addresses, or NAT.
            (_, at, from) if at == listens || from == connects => Some(2),
            _ => None,
        }
    }

    /// Whether the server asks by this connection who the client's user is.
    fn is_ident(&self, flow: &Flow) -> bool {
        let Some((from, to)) =
            flow.opener.and_then(|side| Some((flow.ends.get(side)?, flow.ends.get(1 - side.min(1))?)))
        else {
            return false;
        };
        let during = flow.began >= self.flow.began && flow.began <= self.flow.last;
        to.port() == IDENT
            && host(*from) == host(self.end(End::Server))
            && host(*to) == host(self.end(End::Client))
            && during
    }

    /// Whether a connection that nothing has announced is likely to be a data connection of this session: the side that
    /// is the client's, and why.
    fn guess(&self, flow: &Flow) -> Option<(usize, &'static str)> {
        if flow.began < self.flow.began || flow.began > self.flow.last + EARLY {
            return None;
        }
        let client = host(self.end(End::Client));
        let [a, b] = flow.ends;
        let same = host(a) == host(b);
        let secure = self.control.secure.is_some_and(|since| flow.began >= since);
        let active = [a, b].iter().position(|end| end.port() == ACTIVE_DATA);
        let side = match (active, same) {
            (Some(server), _) => 1 - server,
            (None, false) => usize::from(host(b) == client),
            // On one host, the side that opened it: passive mode is what clients use.
            (None, true) => flow.opener?,
        };
        let unprivileged = a.port() >= 1024 && b.port() >= 1024;
        match (secure, active) {
            (true, _) if unprivileged || active.is_some() => {
                Some((side, "what announced it is within TLS; its hosts and its time make it a data connection"))
            }
            (false, Some(_)) => {
                Some((side, "what announced it is not in the capture; its port makes it a data connection"))
            }
            _ => None,
        }
    }

    /// Makes the session; `led` is told which look-ups belong to it.
    fn session(mut self, lookups: &[Lookup], led: &mut [bool]) -> RecordedSession {
        let client_side = 1 - self.control.server.min(1);
        let control = connection(&self.flow, ConnectionId::CONTROL, Purpose::Control, client_side);
        let mut events = Vec::new();
        begin(&self.flow, &control, client_side, &mut events);
        events.append(&mut self.control.events);
        end(&self.flow, &control, client_side, &mut events);
        counted(&self.flow, &control, client_side, &mut events);
        let open = self.flow.open;
        let mut id = 0;
        let mut next = || {
            id += 1;
            ConnectionId(id)
        };
        let ends = [End::Client, End::Server].map(|end| host(self.end(end)));
        let led_here = lookups::of(ends, self.flow.began, self.flow.last, lookups, led);
        lookups::tell(led_here, &mut next, &mut events);
        events.append(&mut self.notes);
        let secure = self.control.secure.is_some();
        self.data.sort_by_key(|data| data.flow.began);
        for data in self.data {
            data.events(next(), &mut events);
        }
        events.sort_by_key(|event| event.at);
        if !secure && !open {
            without_data(&mut events);
        }
        recorded(events)
    }
}

impl Data {
    fn events(&self, id: ConnectionId, events: &mut Vec<SessionEvent>) {
        let connection = connection(&self.flow, id, Purpose::Data, self.client);
        begin(&self.flow, &connection, self.client, events);
        let note = |at, text: String| SessionEvent { at, kind: EventKind::Note { connection: Some(id), text } };
        if let Some(why) = self.remark {
            events.push(note(self.flow.began, why.to_owned()));
        }
        if let Role::Other(Some(greeting)) = &self.flow.role {
            let at = self.flow.runs.iter().filter(|run| run.segments > 0).map(|run| run.first).min();
            let what = format!("data within TLS: {greeting}");
            events.push(note(at.unwrap_or(self.flow.began), what));
        }
        for (side, run) in self.flow.runs.iter().enumerate() {
            if run.bytes > 0 {
                let from = end_of(side, self.client);
                let (since, bytes, segments) = (run.first, run.bytes, Some(run.segments));
                let kind = EventKind::Data { connection: id, from, since, bytes, segments };
                events.push(SessionEvent { at: run.last, kind });
            }
            if run.lost > 0 && !self.flow.open {
                let text = format!("{} of this data connection are not in the capture", bytes(run.lost));
                events.push(note(run.last.max(self.flow.began), text));
            }
        }
        end(&self.flow, &connection, self.client, events);
        counted(&self.flow, &connection, self.client, events);
    }
}

/// Tells of what was counted.
fn counted(flow: &Flow, connection: &Connection, client: usize, events: &mut Vec<SessionEvent>) {
    for side in 0..2 {
        if let Some(counts) = flow.counts(side).filter(|_| !flow.open) {
            let kind = EventKind::Counted { connection: connection.id, from: end_of(side, client), counts };
            events.push(SessionEvent { at: flow.last, kind });
        }
    }
}

fn end_of(side: usize, client: usize) -> End {
    if side == client { End::Client } else { End::Server }
}

fn connection(flow: &Flow, id: ConnectionId, purpose: Purpose, client: usize) -> Connection {
    let [a, b] = flow.ends;
    let (client_at, server_at) = if client == 0 { (a, b) } else { (b, a) };
    let active = purpose == Purpose::Data && server_at.port() == ACTIVE_DATA;
    let opener = match flow.opener {
        Some(side) => end_of(side, client),
        None if active => End::Server,
        None => End::Client,
    };
    Connection { id, purpose, opener, client: Some(client_at), server: Some(server_at) }
}

/// The begin of a connection.
fn begin(flow: &Flow, connection: &Connection, client: usize, events: &mut Vec<SessionEvent>) {
    let mut push = |at, kind| events.push(SessionEvent { at, kind });
    if flow.opener.is_none() {
        return push(flow.began, EventKind::Joined(connection.clone()));
    }
    push(flow.began, EventKind::Opening(connection.clone()));
    for mark in flow.opening() {
        push(mark.at, mark.event(connection.id, client));
    }
    if let Some(at) = flow.stood {
        push(at, EventKind::Opened(connection.clone()));
    }
}

/// The end of a connection; it comes behind whatever was said in the same segment.
fn end(flow: &Flow, connection: &Connection, client: usize, events: &mut Vec<SessionEvent>) {
    let mut push = |at, kind| events.push(SessionEvent { at, kind });
    let id = connection.id;
    for mark in flow.closing() {
        push(mark.at, mark.event(id, client));
    }
    if flow.opener.is_some()
        && flow.stood.is_none()
        && !flow.has(Segment::SynAck)
        && !(flow.open && flow.young && flow.answers.is_empty())
    {
        let reset = flow.marks.iter().find(|m| m.kind == Segment::Rst && Some(m.side) != flow.opener);
        let attempts = flow.marks.iter().filter(|m| m.kind == Segment::Syn).count();
        let told = flow.answers.iter().find_map(|answer| match answer.why {
            Undelivered::Refused(why) => Some((answer.at, format!("refused by {}: {why} (ICMP)", answer.by))),
            Undelivered::Unreachable(why) => Some((answer.at, format!("{why}, says {} (ICMP)", answer.by))),
            Undelivered::TooLarge(_) => None,
        });
        let (at, why) = match (reset, told, attempts) {
            (Some(reset), ..) => (reset.at, "refused".to_owned()),
            (None, Some(told), _) => told,
            (None, None, 0 | 1) => (flow.last, "no answer in the capture".to_owned()),
            (None, None, n) => (flow.last, format!("no answer in the capture to {n} attempts")),
        };
        return push(at, EventKind::OpenFailed { connection: id, why });
    }
    for answer in &flow.answers {
        let text = match answer.why {
            Undelivered::Refused(why) | Undelivered::Unreachable(why) => {
                format!("{} answers a segment with ICMP: {why}", answer.by)
            }
            Undelivered::TooLarge(0) => format!("{} answers a segment with ICMP: it is too large", answer.by),
            Undelivered::TooLarge(most) => {
                format!("{} answers a segment with ICMP: it is too large, {} pass", answer.by, bytes(most.into()))
            }
        };
        push(answer.at, EventKind::Note { connection: Some(id), text });
    }
    for mark in flow.closing().filter(|mark| !mark.again) {
        let how = match mark.kind {
            Segment::Fin => Closing::Fin,
            Segment::Rst => Closing::Reset,
            _ => continue,
        };
        push(mark.at, EventKind::Closed { connection: id, by: end_of(mark.side, client), how });
    }
}

impl Mark {
    fn event(&self, connection: ConnectionId, client: usize) -> EventKind {
        EventKind::Segment { connection, from: end_of(self.side, client), segment: self.kind, again: self.again }
    }
}

/// Says of each transfer that was answered and has no data connection that the capture has none.
fn without_data(events: &mut Vec<SessionEvent>) {
    let session = Session::from_events(events.iter().cloned());
    let mut notes: Vec<SessionEvent> = Vec::new();
    for transfer in session.transfers().iter().filter(|t| t.connection.is_none()) {
        let Some(exchange) = session.exchanges().get(transfer.exchange) else { continue };
        let began = exchange.replies.iter().find_map(|&i| match &session.events().get(i)?.kind {
            EventKind::Reply { code, .. } if code.is_preliminary() || code.is_completion() => session.events().get(i),
            _ => None,
        });
        if let Some(reply) = began {
            let text = format!("the data connection of {} is not in the capture", transfer.verb);
            notes.push(SessionEvent { at: reply.at, kind: EventKind::Note { connection: None, text } });
        }
    }
    events.append(&mut notes);
    // Stable: a note stands behind the reply of its time.
    events.sort_by_key(|event| event.at);
}

/// Data connections whose control connection is not in the capture: a session for each two hosts.
fn without_control(flows: Vec<Flow>) -> Vec<RecordedSession> {
    let mut of_hosts: Vec<([IpAddr; 2], Vec<SessionEvent>, u32)> = Vec::new();
    let mut places: HashMap<[IpAddr; 2], usize> = HashMap::new();
    for flow in flows {
        let key = hosts(&flow);
        let place = *places.entry(key).or_insert_with(|| {
            let text = "the control connection of this data is not in the capture".to_owned();
            let note = SessionEvent { at: flow.began, kind: EventKind::Note { connection: None, text } };
            of_hosts.push((key, vec![note], 0));
            of_hosts.len() - 1
        });
        let Some((_, events, id)) = of_hosts.get_mut(place) else { continue };
        *id += 1;
        let server = flow.ends.iter().position(|end| end.port() == ACTIVE_DATA).unwrap_or(0);
        Data { client: 1 - server.min(1), flow, remark: None }.events(ConnectionId(*id), events);
    }
    of_hosts.into_iter().map(|(_, events, _)| recorded(events)).collect()
}

fn recorded(mut events: Vec<SessionEvent>) -> RecordedSession {
    events.sort_by_key(|event| event.at);
    let start = events.first().map(|event| event.at).unwrap_or_default();
    RecordedSession { name: None, header: Header::new(Recorder::Capture, start), events }
}
