//! What was said on the control connection is not FTP: no code, an overlong line, an unfinished reply.

use port21_proto::event::EventKind;

use super::case::{Case, Found, events_of, name};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "malformed",
    severity: Severity::Fault,
    when: "What was said on the control connection is not FTP: no code, an overlong line, an unfinished reply.",
    source: "RFC 959 section 4.2; RFC 1123 section 4.1.2",
    advice: "The side that said it is broken, or is no FTP at all: look at what is shown of it.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        if let EventKind::Malformed { from, why, .. } = kind {
            let why = clip(&shown(why.as_bytes()), 120);
            let of_exchange = case.session.exchange_of(i).into_iter().flat_map(events_of);
            found.add(&RULE, i, of_exchange, format!("What the {} says is not FTP: {why}.", name(*from)));
        }
    }
}
