//! A data connection goes to or comes from another host than the control connection.

use port21_proto::Verb;
use port21_proto::event::End;

use super::case::{Case, Found, name};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "other-address",
    severity: Severity::Warning,
    when: "A data connection goes to or comes from another host than the control connection.",
    source: "RFC 2577 section 4",
    advice: "Harmless where a host has several addresses or two servers exchange files; else somebody takes the data. Servers and clients should refuse it.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
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
