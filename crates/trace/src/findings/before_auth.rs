//! Commands were sent between AUTH and its reply: anyone on the path could have put them there.

use port21_proto::Verb;
use port21_proto::event::EventKind;

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::counted;

pub(super) const RULE: Rule = Rule {
    name: "before-auth",
    severity: Severity::Warning,
    when: "Commands were sent between AUTH and its reply: anyone on the path could have put them there.",
    source: "RFC 4217 section 4; experience: command injection (CVE-2011-0411 and its like)",
    advice: "A client has to wait for 234, and a server has to throw away what came before the handshake. Update the side that does not.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for exchange in case.session.exchanges().iter().filter(|x| x.verb == Some(Verb::Auth)) {
        let (Some(auth), Some(reply)) = (exchange.command, case.final_reply(exchange)) else { continue };
        if exchange.code.is_some_and(|code| code.is_error()) {
            continue;
        }
        let between = case.session.events().iter().enumerate().take(reply).skip(auth + 1);
        let early: Vec<usize> =
            between.filter(|(_, e)| matches!(e.kind, EventKind::Command { .. })).map(|(i, _)| i).collect();
        if let Some(&first) = early.first() {
            let text = format!(
                "{} sent in clear text behind AUTH, before its reply.",
                counted(early.len() as u64, "command", "commands")
            );
            found.add(&RULE, first, early, text);
        }
    }
}
