//! Times.

use crate::bench::Bench;
use crate::play::reply;

/// A time is `YYYYMMDDHHMMSS` in UTC.
#[test]
fn form() {
    assert_eq!(reply(&mut Bench::logged_in("ftp"), "MDTM readme.txt"), ["213 20050502210700"]);
    let facts = reply(&mut Bench::logged_in("ftp"), "MLST readme.txt");
    assert!(facts[1].contains("modify=20050502210700;"), "{facts:?}");
}
