//! Captures that tests make: sessions as packets, packets as files.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use port21_proto::event::{Closing, ConnectionId, End, EventKind, Purpose};
use port21_proto::{Reply, SessionEvent, Time};
use port21_trace::Session;

/// IP packets, each with its time.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    pub(crate) packets: Vec<(Time, Vec<u8>)>,
    next: HashMap<(SocketAddr, SocketAddr), u32>,
    /// The first sequence number of everybody. Default: one of their own for each end of each connection.
    pub(crate) isn: Option<u32>,
    now: u64,
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Wire {
    pub(crate) fn new() -> Wire {
        Wire { now: 1_115_068_020_000_000_000, ..Wire::default() }
    }

    /// The time of the next packet, a millisecond behind the last.
    pub(crate) fn tick(&mut self) -> Time {
        self.now += 1_000_000;
        Time::from_unix_nanos(self.now)
    }

    /// A TCP segment: `S`, `F`, `R` and `A` are its flags.
    pub(crate) fn tcp(&mut self, at: Time, from: SocketAddr, to: SocketAddr, flags: &str, data: &[u8]) -> &mut Wire {
        let isn = self.isn.unwrap_or_else(|| {
            let mut hasher = DefaultHasher::new();
            (from, to).hash(&mut hasher);
            hasher.finish() as u32
        });
        let seq = *self.next.entry((from, to)).or_insert(isn);
        let ack = self.next.get(&(to, from)).copied().filter(|_| flags.contains('A')).unwrap_or(0);
        let grown = data.len() as u32 + u32::from(flags.contains('S')) + u32::from(flags.contains('F'));
        self.next.insert((from, to), seq.wrapping_add(grown));
        self.packets.push((at, segment(from, to, flags, seq, ack, data)));
        self
    }

    pub(crate) fn handshake(&mut self, client: SocketAddr, server: SocketAddr) -> &mut Wire {
        for (from, to, flags) in [(client, server, "S"), (server, client, "SA"), (client, server, "A")] {
            let at = self.tick();
            self.tcp(at, from, to, flags, b"");
        }
        self
    }

    /// Bytes, and their acknowledgement.
    pub(crate) fn say(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8]) -> &mut Wire {
        let at = self.tick();
        self.tcp(at, from, to, "A", data);
        let at = self.tick();
        self.tcp(at, to, from, "A", b"")
    }

    /// Each side ends.
    pub(crate) fn close(&mut self, first: SocketAddr, second: SocketAddr) -> &mut Wire {
        for (from, to) in [(first, second), (second, first)] {
            let at = self.tick();
            self.tcp(at, from, to, "FA", b"");
            let at = self.tick();
            self.tcp(at, to, from, "A", b"");
        }
        self
    }

    /// A login on a control connection that is opened for it.
    pub(crate) fn login(&mut self, client: SocketAddr, server: SocketAddr) -> &mut Wire {
        self.handshake(client, server).say(server, client, b"220 Ready.\r\n");
        self.say(client, server, b"USER anna\r\n").say(server, client, b"331 Password?\r\n");
        self.say(client, server, b"PASS geheim\r\n").say(server, client, b"230 In.\r\n")
    }

    /// A data connection that is opened, carries bytes and is closed by their sender.
    pub(crate) fn data(&mut self, opener: SocketAddr, to: SocketAddr, sender: SocketAddr, bytes: usize) -> &mut Wire {
        self.handshake(opener, to);
        let receiver = if sender == opener { to } else { opener };
        for part in vec![b'x'; bytes].chunks(1400) {
            self.say(sender, receiver, part);
        }
        self.close(sender, receiver)
    }

    pub(crate) fn udp(&mut self, at: Time, from: SocketAddr, to: SocketAddr, data: &[u8]) -> &mut Wire {
        let mut packet = Vec::new();
        match (from.ip(), to.ip()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), 64)
                .udp(from.port(), to.port())
                .write(&mut packet, data)
                .unwrap(),
            _ => panic!("IPv4, please"),
        }
        self.packets.push((at, packet));
        self
    }

    /// What would have been on the wire of a session that was recorded.
    pub(crate) fn of(events: &[SessionEvent]) -> Wire {
        let mut wire = Wire::new();
        let session = Session::from_events(events.iter().cloned());
        let ends = |id: ConnectionId, from: End| {
            let c = session.connection(id).unwrap();
            let (client, server) = (c.client.unwrap(), c.server.unwrap());
            if from == End::Client { (client, server) } else { (server, client) }
        };
        for event in events {
            let at = event.at;
            match &event.kind {
                EventKind::Opening(c) => {
                    let (from, to) = ends(c.id, c.opener);
                    wire.tcp(at, from, to, "S", b"");
                }
                EventKind::Opened(c) if c.purpose != Purpose::Dns => {
                    let (from, to) = ends(c.id, c.opener);
                    wire.tcp(at, to, from, "SA", b"").tcp(at, from, to, "A", b"");
                }
                EventKind::Command { connection, verb, argument } => {
                    let (from, to) = ends(*connection, End::Client);
                    let blank: &[u8] = if argument.is_empty() { b"" } else { b" " };
                    wire.tcp(at, from, to, "A", &[verb.as_bytes(), blank, argument, b"\r\n"].concat());
                }
                EventKind::Reply { connection, code, lines } => {
                    let (from, to) = ends(*connection, End::Server);
                    let mut bytes = Vec::new();
                    Reply::with_lines(*code, lines.clone()).encode(&mut bytes);
                    wire.tcp(at, from, to, "A", &bytes);
                }
                EventKind::Data { connection, from, since, bytes, .. } => {
                    let (from, to) = ends(*connection, *from);
                    let half = *bytes as usize / 2;
                    wire.tcp(*since, from, to, "A", &vec![b'.'; half]);
                    wire.tcp(at, from, to, "A", &vec![b'.'; *bytes as usize - half]);
                }
                EventKind::Closed { connection, by, how }
                    if session.connection(*connection).unwrap().purpose != Purpose::Dns =>
                {
                    let (from, to) = ends(*connection, *by);
                    match how {
                        Closing::Fin => wire.tcp(at, from, to, "FA", b"").tcp(at, to, from, "A", b""),
                        Closing::Reset => wire.tcp(at, from, to, "RA", b""),
                    };
                }
                EventKind::DnsQuery { connection, id, name, recursion_desired, .. } => {
                    let (from, to) = ends(*connection, End::Client);
                    wire.udp(at, from, to, &query(*id, name, *recursion_desired).to_vec().unwrap());
                }
                EventKind::DnsAnswer { connection, id, name, answers, .. } => {
                    let (from, to) = ends(*connection, End::Server);
                    wire.udp(at, from, to, &answer(*id, name, answers));
                }
                _ => {}
            }
        }
        wire
    }
}

