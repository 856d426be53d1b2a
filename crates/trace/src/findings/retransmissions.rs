//! Segments were sent again beyond what is usual.

use port21_proto::event::EventKind;

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::counted;

pub(super) const RULE: Rule = Rule {
    name: "retransmissions",
    severity: Severity::Warning,
    when: "Segments were sent again beyond what is usual.",
    source: "RFC 6298; RFC 5681",
    advice: "The path loses packets: look at the link, its queue, and duplex mismatches. Each loss costs a file transfer a good part of its speed.",
    check,
};

/// A few of many do no harm.
const SHARE: u64 = 100;

fn check(case: &Case<'_>, found: &mut Found) {
    for c in case.session.connections() {
        let segments = case.of(c.id).filter_map(|(_, kind)| match kind {
            EventKind::Data { segments, .. } => *segments,
            _ => Some(1),
        });
        let segments: u64 = segments.fold(0, u64::saturating_add);
        for (i, kind) in case.of(c.id) {
            let EventKind::Note { text, .. } = kind else { continue };
            let Some(n) = crate::words::read_sent_again(text).filter(|n| *n >= 3 && n.saturating_mul(SHARE) > segments)
            else {
                continue;
            };
            found.add(
                &RULE,
                i,
                [],
                format!("{} sent again on one connection.", counted(n, "segment was", "segments were")),
            );
        }
    }
}
