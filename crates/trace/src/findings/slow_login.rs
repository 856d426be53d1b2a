//! The greeting or the reply to the login comes late.

use std::time::Duration;

use port21_proto::event::{EventKind, Purpose};

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "slow-login",
    severity: Severity::Warning,
    when: "The greeting or the reply to the login comes late.",
    source: "RFC 1413; experience: servers that ask for names and idents before they answer",
    advice: "Turn off ident and reverse look-ups at the server, or let its name server answer: a time-out there is paid by each session.",
    check,
};

/// Passwords are hashed slowly on purpose, but not so slowly.
const LATE: Duration = Duration::from_secs(3);

fn check(case: &Case<'_>, found: &mut Found) {
    let events = case.session.events();
    for c in case.session.connections().filter(|c| c.purpose == Purpose::Control) {
        let opened = case.of(c.id).find(|(_, k)| matches!(k, EventKind::Opened(_))).map(|(i, _)| i);
        let first = case.of(c.id).find(|(_, k)| matches!(k, EventKind::Reply { .. })).map(|(i, _)| i);
        let accepted = case
            .session
            .exchanges()
            .iter()
            .filter(|x| x.connection == c.id && x.code.is_some_and(|code| code.number() == 230));
        let logins = accepted.filter_map(|x| Some((x.command?, case.final_reply(x)?, "the login")));
        for (from, to, what) in opened.zip(first).map(|(a, b)| (a, b, "the greeting")).into_iter().chain(logins) {
            let Some(took) = events.get(to).zip(events.get(from)).map(|(b, a)| b.at.since(a.at)) else { continue };
            if took < LATE {
                continue;
            }
            let between = events.iter().enumerate().take(to).skip(from);
            let (mut reverse, mut ident): (Vec<usize>, Vec<usize>) = Default::default();
            for (i, event) in between {
                match &event.kind {
                    EventKind::DnsQuery { record, .. } if record == "PTR" => reverse.push(i),
                    EventKind::Ident { .. } => ident.push(i),
                    _ => {}
                }
            }
            let why = match (ident.is_empty(), reverse.is_empty()) {
                (true, true) => "",
                (false, true) => ", while the server asks port 113 of the client's host (ident)",
                (true, false) => ", while the server looks up the client's name",
                (false, false) => ", while the server looks up the client's name and asks port 113 of its host (ident)",
            };
            found.add(
                &RULE,
                to,
                reverse.into_iter().chain(ident).chain([from]),
                format!("The reply to {what} takes {}{why}.", duration(took))
                    .replace("reply to the greeting", "greeting"),
            );
        }
    }
}
