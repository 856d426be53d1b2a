//! Replies do not fit the commands: one side has lost count.

use std::collections::HashMap;

use port21_proto::Verb;
use port21_proto::event::{ConnectionId, EventKind};

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "out-of-step",
    severity: Severity::Fault,
    when: "Replies do not fit the commands: one side has lost count.",
    source: "RFC 959 section 5.4",
    advice: "End the session and open a new one: no later answer in it can be trusted. A proxy or helper between the two is the usual cause.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let mut spare: HashMap<ConnectionId, u32> = HashMap::new();
    for (i, kind) in case.events() {
        match kind {
            // ABOR may bring one reply or two; what is no command may be answered.
            EventKind::Command { connection, .. } if kind.verb() == Some(Verb::Abor) => {
                *spare.entry(*connection).or_default() += 1;
            }
            EventKind::Malformed { connection, .. } => *spare.entry(*connection).or_default() += 1,
            EventKind::Note { connection: Some(connection), .. } => *spare.entry(*connection).or_default() += 100,
            EventKind::Reply { connection, code, .. } => {
                let Some(exchange) = case.session.exchange_of(i) else { continue };
                let greets = matches!(code.number(), 120 | 220 | 221 | 421 | 530) || case.is_joined(*connection);
                let fits = match (exchange.command, exchange.verb) {
                    (None, _) => greets,
                    (_, Some(verb)) => fits(verb, code.number()),
                    (_, None) => true,
                };
                if fits || case.secure.is_some() {
                    continue;
                }
                let spare = spare.entry(*connection).or_default();
                if *spare > 0 {
                    *spare -= 1;
                    continue;
                }
                let text = match exchange.verb {
                    Some(verb) => format!("{code} is no answer to {verb}: replies and commands are out of step."),
                    None => format!("{code} answers no command."),
                };
                found.add(&RULE, i, events_of(exchange), text);
            }
            _ => {}
        }
    }
}

/// Whether a reply can be the answer to a command at all; codes that many servers use freely fit everything.
fn fits(verb: Verb, code: u16) -> bool {
    match code {
        227 => verb == Verb::Pasv,
        229 => verb == Verb::Epsv,
        331 => matches!(verb, Verb::User | Verb::Host),
        150 => verb.moves().is_some() || matches!(verb, Verb::List | Verb::Nlst | Verb::Mlsd | Verb::Stat | Verb::Site),
        350 => matches!(verb, Verb::Rest | Verb::Rnfr | Verb::Site | Verb::User | Verb::Pass),
        _ => true,
    }
}
