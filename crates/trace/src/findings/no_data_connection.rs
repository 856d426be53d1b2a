//! The server says that a transfer is complete, but there was no data connection.

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::session::Ending;

pub(super) const RULE: Rule = Rule {
    name: "no-data-connection",
    severity: Severity::Fault,
    when: "The server says that a transfer is complete, but there was no data connection.",
    source: "RFC 959 section 5.4",
    advice: "Do not trust the result: compare the file. A server that does this is broken.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let done = case.session.transfers().iter().filter(|t| t.ending == Ending::Done && !case.has_data(t));
    for t in done {
        let Some(exchange) = case.exchange(t) else { continue };
        // A capture may just not have it; who recorded at its sockets would.
        if case.session.is_observed(exchange.connection) || case.secure.is_some() {
            continue;
        }
        if let Some(reply) = case.final_reply(exchange) {
            let text = format!("{} is said to be complete, without any data connection.", title(t));
            found.add(&RULE, reply, case.evidence(t), text);
        }
    }
}
