//! PORT or EPRT names a private address that the server cannot reach, and the transfer fails.

use std::collections::HashMap;

use port21_proto::Verb;
use port21_proto::event::End;

use super::case::{Case, Found, events_of, is_private};
use super::{Rule, Severity};
use crate::session::{Ending, Transfer};

pub(super) const RULE: Rule = Rule {
    name: "port-address",
    severity: Severity::Fault,
    when: "PORT or EPRT names a private address that the server cannot reach, and the transfer fails.",
    source: "RFC 2663; experience: clients behind NAT",
    advice: "Use passive mode; or let the NAT's FTP helper see the control connection, which TLS prevents.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let of_announcement: HashMap<usize, &Transfer> =
        case.session.transfers().iter().filter_map(|t| Some((t.announcement?, t))).collect();
    let active = case.session.exchanges().iter().enumerate();
    for (n, exchange) in active.filter(|(_, x)| matches!(x.verb, Some(Verb::Port | Verb::Eprt))) {
        let (Some(told), Some(command)) = (case.announced(exchange), exchange.command) else { continue };
        let client = case.address(exchange.connection, End::Client);
        let server = case.address(exchange.connection, End::Server);
        let outside = [client, server].into_iter().flatten().any(|ip| !is_private(ip));
        let refused = exchange.code.is_some_and(|code| code.is_error());
        let transfer = of_announcement.get(&n);
        let failed = transfer.is_some_and(|t| t.ending != Ending::Done && !case.has_data(t));
        if is_private(told.ip()) && outside && (refused || failed) {
            let rows = transfer.map(|t| case.evidence(t)).unwrap_or_default();
            let text =
                format!("The client announces {}, a private address, to a server beyond its network.", told.ip());
            found.add(&RULE, command, rows.into_iter().chain(events_of(exchange)), text);
        }
    }
}
