//! The TLS handshake on a data connection failed.

use super::case::{Case, Found, title};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "tls-data",
    severity: Severity::Fault,
    when: "The TLS handshake on a data connection failed.",
    source: "RFC 4217 section 9",
    advice: "See the server's log for the reason. Both sides have to agree on PROT, and the client has to begin the handshake.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed().filter(|_| case.secure.is_some()) {
        let Some(reply) = case.exchange(t).and_then(|x| case.final_reply(x)) else { continue };
        let code = case.reply(reply).map_or(0, |(code, _)| code.number());
        let words = case.words(reply);
        let named = ["tls", "ssl", "handshake"].iter().any(|word| words.contains(word));
        if code == 522 || named && case.has_data(t) {
            let text = format!("TLS on the data connection of {} did not come to stand ({code}).", title(t));
            found.add(&RULE, reply, case.evidence(t), text);
        }
    }
}
