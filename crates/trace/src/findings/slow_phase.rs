//! A reply took much longer than a round trip.

use std::time::Duration;

use port21_proto::Verb;

use super::case::{Case, Found};
use super::{Rule, Severity};
use crate::words::duration;

pub(super) const RULE: Rule = Rule {
    name: "slow-phase",
    severity: Severity::Note,
    when: "A reply took much longer than a round trip.",
    source: "experience",
    advice: "The time is spent at the server, not on the path: its disk, its name server, a hook, or a large directory.",
    check,
};

/// Less is not worth a word.
const LONG: Duration = Duration::from_secs(1);

fn check(case: &Case<'_>, found: &mut Found) {
    let exchanges = case.session.exchanges();
    let Some(quickest) = exchanges.iter().filter_map(|x| x.latency).min() else { return };
    for exchange in exchanges.iter().filter(|x| !matches!(x.verb, Some(Verb::User | Verb::Pass))) {
        let (Some(took), Some(&reply)) = (exchange.latency, exchange.replies.first()) else { continue };
        if took >= LONG && took >= quickest.saturating_mul(20) {
            let verb = exchange.verb.map_or_else(|| "the command".to_owned(), |v| v.to_string());
            let text =
                format!("The reply to {verb} takes {}; the quickest took {}.", duration(took), duration(quickest));
            found.add(&RULE, reply, exchange.command, text);
        }
    }
}
