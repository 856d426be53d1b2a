//! draft-bryan-ftp-range-08: RANG.

use port21_proto::server::{Outcome, StorageError, TransferError};

use crate::bench::Bench;
use crate::play::{asked, expect, ready, refused, reply, stored};

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

/// With STOR only the bytes of the range are written; APPE is the same (section 4.3).
#[test]
fn with_stor_and_appe() {
    for verb in ["STOR", "APPE"] {
        let mut b = ready();
        expect(&mut b, &[("RANG 7 9", &[350])]);
        let line = format!("{verb} readme.txt");
        assert_eq!(asked(&mut b, &line), ["create /readme.txt Within { from: 7, to: 10 }"]);
        let mut b = ready();
        expect(&mut b, &[("RANG 0 9", &[350]), (&line, &[150])]);
        stored(&mut b, 10);
        assert_eq!(b.reply_codes(), [226]);
        // It holds for one transfer.
        expect(&mut b, &[("EPSV", &[229])]);
        assert!(!asked(&mut b, &line)[0].contains("Within"));
    }
}

/// A beginning beyond the file's end, and more or fewer bytes than the range has, are told as an upload's errors: 554
/// (section 4.3, and the code of RFC 3659 section 5 for REST).
#[test]
fn stor_that_does_not_fit() {
    for error in [StorageError::BadOffset, StorageError::WrongLength] {
        let mut b = ready();
        expect(&mut b, &[("RANG 5000 5009", &[350])]);
        assert_eq!(refused(&mut b, "STOR readme.txt", error), [554]);
    }
    let mut b = ready();
    expect(&mut b, &[("RANG 0 9", &[350]), ("STOR readme.txt", &[150])]);
    b.fail(TransferError::Storage(StorageError::WrongLength));
    assert_eq!(b.reply_codes(), [554]);
    let mut b = ready();
    expect(&mut b, &[("RANG 0 9", &[350]), ("STOR readme.txt", &[150])]);
    b.complete(9);
    let sync = b.only();
    b.answer(sync, Outcome::Done(Err(StorageError::WrongLength)));
    assert_eq!(b.reply_codes(), [554]);
}

/// A range that is none takes back the one before it (section 3).
#[test]
fn an_invalid_one_leaves_the_whole_file() {
    for before in ["RANG 7 9", "REST 7"] {
        let mut b = ready();
        expect(&mut b, &[(before, &[350]), ("RANG 9 7", &[501])]);
        assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 0"]);
    }
}

/// In TYPE A it is refused when the transfer is asked for: 551 (section 5). STOU has no file that a range could be of.
#[test]
fn where_it_does_not_go() {
    for line in ["RETR readme.txt", "STOR readme.txt", "APPE readme.txt"] {
        let mut b = Bench::logged_in("root");
        expect(&mut b, &[("EPSV", &[229]), ("RANG 0 9", &[350]), (line, &[551])]);
    }
    expect(&mut ready(), &[("RANG 0 9", &[350]), ("STOU", &[504])]);
}

/// The feature is `RANG STREAM` (section 3.1).
#[test]
fn feat() {
    assert!(reply(&mut Bench::new(), "FEAT").contains(&" RANG STREAM".to_owned()));
}
