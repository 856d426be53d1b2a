//! draft-somers-ftp-mfxx-04: MFMT, MFCT, MFF.

use crate::bench::Bench;
use crate::play::{asked, expect, reply};

/// MFMT sets when a file was changed; the reply repeats fact and path (section 3).
#[test]
fn mfmt() {
    let mut b = Bench::logged_in("root");
    assert_eq!(reply(&mut b, "MFMT 20050502210700 readme.txt"), ["213 Modify=20050502210700; readme.txt"]);
    expect(&mut b, &[("MFMT 2005 x", &[501]), ("MFMT 20050502210700", &[501]), ("MFMT 20050502210700 nosuch", &[550])]);
    expect(&mut Bench::logged_in("ftp"), &[("MFMT 20050502210700 readme.txt", &[550])]);
}

/// MFCT is no feature, as no time of making can be set; it says so with 504 (section 4).
#[test]
fn mfct() {
    expect(&mut Bench::logged_in("root"), &[("MFCT 20050502210700 readme.txt", &[504]), ("MFCT x y", &[501])]);
}

/// MFF sets several facts at once, all of them or none; FEAT lists those that can be (section 5).
#[test]
fn mff() {
    let mut b = Bench::logged_in("root");
    assert_eq!(
        reply(&mut b, "MFF UNIX.mode=640;modify=20050502210700; readme.txt"),
        ["213 Modify=20050502210700;UNIX.mode=0640; readme.txt"]
    );
    expect(&mut b, &[("MFF Create=20050502210700; readme.txt", &[504]), ("MFF x readme.txt", &[501])]);
    let got = asked(&mut b, "MFF Modify=20050502210700;Create=20050502210700; readme.txt");
    assert!(got.is_empty(), "{got:?}");
    assert!(reply(&mut Bench::new(), "FEAT").contains(&" MFF Modify;UNIX.mode;".to_owned()));
}
