//! The ports of passive data connections: which are taken, by whom, and which have just been used.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use port21_proto::server::DataError;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use tracing::warn;

use crate::data::socket::Socket;
use crate::limits::counted_as;
use crate::registry::Registry;
use crate::status::Refusal;

/// Connections of strangers may come first; so many of all wait in the system to be looked at.
const BACKLOG: i32 = 16;

/// Ports of the range that another program holds, found out by trying: so many before the search is given up.
const MAX_TAKEN: usize = 64;

/// Ports are tried at random so often before all are gone through in order.
const RANDOM_TRIES: u32 = 64;

/// An address holds at most so many ports for each one that it leaves to others.
const SHARE: usize = 3;

/// The ports of passive data connections: which are taken, and which have just been used.
///
/// A port is chosen at random, so that a stranger cannot connect to the one that is next (RFC 2577 section 8), and it
/// rests after its use for as long as others are free: up to half of the range. Two users behind one NAT have one
/// address, and a late connection of the first must not get the data of the second.
///
/// A port is held from PASV or EPSV until its client has connected, which mostly takes a round trip; whoever does not connect
/// holds it much longer. So no address holds more than three times as many as it leaves: one alone has three quarters of the
/// range, of two each has three sevenths, and whoever comes next always finds some. An office behind one NAT comes to that
/// only with more clients between EPSV and connect at one moment than three quarters of the range. One port is always had.
#[derive(Clone, Debug)]
pub(crate) struct PassivePorts {
    range: Option<RangeInclusive<u16>>,
    state: Arc<Mutex<State>>,
    registry: Arc<Registry>,
}

#[derive(Debug, Default)]
struct State {
    /// And the address whose each is, as [`counted_as`] has it; nothing: another program's, for as long as a search goes on.
    held: HashMap<u16, Option<IpAddr>>,
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
pub(super) struct Lease {
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

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Listens at `local`'s address for a client at `client`'s.
    pub(super) fn listen(&self, local: SocketAddr, client: IpAddr) -> Result<(Socket, Option<Lease>), DataError> {
        let Some(range) = &self.range else {
            return match listen_at(local, 0) {
                Ok(listener) => Ok((listener, None)),
                Err(error) => Err(no_port(&error)),
            };
        };
        // Kept until the search ends, so that none is tried twice.
        let mut taken = Vec::new();
        let why = loop {
            let lease = match self.hold(range, client) {
                Ok(lease) => lease,
                Err(why) => break why,
            };
            match listen_at(local, lease.port) {
                Ok(listener) => return Ok((listener, Some(lease))),
                Err(error) if is_of_this_port(&error) && taken.len() < MAX_TAKEN => {
                    lease.is_of_another_program();
                    taken.push(lease);
                }
                Err(error) => return Err(no_port(&error)),
            }
        };
        self.registry.refused(why);
        let throttles = &self.registry.throttles;
        match why {
            Refusal::PortsOfAddress => {
                if let Some(unwritten) = throttles.ports_of_address.pass() {
                    warn!(?range, %client, unwritten, "an address holds its share of the passive ports");
                }
            }
            _ => {
                if let Some(unwritten) = throttles.no_port.pass() {
                    warn!(?range, unwritten, "no passive port is free: use a larger range");
                }
            }
        }
        Err(DataError::NoPort)
    }

