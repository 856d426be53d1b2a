//! A session as the rules look at it: what they all ask of it, asked once.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use port21_proto::event::{
    Closing, Connection, ConnectionId, Counts, End, EventKind, ForeignReset, Purpose, TlsFailure,
};
use port21_proto::{Code, Verb, addr};

use super::{Finding, Rule};
use crate::session::{Ending, Exchange, Session, Transfer};
use crate::words::{clip, shown};

/// So many findings of one rule are told of one session: what fails so often has been said.
pub(crate) const MAX_PER_RULE: usize = 50;

/// So many rows are named as evidence.
const MAX_ROWS: usize = 64;

pub(super) struct Case<'a> {
    pub(super) session: &'a Session,
    of_connection: HashMap<ConnectionId, Vec<usize>>,
    /// The reply to AUTH, or the first TLS record: from there on what is said is protected.
    pub(super) secure: Option<usize>,
    aborted: HashSet<ConnectionId>,
    joined: HashSet<ConnectionId>,
}

impl<'a> Case<'a> {
    pub(super) fn new(session: &'a Session) -> Case<'a> {
        let mut of_connection: HashMap<ConnectionId, Vec<usize>> = HashMap::new();
        let (mut secure, mut aborted, mut joined) = (None, HashSet::new(), HashSet::new());
        for (i, event) in session.events().iter().enumerate() {
            if let Some(id) = event.kind.connection() {
                of_connection.entry(id).or_default().push(i);
            }
            match &event.kind {
                EventKind::Tls { .. } => secure = secure.or(Some(i)),
                EventKind::Joined(c) => {
                    joined.insert(c.id);
                }
                EventKind::Reply { code, .. } if code.number() == 234 => secure = secure.or(Some(i)),
                EventKind::Command { connection, .. } if event.kind.verb() == Some(Verb::Abor) => {
                    aborted.insert(*connection);
                }
                _ => {}
            }
        }
        Case { session, of_connection, secure, aborted, joined }
    }

    pub(super) fn kind(&self, i: usize) -> Option<&'a EventKind> {
        self.session.events().get(i).map(|e| &e.kind)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (usize, &'a EventKind)> {
        self.session.events().iter().enumerate().map(|(i, e)| (i, &e.kind))
    }

    /// The events of a connection.
    pub(super) fn of(&self, id: ConnectionId) -> impl Iterator<Item = (usize, &'a EventKind)> {
        let events = self.of_connection.get(&id).map(Vec::as_slice).unwrap_or_default();
        events.iter().filter_map(|&i| Some((i, self.kind(i)?)))
    }

    /// Data connections that did not come to stand, with the event and the reason.
    pub(super) fn unopened(&self) -> impl Iterator<Item = (usize, &'a Connection, &'a str)> {
        self.events().filter_map(|(i, kind)| match kind {
            EventKind::OpenFailed { connection, why } => {
                let connection = self.session.connection(*connection)?;
                let due = connection.opener == End::Client || !self.was_refused_before(connection.id, i);
                (connection.purpose == Purpose::Data && due).then_some((i, connection, why.as_str()))
            }
            _ => None,
        })
    }

    /// Whether the server had refused the transfer before this event, for another reason than its connection: it then
    /// has no cause to open one.
    fn was_refused_before(&self, data: ConnectionId, i: usize) -> bool {
        let exchange = self.session.transfer_of(data).and_then(|t| self.exchange(t));
        exchange.is_some_and(|x| {
            let refused = x.code.is_some_and(|code| code.is_error() && code.number() != 425);
            refused && self.final_reply(x).is_some_and(|reply| reply < i)
        })
    }

    /// Whether a connection came to stand.
    pub(super) fn stood(&self, id: ConnectionId) -> bool {
        self.of(id).any(|(_, k)| matches!(k, EventKind::Opened(_) | EventKind::Joined(_) | EventKind::Data { .. }))
    }

    /// Whether the transfer's data connection came to stand.
    pub(super) fn has_data(&self, t: &Transfer) -> bool {
        t.connection.is_some_and(|id| self.stood(id))
    }

    pub(super) fn exchange(&self, t: &Transfer) -> Option<&'a Exchange> {
        self.session.exchanges().get(t.exchange)
    }

