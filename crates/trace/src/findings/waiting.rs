//! The next message is owed and does not come: who owes it, and since when.

use std::time::Duration;

use port21_proto::event::{ConnectionId, End, EventKind, Purpose};

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "waiting",
    severity: Severity::Fault,
    when: "The next message is owed and does not come: who owes it, and since when.",
    source: "RFC 1123 section 4.1.3.2; experience: \"it hangs\"",
    advice: "Look at the side that owes it: whether its program still runs, and what it waits for. Where nothing at all comes back, the path between them is cut.",
    check,
};

/// Until then a message may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>, found: &mut Found) {
    let events = case.session.events();
    let span = case.session.span();
    for c in case.session.connections().filter(|c| c.purpose == Purpose::Control) {
        let last = case.of(c.id).last().map(|(i, _)| i);
        let until = case.ended(c.id).map(|(i, ..)| i).or(last);
        let until = match case.ended(c.id) {
            Some((i, ..)) => events.get(i).map(|e| e.at),
            None => until.map(|_| span.end),
        };
        let Some(until) = until else { continue };
        let mut waiting = case.session.exchanges().iter().filter(|x| x.connection == c.id && x.command.is_some());
        // Behind AUTH nothing can be read: silence there says nothing.
        let open = waiting.find(|x| x.code.is_none() && !case.is_aborted(x)).filter(|_| case.secure.is_none());
        if let Some(exchange) = open
            && let Some(command) = exchange.command
        {
            let since = exchange.replies.last().copied().unwrap_or(command);
            // Data that still flows is no silence.
            let data = exchange.transfer.and_then(|t| case.session.transfers().get(t)?.connection);
            let data = data.into_iter().flat_map(|id| case.of(id)).map(|(i, _)| i).max();
            let since = events.get(since.max(data.unwrap_or(0)));
            let waited = since.map(|e| until.since(e.at)).unwrap_or_default();
            if waited >= PATIENCE && !case.is_joined(c.id) {
                let verb = exchange.verb.map_or_else(|| "the last command".to_owned(), |v| v.to_string());
                let (counted, acknowledged) = acknowledged(case, c.id);
                let waited = duration(waited);
                let text =
                    format!("The server owes the answer to {verb}, and says nothing for {waited}{acknowledged}.");
                found.add(&RULE, command, events_of(exchange).chain(counted), text);
            }
            continue;
        }
        let opened = case.of(c.id).find(|(_, k)| matches!(k, EventKind::Opened(_)));
        let silent = case.of(c.id).all(|(_, k)| {
            !matches!(
                k,
                EventKind::Reply { .. }
                    | EventKind::Command { .. }
                    | EventKind::Malformed { .. }
                    | EventKind::Tls { .. }
            )
        });
        if let Some((i, _)) = opened.filter(|_| silent)
            && let Some(waited) = events.get(i).map(|e| until.since(e.at)).filter(|w| *w >= PATIENCE)
        {
            let text = format!("The server owes its greeting, and says nothing for {}.", duration(waited));
            found.add(&RULE, i, [], text);
        }
    }
}

/// Whether TCP has acknowledged what the client said last, where that was seen: the end of a sentence.
fn acknowledged(case: &Case<'_>, control: ConnectionId) -> (Option<usize>, &'static str) {
    if !case.session.is_observed(control) {
        return (None, "");
    }
    match case.counted(control, End::Client).filter(|(_, counts)| counts.unacknowledged > 0) {
        Some((i, _)) => (Some(i), "; TCP has not acknowledged it either: the network or its host is gone"),
        None => (None, "; TCP has acknowledged it: its program does not answer"),
    }
}
