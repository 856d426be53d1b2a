//! Transfers: which command asked for them, which data connection carried them, how they ended.

use std::collections::HashMap;
use std::net::SocketAddr;

use port21_proto::event::{ConnectionId, End, EventKind, Purpose};
use port21_proto::parameters::Representation;
use port21_proto::{Code, Verb, addr};

use super::{Exchange, Session};
use crate::words::{clip, shown};

/// Which way a transfer's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the server to the client.
    Down,
    /// From the client to the server.
    Up,
}

/// Who connects to whom for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The server to the client: PORT, EPRT.
    Active,
    /// The client to the server: PASV, EPSV.
    Passive,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// With a 2yz reply.
    Done,
    /// With a 4yz or 5yz reply.
    Failed(Code),
    /// Its final reply did not come.
    Unanswered,
}

/// A transfer of a file or a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// RETR, STOR, STOU, APPE, LIST, NLST or MLSD.
    pub verb: Verb,
    /// The command's argument, safe to show; empty where it has none.
    pub name: String,
    /// Which way its bytes go.
    pub direction: Direction,
    /// Who connects to whom; nothing where no command said so.
    pub mode: Option<Mode>,
    /// PORT, EPRT, PASV or EPSV.
    pub setup: Option<Verb>,
    /// The address that was announced; EPSV announces a port of the control connection's server.
    pub announced: Option<SocketAddr>,
    /// How the data is represented.
    pub representation: Representation,
    /// The byte that it starts at (REST).
    pub from: u64,
    /// The data connection, where one was seen.
    pub connection: Option<ConnectionId>,
    /// How many bytes that connection carried this way.
    pub bytes: u64,
    /// How it ended.
    pub ending: Ending,
    /// Its command, as an index into [`Session::exchanges`].
    pub exchange: usize,
    /// The command that announced its connection, as an index into [`Session::exchanges`].
    pub announcement: Option<usize>,
}

impl Transfer {
    /// Whether it is a listing, not a file.
    pub fn is_listing(&self) -> bool {
        matches!(self.verb, Verb::List | Verb::Nlst | Verb::Mlsd)
    }
}

/// What the commands on a control connection have set for the next transfer.
#[derive(Clone, Copy, Default)]
struct Pending {
    announcement: Option<usize>,
    representation: Representation,
    rest: u64,
}

/// Finds the transfers and their data connections.
pub(super) fn link(session: &mut Session) {
    let mut pending: HashMap<ConnectionId, Pending> = HashMap::new();
    let mut transfers = Vec::new();
    for i in 0..session.exchanges.len() {
        let Some(exchange) = session.exchanges.get(i) else { break };
        let Some((verb, argument)) = exchange.verb.zip(argument(session, exchange)) else { continue };
        let pending = pending.entry(exchange.connection).or_default();
        let accepted = exchange.code.is_none_or(|code| !code.is_error());
        match verb {
            Verb::Port | Verb::Eprt | Verb::Pasv | Verb::Epsv if accepted => pending.announcement = Some(i),
            Verb::Type if accepted => {
                let ascii = argument.trim_ascii_start().first().is_none_or(|b| b.eq_ignore_ascii_case(&b'A'));
                pending.representation = if ascii { Representation::Ascii } else { Representation::Image };
            }
            Verb::Rest if accepted => {
                pending.rest = std::str::from_utf8(argument).ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            }
            Verb::Rein => *pending = Pending::default(),
            Verb::Retr | Verb::Stor | Verb::Stou | Verb::Appe | Verb::List | Verb::Nlst | Verb::Mlsd => {
                let Pending { announcement, representation, rest } = *pending;
                (pending.announcement, pending.rest) = (None, 0);
                let setup = announcement.and_then(|a| session.exchanges.get(a));
                let (mode, announced) = setup.map_or((None, None), |setup| announced(session, setup));
                let up = matches!(verb, Verb::Stor | Verb::Stou | Verb::Appe);
                transfers.push(Transfer {
                    verb,
                    name: clip(&shown(argument), 200),
                    direction: if up { Direction::Up } else { Direction::Down },
                    mode,
                    setup: setup.and_then(|s| s.verb),
                    announced,
                    representation: representation_of_reply(session, exchange).unwrap_or(representation),
                    from: rest,
                    connection: None,
                    bytes: 0,
                    ending: match exchange.code {
                        Some(code) if code.is_error() => Ending::Failed(code),
                        Some(_) => Ending::Done,
                        None => Ending::Unanswered,
                    },
                    exchange: i,
                    announcement,
                });
                if let Some(exchange) = session.exchanges.get_mut(i) {
                    exchange.transfer = Some(transfers.len() - 1);
                }
            }
            _ => {}
        }
    }
    session.transfers = transfers;
    carry(session);
    count(session);
}

/// The bytes behind the command's verb.
fn argument<'a>(session: &'a Session, exchange: &Exchange) -> Option<&'a [u8]> {
    match &session.events.get(exchange.command?)?.kind {
        EventKind::Command { argument, .. } => Some(argument),
        _ => None,
    }
}

