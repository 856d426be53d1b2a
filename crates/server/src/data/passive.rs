//! Passive mode: a port on which one client is waited for.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use port21_proto::server::DataError;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::data::connection::Tap;
use crate::data::standing::Standing;
use crate::events::Events;
use crate::proxy::{Ends, Proxies};
use crate::registry::Registry;
use crate::status::Refusal;
use crate::tls::handshake::Guard;

/// Connections of strangers may come first; so many of all wait in the system to be looked at.
const BACKLOG: u32 = 16;

/// So many connections of proxies to one port may be waited on for their header.
const MAX_ARRIVING: usize = 16;

/// Ports of the range that another program holds, found out by trying: so many before the search is given up.
const MAX_TAKEN: usize = 64;

/// Ports are tried at random so often before all are gone through in order.
const RANDOM_TRIES: u32 = 64;

/// The pause after an error of accept, which is most often that the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who connects before its command is answered has done so by then, or its connection is on the way.
const EARLY_CONNECTION: Duration = Duration::from_millis(100);

/// The ports of passive data connections: which are taken, and which have just been used.
///
/// A port is chosen at random, so that a stranger cannot connect to the one that is next (RFC 2577 section 8), and it
/// rests after its use for as long as others are free: up to half of the range. Two users behind one NAT have one
/// address, and a late connection of the first must not get the data of the second.
#[derive(Clone, Debug)]
pub(crate) struct PassivePorts {
    range: Option<RangeInclusive<u16>>,
    state: Arc<Mutex<State>>,
    registry: Arc<Registry>,
}

#[derive(Debug, Default)]
struct State {
    held: HashSet<u16>,
    /// Those that rest, the most rested first; the set holds the same ports.
    resting: VecDeque<u16>,
    rests: HashSet<u16>,
    max_resting: usize,
    /// How many ports there are, where that is set.
    size: Option<usize>,
}

/// How many ports are in use, and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct InUse(Arc<Mutex<State>>);

impl InUse {
    pub(crate) fn count(&self) -> (usize, Option<usize>) {
        let state = lock(&self.0);
        (state.held.len(), state.size)
    }
}

/// A port that is held; it rests when this is dropped.
#[derive(Debug)]
struct Lease {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl PassivePorts {
    /// The ports of `range`; any that the system has free where there is none.
    pub(crate) fn new(range: Option<RangeInclusive<u16>>, registry: Arc<Registry>) -> PassivePorts {
        let ports = PassivePorts { range, state: Arc::default(), registry };
        ports.take_over();
        ports
    }

    /// Other ports, of which those that are in use stay so, and none is given twice. It is counted by the old ones until
    /// [`PassivePorts::take_over`].
    pub(crate) fn with_range(&self, range: Option<RangeInclusive<u16>>) -> PassivePorts {
        PassivePorts { range, state: self.state.clone(), registry: self.registry.clone() }
    }

    /// From now on this is the range: how many there are, and how many rest.
    pub(crate) fn take_over(&self) {
        let size = self.range.as_ref().map(ExactSizeIterator::len);
        let mut state = lock(&self.state);
        (state.max_resting, state.size) = (size.unwrap_or(0) / 2, size);
    }

    /// Who wants to know how many are in use.
    pub(crate) fn in_use(&self) -> InUse {
        InUse(self.state.clone())
    }

    /// Listens at `local`'s address.
    fn listen(&self, local: SocketAddr) -> Result<(TcpListener, Option<Lease>), DataError> {
        let Some(range) = &self.range else {
            return match listen_at(local, 0) {
                Ok(listener) => Ok((listener, None)),
                Err(error) => Err(no_port(&error)),
            };
        };
        // Kept until the search ends, so that none is tried twice.
        let mut taken = Vec::new();
        while let Some(lease) = self.hold(range) {
            match listen_at(local, lease.port) {
                Ok(listener) => return Ok((listener, Some(lease))),
                Err(error) if is_of_this_port(&error) && taken.len() < MAX_TAKEN => taken.push(lease),
                Err(error) => return Err(no_port(&error)),
            }
        }
        self.registry.refused(Refusal::NoPort);
        if let Some(unwritten) = self.registry.throttles.no_port.pass() {
            warn!(?range, unwritten, "no passive port is free: use a larger range");
        }
        Err(DataError::NoPort)
    }

