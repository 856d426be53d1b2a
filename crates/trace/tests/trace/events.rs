//! Events for tests: the reference session, sessions written by hand, and events of every kind at random.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::event::{
    Closing, Connection, ConnectionId, Counts, End, EventKind, ForeignReset, Purpose, Segment, TlsFailure,
};
use port21_proto::{Code, SessionEvent, Time};
use port21_trace::recording::Recording;
use proptest::prelude::*;

/// The reference session, as a client would have recorded it.
pub(crate) const REFERENCE: &[u8] = include_bytes!("../data/reference.jsonl");

/// Its events.
pub(crate) fn reference() -> Vec<SessionEvent> {
    let mut recording = Recording::read(REFERENCE).unwrap();
    assert_eq!((recording.sessions.len(), recording.notes.len()), (1, 0));
    recording.sessions.remove(0).events
}

/// Writes events one millisecond after the other.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) events: Vec<SessionEvent>,
    pub(crate) ms: u64,
}

pub(crate) const CONTROL: ConnectionId = ConnectionId::CONTROL;

impl Script {
    /// A client that has connected and logged in.
    pub(crate) fn logged_in() -> Script {
        let mut script = Script::default();
        script.opening(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
        script.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
        script.reply(220, &["Ready."]).command("USER anna").reply(331, &["Password required."]);
        script.command("PASS geheim").reply(230, &["Logged in."]);
        script
    }

    pub(crate) fn push(&mut self, kind: EventKind) -> &mut Script {
        self.ms += 1;
        let at = Time::from_unix_nanos(1_115_068_020_000_000_000 + self.ms * 1_000_000);
        self.events.push(SessionEvent { at, kind });
        self
    }

    pub(crate) fn command(&mut self, line: &str) -> &mut Script {
        self.push(EventKind::command(CONTROL, line.as_bytes()))
    }

    pub(crate) fn reply(&mut self, code: u16, lines: &[&str]) -> &mut Script {
        let lines = lines.iter().map(|l| Cow::Owned(l.as_bytes().to_vec())).collect();
        self.push(EventKind::Reply { connection: CONTROL, code: Code::new(code).unwrap(), lines })
    }

    pub(crate) fn opening(&mut self, id: u32, of: Purpose, by: End, client: Option<&str>, server: Option<&str>) {
        self.push(EventKind::Opening(connection(id, of, by, client, server)));
    }

    pub(crate) fn opened(&mut self, id: u32, of: Purpose, by: End, client: Option<&str>, server: Option<&str>) {
        self.push(EventKind::Opened(connection(id, of, by, client, server)));
    }

    pub(crate) fn data(&mut self, id: u32, from: End, bytes: u64) -> &mut Script {
        let since = self.events.last().map_or(Time::ZERO, |e| e.at);
        self.push(EventKind::Data { connection: ConnectionId(id), from, since, bytes, segments: None })
    }

    pub(crate) fn closed(&mut self, id: u32, by: End) -> &mut Script {
        self.push(EventKind::Closed { connection: ConnectionId(id), by, how: Closing::Fin })
    }

    /// A download in passive mode, from 150 to 226.
    pub(crate) fn download(&mut self, id: u32, name: &str, bytes: u64) -> &mut Script {
        let (hi, lo) = (200 + id / 250 % 50, id % 250);
        let server = format!("10.0.0.1:{}", hi * 256 + lo);
        let client = format!("10.0.0.2:{}", 41_000 + id % 20_000);
        self.command("PASV").reply(227, &[&format!("Entering Passive Mode (10,0,0,1,{hi},{lo}).")]);
        self.opening(id, Purpose::Data, End::Client, None, Some(&server));
        self.opened(id, Purpose::Data, End::Client, Some(&client), Some(&server));
        self.command(&format!("RETR {name}")).reply(150, &["Opening BINARY mode data connection."]);
        self.data(id, End::Server, bytes).closed(id, End::Server).closed(id, End::Client);
        self.reply(226, &["Transfer complete."])
    }
}

fn connection(id: u32, purpose: Purpose, opener: End, client: Option<&str>, server: Option<&str>) -> Connection {
    let address = |text: Option<&str>| text.map(|a| a.parse().unwrap());
    Connection { id: ConnectionId(id), purpose, opener, client: address(client), server: address(server) }
}

/// A text that somebody means harm with, or just any.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        any::<String>(),
        Just("\u{1b}[2J\u{1b}]0;x\u{7}".to_owned()),
        Just("<script>alert(1)</script>&amp;\"'".to_owned()),
        Just("日本語のファイル名.txt ❤\u{fe0f} e\u{301}\u{301}\u{301}\u{301}\u{301}".to_owned()),
        Just("\u{202e}txt.exe\u{200b}\r\n226 done\0".to_owned()),
        Just("x".repeat(3000)),
        Just(" ".repeat(300)),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), any::<Vec<u8>>()]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Client), Just(End::Server)]
}

fn id() -> impl Strategy<Value = ConnectionId> {
    prop_oneof![8 => 0u32..4, 1 => any::<u32>()].prop_map(ConnectionId)
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![9 => 0u64..60_000_000_000, 1 => any::<u64>()].prop_map(Time::from_unix_nanos)
}

