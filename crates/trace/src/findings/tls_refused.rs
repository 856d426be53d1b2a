//! The server refused AUTH, and nobody logged in after that.

use port21_proto::Verb;

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "tls-refused",
    severity: Severity::Fault,
    when: "The server refused AUTH, and nobody logged in after that.",
    source: "RFC 4217 section 4",
    advice: "Set up TLS at the server, or let the client go on without it where that is acceptable.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    if case.session.login().is_some_and(|l| l.accepted == Some(true)) {
        return;
    }
    for exchange in case.session.exchanges().iter().filter(|x| x.verb == Some(Verb::Auth)) {
        let refused = exchange.code.filter(|code| code.is_error());
        if let (Some(code), Some(reply)) = (refused, case.final_reply(exchange)) {
            let text = format!("The server refuses TLS with {code}, and the session ends without a login.");
            found.add(&RULE, reply, events_of(exchange), text);
        }
    }
}
