//! Passive mode: a port on which one client is waited for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::server::DataError;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::data::connection::Tap;
use crate::data::ports::{PassivePorts, no_port};
use crate::data::socket::Socket;
use crate::data::standing::Standing;
use crate::events::Events;
use crate::proxy::{Ends, Proxies, ProxyError};
use crate::registry::Registry;
use crate::status::Refusal;
use crate::storage::BoxFuture;
use crate::tls::handshake::{Guard, Progress};

/// So many connections of proxies to one port may be waited on for their header.
const MAX_ARRIVING: usize = 16;

/// The pause after an error of accept, which is most often that the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who connects before its command is answered has done so by then, or its connection is on the way.
const EARLY_CONNECTION: Duration = Duration::from_millis(100);

/// A port on which one client is waited for. Dropped, nobody listens there any more.
///
/// The client is let in as soon as it comes, which may be long before its transfer begins: the port is then free for
/// others, and strangers who try it are turned away without waiting for a transfer.
pub(crate) struct Passive {
    addr: SocketAddr,
    /// Gone once the client has come.
    listener: Weak<Socket>,
    acceptor: BoxFuture<'static, Result<Standing, DataError>>,
    /// What the acceptor has given already.
    come: Option<Result<Standing, DataError>>,
    /// Whether a transfer waits for the client: from then on it is the transfer's time that runs.
    wanted: Arc<AtomicBool>,
    /// Of the handshake, where the client may begin one.
    handshake: Option<Progress>,
}

impl Passive {
    /// Listens where the control connection has come in, for its client alone: whoever else connects is dropped, and goes
    /// on being dropped (RFC 2577 section 4). Where there is a guard, the client may begin TLS as soon as it has come.
    ///
    /// A port that is neither connected to nor wanted by a transfer within `patience` is given up, and is for others again:
    /// else a few clients that only say NOOP would hold all of them.
    pub(crate) fn listen(
        ports: &PassivePorts,
        proxies: &Proxies,
        ends: Ends,
        events: Option<Arc<Events>>,
        guard: Option<Guard>,
        patience: Duration,
    ) -> Result<Passive, DataError> {
        let (listener, lease) = ports.listen(ends.local, ends.peer.ip())?;
        let addr = listener.local_addr().map_err(|error| no_port(&error))?;
        let listener = Arc::new(listener);
        let closer = Arc::downgrade(&listener);
        let waiting =
            Waiting { peer: ends.peer.ip(), proxies: proxies.clone(), events, registry: ports.registry().clone() };
        let wanted = Arc::<AtomicBool>::default();
        let is_wanted = wanted.clone();
        let handshake = guard.as_ref().map(|guard| guard.progress.clone());
        let begins_tls = guard.is_some();
        let acceptor = async move {
            let _lease = lease;
            tokio::select! {
                biased;
                (stream, tap) = waiting.accept(&listener) => Ok(Standing::new(stream, tap, guard)),
                () = unused(patience, &is_wanted) => {
                    waiting.gives_up(addr, patience);
                    Err(DataError::Unused(patience))
                }
            }
        };
        // A handshake goes on whatever the session does meanwhile. Else the session itself looks who comes (see
        // `poll_come`): a task would wake another thread.
        let acceptor: BoxFuture<'static, _> = match begins_tls {
            true => Box::pin(Task(tokio::spawn(acceptor))),
            false => Box::pin(acceptor),
        };
        Ok(Passive { addr, listener: closer, acceptor, come: None, wanted, handshake })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As [`Standing::give_tickets`], for a client that has connected or is about to. None are sent from now on. May be
    /// dropped at any time.
    pub(crate) async fn give_tickets(&mut self) {
        self.wait_a_little().await;
        if let Some(Ok(standing)) = &mut self.come {
            standing.give_tickets().await;
        }
        self.may_send();
    }

    /// Of the handshake, where the client may begin one.
    pub(crate) fn handshake(&self) -> Option<&Progress> {
        self.handshake.as_ref()
    }

