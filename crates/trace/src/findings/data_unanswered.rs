//! A data connection was not answered: a firewall or NAT drops it.

use port21_proto::event::End;

use super::case::{Case, Found, name};
use super::{Rule, Severity};
use crate::session::{Ending, Mode};
use crate::words::{clip, shown};

pub(super) const RULE: Rule = Rule {
    name: "data-unanswered",
    severity: Severity::Fault,
    when: "A data connection was not answered: a firewall or NAT drops it.",
    source: "RFC 959 section 3.2; RFC 1579",
    advice: "In active mode use passive mode instead. In passive mode open the server's passive ports in its firewall, and forward them at its NAT.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let unanswered = |why: &str| !["refused", "given up"].iter().any(|word| why.contains(word));
    for (i, c, why) in case.unopened().filter(|(_, _, why)| unanswered(why)) {
        let listener = c.opener.other();
        let at = if listener == End::Client { c.client } else { c.server };
        let at = at.map(|a| format!(" {a}")).unwrap_or_default();
        let rows = case.session.transfer_of(c.id).map(|t| case.evidence(t)).unwrap_or_default();
        let (opener, listener) = (name(c.opener), name(listener));
        let why = clip(&shown(why.as_bytes()), 80);
        let text = format!("The {opener} does not get through to the {listener}'s data port{at}: {why}.");
        found.add(&RULE, i, rows, text);
    }
    // As a server sees it: it waits on its port, and nothing comes.
    for (_, t) in case.failed().filter(|(_, t)| t.connection.is_none() && t.mode == Some(Mode::Passive)) {
        let Some(reply) = case.exchange(t).and_then(|x| case.final_reply(x)) else { continue };
        if matches!(t.ending, Ending::Failed(code) if code.number() == 425) && case.secure.is_none() {
            let port = t.announced.map(|a| format!(" {}", a.port())).unwrap_or_default();
            found.add(&RULE, reply, case.evidence(t), format!("No data connection came to the server's port{port}."));
        }
    }
}
