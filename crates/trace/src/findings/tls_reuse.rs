//! The server wants the TLS session of the control connection on the data connection, and the client did not resume it.

use super::case::{Case, Found, title};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "tls-reuse",
    severity: Severity::Fault,
    when: "The server wants the TLS session of the control connection on the data connection, and the client did not resume it.",
    source: "RFC 4217 section 10.2",
    advice: "Use a client that resumes the session on data connections, or turn the requirement off at the server.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed() {
        let Some(reply) = case.exchange(t).and_then(|x| case.final_reply(x)) else { continue };
        let words = case.words(reply);
        if words.contains("session") && (words.contains("reuse") || words.contains("resum")) {
            let text = format!("{} failed: the data connection did not resume the TLS session.", title(t));
            found.add(&RULE, reply, case.evidence(t), text);
        }
    }
}
