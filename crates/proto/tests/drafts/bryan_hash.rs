//! draft-bryan-ftpext-hash-02: HASH.

use port21_proto::server::StorageError;

use crate::bench::{Bench, settings};
use crate::play::{expect, refused, reply};

/// `213 NAME FIRST-LAST DIGEST PATH`, the last byte counted, the digest in lowercase (section 3).
#[test]
fn the_reply() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(reply(&mut b, "HASH readme.txt"), [format!("213 SHA-256 0-1714 {} readme.txt", "a5".repeat(32))]);
}

/// The algorithm is that of OPTS HASH until it is changed or REIN; FEAT lists all and marks it (sections 3.1, 3.2).
#[test]
fn the_algorithm() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("OPTS HASH crc32", &[200])]);
    assert_eq!(reply(&mut b, "HASH readme.txt"), ["213 CRC32 0-1714 a5a5a5a5 readme.txt"]);
    assert_eq!(reply(&mut b, "OPTS HASH"), ["200 CRC32"]);
    assert_eq!(b.codes("REIN"), [220]);
    assert_eq!(reply(&mut b, "OPTS HASH"), ["200 SHA-256"]);
}

/// RANG before it chooses the bytes, for one HASH; `RANG 1 0` takes that back (section 3.3).
#[test]
fn a_part() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("OPTS HASH crc32", &[200]), ("RANG 0 49", &[350])]);
    assert_eq!(reply(&mut b, "HASH readme.txt"), ["213 CRC32 0-49 a5a5a5a5 readme.txt"]);
    assert_eq!(reply(&mut b, "HASH readme.txt"), ["213 CRC32 0-1714 a5a5a5a5 readme.txt"]);
    expect(&mut b, &[("RANG 0 49", &[350]), ("RANG 1 0", &[350])]);
    assert_eq!(reply(&mut b, "HASH readme.txt"), ["213 CRC32 0-1714 a5a5a5a5 readme.txt"]);
}

/// 501 without a name, 550 for what is not there, 553 for a directory, 556 for what is too large by policy, 450 while busy
/// (section 3.5).
#[test]
fn errors() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("HASH", &[501]), ("HASH nosuch", &[550]), ("HASH pub", &[553])]);
    assert_eq!(refused(&mut b, "HASH x", StorageError::Busy), [450]);
    let settings = port21_proto::server::SessionSettings { guest_digest_limit: 1714, ..settings() };
    let mut b = Bench::with(settings, "192.0.2.1:1175".parse().unwrap());
    expect(&mut b, &[("USER ftp\r\nPASS x", &[331, 230]), ("HASH readme.txt", &[556]), ("XMD5 readme.txt", &[556])]);
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230]), ("HASH readme.txt", &[213])]);
}

/// Only files that the user may read have a digest (section 6).
#[test]
fn only_of_what_may_be_read() {
    expect(&mut Bench::new(), &[("HASH readme.txt", &[530]), ("XCRC readme.txt", &[530])]);
}

/// A digest that takes long is ended by ABOR; what waits behind it and has not begun is not done either.
#[test]
fn abor_ends_it() {
    let mut b = Bench::logged_in("ftp");
    b.take();
    b.hold_all = true;
    b.say("HASH readme.txt\r\nXCRC readme.txt\r\nPWD\r\nABOR\r\n");
    let got = b.take();
    assert!(got.iter().any(|line| line.starts_with("* cancel Digest")), "{got:?}");
    let op = b.only();
    b.answer(op, port21_proto::server::Outcome::Digest(Err(StorageError::Cancelled)));
    assert_eq!(b.reply_codes(), [426, 426, 257, 226]);
}

/// NOOP waits behind one: its reply would be taken for that of HASH.
#[test]
fn nothing_overtakes_it() {
    let mut b = Bench::logged_in("ftp");
    b.take();
    b.hold_all = true;
    b.say("HASH readme.txt\r\nNOOP\r\n");
    assert!(b.reply_codes().is_empty());
}

/// The end of the client ends it, unless the client has said QUIT and only waits for the answer.
#[test]
fn the_end_of_the_client_ends_it() {
    for (line, cancelled) in [("HASH readme.txt\r\n", true), ("HASH readme.txt\r\nQUIT\r\n", false)] {
        let mut b = Bench::logged_in("ftp");
        b.hold_all = true;
        b.say(line);
        b.take();
        b.eof();
        assert_eq!(b.take().iter().any(|line| line.starts_with("* cancel")), cancelled, "{line}");
    }
}
