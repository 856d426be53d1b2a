//! Packets as an interface sends and receives them: a packet socket of Linux (packet(7)).

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
    setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use port21_proto::Time;
use port21_trace::capture::Link;

use crate::exit::Fault;

/// More than a packet has: the kernel hands over what the card has put together, or will take apart.
const LARGEST: usize = 256 * 1024;

/// So many bytes may wait in the kernel. Some permission may lack for that: then it is what is usual.
const WAITING: usize = 32 * 1024 * 1024;

/// The hardware types whose packets have Ethernet headers (`ARPHRD_ETHER`, `ARPHRD_LOOPBACK`).
const ETHERNET: [u16; 2] = [1, 772];
const LOOPBACK: u16 = 772;

/// A clock that goes back by more was set.
const STEP: Duration = Duration::from_secs(2);

/// The kind of a packet that this machine sends (`PACKET_OUTGOING`).
const OUTGOING: u8 = 4;

/// The protocols that are looked at where there is no Ethernet header, in the byte order of the network.
const IP: [u16; 2] = [0x0800_u16.to_be(), 0x86dd_u16.to_be()];

/// The name that stands for all interfaces, as with tcpdump.
const ANY: &str = "any";

/// The packets of an interface, or of all.
#[derive(Debug)]
pub(super) struct Packets {
    socket: OwnedFd,
    /// None: of all.
    interface: Option<usize>,
    /// What packets begin with.
    pub(super) link: Link,
    buffer: Vec<u8>,
    control: Vec<u8>,
    /// How many packets the kernel had no room for.
    pub(super) dropped: u32,
    last: Time,
}

impl Packets {
    /// Listens to an interface, to its own packets alone; or to all, whose packets differ in what is before the IP header.
    pub(super) fn of(name: &str) -> anyhow::Result<Packets> {
        let address = if name == ANY { None } else { Some(address(name)?) };
        let is_ethernet = address.is_some_and(|address| ETHERNET.contains(&address.hatype()));
        let link = if is_ethernet { Link::Ethernet } else { Link::Ip };
        let kind = if link == Link::Ethernet { SockType::Raw } else { SockType::Datagram };
        let socket = match socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll) {
            Err(Errno::EPERM | Errno::EACCES) => bail!(
                "--live: capturing packets needs the capability CAP_NET_RAW: run this as root, or give it to the program \
                 once with `sudo setcap cap_net_raw+ep {}`",
                std::env::current_exe().map_or_else(|_| "port21".to_owned(), |path| path.display().to_string())
            ),
            Err(Errno::EAFNOSUPPORT) => bail!("--live: this system has no packet sockets"),
            socket => socket.context("cannot open a packet socket")?,
        };
        if setsockopt(&socket, RcvBufForce, &WAITING).is_err() {
            // As much as is permitted; it works with less.
            let _ = setsockopt(&socket, RcvBuf, &WAITING);
        }
        setsockopt(&socket, ReceiveTimestampns, &true).context("cannot have packets stamped with their time")?;
        // Older kernels do not count.
        let _ = setsockopt(&socket, RxqOvfl, &1);
        // A packet socket that is not bound hears all interfaces.
        if let Some(address) = &address {
            bind(socket.as_raw_fd(), address).with_context(|| format!("cannot listen to {name}"))?;
        }
        let control = nix::cmsg_space!(TimeSpec, u32);
        let interface = address.map(|address| address.ifindex());
        Ok(Packets { socket, interface, link, buffer: vec![0; LARGEST], control, dropped: 0, last: Time::ZERO })
    }

    /// Waits for the next packet.
    pub(super) fn next(&mut self) -> io::Result<(Time, &[u8])> {
        loop {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            let read =
                recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut self.control), MsgFlags::empty());
            let message = match read {
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(message) => message,
            };
            let mut at = None;
            if let Ok(told) = message.cmsgs() {
                for one in told {
                    match one {
                        ControlMessageOwned::ScmTimestampns(stamp) => at = Some(stamp),
                        ControlMessageOwned::RxqOvfl(count) => self.dropped = count,
                        _ => {}
                    }
                }
            }
            let (length, from) = (message.bytes, message.address);
            let meant = from.is_some_and(|from| {
                // Between opening and binding the socket, packets of others come, too. On the loopback interface each is
                // sent and received: once is enough.
                self.interface.is_none_or(|interface| from.ifindex() == interface)
                    && !(from.hatype() == LOOPBACK && from.pkttype() == OUTGOING)
                    && (self.link == Link::Ethernet || IP.contains(&from.protocol()))
            });
            if meant {
                self.last = in_order(self.last, stamp(at));
                return Ok((self.last, self.buffer.get(..length).unwrap_or_default()));
            }
        }
    }

    /// Whether a packet is there within a moment.
    pub(super) fn wait(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        match poll(&mut fds, Some(&moment)) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The address of the interface of this name, as packets have it.
fn address(name: &str) -> anyhow::Result<LinkAddr> {
    let all = nix::ifaddrs::getifaddrs().context("cannot list the interfaces")?;
    let mut names = Vec::new();
    for interface in all {
        let Some(link) = interface.address.as_ref().and_then(|address| address.as_link_addr().copied()) else {
            continue;
        };
        if interface.interface_name == name {
            return Ok(link);
        }
        names.push(interface.interface_name);
    }
    bail!(Fault::usage(format!("--live {name}: there is no such interface; there are {ANY}, {}", names.join(", "))))
}

/// The time of a packet behind one of another time. The kernel begins to stamp a moment after it was asked to, and gives
/// packets of before the time at which they are read: those that follow would seem to be earlier. A clock that was set back
/// is another matter.
fn in_order(last: Time, at: Time) -> Time {
    if last.since(at) < STEP { at.max(last) } else { at }
}

fn stamp(told: Option<TimeSpec>) -> Time {
    let nanos = match told {
        Some(at) => u64::try_from(at.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(at.tv_nsec()).unwrap_or(0),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
        }
    };
    Time::from_unix_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_back_only_where_the_clock_was_set() {
        let at = |millis: u64| Time::from_unix_nanos(millis * 1_000_000);
        assert_eq!(in_order(at(5_000), at(4_950)), at(5_000));
        assert_eq!(in_order(at(5_000), at(5_001)), at(5_001));
        assert_eq!(in_order(at(5_000), at(2_000)), at(2_000));
    }
}
