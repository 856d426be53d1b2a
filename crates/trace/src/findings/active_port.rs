//! Active data does not come from the port before the control port, where that is a well-known one: of others no firewall
//! expects anything.

use port21_proto::event::End;

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "active-port",
    severity: Severity::Warning,
    when: "Active data does not come from the port before the control port, where that is a well-known one.",
    source: "RFC 959 section 3.2",
    advice: "Some firewalls and clients let active data in from that port alone (20 beside 21). Let the server bind it, or use passive mode.",
    check,
};

/// Ports below this are well-known ones (RFC 6335 section 6).
const WELL_KNOWN: u16 = 1024;

fn check(case: &Case<'_>, found: &mut Found) {
    let mut others: Vec<(usize, u16, u16)> = Vec::new();
    for t in case.session.transfers() {
        let Some(c) = t.connection.filter(|&id| case.stood(id)).and_then(|id| case.session.connection(id)) else {
            continue;
        };
        let control = case.exchange(t).and_then(|x| case.session.connection(x.connection)?.server);
        let (Some(from), Some(control)) = (c.server.filter(|_| c.opener == End::Server), control) else { continue };
        if control.port() >= WELL_KNOWN {
            continue;
        }
        let due = control.port().saturating_sub(1);
        if let Some((i, _)) = case.of(c.id).next().filter(|_| from.port() != due) {
            others.push((i, from.port(), due));
        }
    }
    if let Some(&(first, from, due)) = others.first() {
        let text = match others.len() {
            1 => format!("Active data comes from port {from}, not from port {due}."),
            n => format!("Active data comes from other ports than {due}, {n} times; first from port {from}."),
        };
        found.add(&RULE, first, others.iter().map(|other| other.0), text);
    }
}
