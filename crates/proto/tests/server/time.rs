//! Every wait has an end.

use std::time::Duration;

use port21_proto::server::{Action, SessionSettings, TransferError};

use crate::bench::{Bench, settings};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn who_does_not_log_in_is_let_go() {
    let mut b = Bench::new();
    b.take();
    b.pass(MINUTE / 2);
    b.say("USER ftp\r\n");
    b.pass(MINUTE / 2 + Duration::from_secs(1));
    assert!(b.closed);
    assert_eq!(b.reply_codes(), [331, 421]);
}

#[test]
fn one_byte_a_minute_is_no_login() {
    let mut b = Bench::new();
    for _ in 0..20 {
        b.feed(b"U");
        b.pass(MINUTE);
    }
    assert!(b.closed);
}

#[test]
fn who_says_nothing_is_let_go() {
    let mut b = Bench::logged_in("ftp");
    b.pass(4 * MINUTE);
    assert_eq!(b.codes("NOOP"), [200]);
    b.pass(4 * MINUTE);
    assert!(!b.closed);
    b.pass(2 * MINUTE);
    assert!(b.closed);
    assert_eq!(b.reply_codes(), [421]);
}

#[test]
fn nothing_ends_before_its_time_and_all_that_is_late() {
    let mut b = Bench::logged_in("ftp");
    b.session.handle_timeout(b.now);
    b.say("");
    assert!(!b.closed && b.take().is_empty());
    b.session.handle_timeout(b.until + MINUTE);
    b.say("");
    assert!(b.closed, "a driver that was busy");
}

#[test]
fn who_is_let_go_is_told_why() {
    let mut b = Bench::new();
    b.pass(MINUTE);
    assert!(b.take().contains(&"S: 421 No login within 60 s; closing.".to_owned()));
    let idle = SessionSettings { idle_timeout: MINUTE / 6, ..settings() };
    let mut b = Bench::with(idle, "192.0.2.1:9".parse().unwrap());
    b.pass(MINUTE / 6);
    assert!(b.take().contains(&"S: 421 No command for 10 s; closing.".to_owned()));
    let mut b = Bench::logged_in("ftp");
    b.pass(5 * MINUTE);
    assert!(b.take().contains(&"S: 421 No command for 300 s; closing.".to_owned()));
}

#[test]
fn nobody_connects() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.pass(MINUTE / 2 + Duration::from_secs(1));
    assert_eq!(b.take(), ["* cancel transfer Down"]);
    b.fail(TransferError::Cancelled);
    let got = b.take();
    assert!(got[0].starts_with("S: 425 ") && got[0].contains("within 30 s"), "{got:?}");
    assert!(!b.closed);
}

#[test]
fn a_connection_that_carries_nothing() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    for step in 1..9 {
        b.pass(MINUTE);
        b.session.handle_progress(b.now, op, step * 10);
        assert!(b.take().is_empty(), "it moves");
    }
    b.say("");
    b.pass(3 * MINUTE);
    assert_eq!(b.take(), ["* cancel transfer Down"]);
    b.fail(TransferError::Cancelled);
    let got = b.take();
    assert!(got[0].starts_with("S: 426 ") && got[0].contains("120 s"), "{got:?}");
    assert!(!b.closed, "the session goes on");
    assert_eq!(b.codes("NOOP"), [200]);
}

#[test]
fn the_same_number_of_bytes_again_is_no_progress() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    for _ in 0..2 {
        b.session.handle_progress(b.now, op, 10);
        b.say("");
        b.pass(MINUTE);
    }
    assert_eq!(b.take(), ["* cancel transfer Down"]);
}

#[test]
fn a_long_transfer_is_not_idle() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    for step in 1..100 {
        b.pass(MINUTE);
        b.session.handle_progress(b.now, op, step);
        b.say("");
    }
    b.complete(99);
    assert_eq!(b.reply_codes(), [226]);
    b.pass(4 * MINUTE);
    assert!(!b.closed);
}

#[test]
fn going_down_lets_a_transfer_end() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt\r\nPWD");
    b.session.handle_shutdown(b.now);
    b.say("");
    assert!(!b.closed);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 421]);
    assert!(b.closed);

    let mut idle = Bench::logged_in("ftp");
    idle.session.handle_shutdown(idle.now);
    idle.say("");
    assert_eq!(idle.reply_codes(), [421]);
    assert!(idle.closed);
}

#[test]
fn an_account_that_was_changed_lets_a_transfer_end_and_nothing_else_begin() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt\r\nDELE readme.txt");
    b.session.handle_account_changed(b.now);
    b.say("");
    assert!(!b.closed);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 421]);
    assert!(b.closed);
}

#[test]
fn a_new_login_has_its_own_time() {
    let mut b = Bench::logged_in("ftp");
    b.pass(2 * MINUTE);
    assert_eq!(b.codes("USER root"), [331]);
    b.pass(MINUTE / 2);
    assert_eq!(b.codes("PASS secret"), [230]);
    // But naming oneself again and again does not make it longer.
    b.codes("USER root");
    for _ in 0..5 {
        b.pass(MINUTE / 4);
        b.say("USER root\r\n");
    }
    assert!(b.closed);
}

#[test]
fn while_going_down_an_upload_can_still_be_aborted_or_lost() {
    for last in ["ABOR\r\n", ""] {
        let mut b = Bench::logged_in("root");
        b.codes("EPSV\r\nSTOR new");
        b.session.handle_shutdown(b.now);
        b.say("NOOP\r\n");
        assert_eq!(b.reply_codes(), [200]);
        b.say(last);
        if last.is_empty() {
            b.eof();
        }
        b.complete(9);
        assert!(!b.take().contains(&"* sync".to_owned()), "{last:?}");
        assert!(b.closed);
    }
}

/// How long a driver has to wait with the outcome of an upload's sync: `took` long, with or without the right ALLO.
fn grace(took: Duration, allo: &str) -> Duration {
    let mut b = Bench::logged_in("root");
    b.codes(allo);
    b.codes("EPSV\r\nSTOR new");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    b.pass(took);
    b.complete(4096);
    match &b.held[&b.only()] {
        Action::Sync { until, .. } => until.since(b.now),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_longer_an_upload_took_the_longer_its_client_has_to_stand() {
    let ms = Duration::from_millis;
    assert_eq!(grace(ms(80), "NOOP"), ms(20));
    assert_eq!(grace(ms(2000), "NOOP"), ms(50), "never longer than is set");
    assert_eq!((grace(ms(7), "NOOP"), grace(ms(8), "NOOP")), (ms(0), ms(2)), "no timer is finer");
}

#[test]
fn who_has_sent_what_was_announced_is_done() {
    assert_eq!(grace(Duration::from_secs(2), "ALLO 4096"), Duration::ZERO);
    assert_eq!(grace(Duration::ZERO, "ALLO 4097"), Duration::from_millis(50), "it may be a part");
}

#[test]
fn going_down_ends_also_what_a_client_that_is_gone_has_left() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt\r\nEPSV\r\nRETR readme.txt\r\nQUIT");
    b.eof();
    b.session.handle_shutdown(b.now);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 421]);
    assert!(b.closed);
}
