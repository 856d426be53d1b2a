//! Segments were sent again beyond what is usual.

use port21_proto::event::{End, EventKind};

use super::case::{Case, Found, name};
use super::{Rule, Severity};
use crate::words;

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
        for end in [End::Client, End::Server] {
            let counted = case.counted(c.id, end).filter(|(_, counts)| counts.again >= 3);
            if let Some((i, counts)) = counted.filter(|(_, c)| c.again.saturating_mul(SHARE) > segments) {
                let text =
                    format!("The {} sent {} again.", name(end), words::counted(counts.again, "segment", "segments"));
                found.add(&RULE, i, [], text);
            }
        }
    }
}
