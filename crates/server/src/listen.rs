//! Listening for control connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use port21_proto::server::TlsMode;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::handle::{ReloadError, Reloaded};

/// So many connections that wait at a listener are served yet when it is closed.
const MAX_DRAINED: usize = 1024;

/// A place to listen at, and what is set for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Listen {
    /// The address and port; port 0 is any that is free.
    pub addr: SocketAddr,
    /// What is done about TLS there. Default [`TlsMode::Off`].
    pub tls: TlsMode,
}

impl Listen {
    /// The same place, with TLS.
    #[must_use]
    pub fn with_tls(self, tls: TlsMode) -> Listen {
        Listen { tls, ..self }
    }
}

impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Listen {
        Listen { addr, tls: TlsMode::Off }
    }
}

/// A listener of a server.
#[derive(Debug)]
pub(crate) struct Listener {
    /// As it was asked for: a reload that asks for the same keeps it.
    pub(crate) wanted: Listen,
    pub(crate) bound: SocketAddr,
    pub(crate) socket: TcpListener,
}

impl Listener {
    /// Whether IPv4 is taken by another listener of this port, so that `[::]` cannot have it.
    pub(crate) fn takes_ipv4_of(&self, addr: SocketAddr) -> bool {
        takes_ipv4(self.bound, addr)
    }

    /// Listens at `wanted`, beside `others`.
    pub(crate) fn open<'a>(
        wanted: Listen,
        mut others: impl Iterator<Item = &'a Listener>,
        backlog: u32,
    ) -> Result<Listener, ListenError> {
        let only_v6 = others.any(|other| other.takes_ipv4_of(wanted.addr));
        Listener::adopt(wanted, listen(wanted.addr, only_v6, backlog)?)
    }

    /// A socket that listens already.
    pub(crate) fn adopt(wanted: Listen, socket: std::net::TcpListener) -> Result<Listener, ListenError> {
        let other = |error| ListenError::Other(wanted.addr, error);
        socket.set_nonblocking(true).map_err(other)?;
        let socket = TcpListener::from_std(socket).map_err(other)?;
        let bound = socket.local_addr().map_err(other)?;
        Ok(Listener { wanted, bound, socket })
    }
}

/// Why a server cannot listen at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Something listens there already.
    #[error("{0} is taken: another program, or another server of this kind, listens there")]
    Taken(SocketAddr),
    /// The port is below 1024 and this process may not use such.
    #[error("{0} needs a privilege: run as root, with CAP_NET_BIND_SERVICE, or take a port from 1024 on")]
    Privileged(SocketAddr),
    /// This machine does not have that address.
    #[error("{0} is not an address of this machine")]
    NotHere(SocketAddr),
    /// TLS is to be spoken there, and there is no certificate.
    #[error("{0} is to speak TLS, and the server has no certificate")]
    NoCertificate(SocketAddr),
    /// Anything else.
    #[error("cannot listen at {0}: {1}")]
    Other(SocketAddr, #[source] io::Error),
}

/// Listens at all of these places, as [`Server::listen`](crate::Server::listen) does, but before there is a runtime: the
/// sockets are for [`Server::adopt`](crate::Server::adopt). So a process can give up its right to low ports while it has
/// one thread only.
///
/// # Errors
/// [`ListenError`] names the first address that cannot be had.
pub fn listen_ahead(places: &[Listen], backlog: u32) -> Result<Vec<std::net::TcpListener>, ListenError> {
    let mut sockets: Vec<(std::net::TcpListener, SocketAddr)> = Vec::new();
    for Listen { addr, .. } in places {
        let only_v6 = sockets.iter().any(|(_, other)| takes_ipv4(*other, *addr));
        let socket = listen(*addr, only_v6, backlog)?;
        let bound = socket.local_addr().map_err(|error| ListenError::Other(*addr, error))?;
        sockets.push((socket, bound));
    }
    Ok(sockets.into_iter().map(|(socket, _)| socket).collect())
}

/// A connection, and what is set for the place where it came.
pub(crate) type Accepted = (TcpStream, SocketAddr, Listen);

/// The next connection of any listener, each in its turn first.
pub(crate) async fn accept(listeners: &[Listener], turn: &mut usize) -> io::Result<Accepted> {
    std::future::poll_fn(|cx| poll_accept(listeners, turn, cx)).await
}

fn poll_accept(listeners: &[Listener], turn: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
    *turn = turn.wrapping_add(1);
    let (behind, ahead) = listeners.split_at(turn.checked_rem(listeners.len()).unwrap_or(0));
    for listener in ahead.iter().chain(behind) {
        if let Poll::Ready(accepted) = listener.socket.poll_accept(cx) {
            return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, listener.wanted)));
        }
    }
    Poll::Pending
}

