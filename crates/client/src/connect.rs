//! TCP connections: out to the server, and in from it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::client::Phase;
use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::builder::Builder;
use crate::error::Error;
use crate::sink::Recorder;

/// Opens the control connection to the first of the addresses that takes it.
pub(crate) async fn control(
    settings: &Builder,
    addresses: &[IpAddr],
    recorder: &Recorder,
    id: ConnectionId,
) -> Result<TcpStream, Error> {
    let mut last = Error::Usage("the host has no address");
    for ip in addresses {
        let server = SocketAddr::new(*ip, settings.port);
        let local = settings.bind_ip.map(|ip| SocketAddr::new(ip, settings.control_port));
        let local = local.or((settings.control_port != 0).then(|| SocketAddr::new(any(server), settings.control_port)));
        let purpose = Purpose::Control;
        match open(id, purpose, server, local, Some(settings.timeouts.connect), recorder).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let what = format!("no connection to {server}");
                last = Error::Timeout { phase: Phase::Connect, what, after: settings.timeouts.connect };
            }
            Err(source) => {
                last = Error::Transport { phase: Phase::Connect, what: format!("connect to {server}"), source };
            }
        }
    }
    Err(last)
}

/// Opens a connection to `server`, and tells of it.
pub(crate) async fn open(
    id: ConnectionId,
    purpose: Purpose,
    server: SocketAddr,
    local: Option<SocketAddr>,
    limit: Option<Duration>,
    recorder: &Recorder,
) -> io::Result<TcpStream> {
    let connection = |client| Connection { id, purpose, opener: End::Client, client, server: Some(server) };
    recorder.emit(|| EventKind::Opening(connection(local.filter(|l| l.port() != 0 && !l.ip().is_unspecified()))));
    let attempt = async {
        let stream = socket(server, local)?.connect(server).await?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    };
    let result = match limit {
        None => attempt.await,
        Some(limit) => tokio::time::timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")))),
    };
    match &result {
        Ok(stream) => recorder.emit(|| EventKind::Opened(connection(stream.local_addr().ok()))),
        Err(error) => recorder.emit(|| EventKind::OpenFailed { connection: id, why: plain(error) }),
    }
    result
}

/// Listens for a data connection on this side's address, on the first of the ports that is free.
pub(crate) fn listen(ip: IpAddr, ports: &[u16]) -> io::Result<TcpListener> {
    let mut last = None;
    for &port in if ports.is_empty() { &[0][..] } else { ports } {
        let at = SocketAddr::new(ip, port);
        // One connection is awaited; a few more may knock before it.
        match socket(at, Some(at)).and_then(|socket| socket.listen(8)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// Why a connection failed, in plain words.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset by the peer".to_owned(),
        io::ErrorKind::HostUnreachable => "the host cannot be reached".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

fn socket(peer: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpSocket> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Some servers send the reply to an ABOR, or Telnet Synchs, as urgent data: no byte of it may be lost.
    SockRef::from(&socket).set_out_of_band_inline(true)?;
    if let Some(local) = local {
        // A fixed port may be held by a connection of a session before this one that is in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(local)?;
    }
    Ok(socket)
}

fn any(peer: SocketAddr) -> IpAddr {
    if peer.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() }
}
