//! A capture that goes on: what is told of sessions before their end, and what is forgotten behind it.

use std::io::Cursor;
use std::net::SocketAddr;
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::EventKind;
use port21_trace::capture::{Link, Live, PcapngWriter};
use port21_trace::follow::Follower;
use port21_trace::input::{self, Input};
use port21_trace::ladder::Options;
use port21_trace::recording::{RecordedSession, Recording};
use port21_trace::render::TextOptions;

use crate::packets::{Wire, addr};

fn ends() -> (SocketAddr, SocketAddr) {
    (addr("10.0.0.2:40000"), addr("10.0.0.1:2121"))
}

/// RETR over PORT.
fn download() -> Wire {
    let (client, server) = ends();
    let mut wire = Wire::new();
    wire.login(client, server);
    wire.say(client, server, b"PORT 10,0,0,2,160,0\r\n").say(server, client, b"200 Good\r\n");
    wire.say(client, server, b"RETR a.txt\r\n").say(server, client, b"150 Here\r\n");
    wire.data(addr("10.0.0.1:2120"), addr("10.0.0.2:40960"), addr("10.0.0.1:2120"), 5000);
    wire.say(server, client, b"226 Done\r\n").say(client, server, b"QUIT\r\n").say(server, client, b"221 Bye\r\n");
    wire.close(server, client);
    wire
}

fn written(packets: &[(Time, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), "lo", Link::Ip).unwrap();
    packets.iter().for_each(|(at, bytes)| writer.packet(*at, bytes).unwrap());
    let written = writer.written();
    let file = writer.into_inner();
    assert_eq!(file.len() as u64, written);
    file
}

fn read(file: Vec<u8>) -> Recording {
    input::read([Input { name: "file".to_owned(), bytes: Box::new(Cursor::new(file)) }]).unwrap()
}

fn feed(live: &mut Live, packets: &[(Time, Vec<u8>)]) -> Time {
    for (at, bytes) in packets {
        live.packet(*at, Link::Ip, bytes);
    }
    packets.last().unwrap().0
}

fn only(live: &Live, now: Time, growing: bool) -> RecordedSession {
    let mut sessions = live.sessions(now, growing);
    assert_eq!(sessions.len(), 1);
    sessions.remove(0).1
}

#[test]
fn at_the_end_it_is_what_the_written_capture_is() {
    let wire = download();
    let mut live = Live::new(Vec::new());
    let now = feed(&mut live, &wire.packets);
    let whole = read(written(&wire.packets));
    assert!(whole.notes.is_empty(), "{:?}", whole.notes);
    assert_eq!(only(&live, now, false), whole.sessions[0]);
    assert_eq!(only(&live, now, true), whole.sessions[0]);
    assert!(whole.sessions[0].events.iter().any(|e| matches!(e.kind, EventKind::Data { bytes: 5000, .. })));
}

#[test]
fn a_session_that_goes_on_is_drawn_as_far_as_it_is_known_and_no_row_twice() {
    let wire = download();
    let mut live = Live::new(vec![2121]);
    let mut follower = Follower::new(Options::default(), TextOptions { width: 120, ..TextOptions::default() });
    let mut drawn = String::new();
    let mut names = std::collections::HashSet::new();
    for (at, bytes) in &wire.packets {
        live.packet(*at, Link::Ip, bytes);
        for (name, session) in live.sessions(*at, false) {
            follower.replace(&name, &session.header, session.events);
            names.insert(name);
        }
        drawn.push_str(&follower.draw());
    }
    assert_eq!(names.len(), 1, "{names:?}");
    // Its own handshake has passed before it is known what it is; both handshakes are drawn, and both ends.
    for (word, count) in
        [("─ SYN ─", 2), (" USER anna ", 1), (" RETR a.txt ", 1), (" 226 Done ", 1), ("━ data ", 1), ("5,000 bytes", 1)]
    {
        let lanes: String = drawn
            .lines()
            .filter(|line| !line.contains("──  ") && !line.contains("Remarks"))
            .fold(String::new(), |all, line| all + line + "\n");
        assert_eq!(lanes.matches(word).count(), count, "{word}:\n{drawn}");
    }
    assert!(!drawn.contains("no answer") && !drawn.contains("not in the capture"), "{drawn}");
    let key = follower.endings().next().map(|(key, ended)| (key.to_owned(), ended.is_some())).unwrap();
    assert!(key.1);
    assert!(follower.verdict(&key.0).text.contains("the server closed the control connection first"));
}

#[test]
fn data_that_flows_is_told_when_it_stalls_or_is_looked_for() {
    let wire = download();
    let half = wire.packets.len() / 2 + 6;
    let mut live = Live::new(Vec::new());
    let now = feed(&mut live, &wire.packets[..half]);
    let has_data = |session: &RecordedSession| session.events.iter().any(|e| matches!(e.kind, EventKind::Data { .. }));
    assert!(!has_data(&only(&live, now, false)) && has_data(&only(&live, now, true)));
    assert!(has_data(&only(&live, now + Duration::from_secs(3), false)));
}

#[test]
fn a_syn_without_an_answer_is_told_once_it_is_sure() {
    let (client, server) = (addr("10.0.0.2:40000"), addr("10.0.0.1:21"));
    let mut wire = Wire::new();
    let at = wire.tick();
    wire.tcp(at, client, server, "S", b"");
    let mut live = Live::new(Vec::new());
    assert!(live.packet(at, Link::Ip, &wire.packets[0].1));
    let failed = |now| only(&live, now, false).events.iter().any(|e| matches!(e.kind, EventKind::OpenFailed { .. }));
    assert!(!failed(at + Duration::from_secs(1)) && failed(at + Duration::from_secs(6)));
}

#[test]
fn what_no_session_needs_is_forgotten() {
    let mut live = Live::new(Vec::new());
    let now = feed(&mut live, &download().packets);
    assert_eq!(live.sessions(now, true).len(), 1);
    let (client, server) = (addr("10.0.0.9:50000"), addr("10.0.0.1:80"));
    let mut wire = Wire::new();
    let later = now + Duration::from_secs(30);
    wire.tcp(later, client, server, "S", b"");
    assert!(!live.packet(later, Link::Ip, &wire.packets[0].1), "this is not FTP");
    assert_eq!(live.sessions(later, true).len(), 0);
    // Other ports than those that are asked for.
    let mut other = Live::new(vec![21]);
    let now = feed(&mut other, &download().packets);
    assert_eq!(other.sessions(now, true).len(), 0);
}

#[test]
fn a_long_session_keeps_its_login_and_what_was_last() {
    let (client, server) = ends();
    let mut wire = Wire::new();
    wire.login(client, server);
    for n in 0..6_000 {
        wire.say(client, server, format!("CWD d{n}\r\n").as_bytes()).say(server, client, b"250 Done\r\n");
    }
    let mut live = Live::new(Vec::new());
    let now = feed(&mut live, &wire.packets);
    let session = only(&live, now, true);
    assert!(session.events.len() < 6_000, "{}", session.events.len());
    let verbs = session.events.iter().filter_map(|e| match &e.kind {
        EventKind::Command { verb, argument, .. } => Some(format!("{verb} {}", String::from_utf8_lossy(argument))),
        _ => None,
    });
    let verbs: Vec<String> = verbs.collect();
    assert_eq!((verbs[0].as_str(), verbs.last().unwrap().as_str()), ("USER anna", "CWD d5999"));
}