/// An error of the one connection that was to be accepted: the next may be well (accept(2)).
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// The connections that wait at a listener which is about to be closed.
pub(crate) fn drain(listener: &Listener) -> impl Iterator<Item = Accepted> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    std::iter::from_fn(move || match listener.socket.poll_accept(&mut cx) {
        Poll::Ready(accepted) => accepted.ok().map(|(stream, peer)| (stream, peer, listener.wanted)),
        Poll::Pending => None,
    })
    .take(MAX_DRAINED)
}

/// Opens what is new and takes out what is not wanted any more, or changes nothing.
pub(crate) fn relisten(
    listeners: &mut Vec<Listener>,
    wanted: &[Listen],
    backlog: u32,
) -> Result<(Reloaded, Vec<Listener>), ReloadError> {
    let mut opened = Vec::<Listener>::new();
    for place in wanted {
        // What is set for a place may change; its socket stays.
        if listeners.iter().chain(&opened).any(|listener| listener.wanted.addr == place.addr) {
            continue;
        }
        let goes = |listener: &&Listener| wanted_at(wanted, listener).is_none();
        let leaving = listeners.iter().filter(goes).any(|listener| listener.bound.port() == place.addr.port());
        let stay = listeners.iter().filter(|listener| !goes(listener)).chain(&opened);
        match Listener::open(*place, stay, backlog) {
            Ok(listener) => opened.push(listener),
            Err(ListenError::Taken(addr)) if leaving => return Err(ReloadError::Overlaps(addr)),
            Err(error) => return Err(error.into()),
        }
    }
    let (stay, closed): (Vec<_>, Vec<_>) =
        std::mem::take(listeners).into_iter().partition(|listener| wanted_at(wanted, listener).is_some());
    let bound = |listeners: &[Listener]| listeners.iter().map(|listener| listener.bound).collect();
    let reloaded = Reloaded { opened: bound(&opened), closed: bound(&closed) };
    // The socket of a place stays, whatever else is set for it from now on.
    listeners.extend(stay.into_iter().map(|listener| {
        let wanted = wanted_at(wanted, &listener).unwrap_or(listener.wanted);
        Listener { wanted, ..listener }
    }));
    listeners.extend(opened);
    Ok((reloaded, closed))
}

/// What is wanted of a listener from now on.
fn wanted_at(wanted: &[Listen], listener: &Listener) -> Option<Listen> {
    let same = wanted.iter().find(|place| **place == listener.wanted);
    same.or_else(|| wanted.iter().find(|place| place.addr == listener.wanted.addr)).copied()
}

/// Whether a listener at `bound` takes IPv4's part of `addr`.
fn takes_ipv4(bound: SocketAddr, addr: SocketAddr) -> bool {
    addr.port() != 0 && bound.is_ipv4() && bound.port() == addr.port()
}

/// Listens at `addr`. Every address of IPv6 (`[::]`) is every address of IPv4 as well, unless `only_v6`, or the system has
/// it otherwise.
fn listen(addr: SocketAddr, only_v6: bool, backlog: u32) -> Result<std::net::TcpListener, ListenError> {
    bind(addr, only_v6, backlog).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(addr),
        io::ErrorKind::PermissionDenied if (1..1024).contains(&addr.port()) => ListenError::Privileged(addr),
        io::ErrorKind::AddrNotAvailable => ListenError::NotHere(addr),
        _ => ListenError::Other(addr, error),
    })
}

fn bind(addr: SocketAddr, only_v6: bool, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // The connections of a server that has just ended linger in TIME_WAIT: its successor must not wait for them. On
    // Windows the option means that anybody may steal the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(only_v6 || !addr.ip().is_unspecified())?;
    }
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_takes_both_families() {
        let wanted = Listen::from("[::]:0".parse::<SocketAddr>().unwrap());
        let Ok(sockets) = listen_ahead(&[wanted], 8) else {
            // A machine without IPv6.
            return;
        };
        let Listener { socket: listener, bound, .. } =
            Listener::adopt(wanted, sockets.into_iter().next().unwrap()).unwrap();
        let client = tokio::net::TcpStream::connect(("127.0.0.1", bound.port())).await.unwrap();
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!(port21_proto::addr::canonical(from), client.local_addr().unwrap());
    }

    #[tokio::test]
    async fn errors_name_the_address() {
        let listener = listen("127.0.0.1:0".parse().unwrap(), false, 8).unwrap();
        let bound = listener.local_addr().unwrap();
        assert!(matches!(listen(bound, false, 8), Err(ListenError::Taken(addr)) if addr == bound));
        let elsewhere = "192.0.2.1:0".parse().unwrap();
        assert!(matches!(listen(elsewhere, false, 8), Err(ListenError::NotHere(addr)) if addr == elsewhere));
    }
}
