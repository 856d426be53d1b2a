//! Sessions as JSON, for programs. docs/trace-json.md says what each member is; it changes with this file.

mod findings;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use port21_proto::Verb;
use port21_proto::event::{Closing, ConnectionId, End, EventKind, Purpose};
use port21_proto::text::is_deceptive;
use serde::Serialize;

use crate::recording::{Bytes, Stamp};
use crate::session::{Direction, Exchange, Session, Transfer};

/// The version of the format. Members may be added to it; what means something else than before gets another one.
pub const VERSION: u32 = 1;

/// Writes sessions, each with a name of its own, and look-ups that belong to none of them, as one JSON document in a line of
/// its own.
///
/// Secrets are masked. No character of the document can steer a terminal or be taken for another: those are escaped.
pub fn json(sessions: impl IntoIterator<Item = (String, Session)>, apart: &Session) -> String {
    let mut document = Document { version: VERSION, sessions: Vec::new(), dns: Vec::new(), findings: Vec::new() };
    let mut known = HashSet::new();
    let mut once = |session: &Session| -> Vec<Lookup> {
        let of_session = lookups(session).into_iter().filter_map(|(from, lookup)| {
            // A look-up that led to several sessions is one.
            known.insert((from, lookup.t.0, lookup.name.clone(), lookup.kind.clone())).then_some(lookup)
        });
        of_session.collect()
    };
    document.dns.extend(once(apart));
    for (id, session) in sessions {
        document.dns.extend(once(&session));
        document.findings.extend(findings::of(&id, &session));
        document.sessions.push(OneSession::of(id, &session));
    }
    document.dns.sort_by_key(|lookup| lookup.t.0);
    // Nothing in it can fail: keys are strings, and numbers are whole.
    let plain = serde_json::to_string(&document).unwrap_or_default();
    let mut out = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        match c {
            // These only ever stand in strings.
            c if c == '\u{7f}' || is_deceptive(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

#[derive(Serialize)]
struct Document {
    version: u32,
    sessions: Vec<OneSession>,
    dns: Vec<Lookup>,
    findings: Vec<findings::OneFinding>,
}

#[derive(Serialize)]
struct OneSession {
    id: String,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    start: Stamp,
    end: Stamp,
    user: Option<Bytes>,
    commands: Vec<Command>,
    transfers: Vec<OneTransfer>,
}

#[derive(Serialize)]
struct Command {
    t: Stamp,
    verb: Option<String>,
    argument: Option<Bytes>,
    replies: Vec<Reply>,
}

#[derive(Serialize)]
struct Reply {
    t: Stamp,
    code: u16,
    lines: Vec<Bytes>,
}

#[derive(Serialize)]
struct OneTransfer {
    t: Stamp,
    verb: Option<&'static str>,
    name: Option<Bytes>,
    direction: Way,
    mode: Option<&'static str>,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
    bytes: u64,
    end: Ended,
}

#[derive(Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Way {
    Down,
    Up,
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Fin,
    Rst,
    None,
    Missing,
}

#[derive(Serialize)]
struct Lookup {
    t: Stamp,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    answers: Vec<String>,
}

impl OneSession {
    fn of(id: String, session: &Session) -> OneSession {
        let span = session.span();
        let control = session.control();
        let asked = session.exchanges().iter().rev().find(|x| x.verb == Some(Verb::User));
        OneSession {
            id,
            client: control.and_then(|c| c.client).map(plain),
            server: control.and_then(|c| c.server).map(plain),
            start: Stamp(span.start),
            end: Stamp(span.end),
            user: asked.and_then(|asked| told(session, asked)).map(|(_, _, argument)| argument),
            commands: in_order_of_replies(session)
                .into_iter()
                .filter_map(|exchange| command(session, exchange))
                .collect(),
            transfers: transfers(session),
        }
    }
}

/// An IPv4 address that stands in an IPv6 one is told as itself.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The exchanges in the order of the commands, but for the greeting: it comes first, as the first of the replies, also where
/// a client did not wait for it.
fn in_order_of_replies(session: &Session) -> Vec<&Exchange> {
    let mut exchanges: Vec<&Exchange> = session.exchanges().iter().collect();
    let first = exchanges.iter().filter_map(|x| x.replies.first()).min().copied();
    if let Some(place) = exchanges.iter().position(|x| x.command.is_none() && x.replies.first().copied() == first)
        && let Some(greeting) = exchanges.get_mut(..=place)
    {
        greeting.rotate_right(1);
    }
    exchanges
}

/// A command with its replies; replies that no command asked for have none.
fn command(session: &Session, exchange: &Exchange) -> Option<Command> {
    let replies: Vec<Reply> = exchange
        .replies
        .iter()
        .filter_map(|&i| {
            let event = session.events().get(i)?;
            let EventKind::Reply { code, lines, .. } = &event.kind else { return None };
            let lines = lines.iter().map(|line| Bytes::from(line.to_vec())).collect();
            Some(Reply { t: Stamp(event.at), code: code.number(), lines })
        })
        .collect();
    match told(session, exchange) {
        Some((t, verb, argument)) => Some(Command { t, verb: Some(verb), argument: Some(argument), replies }),
        None => Some(Command { t: replies.first()?.t, verb: None, argument: None, replies }),
    }
}

/// When a command was sent, its verb and its argument, without secrets.
fn told(session: &Session, exchange: &Exchange) -> Option<(Stamp, String, Bytes)> {
    let event = session.events().get(exchange.command?)?;
    match session.told(&event.kind).into_owned() {
        EventKind::Command { verb, argument, .. } => Some((Stamp(event.at), verb, Bytes::from(argument))),
        _ => None,
    }
}

/// What is known of a data connection beside its ends.
#[derive(Default)]
struct Carried {
    began: Option<Stamp>,
    /// From the client and from the server.
    bytes: [u64; 2],
    /// Whose sending ended, and how, in the order of time.
    closed: Vec<(End, Closing)>,
}

impl Carried {
    /// How what the sender sent ended: what comes behind its FIN takes nothing from it.
    fn end(&self, sender: End) -> Ended {
        let mut end = Ended::None;
        for &(by, how) in &self.closed {
            match how {
                Closing::Reset => return Ended::Rst,
                Closing::Fin if by == sender => return Ended::Fin,
                Closing::Fin => end = Ended::Fin,
            }
        }
        end
    }
}

/// The transfers that commands asked for, and data connections that belong to none, in the order of time.
fn transfers(session: &Session) -> Vec<OneTransfer> {
    let mut carried: HashMap<ConnectionId, Carried> = HashMap::new();
    for event in session.events() {
        let Some(id) = event.kind.connection() else { continue };
        if session.connection(id).is_none_or(|c| c.purpose != Purpose::Data) {
            continue;
        }
        let one = carried.entry(id).or_default();
        one.began.get_or_insert(Stamp(event.at));
        match &event.kind {
            EventKind::Data { from, bytes, .. } => {
                let sum = if *from == End::Client { &mut one.bytes[0] } else { &mut one.bytes[1] };
                *sum = sum.saturating_add(*bytes);
            }
            EventKind::Closed { by, how, .. } => one.closed.push((*by, *how)),
            EventKind::OpenFailed { why, .. } if why.starts_with("refused") => {
                one.closed.push((End::Server, Closing::Reset));
            }
            _ => {}
        }
    }
    let asked = session.transfers().iter().filter_map(|transfer| asked_for(session, transfer, &carried));
    let mut all: Vec<OneTransfer> = asked.collect();
    for connection in session.connections().filter(|c| session.transfer_of(c.id).is_none()) {
        let Some(one) = carried.get(&connection.id) else { continue };
        let [up, down] = one.bytes;
        let (direction, bytes) = if up > down { (Way::Up, up) } else { (Way::Down, down) };
        let Some(t) = one.began else { continue };
        let mut transfer = OneTransfer {
            t,
            verb: None,
            name: None,
            direction,
            mode: None,
            source: None,
            destination: None,
            bytes,
            end: Ended::None,
        };
        transfer.carry(session, connection.id, one);
        all.push(transfer);
    }
    all.sort_by_key(|transfer| transfer.t.0);
    all
}

fn asked_for(session: &Session, transfer: &Transfer, carried: &HashMap<ConnectionId, Carried>) -> Option<OneTransfer> {
    let (t, _, name) = told(session, session.exchanges().get(transfer.exchange)?)?;
    let mut one = OneTransfer {
        t,
        verb: Some(transfer.verb.name()),
        name: Some(name),
        direction: if transfer.direction == Direction::Up { Way::Up } else { Way::Down },
        mode: transfer.setup.map(Verb::name),
        source: None,
        destination: None,
        bytes: transfer.bytes,
        end: Ended::Missing,
    };
    if let Some((id, known)) = transfer.connection.and_then(|id| Some((id, carried.get(&id)?))) {
        one.carry(session, id, known);
    }
    Some(one)
}

impl OneTransfer {
    /// Takes over the ends of the data connection, and how it ended.
    fn carry(&mut self, session: &Session, id: ConnectionId, known: &Carried) {
        let Some(connection) = session.connection(id) else { return };
        let (client, server) = (connection.client.map(plain), connection.server.map(plain));
        let up = self.direction == Way::Up;
        (self.source, self.destination) = if up { (client, server) } else { (server, client) };
        self.end = known.end(if up { End::Client } else { End::Server });
    }
}

/// The questions to name servers with their answers, and who asked. An answer without its question stands for both.
fn lookups(session: &Session) -> Vec<(Option<SocketAddr>, Lookup)> {
    let mut all: Vec<(Option<SocketAddr>, Lookup)> = Vec::new();
    let mut waiting: HashMap<(ConnectionId, u16, &str, &str), usize> = HashMap::new();
    for event in session.events() {
        let (connection, id, name, record, answers) = match &event.kind {
            EventKind::DnsQuery { connection, id, name, record, .. } => (connection, id, name, record, None),
            EventKind::DnsAnswer { connection, id, name, record, answers, .. } => {
                (connection, id, name, record, Some(answers))
            }
            _ => continue,
        };
        let key = (*connection, *id, name.as_str(), record.as_str());
        let asked = answers.and_then(|_| waiting.remove(&key)).and_then(|i| all.get_mut(i));
        match asked {
            Some((_, asked)) => asked.answers = answers.cloned().unwrap_or_default(),
            // Asked again, and still not answered: one look-up.
            None if answers.is_none() && waiting.contains_key(&key) => {}
            None => {
                if answers.is_none() {
                    waiting.insert(key, all.len());
                }
                let from = session.connection(*connection).and_then(|c| c.client);
                let answers = answers.cloned().unwrap_or_default();
                let lookup = Lookup { t: Stamp(event.at), name: name.clone(), kind: record.clone(), answers };
                all.push((from, lookup));
            }
        }
    }
    all
}
