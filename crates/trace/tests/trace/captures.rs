//! Captures: what they say is what happened, whatever the file, the link, the loss and the order.

use std::io::{Cursor, Write as _};

use std::net::SocketAddr;

use port21_proto::event::{ConnectionId, End, EventKind, Purpose, Segment};
use port21_proto::{SessionEvent, Time};
use port21_trace::drawing::{Drawing, Format, Which};
use port21_trace::findings::{Severity, findings};
use port21_trace::input::{self, Input, InputError, Secrets};
use port21_trace::ladder::Options;
use port21_trace::recording::{Recorder, Recording};
use port21_trace::render::TextOptions;
use port21_trace::{Ladder, Session};
use proptest::prelude::*;

use crate::events::reference;
use crate::packets::{Wire, addr, ethernet, links, pcap, pcapng};

fn read(files: &[&[u8]]) -> Recording {
    try_read(files).unwrap()
}

fn try_read(files: &[&[u8]]) -> Result<Recording, InputError> {
    let inputs = files.iter().enumerate();
    input::read(
        inputs.map(|(n, bytes)| Input { name: format!("file {n}"), bytes: Box::new(Cursor::new(bytes.to_vec())) }),
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Events as sentences, without what either a recording or a capture alone can know.
fn told(events: &[SessionEvent]) -> Vec<String> {
    let tell = |event: &SessionEvent| {
        let at = event.at.unix_nanos() % 1_000_000_000_000;
        Some(match &event.kind {
            EventKind::User { .. } | EventKind::Segment { .. } => return None,
            EventKind::Opening(c) | EventKind::Opened(c) if c.purpose == Purpose::Dns => return None,
            EventKind::Closed { connection: ConnectionId(1), .. } => return None,
            // A server in active mode does not know yet where its connection will come from.
            EventKind::Opening(c) => format!("{at} opening {:?} {:?} by {:?}", c.id, c.purpose, c.opener),
            EventKind::Data { connection, from, since, bytes, .. } => {
                format!("{at} data {connection:?} {from:?} {since:?} {bytes}")
            }
            kind => format!("{at} {kind:?}"),
        })
    };
    events.iter().filter_map(tell).collect()
}

/// All that was said on control connections, in order.
fn said(recording: &Recording) -> Vec<String> {
    let events = recording.sessions.iter().flat_map(|session| &session.events);
    let tell = |event: &SessionEvent| match &event.kind {
        EventKind::Command { verb, argument, .. } => Some(format!("{verb} {}", String::from_utf8_lossy(argument))),
        EventKind::Reply { code, .. } => Some(code.to_string()),
        EventKind::Malformed { why, .. } => Some(format!("! {why}")),
        _ => None,
    };
    events.filter_map(tell).collect()
}

fn notes(recording: &Recording) -> Vec<String> {
    let events = recording.sessions.iter().flat_map(|session| &session.events);
    events.filter_map(|e| if let EventKind::Note { text, .. } = &e.kind { Some(text.clone()) } else { None }).collect()
}

/// Each transfer: its verb, and how many bytes its data connection carried, where it has one.
fn transfers(recording: &Recording) -> Vec<(String, Option<u64>)> {
    let sessions = recording.sessions.iter().map(|s| Session::from_events(s.events.iter().cloned()));
    sessions
        .flat_map(|s| {
            s.transfers().iter().map(|t| (t.verb.to_string(), t.connection.map(|_| t.bytes))).collect::<Vec<_>>()
        })
        .collect()
}

fn client() -> std::net::SocketAddr {
    addr("10.0.0.2:40000")
}

fn server() -> std::net::SocketAddr {
    addr("10.0.0.1:21")
}

/// LIST over EPSV, RETR over PORT.
fn session() -> Wire {
    let (client, server) = (client(), server());
    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"EPSV\r\n").say(server, client, b"229 Entering (|||5000|)\r\n");
    wire.say(client, server, b"LIST\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.2:40001"), addr("10.0.0.1:5000"), addr("10.0.0.1:5000"), 3000);
    wire.say(server, client, b"226 Done\r\n");
    wire.say(client, server, b"PORT 10,0,0,2,160,0\r\n").say(server, client, b"200 Good\r\n");
    wire.say(client, server, b"RETR a.txt\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.1:20"), addr("10.0.0.2:40960"), addr("10.0.0.1:20"), 5000);
    wire.say(server, client, b"226 Done\r\n").say(client, server, b"QUIT\r\n").say(server, client, b"221 Bye\r\n");
    wire.close(server, client);
    wire
}

const SAID: [&str; 17] = [
    "220",
    "USER anna",
    "331",
    "PASS ***",
    "230",
    "EPSV ",
    "229",
    "LIST ",
    "150",
    "226",
    "PORT 10,0,0,2,160,0",
    "200",
    "RETR a.txt",
    "150",
    "226",
    "QUIT ",
    "221",
];

