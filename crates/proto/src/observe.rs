//! A control connection that others speak over: what passes on it, as events.

use std::collections::VecDeque;

use crate::event::{ConnectionId, End, EventKind, SessionEvent};
use crate::line::{Line, LineDecoder, MAX_REPLY_LINE};
use crate::reply::{Reply, ReplyDecoder};
use crate::time::Time;
use crate::verb::Verb;

/// The cap on a command line that is only looked at: longer than any end takes, so that what an end refuses can be shown.
pub const MAX_OBSERVED_LINE: usize = 64 * 1024;

/// The most bytes of a line that is no command or reply which are told of.
const MAX_HEAD: usize = 200;

/// Listens to both directions of a control connection.
///
/// It judges nothing that the ends may judge differently: commands are told in the order in which they were sent, replies in
/// that in which they came. Once AUTH is answered with 234 (RFC 4217 section 4), what follows is TLS, and is left to the
/// caller: [`Observer::handle_input`] then takes fewer bytes than it was given.
///
/// Memory: one line of each direction and one reply, by their caps, and the events until they are polled.
#[derive(Debug)]
pub struct Observer {
    connection: ConnectionId,
    /// Whether secrets are told.
    secrets: bool,
    client: LineDecoder,
    server: LineDecoder,
    replies: ReplyDecoder,
    events: VecDeque<SessionEvent>,
    /// AUTH was said, and no reply but a 1yz has come behind it.
    asked_for_tls: bool,
    /// Behind lost bytes: what comes up to the end of a line may be the rest of one.
    torn: [Torn; 2],
    secure: [bool; 2],
    /// When the last reply line came: the time of a reply that only what follows it ends.
    last_line: Time,
}

/// What is known of a line's begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Torn {
    /// All of it was seen.
    #[default]
    No,
    /// Bytes before it are lost.
    Maybe,
    /// It had begun before the bytes that are lost.
    Surely,
}

impl Observer {
    /// An observer of a connection of this name.
    pub fn new(connection: ConnectionId) -> Observer {
        Observer {
            connection,
            secrets: false,
            client: LineDecoder::new(MAX_OBSERVED_LINE),
            server: LineDecoder::new(MAX_REPLY_LINE),
            replies: ReplyDecoder::default(),
            events: VecDeque::new(),
            asked_for_tls: false,
            torn: [Torn::No; 2],
            secure: [false; 2],
            last_line: Time::ZERO,
        }
    }

    /// Tells passwords and account words as well, which are masked by default.
    pub fn with_secrets(self) -> Observer {
        Observer { secrets: true, ..self }
    }

