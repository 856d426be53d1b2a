//! A data connection goes to or comes from another host than the control connection, or is to go there.

use std::collections::HashSet;

use port21_proto::Verb;
use port21_proto::event::End;

use super::case::{Case, Found, is_private, name};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "other-address",
    severity: Severity::Warning,
    when: "A data connection goes to or comes from another host than the control connection, or is to go there.",
    source: "RFC 2577 section 4",
    advice: "Harmless where a host has several addresses or two servers exchange files; else somebody takes the data. Servers and clients should refuse it.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let carried: HashSet<usize> =
        case.session.transfers().iter().filter(|t| t.connection.is_some()).filter_map(|t| t.announcement).collect();
    // A third host that is announced and accepted, whatever becomes of it; a private address is a NAT's doing.
    let announcing = case.session.exchanges().iter().enumerate().filter(|(n, _)| !carried.contains(n));
    for exchange in announcing.map(|(_, exchange)| exchange) {
        let accepted = exchange.code.is_some_and(|code| code.is_completion());
        let active = matches!(exchange.verb, Some(Verb::Port | Verb::Eprt));
        let told =
            case.announced(exchange).map(|a| a.ip().to_canonical()).filter(|ip| accepted && active && !is_private(*ip));
        let client = case.address(exchange.connection, End::Client);
        if let (Some(told), Some(client), Some(reply)) = (told, client, exchange.replies.last().copied())
            && told != client
        {
            let text = format!("The server agrees to send data to {told}, though its client is {client}.");
            found.add(&RULE, reply, exchange.command, text);
        }
    }
    for t in case.session.transfers() {
        let Some(c) = t.connection.filter(|&id| case.stood(id)).and_then(|id| case.session.connection(id)) else {
            continue;
        };
        let Some(exchange) = case.exchange(t) else { continue };
        for (end, at) in [(End::Client, c.client), (End::Server, c.server)] {
            let (Some(at), Some(there)) = (at.map(|a| a.ip().to_canonical()), case.address(exchange.connection, end))
            else {
                continue;
            };
            // That the announced address was replaced is a finding of its own.
            let behind = end == End::Server
                && t.setup == Some(Verb::Pasv)
                && t.announced.is_some_and(|a| a.ip().to_canonical() != at);
            if let Some((i, _)) = case.of(c.id).next().filter(|_| at != there && !behind) {
                let text = format!("The data connection's {} is {at}, the control connection's {there}.", name(end));
                found.add(&RULE, i, case.evidence(t), text);
            }
        }
    }
}
