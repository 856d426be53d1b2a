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

impl Places {
    /// Chooses: the reference's own ports, or all of them moved, where one is not permitted or taken. Says why.
    ///
    /// # Errors
    /// Where the ports cannot be had: exit code 1, or 2 for an offset that leads nowhere.
    pub(super) fn choose(offset: Option<u16>) -> anyhow::Result<(Places, Option<String>)> {
        if let Some(offset) = offset {
            let places = Places::at(offset)?;
            match places.obstacle() {
                None => return Ok((places, None)),
                Some(why) => bail!(Fault::new(Exit::Local, format!("{why}: choose another --port-offset"))),
            }
        }
        let places = Places::at(0)?;
        let Some(first) = places.obstacle() else { return Ok((places, None)) };
        let places = Places::at(OFFSET)?;
        match places.obstacle() {
            None => Ok((places, Some(format!("{first}: every port is moved by {OFFSET}")))),
            Some(second) => {
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

    /// The first port that cannot be had, and why.
    fn obstacle(&self) -> Option<String> {
        let udp = [self.dns(), self.address(self.client_host, 1030)].into_iter().map(|at| (at, bind_udp(at)));
        let client = [1175, 5001, 5002].map(|port| self.address(self.client_host, port));
        let tcp = [self.server(), self.address(self.server_host, 20)].into_iter().chain(client);
        let tcp = tcp.map(|at| (at, bind_tcp(at)));
        udp.chain(tcp).find_map(|(at, bound)| bound.err().map(|error| Obstacle { at, error }.to_string()))
    }
}

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

fn bind_udp(at: SocketAddr) -> io::Result<()> {
    UdpSocket::bind(at).map(drop)
}

/// As those who use the port will: what lingers in TIME_WAIT from an earlier run is in nobody's way.
fn bind_tcp(at: SocketAddr) -> io::Result<()> {
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
            assert!(places.obstacle().is_some());
        }
    }

    #[test]
    fn an_offset_beyond_the_last_port() {
        assert_eq!(Exit::of(&Places::choose(Some(60_534)).unwrap_err()), Exit::Usage);
    }
}