    /// The client's connection. There is no time limit: drop it.
    ///
    /// # Errors
    /// [`DataError::Unused`] where the port was given up before.
    pub(crate) async fn accepted(mut self) -> Result<Standing, DataError> {
        self.wanted.store(true, Ordering::Release);
        self.may_send();
        match self.come.take() {
            Some(come) => come,
            None => (&mut self.acceptor).await,
        }
    }

    /// The client's connection, where it has come or is about to; nobody else connects from now on.
    pub(crate) async fn come(mut self) -> Option<Standing> {
        self.wait_a_little().await;
        self.come.take()?.ok()
    }

    fn may_send(&self) {
        self.handshake.iter().for_each(Progress::may_send);
    }

    async fn wait_a_little(&mut self) {
        if self.come.is_none()
            && let Ok(come) = timeout(EARLY_CONNECTION, &mut self.acceptor).await
        {
            self.come = Some(come);
        }
    }

    /// Lets in whoever comes, until the client has come. To be polled while the port is held and nobody waits for it.
    pub(crate) fn poll_come(&mut self, cx: &mut Context<'_>) {
        if self.come.is_none()
            && let Poll::Ready(come) = self.acceptor.as_mut().poll(cx)
        {
            self.come = Some(come);
        }
    }

    /// Whether its client has yet to come.
    pub(crate) fn is_open(&self) -> bool {
        self.come.is_none()
    }
}

impl Drop for Passive {
    fn drop(&mut self) {
        // The task ends a little later; from now on nobody connects.
        if let Some(listener) = self.listener.upgrade() {
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        }
    }
}

/// An acceptor that goes on by itself. Dropped, it ends.
struct Task(JoinHandle<Result<Standing, DataError>>);

impl Future for Task {
    type Output = Result<Standing, DataError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|done| done.unwrap_or(Err(DataError::NoPort)))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who is waited for.
struct Waiting {
    peer: IpAddr,
    proxies: Proxies,
    events: Option<Arc<Events>>,
    registry: Arc<Registry>,
}

