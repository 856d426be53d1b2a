//! The server ended the session with 421.

use port21_proto::event::EventKind;

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "service-closing",
    severity: Severity::Fault,
    when: "The server ended the session with 421.",
    source: "RFC 959 section 5.4",
    advice: "After a silence it is the server's idle time; at the start its limit of sessions; else it is being stopped. Its text says which.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        let EventKind::Reply { connection, code, .. } = kind else { continue };
        let Some((_, text)) = case.reply(i).filter(|_| code.number() == 421) else { continue };
        let events = case.session.events();
        let before = case.of(*connection).take_while(|(j, _)| *j < i).last();
        let silence = before.and_then(|(j, _)| Some(events.get(i)?.at.since(events.get(j)?.at)));
        let after = silence.filter(|s| s.as_secs() >= 10).map(|s| format!(", after {} of silence", duration(s)));
        let ends =
            case.of(*connection).filter(|(j, k)| *j > i && matches!(k, EventKind::Closed { .. })).map(|(j, _)| j);
        let rows: Vec<usize> = ends.chain(case.session.exchange_of(i).into_iter().flat_map(events_of)).collect();
        found.add(&RULE, i, rows, format!("The server ends the session{}: {text}", after.unwrap_or_default()));
    }
}