/// The address that a PORT, EPRT, PASV or EPSV exchange agreed on.
fn announced(session: &Session, setup: &Exchange) -> (Option<Mode>, Option<SocketAddr>) {
    let argument = argument(session, setup).unwrap_or_default();
    let reply = setup.replies.last().and_then(|&r| session.events.get(r));
    let text = match reply.map(|r| &r.kind) {
        Some(EventKind::Reply { lines, .. }) => lines.last().map_or(&b""[..], |line| line),
        _ => b"",
    };
    match setup.verb {
        Some(Verb::Port) => (Some(Mode::Active), addr::parse_port(argument).ok().map(SocketAddr::V4)),
        Some(Verb::Eprt) => (Some(Mode::Active), addr::parse_eprt(argument).ok()),
        Some(Verb::Pasv) => (Some(Mode::Passive), addr::parse_pasv(text).ok().map(SocketAddr::V4)),
        Some(Verb::Epsv) => {
            let server = session.connection(setup.connection).and_then(|c| c.server);
            let port = addr::parse_epsv(text).ok();
            (Some(Mode::Passive), server.zip(port).map(|(server, port)| SocketAddr::new(server.ip(), port)))
        }
        _ => (None, None),
    }
}

/// ASCII or BINARY, as the 150 reply has it.
fn representation_of_reply(session: &Session, exchange: &Exchange) -> Option<Representation> {
    let first = session.events.get(*exchange.replies.first()?)?;
    let EventKind::Reply { code, lines, .. } = &first.kind else { return None };
    let text = lines.last().filter(|_| code.is_preliminary())?.to_ascii_uppercase();
    let has = |word: &[u8]| text.windows(word.len()).any(|w| w == word);
    match (has(b"ASCII MODE"), has(b"BINARY MODE")) {
        (true, false) => Some(Representation::Ascii),
        (false, true) => Some(Representation::Image),
        _ => None,
    }
}

/// Gives each transfer its data connection: the one of the announced port that began after the announcement; where no
/// port was told, the one that began before the next transfer's announcement.
fn carry(session: &mut Session) {
    let mut begun: Vec<(usize, ConnectionId)> = Vec::new();
    let mut first: HashMap<ConnectionId, usize> = HashMap::new();
    for (i, event) in session.events.iter().enumerate() {
        let Some(id) = event.kind.connection() else { continue };
        if session.connections.get(&id).is_some_and(|c| c.purpose == Purpose::Data) && !first.contains_key(&id) {
            first.insert(id, i);
            begun.push((i, id));
        }
    }
    let mut by_port: HashMap<(End, u16), Vec<usize>> = HashMap::new();
    for (place, (_, id)) in begun.iter().enumerate() {
        let Some(c) = session.connections.get(id) else { continue };
        let listener = c.opener.other();
        let address = if listener == End::Client { c.client } else { c.server };
        if let Some(address) = address {
            by_port.entry((listener, address.port())).or_default().push(place);
        }
    }
    let since = |t: &Transfer| {
        let exchange = session.exchanges.get(t.announcement.unwrap_or(t.exchange));
        exchange.and_then(|x| x.command).unwrap_or(0)
    };
    let mut taken = vec![false; begun.len()];
    let mut chosen: Vec<Option<usize>> = Vec::with_capacity(session.transfers.len());
    for t in &session.transfers {
        let listener = if t.mode == Some(Mode::Active) { End::Client } else { End::Server };
        let key = t.announced.map(|a| (listener, a.port()));
        let places = key.and_then(|key| by_port.get_mut(&key));
        let place = places.and_then(|places| {
            let at = places.iter().position(|&p| begun.get(p).is_some_and(|&(i, _)| i >= since(t)))?;
            // What began before this announcement belongs to none that follows.
            places.drain(..=at).next_back()
        });
        place.and_then(|p| taken.get_mut(p)).into_iter().for_each(|t| *t = true);
        chosen.push(place);
    }
    let bounds: Vec<usize> = session.transfers.iter().map(since).chain([usize::MAX]).collect();
    for ((choice, from), until) in chosen.iter_mut().zip(&bounds).zip(bounds.iter().skip(1)) {
        if choice.is_none() {
            let start = begun.partition_point(|(i, _)| i < from);
            let candidates = begun.iter().enumerate().skip(start).take_while(|(_, (i, _))| i < until);
            let free = candidates.map(|(place, _)| place).find(|&place| taken.get(place) == Some(&false));
            free.and_then(|p| taken.get_mut(p)).into_iter().for_each(|t| *t = true);
            *choice = free;
        }
    }
    for (i, (transfer, choice)) in session.transfers.iter_mut().zip(chosen).enumerate() {
        let Some(&(_, id)) = choice.and_then(|place| begun.get(place)) else { continue };
        transfer.connection = Some(id);
        session.transfer_of.insert(id, i);
        if let (None, Some(c)) = (transfer.mode, session.connections.get(&id)) {
            transfer.mode = Some(if c.opener == End::Server { Mode::Active } else { Mode::Passive });
        }
    }
}

fn count(session: &mut Session) {
    for event in &session.events {
        let EventKind::Data { connection, from, bytes, .. } = event.kind else { continue };
        let transfer = session.transfer_of.get(&connection).and_then(|&i| session.transfers.get_mut(i));
        let Some(transfer) = transfer else { continue };
        if (from == End::Server) == (transfer.direction == Direction::Down) {
            transfer.bytes = transfer.bytes.saturating_add(bytes);
        }
    }
}
