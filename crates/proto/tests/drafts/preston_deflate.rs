//! draft-preston-ftpext-deflate-04: MODE Z.

use port21_proto::server::{Action, Mode, TransferError};

use crate::bench::Bench;
use crate::play::{expect, ready, reply};

fn how(b: &mut Bench, line: &str) -> (Mode, u8) {
    b.codes(line);
    match &b.held[&b.only()] {
        Action::Transfer { mode, level, .. } => (*mode, *level),
        other => panic!("{other:?}"),
    }
}

/// MODE Z: 200, and transfers are compressed until MODE S; a feature `MODE Z` (sections 3, 3.5).
#[test]
fn holds_until_it_is_changed() {
    let mut b = ready();
    assert!(reply(&mut b, "FEAT").contains(&" MODE Z".to_owned()));
    expect(&mut b, &[("MODE Z", &[200])]);
    assert_eq!(how(&mut b, "RETR readme.txt"), (Mode::Deflate, 6));
    b.complete(9);
    expect(&mut b, &[("MODE S", &[200]), ("EPSV", &[229])]);
    assert_eq!(how(&mut b, "LIST").0, Mode::Stream);
}

/// OPTS MODE Z LEVEL n sets how hard, 1 to 9; the engine is zlib (section 3.4).
#[test]
fn options() {
    let mut b = ready();
    expect(&mut b, &[("MODE Z", &[200]), ("OPTS MODE Z ENGINE ZLIB LEVEL 9", &[200])]);
    assert_eq!(how(&mut b, "STOR x"), (Mode::Deflate, 9));
    expect(&mut ready(), &[("OPTS MODE Z ENGINE LZMA", &[501]), ("OPTS MODE Z LEVEL 10", &[501])]);
}

/// STAT tells it, REIN takes it back.
#[test]
fn is_told_and_taken_back() {
    let mut b = ready();
    expect(&mut b, &[("MODE Z", &[200])]);
    assert!(reply(&mut b, "STAT").join("\n").contains("MODE Z"));
    expect(&mut b, &[("REIN\r\nUSER root\r\nPASS secret\r\nEPSV", &[220, 331, 230, 229])]);
    assert_eq!(how(&mut b, "RETR readme.txt").0, Mode::Stream);
}

/// What is no zlib stream, or not a whole one, makes no file: 426.
#[test]
fn a_stream_that_is_none() {
    let mut b = ready();
    expect(&mut b, &[("MODE Z", &[200]), ("STOR x", &[150])]);
    b.fail(TransferError::Garbled("it ends in the middle"));
    let got = b.take();
    assert!(got.contains(&"* release".to_owned()), "{got:?}");
    assert!(got.last().unwrap().starts_with("S: 426 "), "{got:?}");
}
