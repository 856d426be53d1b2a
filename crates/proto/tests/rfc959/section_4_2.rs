//! Replies.

use crate::bench::Bench;
use crate::play::{ready, reply};

/// A reply is three digits, a space and a line of text.
#[test]
fn of_one_line() {
    for line in ["NOOP", "PWD", "SYST", "NOSUCH"] {
        let reply = reply(&mut Bench::logged_in("ftp"), line);
        assert_eq!(reply.len(), 1);
        let (code, text) = reply[0].split_at(3);
        assert!(code.parse::<u16>().is_ok() && text.starts_with(' ') && text.len() > 1, "{reply:?}");
    }
}

/// One of several lines begins with the code and a hyphen, and ends with a line of the same code and a space; lines between
/// that begin with digits are padded.
#[test]
fn of_several_lines() {
    for line in ["FEAT", "HELP", "STAT", "STAT readme.txt", "MLST readme.txt", "SITE HELP"] {
        let reply = reply(&mut Bench::logged_in("ftp"), line);
        let (first, last) = (&reply[0], &reply[reply.len() - 1]);
        assert!(reply.len() > 1 && first.as_bytes()[3] == b'-' && last.as_bytes()[3] == b' ', "{reply:?}");
        assert_eq!(first[..3], last[..3]);
        assert!(reply[1..reply.len() - 1].iter().all(|line| line.starts_with(' ')), "{reply:?}");
    }
}

/// Every command has at least one reply, and replies come in the order of the commands.
#[test]
fn in_order_and_one_at_least() {
    let mut b = ready();
    assert_eq!(b.codes("NOOP\r\nPWD\r\n\r\nNOSUCH\r\nCWD pub\r\nSYST"), [200, 257, 502, 502, 250, 215]);
}

/// An error tells what it is of, in the words of the client.
#[test]
fn of_errors() {
    let mut b = Bench::logged_in("root");
    for line in [
        "CWD no such",
        "SIZE no such",
        "MDTM no such",
        "MLST no such",
        "DELE no such",
        "RMD no such",
        "RNFR no such",
        "STAT no such",
        "HASH no such",
        "MFMT 20050502210700 no such",
    ] {
        assert_eq!(reply(&mut b, line), ["550 no such: No such file or directory."], "{line}");
    }
    assert_eq!(reply(&mut b, "CWD readme.txt"), ["550 readme.txt: Not a directory."]);
}

/// Connection established: 220.
#[test]
fn the_greeting() {
    assert_eq!(Bench::new().take(), ["S: 220 ANY-DOMAIN.COM FTP Service"]);
}
