//! A control connection of a capture: its events, and the data connections that it announces.

use std::net::IpAddr;

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::observe::Observer;
use port21_proto::{SessionEvent, Time, Verb, addr};

use super::tls::{ENCRYPTED, Records, Told};
use crate::input::Secrets;
use crate::words::bytes as in_bytes;

/// The most events of one control connection.
const MAX_EVENTS: usize = 500_000;

/// The first events of a control connection, which are kept where others are dropped: the login.
const HEAD: usize = 32;

/// A port that one side has announced for data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcement {
    pub(super) at: Time,
    /// Who listens on it.
    pub(super) listener: End,
    /// The address that was told; EPSV tells none.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// What passes on a control connection.
#[derive(Debug)]
pub(super) struct Control {
    /// Which of the flow's sides is the server's.
    pub(super) server: usize,
    pub(super) events: Vec<SessionEvent>,
    pub(super) announcements: Vec<Announcement>,
    /// When TLS began.
    pub(super) secure: Option<Time>,
    observer: Observer,
    tls: [Records; 2],
    /// About as many bytes as the events have.
    told: usize,
    full: bool,
    /// From when on all of its events are there, where a capture that goes on had to drop some.
    pub(super) from: Option<Time>,
}

impl Control {
    pub(super) fn new(server: usize, implicit_tls: bool, secrets: Secrets) -> Control {
        let mut observer = Observer::new(ConnectionId::CONTROL);
        if secrets == Secrets::Shown {
            observer = observer.with_secrets();
        }
        if implicit_tls {
            observer.handle_implicit_tls();
        }
        Control {
            server,
            events: Vec::new(),
            announcements: Vec::new(),
            secure: None,
            observer,
            tls: Default::default(),
            told: 0,
            full: false,
            from: None,
        }
    }

    /// What is to be told of it while it goes on.
    pub(super) fn so_far(&self) -> Control {
        let mut control = Control::new(self.server, false, Secrets::Masked);
        control.events.clone_from(&self.events);
        control.announcements.clone_from(&self.announcements);
        (control.secure, control.told, control.full) = (self.secure, self.told, self.full);
        control
    }

    /// Drops events between its begin and now where there are more than `most`: says from when on they are kept, where some
    /// were dropped.
    pub(super) fn trim(&mut self, most: usize) -> Option<Time> {
        if self.events.len() <= most {
            return None;
        }
        let cut = self.events.len() - most / 2;
        let is_command = |event: &SessionEvent| matches!(event.kind, EventKind::Command { .. });
        let cut = (cut..self.events.len()).find(|&i| self.events.get(i).is_some_and(is_command)).unwrap_or(cut);
        let from = self.events.get(cut)?.at;
        self.events.drain(HEAD.min(cut)..cut);
        self.announcements.retain(|announcement| announcement.at >= from);
        self.told = self.events.len().saturating_mul(2 * size_of::<SessionEvent>());
        Some(from)
    }

    pub(super) fn end_of(&self, side: usize) -> End {
        if side == self.server { End::Server } else { End::Client }
    }

    /// Bytes of a side, in order.
    pub(super) fn bytes(&mut self, at: Time, side: usize, bytes: &[u8]) {
        if self.full {
            return;
        }
        let from = self.end_of(side);
        let mut rest = bytes;
        // FTP, then TLS, then FTP again (CCC): each passes on what is not its own, and something is taken in each round but
        // in the last.
        for _ in 0..4 {
            let taken = self.observer.handle_input(at, from, rest);
            self.collect();
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            let taken = self.records(at, side, rest);
            rest = rest.get(taken..).unwrap_or_default();
            match rest.first() {
                None => return,
                Some(b) if b.is_ascii_alphanumeric() && self.tls.get(side).is_some_and(Records::any) => {
                    self.observer.handle_clear(from);
                }
                Some(_) => {
                    self.tls.get_mut(side).into_iter().for_each(Records::gap);
                    self.records(at, side, rest);
                    return;
                }
            }
        }
    }

