//! The frames of an event: found again in the file, with their layers, and without secrets.

use std::fs::File;
use std::io::{Cursor, Write as _};

use port21_proto::Time;
use port21_proto::event::{EventKind, Segment};
use port21_trace::Session;
use port21_trace::capture::{Found, Frame, Frames, Wanted};
use port21_trace::input::{self, Input};
use proptest::prelude::*;

use crate::events::reference;
use crate::packets::{Wire, addr, ethernet, links, pcap, pcapng};

/// The session of a capture, and its frames.
fn found(capture: &[u8]) -> (Session, Frames) {
    let input = Input { name: "a.pcap".to_owned(), bytes: Box::new(Cursor::new(capture.to_vec())) };
    let session = input::read([input]).unwrap().sessions.swap_remove(0);
    let session = Session::from_events(session.events);
    let frames = Frames::find(vec![("a.pcap".to_owned(), file(capture))], Wanted::of(&session));
    (session, frames)
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn of(session: &Session, frames: &mut Frames, is: impl Fn(&EventKind) -> bool) -> Found {
    let event = session.events().iter().position(|event| is(&event.kind)).unwrap();
    frames.of(session, event).unwrap()
}

fn verb(verb: &'static str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::Command { verb: has, .. } if has == verb)
}

fn part<'a>(frame: &'a Frame, layer: &str) -> &'a [u8] {
    let layer = frame.layers.iter().find(|has| has.name == layer).unwrap_or_else(|| panic!("{:?}", frame.layers));
    &frame.bytes[layer.bytes.clone()]
}

#[test]
fn each_event_has_its_frames_in_each_kind_of_file() {
    let wire = Wire::of(&reference());
    for link in links() {
        for capture in [
            pcap(&wire.packets, &link, true, true),
            pcap(&wire.packets, &link, false, true),
            pcapng(&wire.packets, &link, true),
            pcapng(&wire.packets, &link, false),
        ] {
            let (session, mut frames) = found(&capture);
            let retr = of(&session, &mut frames, verb("RETR"));
            let [frame] = retr.frames.as_slice() else { panic!("{retr:?}") };
            let packet = &wire.packets[usize::try_from(frame.number).unwrap() - 1].1;
            assert_eq!(frame.bytes, [link.1.as_slice(), packet].concat(), "{}", link.0);
            assert_eq!(part(frame, "payload"), b"RETR readme.txt\r\n");
            assert!(!frame.masked && frame.file.is_none() && frame.bytes.len() == frame.length as usize);
            let whole: usize = frame.layers.iter().map(|layer| layer.bytes.len()).sum();
            assert_eq!(whole, frame.bytes.len());
            let data = of(&session, &mut frames, |kind| matches!(kind, EventKind::Data { bytes: 1715, .. }));
            assert_eq!((data.count, data.frames.len()), (2, 2));
            assert_eq!(part(&data.frames[0], "payload").len() + part(&data.frames[1], "payload").len(), 1715);
            let syn =
                of(&session, &mut frames, |kind| matches!(kind, EventKind::Segment { segment: Segment::Syn, .. }));
            assert_eq!((syn.count, part(&syn.frames[0], "TCP").len()), (1, 20));
            let query = of(&session, &mut frames, |kind| matches!(kind, EventKind::DnsQuery { .. }));
            assert_eq!((query.count, part(&query.frames[0], "UDP").len()), (1, 8));
        }
    }
}

#[test]
fn headers_say_what_is_in_them() {
    let mut wire = Wire::new();
    let (client, server) = (addr("[2001:db8::2]:40000"), addr("[2001:db8::1]:21"));
    wire.login(client, server).say(client, server, b"NOOP\r\n");
    wire.say(server, client, b"200 Yes.\r\n");
    let (session, mut frames) = found(&ethernet(&wire.packets));
    let noop = of(&session, &mut frames, verb("NOOP"));
    let says: Vec<(&str, &str)> = noop.frames[0].layers.iter().map(|layer| (layer.name, layer.says.as_str())).collect();
    let [("Ethernet", macs), ("IPv6", ip), ("TCP", tcp), ("payload", "6 bytes")] = says.as_slice() else {
        panic!("{says:?}");
    };
    assert_eq!(*macs, "02:02:02:02:02:02 to 02:02:02:02:02:02");
    assert_eq!(*ip, "2001:db8::2 to 2001:db8::1, hop limit 64, 26 bytes behind the header");
    // Counted from the SYN, and as they are.
    assert!(tcp.starts_with("port 40000 to port 21, ACK, seq 25 ("), "{tcp}");
    assert!(tcp.ends_with(", window 65000") && tcp.contains(", ack 37 ("), "{tcp}");
}

