//! Faults and warnings that take a network of its own to be caused (`interop/causes.py` does), as the packets that they leave:
//! read as a capture, each is found, and nothing else is.

use std::io::Cursor;
use std::net::SocketAddr;

use port21_trace::Session;
use port21_trace::findings::{Severity, findings};
use port21_trace::input::{self, Input};

use crate::packets::{Wire, addr, ethernet};

/// A rule, and a session in which it is the root.
type Cause = (&'static str, fn(&mut Wire));

fn server() -> SocketAddr {
    addr("198.51.100.7:21")
}

/// A client at home, as it sees itself.
fn near() -> SocketAddr {
    addr("192.168.0.2:40000")
}

/// The same as the server sees it.
fn far() -> SocketAddr {
    addr("203.0.113.9:40000")
}

fn wait(wire: &mut Wire, ms: usize) {
    for _ in 0..ms {
        wire.tick();
    }
}

/// A command and its reply.
fn ask(wire: &mut Wire, client: SocketAddr, command: &str, reply: &str) {
    wire.say(client, server(), format!("{command}\r\n").as_bytes());
    wire.say(server(), client, format!("{reply}\r\n").as_bytes());
}

/// The end of a session in which all was said.
fn quit(wire: &mut Wire, client: SocketAddr) {
    ask(wire, client, "QUIT", "221 Bye");
    wire.close(server(), client);
}

/// The last packet once more, so many times, 300 ms apart.
fn again(wire: &mut Wire, times: usize) {
    let (_, packet) = wire.packets.last().unwrap().clone();
    for _ in 0..times {
        wait(wire, 300);
        let at = wire.tick();
        wire.packets.push((at, packet.clone()));
    }
}

/// A SYN without an answer, and what the server says of it.
fn unanswered(wire: &mut Wire, client: SocketAddr, from: &str, to: &str) {
    let at = wire.tick();
    wire.tcp(at, addr(from), addr(to), "S", b"");
    again(wire, 2);
    wire.say(server(), client, b"425 Nobody came\r\n");
    quit(wire, client);
}

/// A session of active mode whose data comes from here.
fn active(wire: &mut Wire, from: &str) {
    wire.login(far(), server());
    ask(wire, far(), "PORT 203,0,113,9,19,137", "200 Good");
    ask(wire, far(), "LIST", "150 Here");
    wire.data(addr(from), addr("203.0.113.9:5001"), addr(from), 2000);
    wire.say(server(), far(), b"226 Done\r\n");
    quit(wire, far());
}

/// A session of passive mode whose data is as told: by whom it is sent, and what its connection is like.
fn passive(wire: &mut Wire, command: &str, data: fn(&mut Wire, SocketAddr, SocketAddr), end: &str) {
    wire.login(far(), server());
    ask(wire, far(), "EPSV", "229 Entering (|||5000|)");
    ask(wire, far(), command, "150 Here");
    data(wire, addr("203.0.113.9:41000"), addr("198.51.100.7:5000"));
    wire.say(server(), far(), format!("{end}\r\n").as_bytes());
    quit(wire, far());
}

const CAUSES: &[Cause] = &[
    ("pasv-address", |wire| {
        wire.login(near(), server());
        ask(wire, near(), "PASV", "227 Entering Passive Mode (10,0,0,1,195,80)");
        wire.say(near(), server(), b"LIST\r\n");
        unanswered(wire, near(), "192.168.0.2:41000", "10.0.0.1:50000");
    }),
    ("port-address", |wire| {
        wire.login(far(), server());
        ask(wire, far(), "PORT 192,168,0,2,19,137", "200 Good");
        ask(wire, far(), "LIST", "150 Here");
        unanswered(wire, far(), "198.51.100.7:20", "192.168.0.2:5001");
    }),
    ("data-unanswered", |wire| {
        wire.login(far(), server());
        ask(wire, far(), "EPSV", "229 Entering (|||5000|)");
        wire.say(far(), server(), b"LIST\r\n");
        unanswered(wire, far(), "203.0.113.9:41000", "198.51.100.7:5000");
    }),
    ("other-address", |wire| {
        passive(
            wire,
            "LIST",
            |wire, _, to| {
                wire.data(addr("203.0.113.77:41000"), to, to, 2000);
            },
            "226 Done",
        );
    }),
    ("active-port", |wire| active(wire, "198.51.100.7:45000")),
    ("stalls", |wire| {
        wire.login(far(), server());
        for _ in 0..6 {
            wire.say(far(), server(), b"NOOP\r\n");
            wait(wire, 38);
            wire.say(server(), far(), b"200 Ok\r\n");
        }
        quit(wire, far());
    }),
    ("slow-login", |wire| {
        wire.handshake(far(), server());
        wait(wire, 5000);
        wire.say(server(), far(), b"220 Ready.\r\n");
        quit(wire, far());
    }),
    ("retransmissions", |wire| {
        passive(
            wire,
            "RETR a.txt",
            |wire, from, to| {
                wire.handshake(from, to);
                for _ in 0..4 {
                    let at = wire.tick();
                    wire.tcp(at, to, from, "A", &[b'x'; 1400]);
                    again(wire, 1);
                    let at = wire.tick();
                    wire.tcp(at, from, to, "A", b"");
                }
                wire.close(to, from);
            },
            "226 Done",
        );
    }),
    ("black-hole", |wire| {
        passive(
            wire,
            "STOR a.txt",
            |wire, from, to| {
                wire.handshake(from, to);
                let at = wire.tick();
                wire.tcp(at, from, to, "A", &[b'x'; 1448]);
                again(wire, 5);
            },
            "426 Nothing came",
        );
    }),
    ("zero-window", |wire| {
        passive(
            wire,
            "RETR a.txt",
            |wire, from, to| {
                wire.handshake(from, to).say(to, from, &[b'x'; 1400]);
                // The client has no room, and says so where the window stands in its header.
                let (_, packet) = wire.packets.last_mut().unwrap();
                packet[34..36].copy_from_slice(&[0, 0]);
                wait(wire, 4000);
                let at = wire.tick();
                wire.tcp(at, from, to, "A", b"");
                wire.say(to, from, &[b'x'; 1400]).close(to, from);
            },
            "226 Done",
        );
    }),
    ("tls-alert", |wire| {
        let record = |kind: u8, body: &[u8]| [&[kind, 3, 3, 0, body.len() as u8], body].concat();
        wire.handshake(far(), server()).say(server(), far(), b"220 Ready\r\n");
        ask(wire, far(), "AUTH TLS", "234 Go");
        wire.say(far(), server(), &record(22, &[1, 0, 0, 0])).say(server(), far(), &record(22, &[2, 0, 0, 0]));
        wire.say(far(), server(), &record(21, &[2, 48])).close(far(), server());
    }),
];

/// What is found in a capture, but notes; each rule once.
fn found(wire: &Wire) -> Vec<&'static str> {
    let file = ethernet(&wire.packets);
    let input = Input { name: "made".to_owned(), bytes: Box::new(Cursor::new(file)) };
    let recording = input::read([input]).unwrap();
    assert_eq!(recording.sessions.len(), 1);
    let session = Session::from_events(recording.sessions[0].events.iter().cloned());
    let all = findings(&session).into_iter().filter(|finding| finding.rule.severity != Severity::Note);
    let mut names: Vec<_> = all.map(|finding| finding.rule.name).collect();
    names.dedup();
    names
}

#[test]
fn each_cause_is_the_root_and_alone() {
    let wrong = CAUSES.iter().filter_map(|(rule, cause)| {
        let mut wire = Wire::new();
        cause(&mut wire);
        let found = found(&wire);
        (found != [*rule]).then_some((*rule, found))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_as_it_should_be_has_no_finding() {
    let mut wire = Wire::new();
    active(&mut wire, "198.51.100.7:20");
    assert_eq!(found(&wire), [""; 0]);
    let mut wire = Wire::new();
    let data = |wire: &mut Wire, from, to| {
        wire.data(from, to, to, 9000);
    };
    passive(&mut wire, "RETR a.txt", data, "226 Done");
    assert_eq!(found(&wire), [""; 0]);
}
