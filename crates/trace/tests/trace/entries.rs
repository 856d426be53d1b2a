//! The doors by which bytes of strangers come in, each as a function that takes any bytes and panics where a promise is
//! broken. `fuzz/` feeds them with what it finds, `fuzzed.rs` beside this with chance and with what was found before.
//!
//! Bytes are read as a plan: what they make is near enough to the real thing to come far.

// Another package has them as its own.
#![allow(unreachable_pub)]

use std::io::{Cursor, Write as _};

use port21_proto::event::EventKind;
use port21_proto::{SessionEvent, Time};
use port21_trace::capture::{Link, Live};
use port21_trace::drawing::{Drawing, Format, Which};
use port21_trace::findings::findings;
use port21_trace::follow::Follower;
use port21_trace::input::{self, Input};
use port21_trace::ladder::Options;
use port21_trace::recording::Recording;
use port21_trace::render::TextOptions;
use port21_trace::{Ladder, Session};

/// A door: its name, and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: &[Entry] = &[
    ("captures", captures),
    ("compressed", compressed),
    ("packets", packets),
    ("reassembly", reassembly),
    ("names", names),
    ("recordings", recordings),
    ("drawing", drawing),
];

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 21);
const START: u64 = 1_115_068_020_000_000_000;

/// A file of any kind.
pub fn captures(bytes: &[u8]) {
    if let Some(recording) = read(bytes.to_vec()) {
        drawn(&recording, bytes);
    }
}

/// A file that is compressed, and may be cut off: its first byte says where.
pub fn compressed(bytes: &[u8]) {
    let (cut, bytes) = parted(bytes);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    let mut file = encoder.finish().unwrap();
    file.truncate(file.len().saturating_sub(usize::from(cut / 2)).max(2));
    let whole = read(file);
    if cut < 2 {
        assert_eq!(whole.map(|r| r.sessions), read(bytes.to_vec()).map(|r| r.sessions), "compressed or not");
    }
    // And what only looks compressed.
    read([&[0x1f, 0x8b, 8], bytes].concat());
}

/// Packets of any link layer: the first byte is the link, then each packet has its length and the time since the one before.
pub fn packets(bytes: &[u8]) {
    const LINKS: [u32; 10] = [1, 101, 113, 276, 0, 108, 12, 228, 229, 9999];
    let (link, mut rest) = parted(bytes);
    let link = LINKS[usize::from(link) % LINKS.len()];
    let (mut at, mut all) = (START, Vec::new());
    while let [size, more, ms, behind @ ..] = rest {
        let size = usize::from(u16::from_be_bytes([*more & 7, *size])).min(behind.len());
        at += u64::from(*ms) * 4_000_000;
        let (packet, next) = behind.split_at(size);
        all.push((at, packet.to_vec()));
        rest = next;
    }
    decoded(link, &all, bytes);
}