pub(crate) fn query(id: u16, name: &str, recursion_desired: bool) -> Message {
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = recursion_desired;
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), RecordType::A));
    message
}

pub(crate) fn answer(id: u16, name: &str, answers: &[String]) -> Vec<u8> {
    let asked = query(id, name, true);
    let mut message = Message::response(id, asked.metadata.op_code);
    message.metadata.response_code = ResponseCode::NoError;
    message.add_query(asked.queries[0].clone());
    for address in answers {
        let name = asked.queries[0].name().clone();
        message.add_answer(Record::from_rdata(name, 300, RData::A(A(address.parse().unwrap()))));
    }
    message.to_vec().unwrap()
}

fn segment(from: SocketAddr, to: SocketAddr, flags: &str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    macro_rules! write {
        ($ip:expr) => {{
            let mut tcp = $ip.tcp(from.port(), to.port(), seq, 65_000);
            for flag in flags.chars() {
                tcp = match flag {
                    'S' => tcp.syn(),
                    'F' => tcp.fin(),
                    'R' => tcp.rst(),
                    _ => tcp.ack(ack),
                };
            }
            tcp.write(&mut packet, data).unwrap();
        }};
    }
    match (from.ip(), to.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => write!(PacketBuilder::ipv4(a.octets(), b.octets(), 64)),
        (IpAddr::V6(a), IpAddr::V6(b)) => write!(PacketBuilder::ipv6(a.octets(), b.octets(), 64)),
        _ => panic!("of one family, please"),
    }
    packet
}

