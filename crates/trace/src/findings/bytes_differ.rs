//! A file that was transferred has not as many bytes as 150 or SIZE said.

use std::collections::HashMap;

use port21_proto::Verb;
use port21_proto::event::EventKind;
use port21_proto::parameters::Representation;

use super::case::{Case, Found, title};
use super::{Rule, Severity};
use crate::words::bytes;

pub(super) const RULE: Rule = Rule {
    name: "bytes-differ",
    severity: Severity::Fault,
    when: "A file that was transferred has not as many bytes as 150 or SIZE said.",
    source: "RFC 3659 section 4; experience: lost bytes",
    advice: "Transfer it again and compare. Where it comes again, the file changes meanwhile, or a side cuts it short.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let exchanges = case.session.exchanges();
    let mut sizes: HashMap<&[u8], (usize, u64)> = HashMap::new();
    let (mut image, mut stream) = (false, true);
    for exchange in exchanges {
        let Some(reply) = case.final_reply(exchange) else { continue };
        let done = exchange.code.is_some_and(|code| code.is_completion());
        match exchange.verb {
            Some(Verb::Type) if done => {
                image = case.argument(exchange).first().is_some_and(|b| b.eq_ignore_ascii_case(&b'I'))
            }
            // Compressed and in blocks there are other bytes on the way than in the file.
            Some(Verb::Mode) if done => stream = case.argument(exchange).eq_ignore_ascii_case(b"S"),
            Some(Verb::Rein) => (image, stream, sizes) = (false, true, HashMap::new()),
            Some(Verb::Cwd | Verb::Cdup) => sizes.clear(),
            Some(Verb::Size) if done && image => {
                if let Some(size) = case.reply(reply).and_then(|(_, text)| text.trim().parse().ok()) {
                    sizes.insert(case.argument(exchange), (reply, size));
                }
            }
            Some(Verb::Retr) if done && stream => {
                let Some(t) = exchange.transfer.and_then(|t| case.session.transfers().get(t)) else { continue };
                let Some(id) = t.connection.filter(|&id| case.is_whole(id)) else { continue };
                let ended = case.of(id).any(|(_, kind)| matches!(kind, EventKind::Closed { .. }));
                if t.representation != Representation::Image || !ended {
                    continue;
                }
                let told = exchange.replies.first().and_then(|&i| Some((i, in_brackets(&case.reply(i)?.1)?)));
                let Some((at, size)) = told.or_else(|| sizes.get(case.argument(exchange)).copied()) else { continue };
                // Some servers tell the whole size behind REST, some what is left of it.
                if t.bytes != size && t.bytes != size.saturating_sub(t.from) {
                    let text = format!("{}: {} came, {} were announced.", title(t), bytes(t.bytes), bytes(size));
                    found.add(&RULE, reply, case.evidence(t).into_iter().chain([at]), text);
                }
            }
            _ => {}
        }
    }
}

/// The number in `(1715 bytes)`.
fn in_brackets(text: &str) -> Option<u64> {
    let (before, _) = text.rsplit_once(" bytes)")?;
    before.rsplit_once('(')?.1.parse().ok()
}
