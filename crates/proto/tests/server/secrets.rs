//! What must not be seen is not: in events, and in what a machine shows of itself.

use port21_proto::event::EventKind;
use port21_proto::server::{Output, SessionSettings};

use crate::bench::{Bench, settings};

/// All that the events of a session show after these bytes.
fn shown(bytes: &[u8]) -> String {
    let mut b = Bench::with(SessionSettings { events: true, ..settings() }, "192.0.2.1:9".parse().unwrap());
    b.session.handle_input(b.now, bytes);
    let mut out = String::new();
    loop {
        match b.session.poll_output() {
            Output::Wait(_) => return out,
            Output::Event(event) => match event.kind {
                EventKind::Command { verb, argument, .. } => out += &format!("{verb} {}\n", argument.escape_ascii()),
                EventKind::Malformed { head, why, .. } => out += &format!("{} {why}\n", head.escape_ascii()),
                other => out += &format!("{other:?}\n"),
            },
            _ => {}
        }
    }
}

#[test]
fn passwords_are_no_part_of_events_however_they_are_written() {
    let long = [b"PASS ", "hunter2".repeat(1000).as_bytes(), b"\r\n"].concat();
    for line in [
        &b"PASS hunter2\r\n"[..],
        b"pass  hunter2\n",
        b" \t PaSs hunter2 hunter2\r\n",
        b"PASS\thunter2\r\n",
        b"PASS\0hunter2\r\n",
        b"PASShunter2\r\n",
        b"PASSWORD hunter2\r\n",
        b"PASS:hunter2\r\n",
        b"\xff\xf4\xff\xf2PASS hunter2\r\n",
        b"P\xff\xf1ASS hunter2\r\n",
        b"\xff\xf2PASS hunter2\r\n",
        b"\xffPASS hunter2\r\n",
        b"\xef\xbb\xbfPASS hunter2\r\n",
        b"\0\0PASS hunter2\r\n",
        b"USER me\rPASS hunter2\r\n",
        b"USER me\0PASS hunter2\r\n",
        b"ACCT hunter2\r\n",
        b"SITE PSWD hunter2 hunter2\r\n",
        b"site  passwd hunter2\r\n",
        b"SITE\tCPWD hunter2\r\n",
        b"SITE GPASS hunter2\r\n",
        b"QUOTE PASS hunter2\r\n",
        b"literal  pass hunter2\r\n",
        b"quote site pswd hunter2 hunter2\r\n",
        b"quote quote pass hunter2\r\n",
        &long,
    ] {
        let shown = shown(line);
        assert!(shown.contains("***"), "{} {shown}", line.escape_ascii());
        assert!(!shown.contains("hunter2"), "{} {shown}", line.escape_ascii());
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for (line, part) in [
        ("RETR PASS word\r\n", "PASS word"),
        ("PASV\r\n", "PASV"),
        ("SITE CHMOD 644 passwd\r\n", "644 passwd"),
        ("STOR ACCT\r\n", "ACCT"),
    ] {
        let shown = shown(line.as_bytes());
        assert!(!shown.contains("***"), "{shown}");
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn a_session_that_is_shown_shows_no_password() {
    let bytes = format!("{:?}", b"hunter2");
    let bytes = bytes.trim_matches(['[', ']']);
    let mut b = Bench::new();
    b.feed(b"USER me\r\nPASS hunter2");
    assert!(!format!("{:?}", b.session).contains(bytes), "half a line");
    b.hold_all = true;
    b.feed(b"\r\n");
    assert!(!format!("{:?}", b.session).contains(bytes), "a line that was run");
}
