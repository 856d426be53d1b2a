//! Full segments are sent again and again while small ones pass: the path drops large packets and says nothing.

use port21_proto::event::EventKind;

use super::case::{Case, Found, title};
use super::{Rule, Severity};

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
        let sizes = case.of(id).find_map(|(_, kind)| match kind {
            EventKind::Data { bytes, segments: Some(n), .. } if *n > 0 => Some(bytes / n),
            _ => None,
        });
        let again = case.of(id).find_map(|(i, kind)| match kind {
            EventKind::Note { text, .. } => crate::words::read_sent_again(text).map(|n| (i, n)),
            _ => None,
        });
        if let (Some(size), Some((i, n))) = (sizes, again)
            && size >= LARGE
            && n >= 3
        {
            let text = format!(
                "{} stands still: segments of {size} bytes are sent again ({n} times) while the control connection works.",
                title(t)
            );
            found.add(&RULE, i, case.evidence(t), text);
        }
    }
}