fn address() -> impl Strategy<Value = Option<SocketAddr>> {
    let address = (any::<IpAddr>(), prop_oneof![any::<u16>(), Just(21), Just(5001)]);
    proptest::option::of(address.prop_map(SocketAddr::from))
}

fn any_connection() -> impl Strategy<Value = Connection> {
    let purpose = prop_oneof![Just(Purpose::Control), Just(Purpose::Data), Just(Purpose::Dns)];
    (id(), purpose, end(), address(), address()).prop_map(|(id, purpose, opener, client, server)| Connection {
        id,
        purpose,
        opener,
        client,
        server,
    })
}

fn verb() -> impl Strategy<Value = String> {
    let known = "(USER|PASV|PORT|EPSV|EPRT|RETR|STOR|LIST|CWD|QUIT|TYPE|REST|NOOP|ABOR|DELE|SITE|FEAT|PASS)";
    prop_oneof![9 => known.prop_map(String::from), 1 => text()]
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(b"10,0,0,2,19,137".to_vec()),
        Just(b"|1|10.0.0.2|5001|".to_vec()),
        Just(b"A".to_vec()),
        bytes(),
    ]
}

/// An event of any kind.
pub(crate) fn event() -> impl Strategy<Value = SessionEvent> {
    let code = prop_oneof![(100u16..=659), Just(150u16), Just(226u16), Just(227u16), Just(229u16), Just(230u16)]
        .prop_map(|n| Code::new(n).unwrap());
    let lines = proptest::collection::vec(bytes().prop_map(Cow::Owned), 0..8);
    let closing = prop_oneof![Just(Closing::Fin), Just(Closing::Reset)];
    let segments = [Segment::Syn, Segment::SynAck, Segment::Ack, Segment::Fin, Segment::Rst];
    let segment = proptest::sample::select(segments.to_vec());
    let failures = [TlsFailure::Handshake, TlsFailure::NotResumed, TlsFailure::Truncated, TlsFailure::Broken];
    let tls_failure = proptest::sample::select(failures.to_vec());
    let kind = prop_oneof![
        text().prop_map(|text| EventKind::User { text }),
        (id(), any::<u16>(), text(), text(), any::<bool>()).prop_map(
            |(connection, id, name, record, recursion_desired)| EventKind::DnsQuery {
                connection,
                id,
                name,
                record,
                recursion_desired
            }
        ),
        (id(), any::<u16>(), text(), text(), text(), proptest::collection::vec(text(), 0..4)).prop_map(
            |(connection, id, name, record, code, answers)| EventKind::DnsAnswer {
                connection,
                id,
                name,
                record,
                code,
                answers
            }
        ),
        any_connection().prop_map(EventKind::Opening),
        any_connection().prop_map(EventKind::Opened),
        any_connection().prop_map(EventKind::Joined),
        (id(), end(), segment, any::<bool>()).prop_map(|(connection, from, segment, again)| EventKind::Segment {
            connection,
            from,
            segment,
            again
        }),
        (id(), end(), text(), any::<Option<u8>>(), any::<u64>())
            .prop_map(|(connection, from, what, alert, bytes)| EventKind::Tls { connection, from, what, alert, bytes }),
        (id(), tls_failure, text()).prop_map(|(connection, why, text)| EventKind::TlsFailed { connection, why, text }),
        (id(), end(), counts()).prop_map(|(connection, from, counts)| EventKind::Counted { connection, from, counts }),
        any::<bool>().prop_map(|answered| EventKind::Ident { answered }),
        (id(), text()).prop_map(|(connection, why)| EventKind::OpenFailed { connection, why }),
        (id(), end(), closing).prop_map(|(connection, by, how)| EventKind::Closed { connection, by, how }),
        (id(), verb(), argument()).prop_map(|(connection, verb, argument)| {
            let line = [verb.as_bytes(), b" ", argument.as_slice()].concat();
            EventKind::command(connection, &line)
        }),
        (id(), code, lines).prop_map(|(connection, code, lines)| EventKind::Reply { connection, code, lines }),
        (id(), end(), bytes(), text()).prop_map(|(connection, from, head, why)| EventKind::Malformed {
            connection,
            from,
            head,
            why
        }),
        (id(), end(), time(), any::<u64>(), any::<Option<u64>>()).prop_map(
            |(connection, from, since, bytes, segments)| EventKind::Data { connection, from, since, bytes, segments }
        ),
        (proptest::option::of(id()), text()).prop_map(|(connection, text)| EventKind::Note { connection, text }),
    ];
    (time(), kind).prop_map(|(at, kind)| SessionEvent { at, kind })
}

fn counts() -> impl Strategy<Value = Counts> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    (numbers, any::<Option<(u8, u8)>>()).prop_map(|(numbers, foreign)| {
        let (again, again_bytes, largest_acknowledged, unacknowledged, closed_windows, closed_for) = numbers;
        Counts {
            again,
            again_bytes,
            largest_acknowledged,
            unacknowledged,
            closed_windows,
            closed_for: Duration::from_nanos(closed_for),
            foreign_reset: foreign.map(|(reset, others)| ForeignReset { reset, others }),
        }
    })
}
