//! Where to, how, and with which limits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use port21_proto::client::DataMode;
use port21_proto::event::ConnectionId;
use tokio::sync::Semaphore;

use crate::Representation;
use crate::charset::Charset;
use crate::client::Client;
use crate::connect::{Connector, Proxy, Resolve};
use crate::credentials::Credentials;
use crate::error::Error;
use crate::link::Known;
use crate::sink::{Clock, EventSink, Recorder};
use crate::tls::{TlsMode, TlsSettings};
use crate::url::Target;

/// Settings of a session, and the way to begin one. Cheap to clone; a session keeps a copy, for when it reconnects.
///
/// ```no_run
/// # async fn example() -> Result<(), port21_client::Error> {
/// use std::time::Duration;
///
/// use port21_client::{Client, Credentials, Timeouts, TlsMode};
///
/// let mut client = Client::builder()
///     .host("ftp.example.org")
///     .credentials(Credentials::new("joe", "opensesame"))
///     .tls(TlsMode::Explicit)
///     .timeouts(Timeouts { stall: Duration::from_secs(30), ..Timeouts::default() })
///     .open()
///     .await?;
/// client.mkdir("backup").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Builder {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Credentials,
    pub(crate) mode: DataMode,
    pub(crate) representation: Representation,
    pub(crate) bind_ip: Option<IpAddr>,
    pub(crate) control_port: u16,
    pub(crate) active_ports: Arc<[u16]>,
    pub(crate) tls_mode: TlsMode,
    pub(crate) tls: TlsSettings,
    pub(crate) protect_data: bool,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) connector: Option<Arc<dyn Connector>>,
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
    pub(crate) dns: Option<SocketAddr>,
    pub(crate) dns_local_port: u16,
    pub(crate) family: IpFamily,
    pub(crate) timeouts: Timeouts,
    pub(crate) probe: bool,
    pub(crate) send_ahead: bool,
    pub(crate) max_listing: u64,
    pub(crate) max_entries: usize,
    /// Of the listings that are held in memory and are large, one at a time.
    pub(crate) large: Arc<Semaphore>,
    pub(crate) charset: Option<Charset>,
    pub(crate) keeps_returns: bool,
    pub(crate) buffers: Buffers,
    pub(crate) clock: Clock,
    pub(crate) sink: Option<Arc<dyn EventSink>>,
}

/// Which addresses of a name are asked for and tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamily {
    /// All of them, raced (RFC 8305): IPv6 has a start of a quarter of a second.
    #[default]
    Any,
    /// IPv4 alone: one A query, and no other.
    V4,
    /// IPv6 alone: one AAAA query.
    V6,
}

/// How large the buffers of data connections' sockets are, in bytes; nothing: as the system has them, which grow with the way.
/// A size that is set does not grow: it limits how fast a long way can be. The system may make it another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// That of what is sent.
    pub send: Option<usize>,
    /// That of what is received.
    pub receive: Option<usize>,
}

