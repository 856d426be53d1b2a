//! What an operator sets for all sessions of a server.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::line::MAX_COMMAND_LINE;

/// The settings of sessions. One value is shared by all sessions of a site.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The text of the greeting (220). It is the first thing that everyone on the network sees: no version by default.
    pub greeting: String,
    /// The name that the server goes by in its welcome and farewell.
    pub host: String,
    /// Whether guests are asked for their e-mail address (USER anonymous or ftp). Whether they are let in is decided by
    /// the authenticator.
    pub anonymous: bool,
    /// From connecting, or the end of an earlier login, to the end of the login. Default 60 s. Long values let idle strangers hold connections.
    pub login_timeout: Duration,
    /// Between two commands, while no transfer runs. Default 300 s. RFC 1123 section 4.1.3.2 asks for 5 minutes at least.
    pub idle_timeout: Duration,
    /// From the 150 reply to the data connection. Default 30 s. What a firewall swallows is told to the user after this.
    pub data_open_timeout: Duration,
    /// How long a data connection may carry nothing. Default 120 s. Short values cut off slow devices.
    pub stall_timeout: Duration,
    /// How many bytes a second a data connection must carry at the least, over [`min_rate_window`](Self::min_rate_window).
    /// Default 1. A client that takes one byte a minute does not stall, but holds a session and a port for as long as it
    /// likes. Higher values cut off slow devices, and whoever uploads line by line as lines come up. 0: no limit.
    pub min_rate: u64,
    /// Over how long the rate is measured, again and again. Default 600 s: a transfer that pauses makes it good within
    /// that.
    pub min_rate_window: Duration,
    /// How long at the most an upload waits for its name after its data connection has ended in order, in case that the
    /// control connection ends right behind: then the client was killed, and what came is a part. It is a quarter of
    /// the time that the upload took, and nothing where that is less than 2 ms, or where ALLO has told the size.
    /// Default 50 ms: on a machine with two cores and eight busy processes the ends of a killed client lay 0.1 ms apart
    /// in the median, and 14 ms at the most; once, more than 30. With zero such a client's part can replace a whole file.
    pub upload_grace: Duration,
    /// Failed logins after which the connection is closed, whatever has succeeded in between: a guest's login is no way to
    /// more tries at another's. Default 3.
    pub login_tries: u32,
    /// The longest command line, in bytes. Default [`MAX_COMMAND_LINE`].
    pub max_line: usize,
    /// How many commands may wait behind a running one. Default 64. No more is read from the connection while they
    /// wait, so a client that sends ahead is slowed down, not cut off.
    pub max_queued: usize,
    /// How many commands a second are taken in the long run. Default 10,000, more than a mirror over a fast network sends.
    /// Whoever is faster is slowed down, and loses nothing: what was sent waits in the connection. Each command costs some
    /// microseconds and those of files some system calls, so that without a limit one client can keep a processor busy.
    /// 0: no limit.
    pub command_rate: u32,
    /// How many commands are taken at once before that. Default 10,000.
    pub command_burst: u32,
    /// So many lines in a row that are no commands of this server end the session. Default 50: a client that tries what a
    /// server knows stays, a program that speaks something else goes. 0: no limit.
    pub max_nonsense: u32,
    /// What is offered and demanded of TLS.
    pub tls: TlsSettings,
    /// What the 226 behind a transfer tells. Default [`Receipt::Plain`].
    pub receipt: Receipt,
    /// The largest file of which a guest may ask a digest (HASH, XCRC and their like), in bytes. Default 1 GiB, which is a
    /// few seconds of one processor and of the disk. 0 refuses them all. Accounts with a name have no such limit.
    pub guest_digest_limit: u64,
    /// The time zone of LIST, and of STAT with a path. Default UTC, which is what clients take it for that know no better.
    /// Such a listing does not say which it is, so a client in another zone than this shows wrong times; with a zone that
    /// has summer time, files even seem to change when that begins and ends, and mirrors that compare times send them
    /// again. MLSD and MDTM are always UTC.
    pub list_zone: TimeZone,
    /// Whether [`Output::Event`](super::Output::Event)s are given out. Default no: they cost an allocation each.
    pub events: bool,
}

/// What the 226 behind a transfer tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Receipt {
    /// `Transfer complete.`, as most servers have it. The default.
    #[default]
    Plain,
    /// How many bytes the data connection carried, too. Costs nothing.
    Bytes,
    /// That, and for an upload the SHA-256 of those bytes: a sender knows that they have arrived as they are. Of an upload
    /// that goes on with a file (REST, APPE, RANG) it is that of the whole file, read again, where that has at most 64 MiB,
    /// the account may read it and it takes no longer than 2 s; otherwise none is told. Costs the
    /// hash of every byte that is received, about a second of a core for a gigabyte or two.
    Digest,
}

impl Default for SessionSettings {
    fn default() -> SessionSettings {
        SessionSettings {
            greeting: "FTP Service".into(),
            host: "localhost".into(),
            anonymous: false,
            login_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            data_open_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(120),
            min_rate: 1,
            min_rate_window: Duration::from_secs(600),
            upload_grace: Duration::from_millis(50),
            login_tries: 3,
            max_line: MAX_COMMAND_LINE,
            max_queued: 64,
            command_rate: 10_000,
            command_burst: 10_000,
            max_nonsense: 50,
            tls: TlsSettings::default(),
            receipt: Receipt::Plain,
            guest_digest_limit: 1 << 30,
            list_zone: TimeZone::UTC,
            events: false,
        }
    }
}

/// What is done about TLS on one control connection: each listening address has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// There is none: AUTH and its like are unknown. Names, passwords and files cross the network for all to read.
    #[default]
    Off,
    /// AUTH TLS is taken, and so is who does without.
    Offer,
    /// No login without AUTH TLS before it.
    Require,
    /// TLS from the first byte on, before the greeting (`ftps://`, port 990).
    Implicit,
}

/// The settings of TLS that sessions know of. Certificates are the driver's.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Whether who has TLS on the control connection must have it on data connections too: else 521. Default none: it is
    /// demanded under [`TlsMode::Require`] and [`TlsMode::Implicit`]. Not demanded, a client that forgets PROT P sends
    /// its files in clear.
    pub protect_data: Option<bool>,
    /// Whether CCC is permitted: after the login the control connection goes on in clear, so that NATs and firewalls can
    /// read addresses in it. Default no: whoever stands between can then say commands in the client's name.
    pub allow_ccc: bool,
    /// From the reply to AUTH, or an implicit connection, to the handshake's end; and how long the client may take for
    /// its close_notify after CCC. Default 30 s.
    pub handshake_timeout: Duration,
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings { protect_data: None, allow_ccc: false, handshake_timeout: Duration::from_secs(30) }
    }
}
