//! A transfer failed, and was done when the client repeated it.
//!
//! lftp does so with listings under TLS: in MODE Z it knows by the data itself where they end, and closes at once. Where
//! close_notify has come by then and was not read, its system answers with a RST, and where that is ahead of the delayed
//! acknowledgement of the data, no server can tell whether the listing has arrived.

use port21_proto::event::{Closing, End, EventKind};

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::{Ending, Transfer};

pub(super) const RULE: Rule = Rule {
    name: "repeated",
    severity: Severity::Note,
    when: "A transfer failed, and was done when the client repeated it.",
    source: "experience: servers that cannot take commands sent ahead, or lose a data connection now and then",
    advice: "Nothing need be done. Where it comes often, the replies say what the server did not like.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (command, t) in case.failed().filter(|(_, t)| is_repeated(case, t)) {
        let Some(exchange) = case.exchange(t) else { continue };
        let (subject, how) = match (t.ending, case.final_reply(exchange)) {
            (Ending::Failed(code), Some(reply)) => (reply, format!("failed with {code}")),
            _ => (command, "was given up".to_owned()),
        };
        // What the network did to it is told by another rule.
        let mut rows = case.evidence(t);
        if rows.iter().any(|row| found.has(*row)) {
            continue;
        }
        let given_up =
            case.ended(exchange.connection).filter(|(_, by, how)| (*by, *how) == (End::Client, Closing::Fin));
        match given_up {
            Some((end, ..)) if end > command => {
                let ends = case.of(exchange.connection).filter(|(_, kind)| matches!(kind, EventKind::Closed { .. }));
                rows.extend(ends.map(|(i, _)| i));
            }
            // Whoever else ended it: that is what is to be told.
            _ if t.ending == Ending::Unanswered => continue,
            _ => {}
        }
        found.add(&RULE, subject, rows.clone(), format!("{} {how}; it was repeated, and done.", title(t)));
        found.claim(rows);
    }
}

/// Whether a later transfer of the same was done.
fn is_repeated(case: &Case<'_>, t: &Transfer) -> bool {
    let all = case.session.transfers();
    let behind = all.iter().skip_while(|u| u.exchange <= t.exchange).take(64);
    let same = |u: &Transfer| u.verb == t.verb || u.is_listing() && t.is_listing();
    behind.filter(|u| u.ending == Ending::Done).any(|u| same(u) && u.name == t.name)
}
