//! Secrets that an event should not hold, and does not once it is written or drawn.

use std::borrow::Cow;

use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::secret::MASK;

/// The event with its secret masked, where it has one that is not. Those who make events mask them; what is written
/// and drawn does not depend on it. [`EventKind::command`] is the judge of what a secret is.
pub(crate) fn masked(kind: &EventKind) -> Cow<'_, EventKind> {
    match kind {
        EventKind::Command { connection, verb, argument } => {
            let blank: &[u8] = if argument.is_empty() { b"" } else { b" " };
            let line = [verb.as_bytes(), blank, argument].concat();
            match secret(*connection, &line) {
                Some((verb, told)) if told != *argument => {
                    Cow::Owned(EventKind::Command { connection: *connection, verb, argument: told })
                }
                _ => Cow::Borrowed(kind),
            }
        }
        EventKind::Malformed { connection, from, head, why } => match secret(*connection, head) {
            Some((verb, told)) if !head.ends_with(MASK.as_bytes()) => {
                let head = [verb.as_bytes(), b" ", &told].concat();
                Cow::Owned(EventKind::Malformed { connection: *connection, from: *from, head, why: why.clone() })
            }
            _ => Cow::Borrowed(kind),
        },
        _ => Cow::Borrowed(kind),
    }
}

/// What may be told of a line: nothing where it holds no secret.
pub(crate) fn secret(connection: ConnectionId, line: &[u8]) -> Option<(String, Vec<u8>)> {
    match EventKind::command(connection, line) {
        EventKind::Command { verb, argument, .. } if argument.ends_with(MASK.as_bytes()) => Some((verb, argument)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use port21_proto::event::End;

    use super::*;

    fn command(verb: &str, argument: &str) -> EventKind {
        let (verb, argument) = (verb.to_owned(), argument.as_bytes().to_vec());
        EventKind::Command { connection: ConnectionId::CONTROL, verb, argument }
    }

    #[test]
    fn secrets_are_masked_and_nothing_else_is_touched() {
        for (verb, argument) in
            [("PASS", "x7"), ("pass", "x7 ***"), (" ACCT", "x7"), ("SITE", "PSWD x7"), ("PASS\0", "x7")]
        {
            let kind = command(verb, argument);
            assert!(!format!("{:?}", masked(&kind)).contains("120, 55"), "{verb} {argument}");
        }
        for (verb, argument) in [("RETR", "a ***"), ("PASS", "***"), ("PASS", ""), ("USER", "PASS x7"), ("NOOP", "")] {
            let kind = command(verb, argument);
            assert!(matches!(masked(&kind), Cow::Borrowed(_)), "{verb} {argument}");
        }
        let (connection, from, why) = (ConnectionId::CONTROL, End::Client, "a NUL".to_owned());
        let kind = EventKind::Malformed { connection, from, head: b"\xff\xf4PASS x7\0".to_vec(), why };
        let EventKind::Malformed { head, .. } = masked(&kind).into_owned() else { panic!() };
        assert!(!head.windows(2).any(|w| w == b"x7") && head.ends_with(b"***"));
    }
}