fn carried() -> Vec<(String, Option<u64>)> {
    vec![("LIST".to_owned(), Some(3000)), ("RETR".to_owned(), Some(5000))]
}

#[test]
fn a_capture_agrees_with_the_recording_of_the_same_session() {
    let recorded = reference();
    let decoded = read(&[&ethernet(&Wire::of(&recorded).packets)]);
    assert_eq!((decoded.sessions.len(), decoded.notes.len()), (1, 0));
    assert_eq!(decoded.sessions[0].header.by, Recorder::Capture);
    assert_eq!(told(&decoded.sessions[0].events), told(&recorded));
}

#[test]
fn the_drawing_of_a_capture_is_that_of_the_recording_with_handshakes_that_were_seen() {
    let recorded = reference();
    let decoded = read(&[&ethernet(&Wire::of(&recorded).packets)]).sessions.remove(0).events;
    let rows = |events: Vec<SessionEvent>| {
        let ladder = Ladder::new(&Session::from_events(events), &Options::default());
        let rows = ladder.plain_rows().into_iter().filter(|row| row.from != "user");
        rows.map(|row| (row.inferred, [row.section, &row.from, &row.to, &row.label].join("|"))).collect::<Vec<_>>()
    };
    let (seen, inferred) = (rows(decoded), rows(recorded));
    assert!(seen.iter().all(|(inferred, _)| !inferred));
    let row = |rows: &[(bool, String)]| rows.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>();
    assert_eq!(row(&seen), row(&inferred));
}

#[test]
fn every_kind_of_file_and_link_tells_the_same() {
    let wire = session();
    let packets = &wire.packets;
    let want = read(&[&ethernet(packets)]);
    assert_eq!(said(&want), SAID);
    assert_eq!(transfers(&want), carried());
    assert!(notes(&want).is_empty(), "{:?}", notes(&want));
    for link in links() {
        for (big_endian, nanos) in [(false, false), (true, false), (false, true), (true, true)] {
            assert_eq!(read(&[&pcap(packets, &link, big_endian, nanos)]), want, "{link:?} {big_endian} {nanos}");
        }
        let (one, two) = packets.split_at(packets.len() / 2);
        let sections = [pcapng(one, &link, true), pcapng(two, &link, false)].concat();
        assert_eq!(read(&[&sections]), want, "pcapng, {link:?}");
        assert_eq!(read(&[&gzip(&sections)]), want, "pcapng.gz, {link:?}");
    }
}

#[test]
fn several_files_are_one_capture_in_the_order_of_time() {
    let wire = session();
    let (even, odd): (Vec<_>, Vec<_>) = wire.packets.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 0);
    let file =
        |packets: Vec<(usize, (Time, Vec<u8>))>| ethernet(&packets.into_iter().map(|(_, p)| p).collect::<Vec<_>>());
    let recording = read(&[&file(odd), &gzip(&file(even)), crate::events::REFERENCE]);
    assert_eq!(recording.sessions.len(), 2, "the recording, and the capture");
    assert_eq!(recording.sessions[1], read(&[&ethernet(&wire.packets)]).sessions[0]);
}

#[test]
fn what_is_cut_off_or_damaged_is_told_and_shown_up_to_there() {
    let wire = session();
    let whole = ethernet(&wire.packets);
    let mut between = vec![24];
    for (_, packet) in &wire.packets {
        between.push(between[between.len() - 1] + 16 + 14 + packet.len());
    }
    for end in (24..whole.len()).step_by(131) {
        for compressed in [false, true] {
            let mut file = if compressed { gzip(&whole) } else { whole.clone() };
            // Of the first half of so short a gzip file nothing may come out at all.
            file.truncate(if compressed { file.len() - 3 - end % (file.len() / 2) } else { end });
            let recording = read(&[&file]);
            let said = said(&recording);
            assert_eq!(said, SAID[..said.len().min(SAID.len())]);
            // Between two packets nobody can know that there were more.
            let known = compressed || !between.contains(&end);
            assert_eq!(recording.notes.len(), usize::from(known), "{:?}", recording.notes);
        }
    }
    let mut damaged = whole;
    damaged[32..36].copy_from_slice(&[0xff; 4]);
    let recording = read(&[&damaged]);
    assert!(recording.notes[0].contains("behind 0 packets"), "{:?}", recording.notes);
}

#[test]
fn a_file_of_another_kind_is_no_capture() {
    for bytes in [&b""[..], b"%PDF-1.4", b"\x0a\x0d\x0d\x0a", b"\xa1\xb2\xc3\xd4\0\x02"] {
        let error = try_read(&[bytes]).unwrap_err().to_string();
        assert!(error.starts_with("file 0: "), "{error}");
    }
}

