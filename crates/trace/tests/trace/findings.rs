//! Each rule: a session in which it fires, and one that is nearly the same in which it does not; and the document of them.
//!
//! To write `docs/findings.md` anew: `PORT21_WRITE_DOCS=1 cargo test -p port21-trace --test trace`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use port21_proto::event::{Closing, ConnectionId, Counts, End, EventKind, ForeignReset, Purpose, Segment, TlsFailure};
use port21_trace::findings::{RULES, Severity, findings};
use port21_trace::ladder::{Options, Weight};
use port21_trace::session::Ending;
use port21_trace::{Ladder, Session, render};
use proptest::prelude::*;

use crate::events::{CONTROL, Script, event, reference};

/// A rule's name, a session in which it fires, and one in which it is silent.
type Example = (&'static str, fn(&mut Script), fn(&mut Script));

fn session(script: &Script) -> Session {
    Session::from_events(script.events.iter().cloned())
}

fn of(script: &Script) -> Vec<(&'static str, Severity)> {
    findings(&session(script)).iter().map(|f| (f.rule.name, f.rule.severity)).collect()
}

fn faults_of(script: &Script) -> Vec<&'static str> {
    of(script).into_iter().filter(|found| found.1 == Severity::Fault).map(|found| found.0).collect()
}

fn failed(s: &mut Script, id: u32, why: &str) {
    s.push(EventKind::OpenFailed { connection: ConnectionId(id), why: why.to_owned() });
}

fn reset(s: &mut Script, id: u32, by: End) {
    s.push(EventKind::Closed { connection: ConnectionId(id), by, how: Closing::Reset });
}

fn note(s: &mut Script, id: u32, text: &str) {
    s.push(EventKind::Note { connection: Some(ConnectionId(id)), text: text.to_owned() });
}

fn data(s: &mut Script, id: u32, client: &str, server: &str) {
    s.opened(id, Purpose::Data, End::Client, Some(client), Some(server));
}

fn tls(s: &mut Script, what: &str, alert: Option<u8>) {
    s.push(EventKind::Tls { connection: CONTROL, from: End::Client, what: what.to_owned(), alert, bytes: 7 });
}

fn tls_failed(s: &mut Script, why: TlsFailure) {
    s.push(EventKind::TlsFailed { connection: ConnectionId(1), why, text: "in its words".to_owned() });
}

fn counted(s: &mut Script, id: u32, from: End, counts: Counts) {
    s.push(EventKind::Counted { connection: ConnectionId(id), from, counts });
}

/// A control connection between a private client and a server on the internet.
fn internet(s: &mut Script) {
    s.opened(0, Purpose::Control, End::Client, Some("192.168.0.2:40000"), Some("198.51.100.7:21"));
    s.reply(220, &["Ready."]).command("USER ftp").reply(230, &["Welcome."]);
}

fn anonymous(s: &mut Script) {
    s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
    s.reply(220, &["Ready."]).command("USER ftp").reply(230, &["Welcome."]);
}

fn logged_in(s: &mut Script) {
    *s = Script::logged_in();
}

fn protected(s: &mut Script) {
    anonymous(s);
    s.command("AUTH TLS").reply(234, &["Go on."]);
}

fn pasv(s: &mut Script) {
    s.command("PASV").reply(227, &["Entering Passive Mode (10,0,0,1,195,80)."]);
}

fn epsv(s: &mut Script) {
    s.command("EPSV").reply(229, &["Entering Extended Passive Mode (|||50000|)"]);
}

fn quit(s: &mut Script) {
    s.command("QUIT").reply(221, &["Goodbye."]).closed(0, End::Server).closed(0, End::Client);
}

/// A transfer whose data has begun to flow.
fn flowing(s: &mut Script) {
    pasv(s);
    data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("RETR half.iso").reply(150, &["Opening."]).data(1, End::Server, 1000);
}

fn retr(s: &mut Script, said: &str, bytes: u64) {
    s.command("TYPE I").reply(200, &["Ok."]);
    pasv(s);
    data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("RETR a.iso").reply(150, &[said]).data(1, End::Server, bytes);
    s.closed(1, End::Server).closed(1, End::Client).reply(226, &["Done."]);
}

fn active(s: &mut Script, from: &str) {
    s.command("PORT 10,0,0,2,19,137").reply(200, &["Ok."]).command("LIST").reply(150, &["Opening."]);
    s.opened(1, Purpose::Data, End::Server, Some("10.0.0.2:5001"), Some(from));
    s.data(1, End::Server, 10).closed(1, End::Server).closed(1, End::Client).reply(226, &["Done."]);
}

