//! What was said on the control connection is not FTP: no code, an overlong line, an unfinished reply, PORT or 227 without an
//! address.

use port21_proto::Verb;
use port21_proto::event::EventKind;

use super::case::{Case, Found, events_of, name};
use super::{Rule, Severity};
use crate::session::Exchange;
use crate::words::{bytes, clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "malformed",
    severity: Severity::Fault,
    when: "What was said on the control connection is not FTP: no code, an overlong line, an unfinished reply, PORT or 227 without an address.",
    source: "RFC 959 section 4.2; RFC 1123 section 4.1.2",
    advice: "The side that said it is broken, or is no FTP at all: look at what is shown of it.",
    check,
};

/// No path has more bytes (PATH_MAX on Linux), and servers take less.
const LONGEST: usize = 4096;

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        if let EventKind::Malformed { from, why, .. } = kind {
            let why = clip(&shown(why.as_bytes()), 120);
            let of_exchange = case.session.exchange_of(i).into_iter().flat_map(events_of);
            found.add(&RULE, i, of_exchange, format!("What the {} says is not FTP: {why}.", name(*from)));
        }
    }
    for exchange in case.session.exchanges() {
        if let Some((i, text)) = garbled(case, exchange) {
            found.add(&RULE, i, events_of(exchange), text);
        }
    }
}

/// A command or reply whose form is right, and what it says is not.
fn garbled(case: &Case<'_>, exchange: &Exchange) -> Option<(usize, String)> {
    let command = exchange.command?;
    let length = case.argument(exchange).len();
    if length > LONGEST {
        let verb = exchange.verb.map_or_else(|| "a command".to_owned(), |v| v.to_string());
        return Some((command, format!("The client sends {verb} with an argument of {}.", bytes(length as u64))));
    }
    let reply = case.final_reply(exchange);
    let code = exchange.code.map_or(0, |code| code.number());
    match exchange.verb? {
        Verb::Port if case.announced(exchange).is_none() => {
            Some((command, "The client's PORT names no address and port.".to_owned()))
        }
        Verb::Pasv if code == 227 && case.announced(exchange).is_none() => {
            Some((reply?, "The server's 227 names no address and port.".to_owned()))
        }
        Verb::Epsv if code == 229 && !case.tells_port(reply?) => {
            Some((reply?, "The server's 229 names no port.".to_owned()))
        }
        _ => None,
    }
}