#[test]
fn no_frame_tells_a_secret_however_it_was_sent() {
    for parts in [
        vec!["USER a\r\n", "PASS geheim\r\n"],
        vec!["USER a\r\nPASS geheim\r\nSYST\r\n"],
        vec!["USER a\r\nPASS ge", "heim\r\nSYST\r\n"],
        vec!["USER a\r\nPA", "SS geh", "eim\r\n"],
        vec!["USER a\r\n", "P", "A", "S", "S", " ", "g", "e", "h", "e", "i", "m", "\r", "\n"],
        vec!["USER a\r\n", "\0PASS geheim\r\n"],
        vec!["USER a\r\n", "SITE PSWD geheim x\r\n"],
    ] {
        let mut wire = Wire::new();
        let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:21"));
        wire.handshake(client, server).say(server, client, b"220 Ready.\r\n");
        for part in &parts {
            wire.say(client, server, part.as_bytes());
        }
        // All of it once more, later, as of a client that has lost the acknowledgements.
        let mut again: Vec<Vec<u8>> = wire.packets.iter().map(|(_, packet)| packet.clone()).collect();
        again.retain(|packet| packet[12..16] == [10, 0, 0, 2] && packet.len() > 40);
        again.into_iter().for_each(|packet| {
            let at = wire.tick();
            wire.packets.push((at, packet));
        });
        wire.say(server, client, b"331 Password.\r\n230 Welcome.\r\n");
        wire.say(client, server, b"NOOP\r\n").say(server, client, b"200 Yes.\r\n");
        let (session, mut frames) = found(&ethernet(&wire.packets));
        let mut shown = 0;
        let mut said = Vec::new();
        for event in 0..session.events().len() {
            for frame in frames.of(&session, event).unwrap().frames {
                shown += 1;
                if frame.layers.iter().any(|layer| layer.name == "payload") {
                    said.push(String::from_utf8_lossy(part(&frame, "payload")).into_owned());
                    assert_eq!(frame.masked, part(&frame, "TCP")[16..18] == [0, 0]);
                }
            }
        }
        let letters = |said: &str| said.chars().filter(|c| "geh".contains(*c)).count();
        assert!(
            shown > 8 && said.iter().all(|said| said.contains("Welcome") || letters(said) < 2),
            "{parts:?}: {said:?}"
        );
        assert!(said.iter().any(|said| said == "NOOP\r\n"), "{said:?}");
    }
}

#[test]
fn the_same_ports_again_are_another_connection() {
    let mut wire = Wire::new();
    let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:21"));
    wire.login(client, server);
    let (from, to) = (addr("10.0.0.1:20"), addr("10.0.0.2:40001"));
    for name in ["a", "b"] {
        wire.say(client, server, b"PORT 10,0,0,2,156,65\r\n").say(server, client, b"200 Yes.\r\n");
        wire.say(client, server, format!("RETR {name}\r\n").as_bytes()).say(server, client, b"150 Here.\r\n");
        wire.isn = Some(if name == "a" { 5_000 } else { 900_000 });
        wire.data(from, to, from, 3_000).close(from, to);
        wire.isn = None;
        wire.say(server, client, b"226 Done.\r\n");
    }
    let (session, mut frames) = found(&ethernet(&wire.packets));
    let data: Vec<usize> =
        (0..session.events().len()).filter(|n| matches!(session.events()[*n].kind, EventKind::Data { .. })).collect();
    let [first, second] = data.as_slice() else { panic!("{data:?}") };
    let (first, second) = (frames.of(&session, *first).unwrap(), frames.of(&session, *second).unwrap());
    assert!(first.frames.last().unwrap().number < second.frames[0].number);
    assert_eq!(first.count, second.count);
}

#[test]
fn what_cannot_be_read_again_is_said() {
    let wire = Wire::of(&reference());
    let capture = ethernet(&wire.packets);
    let (session, _) = found(&capture);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&capture).unwrap();
    let files = vec![
        ("a.pcap.gz".to_owned(), file(&encoder.finish().unwrap())),
        ("b.jsonl".to_owned(), file(b"{\"format\":")),
        ("c.pcap".to_owned(), file(&capture)),
    ];
    let mut frames = Frames::find(files, Wanted::of(&session));
    let retr = of(&session, &mut frames, verb("RETR"));
    assert_eq!((retr.count, retr.frames[0].file.as_deref()), (1, Some("c.pcap")));
    let [note] = retr.notes.as_slice() else { panic!("{retr:?}") };
    assert!(note.contains("a.pcap.gz") && note.contains("compressed"), "{note}");
    // The file is shorter by now.
    let cut = file(&capture);
    let mut frames = Frames::find(vec![("c.pcap".to_owned(), cut.try_clone().unwrap())], Wanted::of(&session));
    cut.set_len(100).unwrap();
    let event = session.events().iter().position(|event| verb("RETR")(&event.kind)).unwrap();
    assert!(frames.of(&session, event).is_err());
}

proptest! {
    /// Packets of anything: no frame is longer than it was, and each byte is in one layer.
    #[test]
    fn frames_of_anything(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
        link in 0..9usize,
    ) {
        let mut wire = Wire::of(&reference());
        let mut at = wire.packets[20].0.unix_nanos();
        for packet in packets {
            at += 1;
            wire.packets.push((Time::from_unix_nanos(at), packet));
        }
        let (session, mut frames) = found(&pcap(&wire.packets, &links()[link], false, true));
        for event in 0..session.events().len() {
            for frame in frames.of(&session, event).unwrap().frames {
                let whole: usize = frame.layers.iter().map(|layer| layer.bytes.len()).sum();
                prop_assert_eq!(whole, frame.bytes.len());
            }
        }
    }
}
