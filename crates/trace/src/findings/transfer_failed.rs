//! The server refused a transfer or says that it failed: 425, 426, 450, 451, 452, 530, 550, 552, 553.

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::Ending;
use crate::words::bytes;

pub(super) const RULE: Rule = Rule {
    name: "transfer-failed",
    severity: Severity::Fault,
    when: "The server refused a transfer or says that it failed: 425, 426, 450, 451, 452, 530, 550, 552, 553.",
    source: "RFC 959 section 5.4",
    advice: "The code says which side to look at: 425 and 426 the data connection, 550 and 553 the name and its permissions, 452 and 552 room and quota, 530 the login.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed() {
        let Ending::Failed(code) = t.ending else { continue };
        // What a server does not know is asked for all the time, and what is then made: those are notes.
        if (500..=504).contains(&code.number()) || case.is_probe(t) {
            continue;
        }
        let Some(reply) = case.exchange(t).and_then(|x| case.final_reply(x)) else { continue };
        let Some((_, said)) = case.reply(reply) else { continue };
        let so_far = if t.bytes > 0 { format!(" after {}", bytes(t.bytes)) } else { String::new() };
        found.add(&RULE, reply, case.evidence(t), format!("{} failed{so_far} with {code}: {said}", title(t)));
    }
}
