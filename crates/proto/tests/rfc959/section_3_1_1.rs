//! Data types.

use crate::bench::Bench;
use crate::play::{expect, reply};

/// TYPE A is there, is what a session begins with, and `A N` is the same.
#[test]
fn ascii_is_the_default() {
    let mut b = Bench::logged_in("ftp");
    assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("ASCII"));
    b.complete(1);
    expect(&mut b, &[("TYPE I", &[200]), ("TYPE A N", &[200]), ("type a", &[200])]);
    assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("ASCII"));
}

/// TYPE I is there; `L 8` is the same on machines with bytes of eight bits.
#[test]
fn image_and_local_of_eight_bits() {
    for name in ["I", "L 8", "L8", "i"] {
        let mut b = Bench::logged_in("ftp");
        expect(&mut b, &[(&format!("TYPE {name}"), &[200])]);
        assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("BINARY"), "{name}");
    }
}

/// Types that are not there are refused with 504 and change nothing: EBCDIC, vertical formats, other byte sizes.
#[test]
fn others_are_refused() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("TYPE I", &[200]),
            ("TYPE E", &[504]),
            ("TYPE E N", &[504]),
            ("TYPE A T", &[504]),
            ("TYPE A C", &[504]),
            ("TYPE L 36", &[504]),
            ("TYPE X", &[501]),
            ("TYPE A X", &[501]),
            ("TYPE I N", &[501]),
            ("TYPE L", &[501]),
            ("TYPE L x", &[501]),
            ("TYPE", &[501]),
        ],
    );
    assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("BINARY"));
}
