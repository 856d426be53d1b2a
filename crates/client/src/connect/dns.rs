//! Names to addresses; by hickory, with every query and answer as an event.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_resolver::Resolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime};
use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::BoxFuture;
use crate::builder::Builder;
use crate::sink::Recorder;

/// Looks up names.
pub trait Resolve: Send + Sync {
    /// The addresses of this family that the name has, the best in front. Both families are asked for at once, and the
    /// future may be dropped.
    ///
    /// # Errors
    /// Where there are none, or nobody knows: an [`io::Error`] whose text says why.
    fn resolve<'a>(&'a self, name: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// Asks name servers, and tells of every query and answer. Looks into the hosts file first, unless a name server was named.
pub(crate) struct Dns {
    server: Option<SocketAddr>,
    local_ip: Option<IpAddr>,
    local_port: u16,
    recorder: Recorder,
}

impl Dns {
    pub(crate) fn new(settings: &Builder, recorder: &Recorder) -> Dns {
        let server = settings.dns;
        let local_ip = settings.bind_ip.filter(|_| server.is_some());
        Dns { server, local_ip, local_port: settings.dns_local_port, recorder: recorder.clone() }
    }

    async fn look_up(&self, name: &str, family: Family) -> io::Result<Vec<IpAddr>> {
        let failed = |error: NetError| io::Error::other(plain(&error));
        let found = self.resolver(family).map_err(failed)?.lookup_ip(name).await.map_err(failed)?;
        Ok(found.iter().collect())
    }

    fn resolver(&self, family: Family) -> Result<Resolver<Observed>, NetError> {
        let provider = Observed {
            inner: TokioRuntimeProvider::new(),
            local_ip: self.local_ip,
            local_port: self.local_port,
            recorder: self.recorder.clone(),
        };
        let mut builder = match self.server {
            Some(server) => {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                let config = ResolverConfig::from_name_servers(vec![config]);
                let mut builder = Resolver::builder_with_config(config, provider);
                // Whoever names a name server wants to know what that one says.
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
            None => Resolver::builder(provider)?,
        };
        let options = builder.options_mut();
        options.ip_strategy = match family {
            Family::V4 => LookupIpStrategy::Ipv4Only,
            Family::V6 => LookupIpStrategy::Ipv6Only,
        };
        if self.local_port != 0 {
            // Two queries at once from one fixed port would take each other's answers.
            options.num_concurrent_reqs = 1;
        }
        // The session is the only one to ask, and it asks once.
        options.cache_size = 0;
        builder.build()
    }
}

impl Resolve for Dns {
    fn resolve<'a>(&'a self, name: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(self.look_up(name, family))
    }
}

fn plain(error: &NetError) -> String {
    if error.is_nx_domain() {
        "there is no such name".to_owned()
    } else if error.is_no_records_found() {
        "the name has no address".to_owned()
    } else if matches!(error, NetError::Timeout) {
        "no name server has answered".to_owned()
    } else {
        error.to_string()
    }
}

/// Tokio's sockets, bound as the settings ask, and observed.
#[derive(Clone)]
struct Observed {
    inner: TokioRuntimeProvider,
    local_ip: Option<IpAddr>,
    local_port: u16,
    recorder: Recorder,
}

impl RuntimeProvider for Observed {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ObservedUdp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.inner.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.inner.connect_tcp(server, bind, limit)
    }

    fn bind_udp(
        &self,
        mut local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<ObservedUdp>>>> {
        if let Some(ip) = self.local_ip.filter(|ip| ip.is_ipv4() == server.is_ipv4()) {
            local.set_ip(ip);
        }
        if self.local_port != 0 {
            local.set_port(self.local_port);
        }
        let bound = bind(local).and_then(|socket| ObservedUdp::new(socket, server, self.recorder.clone()));
        Box::pin(std::future::ready(bound))
    }
}

fn bind(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // A query that is sent again binds the same fixed port while the first socket still waits.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    UdpSocket::from_std(socket.into())
}

/// A UDP socket whose messages become events.
struct ObservedUdp {
    socket: UdpSocket,
    server: SocketAddr,
    id: ConnectionId,
    recorder: Recorder,
}

impl ObservedUdp {
    fn new(socket: UdpSocket, server: SocketAddr, recorder: Recorder) -> io::Result<ObservedUdp> {
        let id = recorder.name();
        if recorder.is_on() {
            let local = real_local_address(socket.local_addr()?, server);
            recorder.emit(|| {
                EventKind::Opened(Connection {
                    id,
                    purpose: Purpose::Dns,
                    opener: End::Client,
                    client: Some(local),
                    server: Some(server),
                })
            });
        }
        Ok(ObservedUdp { socket, server, id, recorder })
    }

    fn observe(&self, bytes: &[u8]) {
        if !self.recorder.is_on() {
            return;
        }
        let Ok(message) = Message::from_vec(bytes) else { return };
        let Some(query) = message.queries.first() else { return };
        let name = query.name.to_string().trim_end_matches('.').to_owned();
        let record = query.query_type.to_string();
        let (connection, id) = (self.id, message.metadata.id);
        self.recorder.emit(|| match message.metadata.message_type {
            hickory_proto::op::MessageType::Query => EventKind::DnsQuery {
                connection,
                id,
                name,
                record,
                recursion_desired: message.metadata.recursion_desired,
            },
            hickory_proto::op::MessageType::Response => EventKind::DnsAnswer {
                connection,
                id,
                name,
                record,
                code: mnemonic(message.metadata.response_code),
                answers: message.answers.iter().map(|answer| answer.data.to_string()).collect(),
            },
        });
    }
}

impl DnsUdpSocket for ObservedUdp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let from = ready!(self.socket.poll_recv_from(cx, &mut buf))?;
        // A forged answer from elsewhere is dropped by the resolver, and is no answer of this server here either.
        if from == self.server {
            self.observe(buf.filled());
        }
        Poll::Ready(Ok((buf.filled().len(), from)))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        let sent = ready!(self.socket.poll_send_to(cx, buf, to))?;
        self.observe(buf);
        Poll::Ready(Ok(sent))
    }
}

/// The code as RFC 1035 section 4.1.1 and its successors abbreviate it.
fn mnemonic(code: hickory_proto::op::ResponseCode) -> String {
    use hickory_proto::op::ResponseCode;
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// The address that queries leave from, where the socket is bound to none: the system's route to the server has it.
fn real_local_address(bound: SocketAddr, server: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let routed = std::net::UdpSocket::bind((any, 0)).and_then(|probe| {
        probe.connect(server)?;
        probe.local_addr()
    });
    SocketAddr::new(routed.map_or(bound.ip(), |addr| addr.ip()), bound.port())
}
