//! SIZE.

use port21_proto::server::StorageError;

use crate::bench::Bench;
use crate::play::{asked, expect, refused, reply};

/// 213 and the number of bytes that a transfer would have; 550 for what is not there or no file; 501 without a name.
#[test]
fn replies() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(reply(&mut b, "SIZE readme.txt"), ["213 1715"]);
    expect(&mut b, &[("SIZE nosuch", &[550]), ("SIZE pub", &[550]), ("SIZE", &[501])]);
    assert!(reply(&mut b, "FEAT").contains(&" SIZE".to_owned()));
}

/// The size is that of a transfer in the current type: of a text it may be too costly to find out, then 550.
#[test]
fn depends_on_the_type() {
    let mut b = Bench::logged_in("ftp");
    assert!(asked(&mut b, "SIZE readme.txt")[0].ends_with("representation: Ascii }"));
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("TYPE I", &[200])]);
    assert!(asked(&mut b, "SIZE readme.txt")[0].ends_with("representation: Image }"));
    assert_eq!(refused(&mut Bench::logged_in("ftp"), "SIZE x", StorageError::TooCostly), [550]);
}
