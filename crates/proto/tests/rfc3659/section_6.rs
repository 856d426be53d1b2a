//! TVFS.

use crate::bench::Bench;
use crate::play::{expect, reply};

/// Paths are parts between `/`; `..` is the parent, that of the root the root; a feature `TVFS`.
#[test]
fn paths() {
    let mut b = Bench::logged_in("ftp");
    assert!(reply(&mut b, "FEAT").contains(&" TVFS".to_owned()));
    expect(&mut b, &[("CWD /pub", &[250]), ("CWD ..", &[250]), ("CWD ../../..", &[250]), ("CWD pub/../pub/.", &[250])]);
    assert!(reply(&mut b, "PWD")[0].starts_with("257 \"/pub\""));
    expect(&mut b, &[("SIZE ../readme.txt", &[213]), ("SIZE /readme.txt", &[213]), ("SIZE //readme.txt", &[213])]);
}
