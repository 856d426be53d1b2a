//! Only one direction of the control connection was captured.

use port21_proto::event::{EventKind, Purpose};

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "one-direction",
    severity: Severity::Note,
    when: "Only one direction of the control connection was captured.",
    source: "experience: asymmetric routes, mirror ports",
    advice: "Capture at one of the two hosts, or mirror both directions.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for c in case.session.connections().filter(|c| c.purpose == Purpose::Control && case.session.is_observed(c.id)) {
        let first = |wanted: fn(&EventKind) -> bool| {
            case.of(c.id).filter(|(_, k)| wanted(k)).map(|(i, _)| i).collect::<Vec<_>>()
        };
        let commands = first(|k| matches!(k, EventKind::Command { .. }));
        let replies = first(|k| matches!(k, EventKind::Reply { .. }));
        let (seen, other) = match (commands.as_slice(), replies.as_slice()) {
            ([_, _, ..], []) => (commands, "server"),
            ([], [_, _, ..]) => (replies, "client"),
            _ => continue,
        };
        if let Some(&i) = seen.first() {
            found.add(&RULE, i, [], format!("Nothing that the {other} says is in the capture."));
        }
    }
}
