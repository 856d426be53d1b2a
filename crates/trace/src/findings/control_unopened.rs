//! The control connection did not come to stand.

use port21_proto::event::{EventKind, Purpose};

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "control-unopened",
    severity: Severity::Fault,
    when: "The control connection did not come to stand.",
    source: "RFC 9293 section 3.5",
    advice: "Refused: no server listens on that port. Unanswered: a firewall drops it, or the address is wrong.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let control = case.session.connections().filter(|c| c.purpose == Purpose::Control);
    // Of several addresses that are tried one will do.
    let control: Vec<_> = control.collect();
    if control.iter().any(|c| case.stood(c.id)) {
        return;
    }
    for c in control {
        for (i, kind) in case.of(c.id) {
            if let EventKind::OpenFailed { why, .. } = kind {
                let to = c.server.map(|a| format!(" to {a}")).unwrap_or_default();
                let why = clip(&shown(why.as_bytes()), 80);
                found.add(&RULE, i, [], format!("The control connection{to} did not come to stand: {why}."));
            }
        }
    }
}
