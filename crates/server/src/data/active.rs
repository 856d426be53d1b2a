//! Active mode: the server connects to the client.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::server::DataError;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::data::connection::Tap;
use crate::data::socket::Socket;
use crate::data::standing::Standing;
use crate::events::{Events, data_connection};
use crate::proxy::Ends;

/// How long the data port is tried again where its last connection to the very same address is not yet forgotten.
/// Linux forgets one on loopback after a second.
const REUSE_PATIENCE: Duration = Duration::from_millis(1500);

/// The pause between two tries.
const REUSE_PAUSE: Duration = Duration::from_millis(50);

/// Connects from a server's data port. One for a server: it remembers what was logged.
#[derive(Debug, Default)]
pub(crate) struct Active {
    warned: AtomicBool,
}

impl Active {
    /// Connects to `target`, which was checked to be the client's own, from the control port − 1 at the address that the
    /// client has connected to (RFC 959 section 3.2), else from any port there. There is no time limit: drop it.
    ///
    /// A proxy that the control connection came through is passed by: the connection leaves from this machine. A client
    /// that can be reached from here, and does not mind where it comes from, is served; others are not.
    pub(crate) async fn connect(
        &self,
        target: SocketAddr,
        ends: Ends,
        events: Option<&Arc<Events>>,
    ) -> Result<Standing, DataError> {
        let target = in_scope(target, ends.peer);
        let local = beside(target, ends.local);
        let opening = events.map(|events| Opening::tell(events.clone(), target));
        let result = self.connect_from(target, local).await;
        let tap = match (&result, opening) {
            (_, None) => None,
            (Ok(stream), Some(opening)) => Some(opening.succeeded(target, stream)),
            (Err(error), Some(opening)) => {
                opening.failed(&reason(error));
                None
            }
        };
        let stream = result.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => DataError::Refused(target),
            _ => DataError::Unreachable(target, reason(&error)),
        })?;
        Ok(Standing::new(Socket::new(stream), tap, None))
    }

    async fn connect_from(&self, target: SocketAddr, local: SocketAddr) -> io::Result<TcpStream> {
        let Some(port) = local.port().checked_sub(1).filter(|&port| port > 0) else {
            return connect_bound(target, with_port(local, 0)).await;
        };
        let from = with_port(local, port);
        let patience = Instant::now() + REUSE_PATIENCE;
        loop {
            match connect_bound(target, from).await {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && Instant::now() < patience => {
                    sleep(REUSE_PAUSE).await;
                }
                Err(error) if is_about_the_port(&error) => {
                    self.warn(from, &error);
                    return connect_bound(target, with_port(local, 0)).await;
                }
                result => return result,
            }
        }
    }

    /// A firewall may let in data from the data port alone: an operator must know, but not once a transfer.
    fn warn(&self, from: SocketAddr, error: &io::Error) {
        if self.warned.swap(true, Ordering::Relaxed) {
            debug!(%from, %error, "active data leaves from another port");
        } else {
            warn!(%from, %error, "active data cannot leave from the control port - 1: it leaves from any port");
        }
    }
}

async fn connect_bound(target: SocketAddr, from: SocketAddr) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Many connections leave from the one data port, and their predecessors linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(from)?;
    socket.connect(target).await?.into_std()
}

fn is_about_the_port(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

fn with_port(mut addr: SocketAddr, port: u16) -> SocketAddr {
    addr.set_port(port);
    addr
}

/// The end of a socket to `target`: this one, or where a proxy speaks another protocol with this machine than with the
/// client, any of that protocol.
fn beside(target: SocketAddr, local: SocketAddr) -> SocketAddr {
    match target {
        _ if target.is_ipv4() == local.is_ipv4() => local,
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, local.port()).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, local.port()).into(),
    }
}

