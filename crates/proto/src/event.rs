//! What happened in a session: the one model that both drivers emit, a recording keeps and a capture decodes to.
//!
//! An event names its connection by a [`ConnectionId`] and a side of it by [`End`], never by an address alone: on
//! loopback one address is every host.

use std::net::SocketAddr;
use std::time::Duration;

use crate::reply::{Code, Text};
use crate::secret::{self, MASK};
use crate::time::Time;
use crate::verb::Verb;

/// One thing that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEvent {
    /// When it happened, by the clock of whoever saw it.
    pub at: Time,
    /// What happened.
    pub kind: EventKind,
}

/// Names a connection within one session's events. 0 is the (first) control connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    /// The control connection that a session begins with.
    pub const CONTROL: ConnectionId = ConnectionId(0);
}

/// A side of the session. A name server stands on the server's side of a DNS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The FTP client's side, whoever opened the connection.
    Client,
    /// The FTP server's (or name server's) side.
    Server,
}

impl End {
    /// The other side.
    pub const fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Commands and replies.
    Control,
    /// A file or a listing.
    Data,
    /// Queries to a name server (UDP or TCP).
    Dns,
}

/// A connection and what is known of its two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name in this session.
    pub id: ConnectionId,
    /// What it is for.
    pub purpose: Purpose,
    /// Who opened it: the server, for data in active mode.
    pub opener: End,
    /// The client's address and port; not known to a client before its connection stands.
    pub client: Option<SocketAddr>,
    /// The server's address and port; not known before an active connection stands.
    pub server: Option<SocketAddr>,
}

/// Which kind of thing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The user did something: the line typed at the console or the command that was called, without secrets.
    User {
        /// What the user asked for, as one would say it: `get readme.txt`.
        text: String,
    },
    /// The client asked a name server.
    DnsQuery {
        /// The connection to the name server; an [`EventKind::Opened`] has told its addresses.
        connection: ConnectionId,
        /// The query's identifier, which its answer repeats (RFC 1035 section 4.1.1).
        id: u16,
        /// The name asked for, without the dot at its end.
        name: String,
        /// The record type asked for: `A`, `AAAA`.
        record: String,
        /// The RD bit.
        recursion_desired: bool,
    },
    /// The name server answered.
    DnsAnswer {
        /// The connection to the name server.
        connection: ConnectionId,
        /// The identifier of the query.
        id: u16,
        /// The name that was asked for.
        name: String,
        /// The record type that was asked for.
        record: String,
        /// The response code, as its mnemonic: `NOERROR`, `NXDOMAIN`.
        code: String,
        /// The records of the answer, as text: addresses, or the name that a CNAME gives.
        answers: Vec<String>,
    },
    /// A connection is being opened: its SYN was sent, or is about to be.
    Opening(Connection),
    /// A connection stands (TCP) or was bound (DNS over UDP).
    Opened(Connection),
    /// A connection that stood before the recorder began to look: its handshake was not seen.
    Joined(Connection),
    /// A connection that was being opened did not come to stand.
    OpenFailed {
        /// Which one.
        connection: ConnectionId,
        /// Why, in plain words: `refused`, `no answer within 30 s`.
        why: String,
    },
    /// One side will send nothing more.
    Closed {
        /// Which connection.
        connection: ConnectionId,
        /// Whose sending ended.
        by: End,
        /// How it ended.
        how: Closing,
    },
    /// A command was sent or received.
    Command {
        /// The control connection.
        connection: ConnectionId,
        /// The verb as it was written, in capitals.
        verb: String,
        /// The argument, without the space before it; [`MASK`] in place of a secret.
        argument: Vec<u8>,
    },
    /// A reply was sent or received; all of its lines.
    Reply {
        /// The control connection.
        connection: ConnectionId,
        /// The code.
        code: Code,
        /// The lines of text, without codes.
        lines: Vec<Text>,
    },
    /// Bytes on the control connection that are no command or reply.
    Malformed {
        /// The control connection.
        connection: ConnectionId,
        /// Who sent them.
        from: End,
        /// Their head, at most 200 bytes.
        head: Vec<u8>,
        /// What is wrong with them.
        why: String,
    },
    /// A run of data bytes in one direction.
    Data {
        /// The data connection.
        connection: ConnectionId,
        /// Who sent them.
        from: End,
        /// When the first of them was seen; the event's own time is that of the last.
        since: Time,
        /// How many.
        bytes: u64,
        /// In how many TCP segments, where that was seen.
        segments: Option<u64>,
    },
    /// A TCP segment that opens or ends a connection, as it was seen on the wire. Captures alone tell of them: a connection
    /// that has such events has no inferred ones.
    Segment {
        /// The connection.
        connection: ConnectionId,
        /// Who sent it.
        from: End,
        /// Which segment.
        segment: Segment,
        /// Whether it had been sent before.
        again: bool,
    },
    /// TLS records of a connection whose keys are not known.
    Tls {
        /// The connection.
        connection: ConnectionId,
        /// Who sent them.
        from: End,
        /// What can be told of them: `ClientHello for ftp.any-domain.com`, `alert: unknown CA`, `encrypted`.
        what: String,
        /// The code, where it is an alert that can be read (RFC 8446 section 6).
        alert: Option<u8>,
        /// How many bytes, with the records' headers.
        bytes: u64,
    },
    /// TLS did not come to stand on a connection, or did not end in order. Drivers tell of it: they know why.
    TlsFailed {
        /// The connection.
        connection: ConnectionId,
        /// What went wrong.
        why: TlsFailure,
        /// The same in a plain sentence without secrets.
        text: String,
    },
    /// What was counted of one side of a TCP connection until its end. Captures alone tell of it, and only where there is
    /// something to tell: of a connection that they have seen and say nothing of, all was acknowledged at once.
    Counted {
        /// The connection.
        connection: ConnectionId,
        /// Whose segments.
        from: End,
        /// What was counted.
        counts: Counts,
    },
    /// The server asked the client's host who its user is (RFC 1413): a connection to port 113.
    Ident {
        /// Whether anything came back, were it a refusal: an attempt without an answer is waited for.
        answered: bool,
    },
    /// Something that the recorder has to say: an address replaced, a fallback taken, a limit met.
    Note {
        /// The connection that it is about, if it is about one.
        connection: Option<ConnectionId>,
        /// A plain sentence without secrets.
        text: String,
    },
}