/// The transfer that [`flowing`] begins, done on another control connection.
fn done_on(s: &mut Script, control: u32) {
    let connection = ConnectionId(control);
    for (verb, argument, code, line) in
        [("PASV", "", 227, "Entering Passive Mode (10,0,0,1,195,81)."), ("RETR", "half.iso", 226, "Done.")]
    {
        s.push(EventKind::Command { connection, verb: verb.to_owned(), argument: argument.as_bytes().to_vec() });
        if verb == "RETR" {
            data(s, 3, "10.0.0.2:41001", "10.0.0.1:50001");
            s.data(3, End::Server, 1000).closed(3, End::Server).closed(3, End::Client);
        }
        let code = port21_proto::Code::new(code).unwrap();
        s.push(EventKind::Reply { connection, code, lines: vec![line.as_bytes().to_vec().into()] });
    }
}

fn typed(s: &mut Script, kind: &str, name: &str) {
    s.command(kind).reply(200, &["Ok."]);
    pasv(s);
    data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command(&format!("RETR {name}")).reply(150, &["Here it comes."]).data(1, End::Server, 10);
    s.closed(1, End::Server).closed(1, End::Client).reply(226, &["Done."]);
}

/// A command with a reply that takes so many milliseconds.
fn slow(s: &mut Script, command: &str, code: u16, ms: u64) {
    s.command(command);
    s.ms += ms - 1;
    s.reply(code, &["Ok."]);
}

fn segment(s: &mut Script, from: End, segment: Segment) {
    s.push(EventKind::Segment { connection: CONTROL, from, segment, again: false });
}

fn in_segments(s: &mut Script, again: u64, size: u64) {
    pasv(s);
    data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("STOR big.iso").reply(150, &["Opening."]);
    let since = s.events.last().unwrap().at;
    let kind =
        EventKind::Data { connection: ConnectionId(1), from: End::Client, since, bytes: size * 10, segments: Some(10) };
    s.push(kind);
    let counts = Counts { again, again_bytes: again * size, unacknowledged: size, ..Counts::default() };
    counted(s, 1, End::Client, counts);
    s.reply(426, &["Timed out."]);
}

