//! A data connection was refused.

use port21_proto::event::End;

use super::case::{Case, Found, name};
use super::{Rule, Severity};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "data-refused",
    severity: Severity::Fault,
    when: "A data connection was refused.",
    source: "RFC 9293 section 3.5.2",
    advice: "Nothing listened on the announced port any more, or a firewall rejects it: look at the side that announced it.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for (i, c, why) in case.unopened().filter(|(_, _, why)| why.contains("refused")) {
        let listener = c.opener.other();
        let at = if listener == End::Client { c.client } else { c.server };
        let at = at.map(|a| format!(" on {a}")).unwrap_or_default();
        let rows = case.session.transfer_of(c.id).map(|t| case.evidence(t)).unwrap_or_default();
        // A capture may tell who it is that rejects it on the way.
        let text = match why.strip_prefix("refused by ") {
            Some(by) => format!(
                "The data connection to the {}{at} is refused on its way by {}.",
                name(listener),
                clip(&shown(by.as_bytes()), 80)
            ),
            None => format!("The {} refuses the data connection{at}.", name(listener)),
        };
        found.add(&RULE, i, rows, text);
    }
}