    /// Transfers that did not end well, and were not broken off by ABOR, with their commands' events.
    pub(super) fn failed(&self) -> impl Iterator<Item = (usize, &'a Transfer)> {
        self.session.transfers().iter().filter(|t| t.ending != Ending::Done).filter_map(|t| {
            let exchange = self.exchange(t)?;
            let command = exchange.command?;
            (!self.is_aborted(exchange)).then_some((command, t))
        })
    }

    /// Whether a listing that was refused only asked for a directory that the client then made.
    pub(super) fn is_probe(&self, t: &Transfer) -> bool {
        let Some(asked) = self.exchange(t).filter(|_| t.is_listing() && matches!(t.ending, Ending::Failed(_))) else {
            return false;
        };
        let mut behind = self.session.exchanges().iter().skip(t.exchange + 1).take(64);
        behind.any(|x| {
            let made = x.verb == Some(Verb::Mkd) && x.code.is_some_and(|code| code.is_completion());
            made && self.argument(x) == self.argument(asked)
        })
    }

    /// Whether ABOR came while the command ran.
    pub(super) fn is_aborted(&self, exchange: &Exchange) -> bool {
        let Some(command) = exchange.command.filter(|_| self.aborted.contains(&exchange.connection)) else {
            return false;
        };
        let end = self.final_reply(exchange).unwrap_or(usize::MAX);
        let behind = self.events().take_while(|(i, _)| *i < end).skip(command + 1).take(100_000);
        let mut commands = behind.filter_map(|(_, kind)| kind.verb());
        // What may be asked while a transfer runs.
        commands.find(|verb| !matches!(verb, Verb::Noop | Verb::Stat)) == Some(Verb::Abor)
    }

    /// What a driver told of TLS that failed on the transfer's data connection, or while its command ran.
    pub(super) fn tls_failure(&self, t: &Transfer) -> Option<(usize, TlsFailure, &'a str)> {
        let told = |(i, kind): (usize, &'a EventKind)| match kind {
            EventKind::TlsFailed { why, text, .. } => Some((i, *why, text.as_str())),
            _ => None,
        };
        t.connection.and_then(|id| self.of(id).find_map(told))
    }

    /// What was counted of a side of a connection.
    pub(super) fn counted(&self, id: ConnectionId, end: End) -> Option<(usize, &'a Counts)> {
        self.of(id).find_map(|(i, kind)| match kind {
            EventKind::Counted { from, counts, .. } if *from == end => Some((i, counts)),
            _ => None,
        })
    }

    /// That a RST was sent by somebody between, where its hops tell: the end of a sentence.
    pub(super) fn foreign(&self, id: ConnectionId, by: End) -> String {
        match self.counted(id, by).and_then(|(_, counts)| counts.foreign_reset) {
            Some(ForeignReset { reset, others }) => format!(
                ", with a time to live of {reset}, where its other packets have {others}: something between the two has sent it"
            ),
            None => String::new(),
        }
    }

    /// What belongs to a transfer: what announced it, its command and replies, the begin and end of its connection.
    pub(super) fn evidence(&self, t: &Transfer) -> Vec<usize> {
        let exchanges = [t.announcement, Some(t.exchange)].into_iter().flatten();
        let mut rows: Vec<usize> =
            exchanges.filter_map(|x| self.session.exchanges().get(x)).flat_map(events_of).collect();
        let of_data = t.connection.into_iter().flat_map(|id| self.of(id));
        rows.extend(of_data.filter(|(_, kind)| !matches!(kind, EventKind::Data { .. })).map(|(i, _)| i).take(MAX_ROWS));
        rows
    }

    /// The final reply of a command.
    pub(super) fn final_reply(&self, exchange: &Exchange) -> Option<usize> {
        exchange.code.and_then(|_| exchange.replies.last().copied())
    }

    /// A reply: its code and its last line.
    pub(super) fn reply(&self, i: usize) -> Option<(Code, String)> {
        match self.kind(i)? {
            EventKind::Reply { code, lines, .. } => {
                Some((*code, clip(&shown(lines.last().map_or(&b""[..], |line| line)), 160)))
            }
            _ => None,
        }
    }

    /// All lines of a reply in small letters, to look for words in.
    pub(super) fn words(&self, i: usize) -> String {
        match self.kind(i) {
            Some(EventKind::Reply { lines, .. }) => {
                let lines: Vec<String> = lines.iter().take(20).map(|l| shown(l).to_lowercase()).collect();
                lines.join(" ")
            }
            _ => String::new(),
        }
    }