/// A link-local address means nothing without its link, which EPRT cannot name: it is the one that the client is on.
fn in_scope(target: SocketAddr, peer: SocketAddr) -> SocketAddr {
    match (target, peer) {
        (SocketAddr::V6(mut target), SocketAddr::V6(peer)) => {
            target.set_scope_id(peer.scope_id());
            target.into()
        }
        _ => target,
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".into(),
        io::ErrorKind::TimedOut => "no answer".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        _ => error.to_string(),
    }
}

/// Tells of a connection that is being opened; dropped before its end, that nobody waits for it any more.
struct Opening {
    events: Arc<Events>,
    id: ConnectionId,
    open: bool,
}

impl Opening {
    fn tell(events: Arc<Events>, target: SocketAddr) -> Opening {
        let id = events.next_connection();
        events.tell(EventKind::Opening(data_connection(id, End::Server, target, None)));
        Opening { events, id, open: true }
    }

    fn succeeded(mut self, target: SocketAddr, stream: &TcpStream) -> Tap {
        self.open = false;
        let connection = data_connection(self.id, End::Server, target, stream.local_addr().ok());
        self.events.tell(EventKind::Opened(connection));
        Tap::new(self.events.clone(), self.id)
    }

    fn failed(mut self, why: &str) {
        self.open = false;
        self.events.tell(EventKind::OpenFailed { connection: self.id, why: why.into() });
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.open {
            let why = "no answer for as long as it was waited for".into();
            self.events.tell(EventKind::OpenFailed { connection: self.id, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn ends(control: SocketAddr, peer: SocketAddr) -> Ends {
        Ends { peer, server: control, local: control }
    }

    #[tokio::test]
    async fn leaves_from_the_port_below_the_control_port() {
        let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = client.local_addr().unwrap();
        // A port that is free now: the one below the "control port".
        let data_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let control = with_port(data_port, data_port.port() + 1);
        let active = Active::default();
        let _standing = active.connect(target, ends(control, target), None).await.unwrap();
        let (_, from) = client.accept().await.unwrap();
        assert_eq!(from, data_port);
    }

    /// The data port's last connection to the very same address lingers in TIME_WAIT, as when a demonstration with fixed
    /// ports is run again at once.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn waits_for_the_data_port_to_be_free_again() {
        let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = client.local_addr().unwrap();
        let data_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let control = with_port(data_port, data_port.port() + 1);
        let active = Active::default();
        for _ in 0..2 {
            let stream = active.connect(target, ends(control, target), None).await.unwrap();
            let (mut other, from) = client.accept().await.unwrap();
            assert_eq!(from, data_port);
            // Whoever closes first is the one that lingers.
            drop(stream);
            assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn leaves_from_any_port_where_that_one_is_taken() {
        let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = client.local_addr().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let data_port = taken.local_addr().unwrap();
        let control = with_port(data_port, data_port.port() + 1);
        let active = Active::default();
        active.connect(target, ends(control, target), None).await.unwrap();
        let (_, from) = client.accept().await.unwrap();
        assert_eq!(from.ip(), data_port.ip());
        assert_ne!(from.port(), data_port.port());
        assert!(active.warned.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_refusal_is_named() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let control = with_port(target, 1);
        let error = Active::default().connect(target, ends(control, target), None).await.err().unwrap();
        assert_eq!(error, DataError::Refused(target));
    }

    #[tokio::test]
    async fn a_client_of_the_other_protocol_behind_a_proxy_is_connected_to() {
        let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = client.local_addr().unwrap();
        let via_ipv6 = Ends { local: "[::1]:1".parse().unwrap(), ..ends(target, target) };
        Active::default().connect(target, via_ipv6, None).await.unwrap();
    }

    #[test]
    fn a_link_local_client_is_on_its_link() {
        let peer = SocketAddr::V6(std::net::SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 7));
        let target: SocketAddr = "[fe80::1]:2000".parse().unwrap();
        assert!(matches!(in_scope(target, peer), SocketAddr::V6(addr) if addr.scope_id() == 7));
    }
}
