//! A side ended TLS with an alert.

use port21_proto::event::EventKind;

use super::case::{Case, Found, name};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "tls-alert",
    severity: Severity::Fault,
    when: "A side ended TLS with an alert.",
    source: "RFC 8446 section 6.2",
    advice: "The alert says what its sender did not accept: the version, the ciphers, or the certificate of the other side. Mend that there.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, kind) in case.events() {
        let EventKind::Tls { connection, from, what, alert: Some(code), .. } = kind else { continue };
        // close_notify and user_canceled end it in order (RFC 8446 section 6.1).
        if matches!(code, 0 | 90) {
            continue;
        }
        let alert = clip(&shown(what.trim_start_matches("alert: ").as_bytes()), 60);
        let ends = case.of(*connection).filter(|(_, k)| matches!(k, EventKind::Closed { .. })).map(|(i, _)| i);
        found.add(&RULE, i, ends, format!("The {} ends TLS with the alert \"{alert}\".", name(*from)));
    }
}
