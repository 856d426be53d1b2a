//! Part of the session is not in the capture, or was cut by its snap length.

use port21_proto::event::EventKind;

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "captured-part",
    severity: Severity::Note,
    when: "Part of the session is not in the capture, or was cut by its snap length.",
    source: "tcpdump(8), option -s",
    advice: "Capture whole packets (tcpdump -s 0) and all ports of both hosts, not port 21 alone; give the capture a larger buffer (-B).",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        let EventKind::Note { text, .. } = kind else { continue };
        let missing = ["is not in the capture", "are not in the capture", "were cut off by the capture"];
        if missing.iter().any(|end| text.ends_with(end)) {
            found.add(
                &RULE,
                i,
                [],
                format!("This can be judged in part only: {}.", clip(&shown(text.as_bytes()), 160)),
            );
        }
    }
}
