//! Clients that are too fast, too slow, or talk nonsense.

use std::time::Duration;

use port21_proto::server::{ServerSession, SessionSettings, TransferError};

use crate::bench::{Bench, settings};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn with(change: impl FnOnce(&mut SessionSettings)) -> Bench {
    let mut settings = settings();
    change(&mut settings);
    let mut bench = Bench::with(settings, "192.0.2.1:1175".parse().unwrap());
    bench.say("USER root\r\nPASS secret\r\n");
    bench.take();
    bench
}

/// Carries so many bytes a minute, for so many minutes or until it is ended: after how many it was.
fn trickle(bench: &mut Bench, command: &str, bytes: u64, minutes: u64) -> Option<u64> {
    bench.codes(&format!("EPSV\r\n{command}"));
    let op = bench.only();
    bench.session.handle_connected(bench.now, op);
    for minute in 1..=minutes {
        bench.pass(MINUTE);
        if bench.take().iter().any(|line| line.starts_with("* cancel")) {
            return Some(minute);
        }
        bench.session.handle_progress(bench.now, op, minute * bytes);
        bench.say("");
    }
    None
}

#[test]
fn a_byte_a_minute_is_no_transfer() {
    for command in ["RETR readme.txt", "STOR new", "LIST"] {
        let mut b = Bench::logged_in("root");
        assert_eq!(trickle(&mut b, command, 1, 60), Some(10), "{command}");
        b.fail(TransferError::Cancelled);
        let got = b.take();
        assert!(got.iter().any(|l| l.starts_with("S: 426 ") && l.contains("1 B/s for 600 s")), "{got:?}");
        assert_eq!(b.codes("NOOP"), [200], "the session goes on");
    }
}

#[test]
fn who_is_slow_but_not_too_slow_may_take_all_day() {
    let mut b = Bench::logged_in("root");
    assert_eq!(trickle(&mut b, "STOR new", 70, 24 * 60), None);
    b.complete(70 * 24 * 60);
    assert!(b.take().contains(&"* sync".to_owned()));
}

#[test]
fn what_came_fast_at_first_does_not_count_for_ever() {
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nRETR readme.txt");
    let op = b.only();
    b.session.handle_connected(b.now, op);
    b.session.handle_progress(b.now, op, 1 << 30);
    for step in 1..=19 {
        b.pass(MINUTE);
        b.session.handle_progress(b.now, op, (1 << 30) + step);
        assert!(b.take().is_empty(), "minute {step}");
    }
    b.pass(MINUTE);
    assert_eq!(b.take(), ["* cancel transfer Down"]);
}

#[test]
fn the_floor_can_be_lifted() {
    for change in
        [|s: &mut SessionSettings| s.min_rate = 0, |s: &mut SessionSettings| s.min_rate_window = Duration::ZERO]
    {
        assert_eq!(trickle(&mut with(change), "STOR new", 1, 500), None);
    }
}

/// Sends `NOOP` as long as it is taken: how often.
fn flood(session: &mut ServerSession, b: port21_proto::Time) -> usize {
    let flood = b"NOOP\r\n".repeat(1000);
    session.handle_input(b, &flood) / 6
}

#[test]
fn a_flood_of_commands_is_slowed_down_and_none_is_lost() {
    let mut b = with(|s| (s.command_rate, s.command_burst) = (100, 300));
    let mut sent = 0;
    let (start, wanted) = (b.now, 10_000);
    while sent < wanted {
        let taken = flood(&mut b.session, b.now);
        sent += taken;
        b.say("");
        assert_eq!(b.reply_codes(), vec![200; taken]);
        assert!(b.until < start + Duration::from_secs(3600), "a wait that ends");
        b.pass(b.until.since(b.now));
    }
    // 300 at once, then 100 a second.
    let took = b.now.since(start).as_secs();
    assert!((94..=99).contains(&took), "{took}");
    assert!(!b.closed);
}

#[test]
fn who_waits_has_the_whole_burst_again() {
    let mut b = with(|s| (s.command_rate, s.command_burst) = (100, 300));
    // The login was two commands.
    for expected in [298, 300, 300] {
        assert_eq!(flood(&mut b.session, b.now), expected);
        b.say("");
        b.take();
        b.pass(10 * SECOND);
    }
}

#[test]
fn a_transfer_is_not_held_up_by_its_clients_commands() {
    let mut b = with(|s| (s.command_rate, s.command_burst) = (1, 4));
    b.say("EPSV\r\nRETR readme.txt\r\nNOOP\r\n");
    assert!(!b.session.takes_input());
    b.take();
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
}

#[test]
fn mirrors_send_thousands_of_commands_ahead() {
    let mut b = Bench::logged_in("ftp");
    let ahead = "SIZE readme.txt\r\n".repeat(9_000);
    b.say(&ahead);
    assert_eq!(b.reply_codes().len(), 9_000);
}

#[test]
fn who_speaks_something_else_is_sent_away() {
    let mut b = Bench::logged_in("ftp");
    let garbage = "\u{1}\u{2}garbage\r\n";
    b.say(&garbage.repeat(49));
    assert_eq!(b.reply_codes(), vec![502; 49]);
    assert_eq!(b.codes("NOOP"), [200], "it speaks FTP after all");
    b.say(&garbage.repeat(49));
    assert!(!b.closed);
    b.say(garbage);
    assert_eq!(b.reply_codes().last(), Some(&421));
    assert!(b.closed);
}

#[test]
fn nonsense_can_be_put_up_with() {
    let mut b = with(|s| s.max_nonsense = 0);
    b.say(&"garbage\r\n".repeat(1000));
    assert_eq!(b.reply_codes(), vec![502; 1000]);
}

#[test]
fn a_command_that_was_meant_is_no_nonsense() {
    let mut b = Bench::logged_in("ftp");
    b.say(&"TYPE nosuch\r\nPORT 1\r\nRETR nosuch\r\n".repeat(200));
    assert!(!b.closed);
}
