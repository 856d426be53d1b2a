//! REST in stream mode.

use port21_proto::server::StorageError;

use crate::bench::Bench;
use crate::play::{asked, expect, ready, refused, reply};

/// REST with a number is 350, with anything else 501; up to 2^63 − 1, beyond 4 GiB too; a feature `REST STREAM`.
#[test]
fn numbers() {
    let mut b = ready();
    expect(
        &mut b,
        &[
            ("REST 0", &[350]),
            ("REST 5000000000", &[350]),
            ("REST 9223372036854775807", &[350]),
            ("REST 9223372036854775808", &[501]),
            ("REST 18446744073709551615", &[501]),
            ("REST 18446744073709551616", &[501]),
            ("REST -1", &[501]),
            ("REST +1", &[501]),
            ("REST 1x", &[501]),
            ("REST", &[501]),
        ],
    );
    assert!(reply(&mut b, "FEAT").contains(&" REST STREAM".to_owned()));
}

/// It is for the next transfer alone, whether that succeeds or not.
#[test]
fn for_one_transfer() {
    let mut b = ready();
    expect(&mut b, &[("REST 7", &[350]), ("RETR nosuch", &[550]), ("EPSV", &[229])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 0"]);
}

/// STOR behind it writes into the file that is there, from that byte on.
#[test]
fn with_stor() {
    let mut b = ready();
    expect(&mut b, &[("REST 7", &[350])]);
    assert_eq!(asked(&mut b, "STOR readme.txt"), ["create /readme.txt At(7)"]);
}

/// A place beyond the file's end is told when the transfer is asked for: 554.
#[test]
fn beyond_the_end() {
    let mut b = ready();
    expect(&mut b, &[("REST 5000", &[350])]);
    assert_eq!(refused(&mut b, "RETR readme.txt", StorageError::BadOffset), [554]);
}

/// With APPE and STOU it has no meaning: 503.
#[test]
fn not_with_appe_and_stou() {
    for line in ["APPE readme.txt", "STOU"] {
        let mut b = ready();
        expect(&mut b, &[("REST 7", &[350]), (line, &[503]), ("EPSV", &[229]), (line, &[150])]);
    }
}

/// In TYPE A only REST 0 has one meaning at both ends; others are refused when the transfer is asked for.
#[test]
fn in_a_text() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("EPSV", &[229]), ("REST 7", &[350]), ("RETR readme.txt", &[504])]);
    expect(&mut b, &[("EPSV", &[229]), ("REST 0", &[350]), ("RETR readme.txt", &[150])]);
}
