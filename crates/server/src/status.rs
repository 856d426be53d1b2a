//! What a running server tells of itself: who is on, what moves, what was counted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use port21_proto::{FtpPath, Time};

use crate::activity::Direction;

/// A session, as an operator sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Its number, as in the log.
    pub number: u64,
    /// The client's end of the control connection.
    pub peer: SocketAddr,
    /// The server's.
    pub local: SocketAddr,
    /// Since when.
    pub since: Time,
    /// When the client was last heard of on the control connection.
    pub heard: Time,
    /// Whose session it is, once somebody is logged in.
    pub account: Option<Arc<str>>,
    /// Whether that is a guest.
    pub anonymous: bool,
    /// The first name of the site; nothing: the one to begin with.
    pub site: Option<Arc<str>>,
    /// What moves.
    pub transfer: Option<TransferStatus>,
}

/// A transfer that is under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferStatus {
    /// Which way.
    pub direction: Direction,
    /// The file or directory.
    pub path: FtpPath,
    /// Since when.
    pub began: Time,
    /// How many bytes have come through.
    pub bytes: u64,
}

/// What was counted since the server was made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Sessions at this moment.
    pub sessions: usize,
    /// Transfers at this moment.
    pub transfers: usize,
    /// Connections that were let in.
    pub connections: u64,
    /// Logins.
    pub logins: u64,
    /// Logins that failed.
    pub failed_logins: u64,
    /// What was turned away, by reason; as many as [`Refusal::ALL`], in its order.
    pub refusals: [u64; Refusal::ALL.len()],
    /// Data connections that were let in though they do not resume the TLS session of their control connection: see
    /// [`SessionReuse::Prefer`](crate::tls::SessionReuse::Prefer).
    pub not_resumed: u64,
    /// Transfers, in the order of [`Direction::ALL`].
    pub by_direction: [TransferCounts; Direction::ALL.len()],
    /// Ports for passive data connections that are in use; none where the system gives any.
    pub passive_in_use: usize,
    /// How many there are; none where the system gives any.
    pub passive_ports: Option<usize>,
}

/// The transfers of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCounts {
    /// All bytes were carried.
    pub whole: u64,
    /// They ended early.
    pub broken: u64,
    /// Bytes, those of running transfers too.
    pub bytes: u64,
}

/// Why somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many connections in all.
    Connections,
    /// Too many from one address.
    Address,
    /// A connection that had not logged in made room for another.
    MadeRoom,
    /// Too many sessions of one account.
    Account,
    /// A connection from an address that is banned.
    Banned,
    /// No passive port was free.
    NoPort,
    /// An address that holds its share of the passive ports wanted a further one.
    PortsOfAddress,
    /// A stranger at a data port.
    Stranger,
    /// Ended by the operator.
    Kicked,
    /// Ended as the account was removed or changed.
    Withdrawn,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 10] = [
        Refusal::Connections,
        Refusal::Address,
        Refusal::MadeRoom,
        Refusal::Account,
        Refusal::Banned,
        Refusal::NoPort,
        Refusal::PortsOfAddress,
        Refusal::Stranger,
        Refusal::Kicked,
        Refusal::Withdrawn,
    ];

    /// The word for it in a metric: `connections`.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Connections => "connections",
            Refusal::Address => "connections_per_address",
            Refusal::MadeRoom => "made_room",
            Refusal::Account => "sessions_per_account",
            Refusal::Banned => "banned",
            Refusal::NoPort => "no_passive_port",
            Refusal::PortsOfAddress => "passive_ports_per_address",
            Refusal::Stranger => "stranger_at_data_port",
            Refusal::Kicked => "kicked",
            Refusal::Withdrawn => "account_changed",
        }
    }
}

/// Which sessions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The one of this number.
    Session(u64),
    /// Those of this account.
    Account {
        /// Its name.
        name: String,
        /// Where: two sites may each have an account of this name.
        at: At,
    },
    /// Those from this address.
    Address(IpAddr),
    /// Those of a site, whether or not they have logged in.
    Site(At),
}

/// Which sites are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// All of them.
    Every,
    /// The one to begin with.
    First,
    /// The one whose first name this is.
    Named(String),
}

impl At {
    pub(crate) fn is(&self, site: Option<&str>) -> bool {
        match self {
            At::Every => true,
            At::First => site.is_none(),
            At::Named(name) => site == Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_refusals_is_in_order() {
        for (at, why) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*why as usize, at);
        }
        for (at, direction) in Direction::ALL.iter().enumerate() {
            assert_eq!(*direction as usize, at);
        }
    }
}
