//! What an operator sets for a server.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use port21_proto::server::SessionSettings;

use crate::account::guard::GuardSettings;
use crate::network::Network;
use crate::storage::CommitMode;

/// The settings of a [`Server`](crate::Server). Those of its sessions' wording and timeouts are within.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings of each session: greeting, host name, timeouts, caps on what a client sends. Its
    /// [`events`](SessionSettings::events) are switched on by the server for sessions that are watched.
    pub session: SessionSettings,
    /// The names that HOST (RFC 7151) may give for the site to begin with, in any case. Default none: a server without
    /// further sites is then every host, and one with further sites refuses all names but theirs.
    pub names: Vec<String>,
    /// How many digests of files (HASH, XCRC and their like) are computed at a time; others wait. Default 2. Each keeps a
    /// processor and a disk busy: as many as there are processors leave none for transfers.
    pub digests: usize,
    /// The most control connections at a time. Default 2,000. Each costs a file descriptor and a few KiB, and up to
    /// three descriptors more while it transfers: see [`raise_descriptor_limit`](crate::raise_descriptor_limit). Where
    /// the limit is met, connections that have not logged in make room, the oldest first; where there is none, newcomers
    /// are answered 421.
    pub max_connections: usize,
    /// The most control connections from one IPv4 address or one IPv6 /64 network at a time. Default 100: parallel
    /// clients and offices behind NAT fit. Set it low and those are cut off; set it as high as `max_connections` and one
    /// host can fill the server with logged-in sessions.
    pub max_connections_per_address: usize,
    /// The ports of passive data connections. Default 61000 to 61999: above those that Linux gives to outgoing
    /// connections, so that the two never meet. A firewall in front of the server must let them in. A port is taken from
    /// PASV or EPSV until its client has connected, for no longer than twice
    /// [`data_open_timeout`](SessionSettings::data_open_timeout), and rests afterwards; one address takes at most three
    /// quarters of them. Where none is left, clients are answered 425, and in a small range ports are easier to guess.
    /// None: any port that the system has free.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// The IPv4 address given in PASV to peers outside `local_networks`, for servers behind NAT. Default none: the
    /// address that the client has connected to. A wrong one makes every such PASV transfer fail, or work only with
    /// clients that do not believe it. EPSV needs none.
    pub advertise: Option<Ipv4Addr>,
    /// Which peers are on this side of the NAT. Default [`Network::private`].
    pub local_networks: Vec<Network>,
    /// The proxies and load balancers in front of this server: a connection from there must begin with a header of the PROXY
    /// protocol (version 1 or 2), control and data connections alike, and the client is whom it names. From all others a
    /// header is refused. Default none. Whoever is in these networks can be any client, so name addresses of proxies
    /// alone; and one that passes on what clients say instead of writing the header itself lets everybody be anybody.
    ///
    /// PASV tells the address that the client has connected to, so the proxy must pass on the passive ports under their
    /// numbers. Active mode does not go by way of the proxy: this server connects to the client itself.
    pub proxies: Vec<Network>,
    /// How an upload becomes a file. Default [`CommitMode::Durable`]; see there for the cost of each.
    pub commit: CommitMode,
    /// What is done about failed logins.
    pub guard: GuardSettings,
    /// How long a client may leave its replies unread once no more fit into the connection. Default 60 s. Until then the
    /// session waits; then the client counts as gone. Who takes a little now and then has a second more in all for every
    /// 256 bytes.
    pub write_timeout: Duration,
    /// How long a server that was told to stop lets running transfers go on. Default 60 s. What has not ended by then
    /// is cut off; uploads that are cut off never happened.
    pub shutdown_grace: Duration,
    /// How many connections may wait to be accepted, on each address. Default 1,024; the system's own cap
    /// (`net.core.somaxconn`) applies. Fewer makes clients wait a second or more when many come at once.
    pub backlog: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            session: SessionSettings::default(),
            names: Vec::new(),
            digests: 2,
            max_connections: 2000,
            max_connections_per_address: 100,
            passive_ports: Some(61000..=61999),
            advertise: None,
            local_networks: Network::private(),
            proxies: Vec::new(),
            commit: CommitMode::default(),
            guard: GuardSettings::default(),
            write_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(60),
            backlog: 1024,
        }
    }
}
