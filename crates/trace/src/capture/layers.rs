//! A frame in its layers, each with what its header says: for a person who reads one.

use std::fmt::Write as _;
use std::ops::Range;

use etherparse::{
    IpNumber, LaxIpPayloadSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpOptionElement, TcpSlice,
    UdpSlice,
};

use super::packet::{Head, head, sliced};
use crate::words::bytes as in_bytes;

/// A part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// What it is: `Ethernet`, `IPv4`, `TCP`, `payload`.
    pub name: &'static str,
    /// What its header says, in one line.
    pub says: String,
    /// Its bytes, as a part of the frame's.
    pub bytes: Range<usize>,
}

/// Layers, one behind the other.
#[derive(Default)]
struct Layers {
    all: Vec<Layer>,
    at: usize,
}

impl Layers {
    fn push(&mut self, name: &'static str, length: usize, says: String) {
        let end = self.at.saturating_add(length);
        self.all.push(Layer { name, says, bytes: self.at..end });
        self.at = end;
    }
}

/// The layers of a frame of this link layer. Sequence numbers are counted from `first`: those of who sends and of who
/// receives, where their SYN was seen. All bytes are in one layer, and none in two.
pub(super) fn layers(link: i32, bytes: &[u8], first: [Option<u32>; 2]) -> Vec<Layer> {
    let mut layers = Layers::default();
    let all = bytes.len();
    if let Some((head, packet)) = head(link).and_then(|head| Some((head, sliced(head, bytes)?))) {
        layers.link(head, &packet);
        let payload = layers.net(&packet);
        if let Some((protocol, payload, whole)) = payload {
            let end = layers.at + payload.len();
            if whole {
                layers.transport(protocol, payload, first);
            }
            if end > layers.at {
                let count = end - layers.at;
                layers.push("payload", count, in_bytes(count as u64));
            }
        }
    }
    layers.all.retain(|layer| layer.bytes.end <= all);
    let rest = all - layers.all.last().map_or(0, |layer| layer.bytes.end);
    if rest > 0 {
        layers.at = all - rest;
        let name = if layers.all.is_empty() { "frame" } else { "rest" };
        layers.push(name, rest, in_bytes(rest as u64));
    }
    layers.all
}

impl Layers {
    fn link(&mut self, head: Head, packet: &LaxSlicedPacket<'_>) {
        match (head, &packet.link) {
            (Head::Ethernet, Some(LinkSlice::Ethernet2(ethernet))) => {
                let says = format!("{} to {}", mac(ethernet.source()), mac(ethernet.destination()));
                self.push("Ethernet", head.length(), says);
            }
            (Head::Loopback, _) => self.push("loopback", head.length(), "address family".to_owned()),
            (Head::Cooked(..), _) => self.push("Linux cooked", head.length(), "captured on any interface".to_owned()),
            _ => {}
        }
        for tag in &packet.link_exts {
            match tag {
                LaxLinkExtSlice::Vlan(vlan) => {
                    self.push("VLAN", tag.header_len(), vlan.vlan_identifier().value().to_string());
                }
                LaxLinkExtSlice::Macsec(_) => self.push("MACsec", tag.header_len(), String::new()),
            }
        }
    }