/// How IP packets are wrapped: the link type's number and the bytes before each.
pub(crate) fn links() -> Vec<(u16, Vec<u8>)> {
    let ethernet = |more: &[u8]| [&[2; 12][..], more, &[0x08, 0x00]].concat();
    vec![
        (1, ethernet(b"")),
        (1, ethernet(&[0x81, 0x00, 0x00, 0x05])),
        (1, ethernet(&[0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05])),
        (113, [&[0; 14][..], &[0x08, 0x00]].concat()),
        (276, [&[0x08, 0x00][..], &[0; 18]].concat()),
        (0, vec![2, 0, 0, 0]),
        (108, vec![0, 0, 0, 2]),
        (101, vec![]),
        (228, vec![]),
    ]
}

type Packets = [(Time, Vec<u8>)];

/// A pcap file.
pub(crate) fn pcap(packets: &Packets, (link, before): &(u16, Vec<u8>), big_endian: bool, nanos: bool) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut out = word(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    out.extend([half(2), half(4)].concat());
    out.extend([word(0), word(0), word(262_144), word(u32::from(*link))].concat());
    for (at, packet) in packets {
        let bytes = [before.as_slice(), packet].concat();
        let fraction = (at.unix_nanos() % 1_000_000_000) / if nanos { 1 } else { 1000 };
        out.extend([word(at.unix_secs() as u32), word(fraction as u32)].concat());
        out.extend([word(bytes.len() as u32), word(bytes.len() as u32)].concat());
        out.extend(bytes);
    }
    out
}

/// A plain pcap file of Ethernet frames.
pub(crate) fn ethernet(packets: &Packets) -> Vec<u8> {
    let (link, mut before) = links().swap_remove(0);
    if packets.first().is_some_and(|(_, packet)| packet[0] >> 4 == 6) {
        before.splice(12.., [0x86, 0xdd]);
    }
    pcap(packets, &(link, before), false, true)
}

/// A section of a pcapng file: two interfaces, whose stamps differ in resolution (10^-9 s, and 2^-30 s with an offset).
pub(crate) fn pcapng(packets: &Packets, (link, before): &(u16, Vec<u8>), big_endian: bool) -> Vec<u8> {
    const OFFSET: u64 = 1_000_000_000;
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let long = |n: u64| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = word(padded as u32 + 12);
        [&word(kind)[..], &length, body, &vec![0; padded - body.len()], &length].concat()
    };
    let mut out = block(0x0a0d_0d0a, &[&word(0x1a2b_3c4d)[..], &half(1), &half(0), &long(u64::MAX)].concat());
    let idb = |options: &[u8]| [&half(*link)[..], &half(0), &word(262_144), options].concat();
    out.extend(block(1, &idb(&[&half(9)[..], &half(1), &[9, 0, 0, 0], &word(0)].concat())));
    let second = [&half(9)[..], &half(1), &[0x80 | 30, 0, 0, 0], &half(14), &half(8), &long(OFFSET), &word(0)].concat();
    out.extend(block(1, &idb(&second)));
    for (n, (at, packet)) in packets.iter().enumerate() {
        let bytes = [before.as_slice(), packet].concat();
        let interface = n as u32 % 2;
        let nanos = u128::from(at.unix_nanos());
        let ticks = match interface {
            0 => nanos as u64,
            _ => (((nanos - u128::from(OFFSET) * 1_000_000_000) << 30).div_ceil(1_000_000_000)) as u64,
        };
        let head = [word(interface), word((ticks >> 32) as u32), word(ticks as u32)].concat();
        let size = [word(bytes.len() as u32), word(bytes.len() as u32)].concat();
        out.extend(block(6, &[head, size, bytes].concat()));
    }
    // Statistics, which nobody needs here.
    out.extend(block(5, &[0; 12]));
    out
}
