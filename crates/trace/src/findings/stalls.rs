//! Many replies take about 40 or 200 ms: one side waits for an acknowledgement that the other delays.

use std::time::Duration;

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "stalls",
    severity: Severity::Warning,
    when: "Many replies take about 40 or 200 ms: one side waits for an acknowledgement that the other delays.",
    source: "RFC 1122 section 4.2.3.2; RFC 896",
    advice: "Write each command and each reply in one piece, and turn Nagle's algorithm off (TCP_NODELAY) on the control connection.",
    check,
};

/// So many of them are no accident.
const SEVERAL: usize = 5;

fn check(case: &Case<'_>, found: &mut Found) {
    let simple = case.session.exchanges().iter().filter(|x| x.transfer.is_none() && x.command.is_some());
    let timed: Vec<(usize, Duration)> =
        simple.filter_map(|x| Some((x.replies.first().copied()?, x.latency?))).collect();
    let quick = timed.iter().filter(|(_, took)| took.as_millis() < 10).count();
    let between = |low: u128, high: u128| timed.iter().filter(move |(_, t)| (low..high).contains(&t.as_millis()));
    // A kernel's timer goes off up to a tick late, and a tick has 10 ms at the most.
    for (low, high, told) in [(38, 52, "40 ms"), (196, 216, "200 ms")] {
        let late: Vec<usize> = between(low, high).map(|(i, _)| *i).collect();
        // A busy machine is late by any time, a timer by its own.
        let width = high - low;
        let beside = between(low - width, low).chain(between(high, high + width)).count();
        // Where the path itself takes so long, none is quick.
        if let Some(&first) = late.first().filter(|_| late.len() >= SEVERAL && late.len() > beside && quick > 0) {
            let text =
                format!("{} of {} replies take about {told}, while others come at once.", late.len(), timed.len());
            found.add(&RULE, first, late, text);
        }
    }
}