const EXAMPLES: &[Example] = &[
    (
        "control-unopened",
        |s| {
            s.opening(0, Purpose::Control, End::Client, None, Some("10.0.0.1:21"));
            failed(s, 0, "refused");
        },
        |s| {
            s.opening(9, Purpose::Control, End::Client, None, Some("[2001:db8::1]:21"));
            failed(s, 9, "refused");
            anonymous(s);
            quit(s);
        },
    ),
    (
        "tls-refused",
        |s| {
            s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
            s.reply(220, &["Ready."]).command("AUTH TLS").reply(502, &["No TLS here."]);
            quit(s);
        },
        |s| {
            s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
            s.reply(220, &["Ready."]).command("AUTH TLS").reply(502, &["No TLS here."]);
            s.command("USER ftp").reply(230, &["Welcome."]);
            quit(s);
        },
    ),
    (
        "tls-control",
        |s| {
            protected(s);
            let text = "the server's certificate has expired".to_owned();
            s.push(EventKind::TlsFailed { connection: CONTROL, why: TlsFailure::Handshake, text });
            reset(s, 0, End::Client);
        },
        protected,
    ),
    (
        "tls-alert",
        |s| {
            protected(s);
            tls(s, "alert: unknown CA", Some(48));
        },
        |s| {
            protected(s);
            tls(s, "alert: close_notify", Some(0));
        },
    ),
    (
        "tls-reuse",
        |s| {
            protected(s);
            flowing(s);
            s.reply(522, &["SSL connection failed: session reuse required"]);
        },
        |s| {
            protected(s);
            flowing(s);
            s.reply(226, &["Done, in this session reuse was seen."]);
        },
    ),
    (
        "tls-truncated",
        |s| {
            protected(s);
            flowing(s);
            tls_failed(s, TlsFailure::Truncated);
            s.reply(426, &["Part of the file may be missing."]);
        },
        |s| {
            protected(s);
            flowing(s);
            // Refused behind 150: nothing was to come.
            tls_failed(s, TlsFailure::Truncated);
            s.reply(550, &["File not found."]);
        },
    ),
    (
        "tls-data",
        |s| {
            protected(s);
            flowing(s);
            tls_failed(s, TlsFailure::Handshake);
            s.reply(425, &["No data connection."]);
        },
        |s| {
            protected(s);
            flowing(s);
            // An end without close_notify behind a refusal is nothing.
            tls_failed(s, TlsFailure::Truncated);
            s.reply(550, &["File not found."]);
        },
    ),
    (
        "login-refused",
        |s| {
            anonymous(s);
            s.command("USER anna").reply(331, &["Password?"]).command("PASS x").reply(530, &["Login incorrect."]);
        },
        |s| {
            anonymous(s);
            s.command("USER anna").reply(331, &["Password?"]).command("PASS x").reply(530, &["Login incorrect."]);
            s.command("USER anna").reply(331, &["Password?"]).command("PASS y").reply(230, &["Welcome."]);
        },
    ),
    (
        "pasv-address",
        |s| {
            internet(s);
            s.command("PASV").reply(227, &["Entering Passive Mode (10,0,0,1,195,80)."]);
            s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
            failed(s, 1, "no answer within 30 s");
            s.command("LIST").reply(425, &["Nobody came."]);
        },
        |s| {
            internet(s);
            s.command("PASV").reply(227, &["Entering Passive Mode (198,51,100,7,195,80)."]);
            s.opening(1, Purpose::Data, End::Client, None, Some("198.51.100.7:50000"));
            failed(s, 1, "no answer within 30 s");
            s.command("LIST").reply(425, &["Nobody came."]);
        },
    ),
    (
        "port-address",
        |s| {
            internet(s);
            s.command("PORT 192,168,0,2,19,137").reply(200, &["Ok."]).command("LIST").reply(150, &["Opening."]);
            s.opening(1, Purpose::Data, End::Server, Some("192.168.0.2:5001"), None);
            failed(s, 1, "the server has not connected");
            s.reply(425, &["Cannot connect."]);
        },
        |s| {
            anonymous(s);
            s.command("PORT 10,0,0,2,19,137").reply(200, &["Ok."]).command("LIST").reply(150, &["Opening."]);
            s.opening(1, Purpose::Data, End::Server, Some("10.0.0.2:5001"), None);
            failed(s, 1, "the server has not connected");
            s.reply(425, &["Cannot connect."]);
        },
    ),
    (
        "port-third-host",
        |s| {
            anonymous(s);
            s.command("PORT 10,0,0,99,19,137").reply(500, &["I won't connect there."]);
        },
        |s| {
            anonymous(s);
            s.command("PORT 10,0,0,2,0,80").reply(500, &["I won't connect to that port."]);
        },
    ),
    (
        "data-refused",
        |s| {
            anonymous(s);
            epsv(s);
            s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
            failed(s, 1, "refused");
            s.command("LIST").reply(425, &["Nobody came."]);
        },
        |s| {
            anonymous(s);
            epsv(s);
            s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
            failed(s, 1, "given up");
        },
    ),
    (
        "no-data-connection",
        |s| {
            anonymous(s);
            epsv(s);
            s.command("RETR a").reply(150, &["Opening."]).reply(226, &["Done."]);
        },
        |s| {
            anonymous(s);
            segment(s, End::Server, Segment::Ack);
            epsv(s);
            s.command("RETR a").reply(150, &["Opening."]).reply(226, &["Done."]);
        },
    ),
    (
        "data-unanswered",
        |s| {
            anonymous(s);
            epsv(s);
            s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
            failed(s, 1, "no answer in the capture to 3 attempts");
            s.ms += 30_000;
            s.command("LIST").reply(425, &["Nobody came."]);
        },
        |s| {
            anonymous(s);
            epsv(s);
            data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
            s.command("LIST").reply(425, &["No room."]);
        },
    ),
    (
        "black-hole",
        |s| {
            anonymous(s);
            in_segments(s, 5, 1460);
        },
        |s| {
            anonymous(s);
            in_segments(s, 5, 300);
        },
    ),
    (
        "malformed",
        |s| {
            anonymous(s);
            s.command("NOOP");
            let (head, why) = (b"oops".to_vec(), "a reply without a code".to_owned());
            s.push(EventKind::Malformed { connection: CONTROL, from: End::Server, head, why });
        },
        |s| {
            anonymous(s);
            s.command("NOOP").reply(200, &["oops"]);
        },
    ),
    (
        "service-closing",
        |s| {
            anonymous(s);
            s.ms += 300_000;
            s.reply(421, &["Idle for too long."]).closed(0, End::Server);
        },
        |s| {
            anonymous(s);
            s.ms += 300_000;
            quit(s);
        },
    ),
    (
        "repeated",
        |s| {
            anonymous(s);
            flowing(s);
            s.closed(1, End::Server).closed(1, End::Client);
            s.reply(450, &["EPSV: data transfer in progress"]).closed(0, End::Client);
            s.opened(2, Purpose::Control, End::Client, Some("10.0.0.2:40001"), Some("10.0.0.1:21"));
            done_on(s, 2);
        },
        |s| {
            // What the network did stays what it is.
            anonymous(s);
            flowing(s);
            reset(s, 0, End::Server);
            s.opened(2, Purpose::Control, End::Client, Some("10.0.0.2:40001"), Some("10.0.0.1:21"));
            done_on(s, 2);
        },
    ),
    (
        "no-final-reply",
        |s| {
            anonymous(s);
            flowing(s);
            s.closed(1, End::Server).closed(1, End::Client);
            s.ms += 60_000;
            s.command("NOOP");
        },
        |s| {
            anonymous(s);
            flowing(s);
            s.closed(1, End::Server).closed(1, End::Client);
        },
    ),
    (
        "control-cut",
        |s| {
            anonymous(s);
            flowing(s);
            s.ms += 600_000;
            reset(s, 0, End::Server);
        },
        |s| {
            anonymous(s);
            flowing(s);
            s.reply(226, &["Done."]);
            s.ms += 600_000;
            reset(s, 0, End::Server);
        },
    ),
    (
        "bytes-differ",
        |s| {
            anonymous(s);
            retr(s, "Opening BINARY mode data connection for a.iso (1715 bytes).", 1700);
        },
        |s| {
            anonymous(s);
            retr(s, "Opening BINARY mode data connection for a.iso (1715 bytes).", 1715);
        },
    ),
    (
        "reset",
        |s| {
            anonymous(s);
            flowing(s);
            reset(s, 1, End::Client);
            s.reply(426, &["Broken off."]);
        },
        |s| {
            anonymous(s);
            flowing(s);
            s.command("ABOR");
            reset(s, 1, End::Client);
            s.reply(426, &["Aborted."]).reply(226, &["Done."]);
        },
    ),
    (
        "transfer-failed",
        |s| {
            anonymous(s);
            epsv(s);
            s.command("RETR a").reply(550, &["No such file."]);
        },
        |s| {
            anonymous(s);
            epsv(s);
            s.command("MLSD").reply(502, &["Not here."]);
        },
    ),
    (
        "out-of-step",
        |s| {
            anonymous(s);
            s.command("NOOP").reply(227, &["Entering Passive Mode (10,0,0,1,195,80)."]);
        },
        |s| {
            anonymous(s);
            pasv(s);
        },
    ),
    (
        "waiting",
        |s| {
            anonymous(s);
            s.command("CWD pub");
            s.ms += 30_000;
            s.closed(0, End::Client);
        },
        |s| {
            anonymous(s);
            s.command("CWD pub");
            s.ms += 1_000;
            s.closed(0, End::Client);
        },
    ),
    (
        "firewall-blind",
        |s| {
            protected(s);
            epsv(s);
            s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
            failed(s, 1, "no answer within 30 s");
        },
        |s| {
            protected(s);
            flowing(s);
            s.reply(226, &["Done."]);
        },
    ),
    (
        "pasv-rewritten",
        |s| {
            anonymous(s);
            s.command("PASV").reply(227, &["Entering Passive Mode (192,168,7,7,195,80)."]);
            data(s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
            s.command("LIST").reply(150, &["Opening."]).data(1, End::Server, 10).reply(226, &["Done."]);
        },
        |s| {
            anonymous(s);
            flowing(s);
            s.reply(226, &["Done."]);
        },
    ),
    (
        "other-address",
        |s| {
            anonymous(s);
            epsv(s);
            data(s, 1, "10.0.0.77:41000", "10.0.0.1:50000");
            s.command("LIST").reply(150, &["Opening."]).data(1, End::Server, 10).reply(226, &["Done."]);
        },
        |s| {
            anonymous(s);
            epsv(s);
            data(s, 1, "[::ffff:10.0.0.2]:41000", "10.0.0.1:50000");
            s.command("LIST").reply(150, &["Opening."]).data(1, End::Server, 10).reply(226, &["Done."]);
        },
    ),
    (
        "active-port",
        |s| {
            anonymous(s);
            active(s, "10.0.0.1:45000");
        },
        |s| {
            anonymous(s);
            active(s, "10.0.0.1:20");
        },
    ),
    (
        "ascii-binary",
        |s| {
            anonymous(s);
            typed(s, "TYPE A", "photo.JPG");
        },
        |s| {
            anonymous(s);
            typed(s, "TYPE I", "photo.JPG");
        },
    ),
    (
        "before-auth",
        |s| {
            anonymous(s);
            s.command("AUTH TLS").command("PBSZ 0").reply(234, &["Go on."]);
        },
        |s| {
            protected(s);
            s.command("PBSZ 0").reply(200, &["Ok."]);
        },
    ),
    (
        "stalls",
        |s| {
            anonymous(s);
            (0..5).for_each(|_| slow(s, "NOOP", 200, 41));
        },
        |s| {
            anonymous(s);
            (0..4).for_each(|_| slow(s, "NOOP", 200, 41));
            // Late by any time: a busy machine, and no timer.
            (20..80).for_each(|ms| slow(s, "NOOP", 200, ms));
        },
    ),
    (
        "slow-login",
        |s| {
            s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
            s.ms += 5_000;
            s.reply(220, &["Ready."]);
        },
        |s| {
            s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
            s.ms += 500;
            s.reply(220, &["Ready."]);
        },
    ),
    (
        "retransmissions",
        |s| {
            anonymous(s);
            counted(s, 0, End::Client, Counts { again: 3, ..Counts::default() });
        },
        |s| {
            anonymous(s);
            counted(s, 0, End::Client, Counts { again: 1, ..Counts::default() });
        },
    ),
    (
        "zero-window",
        |s| {
            anonymous(s);
            s.ms += 8_000;
            let closed_for = Duration::from_secs(4);
            counted(s, 0, End::Client, Counts { closed_windows: 2, closed_for, ..Counts::default() });
        },
        |s| {
            anonymous(s);
            s.ms += 80_000;
            let closed_for = Duration::from_secs(4);
            counted(s, 0, End::Client, Counts { closed_windows: 2, closed_for, ..Counts::default() });
        },
    ),
    ("clear-password", logged_in, anonymous),
    (
        "closed-first",
        |s| {
            anonymous(s);
            s.closed(0, End::Client);
        },
        |s| {
            anonymous(s);
            quit(s);
        },
    ),
    (
        "slow-phase",
        |s| {
            anonymous(s);
            slow(s, "CWD pub", 250, 1500);
        },
        |s| {
            anonymous(s);
            slow(s, "CWD pub", 250, 500);
        },
    ),
    (
        "round-trips",
        |s| {
            anonymous(s);
            (0..40).for_each(|_| slow(s, "NOOP", 200, 60));
        },
        |s| {
            anonymous(s);
            (0..40).for_each(|_| slow(s, "NOOP", 200, 2));
        },
    ),
    (
        "expected-refusal",
        |s| {
            anonymous(s);
            s.command("MKD pub").reply(550, &["It exists."]);
        },
        |s| {
            anonymous(s);
            s.command("MKD pub").reply(257, &["\"pub\" created."]);
        },
    ),
    (
        "one-direction",
        |s| {
            segment(s, End::Client, Segment::Ack);
            s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
            s.command("USER ftp").command("CWD pub");
        },
        |s| {
            segment(s, End::Client, Segment::Ack);
            anonymous(s);
        },
    ),
    (
        "captured-part",
        |s| {
            anonymous(s);
            note(s, 0, "100 bytes from the server were cut off by the capture");
        },
        |s| {
            anonymous(s);
            note(s, 0, "the server asks for the client's name");
        },
    ),
];

#[test]
fn each_rule_fires_and_stays_silent_on_a_near_miss() {
    for (name, fires, near) in EXAMPLES {
        let mut script = Script::default();
        fires(&mut script);
        let found = of(&script);
        let fired = found.iter().filter(|(n, _)| n == name).count();
        assert_eq!(fired, 1, "{name} has to be found once, not {found:?}");
        let severity = RULES.iter().find(|r| r.name == *name).unwrap().severity;
        // What is found is the root: no other fault stands beside it, and where it is none itself, no fault at all.
        let faults: Vec<&str> = found.iter().filter(|f| f.1 == Severity::Fault && f.0 != *name).map(|f| f.0).collect();
        let expected: &[&str] = if *name == "firewall-blind" { &["data-unanswered"] } else { &[] };
        assert_eq!(faults, expected, "{name} ({severity}): {found:?}");
        let mut script = Script::default();
        near(&mut script);
        let found = of(&script);
        assert!(found.iter().all(|(n, _)| n != name), "{name} on a near miss: {found:?}");
    }
}

#[test]
fn each_rule_has_its_example() {
    let examples: Vec<&str> = EXAMPLES.iter().map(|e| e.0).collect();
    let rules: Vec<&str> = RULES.iter().map(|r| r.name).collect();
    assert_eq!(examples, rules);
}

#[test]
fn nothing_is_wrong_with_the_reference_session() {
    let found = findings(&Session::from_events(reference()));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_fault_names_all_that_followed_from_it() {
    let mut s = Script::default();
    anonymous(&mut s);
    epsv(&mut s);
    s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
    failed(&mut s, 1, "no answer within 30 s");
    s.command("LIST").reply(425, &["Nobody came."]);
    let found = findings(&session(&s));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].rows.contains(&found[0].subject));
    assert!(found[0].rows.contains(&(s.events.len() - 1)), "the 425 is evidence");
    assert_eq!(
        found[0].text,
        "The client does not get through to the server's data port 10.0.0.1:50000: no answer within 30 s."
    );
}