    /// Bytes that `from` sent, in their order. Returns how many were taken: fewer than all where TLS begins behind them,
    /// none once it has begun.
    pub fn handle_input(&mut self, now: Time, from: End, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            if self.begins_tls(from, rest) {
                break;
            }
            let decoder = match from {
                End::Client => &mut self.client,
                End::Server => &mut self.server,
            };
            let (read, line) = decoder.feed(rest);
            taken += read.max(1);
            match line {
                Some(Line::Whole(line)) => {
                    let line = line.to_vec();
                    self.line(now, from, &line);
                }
                Some(Line::Overlong(head)) => {
                    let head = head.to_vec();
                    self.set_torn(from, Torn::No);
                    self.malformed(now, from, &head, "longer than any command or reply; the rest is not shown");
                }
                None => {}
            }
        }
        taken.min(bytes.len())
    }

    /// Bytes that `from` sent were not seen: the line that they belong to is not whole.
    pub fn handle_gap(&mut self, from: End) {
        let begun = match from {
            End::Client => std::mem::replace(&mut self.client, LineDecoder::new(MAX_OBSERVED_LINE)).has_partial(),
            End::Server => {
                self.replies = ReplyDecoder::default();
                std::mem::replace(&mut self.server, LineDecoder::new(MAX_REPLY_LINE)).has_partial()
            }
        };
        let torn = if begun || self.torn(from) == Torn::Surely { Torn::Surely } else { Torn::Maybe };
        self.set_torn(from, torn);
    }

    /// `from` sends nothing more: what it has begun to say is told as it is.
    pub fn handle_end(&mut self, now: Time, from: End) {
        let decoder = match from {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        };
        if decoder.has_partial() {
            // What a line's end would have ended.
            if let (_, Some(Line::Whole(line) | Line::Overlong(line))) = decoder.feed(b"\n") {
                let line = line.to_vec();
                self.malformed(now, from, &line, "the connection ended within this line");
            }
        }
        if from == End::Server {
            self.end_reply();
        }
    }

    /// TLS has ended in order, and FTP goes on in the clear (RFC 4217 section 8, CCC).
    pub fn handle_clear(&mut self, from: End) {
        self.set_secure(from, false);
    }

    /// TLS from the first byte on, as on port 990.
    pub fn handle_implicit_tls(&mut self) {
        self.secure = [true; 2];
    }

    /// How many bytes are kept of lines and replies that are not whole yet.
    pub fn size(&self) -> usize {
        self.client.size() + self.server.size() + self.replies.size()
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn begins_tls(&mut self, from: End, rest: &[u8]) -> bool {
        // No command begins with 0x16, and every TLS connection does (RFC 8446 section 5.1): a client that said AUTH may as
        // well say more in the clear, where it is refused.
        let greets = from == End::Client
            && self.asked_for_tls
            && !self.client.has_partial()
            && matches!(rest, [0x16] | [0x16, 3, ..]);
        if greets {
            self.set_secure(End::Client, true);
        }
        self.is_secure(from)
    }

    fn line(&mut self, now: Time, from: End, line: &[u8]) {
        let torn = self.torn(from);
        if torn != Torn::No {
            self.set_torn(from, Torn::No);
            // The rest of a line whose head is lost may be the rest of PASS.
            let is_whole = torn == Torn::Maybe
                && match from {
                    End::Client => Verb::from_name(line.split(|&b| b == b' ').next().unwrap_or_default()).is_some(),
                    End::Server => matches!(line, [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..]),
                };
            if !is_whole {
                return;
            }
        }
        match from {
            End::Client => self.command(now, line),
            End::Server => self.reply_line(now, line),
        }
    }

    fn command(&mut self, now: Time, line: &[u8]) {
        self.end_reply();
        if line.trim_ascii().is_empty() {
            return self.malformed(now, End::Client, line, "an empty line");
        }
        let kind = self.told(line);
        if kind.verb() == Some(Verb::Auth) {
            self.asked_for_tls = true;
        }
        self.events.push_back(SessionEvent { at: now, kind });
    }

    /// A line of the client's as an event.
    fn told(&self, line: &[u8]) -> EventKind {
        let tell = if self.secrets { EventKind::command_with_secret } else { EventKind::command };
        tell(self.connection, line)
    }

    fn reply_line(&mut self, now: Time, line: &[u8]) {
        self.last_line = now;
        match self.replies.line(line) {
            Ok(Some(reply)) => self.reply(now, reply),
            Ok(None) => {}
            Err(error) => {
                let why = match error {
                    crate::reply::ReplyError::NoCode(_) => "a reply without a code".to_owned(),
                    other => other.to_string(),
                };
                self.malformed(now, End::Server, line, &why);
            }
        }
    }

    fn reply(&mut self, at: Time, reply: Reply) {
        if self.asked_for_tls && !reply.code().is_preliminary() {
            self.asked_for_tls = false;
            if reply.code() == 234 {
                self.secure = [true; 2];
            }
        }
        let (code, lines) = (reply.code(), reply.lines().to_vec());
        self.events.push_back(SessionEvent { at, kind: EventKind::Reply { connection: self.connection, code, lines } });
    }

    /// A reply that was ended with another code than it began with: nothing followed it.
    fn end_reply(&mut self) {
        if let Some(reply) = self.replies.take_other_end() {
            self.reply(self.last_line, reply);
        }
    }

    fn malformed(&mut self, at: Time, from: End, head: &[u8], why: &str) {
        let head = match (from, self.told(head)) {
            // Whatever it is, nothing that may be a password is shown of it unasked.
            (End::Client, EventKind::Command { verb, argument, .. }) if !argument.is_empty() => {
                [verb.as_bytes(), b" ", &argument].concat()
            }
            (End::Client, EventKind::Command { verb, .. }) => verb.into_bytes(),
            _ => head.to_vec(),
        };
        let head = head.get(..head.len().min(MAX_HEAD)).unwrap_or_default().to_vec();
        let kind = EventKind::Malformed { connection: self.connection, from, head, why: why.to_owned() };
        self.events.push_back(SessionEvent { at, kind });
    }

    fn is_secure(&self, from: End) -> bool {
        let [client, server] = self.secure;
        if from == End::Client { client } else { server }
    }

    fn set_secure(&mut self, from: End, to: bool) {
        let [client, server] = &mut self.secure;
        *(if from == End::Client { client } else { server }) = to;
    }

    fn torn(&self, from: End) -> Torn {
        let [client, server] = self.torn;
        if from == End::Client { client } else { server }
    }

    fn set_torn(&mut self, from: End, to: Torn) {
        let [client, server] = &mut self.torn;
        *(if from == End::Client { client } else { server }) = to;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(observer: &mut Observer) -> Vec<String> {
        let events = std::iter::from_fn(|| observer.poll_event());
        let told = events.map(|event| match event.kind {
            EventKind::Command { verb, argument, .. } => format!("{verb} {}", String::from_utf8_lossy(&argument)),
            EventKind::Reply { code, lines, .. } => format!("{code} x{}", lines.len()),
            EventKind::Malformed { head, why, .. } => format!("! {} ({why})", String::from_utf8_lossy(&head)),
            other => format!("{other:?}"),
        });
        told.collect()
    }

    fn observer() -> Observer {
        Observer::new(ConnectionId::CONTROL)
    }

    #[test]
    fn both_directions_become_events() {
        let mut observer = observer();
        observer.handle_input(Time::ZERO, End::Server, b"220-Hello\r\n220 Ready\r\n");
        observer.handle_input(Time::ZERO, End::Client, b"user anna\r\nPASS hunter2\r\n\r\n");
        observer.handle_input(Time::ZERO, End::Server, b"nonsense\r\n230 In\r\n");
        assert_eq!(
            told(&mut observer),
            ["220 x2", "USER anna", "PASS ***", "!  (an empty line)", "! nonsense (a reply without a code)", "230 x1"]
        );
    }

    #[test]
    fn secrets_are_told_to_who_asks_for_them() {
        let mut observer = observer().with_secrets();
        observer.handle_input(Time::ZERO, End::Client, b"pass hunter2\r\nSITE PSWD a b\r\nPASS x7");
        observer.handle_end(Time::ZERO, End::Client);
        let want = ["PASS hunter2", "SITE PSWD a b", "! PASS x7 (the connection ended within this line)"];
        assert_eq!(told(&mut observer), want);
    }

    #[test]
    fn behind_auth_is_tls_and_behind_a_refusal_is_ftp() {
        let mut observer = observer();
        observer.handle_input(Time::ZERO, End::Client, b"AUTH TLS\r\n");
        assert_eq!(observer.handle_input(Time::ZERO, End::Server, b"504 No\r\n"), 8);
        assert_eq!(observer.handle_input(Time::ZERO, End::Client, b"AUTH TLS\r\n"), 10);
        assert_eq!(observer.handle_input(Time::ZERO, End::Server, b"234 Go\r\n\x16\x03\x03"), 8);
        assert_eq!(observer.handle_input(Time::ZERO, End::Client, b"\x16\x03\x01"), 0);
        observer.handle_clear(End::Client);
        assert_eq!(observer.handle_input(Time::ZERO, End::Client, b"NOOP\r\n"), 6);
        assert_eq!(told(&mut observer), ["AUTH TLS", "504 x1", "AUTH TLS", "234 x1", "NOOP "]);
    }

    #[test]
    fn a_client_that_greets_before_the_reply_came_is_not_read_as_commands() {
        let mut observer = observer();
        assert_eq!(observer.handle_input(Time::ZERO, End::Client, b"AUTH TLS\r\n\x16\x03\x01\n"), 10);
        assert_eq!(told(&mut observer), ["AUTH TLS"]);
    }

    #[test]
    fn behind_a_gap_no_rest_of_a_line_is_told() {
        let mut observer = observer();
        observer.handle_input(Time::ZERO, End::Client, b"PASS hun");
        observer.handle_gap(End::Client);
        observer.handle_input(Time::ZERO, End::Client, b"NOOP\r\nNOOP\r\n");
        observer.handle_gap(End::Client);
        observer.handle_input(Time::ZERO, End::Client, b"PWD\r\n");
        observer.handle_input(Time::ZERO, End::Server, b"220-one\r\n");
        observer.handle_gap(End::Server);
        observer.handle_input(Time::ZERO, End::Server, b"text\r\n226 Done\r\n");
        assert_eq!(told(&mut observer), ["NOOP ", "PWD ", "226 x1"]);
    }

    #[test]
    fn ends_within_a_line_or_a_reply_are_told() {
        let mut observer = observer();
        observer.handle_input(Time::ZERO, End::Server, b"230-Hello\r\n220 Other\r\n");
        observer.handle_end(Time::ZERO, End::Server);
        observer.handle_input(Time::ZERO, End::Client, b"PASS x7");
        observer.handle_end(Time::ZERO, End::Client);
        assert_eq!(told(&mut observer), ["220 x2", "! PASS *** (the connection ended within this line)"]);
    }

    #[test]
    fn a_line_of_any_length_is_bounded() {
        let mut observer = observer();
        let mut line = b"CWD ".to_vec();
        line.resize(3 * MAX_OBSERVED_LINE, b'x');
        line.extend(b"\r\nNOOP\r\n");
        observer.handle_input(Time::ZERO, End::Client, &line);
        let told = told(&mut observer);
        assert!(told[0].starts_with("! CWD xxx") && told[0].len() < 400, "{}", told[0]);
        assert_eq!(told[1], "NOOP ");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_order(
            parts in proptest::collection::vec((any::<bool>(), any::<bool>(), prop_oneof![
                Just(b"AUTH TLS\r\n".to_vec()), Just(b"234 x\r\n".to_vec()), Just(b"220-a\r\n".to_vec()), any::<Vec<u8>>()
            ]), 0..30),
        ) {
            let mut observer = observer();
            for (client, gap, bytes) in parts {
                let from = if client { End::Client } else { End::Server };
                if gap {
                    observer.handle_gap(from);
                }
                prop_assert!(observer.handle_input(Time::ZERO, from, &bytes) <= bytes.len());
            }
            observer.handle_end(Time::ZERO, End::Client);
            observer.handle_end(Time::ZERO, End::Server);
            prop_assert!(told(&mut observer).iter().all(|t| !t.contains("hunter2")));
        }
    }
}
