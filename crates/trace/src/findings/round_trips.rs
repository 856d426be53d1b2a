//! Most of the session was spent in waiting for one reply after the other.

use std::time::Duration;

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::{counted, duration};

pub(super) const RULE: Rule = Rule {
    name: "round-trips",
    severity: Severity::Note,
    when: "Most of the session was spent in waiting for one reply after the other.",
    source: "RFC 3659 section 7; RFC 9293",
    advice: "Send commands ahead (port21 does), list with MLSD instead of SIZE and MDTM for each file, or use several sessions.",
    check,
};

/// Fewer commands do not matter.
const MANY: usize = 30;

fn check(case: &Case<'_>, found: &mut Found) {
    let simple: Vec<_> =
        case.session.exchanges().iter().filter(|x| x.transfer.is_none() && x.command.is_some()).collect();
    let waited: Duration = simple.iter().filter_map(|x| x.latency).fold(Duration::ZERO, |a, b| a.saturating_add(b));
    let span = case.session.span();
    let whole = span.end.since(span.start);
    let first = simple.iter().find_map(|x| x.command);
    let slow = waited >= Duration::from_millis(20).saturating_mul(u32::try_from(simple.len()).unwrap_or(u32::MAX));
    if let Some(first) = first.filter(|_| simple.len() >= MANY && slow && waited.saturating_mul(2) > whole) {
        let text = format!(
            "{} in turn: {} of {} is waiting for replies.",
            counted(simple.len() as u64, "command", "commands"),
            duration(waited),
            duration(whole)
        );
        found.add(&RULE, first, [], text);
    }
}
