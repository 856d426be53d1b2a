//! The control connection was closed without QUIT: who closed first.

use port21_proto::Verb;
use port21_proto::event::{EventKind, Purpose};

use super::case::{Case, Found, name};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "closed-first",
    severity: Severity::Note,
    when: "The control connection was closed without QUIT: who closed first.",
    source: "RFC 959 section 4.1.1",
    advice: "Nothing need be done; a client that says QUIT is told whether its transfers are complete.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for c in case.session.connections().filter(|c| c.purpose == Purpose::Control) {
        let parting = case.of(c.id).any(|(_, k)| {
            k.verb() == Some(Verb::Quit)
                || matches!(k, EventKind::Reply { code, .. } if matches!(code.number(), 221 | 421))
        });
        // Behind AUTH it may have been said.
        if let Some((i, by, _)) = case.ended(c.id).filter(|_| !parting && case.secure.is_none()) {
            found.add(&RULE, i, [], format!("The {} closes first, without a word.", name(by)));
        }
    }
}
