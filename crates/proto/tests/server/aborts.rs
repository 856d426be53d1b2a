//! ABOR: RFC 959 section 4.1.3 and the orders in which it meets a transfer.

use port21_proto::server::{Opened, Outcome, StorageError, TransferError};

use crate::bench::Bench;

#[test]
fn at_rest() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("ABOR"), [226]);
    assert_eq!(b.codes("EPSV\r\nABOR"), [229, 225]);
}

#[test]
fn in_the_middle_of_a_transfer() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.say("ABOR\r\n");
    assert_eq!(b.take(), ["C: ABOR", "* cancel transfer Down"]);
    b.fail(TransferError::Cancelled);
    assert_eq!(b.take(), ["S: 426 Transfer aborted; data connection closed.", "S: 226 ABOR command successful."]);
}

#[test]
fn behind_telnet_signals() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.feed(b"\xff\xf4\xff\xf2ABOR\r\n");
    b.fail(TransferError::Cancelled);
    assert_eq!(b.reply_codes(), [426, 226]);
}

#[test]
fn that_comes_too_late_for_a_download() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.codes("ABOR");
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 226]);
}

#[test]
fn of_an_upload_never_leaves_half_a_file() {
    let mut b = Bench::logged_in("root");
    // The client ends its data connection in order, then says ABOR: at once, while the file is made to last, or while
    // it is given its name.
    b.codes("EPSV\r\nSTOR new");
    b.codes("ABOR");
    b.complete(9);
    assert_eq!(b.reply_codes(), [426, 226]);

    b.codes("EPSV\r\nSTOR new");
    b.complete(9);
    b.say("ABOR\r\n");
    let sync = b.only();
    b.answer(sync, Outcome::Done(Ok(())));
    assert_eq!(b.reply_codes(), [426, 226]);

    b.codes("EPSV\r\nSTOR new");
    b.complete(9);
    let sync = b.only();
    b.answer(sync, Outcome::Done(Ok(())));
    b.take();
    b.say("ABOR\r\n");
    assert_eq!(b.take(), ["C: ABOR"], "it is past that");
    let commit = b.only();
    b.answer(commit, Outcome::Done(Ok(())));
    assert_eq!(b.reply_codes(), [226, 226]);
}

#[test]
fn said_twice_it_cancels_once() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.say("ABOR\r\nABOR\r\n");
    assert_eq!(b.take(), ["C: ABOR", "C: ABOR", "* cancel transfer Down"]);
    b.fail(TransferError::Cancelled);
    assert_eq!(b.reply_codes(), [426, 226, 226]);
}

#[test]
fn behind_a_transfer_that_has_not_opened() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV");
    b.hold_all = true;
    b.say("RETR readme.txt\r\nABOR\r\n");
    b.take();
    let open = b.only();
    b.answer(open, Outcome::Opened(Ok(Opened { size: Some(1) })));
    let got = b.take();
    assert_eq!(&got[..2], ["* release", "* release"], "the source and the port");
    assert!(got[2].starts_with("S: 426 ") && got[3].starts_with("S: 226 "), "{got:?}");

    b.hold_all = false;
    b.codes("EPSV");
    b.hold_all = true;
    b.say("RETR readme.txt\r\nABOR\r\n");
    b.take();
    let open = b.only();
    b.answer(open, Outcome::Opened(Err(StorageError::NotFound)));
    assert_eq!(b.reply_codes(), [550, 226]);
}

#[test]
fn its_reply_keeps_its_turn_and_all_before_it_are_answered() {
    let mut b = Bench::logged_in("ftp");
    b.codes("EPSV\r\nRETR readme.txt");
    b.say("PWD\r\nEPSV\r\nRETR readme.txt\r\nCWD pub\r\nABOR\r\nNOOP\r\n");
    b.fail(TransferError::Cancelled);
    assert_eq!(b.reply_codes(), [426, 257, 229, 426, 250, 226, 200]);
    assert!(b.held.is_empty());
}