#[test]
fn packets_lost_repeated_and_out_of_order() {
    let wire = session();
    let twice: Vec<_> = wire.packets.iter().flat_map(|p| [p.clone(), p.clone()]).collect();
    let want = read(&[&ethernet(&wire.packets)]);
    assert_eq!(read(&[&ethernet(&twice)]), want, "captured twice");

    // Repeated a while later: the sender's doing.
    let mut again = wire.clone();
    for (at, packet) in &wire.packets {
        again.packets.push((*at + std::time::Duration::from_millis(300), packet.clone()));
    }
    again.packets.sort_by_key(|(at, _)| *at);
    let recording = read(&[&ethernet(&again.packets)]);
    assert_eq!((said(&recording), transfers(&recording)), (SAID.map(str::to_owned).to_vec(), carried()));
    let counted = recording.sessions[0].events.iter().filter_map(|e| match &e.kind {
        EventKind::Counted { connection: ConnectionId::CONTROL, from, counts } => Some((*from, counts.again)),
        _ => None,
    });
    let mut again = counted.collect::<Vec<_>>();
    again.sort_unstable();
    assert_eq!(again, [(End::Client, 7), (End::Server, 10)]);

    // Neighbours change places.
    let mut swapped = wire.packets.clone();
    swapped.chunks_mut(2).for_each(|pair| pair.reverse());
    let recording = read(&[&ethernet(&swapped)]);
    assert_eq!((said(&recording).len(), transfers(&recording)), (SAID.len(), carried()));

    // Each packet that carries something is lost once: what is left is told, and that something is missing.
    for lost in (0..wire.packets.len()).filter(|&n| wire.packets[n].1.len() > 40) {
        let mut packets = wire.packets.clone();
        packets.remove(lost);
        let recording = read(&[&ethernet(&packets)]);
        let notes = notes(&recording);
        assert!(notes.iter().any(|n| n.contains("in the capture")), "{lost}: {notes:?}");
        assert!(said(&recording).len() + 1 >= SAID.len(), "{lost}");
    }
}

#[test]
fn sequence_numbers_that_wrap_around() {
    for isn in [u32::MAX, u32::MAX - 20, u32::MAX - 2000] {
        let mut wire = Wire::new();
        wire.isn = Some(isn);
        wire.login(client(), server()).say(client(), server(), &b"NOOP\r\n".repeat(300));
        assert_eq!(said(&read(&[&ethernet(&wire.packets)])).len(), 305, "{isn}");
    }
}

#[test]
fn a_capture_that_begins_within_the_session() {
    let wire = session();
    let recording = read(&[&ethernet(&wire.packets[9..])]);
    assert!(matches!(recording.sessions[0].events[0].kind, EventKind::Joined(_)));
    assert_eq!(said(&recording), SAID[3..]);
    assert_eq!(transfers(&recording), carried());
}

#[test]
fn fragments_of_ipv4() {
    let wire = session();
    let mut packets = Vec::new();
    for (at, packet) in &wire.packets {
        let (head, payload) = packet.split_at(20);
        let parts: Vec<&[u8]> = payload.chunks(16).collect();
        let mut fragments: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(n, part)| {
                let mut head = head.to_vec();
                let more = u16::from(n + 1 < parts.len()) << 13;
                head[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
                head[4..6].copy_from_slice(&(packets.len() as u16).to_be_bytes());
                head[6..8].copy_from_slice(&(more | (n as u16 * 2)).to_be_bytes());
                (*at, [&head, *part].concat())
            })
            .collect();
        fragments.reverse();
        packets.extend(fragments);
    }
    assert_eq!(read(&[&ethernet(&packets)]), read(&[&ethernet(&wire.packets)]));
}

#[test]
fn ipv6_with_extension_headers_and_fragments() {
    let (client, server) = (addr("[2001:db8::2]:40000"), addr("[2001:db8::1]:2121"));
    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"EPRT |2|2001:db8::2|5001|\r\n").say(server, client, b"200 Good\r\n");
    wire.say(client, server, b"STOR a\r\n").say(server, client, b"150 Here\r\n");
    let (from, to) = (addr("[2001:db8::1]:2120"), addr("[2001:db8::2]:5001"));
    wire.data(from, to, to, 4000).say(server, client, b"226 Done\r\n");
    let want = read(&[&ethernet(&wire.packets)]);
    assert_eq!(transfers(&want), [("STOR".to_owned(), Some(4000))]);
    assert_eq!(
        want.sessions[0]
            .events
            .iter()
            .filter(|e| matches!(e.kind, EventKind::Segment { segment: Segment::Syn, .. }))
            .count(),
        2
    );
    let mut packets = Vec::new();
    for (at, packet) in &wire.packets {
        let (head, payload) = packet.split_at(40);
        let with = |next: u8, extensions: &[u8], part: &[u8]| {
            let mut head = head.to_vec();
            head[4..6].copy_from_slice(&((extensions.len() + part.len()) as u16).to_be_bytes());
            head[6] = next;
            (*at, [&head, extensions, part].concat())
        };
        // Hop-by-hop, then destination options, then TCP; or fragments behind a hop-by-hop header.
        if payload.len() < 64 {
            packets.push(with(0, &[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0], payload));
            continue;
        }
        let (one, two) = payload.split_at(32);
        let id = (packets.len() as u32).to_be_bytes();
        let fragment = |offset: u16| [&[44, 0, 1, 4, 0, 0, 0, 0, 6, 0][..], &offset.to_be_bytes(), &id].concat();
        packets.push(with(0, &fragment(32), two));
        packets.push(with(0, &fragment(1), one));
    }
    assert_eq!(read(&[&ethernet(&packets)]), want);
    // Cut off anywhere, also within those headers.
    for length in 40..72 {
        packets.iter_mut().rev().for_each(|(_, packet)| packet.truncate(112 - length));
        read(&[&ethernet(&packets)]);
    }
}