    /// The argument of a command.
    pub(super) fn argument(&self, exchange: &Exchange) -> &'a [u8] {
        match exchange.command.and_then(|c| self.kind(c)) {
            Some(EventKind::Command { argument, .. }) => argument,
            _ => b"",
        }
    }

    /// The end that was announced by PORT, EPRT or 227.
    pub(super) fn announced(&self, exchange: &Exchange) -> Option<SocketAddr> {
        match exchange.verb? {
            Verb::Port => addr::parse_port(self.argument(exchange)).ok().map(SocketAddr::V4),
            Verb::Eprt => addr::parse_eprt(self.argument(exchange)).ok(),
            Verb::Pasv => match self.kind(*exchange.replies.last()?)? {
                EventKind::Reply { code, lines, .. } if code.number() == 227 => {
                    addr::parse_pasv(lines.last()?).ok().map(SocketAddr::V4)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a reply tells a port as 229 does.
    pub(super) fn tells_port(&self, reply: usize) -> bool {
        match self.kind(reply) {
            Some(EventKind::Reply { lines, .. }) => lines.last().is_some_and(|line| addr::parse_epsv(line).is_ok()),
            _ => false,
        }
    }

    /// The end of the control connection: the first that ended it, how, and where that stands.
    pub(super) fn ended(&self, control: ConnectionId) -> Option<(usize, End, Closing)> {
        self.of(control).find_map(|(i, kind)| match kind {
            EventKind::Closed { by, how, .. } => Some((i, *by, *how)),
            _ => None,
        })
    }

    /// The address of a side of a control connection.
    pub(super) fn address(&self, control: ConnectionId, end: End) -> Option<IpAddr> {
        let c = self.session.connection(control)?;
        let address = if end == End::Client { c.client } else { c.server };
        address.map(|a| a.ip().to_canonical())
    }

    /// Whether data was read that passed in full: no TLS, nothing missing.
    pub(super) fn is_whole(&self, id: ConnectionId) -> bool {
        self.secure.is_none() && self.of(id).all(|(_, k)| !matches!(k, EventKind::Note { .. } | EventKind::Joined(_)))
    }

    /// Whether the control connection was there before anyone looked.
    pub(super) fn is_joined(&self, id: ConnectionId) -> bool {
        self.joined.contains(&id)
    }
}

/// What the rules have found so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    claimed: HashSet<usize>,
    of_rule: usize,
}

impl Found {
    pub(super) fn begin(&mut self) {
        self.of_rule = 0;
    }

    /// Adds a finding about `subject`, unless that follows from a fault that was found before. `evidence` are further
    /// events that belong to it, as indices into [`Session::events`].
    pub(super) fn add(
        &mut self,
        rule: &'static Rule,
        subject: usize,
        evidence: impl IntoIterator<Item = usize>,
        text: impl Into<String>,
    ) {
        if self.claimed.contains(&subject) {
            return;
        }
        let mut rows: Vec<usize> = [subject].into_iter().chain(evidence).collect();
        if rule.severity == super::Severity::Fault {
            self.claimed.extend(rows.iter().copied());
        }
        if self.of_rule >= MAX_PER_RULE {
            return;
        }
        self.of_rule += 1;
        rows.sort_unstable();
        rows.dedup();
        rows.truncate(MAX_ROWS);
        self.findings.push(Finding { rule, subject, rows, text: text.into() });
    }
}

impl Found {
    /// Whether an event belongs to a fault that was found before.
    pub(super) fn has(&self, event: usize) -> bool {
        self.claimed.contains(&event)
    }

    /// Takes events for what was said of them already.
    pub(super) fn claim(&mut self, events: impl IntoIterator<Item = usize>) {
        self.claimed.extend(events);
    }
}

/// The events of an exchange.
pub(super) fn events_of(exchange: &Exchange) -> impl Iterator<Item = usize> + '_ {
    exchange.command.into_iter().chain(exchange.replies.iter().copied())
}

pub(super) fn name(end: End) -> &'static str {
    match end {
        End::Client => "client",
        End::Server => "server",
    }
}

/// `RETR readme.txt`.
pub(super) fn title(t: &Transfer) -> String {
    if t.name.is_empty() { t.verb.to_string() } else { format!("{} {}", t.verb, clip(&t.name, 60)) }
}

/// Whether an address means nothing beyond its own network (RFC 1918, RFC 3927, RFC 4193, RFC 6598).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
