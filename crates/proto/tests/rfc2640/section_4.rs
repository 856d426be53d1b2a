//! LANG.

use crate::bench::Bench;
use crate::play::{expect, reply};

/// LANG with the tag of a language that is there, in any case, with subtags or without: 200; one that is not: 504.
#[test]
fn tags() {
    let mut b = Bench::new();
    expect(
        &mut b,
        &[
            ("LANG EN", &[200]),
            ("LANG en", &[200]),
            ("LANG en-US", &[200]),
            ("LANG fr", &[504]),
            ("LANG i-klingon", &[504]),
        ],
    );
}

/// LANG alone goes back to the default.
#[test]
fn default() {
    expect(&mut Bench::new(), &[("LANG", &[200]), ("LANG fr", &[504]), ("LANG", &[200])]);
}

/// FEAT lists the languages, the one that is set with an asterisk.
#[test]
fn feat() {
    assert!(reply(&mut Bench::new(), "FEAT").contains(&" LANG EN*".to_owned()));
}
