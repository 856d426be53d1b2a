//! What RFC 959 left open.

use port21_proto::server::Output;

use crate::bench::Bench;
use crate::play::{expect, ready, reply};

/// A server must understand the commands and forms of the minimum of section 4.1.2.13.
#[test]
fn the_minimum() {
    let mut b = Bench::logged_in("root");
    for line in [
        "TYPE A",
        "TYPE I",
        "TYPE L 8",
        "STRU F",
        "MODE S",
        "PORT 192,0,2,1,9,9",
        "PASV",
        "RNFR readme.txt",
        "RNTO x",
        "DELE readme.txt",
        "CWD pub",
        "CDUP",
        "RMD pub",
        "MKD x",
        "PWD",
        "SYST",
        "STAT",
        "HELP",
        "NOOP",
        "ALLO 1",
    ] {
        assert!(matches!(b.codes(line)[0], 200..400), "{line}");
    }
    for (line, code) in [("RETR readme.txt", 150), ("LIST", 150), ("NLST", 150)] {
        expect(&mut b, &[("PASV", &[227]), (line, &[code])]);
        b.complete(1);
    }
}

/// Servers must answer TYPE L 8 as TYPE I (section 4.1.2.1).
#[test]
fn local_of_eight_bits() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("TYPE L 8", &[200]), ("PASV", &[227])]);
    assert!(reply(&mut b, "RETR readme.txt")[0].contains("BINARY"));
}

/// The reply to STOU tells the name as `FILE: pppp`, behind 150 or 125 (section 4.1.2.9).
#[test]
fn stou() {
    assert_eq!(reply(&mut ready(), "STOU"), ["150 FILE: /ftp"]);
}

/// PASV is there; its reply has the six numbers as `h1,h2,h3,h4,p1,p2` (section 4.1.2.6).
#[test]
fn pasv() {
    let text = reply(&mut Bench::logged_in("ftp"), "PASV").remove(0);
    let numbers = text.split(['(', ')']).nth(1).unwrap();
    assert_eq!(numbers.split(',').filter(|n| n.parse::<u8>().is_ok()).count(), 6, "{text}");
}

/// Replies have the codes of RFC 959; those of several lines have its form; new codes keep its classes (section 4.1.2.11).
#[test]
fn codes_keep_their_classes() {
    let mut b = Bench::logged_in("root");
    for line in
        ["MFMT 20050502210700 readme.txt", "HASH readme.txt", "MD5 readme.txt", "XCRC readme.txt", "MLST", "FEAT"]
    {
        assert!(matches!(b.codes(line)[0], 200..300), "{line}");
    }
    for line in ["MFMT x readme.txt", "HASH nosuch", "LANG fr", "EPSV 3", "RMDA nosuch"] {
        assert!(matches!(b.codes(line)[0], 500..600), "{line}");
    }
}

/// Telnet options are refused and Telnet commands ignored: a client that negotiates is served (section 4.1.2.12).
#[test]
fn telnet() {
    let mut b = Bench::logged_in("ftp");
    b.feed(b"\xff\xfb\x01\xff\xfd\x03NOOP\r\n");
    assert_eq!(b.reply_codes(), [200]);

    let sent = |b: &mut Bench, bytes: &[u8]| {
        b.session.handle_input(b.now, bytes);
        std::iter::from_fn(|| match b.session.poll_output() {
            Output::Send(bytes) => Some(bytes),
            Output::Close => Some(b"(close)".to_vec()),
            _ => None,
        })
        .collect::<Vec<_>>()
        .concat()
    };
    assert_eq!(sent(&mut b, b"\xff\xfb\x01\xff\xfd\x03"), b"\xff\xfe\x01\xff\xfc\x03", "DONT, WONT");
    assert!(sent(&mut b, b"\xff\xfb\x01QUIT\r\n").ends_with(b"(close)"), "and nothing behind the end");
}
