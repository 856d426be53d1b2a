//! Transfer parameter commands.

use crate::bench::Bench;
use crate::play::{expect, ready, reply};

/// PORT names the client's data port as six decimal numbers.
#[test]
fn port() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("PORT 192,0,2,1,19,137", &[200]),
            ("PORT", &[501]),
            ("PORT 192,0,2,1,19", &[501]),
            ("PORT 192,0,2,1,19,256", &[501]),
            ("PORT 192.0.2.1.19.137", &[501]),
        ],
    );
    assert_eq!(reply(&mut b, "LIST")[0], "150 Opening ASCII mode data connection for /bin/ls.");
}

/// PASV makes the server listen, and its reply names host and port.
#[test]
fn pasv() {
    let mut b = Bench::logged_in("ftp");
    let reply = reply(&mut b, "PASV");
    let addr = port21_proto::addr::parse_pasv(reply[0].as_bytes()).unwrap();
    assert_eq!(reply, [format!("227 Entering Passive Mode ({}).", port21_proto::addr::write_port(addr))]);
}

/// All parameters have a default: a transfer needs only a data port to have been named. (The default port of RFC 959, the
/// client's control port, is not connected to: no client listens there.)
#[test]
fn defaults() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("RETR readme.txt", &[425]), ("PASV", &[227]), ("RETR readme.txt", &[150])]);
}

/// The replies tell what was set.
#[test]
fn what_was_set_is_told() {
    let mut b = Bench::new();
    for (line, answer) in [
        ("TYPE A", "200 Type set to A."),
        ("TYPE I", "200 Type set to I."),
        ("TYPE L 8", "200 Type set to I."),
        ("STRU F", "200 Structure set to F."),
        ("MODE S", "200 Mode set to S."),
        ("MODE Z", "200 Mode set to Z."),
    ] {
        assert_eq!(reply(&mut b, line), [answer]);
    }
}

/// Parameters stay until they are changed.
#[test]
fn parameters_stay() {
    let mut b = ready();
    for _ in 0..3 {
        assert!(reply(&mut b, "RETR readme.txt")[0].contains("BINARY"));
        b.complete(1);
        expect(&mut b, &[("EPSV", &[229])]);
    }
}