#[test]
fn ftp_on_any_port_and_nothing_else() {
    let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:3021"));
    let mut wire = Wire::new();
    wire.login(client, server);
    for (port, greeting, request) in
        [(25, "220 mail ESMTP\r\n", "EHLO me\r\n"), (80, "", "GET / HTTP/1.1\r\n\r\n"), (110, "+OK\r\n", "USER me\r\n")]
    {
        let (client, server) = (addr("10.0.0.2:40100"), addr(&format!("10.0.0.1:{port}")));
        wire.handshake(client, server);
        wire.say(server, client, greeting.as_bytes()).say(client, server, request.as_bytes());
    }
    let recording = read(&[&ethernet(&wire.packets)]);
    assert_eq!(recording.sessions.len(), 1);
    assert_eq!(said(&recording), SAID[..5]);
}

#[test]
fn addresses_that_nat_has_rewritten_or_not() {
    let (client, server) = (addr("203.0.113.9:40000"), addr("10.0.0.1:21"));
    // The client knows the server by its outer address, and PASV tells that one; the capture is behind the NAT.
    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"PASV\r\n").say(server, client, b"227 Entering (198,51,100,1,19,136)\r\n");
    wire.say(client, server, b"RETR a\r\n").say(server, client, b"150 Here\r\n");
    // Another connection to the same port of another host is none of it.
    wire.data(addr("203.0.113.77:1"), addr("10.0.0.99:5000"), addr("10.0.0.99:5000"), 1);
    wire.data(addr("203.0.113.9:40001"), addr("10.0.0.1:5000"), addr("10.0.0.1:5000"), 2000);
    wire.say(server, client, b"226 Done\r\n");
    // The client tells its inner address.
    wire.say(client, server, b"PORT 192,168,7,7,19,137\r\n").say(server, client, b"200 Good\r\n");
    wire.say(client, server, b"STOR b\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.1:20"), addr("203.0.113.9:5001"), addr("203.0.113.9:5001"), 700);
    wire.say(server, client, b"226 Done\r\n");
    let recording = read(&[&ethernet(&wire.packets)]);
    assert_eq!(transfers(&recording), [("RETR".to_owned(), Some(2000)), ("STOR".to_owned(), Some(700))]);
    assert_eq!(recording.sessions.len(), 1);
}