/// Segments of one control connection, in any order: of each piece the plan says whose it is, where it stands, how long it is
/// and when it came. What is said is always the same: so whatever the pieces are, nothing else may come out.
pub fn reassembly(bytes: &[u8]) {
    let said = [
        &b"220-Hello\r\n220 Ready\r\n331 Go on\r\n230 In\r\n200 Ok\r\n221 Bye\r\n"[..],
        b"USER anna\r\nPASS x7\r\nTYPE I\r\nQUIT\r\n",
    ];
    let (isn, rest) = parted(bytes);
    let isn = u32::MAX - 2 * u32::from(isn);
    let (mut at, mut all) = (START, Vec::new());
    let mut send = |at: u64, side: usize, flags: u8, start: usize, end: usize| {
        let (from, to) = if side == 0 { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
        let number = |place: usize| isn.wrapping_add(place as u32 + u32::from(flags & SYN == 0));
        let text = said[side].get(start..end).unwrap_or_default();
        all.push((at, tcp(from, to, number(start), isn.wrapping_add(1), flags, text)));
    };
    send(at, 1, SYN, 0, 0);
    send(at, 0, SYN | ACK, 0, 0);
    for plan in rest.chunks_exact(3) {
        let side = usize::from(plan[0] & 1);
        let start = usize::from(plan[1]) % said[side].len();
        let end = (start + usize::from(plan[2] % 32)).min(said[side].len());
        // All within the time that lost bytes are waited for.
        at += u64::from(plan[0] >> 1) * 1000;
        send(at, side, ACK, start, end);
    }
    at += 1_000_000;
    for side in [0, 1] {
        send(at, side, ACK, 0, said[side].len());
    }
    let recording = decoded(101, &all, bytes);
    let events = recording.sessions.iter().flat_map(|session| &session.events);
    let told = events.filter_map(|event| match &event.kind {
        EventKind::Command { verb, .. } => Some((true, verb.clone())),
        EventKind::Reply { code, .. } => Some((false, code.to_string())),
        EventKind::Malformed { why, .. } => panic!("{why}"),
        _ => None,
    });
    let (commands, replies): (Vec<_>, Vec<_>) = told.partition(|(is_command, _)| *is_command);
    let words = |told: Vec<(bool, String)>| told.into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(words(commands), ["USER", "PASS", "TYPE", "QUIT"]);
    assert_eq!(words(replies), ["220", "331", "230", "200", "221"]);
}

/// Messages to and from name servers, over UDP and TCP.
pub fn names(bytes: &[u8]) {
    let server = ([10, 0, 0, 53], 53);
    let mut all = Vec::new();
    let (mut at, mut seq) = (START, 1);
    for message in bytes.split(|&b| b == b'\n') {
        at += 1_000_000;
        let udp = |from: ([u8; 4], u16), to: ([u8; 4], u16)| {
            let length = 8 + message.len() as u16;
            let head = [from.1, to.1, length, 0].map(u16::to_be_bytes).concat();
            ip(17, from.0, to.0, &[&head, message].concat())
        };
        all.extend([(at, udp(CLIENT, server)), (at + 1, udp(server, CLIENT))]);
        // The message with its length, in two segments; then without.
        let framed = [&(message.len() as u16).to_be_bytes()[..], message, message].concat();
        let (one, two) = framed.split_at(framed.len() / 3);
        for part in [one, two] {
            all.push((at + 2, tcp(server, CLIENT, seq, 0, ACK, part)));
            seq += part.len() as u32;
        }
    }
    let recording = decoded(101, &all, bytes);
    for event in recording.lookups.iter().chain(recording.sessions.iter().flat_map(|s| &s.events)) {
        if let EventKind::DnsAnswer { name, answers, .. } = &event.kind {
            assert!(name.len() <= 1100 && answers.len() <= 32 && answers.iter().all(|a| a.chars().count() <= 256));
        }
    }
}

/// A recording, with a header and without.
pub fn recordings(bytes: &[u8]) {
    let header =
        br#"{"format":"port21-recording","version":1,"by":"client","product":"x","start":"2005-05-02T21:07:00Z"}"#;
    for file in [bytes.to_vec(), [header, &b"\n"[..], bytes].concat()] {
        let Ok(recording) = Recording::read(file.as_slice()) else { continue };
        drawn(&recording, bytes);
        // What is written of it is read as the same.
        let again = Drawing { format: Format::Recording, ..Drawing::default() };
        if recording.sessions.is_empty() {
            continue;
        }
        let written = again.draw(&recording).unwrap();
        let same = Recording::read(written.as_bytes()).unwrap();
        let counts = |r: &Recording| r.sessions.iter().map(|s| s.events.len()).sum::<usize>();
        assert_eq!(counts(&same), counts(&recording));
    }
}

/// A session of which each line is a step: the first byte says whose it is, what follows is said.
pub fn drawing(bytes: &[u8]) {
    let (mut all, mut numbers) = (Vec::new(), [[1u32, 1]; 4]);
    let mut at = START;
    all.push((at, tcp(CLIENT, SERVER, 0, 0, SYN, b"")));
    all.push((at, tcp(SERVER, CLIENT, 0, 1, SYN | ACK, b"")));
    for line in bytes.split(|&b| b == b'\n').take(400) {
        let (kind, said) = parted(line);
        at += 1_000_000 << (kind >> 4);
        // The control connection, and three ports that data may pass on.
        let connection = usize::from(kind >> 1 & 7).saturating_sub(4);
        let (client, server) = match connection {
            0 => (CLIENT, SERVER),
            1 => ((CLIENT.0, 5001), (SERVER.0, 20)),
            n => ((CLIENT.0, 41_000), (SERVER.0, 5000 + n as u16)),
        };
        let side = usize::from(kind & 1);
        let (from, to) = if side == 0 { (client, server) } else { (server, client) };
        let flags = match said.first() {
            Some(1) => SYN,
            Some(2) => SYN | ACK,
            Some(3) => ACK | FIN,
            Some(4) => RST,
            _ => ACK,
        };
        let text = if flags == ACK { [said, b"\r\n"].concat() } else { Vec::new() };
        let seq = numbers[connection][side];
        all.push((at, tcp(from, to, seq, numbers[connection][1 - side], flags, &text)));
        numbers[connection][side] = seq.wrapping_add(text.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
    }
    decoded(101, &all, bytes);
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn parted(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// A packet of IPv4, without checksums.
fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [hi, lo] = (20 + payload.len() as u16).to_be_bytes();
    [&[0x45, 0, hi, lo, 0, 0, 0, 0, 64, protocol, 0, 0][..], &from, &to, payload].concat()
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let head = [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &seq.to_be_bytes(), &ack.to_be_bytes()].concat();
    ip(6, from.0, to.0, &[&head[..], &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0], data].concat())
}

/// A pcap file of packets, each with its time in nanoseconds.
pub fn pcap(link: u32, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link].map(u32::to_le_bytes).concat();
    for (at, packet) in packets {
        let size = packet.len() as u32;
        let head = [(at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32, size, size];
        file.extend(head.map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

fn read(file: Vec<u8>) -> Option<Recording> {
    input::read([Input { name: "file".to_owned(), bytes: Box::new(Cursor::new(file)) }]).ok()
}

/// What a file of these packets says, drawn. Taken one after the other they make no trouble either.
fn decoded(link: u32, packets: &[(u64, Vec<u8>)], plan: &[u8]) -> Recording {
    if let Some(of) = [Link::Ethernet, Link::Ip].into_iter().find(|of| u32::from(of.number()) == link) {
        let mut live = Live::new(Vec::new());
        let mut follower = Follower::new(Options::default(), TextOptions::default());
        for (n, (at, packet)) in packets.iter().enumerate() {
            let at = Time::from_unix_nanos(*at);
            live.packet(at, of, packet);
            if n % 32 == 31 {
                for (name, session) in live.sessions(at, n % 64 == 31) {
                    follower.replace(&name, &session.header, session.events);
                }
                follower.draw();
            }
        }
    }
    let recording = read(pcap(link, packets)).expect("a capture with a head can be read");
    drawn(&recording, plan);
    recording
}

/// Draws in all forms; how is up to a few bytes.
fn drawn(recording: &Recording, plan: &[u8]) {
    let choice = plan.iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    let bit = |n: u8| choice >> n & 1 == 1;
    let ladder = Options { tcp: bit(0), fields: bit(1), fold: bit(2), ..Options::default() };
    let text = TextOptions { width: 60 + usize::from(choice), ascii: bit(3), colour: bit(4) };
    let (width, ascii) = (text.width, text.ascii);
    let drawing = Drawing { ladder, text, ..Drawing::default() };
    for session in &recording.sessions {
        judged(&session.events);
    }
    if recording.sessions.is_empty() {
        return;
    }
    for format in [Format::Text, Format::Json, Format::Recording, Format::Svg, Format::Html, Format::Mermaid] {
        let which = if format.holds_several() { Which::All } else { Which::At(0) };
        let drawn = Drawing { format, which, ..drawing.clone() }.draw(recording).unwrap();
        assert!(format == Format::Text && bit(4) || !drawn.chars().any(|c| c.is_control() && c != '\n'), "{format:?}");
        if format == Format::Text && ascii {
            assert!(drawn.lines().all(|line| bit(4) || line.len() <= width && line.is_ascii()));
        }
    }
    // A PDF costs more than all others together.
    if choice % 8 == 0 {
        assert!(Drawing { format: Format::Pdf, ..drawing }.file(recording).unwrap().starts_with(b"%PDF-"));
    }
}

/// What is found is there, and each row is in a section.
fn judged(events: &[SessionEvent]) {
    let session = Session::from_events(events.iter().cloned());
    assert!(findings(&session).iter().all(|f| f.rows.iter().all(|&row| row < session.events().len())));
    let ladder = Ladder::new(&session, &Options::default());
    assert_eq!(ladder.sections.iter().map(|s| s.rows.len()).sum::<usize>(), ladder.rows.len());
}
