//! Full segments are sent again and again while small ones pass: the path drops large packets and says nothing.

use port21_proto::event::End;

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::Direction;

pub(super) const RULE: Rule = Rule {
    name: "black-hole",
    severity: Severity::Fault,
    when: "Full segments are sent again and again while small ones pass: the path drops large packets and says nothing.",
    source: "RFC 2923 section 2.1",
    advice: "Let ICMP \"fragmentation needed\" pass, clamp the MSS at the tunnel or VPN, or lower the MTU.",
    check,
};

/// So large a segment is likely to fill a packet.
const LARGE: u64 = 1000;

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed() {
        let Some(id) = t.connection else { continue };
        let from = if t.direction == Direction::Up { End::Client } else { End::Server };
        let Some((i, counts)) = case.counted(id, from) else { continue };
        let size = counts.again_bytes.checked_div(counts.again).unwrap_or(0);
        // What is lost by chance gets through in the end, and then a segment of its size was acknowledged.
        let passed = u64::from(counts.largest_acknowledged) >= size;
        if counts.again >= 3 && size >= LARGE && !passed && case.stood(id) {
            let text = format!(
                "{} stands still: segments of {size} bytes are sent again ({} times) and never acknowledged, while small ones pass.",
                title(t),
                counts.again
            );
            found.add(&RULE, i, case.evidence(t), text);
        }
    }
}
