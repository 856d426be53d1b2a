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
    let asked = || case.session.exchanges().iter().filter(|x| x.verb == Some(Verb::Auth));
    // Of several ways that are tried (TLS, SSL) the last tells how it ended.
    let Some(last) = asked().next_back() else { return };
    if let (Some(code), Some(reply)) = (last.code.filter(|code| code.is_error()), case.final_reply(last)) {
        let text = format!("The server refuses TLS with {code}, and the session ends without a login.");
        found.add(&RULE, reply, asked().flat_map(events_of), text);
    }
}