    /// A port that is free as far as is known here: a random one, or where all rest, the most rested.
    fn hold(&self, range: &RangeInclusive<u16>) -> Option<Lease> {
        let size = u32::try_from(range.len()).unwrap_or(0);
        let mut state = lock(&self.state);
        let free = (0..RANDOM_TRIES + size).find_map(|step| {
            let start = if step < RANDOM_TRIES { random() } else { step };
            let port = range.start().checked_add(u16::try_from(start.checked_rem(size)?).ok()?)?;
            (!state.held.contains(&port) && !state.rests.contains(&port)).then_some(port)
        });
        // Those that rest may be of a range that was given up.
        let port = free.or_else(|| {
            let rested = state.resting.iter().position(|port| range.contains(port))?;
            state.resting.remove(rested)
        })?;
        state.rests.remove(&port);
        state.held.insert(port);
        Some(Lease { state: self.state.clone(), port })
    }
}

/// Another port may do: another program holds this one, or it is below 1024 and needs a privilege.
fn is_of_this_port(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.held.remove(&self.port);
        state.resting.push_back(self.port);
        state.rests.insert(self.port);
        while state.resting.len() > state.max_resting {
            if let Some(rested) = state.resting.pop_front() {
                state.rests.remove(&rested);
            }
        }
    }
}

/// A port on which one client is waited for. Dropped, nobody listens there any more.
///
/// The client is let in as soon as it comes, which may be long before its transfer begins: the port is then free for
/// others, and strangers who try it are turned away without waiting for a transfer.
pub(crate) struct Passive {
    addr: SocketAddr,
    /// Gone once the client has come.
    listener: Weak<TcpListener>,
    acceptor: JoinHandle<Standing>,
    /// What the acceptor has given already.
    come: Option<Standing>,
}