/// How long each phase may take. Nothing is waited for without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Resolving the name, with all retries. Default 15 s.
    pub resolve: Duration,
    /// Opening the control connection, for each address tried, with all that a proxy wants of it. Default 15 s.
    pub connect: Duration,
    /// The TLS handshake on the control connection. Default 20 s. That on a data connection has as long as `data_open`.
    pub tls: Duration,
    /// From the connection to the server's greeting. Default 60 s: servers that look up their client's name are slow.
    pub greeting: Duration,
    /// For the reply to any command that moves no data. Default 60 s.
    pub reply: Duration,
    /// For a data connection to stand. Default 20 s.
    pub data_open: Duration,
    /// A transfer that moves no byte for so long has failed. Default 120 s.
    pub stall: Duration,
    /// From the last byte of a transfer to its final reply. Default 300 s: a server may scan or move a large upload
    /// first.
    pub final_reply: Duration,
    /// For all of an ABOR. Default 10 s. What has not ended by then is repaired by a new connection.
    pub abort: Duration,
    /// For all of QUIT, and for the server to close. Default 10 s.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let secs = Duration::from_secs;
        Timeouts {
            resolve: secs(15),
            connect: secs(15),
            tls: secs(20),
            greeting: secs(60),
            reply: secs(60),
            data_open: secs(20),
            stall: secs(120),
            final_reply: secs(300),
            abort: secs(10),
            quit: secs(10),
        }
    }
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            host: String::new(),
            port: 21,
            credentials: Credentials::anonymous(),
            mode: DataMode::default(),
            representation: Representation::Image,
            bind_ip: None,
            control_port: 0,
            active_ports: Arc::from([]),
            tls_mode: TlsMode::default(),
            tls: TlsSettings::default(),
            protect_data: true,
            proxy: None,
            connector: None,
            resolver: None,
            dns: None,
            dns_local_port: 0,
            family: IpFamily::default(),
            timeouts: Timeouts::default(),
            probe: true,
            send_ahead: true,
            max_listing: 1 << 30,
            max_entries: 250_000,
            large: Arc::new(Semaphore::new(1)),
            charset: None,
            keeps_returns: false,
            buffers: Buffers::default(),
            clock: Clock::start(),
            sink: None,
        }
    }

    /// Takes host, port, credentials, type (`;type=a`) and TLS (`ftps://`) from a URL's target, each where it has it. Its
    /// path is the caller's.
    #[must_use]
    pub fn target(mut self, target: &Target) -> Builder {
        self.host.clone_from(&target.host);
        self.port = target.port;
        if let Some(credentials) = &target.credentials {
            self.credentials = credentials.clone();
        }
        if let Some(representation) = target.representation {
            self.representation = representation;
        }
        if target.tls != TlsMode::Off {
            self.tls_mode = target.tls;
        }
        self
    }

    /// Whether the session is under TLS, and from when on. Default [`TlsMode::Off`].
    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Builder {
        self.tls_mode = mode;
        self
    }

    /// Who the server must be, and who this side is, under TLS. Default: a server for whose name an authority that the
    /// system knows has signed a certificate.
    #[must_use]
    pub fn tls_settings(mut self, settings: TlsSettings) -> Builder {
        self.tls = settings;
        self
    }

    /// Whether files and listings are under TLS where the session is (PROT P). Default yes. Without (PROT C) all who the
    /// packets pass can read and change them: for servers and networks that need it, and public files.
    #[must_use]
    pub fn protect_data(mut self, private: bool) -> Builder {
        self.protect_data = private;
        self
    }

    /// The proxy that the session goes through. Default none. Active mode is refused behind one.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Builder {
        self.proxy = Some(proxy);
        self
    }

    /// What opens connections, in place of [`Direct`](crate::Direct) or of a [`Proxy`].
    #[must_use]
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Builder {
        self.connector = Some(connector);
        self
    }

    /// What looks names up, in place of the system's name servers; [`Builder::dns`] and [`Builder::dns_local_port`] have no
    /// meaning then.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Builder {
        self.resolver = Some(resolver);
        self
    }

    /// The server: a name, an IPv4 or an IPv6 address (without brackets). It must be given.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Builder {
        self.host = host.into();
        self
    }

    /// The server's control port. Default 21.
    #[must_use]
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// Who logs in. Default [`Credentials::anonymous`].
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Builder {
        self.credentials = credentials;
        self
    }

    /// The settings of TLS.
    pub fn tls_settings_of(&self) -> &TlsSettings {
        &self.tls
    }

    /// Whether a proxy, or a connector of the caller's, stands between: the server cannot connect back.
    pub fn is_indirect(&self) -> bool {
        self.proxy.is_some() || self.connector.is_some()
    }

    /// Who logs in.
    pub fn credentials_of(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether a guest logs in (RFC 1635), who seldom may rename or remove.
    pub(crate) fn is_guest(&self) -> bool {
        let user = &self.credentials.user;
        user.eq_ignore_ascii_case("anonymous") || user.eq_ignore_ascii_case("ftp")
    }

    /// Who opens data connections. Default [`DataMode::Passive`].
    #[must_use]
    pub fn mode(mut self, mode: DataMode) -> Builder {
        self.mode = mode;
        self
    }

    /// How files are represented on the wire. Default [`Representation::Image`]: the bytes as they are, which costs one
    /// TYPE I before the first transfer. [`Representation::Ascii`] is the protocol's own default and costs none, but changes
    /// every file that is not text.
    #[must_use]
    pub fn representation(mut self, representation: Representation) -> Builder {
        self.representation = representation;
        self
    }

    /// The local address of the control connection and of data connections. Default: the system chooses.
    #[must_use]
    pub fn bind_ip(mut self, ip: IpAddr) -> Builder {
        self.bind_ip = Some(ip);
        self
    }

    /// The local port of the control connection. Default 0: the system chooses. A fixed port allows one session to a
    /// server at a time, and none again for a while after a session that this side closed first.
    #[must_use]
    pub fn control_port(mut self, port: u16) -> Builder {
        self.control_port = port;
        self
    }

    /// The local ports on which active data connections are awaited, used in turn and then over again. Default: none,
    /// and the system chooses. What a firewall lets in can be said here.
    #[must_use]
    pub fn active_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Builder {
        self.active_ports = ports.into_iter().collect();
        self
    }

    /// The one name server to ask, in place of the system's.
    #[must_use]
    pub fn dns(mut self, server: SocketAddr) -> Builder {
        self.dns = Some(server);
        self
    }

    /// The local UDP port of queries. Default 0: a random one for each query, which protects from forged answers; a
    /// fixed port does not.
    #[must_use]
    pub fn dns_local_port(mut self, port: u16) -> Builder {
        self.dns_local_port = port;
        self
    }

    /// Which addresses of the name are used. Default [`IpFamily::Any`].
    #[must_use]
    pub fn ip_family(mut self, family: IpFamily) -> Builder {
        self.family = family;
        self
    }

    /// How long each phase may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Builder {
        self.timeouts = timeouts;
        self
    }

    /// Whether the server may be asked what it can do (FEAT, and OPTS for what it has) when that would help. Default
    /// yes. Without, only commands that the caller's calls stand for are sent: listings are LIST, and read as they come.
    #[must_use]
    pub fn probe(mut self, probe: bool) -> Builder {
        self.probe = probe;
        self
    }

    /// Whether commands are sent before those ahead of them are answered, wherever that is safe: TYPE and EPSV, REST and
    /// RETR, SIZE and MDTM, the name and the password of a further session. Default yes; a round trip less for each. A server
    /// that cannot take it is noticed by its replies, its session is begun anew, and it is sent one at a time from then on. Turn it
    /// off for one that is known to be such, which saves that, or to see one command after the other in a recording.
    #[must_use]
    pub fn send_ahead(mut self, ahead: bool) -> Builder {
        self.send_ahead = ahead;
        self
    }

    /// The charset of the server's names. Default: none, and names are the server's bytes, most often UTF-8. With one, names are given
    /// and got in UTF-8; those that it does not have are refused with [`Error::Usage`] before anything is sent, and lines of
    /// listings that are not in it are [`Listed::Unreadable`](crate::Listed::Unreadable). The server is told to leave UTF-8 off where
    /// it has that. Two names that look alike are told apart no better than the charset does.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Builder {
        self.charset = Some(charset);
        self
    }

    /// How many bytes one listing may have. Default 1 GiB, some ten million entries: more is taken for a server that means
    /// harm, and fails with [`Error::TooMuch`]. A line, and what is kept of one, has a limit of its own.
    #[must_use]
    pub fn max_listing(mut self, bytes: u64) -> Builder {
        self.max_listing = bytes;
        self
    }

    /// How many entries one directory may have where all of it is held in memory: for patterns and trees ([`Client::matches`],
    /// [`Mirror`](crate::Mirror)); on the average a name may have 256 bytes. Default 250,000, which costs some 150 MB at the most
    /// while such a directory is compared: more fails with [`Error::TooMuch`]. A stream of entries has no such limit.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Builder {
        self.max_entries = entries.max(1);
        self
    }

    /// How many entries one directory may have where all of it is held in memory.
    pub fn max_entries_of(&self) -> usize {
        self.max_entries
    }

    /// Where events go, and by which clock they are told. Default: nowhere.
    #[must_use]
    pub fn sink(mut self, sink: Arc<dyn EventSink>, clock: Clock) -> Builder {
        self.sink = Some(sink);
        self.clock = clock;
        self
    }

    /// Resolves the name, connects and reads the greeting. Log in with [`Client::login`] or [`Client::user`].
    ///
    /// # Errors
    /// In the phases resolve, connect and greeting. Dropping the future ends all of it.
    pub async fn connect(&self) -> Result<Client, Error> {
        let recorder = Recorder::new(self.sink.clone(), self.clock);
        Client::begin(self.clone(), recorder, ConnectionId::CONTROL, Known::default()).await
    }

    /// As [`Builder::connect`], and logs in with the builder's credentials.
    ///
    /// # Errors
    /// In the phases resolve, connect, greeting and login. Dropping the future ends all of it.
    pub async fn open(&self) -> Result<Client, Error> {
        let mut client = self.connect().await?;
        client.login(&self.credentials).await?;
        Ok(client)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.credentials.user)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