#[test]
fn what_looks_like_a_fault_and_is_none() {
    // A client that has connected ahead gives that up when the server refuses the file.
    let mut s = Script::default();
    anonymous(&mut s);
    epsv(&mut s);
    data(&mut s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("RETR nothing").reply(550, &["No such file."]);
    reset(&mut s, 1, End::Client);
    assert_eq!(of(&s), [("transfer-failed", Severity::Fault)]);
    // Nor is it more than that where the server itself breaks off what it takes no more of.
    let mut s = Script::default();
    logged_in(&mut s);
    epsv(&mut s);
    s.command("STOR a").reply(150, &["Go on."]);
    data(&mut s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    reset(&mut s, 1, End::Server);
    s.reply(552, &["Over quota."]);
    assert_eq!(faults_of(&s), ["transfer-failed"]);
    // Whatever ended within TLS: its farewell cannot be read.
    let mut s = Script::default();
    protected(&mut s);
    tls(&mut s, "ClientHello", None);
    reset(&mut s, 0, End::Server);
    assert_eq!(of(&s), []);
    // Some servers say goodbye to those who leave without a word.
    let mut s = Script::default();
    anonymous(&mut s);
    s.closed(0, End::Client).reply(221, &["You could at least say goodbye."]);
    assert_eq!(of(&s), []);
}

#[test]
fn what_was_counted_tells_who_it_was() {
    // A RST with other hops than its sender's packets.
    let mut s = Script::default();
    anonymous(&mut s);
    flowing(&mut s);
    reset(&mut s, 1, End::Server);
    let foreign_reset = Some(ForeignReset { reset: 255, others: 52 });
    counted(&mut s, 1, End::Server, Counts { foreign_reset, ..Counts::default() });
    s.reply(426, &["Broken off."]);
    let found = findings(&session(&s));
    let text = &found.iter().find(|f| f.rule.name == "reset").unwrap().text;
    assert!(text.contains("time to live of 255") && text.contains("something between"), "{text}");
    // A command that hangs: the network, or the server's program.
    for (unacknowledged, told) in [(9, "the network or its host is gone"), (0, "its program does not answer")] {
        let mut s = Script::default();
        segment(&mut s, End::Client, Segment::Ack);
        anonymous(&mut s);
        s.command("CWD pub");
        s.ms += 30_000;
        s.closed(0, End::Client);
        counted(&mut s, 0, End::Client, Counts { again: 1, unacknowledged, ..Counts::default() });
        let found = findings(&session(&s));
        let text = &found.iter().find(|f| f.rule.name == "waiting").unwrap().text;
        assert!(text.contains(told), "{text}");
    }
    // A late greeting, with a SYN to port 113.
    let mut s = Script::default();
    s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:21"));
    s.push(EventKind::Ident { answered: false });
    s.ms += 5_000;
    s.reply(220, &["Ready."]);
    let text = &findings(&session(&s))[0].text;
    assert!(text.contains("The greeting takes") && text.contains("port 113"), "{text}");
    // Large segments that get through in the end are lost by chance.
    let mut s = Script::default();
    anonymous(&mut s);
    in_segments(&mut s, 5, 1460);
    for event in &mut s.events {
        if let EventKind::Counted { counts, .. } = &mut event.kind {
            counts.largest_acknowledged = 1460;
        }
    }
    assert!(of(&s).iter().all(|(name, _)| *name != "black-hole"), "{:?}", of(&s));
}

#[test]
fn servers_that_run_commands_side_by_side_are_in_step() {
    // EPSV that was sent behind RETR is answered before RETR is done.
    let mut s = Script::default();
    anonymous(&mut s);
    s.command("TYPE I").reply(200, &["Ok."]);
    flowing(&mut s);
    s.command("EPSV").reply(229, &["Entering Extended Passive Mode (|||50001|)"]).reply(226, &["Done."]);
    assert_eq!(of(&s), []);
    let session = session(&s);
    assert_eq!(session.transfers()[0].ending, Ending::Done);
    // SIZE is answered behind MDTM: by what they tell it is clear which is which.
    let mut s = Script::default();
    anonymous(&mut s);
    s.command("TYPE I").reply(200, &["Ok."]).command("SIZE a").command("MDTM a");
    s.reply(213, &["20261124000547"]).reply(213, &["10"]);
    pasv(&mut s);
    data(&mut s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("RETR a").reply(150, &["Here."]).data(1, End::Server, 10);
    s.closed(1, End::Server).closed(1, End::Client).reply(226, &["Done."]);
    assert_eq!(of(&s), []);
}

#[test]
fn a_client_that_has_waited_long_enough_for_the_final_reply() {
    for aborts in [false, true] {
        let mut s = Script::default();
        anonymous(&mut s);
        s.command("TYPE I").reply(200, &["Ok."]);
        flowing(&mut s);
        s.closed(1, End::Server).closed(1, End::Client);
        s.ms += 30_000;
        if aborts {
            s.command("ABOR");
            s.ms += 30_000;
        }
        s.closed(0, if aborts { End::Server } else { End::Client });
        let faults: Vec<_> = of(&s).into_iter().filter(|f| f.1 == Severity::Fault).map(|f| f.0).collect();
        assert_eq!(faults, ["no-final-reply"], "{aborts}");
    }
}

#[test]
fn an_end_without_close_notify_that_costs_nothing() {
    // A look at the port of implicit TLS.
    let mut s = Script::default();
    s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:990"));
    let text = "the connection ended without close_notify".to_owned();
    s.push(EventKind::TlsFailed { connection: CONTROL, why: TlsFailure::Truncated, text });
    s.closed(0, End::Client);
    assert!(of(&s).iter().all(|f| f.1 == Severity::Note), "{:?}", of(&s));
    // The server's side of an upload.
    let mut s = Script::default();
    protected(&mut s);
    pasv(&mut s);
    data(&mut s, 1, "10.0.0.2:41000", "10.0.0.1:50000");
    s.command("STOR a").reply(150, &["Ok."]).data(1, End::Client, 10).closed(1, End::Client);
    tls_failed(&mut s, TlsFailure::Truncated);
    s.closed(1, End::Server).reply(226, &["Done."]);
    assert_eq!(of(&s), []);
}

#[test]
fn words_that_are_right_and_say_nothing() {
    let faults = |command: &str, code: u16, said: &str| {
        let mut s = Script::default();
        anonymous(&mut s);
        s.command(command).reply(code, &[said]);
        of(&s).into_iter().filter(|f| f.1 == Severity::Fault).map(|f| f.0).collect::<Vec<_>>()
    };
    assert_eq!(faults("PORT 114,115", 200, "Ok."), ["malformed"]);
    assert_eq!(faults("PASV", 227, "Entering Passive Mode."), ["malformed"]);
    assert_eq!(faults("EPSV", 229, "Entering Extended Passive Mode."), ["malformed"]);
    assert_eq!(faults(&format!("RETR {}", "A".repeat(5000)), 550, "No."), ["malformed"]);
    assert_eq!(faults("EPRT |3|10.0.0.2|5001|", 522, "Use (1,2)."), [""; 0]);
    assert_eq!(faults("PASV", 425, "No port is free."), [""; 0]);
}

#[test]
fn what_is_compressed_has_another_size() {
    let mut s = Script::default();
    anonymous(&mut s);
    s.command("MODE Z").reply(200, &["Ok."]);
    retr(&mut s, "Opening BINARY mode data connection for a.iso (300000 bytes).", 300_056);
    assert_eq!(of(&s), []);
    s.command("MODE S").reply(200, &["Ok."]);
    s.command("PASV").reply(227, &["Entering Passive Mode (10,0,0,1,195,81)."]);
    data(&mut s, 2, "10.0.0.2:41001", "10.0.0.1:50001");
    s.command("RETR a.iso").reply(150, &["Opening BINARY mode data connection for a.iso (300000 bytes)."]);
    s.data(2, End::Server, 300_056).closed(2, End::Server).closed(2, End::Client).reply(226, &["Done."]);
    assert_eq!(of(&s), [("bytes-differ", Severity::Fault)]);
}

#[test]
fn a_server_that_refuses_a_file_opens_no_connection_for_it() {
    let mut s = Script::default();
    protected(&mut s);
    s.command("PORT 10,0,0,2,19,137").reply(200, &["Ok."]);
    s.command("RETR nothing").reply(550, &["No such file."]);
    s.opening(1, Purpose::Data, End::Server, Some("10.0.0.2:5001"), None);
    failed(&mut s, 1, "the server has not connected");
    assert_eq!(of(&s), [("transfer-failed", Severity::Fault)]);
}

#[test]
fn a_directory_that_is_listed_before_it_is_made() {
    let mut s = Script::default();
    anonymous(&mut s);
    epsv(&mut s);
    s.command("MLSD up").reply(550, &["No such directory."]);
    let before = s.clone();
    s.command("MKD up").reply(257, &["\"/up\" created."]);
    assert_eq!(of(&s), [("expected-refusal", Severity::Note)]);
    let mut s = before;
    s.command("MKD other").reply(257, &["\"/other\" created."]);
    assert_eq!(of(&s), [("transfer-failed", Severity::Fault)]);
}

#[test]
fn only_beside_a_well_known_port_is_another_one_due() {
    let mut s = Script::default();
    s.opened(0, Purpose::Control, End::Client, Some("10.0.0.2:40000"), Some("10.0.0.1:2121"));
    s.reply(220, &["Ready."]).command("USER ftp").reply(230, &["Welcome."]);
    active(&mut s, "10.0.0.1:45000");
    assert_eq!(of(&s), []);
}

#[test]
fn a_third_host_that_is_accepted_and_ports_that_are_wrong_each_time() {
    let mut s = Script::default();
    anonymous(&mut s);
    s.command("PORT 198,51,100,9,0,80").reply(200, &["Ok."]);
    assert_eq!(of(&s), [("other-address", Severity::Warning)]);
    let mut s = Script::default();
    anonymous(&mut s);
    for id in 1..4 {
        s.command("PORT 10,0,0,2,19,137").reply(200, &["Ok."]).command("LIST").reply(150, &["Opening."]);
        s.opened(id, Purpose::Data, End::Server, Some("10.0.0.2:5001"), Some("10.0.0.1:45000"));
        s.data(id, End::Server, 10).closed(id, End::Server).closed(id, End::Client).reply(226, &["Done."]);
    }
    assert_eq!(of(&s), [("active-port", Severity::Warning)]);
}

#[test]
fn a_finding_stands_in_the_drawing() {
    let mut s = Script::default();
    anonymous(&mut s);
    epsv(&mut s);
    s.opening(1, Purpose::Data, End::Client, None, Some("10.0.0.1:50000"));
    failed(&mut s, 1, "no answer within 30 s");
    s.command("LIST").reply(425, &["Nobody came."]);
    let ladder = Ladder::new(&session(&s), &Options::default());
    let row = ladder.findings[0].row.unwrap();
    let remark = ladder.rows[row].remark.as_ref().unwrap();
    assert!(remark.text.contains("Fault: The client does not get through"), "{remark:?}");
    assert_eq!((ladder.rows[row].label.as_str(), remark.weight), ("no connection", Weight::Notice));
    assert!(ladder.summary.iter().any(|fact| fact == "1 fault"), "{:?}", ladder.summary);
    let text = render::text(&ladder, &render::TextOptions { width: 100, ..Default::default() });
    assert!(text.contains(" FAULT    data-unanswered at "), "{text}");
    assert!(text.contains("open the server's passive ports"), "{text}");
    let svg = render::svg(&ladder, &render::SvgOptions::default());
    assert!(svg.contains("1 fault") && svg.contains("Fault: "), "{svg}");
    assert!(svg.contains(">Fault</text>") && svg.contains(">data-unanswered at "), "{svg}");
    assert!(svg.contains(">In active mode use passive mode instead."), "{svg}");
    let html = render::html(&ladder, &render::HtmlOptions::default());
    assert!(html.contains("<b>Fault</b>") && html.contains("data-unanswered at "), "{html}");
    // Nothing is lost where its row is not drawn.
    let none = Options { only: Some("server:1".parse().unwrap()), ..Options::default() };
    assert_eq!(Ladder::new(&session(&s), &none).findings.len(), 1);
}

#[test]
fn what_fails_without_end_is_told_so_often() {
    let mut s = Script::default();
    anonymous(&mut s);
    for _ in 0..500 {
        s.command("RETR x").reply(550, &["No such file."]);
    }
    assert_eq!(of(&s).len(), 50);
    // And above a drawing it is shown by a few of them: what can be done is said once.
    let ladder = Ladder::new(&session(&s), &Options::default());
    let advice = "The code says which side to look at";
    let text = render::text(&ladder, &render::TextOptions { width: 100, ..Default::default() });
    assert_eq!((text.matches(" FAULT    transfer-failed at ").count(), text.matches(advice).count()), (3, 1), "{text}");
    assert!(text.contains("And at least 47 more of them."), "{text}");
    let svg = render::svg(&ladder, &render::SvgOptions::default());
    assert_eq!((svg.matches(">transfer-failed at ").count(), svg.matches(advice).count()), (3, 1), "{svg}");
    // A page has the places of all of them, as links where they are drawn.
    let html = render::html(&ladder, &render::HtmlOptions::default());
    let list = &html[html.find("class=\"finds\"").unwrap()..];
    let list = &list[..list.find("</ul>").unwrap()];
    let places = list.matches(" s</a>").count() + list.matches(" s</span>").count();
    assert_eq!((list.matches("<li").count(), places), (3, 50), "{list}");
}

#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    let written = document();
    if std::env::var_os("PORT21_WRITE_DOCS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == written,
        "docs/findings.md is not what the rules say: PORT21_WRITE_DOCS=1 cargo test -p port21-trace --test trace"
    );
}

fn document() -> String {
    let mut out = "\
# Findings

Written by `PORT21_WRITE_DOCS=1 cargo test -p port21-trace --test trace` from the rules in `crates/trace/src/findings/`;
the same test fails where this file is not what they say.

`port21 trace` looks for these in every session, whether it is a recording or a capture. A **fault** is something that
failed, a **warning** will fail elsewhere or costs much, a **note** is worth knowing. What follows from a fault is told as a
part of it and not as another: an unanswered data connection and the 425 behind it are one finding.
`--fail-on fault|warning|note` ends the program with exit code 8 where there is one, for scripts.
"
    .to_owned();
    for (severity, title) in [(Severity::Fault, "Faults"), (Severity::Warning, "Warnings"), (Severity::Note, "Notes")] {
        let _ = write!(out, "\n## {title}\n\n| rule | what it finds | what to do | source |\n|---|---|---|---|\n");
        for rule in RULES.iter().filter(|rule| rule.severity == severity) {
            let _ = writeln!(out, "| `{}` | {} | {} | {} |", rule.name, rule.when, rule.advice, rule.source);
        }
    }
    out
}

proptest! {
    #[test]
    fn anything_can_be_judged(events in proptest::collection::vec(event(), 0..80)) {
        let session = Session::from_events(events);
        for finding in findings(&session) {
            prop_assert!(finding.rows.iter().all(|&row| row < session.events().len()));
            prop_assert!(finding.rows.len() <= 64);
            prop_assert!(!finding.text.chars().any(char::is_control), "{:?}", finding.text);
        }
    }
}
