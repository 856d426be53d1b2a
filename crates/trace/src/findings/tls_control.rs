//! TLS did not come to stand on the control connection.

use port21_proto::event::{EventKind, Purpose, TlsFailure};

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "tls-control",
    severity: Severity::Fault,
    when: "TLS did not come to stand on the control connection.",
    source: "RFC 4217 section 4",
    advice: "What is said of it names the side to look at: the certificate (its name, its date, who signed it), the versions, or a peer that speaks no TLS on this port.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        let EventKind::TlsFailed { connection, why, text } = kind else { continue };
        // Who looks whether a port of implicit TLS is open leaves without a word.
        let asked = case.of(*connection).any(|(_, k)| matches!(k, EventKind::Command { .. }));
        if *why == TlsFailure::Truncated && !asked {
            continue;
        }
        if case.session.connection(*connection).is_some_and(|c| c.purpose == Purpose::Control) {
            let ends = case.of(*connection).filter(|(_, k)| matches!(k, EventKind::Closed { .. })).map(|(i, _)| i);
            let why = clip(&shown(text.as_bytes()), 240);
            found.add(&RULE, i, ends, format!("TLS did not come to stand: {why}."));
        }
    }
}
