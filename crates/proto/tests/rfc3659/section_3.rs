//! MDTM.

use port21_proto::server::StorageError;

use crate::bench::Bench;
use crate::play::{expect, refused, reply};

/// 213 and the time; 550 for what is not there; 501 without a name; a feature `MDTM`.
#[test]
fn replies() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("MDTM readme.txt", &[213]), ("MDTM nosuch", &[550]), ("MDTM", &[501])]);
    assert_eq!(refused(&mut b, "MDTM x", StorageError::Denied), [550]);
    assert!(reply(&mut b, "FEAT").contains(&" MDTM".to_owned()));
    expect(&mut Bench::new(), &[("MDTM x", &[530])]);
}

/// A name that looks like a time and a name is a name where there is such a file: only else is a time set.
#[test]
fn a_name_comes_before_a_time_to_set() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("MDTM 20050502210700 readme.txt", &[253]), ("MDTM 20050502210700 nosuch", &[550])]);
    expect(&mut Bench::logged_in("ftp"), &[("MDTM 20050502210700 readme.txt", &[550])]);
}
