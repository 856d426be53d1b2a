//! Where the three hosts of the demo are: their addresses and ports on this machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::bail;
use socket2::{Domain, Protocol, Socket, Type};

use crate::exit::{Exit, Fault};

/// What is added to every port where the reference's own cannot be had.
const OFFSET: u16 = 10_000;

/// The addresses and ports of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    dns_host: Ipv4Addr,
    server_host: Ipv4Addr,
    client_host: Ipv4Addr,
    /// What is added to the reference's ports.
    pub(super) offset: u16,
}

/// The places of a run, and the name server's socket. It is bound from the choice to the end of the run: who chooses
/// meanwhile, such as a second demo, finds these places taken.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) places: Places,
    pub(super) dns: UdpSocket,
    /// Why the ports are not the reference's own.
    pub(super) moved: Option<String>,
}

impl Places {
    /// Chooses: the reference's own ports, or all of them moved, where one is not permitted or taken.
    ///
    /// # Errors
    /// Where the ports cannot be had: exit code 1, or 2 for an offset that leads nowhere.
    pub(super) fn choose(offset: Option<u16>) -> anyhow::Result<Chosen> {
        let places = Places::at(offset.unwrap_or(0))?;
        let first = match (places.take(), offset) {
            (Ok(dns), _) => return Ok(Chosen { places, dns, moved: None }),
            (Err(why), Some(_)) => bail!(Fault::new(Exit::Local, format!("{why}: choose another --port-offset"))),
            (Err(why), None) => why,
        };
        let places = Places::at(OFFSET)?;
        match places.take() {
            Ok(dns) => Ok(Chosen { places, dns, moved: Some(format!("{first}: every port is moved by {OFFSET}")) }),
            Err(second) => {
                bail!(Fault::new(Exit::Local, format!("{first}, and {second}: choose a --port-offset")))
            }
        }
    }

    fn at(offset: u16) -> anyhow::Result<Places> {
        if offset.checked_add(5002).is_none() {
            bail!(Fault::usage(format!(
                "--port-offset: {} is the most that leaves room for all ports",
                u16::MAX - 5002
            )));
        }
        // Only Linux has all of 127/8 without being told; elsewhere the three hosts share one address.
        let hosts = [[127, 0, 21, 53], [127, 0, 21, 21], [127, 0, 21, 2]].map(Ipv4Addr::from);
        let all = hosts.iter().all(|host| UdpSocket::bind((*host, 0)).is_ok());
        let [dns_host, server_host, client_host] = if all { hosts } else { [Ipv4Addr::LOCALHOST; 3] };
        Ok(Places { dns_host, server_host, client_host, offset })
    }

    /// The name server.
    pub(super) fn dns(&self) -> SocketAddr {
        self.address(self.dns_host, 53)
    }

    /// The server's control port.
    pub(super) fn server(&self) -> SocketAddr {
        self.address(self.server_host, 21)
    }

    /// The server's host, for the name server to tell.
    pub(super) fn server_host(&self) -> Ipv4Addr {
        self.server_host
    }

    /// The client's host.
    pub(super) fn client_host(&self) -> IpAddr {
        self.client_host.into()
    }

    /// A port of the reference, moved.
    pub(super) fn port(&self, reference: u16) -> u16 {
        reference.saturating_add(self.offset)
    }

    fn address(&self, host: Ipv4Addr, reference: u16) -> SocketAddr {
        SocketAddr::new(host.into(), self.port(reference))
    }

    /// Binds the name server's port, and tries all others; fails at the first that cannot be had.
    fn take(&self) -> Result<UdpSocket, Obstacle> {
        let dns = had(self.dns(), UdpSocket::bind)?;
        had(self.address(self.client_host, 1030), UdpSocket::bind)?;
        for at in [self.server(), self.address(self.server_host, 20)] {
            had(at, try_tcp)?;
        }
        for reference in [1175, 5001, 5002] {
            had(self.address(self.client_host, reference), try_tcp)?;
        }
        Ok(dns)
    }
}

fn had<T>(at: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<T, Obstacle> {
    bind(at).map_err(|error| Obstacle { at, error })
}

#[derive(Debug)]
struct Obstacle {
    at: SocketAddr,
    error: io::Error,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.kind() {
            io::ErrorKind::PermissionDenied => write!(f, "port {} needs privileges", self.at.port()),
            io::ErrorKind::AddrInUse => write!(f, "{} is taken", self.at),
            _ => write!(f, "{} cannot be used ({})", self.at, self.error),
        }
    }
}

/// As those who use the port will: what lingers in TIME_WAIT from an earlier run is in nobody's way.
fn try_tcp(at: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let places = Places::at(20_000).unwrap();
        let holder = std::net::TcpListener::bind((places.client_host(), 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let Some(offset) = port.checked_sub(5001) else { return };
        if let Ok(places) = Places::at(offset) {
            let error = Places::choose(Some(offset)).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Local);
            assert!(places.take().is_err());
        }
    }

    #[test]
    fn what_one_run_has_chosen_is_taken_until_it_ends() {
        let chosen = (0..40).find_map(|n| Places::choose(Some(15_000 + n * 1021)).ok()).expect("some ports are free");
        let offset = chosen.places.offset;
        let error = Places::choose(Some(offset)).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is taken: choose another --port-offset", chosen.places.dns()));
        drop(chosen);
        Places::choose(Some(offset)).unwrap();
    }

    #[test]
    fn an_offset_beyond_the_last_port() {
        assert_eq!(Exit::of(&Places::choose(Some(60_534)).unwrap_err()), Exit::Usage);
    }
}
