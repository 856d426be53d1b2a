//! From a captured packet to a TCP segment or a UDP datagram: link layers, IPv4, IPv6.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, IpFragOffset, IpNumber, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice, UdpSlice,
};
use port21_proto::Time;

use super::file::Packet;
use super::fragments::{Fragment, Fragments};

/// What a packet carries, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried<'a> {
    Tcp(Segment<'a>),
    Udp(Datagram<'a>),
    Icmp(Answer),
}

/// What ICMP says of a TCP segment that did not arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Time,
    /// Who says it.
    pub(crate) by: IpAddr,
    /// Whose segment it was, and where to.
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) why: Undelivered,
}

/// Why a segment did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// Somebody does not want it.
    Refused(&'static str),
    /// There is no way.
    Unreachable(&'static str),
    /// It has more bytes than this.
    TooLarge(u32),
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) at: Time,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    /// The receiver may be sent nothing now.
    pub(crate) closed: bool,
    /// The time to live, or hop limit.
    pub(crate) ttl: u8,
    /// The bytes that were captured.
    pub(crate) data: &'a [u8],
    /// How many there were on the wire: more, where the capture cut the packet.
    pub(crate) length: u32,
    /// Which of the files it is in.
    pub(crate) file: usize,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) at: Time,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: &'a [u8],
}

/// Reads packets.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    fragments: Fragments,
    /// The payload that was put together last.
    whole: Vec<u8>,
    /// Packets of a link layer that is not read here, and the first such layer.
    pub(crate) unknown_link: Option<(i32, u64)>,
}

/// The parts of an IP packet that are needed.
struct Ip<'a> {
    source: IpAddr,
    target: IpAddr,
    ttl: u8,
    protocol: IpNumber,
    payload: &'a [u8],
    /// How many bytes of payload there were on the wire.
    length: usize,
    fragment: Option<(u32, IpFragOffset, bool)>,
}

impl Packets {
    /// What `packet` carries: nothing where it is neither TCP nor UDP, or is a part of what is not whole yet.
    pub(crate) fn read<'a>(&'a mut self, packet: &'a Packet) -> Option<Carried<'a>> {
        let sliced = self.link(packet)?;
        let ip = ip(&sliced)?;
        let Some((id, offset, more)) = ip.fragment else { return transport(packet, &ip) };
        let fragment = Fragment {
            at: packet.at,
            key: (ip.source, ip.target, id, ip.protocol.0),
            offset: usize::from(offset.value()) * 8,
            more,
            bytes: ip.payload,
            cut: ip.payload.len() < ip.length,
        };
        self.whole = self.fragments.add(&fragment)?;
        let length = self.whole.len();
        transport(packet, &Ip { payload: &self.whole, length, fragment: None, ..ip })
    }

    fn link<'a>(&mut self, packet: &'a Packet) -> Option<LaxSlicedPacket<'a>> {
        let Some(head) = head(packet.link) else {
            let (_, count) = self.unknown_link.get_or_insert((packet.link, 0));
            *count += 1;
            return None;
        };
        sliced(head, &packet.bytes)
    }
}

/// What stands before the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Ethernet,
    /// The address family, in the byte order of the machine that captured (0) or of the network (108). What it says differs
    /// between systems; the version in the IP header does not.
    Loopback,
    None,
    /// Linux cooked, versions 1 and 2: so many bytes, and where in them the protocol stands.
    Cooked(usize, usize),
}

impl Head {
    /// How many bytes it has, but for tags behind it.
    pub(super) fn length(self) -> usize {
        match self {
            Head::Ethernet => 14,
            Head::Loopback => 4,
            Head::None => 0,
            Head::Cooked(length, _) => length,
        }
    }
}

/// The head of packets of a link layer (<https://www.tcpdump.org/linktypes.html>); nothing where it is not read here.
pub(super) fn head(link: i32) -> Option<Head> {
    match link {
        1 => Some(Head::Ethernet),
        0 | 108 => Some(Head::Loopback),
        12 | 14 | 101 | 228 | 229 => Some(Head::None),
        113 => Some(Head::Cooked(16, 14)),
        276 => Some(Head::Cooked(20, 0)),
        _ => None,
    }
}

/// The layers of a packet.
pub(super) fn sliced(head: Head, bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    let behind = bytes.get(head.length()..);
    match head {
        Head::Ethernet => LaxSlicedPacket::from_ethernet(bytes).ok(),
        Head::Loopback | Head::None => LaxSlicedPacket::from_ip(behind?).ok(),
        Head::Cooked(_, protocol) => {
            let ether_type = EtherType(u16::from_be_bytes(*bytes.get(protocol..)?.first_chunk()?));
            Some(LaxSlicedPacket::from_ether_type(ether_type, behind?))
        }
    }
}