/// What was counted of one side of a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments with data that it sent again.
    pub again: u64,
    /// The bytes of those.
    pub again_bytes: u64,
    /// The most bytes that a segment had which the other side acknowledged.
    pub largest_acknowledged: u32,
    /// Bytes at the end that the other side has not acknowledged.
    pub unacknowledged: u64,
    /// How often it closed its window (RFC 9293 section 3.8.6): its program did not read.
    pub closed_windows: u64,
    /// How long its window was closed, in all.
    pub closed_for: Duration,
    /// The time to live (IPv6: hop limit) of its RST and of its other packets, where they differ: somebody between has sent
    /// the RST.
    pub foreign_reset: Option<ForeignReset>,
}

/// The time to live of a RST that is not that of its sender's other packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignReset {
    /// Of the RST.
    pub reset: u8,
    /// Of the others.
    pub others: u8,
}

/// What went wrong with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// Its handshake.
    Handshake,
    /// A data connection did not resume the session of its control connection (RFC 4217 section 10.2).
    NotResumed,
    /// The connection ended without close_notify (RFC 8446 section 6.1).
    Truncated,
    /// Anything behind the handshake.
    Broken,
}

/// How one side's sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closing {
    /// In order: a FIN.
    Fin,
    /// By a RST, or by an error of the network.
    Reset,
}

/// Which segment of a TCP connection's begin or end (RFC 9293 section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The first of the handshake.
    Syn,
    /// Its answer.
    SynAck,
    /// What completes the handshake, or acknowledges a FIN.
    Ack,
    /// Its sender will send nothing more.
    Fin,
    /// The connection is broken off, or was refused.
    Rst,
}

impl EventKind {
    /// A command as an event: a password (PASS, ACCT, SITE PSWD and its like) is replaced by [`MASK`]. The line may be
    /// malformed: what stands where a verb should is shown, but nothing that may be a secret.
    pub fn command(connection: ConnectionId, line: &[u8]) -> EventKind {
        let line = line.trim_ascii_start();
        let (line, hidden) = secret::begins(line).and_then(|at| line.split_at_checked(at)).unwrap_or((line, b""));
        let (verb, argument) = parted(line);
        let mut argument = argument.to_vec();
        if !hidden.is_empty() {
            if !argument.is_empty() {
                argument.push(b' ');
            }
            argument.extend_from_slice(MASK.as_bytes());
        }
        EventKind::Command { connection, verb, argument }
    }

    /// As [`EventKind::command`], but with the secret, if there is one: for whoever asks to see it, and for nothing that is
    /// kept.
    pub fn command_with_secret(connection: ConnectionId, line: &[u8]) -> EventKind {
        let (verb, argument) = parted(line.trim_ascii_start());
        EventKind::Command { connection, verb, argument: argument.to_vec() }
    }

    /// The verb of a command event, where the table has it.
    pub fn verb(&self) -> Option<Verb> {
        match self {
            EventKind::Command { verb, .. } => Verb::from_name(verb.as_bytes()),
            _ => None,
        }
    }

    /// The connection that the event is about, if it is about one.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            EventKind::User { .. } | EventKind::Ident { .. } => None,
            EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) => Some(c.id),
            EventKind::Note { connection, .. } => *connection,
            EventKind::DnsQuery { connection, .. }
            | EventKind::DnsAnswer { connection, .. }
            | EventKind::OpenFailed { connection, .. }
            | EventKind::Closed { connection, .. }
            | EventKind::Command { connection, .. }
            | EventKind::Reply { connection, .. }
            | EventKind::Malformed { connection, .. }
            | EventKind::Segment { connection, .. }
            | EventKind::Tls { connection, .. }
            | EventKind::TlsFailed { connection, .. }
            | EventKind::Counted { connection, .. }
            | EventKind::Data { connection, .. } => Some(*connection),
        }
    }
}

/// The verb of a line, safe to show and in capitals, and its argument.
fn parted(line: &[u8]) -> (String, &[u8]) {
    let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let (verb, argument) = line.split_at_checked(end).unwrap_or((line, b""));
    (crate::text::Shown(verb).to_string().to_ascii_uppercase(), argument.strip_prefix(b" ").unwrap_or(argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_become_events() {
        for line in ["PASS hunter2", "pass hunter2", "ACCT hunter2", "  PASS hunter2 hunter2"] {
            let event = EventKind::command(ConnectionId::CONTROL, line.as_bytes());
            assert!(!format!("{event:?}").contains("hunter2"), "{line}");
            let EventKind::Command { argument, .. } = event else { panic!() };
            assert_eq!(argument, MASK.as_bytes());
        }
    }

    #[test]
    fn arguments_are_kept_as_they_were() {
        let event = EventKind::command(ConnectionId::CONTROL, b"retr  a b ");
        let EventKind::Command { verb, argument, .. } = &event else { panic!() };
        assert_eq!((verb.as_str(), argument.as_slice()), ("RETR", &b" a b "[..]));
        assert_eq!(event.verb(), Some(Verb::Retr));
    }
}
