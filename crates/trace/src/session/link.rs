//! Which reply answers which command.

use std::collections::{HashMap, HashSet, VecDeque};

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::reply::Text;
use port21_proto::verb::During;
use port21_proto::{Code, Verb};

use super::{Exchange, Login, Session};
use crate::words::{clip, shown};

/// Collects what the events tell of each connection: a later one may know an address that an earlier one did not.
pub(super) fn connections(session: &mut Session) {
    for event in &session.events {
        if let EventKind::Segment { connection, .. } = event.kind {
            session.observed.insert(connection);
        }
        let (EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c)) = &event.kind else { continue };
        if let EventKind::Joined(c) = &event.kind {
            session.observed.insert(c.id);
        }
        let known = session.connections.entry(c.id).or_insert_with(|| c.clone());
        known.purpose = c.purpose;
        known.opener = c.opener;
        known.client = c.client.or(known.client);
        known.server = c.server.or(known.server);
    }
}

/// Links commands and replies, each control connection on its own: replies come in the order of the commands, but for
/// NOOP and STAT, which are answered while a transfer runs.
pub(super) fn exchanges(session: &mut Session) {
    let mut waiting: HashMap<ConnectionId, VecDeque<usize>> = HashMap::new();
    let mut exchange_of = vec![None; session.events.len()];
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut greeted: HashSet<ConnectionId> = HashSet::new();
    for (i, event) in session.events.iter().enumerate() {
        match &event.kind {
            EventKind::Command { connection, verb, argument } => {
                if event.kind.verb() == Some(Verb::User) {
                    let user = clip(&shown(argument), 60);
                    let anonymous = ["ftp", "anonymous"].iter().any(|guest| user.eq_ignore_ascii_case(guest));
                    session.login = Some(Login { user, anonymous, accepted: None });
                }
                let verb = Verb::from_name(verb.as_bytes());
                exchanges.push(Exchange { command: Some(i), ..empty(*connection, verb) });
                waiting.entry(*connection).or_default().push_back(exchanges.len() - 1);
                if let Some(slot) = exchange_of.get_mut(i) {
                    *slot = Some(exchanges.len() - 1);
                }
            }
            EventKind::Reply { connection, code, lines } => {
                let queue = waiting.entry(*connection).or_default();
                // A client that does not wait for the greeting sends commands before it: it answers none of them.
                let greets = greeted.insert(*connection) && *code == 220;
                let place = if greets { None } else { answered(queue, &exchanges, *code, lines.last()) };
                let of = match place.and_then(|place| queue.get(place).copied()) {
                    Some(of) => of,
                    None => {
                        exchanges.push(empty(*connection, None));
                        exchanges.len() - 1
                    }
                };
                if let (Some(place), false) = (place, code.is_preliminary()) {
                    queue.remove(place);
                }
                if let Some(exchange) = exchanges.get_mut(of) {
                    if exchange.replies.is_empty() {
                        let asked = exchange.command.and_then(|c| session.events.get(c));
                        exchange.latency = asked.map(|asked| event.at.since(asked.at));
                    }
                    exchange.replies.push(i);
                    if !code.is_preliminary() {
                        exchange.code = Some(*code);
                    }
                    let entering = matches!(exchange.verb, Some(Verb::User | Verb::Pass));
                    if let (true, Some(login)) = (entering, &mut session.login) {
                        match code.number() {
                            200..=299 => login.accepted = Some(true),
                            400..=599 => login.accepted = Some(false),
                            _ => {}
                        }
                    }
                }
                if let Some(slot) = exchange_of.get_mut(i) {
                    *slot = Some(of);
                }
            }
            // Whatever the server says, it is its answer.
            EventKind::Malformed { connection, from: End::Server, .. } => {
                if let Some(of) = waiting.get_mut(connection).and_then(VecDeque::pop_front)
                    && let Some(slot) = exchange_of.get_mut(i)
                {
                    *slot = Some(of);
                }
            }
            _ => {}
        }
    }
    session.exchanges = exchanges;
    session.exchange_of = exchange_of;
}

/// Which of the waiting commands a reply answers: the first; but while a transfer runs, a reply that cannot be the
/// transfer's answers the NOOP or STAT behind it. Some servers run commands side by side: what can answer one of them
/// alone does so.
fn answered(queue: &VecDeque<usize>, exchanges: &[Exchange], code: Code, line: Option<&Text>) -> Option<usize> {
    let exchange = |place: usize| queue.get(place).and_then(|&i| exchanges.get(i));
    let first = exchange(0)?;
    let runs = first.code.is_none() && !first.replies.is_empty();
    let behind = |wanted: &dyn Fn(Verb) -> bool| {
        (1..queue.len().min(64)).find(|&place| exchange(place).and_then(|x| x.verb).is_some_and(wanted))
    };
    let other = match code.number() {
        200 | 211..=213 | 500..=504 if runs => behind(&|verb| verb.facts().during == During::Overtake),
        227 if runs => behind(&|verb| verb == Verb::Pasv),
        229 if runs => behind(&|verb| verb == Verb::Epsv),
        213 if first.verb == Some(Verb::Size) && line.is_some_and(|line| is_time(line)) => {
            behind(&|verb| verb == Verb::Mdtm)
        }
        _ => None,
    };
    other.or(Some(0))
}

/// Whether a reply tells a time (RFC 3659 section 2.3), which as a size would be terabytes.
fn is_time(line: &[u8]) -> bool {
    line.get(..14).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        && line.get(14).is_none_or(|b| *b == b'.')
}

fn empty(connection: ConnectionId, verb: Option<Verb>) -> Exchange {
    Exchange { connection, command: None, verb, replies: Vec::new(), code: None, transfer: None, latency: None }
}
