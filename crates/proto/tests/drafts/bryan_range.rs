//! draft-bryan-ftp-range-08: RANG.

use crate::bench::Bench;
use crate::play::{asked, expect, ready, reply};

/// `RANG FIRST LAST`: 350, both bytes counted, for the next transfer (section 3).
#[test]
fn for_the_next_transfer() {
    let mut b = ready();
    assert_eq!(reply(&mut b, "RANG 7 9"), ["350 Restarting at 7. End byte range at 9."]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 7 to 10"]);
    let mut b = ready();
    expect(&mut b, &[("RANG 7 9", &[350]), ("RETR nosuch", &[550]), ("EPSV", &[229])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 0"]);
}

/// `RANG 1 0` takes it back; an end before the beginning is 501; so is what is no number (section 3).
#[test]
fn taken_back() {
    let mut b = ready();
    expect(&mut b, &[("RANG 7 9", &[350]), ("RANG 1 0", &[350])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 0"]);
    expect(&mut ready(), &[("RANG 9 7", &[501]), ("RANG x y", &[501]), ("RANG 1", &[501]), ("RANG", &[501])]);
}

/// REST takes its place, ABOR and USER take it back.
#[test]
fn other_commands() {
    let mut b = ready();
    expect(&mut b, &[("RANG 7 9", &[350]), ("REST 5", &[350])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 5"]);
    let mut b = ready();
    expect(&mut b, &[("REST 5", &[350]), ("RANG 7 9", &[350])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 7 to 10"]);
    for between in ["ABOR", "USER root\r\nPASS secret"] {
        let mut b = ready();
        b.codes(&format!("RANG 7 9\r\n{between}\r\nEPSV"));
        assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 0"], "{between}");
    }
}

/// In TYPE A it is refused when the transfer is asked for. So is a range of an upload, which could not be undone: REST and
/// STOR do what it is for.
#[test]
fn where_it_does_not_go() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("EPSV", &[229]), ("RANG 0 9", &[350]), ("RETR readme.txt", &[504])]);
    for line in ["STOR readme.txt", "APPE readme.txt", "STOU"] {
        expect(&mut ready(), &[("RANG 0 9", &[350]), (line, &[504])]);
    }
}

/// The feature is `RANG STREAM` (section 3.1).
#[test]
fn feat() {
    assert!(reply(&mut Bench::new(), "FEAT").contains(&" RANG STREAM".to_owned()));
}
