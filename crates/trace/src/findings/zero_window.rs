//! A side could be sent nothing for a good part of a connection's life: its program did not read.

use std::time::Duration;

use port21_proto::event::End;

use super::case::{Case, Found, name};
use super::{Rule, Severity};
use crate::words::{counted, duration};

pub(super) const RULE: Rule = Rule {
    name: "zero-window",
    severity: Severity::Warning,
    when: "A side could be sent nothing for a good part of a connection's life: its program did not read.",
    source: "RFC 9293 section 3.8.6",
    advice: "Look at the program of that side: what it writes to (a full or slow disk, a pipe that nobody reads), and whether it runs at all.",
    check,
};

/// Less does not matter.
const LONG: Duration = Duration::from_secs(1);

/// And this part of the connection's life.
const PART: u32 = 10;

fn check(case: &Case<'_>, found: &mut Found) {
    let events = case.session.events();
    for c in case.session.connections() {
        let begin = case.of(c.id).next().and_then(|(i, _)| events.get(i));
        for end in [End::Client, End::Server] {
            let Some((i, counts)) = case.counted(c.id, end) else { continue };
            let Some(life) = events.get(i).zip(begin).map(|(end, begin)| end.at.since(begin.at)) else { continue };
            if counts.closed_for >= LONG && counts.closed_for.saturating_mul(PART) >= life {
                let text = format!(
                    "The {} closes its window {}, for {} of {}.",
                    name(end),
                    counted(counts.closed_windows, "time", "times"),
                    duration(counts.closed_for),
                    duration(life)
                );
                found.add(&RULE, i, [], text);
            }
        }
    }
}
