//! TCP connections: out to the server, and in from it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use port21_proto::event::Purpose;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket};

use super::{BoxFuture, Connector, Destination, Dial, Stream};

/// A control connection that is silent for so long is asked by TCP whether it still stands: NAT forgets connections on
/// which nothing moves, and during a long transfer nothing does. No server sees anything of it.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);

/// TCP without anything between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl Connector for Direct {
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let Destination::Address(server) = dial.to else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name has no address here"));
            };
            let stream = socket(server, dial.local)?.connect(server).await?;
            stream.set_nodelay(true)?;
            if dial.purpose == Purpose::Control {
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            }
            Ok(Stream::Tcp(stream))
        })
    }
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

/// The local address for a connection of the given family, where one or its port is given.
pub(crate) fn local(ip: Option<IpAddr>, port: u16, v4: bool) -> Option<SocketAddr> {
    let any = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    (ip.is_some() || port != 0).then(|| SocketAddr::new(ip.unwrap_or(any), port))
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
