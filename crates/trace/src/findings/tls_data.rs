//! TLS on a data connection did not come to stand, or broke.

use port21_proto::event::TlsFailure;

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "tls-data",
    severity: Severity::Fault,
    when: "TLS on a data connection did not come to stand, or broke.",
    source: "RFC 4217 section 9",
    advice: "See the server's log for the reason. Both sides have to agree on PROT, and the client has to begin the handshake.",
    check,
};

const NONE: &str = "did not come to stand";

fn check(case: &Case<'_>, found: &mut Found) {
    for (_, t) in case.failed() {
        let reply = case.exchange(t).and_then(|x| case.final_reply(x));
        // An end without close_notify is a matter of `tls-truncated`.
        let broke = case.tls_failure(t).filter(|(_, why, _)| *why != TlsFailure::Truncated);
        let told = broke.map(|(i, why, text)| {
            let how = if why == TlsFailure::Broken { "broke" } else { NONE };
            (i, format!("{how}: {}.", clip(&shown(text.as_bytes()), 160)))
        });
        // RFC 4217 section 10.2: 522 is that alone.
        let refused = reply.filter(|&i| case.reply(i).is_some_and(|(code, _)| code.number() == 522));
        if let Some((i, why)) = told.or_else(|| refused.map(|i| (i, format!("{NONE} (522).")))) {
            let text = format!("TLS on the data connection of {} {why}", title(t));
            found.add(&RULE, i, case.evidence(t), text);
        }
    }
}
