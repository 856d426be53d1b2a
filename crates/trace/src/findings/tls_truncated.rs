//! A protected data connection ended without close_notify, so that its end cannot be told from a cut.

use port21_proto::event::TlsFailure;

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::{Direction, Ending};

pub(super) const RULE: Rule = Rule {
    name: "tls-truncated",
    severity: Severity::Fault,
    when: "A protected data connection ended without close_notify, so that its end cannot be told from a cut.",
    source: "RFC 8446 section 6.1",
    advice: "Repeat the transfer. Where it comes again, update the side that leaves close_notify out.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    // A server that says 226 has sent all; whether all has come is another question.
    for t in case.session.transfers() {
        let told = case.tls_failure(t).filter(|(_, why, _)| *why == TlsFailure::Truncated);
        let lost = match t.direction {
            // What a server refuses it does not send, and how it ends that is no matter.
            Direction::Down => !matches!(t.ending, Ending::Failed(code) if code.number() >= 500),
            // What the client has sent is not cut by how the server ends its side.
            Direction::Up => t.ending != Ending::Done,
        };
        if let Some((i, ..)) = told.filter(|_| lost) {
            let text = format!("The protected data connection of {} ended without close_notify.", title(t));
            found.add(&RULE, i, case.evidence(t), text);
        }
    }
}