    /// Bytes of a side that passed and cannot be read: lost by the capture, or cut from a packet.
    pub(super) fn missing(&mut self, at: Time, side: usize, count: u64, why: &str) {
        let from = self.end_of(side);
        self.observer.handle_gap(from);
        if self.secure.is_some() {
            self.tls.get_mut(side).into_iter().for_each(Records::gap);
        }
        let who = if from == End::Client { "client" } else { "server" };
        let text = format!("{} from the {who} {why}", in_bytes(count));
        self.push(SessionEvent { at, kind: EventKind::Note { connection: Some(ConnectionId::CONTROL), text } });
    }

    /// A side has ended, or the capture has.
    pub(super) fn end(&mut self, at: Time, side: usize) {
        let from = self.end_of(side);
        self.observer.handle_end(at, from);
        self.collect();
    }

    /// Whether events were left out, as there were too many.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Takes no more events.
    pub(super) fn stop(&mut self) {
        self.full = true;
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        self.told + self.observer.size() + self.tls.iter().map(Records::size).sum::<usize>()
    }

    fn records(&mut self, at: Time, side: usize, bytes: &[u8]) -> usize {
        self.secure.get_or_insert(at);
        let from = self.end_of(side);
        let mut told: Vec<Told> = Vec::new();
        let taken = self.tls.get_mut(side).map_or(bytes.len(), |records| records.push(bytes, &mut told));
        for Told { what, alert, bytes } in told {
            if what == ENCRYPTED
                && let Some(SessionEvent { at: last, kind: EventKind::Tls { from: f, what: w, bytes: b, .. } }) =
                    self.events.last_mut()
                && *f == from
                && *w == what
            {
                (*last, *b) = (at, b.saturating_add(bytes));
                continue;
            }
            self.push(SessionEvent {
                at,
                kind: EventKind::Tls { connection: ConnectionId::CONTROL, from, what, alert, bytes },
            });
        }
        taken
    }

    fn collect(&mut self) {
        while let Some(event) = self.observer.poll_event() {
            self.announced(&event);
            self.push(event);
        }
    }

    fn push(&mut self, event: SessionEvent) {
        self.full |= self.events.len() >= MAX_EVENTS;
        if self.full {
            return;
        }
        self.told += size_of::<SessionEvent>();
        self.told += match &event.kind {
            EventKind::Command { verb, argument, .. } => verb.len() + argument.len(),
            EventKind::Reply { lines, .. } => lines.iter().map(|line| line.len() + size_of_val(line)).sum(),
            EventKind::Malformed { head, why, .. } => head.len() + why.len(),
            EventKind::Note { text, .. } => text.len(),
            _ => 0,
        };
        self.events.push(event);
    }

    fn announced(&mut self, event: &SessionEvent) {
        let (listener, address, port) = match &event.kind {
            EventKind::Command { argument, .. } => match event.kind.verb() {
                Some(Verb::Port) => match addr::parse_port(argument) {
                    Ok(a) => (End::Client, Some(IpAddr::from(*a.ip())), a.port()),
                    Err(_) => return,
                },
                Some(Verb::Eprt) => match addr::parse_eprt(argument) {
                    Ok(a) => (End::Client, Some(a.ip()), a.port()),
                    Err(_) => return,
                },
                _ => return,
            },
            EventKind::Reply { code, lines, .. } => {
                let text = lines.last().map_or(&b""[..], |line| line);
                match code.number() {
                    227 => match addr::parse_pasv(text) {
                        Ok(a) => (End::Server, Some(IpAddr::from(*a.ip())), a.port()),
                        Err(_) => return,
                    },
                    229 => match addr::parse_epsv(text) {
                        Ok(port) => (End::Server, None, port),
                        Err(_) => return,
                    },
                    _ => return,
                }
            }
            _ => return,
        };
        if !self.full && self.announcements.len() < MAX_EVENTS {
            self.announcements.push(Announcement { at: event.at, listener, address, port });
        }
    }
}
