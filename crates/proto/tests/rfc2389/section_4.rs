//! OPTS.

use crate::bench::Bench;
use crate::play::{expect, reply};

/// An option that is there: 200. One that is not, or an argument that it does not take: 501.
#[test]
fn replies() {
    let mut b = Bench::new();
    expect(
        &mut b,
        &[
            ("OPTS UTF8 ON", &[200]),
            ("OPTS UTF8", &[200]),
            ("OPTS utf-8 nlst", &[200]),
            ("OPTS MLST size;", &[200]),
            ("OPTS HASH", &[200]),
            ("OPTS HASH md5", &[200]),
            ("OPTS MODE Z LEVEL 9", &[200]),
            ("OPTS UTF8 OFF", &[501]),
            ("OPTS UTF8 X", &[501]),
            ("OPTS HASH CRC-37", &[501]),
            ("OPTS MODE Z LEVEL 0", &[501]),
            ("OPTS RETR x", &[501]),
            ("OPTS NOSUCH", &[501]),
            ("OPTS", &[501]),
        ],
    );
}

/// The reply tells what was set, and a refusal changes nothing.
#[test]
fn what_was_set_is_told() {
    let mut b = Bench::new();
    assert_eq!(reply(&mut b, "OPTS UTF8 ON"), ["200 UTF8 is on."]);
    assert_eq!(reply(&mut b, "OPTS UTF8 OFF"), ["501 UTF8 stays on: names are never converted."]);
    assert_eq!(reply(&mut b, "OPTS MLST modify;size;x"), ["200 MLST OPTS size;modify;"]);
    assert_eq!(reply(&mut b, "OPTS MLST"), ["200 MLST OPTS"]);
    assert_eq!(reply(&mut b, "OPTS HASH sha-1"), ["200 SHA-1"]);
    assert_eq!(b.codes("OPTS HASH nosuch"), [501]);
    assert_eq!(reply(&mut b, "OPTS HASH"), ["200 SHA-1"]);
    assert!(reply(&mut b, "FEAT").contains(&" HASH SHA-256;SHA-512;SHA-1*;MD5;CRC32".to_owned()));
}
