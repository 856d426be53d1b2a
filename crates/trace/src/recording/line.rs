//! The lines of a recording as serde sees them: the format's own shapes, so that it does not move with Rust's types.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use port21_proto::event::{
    Closing, Connection, ConnectionId, Counts, End, EventKind, ForeignReset, Purpose, Segment, TlsFailure,
};
use port21_proto::{Code, SessionEvent, Time};
use serde::{Deserialize, Serialize};

use super::{FORMAT, Header, Recorder, VERSION};

/// Enough of a header to know whether the rest can be read.
#[derive(Deserialize)]
pub(super) struct HeaderHead {
    pub(super) format: String,
    pub(super) version: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeaderLine {
    format: Cow<'static, str>,
    version: u32,
    by: RecorderName,
    product: String,
    start: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

/// Enough of an event line to name a kind that is not known.
#[derive(Deserialize)]
pub(super) struct KindOnly {
    pub(super) kind: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EventLine {
    t: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    User {
        text: String,
    },
    DnsQuery {
        connection: u32,
        id: u16,
        name: String,
        record: String,
        recursion_desired: bool,
    },
    DnsAnswer {
        connection: u32,
        id: u16,
        name: String,
        record: String,
        code: String,
        answers: Vec<String>,
    },
    Opening(ConnectionLine),
    Opened(ConnectionLine),
    Joined(ConnectionLine),
    OpenFailed {
        connection: u32,
        why: String,
    },
    Closed {
        connection: u32,
        by: EndName,
        how: ClosingName,
    },
    Command {
        connection: u32,
        verb: String,
        #[serde(default, skip_serializing_if = "Bytes::is_empty")]
        argument: Bytes,
    },
    Reply {
        connection: u32,
        code: u16,
        lines: Vec<Bytes>,
    },
    Malformed {
        connection: u32,
        from: EndName,
        head: Bytes,
        why: String,
    },
    Data {
        connection: u32,
        from: EndName,
        since: Stamp,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segments: Option<u64>,
    },
    Segment {
        connection: u32,
        from: EndName,
        segment: SegmentName,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    Tls {
        connection: u32,
        from: EndName,
        what: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert: Option<u8>,
        bytes: u64,
    },
    TlsFailed {
        connection: u32,
        why: TlsFailureName,
        text: String,
    },
    Counted {
        connection: u32,
        from: EndName,
        #[serde(flatten)]
        counts: CountsLine,
    },
    Ident {
        answered: bool,
    },
    Note {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<u32>,
        text: String,
    },
    /// A kind of a later port21.
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct ConnectionLine {
    connection: u32,
    purpose: PurposeName,
    opener: EndName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<SocketAddr>,
}

#[derive(Serialize, Deserialize)]
struct CountsLine {
    #[serde(default)]
    again: u64,
    #[serde(default)]
    again_bytes: u64,
    #[serde(default)]
    largest_acknowledged: u32,
    #[serde(default)]
    unacknowledged: u64,
    #[serde(default)]
    closed_windows: u64,
    /// In nanoseconds.
    #[serde(default)]
    closed_for: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    foreign_reset: Option<ForeignResetLine>,
}

#[derive(Serialize, Deserialize)]
struct ForeignResetLine {
    reset: u8,
    others: u8,
}

/// Gives an enum of the format its counterpart of the protocol, both ways.
macro_rules! names {
    ($name:ident for $of:ident: $($variant:ident),*) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $name { $($variant),* }

        impl From<$name> for $of {
            fn from(name: $name) -> $of {
                match name { $($name::$variant => $of::$variant),* }
            }
        }

        impl From<$of> for $name {
            fn from(of: $of) -> $name {
                match of { $($of::$variant => $name::$variant),* }
            }
        }
    };
}

names!(RecorderName for Recorder: Client, Server, Capture);
names!(EndName for End: Client, Server);
names!(PurposeName for Purpose: Control, Data, Dns);
names!(ClosingName for Closing: Fin, Reset);
names!(TlsFailureName for TlsFailure: Handshake, NotResumed, Truncated, Broken);
names!(SegmentName for Segment: Syn, SynAck, Ack, Fin, Rst);

impl From<&Header> for HeaderLine {
    fn from(header: &Header) -> HeaderLine {
        HeaderLine {
            format: Cow::Borrowed(FORMAT),
            version: VERSION,
            by: header.by.into(),
            product: header.product.clone(),
            start: Stamp(header.start),
            title: header.title.clone(),
            session: header.session.clone(),
        }
    }
}

impl From<HeaderLine> for Header {
    fn from(line: HeaderLine) -> Header {
        Header {
            by: line.by.into(),
            product: line.product,
            start: line.start.0,
            title: line.title,
            session: line.session,
        }
    }
}

impl EventLine {
    pub(super) fn new(session: Option<&str>, at: Time, kind: &EventKind) -> EventLine {
        EventLine { t: Stamp(at), session: session.map(str::to_owned), kind: Kind::from(kind) }
    }

    /// The event; nothing where its kind is of a later version; the reason where its values cannot be.
    pub(super) fn into_event(self) -> Result<Option<SessionEvent>, String> {
        Ok(self.kind.into_kind()?.map(|kind| SessionEvent { at: self.t.0, kind }))
    }
}

impl From<&EventKind> for Kind {
    fn from(kind: &EventKind) -> Kind {
        match kind.clone() {
            EventKind::User { text } => Kind::User { text },
            EventKind::DnsQuery { connection, id, name, record, recursion_desired } => {
                Kind::DnsQuery { connection: connection.0, id, name, record, recursion_desired }
            }
            EventKind::DnsAnswer { connection, id, name, record, code, answers } => {
                Kind::DnsAnswer { connection: connection.0, id, name, record, code, answers }
            }
            EventKind::Opening(connection) => Kind::Opening(connection.into()),
            EventKind::Opened(connection) => Kind::Opened(connection.into()),
            EventKind::Joined(connection) => Kind::Joined(connection.into()),
            EventKind::OpenFailed { connection, why } => Kind::OpenFailed { connection: connection.0, why },
            EventKind::Closed { connection, by, how } => {
                Kind::Closed { connection: connection.0, by: by.into(), how: how.into() }
            }
            EventKind::Command { connection, verb, argument } => {
                Kind::Command { connection: connection.0, verb, argument: Bytes::from(argument) }
            }
            EventKind::Reply { connection, code, lines } => Kind::Reply {
                connection: connection.0,
                code: code.number(),
                lines: lines.into_iter().map(|line| Bytes::from(line.into_owned())).collect(),
            },
            EventKind::Malformed { connection, from, head, why } => {
                Kind::Malformed { connection: connection.0, from: from.into(), head: Bytes::from(head), why }
            }
            EventKind::Data { connection, from, since, bytes, segments } => {
                Kind::Data { connection: connection.0, from: from.into(), since: Stamp(since), bytes, segments }
            }
            EventKind::Segment { connection, from, segment, again } => {
                Kind::Segment { connection: connection.0, from: from.into(), segment: segment.into(), again }
            }
            EventKind::Tls { connection, from, what, alert, bytes } => {
                Kind::Tls { connection: connection.0, from: from.into(), what, alert, bytes }
            }
            EventKind::TlsFailed { connection, why, text } => {
                Kind::TlsFailed { connection: connection.0, why: why.into(), text }
            }
            EventKind::Counted { connection, from, counts } => {
                Kind::Counted { connection: connection.0, from: from.into(), counts: counts.into() }
            }
            EventKind::Ident { answered } => Kind::Ident { answered },
            EventKind::Note { connection, text } => Kind::Note { connection: connection.map(|id| id.0), text },
            other => Kind::Note {
                connection: other.connection().map(|id| id.0),
                text: "an event of a kind that this format does not have".to_owned(),
            },
        }
    }
}

impl Kind {
    fn into_kind(self) -> Result<Option<EventKind>, String> {
        Ok(Some(match self {
            Kind::User { text } => EventKind::User { text },
            Kind::DnsQuery { connection, id, name, record, recursion_desired } => {
                EventKind::DnsQuery { connection: ConnectionId(connection), id, name, record, recursion_desired }
            }
            Kind::DnsAnswer { connection, id, name, record, code, answers } => {
                EventKind::DnsAnswer { connection: ConnectionId(connection), id, name, record, code, answers }
            }
            Kind::Opening(connection) => EventKind::Opening(connection.into()),
            Kind::Opened(connection) => EventKind::Opened(connection.into()),
            Kind::Joined(connection) => EventKind::Joined(connection.into()),
            Kind::OpenFailed { connection, why } => EventKind::OpenFailed { connection: ConnectionId(connection), why },
            Kind::Closed { connection, by, how } => {
                EventKind::Closed { connection: ConnectionId(connection), by: by.into(), how: how.into() }
            }
            Kind::Command { connection, verb, argument } => {
                EventKind::Command { connection: ConnectionId(connection), verb, argument: argument.into_bytes()? }
            }
            Kind::Reply { connection, code, lines } => EventKind::Reply {
                connection: ConnectionId(connection),
                code: Code::new(code).ok_or_else(|| format!("{code} is no reply code (100 to 659)"))?,
                lines: lines.into_iter().map(|line| line.into_bytes().map(Cow::Owned)).collect::<Result<_, _>>()?,
            },
            Kind::Malformed { connection, from, head, why } => EventKind::Malformed {
                connection: ConnectionId(connection),
                from: from.into(),
                head: head.into_bytes()?,
                why,
            },
            Kind::Data { connection, from, since, bytes, segments } => EventKind::Data {
                connection: ConnectionId(connection),
                from: from.into(),
                since: since.0,
                bytes,
                segments,
            },
            Kind::Segment { connection, from, segment, again } => EventKind::Segment {
                connection: ConnectionId(connection),
                from: from.into(),
                segment: segment.into(),
                again,
            },
            Kind::Tls { connection, from, what, alert, bytes } => {
                EventKind::Tls { connection: ConnectionId(connection), from: from.into(), what, alert, bytes }
            }
            Kind::TlsFailed { connection, why, text } => {
                EventKind::TlsFailed { connection: ConnectionId(connection), why: why.into(), text }
            }
            Kind::Counted { connection, from, counts } => {
                EventKind::Counted { connection: ConnectionId(connection), from: from.into(), counts: counts.into() }
            }
            Kind::Ident { answered } => EventKind::Ident { answered },
            Kind::Note { connection, text } => EventKind::Note { connection: connection.map(ConnectionId), text },
            Kind::Unknown => return Ok(None),
        }))
    }
}

impl From<Counts> for CountsLine {
    fn from(c: Counts) -> CountsLine {
        CountsLine {
            again: c.again,
            again_bytes: c.again_bytes,
            largest_acknowledged: c.largest_acknowledged,
            unacknowledged: c.unacknowledged,
            closed_windows: c.closed_windows,
            closed_for: u64::try_from(c.closed_for.as_nanos()).unwrap_or(u64::MAX),
            foreign_reset: c.foreign_reset.map(|f| ForeignResetLine { reset: f.reset, others: f.others }),
        }
    }
}

impl From<CountsLine> for Counts {
    fn from(line: CountsLine) -> Counts {
        Counts {
            again: line.again,
            again_bytes: line.again_bytes,
            largest_acknowledged: line.largest_acknowledged,
            unacknowledged: line.unacknowledged,
            closed_windows: line.closed_windows,
            closed_for: Duration::from_nanos(line.closed_for),
            foreign_reset: line.foreign_reset.map(|f| ForeignReset { reset: f.reset, others: f.others }),
        }
    }
}

impl From<Connection> for ConnectionLine {
    fn from(c: Connection) -> ConnectionLine {
        ConnectionLine {
            connection: c.id.0,
            purpose: c.purpose.into(),
            opener: c.opener.into(),
            client: c.client,
            server: c.server,
        }
    }
}

impl From<ConnectionLine> for Connection {
    fn from(line: ConnectionLine) -> Connection {
        Connection {
            id: ConnectionId(line.connection),
            purpose: line.purpose.into(),
            opener: line.opener.into(),
            client: line.client,
            server: line.server,
        }
    }
}

/// A time as RFC 3339 with nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Stamp(pub(crate) Time);

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.9}", self.0.timestamp()))
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Stamp, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let stamp: jiff::Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format_args!("{:?} is no time like 2005-05-02T21:07:00.5Z", text.as_ref()))
        })?;
        let nanos = u64::try_from(stamp.as_nanosecond())
            .map_err(|_| serde::de::Error::custom(format_args!("{stamp} is not between 1970 and 2554")))?;
        Ok(Stamp(Time::from_unix_nanos(nanos)))
    }
}

/// Bytes: a string where they are UTF-8, else their hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Text(String),
    Hex { hex: String },
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::Text(String::new())
    }
}

impl Bytes {
    fn is_empty(&self) -> bool {
        matches!(self, Bytes::Text(text) if text.is_empty())
    }

    fn into_bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Bytes::Text(text) => Ok(text.into_bytes()),
            Bytes::Hex { hex } => {
                from_hex(hex.as_bytes()).ok_or_else(|| "\"hex\" holds no pairs of hex digits".to_owned())
            }
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        match String::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(e) => Bytes::Hex { hex: e.as_bytes().iter().map(|b| format!("{b:02x}")).collect() },
        }
    }
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = digits.chunks(2);
    pairs.map(|pair| if let [hi, lo] = pair { Some(digit(*hi)? << 4 | digit(*lo)?) } else { None }).collect()
}
