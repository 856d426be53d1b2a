//! The server wants the TLS session of the control connection on the data connection, and the client did not resume it.

use port21_proto::event::TlsFailure;

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::Transfer;

pub(super) const RULE: Rule = Rule {
    name: "tls-reuse",
    severity: Severity::Fault,
    when: "The server wants the TLS session of the control connection on the data connection, and the client did not resume it.",
    source: "RFC 4217 section 10.2",
    advice: "Use a client that resumes the session on data connections, or turn the requirement off at the server.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed() {
        let told = case.tls_failure(t).filter(|(_, why, _)| *why == TlsFailure::NotResumed).map(|(i, ..)| i);
        let subject = told.or_else(|| said_so(case, t));
        if let Some(i) = subject {
            let text = format!("{} failed: the data connection did not resume the TLS session.", title(t));
            found.add(&RULE, i, case.evidence(t), text);
        }
    }
}

/// The reply that says so: RFC 4217 section 10.2 has 522 for all that a server does not like of TLS on data connections, so
/// that its words have to tell where no driver does. Those of vsftpd and ProFTPD are known.
fn said_so(case: &Case<'_>, t: &Transfer) -> Option<usize> {
    let reply = case.final_reply(case.exchange(t)?)?;
    let refused = matches!(case.reply(reply)?.0.number(), 425 | 522);
    let words = case.words(reply);
    let named = words.contains("session") && (words.contains("reuse") || words.contains("resum"));
    (refused && named).then_some(reply)
}
