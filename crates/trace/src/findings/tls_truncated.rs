//! A protected data connection ended without close_notify, so that its end cannot be told from a cut.

use super::case::{Case, Found, title};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "tls-truncated",
    severity: Severity::Fault,
    when: "A protected data connection ended without close_notify, so that its end cannot be told from a cut.",
    source: "RFC 8446 section 6.1",
    advice: "Repeat the transfer. Where it comes again, update the side that leaves close_notify out.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed().filter(|(_, t)| case.has_data(t)) {
        let Some(reply) = case.exchange(t).and_then(|x| case.final_reply(x)) else { continue };
        let words = case.words(reply);
        if ["close_notify", "close notify", "truncat"].iter().any(|word| words.contains(word)) {
            let text = format!("The protected data connection of {} ended without close_notify.", title(t));
            found.add(&RULE, reply, case.evidence(t), text);
        }
    }
}
