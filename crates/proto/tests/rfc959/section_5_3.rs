//! Commands: their form.

use crate::bench::Bench;
use crate::play::{asked, expect};

/// Verbs are in any case; one space parts them from their argument; blanks before them are passed over.
#[test]
fn case_and_blanks() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("nOoP", &[200]), ("  NOOP", &[200]), ("NOOP  ", &[200]), ("cwd pub", &[250])]);
    assert_eq!(
        asked(&mut b, "SIZE  two blanks"),
        ["Size { path: FtpPath(\"/pub/ two blanks\"), representation: Ascii }"]
    );
}

/// A command line ends with CR LF; a bare LF is taken as well.
#[test]
fn ends_of_lines() {
    let mut b = Bench::logged_in("ftp");
    b.feed(b"NOOP\nNOOP\r\n");
    assert_eq!(b.reply_codes(), [200, 200]);
}

/// Telnet commands in a line vanish at every place, its end too, and 0xFF doubled is a byte of the name.
#[test]
fn telnet_at_every_place() {
    let line = b"SIZE a\xff\xffb\r\n";
    for interrupt in [&b"\xff\xf1"[..], b"\xff\xf4\xff\xf2", b"\xff\xfd\x01"] {
        for at in (0..=line.len()).filter(|at| *at != 7) {
            let mut b = Bench::logged_in("ftp");
            b.hold_all = true;
            b.take();
            b.feed(&[&line[..at], interrupt, &line[at..]].concat());
            let got = b.take();
            let want = r"* Size { path: FtpPath(/a\xffb)";
            assert!(got.iter().any(|l| l.replace('"', "").starts_with(want)), "{at}: {got:?}");
        }
    }
}

/// What is longer than a line may be is refused as one command, and no part of it is run as another.
#[test]
fn overlong() {
    let mut b = Bench::logged_in("root");
    let line = format!("DELE {}\r\nNOOP", "x".repeat(100_000));
    assert_eq!(b.codes(&line), [500, 200]);
}