impl Passive {
    /// Listens where the control connection has come in, for its client alone: whoever else connects is dropped, and goes
    /// on being dropped (RFC 2577 section 4). Where there is a guard, the client may begin TLS as soon as it has come.
    pub(crate) fn listen(
        ports: &PassivePorts,
        proxies: &Proxies,
        ends: Ends,
        events: Option<Arc<Events>>,
        guard: Option<Guard>,
    ) -> Result<Passive, DataError> {
        let (listener, lease) = ports.listen(ends.local)?;
        let addr = listener.local_addr().map_err(|error| no_port(&error))?;
        let listener = Arc::new(listener);
        let closer = Arc::downgrade(&listener);
        let waiting =
            Waiting { peer: ends.peer.ip(), proxies: proxies.clone(), events, registry: ports.registry.clone() };
        let acceptor = tokio::spawn(async move {
            let _lease = lease;
            let (stream, tap) = waiting.accept(&listener).await;
            Standing::new(stream, tap, guard)
        });
        Ok(Passive { addr, listener: closer, acceptor, come: None })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As [`Standing::give_tickets`], for a client that has connected or is about to. May be dropped at any time.
    pub(crate) async fn give_tickets(&mut self) {
        if self.come.is_none()
            && let Ok(Ok(come)) = timeout(EARLY_CONNECTION, &mut self.acceptor).await
        {
            self.come = Some(come);
        }
        if let Some(standing) = &mut self.come {
            standing.give_tickets().await;
        }
    }

    /// The client's connection. There is no time limit: drop it.
    pub(crate) async fn accepted(mut self) -> Result<Standing, DataError> {
        if let Some(come) = self.come.take() {
            return Ok(come);
        }
        (&mut self.acceptor).await.map_err(|_| DataError::NoPort)
    }
}

impl Drop for Passive {
    fn drop(&mut self) {
        // The task ends a little later; from now on nobody connects.
        if let Some(listener) = self.listener.upgrade() {
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        }
        self.acceptor.abort();
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
    async fn accept(self, listener: &TcpListener) -> (TcpStream, Option<Tap>) {
        // Connections of proxies of which the header has not come yet: nobody waits for them.
        let mut arriving = JoinSet::new();
        loop {
            let (stream, ends) = tokio::select! {
                accepted = listener.accept(), if arriving.len() < MAX_ARRIVING => match accepted {
                    Ok((stream, from)) if self.proxies.contains(from) => {
                        arriving.spawn(async move { (Ends::behind_proxy(&stream, from).await, stream, from) });
                        continue;
                    }
                    Ok((stream, from)) => match Ends::direct(&stream, from) {
                        Ok(ends) => (stream, ends),
                        Err(_) => continue,
                    },
                    Err(error) => {
                        debug!(%error, "accepting a data connection");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                Some(Ok((told, stream, proxy))) = arriving.join_next() => match told {
                    Ok(ends) => (stream, ends),
                    Err(error) => {
                        if let Some(unwritten) = self.registry.throttles.proxy.pass() {
                            warn!(%proxy, %error, unwritten, "dropped a proxy's connection to a data port");
                        }
                        continue;
                    }
                },
            };
            if ends.peer.ip() == self.peer {
                let tap = self.events.map(|events| Tap::accepted(events, ends.peer, ends.server));
                return (stream, tap);
            }
            self.is_stranger(ends.peer);
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

fn listen_at(local: SocketAddr, port: u16) -> io::Result<TcpListener> {
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The connections of earlier transfers linger in TIME_WAIT at this port. Nobody else can listen there for all that.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    let mut addr = local;
    addr.set_port(port);
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn no_port(error: &io::Error) -> DataError {
    warn!(%error, "cannot listen for a data connection");
    DataError::NoPort
}

fn random() -> u32 {
    // Where a machine has no randomness nothing else on it is secure either, and the sweep still finds a port.
    getrandom::u32().unwrap_or_default()
}

/// Sets of ports stay true whatever panicked while they were held.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn loopback() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// A control connection of a client there.
    fn from(client: IpAddr) -> Ends {
        Ends { peer: (client, 1025).into(), server: loopback(), local: loopback() }
    }

    #[test]
    fn a_port_rests_while_others_are_free() {
        let range = 40000..=40003;
        let ports = PassivePorts::new(Some(range.clone()), Arc::default());
        let first = ports.hold(&range).unwrap().port;
        for _ in 0..50 {
            // Dropped at once: it rests behind the first, and of four ports two rest.
            assert_ne!(ports.hold(&range).unwrap().port, ports.state.lock().unwrap().resting[0]);
        }
        let all: Vec<_> = std::iter::from_fn(|| ports.hold(&range)).collect();
        let mut held: Vec<u16> = all.iter().map(|lease| lease.port).collect();
        held.sort_unstable();
        assert_eq!(held, range.clone().collect::<Vec<_>>());
        assert!(range.contains(&first));
        drop(all);
        assert_eq!(ports.state.lock().unwrap().resting.len(), 2);
    }

    #[test]
    fn ports_are_not_in_order() {
        let range = 40000..=49999;
        let draw = || -> Vec<u16> {
            let ports = PassivePorts::new(Some(range.clone()), Arc::default());
            let held: Vec<_> = (0..20).map_while(|_| ports.hold(&range)).collect();
            held.iter().map(|lease| lease.port).collect()
        };
        let (one, other) = (draw(), draw());
        assert_eq!((one.len(), other.len()), (20, 20));
        // That two draws of twenty from ten thousand are alike, or all of one lie in one half, happens to nobody.
        assert_ne!(one, other);
        for ports in [one, other] {
            assert!(ports.iter().any(|port| *port < 45000) && ports.iter().any(|port| *port >= 45000), "{ports:?}");
            assert!(ports.windows(2).any(|pair| pair[1] < pair[0]) && !ports.is_sorted_by(|a, b| a > b), "{ports:?}");
        }
    }

    #[tokio::test]
    async fn a_port_of_another_program_is_passed_over() {
        let other = TcpListener::bind(loopback()).await.unwrap();
        let port = other.local_addr().unwrap().port();
        let ports = PassivePorts::new(Some(port..=port), Arc::default());
        assert_eq!(
            Passive::listen(&ports, &Proxies::default(), from(loopback().ip()), None, None).err(),
            Some(DataError::NoPort)
        );
        drop(other);
        assert!(Passive::listen(&ports, &Proxies::default(), from(loopback().ip()), None, None).is_ok());
    }

    #[tokio::test]
    async fn nobody_connects_once_it_is_let_go_of() {
        let passive = Passive::listen(
            &PassivePorts::new(None, Arc::default()),
            &Proxies::default(),
            from(loopback().ip()),
            None,
            None,
        )
        .unwrap();
        let addr = passive.addr();
        drop(passive);
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn a_stranger_is_dropped_and_the_client_still_served() {
        let ports = PassivePorts::new(None, Arc::default());
        let client: IpAddr = "127.0.0.9".parse().unwrap();
        let passive = Passive::listen(&ports, &Proxies::default(), from(client), None, None).unwrap();
        let addr = passive.addr();
        let mut stranger = TcpStream::connect(addr).await.unwrap();
        assert_eq!(stranger.read(&mut [0; 1]).await.unwrap_or(0), 0);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((client, 0).into()).unwrap();
        let mut right = socket.connect(addr).await.unwrap();
        let served = passive.accepted().await.unwrap();
        right.write_all(b"x").await.unwrap();
        let mut byte = [0];
        assert_eq!((served.stream().peek(&mut byte).await.unwrap(), byte), (1, *b"x"));
        assert!(TcpStream::connect(addr).await.is_err(), "the port is free once the client is in");
    }
}
