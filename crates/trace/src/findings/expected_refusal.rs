//! A command was refused that clients try without harm: SIZE, MKD of what exists, the listing of a directory that is
//! then made, a verb that the server does not know.

use port21_proto::Verb;

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "expected-refusal",
    severity: Severity::Note,
    when: "A command was refused that clients try without harm: SIZE, MKD of what exists, the listing of a directory that is then made, a verb that the server does not know.",
    source: "RFC 959 section 5.4; RFC 2389",
    advice: "Nothing need be done: the client goes on without it.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for exchange in case.session.exchanges().iter().filter(|x| x.command.is_some()) {
        let (Some(code), Some(reply)) = (exchange.code, case.final_reply(exchange)) else { continue };
        if !code.is_error() || matches!(exchange.verb, Some(Verb::User | Verb::Pass)) || code.number() == 421 {
            continue;
        }
        let unknown = (500..=504).contains(&code.number());
        let transfer = exchange.transfer.and_then(|t| case.session.transfers().get(t));
        if unknown || transfer.is_none_or(|t| case.is_probe(t)) {
            let verb = exchange.verb.map_or_else(|| "A command that is not known here".to_owned(), |v| v.to_string());
            found.add(&RULE, reply, exchange.command, format!("{verb} is refused with {code}; the client goes on."));
        }
    }
}
