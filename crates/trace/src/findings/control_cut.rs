//! The control connection ended while a transfer ran.

use port21_proto::event::{Closing, EventKind};

use super::case::{Case, Found, name, title};
use super::{Rule, Severity};
use crate::session::Ending;
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "control-cut",
    severity: Severity::Fault,
    when: "The control connection ended while a transfer ran.",
    source: "RFC 959 section 3.2; experience: NATs forget connections that are silent",
    advice: "Let the client send NOOP or turn on TCP keep-alive; raise the NAT's or firewall's idle time; resume with REST.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (command, t) in case.failed() {
        let Some(exchange) = case.exchange(t) else { continue };
        let Some((end, by, how)) = case.ended(exchange.connection) else { continue };
        // A server may still say what it makes of it, to nobody.
        let late = case.final_reply(exchange).is_some_and(|reply| end < reply);
        if t.ending != Ending::Unanswered && !late {
            continue;
        }
        let events = case.session.events();
        let said = exchange.replies.iter().copied().filter(|reply| *reply < end).max().unwrap_or(command);
        let silence =
            events.get(end).zip(events.get(said)).map(|(end, said)| end.at.since(said.at)).unwrap_or_default();
        let foreign = if how == Closing::Reset { case.foreign(exchange.connection, by) } else { String::new() };
        let how = if how == Closing::Reset { "breaks off" } else { "ends" };
        let text = format!(
            "The {} {how} the control connection while {} runs, after {} without a word on it{foreign}.",
            name(by),
            title(t),
            duration(silence)
        );
        let all = case.of(exchange.connection).filter(|(i, k)| *i >= end && matches!(k, EventKind::Closed { .. }));
        found.add(&RULE, end, case.evidence(t).into_iter().chain(all.map(|(i, _)| i)), text);
    }
}