fn ip<'a>(packet: &LaxSlicedPacket<'a>) -> Option<Ip<'a>> {
    match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(v4) => {
            let header = v4.header();
            let LaxIpPayloadSlice { payload, ip_number, incomplete, .. } = v4.payload();
            let (source, target) = (header.source_addr().into(), header.destination_addr().into());
            let fragment = (header.more_fragments() || header.fragments_offset().value() != 0)
                .then(|| (u32::from(header.identification()), header.fragments_offset(), header.more_fragments()));
            let told = usize::from(header.total_len()).saturating_sub(header.slice().len());
            let length = if *incomplete { told.max(payload.len()) } else { payload.len() };
            Some(Ip { source, target, ttl: header.ttl(), protocol: *ip_number, payload, length, fragment })
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.header();
            let LaxIpPayloadSlice { payload, ip_number, incomplete, .. } = v6.payload();
            let (source, target) = (header.source_addr().into(), header.destination_addr().into());
            let fragment = fragment_of(header.next_header(), v6.extensions().slice());
            let extensions = v6.extensions().slice().len();
            let told = usize::from(header.payload_length()).saturating_sub(extensions);
            let length = if *incomplete { told.max(payload.len()) } else { payload.len() };
            Some(Ip { source, target, ttl: header.hop_limit(), protocol: *ip_number, payload, length, fragment })
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// What the fragment header among the extension headers says (RFC 8200 section 4.5), where it parts anything. The iterator of
/// etherparse over them is not to be used: of headers that the capture has cut off it reads what is not there.
fn fragment_of(first: IpNumber, extensions: &[u8]) -> Option<(u32, IpFragOffset, bool)> {
    let (mut kind, mut rest) = (first.0, extensions);
    loop {
        let &[next, length, ..] = rest else { return None };
        let length = match kind {
            44 => {
                let &[_, _, high, low, a, b, c, d, ..] = rest else { return None };
                let place = u16::from_be_bytes([high, low]);
                let (offset, more) = (IpFragOffset::try_new(place >> 3).ok()?, place & 1 == 1);
                return (more || offset.value() != 0).then_some((u32::from_be_bytes([a, b, c, d]), offset, more));
            }
            // The authentication header counts in four bytes (RFC 4302 section 2.2), all others in eight.
            51 => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        (kind, rest) = (next, rest.get(length..)?);
    }
}

fn transport<'a>(packet: &Packet, ip: &Ip<'a>) -> Option<Carried<'a>> {
    let at = packet.at;
    match ip.protocol {
        IpNumber::TCP => {
            let tcp = TcpSlice::from_slice(ip.payload).ok()?;
            let header = tcp.header_slice().len();
            Some(Carried::Tcp(Segment {
                at,
                from: SocketAddr::new(ip.source, tcp.source_port()),
                to: SocketAddr::new(ip.target, tcp.destination_port()),
                seq: tcp.sequence_number(),
                ack: tcp.ack().then(|| tcp.acknowledgment_number()),
                syn: tcp.syn(),
                fin: tcp.fin(),
                rst: tcp.rst(),
                closed: tcp.window_size() == 0,
                ttl: ip.ttl,
                data: ip.payload.get(header..).unwrap_or_default(),
                length: u32::try_from(ip.length.saturating_sub(header)).ok()?,
                file: packet.file,
            }))
        }
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(ip.payload).ok()?;
            Some(Carried::Udp(Datagram {
                at,
                from: SocketAddr::new(ip.source, udp.source_port()),
                to: SocketAddr::new(ip.target, udp.destination_port()),
                data: ip.payload.get(udp.header_slice().len()..).unwrap_or_default(),
            }))
        }
        IpNumber::ICMP | IpNumber::IPV6_ICMP => icmp(at, ip).map(Carried::Icmp),
        _ => None,
    }
}

fn icmp(at: Time, ip: &Ip<'_>) -> Option<Answer> {
    let (head, told) = ip.payload.split_at_checked(8)?;
    let &[kind, code, _, _, high, low, a, b] = head else { return None };
    let why = match (ip.source.is_ipv4(), kind, code) {
        // RFC 792, RFC 1812 section 5.2.7.1, RFC 1191.
        (true, 3, 4) => Undelivered::TooLarge(u32::from(u16::from_be_bytes([a, b]))),
        (true, 3, 3) | (false, 1, 4) => Undelivered::Refused("port unreachable"),
        (true, 3, 9 | 10 | 13) | (false, 1, 1) => Undelivered::Refused("administratively prohibited"),
        (false, 1, 5) => Undelivered::Refused("refused by policy"),
        (true, 3, _) | (false, 1, 3) => Undelivered::Unreachable("host unreachable"),
        // RFC 4443 section 3.
        (false, 1, 6) => Undelivered::Refused("route rejected"),
        (false, 1, _) => Undelivered::Unreachable("no route"),
        (false, 2, _) => Undelivered::TooLarge(u32::from_be_bytes([high, low, a, b])),
        (true, 11, _) | (false, 3, _) => Undelivered::Unreachable("time to live exceeded on the way"),
        _ => return None,
    };
    let sliced = LaxSlicedPacket::from_ip(told).ok()?;
    let lost = self::ip(&sliced)?;
    let (&[a, b, c, d], _) = lost.payload.split_first_chunk()?;
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (from, to) = (SocketAddr::new(lost.source, from), SocketAddr::new(lost.target, to));
    (lost.protocol == IpNumber::TCP).then_some(Answer { at, by: ip.source, from, to, why })
}