    /// A port that is free as far as is known here: a random one, or where all rest, the most rested.
    fn hold(&self, range: &RangeInclusive<u16>, client: IpAddr) -> Result<Lease, Refusal> {
        let client = counted_as(client);
        let size = u32::try_from(range.len()).unwrap_or(0);
        let mut state = lock(&self.state);
        // Few are held at a time, for mostly their clients connect at once.
        let held = state.held.iter().filter(|(port, _)| range.contains(port));
        let (all, own) = held.fold((0, 0), |(all, own), (_, &by)| (all + 1, own + usize::from(by == Some(client))));
        let left = range.len().saturating_sub(all).checked_sub(1).ok_or(Refusal::NoPort)?;
        if own > 0 && own + 1 > SHARE * left {
            return Err(Refusal::PortsOfAddress);
        }
        let free = (0..RANDOM_TRIES + size).find_map(|step| {
            let start = if step < RANDOM_TRIES { random() } else { step };
            let port = range.start().checked_add(u16::try_from(start.checked_rem(size)?).ok()?)?;
            (!state.held.contains_key(&port) && !state.rests.contains(&port)).then_some(port)
        });
        // Those that rest may be of a range that was given up.
        let port = match free {
            Some(port) => port,
            None => {
                let rested = state.resting.iter().position(|port| range.contains(port));
                rested.and_then(|at| state.resting.remove(at)).ok_or(Refusal::NoPort)?
            }
        };
        state.rests.remove(&port);
        state.held.insert(port, Some(client));
        Ok(Lease { state: self.state.clone(), port })
    }
}

/// Another port may do: another program holds this one, or it is below 1024 and needs a privilege.
fn is_of_this_port(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

impl Lease {
    /// It is not the client's, and counts for nobody.
    fn is_of_another_program(&self) {
        lock(&self.state).held.insert(self.port, None);
    }
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

fn listen_at(local: SocketAddr, port: u16) -> io::Result<Socket> {
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    // The connections of earlier transfers linger in TIME_WAIT at this port. Nobody else can listen there for all that.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let mut addr = local;
    addr.set_port(port);
    bind(&socket, &addr)?;
    listen(&socket, BACKLOG)?;
    Ok(Socket::new(socket))
}

pub(super) fn no_port(error: &io::Error) -> DataError {
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

    use super::*;

    fn ports(range: &RangeInclusive<u16>) -> PassivePorts {
        PassivePorts::new(Some(range.clone()), Arc::default())
    }

    fn client(n: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, n).into()
    }

    /// All that an address gets.
    fn all(ports: &PassivePorts, range: &RangeInclusive<u16>, client: IpAddr) -> Vec<Lease> {
        std::iter::from_fn(|| ports.hold(range, client).ok()).collect()
    }

    #[test]
    fn a_port_rests_while_others_are_free() {
        let range = 40000..=40003;
        let ports = ports(&range);
        let first = ports.hold(&range, client(1)).unwrap().port;
        for _ in 0..50 {
            // Dropped at once: it rests behind the first, and of four ports two rest.
            assert_ne!(ports.hold(&range, client(1)).unwrap().port, ports.state.lock().unwrap().resting[0]);
        }
        let all: Vec<_> = (1..).map_while(|n| ports.hold(&range, client(n)).ok()).collect();
        let mut held: Vec<u16> = all.iter().map(|lease| lease.port).collect();
        held.sort_unstable();
        assert_eq!(held, range.clone().collect::<Vec<_>>());
        assert!(range.contains(&first));
        assert_eq!(ports.hold(&range, client(9)).err(), Some(Refusal::NoPort));
        drop(all);
        assert_eq!(ports.state.lock().unwrap().resting.len(), 2);
    }

    #[test]
    fn no_address_holds_all_ports() {
        let range = 40000..=40999;
        let ports = ports(&range);
        let hoarded = all(&ports, &range, client(1));
        assert_eq!(hoarded.len(), 750);
        assert_eq!(ports.hold(&range, client(1)).err(), Some(Refusal::PortsOfAddress));
        // Nor do a few together, and each further one finds some.
        let mut others = Vec::new();
        let shares = (2..=5).map(|n| {
            others.extend(all(&ports, &range, client(n)));
            1000 - hoarded.len() - others.len()
        });
        assert_eq!(shares.collect::<Vec<_>>(), [63, 16, 4, 1]);
        assert!(ports.hold(&range, client(6)).is_ok());
        drop(hoarded);
        assert!(ports.hold(&range, client(1)).is_ok());
    }

    #[test]
    fn everybody_has_one_port_and_a_network_of_ipv6_is_one_address() {
        for (size, most) in [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6)] {
            let range = 40000..=40000 + size - 1;
            let ports = ports(&range);
            let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:2".parse().unwrap());
            let held = all(&ports, &range, one);
            assert_eq!(held.len(), most, "{size}");
            assert!(ports.hold(&range, other).is_err());
            assert_eq!(ports.hold(&range, "2001:db8:0:1::1".parse().unwrap()).is_ok(), size > 1);
        }
    }

    #[test]
    fn ports_are_not_in_order() {
        let range = 40000..=49999;
        let draw = || -> Vec<u16> {
            let ports = ports(&range);
            let held: Vec<_> = (0..20).map_while(|_| ports.hold(&range, client(1)).ok()).collect();
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

    /// Ports of the system's choice: one that another program listens at, and its free neighbour.
    #[tokio::test]
    async fn a_port_of_another_program_is_passed_over() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (other, range) = loop {
            let other = std::net::TcpListener::bind(here).unwrap();
            let port = other.local_addr().unwrap().port();
            if port < u16::MAX && listen_at(here, port + 1).is_ok() {
                break (other, port..=port + 1);
            }
        };
        let ports = ports(&range);
        for _ in 0..20 {
            let (listener, _lease) = ports.listen(here, client(1)).unwrap();
            assert_eq!(listener.local_addr().unwrap().port(), *range.end());
        }
        let (_listener, _lease) = ports.listen(here, client(1)).unwrap();
        assert_eq!(ports.listen(here, client(2)).err(), Some(DataError::NoPort));
        drop(other);
        assert!(ports.listen(here, client(2)).is_ok());
    }
}
