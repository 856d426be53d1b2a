//! A connection was broken off by a RST in the midst of its work.

use port21_proto::Verb;
use port21_proto::event::{Closing, End, EventKind, Purpose};

use super::case::{Case, Found, name, title};
use super::{Rule, Severity};
use crate::session::{Ending, Transfer};

pub(super) const RULE: Rule = Rule {
    name: "reset",
    severity: Severity::Fault,
    when: "A connection was broken off by a RST in the midst of its work.",
    source: "RFC 9293 section 3.5.2",
    advice: "Look at the side that it seems to come from: a program that died, or a firewall that speaks in its name.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let parting = |id| {
        case.of(id).any(|(_, k)| {
            k.verb() == Some(Verb::Quit)
                || matches!(k, EventKind::Reply { code, .. } if matches!(code.number(), 221 | 421))
        })
    };
    for (i, kind) in case.events() {
        let EventKind::Closed { connection, by, how: Closing::Reset } = kind else { continue };
        let Some(c) = case.session.connection(*connection) else { continue };
        let (what, rows) = match c.purpose {
            // Behind AUTH the farewell cannot be read.
            Purpose::Control if !parting(c.id) && case.secure.is_none() => {
                ("the control connection".to_owned(), Vec::new())
            }
            Purpose::Data => match case.session.transfer_of(c.id) {
                Some(t) if t.ending == Ending::Done || case.exchange(t).is_some_and(|x| case.is_aborted(x)) => continue,
                // What is given up once it was refused did no work.
                Some(t) if case.exchange(t).and_then(|x| case.final_reply(x)).is_some_and(|reply| reply < i) => {
                    continue;
                }
                // A server that has had enough breaks it off, and says why.
                Some(t) if *by == End::Server && says_why(t) => continue,
                Some(t) => (format!("the data connection of {}", title(t)), case.evidence(t)),
                None => continue,
            },
            _ => continue,
        };
        let foreign = case.foreign(c.id, *by);
        found.add(&RULE, i, rows, format!("The {} breaks off {what} with a RST{foreign}.", name(*by)));
    }
}

/// Whether the final reply names another reason than the data connection (425, 426).
fn says_why(t: &Transfer) -> bool {
    matches!(t.ending, Ending::Failed(code) if !matches!(code.number(), 425 | 426))
}
