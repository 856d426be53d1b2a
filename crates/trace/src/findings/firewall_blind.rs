//! Data connections fail behind AUTH TLS: firewalls and NATs cannot read the ports any more.

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "firewall-blind",
    severity: Severity::Warning,
    when: "Data connections fail behind AUTH TLS: firewalls and NATs cannot read the ports any more.",
    source: "RFC 4217 section 10; RFC 2428 section 4",
    advice: "Open a fixed range of passive ports at the server's firewall, and set its outer address; what helps plain FTP (ALG, conntrack) is blind here.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let Some(secure) = case.secure else { return };
    let failed: Vec<usize> = case.unopened().map(|(i, ..)| i).filter(|&i| i > secure).collect();
    if !failed.is_empty() {
        found.add(&RULE, secure, failed, "From here on no firewall sees the ports, and data connections fail.");
    }
}