/// A session with a download in active mode, and a download in passive mode whose data connection is dropped between its
/// client and whoever captures further on.
fn through_nat(client: &str, told: &str, data: &str, whole: bool) -> Wire {
    let (client, server, data) = (addr(client), addr("198.51.100.1:21"), addr(data));
    let mut wire = Wire::new();
    wire.isn = Some(7);
    wire.login(client, server);
    wire.say(client, server, format!("PORT {told}\r\n").as_bytes()).say(server, client, b"200 Good\r\n");
    wire.say(client, server, b"RETR a\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("198.51.100.1:20"), data, addr("198.51.100.1:20"), 2000);
    wire.say(server, client, b"226 Done\r\n");
    wire.say(client, server, b"PASV\r\n").say(server, client, b"227 At (198,51,100,1,19,136)\r\n");
    if whole {
        let at = wire.tick();
        wire.tcp(at, SocketAddr::new(client.ip(), 40001), addr("198.51.100.1:5000"), "S", b"");
    }
    wire.say(client, server, b"RETR b\r\n").say(server, client, b"425 Nobody came\r\n");
    wire.close(client, server);
    wire
}

#[test]
fn both_sides_of_nat_are_one_session() {
    let near = through_nat("192.168.1.5:40000", "192,168,1,5,19,137", "192.168.1.5:5001", true);
    let far = through_nat("203.0.113.9:50000", "203,0,113,9,78,32", "203.0.113.9:20000", false);
    let recording = read(&[&ethernet(&far.packets), &ethernet(&near.packets)]);
    assert_eq!(recording.sessions.len(), 1);
    let session = Session::from_events(recording.sessions[0].events.iter().cloned());
    assert_eq!(session.control().unwrap().client, Some(addr("192.168.1.5:40000")));
    assert_eq!(transfers(&recording), [("RETR".to_owned(), Some(2000)), ("RETR".to_owned(), Some(0))]);
    assert_eq!(
        notes(&recording),
        [
            "seen on both sides of address translation: beyond it the client is 203.0.113.9:50000",
            "beyond the address translation this reads 203.0.113.9 port 20000",
            "this SYN is in the capture of one side alone: what is between the two has dropped it",
        ]
    );
    // Another client that does the same at the same time is another session.
    let mut same_words = Wire::new();
    same_words.login(addr("203.0.113.9:50000"), addr("198.51.100.1:21"));
    let mut near_words = Wire::new();
    near_words.login(addr("192.168.1.5:40000"), addr("198.51.100.1:21"));
    assert_eq!(read(&[&ethernet(&same_words.packets), &ethernet(&near_words.packets)]).sessions.len(), 2);
    // And another behind it, whom the server tells the same port.
    let mut in_turn = Wire::new();
    for client in ["192.168.1.5:40000", "203.0.113.9:50000"] {
        let (client, server) = (addr(client), addr("198.51.100.1:21"));
        in_turn.login(client, server).say(client, server, b"PASV\r\n");
        in_turn.say(server, client, b"227 At (198,51,100,1,19,136)\r\n").close(client, server);
    }
    assert_eq!(read(&[&ethernet(&in_turn.packets)]).sessions.len(), 2);
}

#[test]
fn two_places_without_nat_between_them() {
    let near = session();
    let mut far = near.clone();
    far.packets.iter_mut().for_each(|(at, _)| *at = Time::from_unix_nanos(at.unix_nanos() + 30_000_000));
    let (near, far) = (ethernet(&near.packets), ethernet(&far.packets));
    let recording = read(&[&near, &far]);
    assert_eq!((said(&recording), transfers(&recording)), (SAID.map(str::to_owned).to_vec(), carried()));
    let again = recording.sessions[0].events.iter().filter(|event| match &event.kind {
        EventKind::Segment { again, .. } => *again,
        EventKind::Note { .. } | EventKind::Counted { .. } => true,
        _ => false,
    });
    assert_eq!(again.collect::<Vec<_>>(), Vec::<&SessionEvent>::new());
    // But what is sent twice is told.
    let twice = read(&[&pcap_twice(&session())]);
    assert!(
        twice.sessions[0]
            .events
            .iter()
            .any(|e| matches!(e.kind, EventKind::Counted { counts, .. } if counts.again > 0))
    );
}

/// Each packet, and each again 30 ms later, in one file.
fn pcap_twice(wire: &Wire) -> Vec<u8> {
    let mut packets = wire.packets.clone();
    packets.extend(wire.packets.iter().map(|(at, p)| (Time::from_unix_nanos(at.unix_nanos() + 30_000_000), p.clone())));
    packets.sort_by_key(|(at, _)| *at);
    ethernet(&packets)
}

#[test]
fn sessions_at_once_keep_their_data() {
    let server = server();
    let mut wire = Wire::new();
    let clients = [addr("10.0.0.2:40000"), addr("10.0.0.2:40002"), addr("10.0.0.3:40000")];
    for client in clients {
        wire.login(client, server);
    }
    for (n, client) in clients.iter().enumerate() {
        wire.say(*client, server, b"EPSV\r\n");
        wire.say(server, *client, format!("229 Entering (|||{}|)\r\n", 5000 + n).as_bytes());
        wire.say(*client, server, b"RETR a\r\n").say(server, *client, b"150 Here\r\n");
    }
    for (n, client) in clients.iter().enumerate().rev() {
        let data = addr(&format!("10.0.0.1:{}", 5000 + n));
        wire.data(std::net::SocketAddr::new(client.ip(), 41_000), data, data, 1000 + n);
    }
    for client in clients {
        wire.say(server, client, b"226 Done\r\n");
    }
    let recording = read(&[&ethernet(&wire.packets)]);
    let bytes: Vec<_> = transfers(&recording).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, [Some(1000), Some(1001), Some(1002)]);
}

#[test]
fn data_without_its_control_connection_and_the_other_way_round() {
    let mut wire = Wire::new();
    wire.data(addr("10.0.0.1:20"), addr("10.0.0.2:5001"), addr("10.0.0.1:20"), 1234);
    let recording = read(&[&ethernet(&wire.packets)]);
    assert_eq!(notes(&recording), ["the control connection of this data is not in the capture"]);
    let text = Drawing::default().draw(&recording).unwrap();
    assert!(text.contains("1,234 bytes"), "{text}");

    let mut packets = session().packets;
    packets.retain(|(_, packet)| packet[20..24].chunks(2).any(|port| port == [0, 21]));
    let recording = read(&[&ethernet(&packets)]);
    assert_eq!(
        notes(&recording),
        ["the data connection of LIST is not in the capture", "the data connection of RETR is not in the capture"]
    );
    assert_eq!(said(&recording), SAID);
    // How many bytes they carried is not known: it is not none.
    let text = Drawing::default().draw(&recording).unwrap();
    assert!(text.contains("downloads ") && !text.contains("0 bytes"), "{text}");
}

