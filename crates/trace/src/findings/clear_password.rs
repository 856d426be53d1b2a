//! A password went in clear text.

use port21_proto::Verb;
use port21_proto::event::EventKind;

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "clear-password",
    severity: Severity::Note,
    when: "A password went in clear text.",
    source: "RFC 2577 section 5; RFC 4217 section 1",
    advice: "Use TLS (AUTH TLS): everyone on the path can read this password.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let mut guest = false;
    for (i, kind) in case.events() {
        let EventKind::Command { argument, .. } = kind else { continue };
        match kind.verb() {
            Some(Verb::User) => {
                guest = [&b"ftp"[..], b"anonymous"].iter().any(|name| argument.eq_ignore_ascii_case(name))
            }
            Some(Verb::Pass) if !guest && case.secure.is_none_or(|secure| i < secure) && !argument.is_empty() => {
                found.add(&RULE, i, [], "The password goes in clear text.");
            }
            _ => {}
        }
    }
}
