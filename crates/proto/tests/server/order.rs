//! The queue: replies in the order of commands, whatever is sent ahead.

use std::sync::Arc;

use port21_proto::server::{OpId, Outcome, Output, ServerSession, SessionSettings, TlsMode};

use crate::bench::{Bench, settings};

fn replies(b: &mut Bench) -> Vec<String> {
    b.take().into_iter().filter(|l| !l.starts_with('C')).collect()
}

#[test]
fn sent_at_once_answered_in_turn() {
    let mut b = Bench::logged_in("ftp");
    b.say("EPSV\r\nRETR readme.txt\r\nEPSV\r\nRETR readme.txt\r\n");
    b.complete(1715);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [229, 150, 226, 229, 150, 226]);
}

#[test]
fn noop_and_stat_are_answered_during_a_transfer() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nTYPE I\r\nRETR readme.txt");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    b.session.handle_progress(b.now, op, 1000);
    b.say("NOOP\r\nSTAT\r\n");
    let got = replies(&mut b);
    assert!(got.contains(&"S: 200 NOOP command successful.".to_owned()), "{got:?}");
    assert!(got.contains(&"S:  RETR readme.txt running, 1000 bytes transferred".to_owned()), "{got:?}");
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
}

#[test]
fn what_waits_is_not_overtaken() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("EPSV\r\nRETR readme.txt\r\nPWD\r\nNOOP\r\nSTAT readme.txt\r\nQUIT"), [229, 150]);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 257, 200, 213, 221]);
    assert!(b.closed);
}

#[test]
fn a_noop_before_the_150_keeps_its_turn() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV");
    b.hold_all = true;
    b.say("RETR readme.txt\r\nNOOP\r\n");
    let open = b.only();
    b.answer(open, port21_proto::server::Outcome::Opened(Ok(Default::default())));
    assert_eq!(b.reply_codes(), [150, 200]);
}

#[test]
fn quit_waits_for_the_transfer_even_when_the_client_has_gone_quiet() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.say("QUIT\r\n");
    b.eof();
    assert_eq!(b.take()[1..], ["C: EOF"], "it is not cut off");
    assert!(!b.closed);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 221]);
    assert!(b.closed);
}

#[test]
fn who_leaves_without_quit_takes_the_transfer_along() {
    for line in ["RETR readme.txt", "LIST", "STOR x"] {
        let mut b = Bench::logged_in("root");
        b.codes(&format!("EPSV\r\n{line}"));
        b.eof();
        assert!(b.take()[1].starts_with("* cancel transfer"), "{line}");
        assert!(!b.closed, "the outcome is still to come");
    }
}

#[test]
fn who_sends_far_ahead_is_slowed_down_and_loses_nothing() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    let many = "PWD\r\n".repeat(1000);
    let mut rest = many.as_bytes();
    let mut answered = 0;
    let taken = b.session.handle_input(b.now, rest);
    assert_eq!(taken, "PWD\r\n".len() * SessionSettings::default().max_queued);
    assert!(!b.session.takes_input());
    rest = &rest[taken..];
    b.complete(1715);
    while !rest.is_empty() {
        let taken = b.session.handle_input(b.now, rest);
        assert!(taken > 0);
        rest = &rest[taken..];
    }
    b.say("");
    answered += b.reply_codes().iter().filter(|c| **c == 257).count();
    assert_eq!(answered, 1000);
}

#[test]
fn what_came_at_once_is_answered_at_once() {
    let mut b = Bench::logged_in("ftp");
    b.session.handle_input(b.now, b"NOOP\r\nPWD\r\nTYPE I\r\n");
    let Output::Send(bytes) = b.session.poll_output() else { panic!("no replies") };
    assert_eq!(bytes.split(|b| *b == b'\n').count(), 4, "in one segment");
    assert!(matches!(b.session.poll_output(), Output::Wait(_)));
}

#[test]
fn what_was_not_waited_for_changes_nothing() {
    let mut b = Bench::logged_in("ftp");
    b.hold_all = true;
    b.say("CWD pub\r\n");
    b.take();
    b.session.handle_outcome(b.now, OpId(999), Outcome::Done(Ok(())));
    b.say("");
    assert!(b.take().is_empty());
    let op = b.only();
    b.answer(op, Outcome::Done(Ok(())));
    assert_eq!(b.reply_codes(), [250]);

    b.hold_all = false;
    b.codes("EPSV\r\nRETR /readme.txt");
    b.session.handle_outcome(b.now, OpId(999), Outcome::Done(Ok(())));
    b.session.handle_progress(b.now, OpId(999), 1 << 40);
    b.say("STAT\r\n");
    let got = b.take();
    assert!(got.contains(&"S:  RETR /readme.txt running, 0 bytes transferred".to_owned()), "{got:?}");
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
}

#[test]
fn an_overlong_line_is_refused_and_its_tail_never_run() {
    let mut b = Bench::logged_in("root");
    b.take();
    let mut line = b"DELE ".to_vec();
    line.resize(1_000_000, b'x');
    line.extend_from_slice(b" DELE readme.txt\r\nNOOP\r\n");
    for segment in line.chunks(1400) {
        b.feed(segment);
    }
    assert_eq!(b.reply_codes(), [500, 200]);
}

#[test]
fn bad_lines_have_their_codes() {
    let mut b = Bench::logged_in("root");
    for (line, code) in [
        ("NOSUCH", 502),
        ("", 502),
        ("CWD", 501),
        ("TYPE X", 501),
        ("TYPE E", 504),
        ("STRU R", 504),
        ("MODE B", 504),
        ("REST -1", 501),
        ("REST 9223372036854775808", 501),
        ("REST 18446744073709551616", 501),
        ("PORT 1,2,3", 501),
        ("EPRT |3|x|1|", 522),
        ("SITE EXEC ls", 504),
        ("SITE CHMOD 999 x", 501),
        ("SITE CHMOD 4777 x", 501),
        ("OPTS NOSUCH", 501),
        ("OPTS UTF8 OFF", 501),
        ("MFMT 2005 x", 501),
        ("ALLO x", 501),
        ("CWD a\0b", 501),
        ("HELP NOSUCH", 501),
    ] {
        assert_eq!(b.codes(line), [code], "{line}");
    }
    assert!(!b.closed);
}

#[test]
fn who_reads_no_replies_is_not_answered_without_end() {
    let mut b = Bench::logged_in("ftp");
    let input = b"HELP\r\n".repeat(100_000);
    let (mut taken, mut unsent) = (0, 0);
    loop {
        // The driver sends nothing: the peer's window is full.
        let read = b.session.handle_input(b.now, &input[taken..]);
        taken += read;
        if read == 0 {
            break;
        }
    }
    assert!(taken < input.len() && !b.session.takes_input());
    loop {
        match b.session.poll_output() {
            Output::Send(bytes) => unsent += bytes.len(),
            Output::Wait(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(unsent < 256 * 1024, "{unsent} bytes wait");
    assert!(b.session.takes_input(), "and goes on once they are sent");

    // 64 KiB may wait: a greeting that is as long is the last thing before something is sent.
    for (length, takes) in [(64 * 1024, false), (64 * 1024 - 1, true)] {
        let greeting = "x".repeat(length - "220 \r\n".len());
        let settings = Arc::new(SessionSettings { greeting, ..settings() });
        let session = ServerSession::new(settings, TlsMode::Off, "192.0.2.1:9".parse().unwrap(), b.now);
        assert_eq!(session.takes_input(), takes, "{length}");
    }
}
