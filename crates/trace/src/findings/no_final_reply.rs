//! The data ended, but the reply behind it did not come.

use std::time::Duration;

use port21_proto::Verb;
use port21_proto::event::{End, EventKind};

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::Ending;
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "no-final-reply",
    severity: Severity::Fault,
    when: "The data ended, but the reply behind it did not come.",
    source: "RFC 959 section 5.4",
    advice: "The server hangs behind the transfer, or what is between dropped the control connection: see its log, and the idle times of NATs.",
    check,
};

/// Until then a reply may be on its way.
const PATIENCE: Duration = Duration::from_secs(3);

fn check(case: &Case<'_>, found: &mut Found) {
    let events = case.session.events();
    let last = case.session.span().end;
    for t in case.session.transfers().iter().filter(|t| t.ending == Ending::Unanswered) {
        let Some(exchange) = case.exchange(t).filter(|x| !x.replies.is_empty()) else { continue };
        let closed = t.connection.into_iter().flat_map(|id| case.of(id));
        let Some((i, _)) = closed.filter(|(_, kind)| matches!(kind, EventKind::Closed { .. })).last() else { continue };
        // A client that has waited long enough breaks the transfer off, or ends the session.
        let given_up = case.of(exchange.connection).find(|(j, kind)| {
            let ends = matches!(kind, EventKind::Closed { .. }) || kind.verb() == Some(Verb::Abor);
            *j > i && ends
        });
        let until = given_up.and_then(|(j, _)| events.get(j)).map_or(last, |end| end.at);
        let waited = events.get(i).map(|e| until.since(e.at)).unwrap_or_default();
        let by_server = given_up.is_some_and(|(_, kind)| matches!(kind, EventKind::Closed { by: End::Server, .. }));
        if waited >= PATIENCE && !by_server {
            let text =
                format!("{} has had its data; its final reply does not come for {}.", title(t), duration(waited));
            let ends = case.ended(exchange.connection).map(|(end, ..)| end);
            let behind = given_up.map(|(j, _)| j).into_iter().chain(ends);
            found.add(&RULE, i, case.evidence(t).into_iter().chain(behind), text);
        }
    }
}