#[test]
fn connections_that_are_refused_or_not_answered() {
    let (client, server) = (client(), server());
    let mut wire = Wire::new();
    let at = wire.tick();
    wire.tcp(at, client, server, "S", b"");
    let at = wire.tick();
    wire.tcp(at, server, client, "RA", b"");
    let recording = read(&[&ethernet(&wire.packets)]);
    let failed = |recording: &Recording| {
        let events = recording.sessions.iter().flat_map(|s| &s.events);
        events
            .filter_map(|e| if let EventKind::OpenFailed { why, .. } = &e.kind { Some(why.clone()) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(failed(&recording), ["refused"]);
    assert!(Drawing::default().draw(&recording).unwrap().contains("RST+ACK"));

    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"PASV\r\n").say(server, client, b"227 (10,0,0,1,19,136)\r\n");
    let (from, to) = (addr("10.0.0.2:40001"), addr("10.0.0.1:5000"));
    let at = wire.tick();
    wire.tcp(at, from, to, "S", b"");
    let (_, syn) = wire.packets.last().unwrap().clone();
    for seconds in [1, 3, 7] {
        wire.packets.push((at + std::time::Duration::from_secs(seconds), syn.clone()));
    }
    assert_eq!(failed(&read(&[&ethernet(&wire.packets)])), ["no answer in the capture to 4 attempts"]);
}

/// ICMP of type 3 from a host, about a segment.
fn unreachable(by: [u8; 4], to: [u8; 4], code: u8, mtu: u16, segment: &[u8]) -> Vec<u8> {
    let mut icmp = vec![3, code, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    // The header, and what it must have of the rest (RFC 792): 8 bytes.
    icmp.extend(&segment[..28]);
    let mut packet = Vec::new();
    let length = icmp.len() as u16;
    etherparse::Ipv4Header::new(length, 64, etherparse::IpNumber::ICMP, by, to).unwrap().write(&mut packet).unwrap();
    packet.extend(icmp);
    packet
}

#[test]
fn icmp_tells_who_stops_a_connection() {
    let (client, server) = (client(), server());
    let drawn = |code: u8| {
        let mut wire = Wire::new();
        wire.login(client, server);
        wire.say(client, server, b"PASV\r\n").say(server, client, b"227 (10,0,0,1,19,136)\r\n");
        let at = wire.tick();
        wire.tcp(at, addr("10.0.0.2:40001"), addr("10.0.0.1:5000"), "S", b"");
        let (_, syn) = wire.packets.last().unwrap().clone();
        let answer = unreachable([10, 0, 0, 254], [10, 0, 0, 2], code, 1400, &syn);
        // Said twice it is told once; cut short it is nothing.
        for packet in [&answer[..], &answer, &answer[..44]] {
            let at = wire.tick();
            wire.packets.push((at, packet.to_vec()));
        }
        let recording = read(&[&ethernet(&wire.packets)]);
        Drawing::default().draw(&recording).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let refused = drawn(13);
    assert!(
        refused.contains("data-refused") && refused.contains("refused on its way by 10.0.0.254: admin"),
        "{refused}"
    );
    let no_way = drawn(1);
    assert!(
        no_way.contains("data-unanswered") && no_way.contains("host unreachable, says 10.0.0.254 (ICMP)"),
        "{no_way}"
    );
    assert!(drawn(4).contains("no answer in the capture"));

    let mut wire = Wire::new();
    wire.login(client, server);
    let (_, segment) = wire.packets.last().unwrap().clone();
    let at = wire.tick();
    wire.packets.push((at, unreachable([10, 0, 0, 254], [10, 0, 0, 1], 4, 1400, &segment)));
    let told = notes(&read(&[&ethernet(&wire.packets)]));
    assert_eq!(told, ["10.0.0.254 answers a segment with ICMP: it is too large, 1,400 bytes pass"]);
}

#[test]
fn behind_auth_tls_it_is_shown_what_it_is() {
    let (client, server) = (client(), server());
    let record = |kind: u8, body: &[u8]| [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat();
    let mut wire = Wire::new();
    wire.handshake(client, server).say(server, client, b"220 Ready\r\n");
    wire.say(client, server, b"AUTH TLS\r\n").say(server, client, b"234 Go\r\n");
    let sni = b"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09ftp.me.se";
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, sni.len() as u8], sni].concat();
    let hello = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    wire.say(client, server, &record(22, &hello)).say(server, client, &record(23, &[9; 900]));
    wire.say(client, server, &record(23, b"PASS geheim")).say(server, client, &record(21, &[2, 48]));
    // Its announcement cannot be read.
    wire.data(addr("10.0.0.2:40001"), addr("10.0.0.1:5000"), addr("10.0.0.1:5000"), 3000);
    let recording = read(&[&ethernet(&wire.packets)]);
    let wide = TextOptions { width: 200, ..TextOptions::default() };
    let text = Drawing { text: wide, ..Drawing::default() }.draw(&recording).unwrap();
    for part in ["ClientHello for ftp.me.se", "encrypted, 905 bytes", "alert: unknown CA", "3,000 bytes", "within TLS"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("geheim"));
    assert_eq!(said(&recording), ["220", "AUTH TLS", "234"]);
}

#[test]
fn look_ups_that_led_to_the_session() {
    let (host, names) = (addr("10.0.0.2:1030"), addr("10.0.0.53:53"));
    let mut wire = Wire::new();
    for (id, name, address) in [(1, "other.example", "10.0.0.9"), (2, "ftp.example", "10.0.0.1")] {
        let at = wire.tick();
        wire.udp(at, host, names, &crate::packets::query(id, name, true).to_vec().unwrap());
        let at = wire.tick();
        wire.udp(at, names, host, &crate::packets::answer(id, name, &[address.to_owned()]));
    }
    // And over TCP, in two segments.
    let (host, message) = (addr("10.0.0.2:1031"), crate::packets::answer(3, "ftp.example", &["10.0.0.1".to_owned()]));
    wire.handshake(host, names);
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    wire.say(names, host, &framed[..7]).say(names, host, &framed[7..]);
    wire.login(client(), server());
    let recording = read(&[&ethernet(&wire.packets)]);
    let asked: Vec<_> = recording.sessions[0]
        .events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::DnsQuery { id, name, .. } => Some(format!("{id} {name}")),
            EventKind::DnsAnswer { id, answers, .. } => Some(format!("{id} {answers:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(asked, ["2 ftp.example", "2 [\"10.0.0.1\"]", "3 [\"10.0.0.1\"]"]);
    // The other is not drawn, and not lost.
    let others = "the capture has look-ups of other names as well, which are not drawn: other.example (2 messages)";
    assert_eq!(notes(&recording), [others]);
    let json = Drawing { format: Format::Json, ..Drawing::default() }.draw(&recording).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> = json["dns"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["other.example", "ftp.example", "ftp.example"]);
}

#[test]
fn packets_that_the_capture_has_cut() {
    let (client, server) = (client(), server());
    let mut wire = Wire::new();
    wire.login(client, server).say(client, server, b"EPSV\r\n").say(server, client, b"229 (|||5000|)\r\n");
    wire.say(client, server, b"RETR a\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.2:40001"), addr("10.0.0.1:5000"), addr("10.0.0.1:5000"), 9000);
    wire.say(server, client, format!("226 {}\r\n", "x".repeat(100)).as_bytes()).say(client, server, b"QUIT\r\n");
    wire.packets.iter_mut().for_each(|(_, packet)| packet.truncate(96));
    let recording = read(&[&ethernet(&wire.packets)]);
    assert_eq!(transfers(&recording), [("RETR".to_owned(), Some(9000))], "the sizes are in the headers");
    assert_eq!(said(&recording).last().unwrap(), "QUIT ");
    assert_eq!(notes(&recording), ["50 bytes from the server were cut off by the capture"]);
}

#[test]
fn secrets_do_not_leave_the_capture() {
    let recording = read(&[&ethernet(&session().packets)]);
    assert!(!format!("{recording:?}").contains("geheim"));
    assert!(!format!("{recording:?}").contains(&format!("{:?}", b"geheim")[1..20]));
}

#[test]
fn secrets_are_shown_to_who_asks_and_no_recording_holds_them() {
    let file = ethernet(&session().packets);
    let input = Input { name: "x".to_owned(), bytes: Box::new(Cursor::new(file)) };
    let recording = input::read_with([input], Secrets::Shown).unwrap();
    let ladder = Options { fields: true, ..Options::default() };
    let forms = [Format::Text, Format::Json, Format::Html, Format::Svg, Format::Mermaid, Format::Recording];
    for format in forms {
        let drawn = |secrets| {
            let drawing = Drawing { format, secrets, ladder: ladder.clone(), ..Drawing::default() };
            drawing.draw(&recording).unwrap()
        };
        assert_eq!(drawn(Secrets::Shown).contains("geheim"), format != Format::Recording, "{format:?}");
        // Whoever holds them does not show them unasked.
        assert!(!drawn(Secrets::Masked).contains("geheim"), "{format:?}");
    }
}

#[test]
fn an_end_that_sends_the_rest_in_its_last_segment() {
    let (client, server) = (client(), server());
    let mut wire = Wire::new();
    wire.login(client, server).say(client, server, b"QUIT\r\n");
    let at = wire.tick();
    wire.tcp(at, server, client, "FA", b"221 Bye\r\n");
    let recording = read(&[&ethernet(&wire.packets)]);
    let events = &recording.sessions[0].events;
    let bye = events.iter().position(|e| matches!(&e.kind, EventKind::Reply { code, .. } if *code == 221)).unwrap();
    let closed = events.iter().position(|e| matches!(e.kind, EventKind::Closed { by: End::Server, .. })).unwrap();
    assert!(bye < closed);
}

#[test]
fn a_session_among_more_connections_than_are_kept() {
    let mut wire = session();
    let last = wire.packets.len() - 6;
    let (first, rest) = wire.packets.split_at(last);
    let mut packets = first.to_vec();
    let at = packets[last - 1].0;
    let syn = wire.packets[0].1.clone();
    for n in 0..70_000u32 {
        let mut packet = syn.clone();
        packet[12..16].copy_from_slice(&(0x0b00_0000 + n).to_be_bytes());
        packet[22..24].copy_from_slice(&443u16.to_be_bytes());
        packets.push((at, packet));
    }
    packets.extend_from_slice(rest);
    wire.packets = packets;
    let recording = read(&[&ethernet(&wire.packets)]);
    assert_eq!((said(&recording), transfers(&recording)), (SAID.map(str::to_owned).to_vec(), carried()));
    assert!(recording.notes[0].contains("were left out"), "{:?}", recording.notes);
}

fn drawn(recording: &Recording) {
    let drawing = Drawing { which: Which::All, ..Drawing::default() };
    match drawing.draw(recording) {
        Ok(text) => assert!(!text.chars().any(|c| c.is_control() && c != '\n')),
        Err(error) => assert!(recording.sessions.is_empty(), "{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_behind_any_head(
        head in proptest::sample::select(vec![0usize, 24, 28, 60, 100, 128]),
        kind in 0u8..3,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        compressed in any::<bool>(),
    ) {
        let wire = session();
        let whole = match kind {
            0 => ethernet(&wire.packets),
            1 => pcapng(&wire.packets, &links()[0], false),
            _ => pcapng(&wire.packets, &links()[0], true),
        };
        let file = [&whole[..head], &bytes].concat();
        if let Ok(recording) = try_read(&[&if compressed { gzip(&file) } else { file }]) {
            drawn(&recording);
        }
    }

    #[test]
    fn a_session_in_which_anything_was_changed(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..40),
        ng in any::<bool>(),
        link in 0usize..9,
    ) {
        let wire = session();
        let link = &links()[link];
        let mut file = if ng { pcapng(&wire.packets, link, false) } else { pcap(&wire.packets, link, false, true) };
        let length = file.len();
        for (index, byte) in changes {
            file[index.index(length)] = byte;
        }
        if let Ok(recording) = try_read(&[&file]) {
            drawn(&recording);
        }
    }

    #[test]
    fn any_packets(
        packets in proptest::collection::vec((0u64..5_000, any::<proptest::sample::Index>(), proptest::option::of((20usize..60, any::<u8>()))), 0..120),
    ) {
        let wire = session();
        let start = wire.packets[0].0;
        let packets: Vec<_> = packets.into_iter().map(|(ms, which, change)| {
            let mut packet = wire.packets[which.index(wire.packets.len())].1.clone();
            if let Some((at, byte)) = change && let Some(slot) = packet.get_mut(at) {
                *slot = byte;
            }
            (start + std::time::Duration::from_millis(ms), packet)
        }).collect();
        drawn(&read(&[&ethernet(&packets)]));
    }
}

#[test]
fn a_server_that_asks_for_the_clients_user() {
    let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:21"));
    let mut wire = Wire::new();
    wire.handshake(client, server);
    // Nothing comes back, and the greeting comes late. Another host's question is none of this session's.
    for from in ["10.0.0.1:50000", "10.0.0.3:50000"] {
        let at = wire.tick();
        wire.tcp(at, addr(from), addr("10.0.0.2:113"), "S", b"");
    }
    for _ in 0..5000 {
        wire.tick();
    }
    wire.say(server, client, b"220 Ready.\r\n").say(client, server, b"QUIT\r\n").say(server, client, b"221 Bye.\r\n");
    wire.close(server, client);
    let recording = read(&[&ethernet(&wire.packets)]);
    let events = &recording.sessions[0].events;
    let asked = events.iter().filter(|e| matches!(e.kind, EventKind::Ident { answered: false })).count();
    assert_eq!(asked, 1, "{events:?}");
    let found = findings(&Session::from_events(events.iter().cloned()));
    let late = found.iter().find(|f| f.rule.name == "slow-login").unwrap();
    assert!(late.text.contains("asks port 113"), "{}", late.text);
    assert!(found.iter().all(|f| f.rule.severity != Severity::Fault), "{found:?}");
}
