//! The address in the reply to PASV is not the server's, and no data connection came to stand.

use std::collections::HashMap;

use port21_proto::Verb;
use port21_proto::event::End;

use super::case::{Case, Found, events_of, is_private};
use super::{Rule, Severity};
use crate::session::{Ending, Transfer};

pub(super) const RULE: Rule = Rule {
    name: "pasv-address",
    severity: Severity::Fault,
    when: "The address in the reply to PASV is not the server's, and no data connection came to stand.",
    source: "RFC 1123 section 4.1.2.6; RFC 2428 section 4",
    advice: "Tell the server its outer address (passive address, advertise), or let the client use EPSV.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let of_announcement: HashMap<usize, &Transfer> =
        case.session.transfers().iter().filter_map(|t| Some((t.announcement?, t))).collect();
    let failed: HashMap<_, _> = case.unopened().filter_map(|(i, c, _)| Some((c.server?, (i, c.id)))).collect();
    for (n, exchange) in case.session.exchanges().iter().enumerate().filter(|(_, x)| x.verb == Some(Verb::Pasv)) {
        let Some(told) = case.announced(exchange) else { continue };
        let Some(server) = case.address(exchange.connection, End::Server) else { continue };
        let Some(reply) = case.final_reply(exchange) else { continue };
        let tried = failed.get(&told).filter(|(i, _)| *i > reply);
        let transfer = of_announcement.get(&n);
        // A client that goes to the server's address all the same does not fail by the one it was told.
        let elsewhere = transfer.and_then(|t| t.connection).and_then(|id| case.session.connection(id));
        let elsewhere = elsewhere.and_then(|c| c.server).is_some_and(|a| a != told);
        let fails = match transfer {
            Some(t) => t.ending != Ending::Done && !case.has_data(t) && (tried.is_some() || t.connection.is_none()),
            None => tried.is_some(),
        };
        if told.ip().to_canonical() == server || !fails || elsewhere {
            continue;
        }
        let kind = match told.ip() {
            ip if ip.is_unspecified() => "no address at all",
            ip if is_private(ip) && !is_private(server) => "a private address",
            _ => "another address",
        };
        let rows: Vec<usize> = transfer.map(|t| case.evidence(t)).unwrap_or_default();
        let rows = rows.into_iter().chain(tried.map(|(i, _)| *i)).chain(events_of(exchange));
        let text =
            format!("PASV names {}, {kind}: the server is at {server}. No data connection came to stand.", told.ip());
        found.add(&RULE, reply, rows, text);
    }
}