    /// The IP header: what it carries, and whether that is no mere fragment.
    fn net<'a>(&mut self, packet: &LaxSlicedPacket<'a>) -> Option<(IpNumber, &'a [u8], bool)> {
        let (protocol, payload, whole) = match packet.net.as_ref()? {
            LaxNetSlice::Ipv4(v4) => {
                let header = v4.header();
                let LaxIpPayloadSlice { payload, ip_number, fragmented, .. } = v4.payload();
                let mut says = format!("{} to {}", header.source_addr(), header.destination_addr());
                let _ = write!(says, ", time to live {}, {}", header.ttl(), in_bytes(header.total_len().into()));
                let _ = write!(says, ", identification {:#06x}", header.identification());
                if header.dont_fragment() {
                    says.push_str(", not to be fragmented");
                }
                if *fragmented {
                    let offset = u64::from(header.fragments_offset().value()) * 8;
                    let _ = write!(says, ", a fragment from byte {offset} on");
                }
                let extensions = v4.extensions().auth.map_or(0, |auth| auth.slice().len());
                self.push("IPv4", header.slice().len() + extensions, says);
                (*ip_number, *payload, !*fragmented)
            }
            LaxNetSlice::Ipv6(v6) => {
                let header = v6.header();
                let LaxIpPayloadSlice { payload, ip_number, fragmented, .. } = v6.payload();
                let mut says = format!("{} to {}", header.source_addr(), header.destination_addr());
                let length = in_bytes(header.payload_length().into());
                let _ = write!(says, ", hop limit {}, {length} behind the header", header.hop_limit());
                if *fragmented {
                    says.push_str(", a fragment");
                }
                self.push("IPv6", header.slice().len() + v6.extensions().slice().len(), says);
                (*ip_number, *payload, !*fragmented)
            }
            LaxNetSlice::Arp(_) => return None,
        };
        Some((protocol, payload, whole))
    }

    fn transport(&mut self, protocol: IpNumber, payload: &[u8], first: [Option<u32>; 2]) {
        match protocol {
            IpNumber::TCP => {
                if let Ok(tcp) = TcpSlice::from_slice(payload) {
                    self.push("TCP", tcp.header_slice().len(), tcp_says(&tcp, first));
                }
            }
            IpNumber::UDP => {
                if let Ok(udp) = UdpSlice::from_slice_lax(payload) {
                    let says = format!("port {} to port {}", udp.source_port(), udp.destination_port());
                    self.push("UDP", udp.header_slice().len(), says);
                }
            }
            IpNumber::ICMP | IpNumber::IPV6_ICMP => {
                if let [kind, code, _, _, _, _, _, _, ..] = payload {
                    self.push("ICMP", 8, format!("type {kind}, code {code}"));
                }
            }
            _ => {}
        }
    }
}

fn tcp_says(tcp: &TcpSlice<'_>, [sender, receiver]: [Option<u32>; 2]) -> String {
    let number = |number: u32, first: Option<u32>| match first {
        Some(first) => format!("{} ({number})", number.wrapping_sub(first)),
        None => number.to_string(),
    };
    let mut says = format!("port {} to port {}", tcp.source_port(), tcp.destination_port());
    let flags = [
        (tcp.syn(), "SYN"),
        (tcp.fin(), "FIN"),
        (tcp.rst(), "RST"),
        (tcp.psh(), "PSH"),
        (tcp.ack(), "ACK"),
        (tcp.urg(), "URG"),
        (tcp.ece(), "ECE"),
        (tcp.cwr(), "CWR"),
    ];
    let set: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let _ = write!(says, ", {}, seq {}", set.join("+"), number(tcp.sequence_number(), sender));
    if tcp.ack() {
        let _ = write!(says, ", ack {}", number(tcp.acknowledgment_number(), receiver));
    }
    let _ = write!(says, ", window {}", tcp.window_size());
    for option in tcp.options_iterator().map_while(Result::ok) {
        let _ = match option {
            TcpOptionElement::MaximumSegmentSize(size) => write!(says, ", MSS {size}"),
            TcpOptionElement::WindowScale(shift) => write!(says, ", window scale {shift}"),
            TcpOptionElement::SelectiveAcknowledgementPermitted => write!(says, ", SACK permitted"),
            TcpOptionElement::SelectiveAcknowledgement((from, to), _) => {
                write!(says, ", SACK {} to {}", number(from, receiver), number(to, receiver))
            }
            TcpOptionElement::Timestamp(own, echo) => write!(says, ", timestamps {own} and {echo}"),
            TcpOptionElement::Noop => Ok(()),
        };
    }
    says
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
