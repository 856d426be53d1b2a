//! A session: its events, and how they belong together.
//!
//! A command belongs to its replies, PORT, EPRT, PASV and EPSV to the very data connection that they announced, that
//! connection to the transfer it was for, and each event to a section: the address of the server, the login, a
//! transfer, a change of directory, the end.
//!
//! | module | what it is |
//! |---|---|
//! | `link` | which reply answers which command |
//! | `transfer` | transfers, and the data connections that carried them |
//! | `section` | the parts that a person would name |

mod link;
mod section;
mod transfer;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::{Code, SessionEvent, Time, Verb};

use crate::input::Secrets;
use crate::mask::masked;

pub use section::{Section, SectionKind};
pub use transfer::{Direction, Ending, Mode, Transfer};

/// Events of one session, linked.
#[derive(Clone, Debug, Default)]
pub struct Session {
    events: Vec<SessionEvent>,
    connections: BTreeMap<ConnectionId, Connection>,
    observed: HashSet<ConnectionId>,
    exchanges: Vec<Exchange>,
    exchange_of: Vec<Option<usize>>,
    transfers: Vec<Transfer>,
    transfer_of: HashMap<ConnectionId, usize>,
    sections: Vec<Section>,
    login: Option<Login>,
    secrets: Secrets,
}

/// A command and its replies; or replies that no command asked for: the greeting, 421.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The control connection.
    pub connection: ConnectionId,
    /// The command, as an index into [`Session::events`].
    pub command: Option<usize>,
    /// The command's verb, where it is known.
    pub verb: Option<Verb>,
    /// The replies: 1yz first, the final one last.
    pub replies: Vec<usize>,
    /// The code of the final reply; none before it came.
    pub code: Option<Code>,
    /// The transfer that the command asked for, as an index into [`Session::transfers`].
    pub transfer: Option<usize>,
    /// How long the first reply took.
    pub latency: Option<Duration>,
}

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The name given with USER, safe to show.
    pub user: String,
    /// Whether it is one of the names of anonymous guests (RFC 1635).
    pub anonymous: bool,
    /// Whether the server let them in; nothing before it said so.
    pub accepted: Option<bool>,
}

impl Session {
    /// Links events. They are put in the order of their times; events of one time stay as they were.
    pub fn from_events(events: impl IntoIterator<Item = SessionEvent>) -> Session {
        let mut events: Vec<SessionEvent> = events.into_iter().collect();
        events.sort_by_key(|event| event.at);
        let mut session = Session { events, ..Session::default() };
        link::connections(&mut session);
        link::exchanges(&mut session);
        transfer::link(&mut session);
        section::part(&mut session);
        session
    }

    /// Has secrets drawn that its events hold. By default they are masked.
    pub fn with_secrets(self, secrets: Secrets) -> Session {
        Session { secrets, ..self }
    }

    /// An event as it may be told.
    pub(crate) fn told<'a>(&self, kind: &'a EventKind) -> Cow<'a, EventKind> {
        match self.secrets {
            Secrets::Masked => masked(kind),
            Secrets::Shown => Cow::Borrowed(kind),
        }
    }

    /// The events, in the order of time.
    pub fn events(&self) -> &[SessionEvent] {
        &self.events
    }

    /// All that is known of a connection, from all its events.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// The connections.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.values()
    }

    /// Whether the connection's segments were seen on the wire: what was not seen of them is not inferred then.
    pub fn is_observed(&self, id: ConnectionId) -> bool {
        self.observed.contains(&id)
    }

    /// The first control connection.
    pub fn control(&self) -> Option<&Connection> {
        self.connections().find(|c| c.purpose == Purpose::Control)
    }

    /// Commands with their replies.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The exchange that a command or reply belongs to; `event` is an index into [`Session::events`].
    pub fn exchange_of(&self, event: usize) -> Option<&Exchange> {
        self.exchanges.get((*self.exchange_of.get(event)?)?)
    }

    /// The transfers, in the order of their commands.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The transfer that a data connection was for.
    pub fn transfer_of(&self, connection: ConnectionId) -> Option<&Transfer> {
        self.transfers.get(*self.transfer_of.get(&connection)?)
    }

    /// The sections: each event is in exactly one.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Who logged in last.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The time of the first and of the last event.
    pub fn span(&self) -> Range<Time> {
        let first = self.events.iter().map(|e| match e.kind {
            EventKind::Data { since, .. } => since.min(e.at),
            _ => e.at,
        });
        first.min().unwrap_or_default()..self.events.last().map(|e| e.at).unwrap_or_default()
    }

    /// The name of the server as the user or the name server knew it; else its address.
    pub fn server_name(&self) -> Option<String> {
        let asked = self.events.iter().find_map(|e| match &e.kind {
            EventKind::DnsQuery { name, .. } => Some(crate::words::shown(name.as_bytes())),
            _ => None,
        });
        asked.or_else(|| self.control().and_then(|c| c.server).map(|a| a.ip().to_canonical().to_string()))
    }

    /// How many bytes went this way over data connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        let sender = match direction {
            Direction::Down => End::Server,
            Direction::Up => End::Client,
        };
        let of_data = self.events.iter().map(|e| match e.kind {
            EventKind::Data { from, bytes, .. } if from == sender => bytes,
            _ => 0,
        });
        of_data.fold(0, u64::saturating_add)
    }
}