impl Waiting {
    async fn accept(&self, listener: &Socket) -> (Socket, Option<Tap>) {
        // Connections of proxies of which the header has not come yet: nobody waits for them.
        let mut arriving = JoinSet::new();
        loop {
            let (stream, ends) = tokio::select! {
                accepted = accept(listener), if arriving.len() < MAX_ARRIVING => match accepted {
                    Ok((stream, from)) if self.proxies.contains(from) => {
                        arriving.spawn(from_proxy(stream, from));
                        continue;
                    }
                    Ok((stream, from)) => match Ends::direct(stream.local_addr(), from) {
                        Ok(ends) => (stream, ends),
                        Err(_) => continue,
                    },
                    Err(error) => {
                        debug!(%error, "accepting a data connection");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                Some(Ok((arrived, proxy))) = arriving.join_next() => match arrived {
                    Ok(arrived) => arrived,
                    Err(error) => {
                        if let Some(unwritten) = self.registry.throttles.proxy.pass() {
                            warn!(%proxy, %error, unwritten, "dropped a proxy's connection to a data port");
                        }
                        continue;
                    }
                },
            };
            if ends.peer.ip() == self.peer {
                let tap = self.events.clone().map(|events| Tap::accepted(events, ends.peer, ends.server));
                return (stream, tap);
            }
            self.is_stranger(ends.peer);
        }
    }

    fn gives_up(&self, at: SocketAddr, after: Duration) {
        let (peer, port, after) = (self.peer, at.port(), after.as_secs_f64());
        debug!(%peer, port, after, "gave up a data port that nobody used");
        if let Some(events) = &self.events {
            events.note(None, format!("nobody used data port {port} within {after} s: it was given up"));
        }
    }

    fn is_stranger(&self, from: SocketAddr) {
        let peer = self.peer;
        self.registry.refused(Refusal::Stranger);
        if let Some(unwritten) = self.registry.throttles.stranger.pass() {
            warn!(%from, %peer, unwritten, "a stranger connected to a data port and was dropped");
        }
        if let Some(events) = &self.events {
            events.note(None, format!("{from} connected to the data port and was dropped: it is not the client"));
        }
    }
}

async fn accept(listener: &Socket) -> io::Result<(Socket, SocketAddr)> {
    let accept = || Ok(acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?);
    let (stream, from) = listener.once(Interest::READABLE, accept).await?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((Socket::new(stream), from))
}

/// A connection of a proxy, once that has told whose it is.
async fn from_proxy(stream: Socket, proxy: SocketAddr) -> (Result<(Socket, Ends), ProxyError>, SocketAddr) {
    let arrived = async {
        let stream = TcpStream::from_std(stream.try_clone()?.into())?;
        let ends = Ends::behind_proxy(&stream, proxy).await?;
        Ok((Socket::new(stream.into_std()?), ends))
    };
    (arrived.await, proxy)
}

/// Waits for so long, and for ever where it is wanted by then.
async fn unused(patience: Duration, wanted: &AtomicBool) {
    sleep(patience).await;
    if wanted.load(Ordering::Acquire) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    fn loopback() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// A control connection of a client there.
    fn from(client: IpAddr) -> Ends {
        Ends { peer: (client, 1025).into(), server: loopback(), local: loopback() }
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A port for a client there.
    fn listen(client: IpAddr) -> Passive {
        let ports = PassivePorts::new(None, Arc::default());
        Passive::listen(&ports, &Proxies::default(), from(client), None, None, PATIENCE).unwrap()
    }

    /// As a session holds the port while it does something else.
    async fn beside<T>(passive: &mut Passive, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            passive.poll_come(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_nobody_uses_is_given_up() {
        let range = 1..=u16::MAX;
        let ports = PassivePorts::new(Some(range), Arc::default());
        let listen = || Passive::listen(&ports, &Proxies::default(), from(loopback().ip()), None, None, PATIENCE);
        let mut passive = listen().unwrap();
        assert_eq!(ports.in_use().count().0, 1);
        beside(&mut passive, sleep(PATIENCE - Duration::from_secs(1))).await;
        assert_eq!(ports.in_use().count().0, 1);
        beside(&mut passive, sleep(Duration::from_secs(2))).await;
        assert_eq!(ports.in_use().count().0, 0);
        assert!(TcpStream::connect(passive.addr()).await.is_err());
        // However often it is asked.
        passive.give_tickets().await;
        passive.give_tickets().await;
        assert_eq!(passive.accepted().await.err(), Some(DataError::Unused(PATIENCE)));
        assert!(listen().unwrap().come().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_a_transfer_waits_at_is_not_given_up() {
        let mut passive = listen(loopback().ip());
        let addr = passive.addr();
        beside(&mut passive, sleep(PATIENCE - Duration::from_secs(1))).await;
        let mut accepted = std::pin::pin!(passive.accepted());
        assert!(timeout(2 * PATIENCE, &mut accepted).await.is_err());
        let (client, standing) = tokio::join!(TcpStream::connect(addr), accepted);
        assert!(client.is_ok() && standing.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_come_may_take_its_time() {
        let mut passive = listen(loopback().ip());
        let _client = TcpStream::connect(passive.addr()).await.unwrap();
        beside(&mut passive, sleep(10 * PATIENCE)).await;
        assert!(passive.accepted().await.is_ok());
    }

    #[tokio::test]
    async fn nobody_connects_once_it_is_let_go_of() {
        let passive = listen(loopback().ip());
        let addr = passive.addr();
        drop(passive);
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn a_stranger_is_dropped_and_the_client_still_served() {
        let client: IpAddr = "127.0.0.9".parse().unwrap();
        let mut passive = listen(client);
        let addr = passive.addr();
        let mut stranger = TcpStream::connect(addr).await.unwrap();
        assert_eq!(beside(&mut passive, stranger.read(&mut [0; 1])).await.unwrap_or(0), 0);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((client, 0).into()).unwrap();
        let mut right = socket.connect(addr).await.unwrap();
        let served = passive.accepted().await.unwrap();
        right.write_all(b"x").await.unwrap();
        let mut byte = [0];
        let read = || Ok(rustix::net::recv(served.stream(), &mut byte, rustix::net::RecvFlags::DONTWAIT)?.1);
        assert_eq!(served.stream().once(Interest::READABLE, read).await.unwrap(), 1);
        assert_eq!(byte, *b"x");
        assert!(TcpStream::connect(addr).await.is_err(), "the port is free once the client is in");
    }
}
