//! Interrupted uploads that are continued, what counts as the end of one, and what 226 tells.

use std::time::Duration;

use port21_proto::server::{Action, Outcome, Receipt, SessionSettings, StorageError, Told, TransferError, Transferred};

use crate::bench::{Bench, PART, settings};

/// What a session that has said `before` asks its storage to make for `STOR` or `APPE`: what it was told of the part.
fn told(before: &str, upload: &str) -> Option<Told> {
    let mut b = Bench::logged_in("root");
    b.say(&format!("TYPE I\r\n{before}\r\nEPSV\r\n"));
    told_now(&mut b, upload)
}

fn told_now(b: &mut Bench, upload: &str) -> Option<Told> {
    b.hold_all = true;
    b.say(&format!("{upload}\r\n"));
    b.hold_all = false;
    let op = b.only();
    let Action::Create { told, .. } = &b.held[&op] else { panic!("{:?}", b.held) };
    let told = *told;
    b.answer(op, Outcome::Created(Err(StorageError::Denied)));
    told
}

#[test]
fn only_who_was_told_the_size_of_a_part_goes_on_with_it() {
    assert_eq!(told("SIZE part", "APPE part"), Some(Told::Part(PART)));
    assert_eq!(told("SIZE part\r\nREST 500", "STOR part"), Some(Told::Part(PART)));
    assert_eq!(told("MLST part", "APPE /part"), Some(Told::Part(PART)));
    assert_eq!(told("NOOP", "APPE part"), None);
    assert_eq!(told("SIZE part", "APPE other"), None);
    assert_eq!(told("SIZE readme.txt", "APPE readme.txt"), Some(Told::File(1715)), "a file is no part");
    assert_eq!(told("MLST readme.txt", "APPE readme.txt"), Some(Told::File(1715)));
    assert_eq!(told("MLST pub", "APPE pub"), None);
    assert_eq!(told("SIZE part\r\nDELE part", "APPE part"), None);
    assert_eq!(told("SIZE part\r\nRNFR readme.txt\r\nRNTO part", "APPE part"), None);
    assert_eq!(told("SIZE part\r\nUSER root\r\nPASS secret", "APPE part"), None);
}

#[test]
fn what_was_told_is_used_up_by_one_upload() {
    let mut b = Bench::logged_in("root");
    b.say("TYPE I\r\nSIZE part\r\nEPSV\r\n");
    assert_eq!(told_now(&mut b, "STOR part"), Some(Told::Part(PART)));
    b.say("EPSV\r\n");
    assert_eq!(told_now(&mut b, "APPE part"), None);
}

#[test]
fn size_and_mlst_answer_for_a_part_and_rename_and_mdtm_do_not() {
    let mut b = Bench::logged_in("root");
    b.say("TYPE I\r\nSIZE part\r\nMLST part\r\n");
    let log = b.take();
    assert!(log.contains(&"S: 213 500".to_owned()), "{log:?}");
    assert!(log.contains(&"S:  type=file;size=500; /part".to_owned()), "{log:?}");
    assert_eq!(b.codes("RNFR part\r\nMDTM part\r\nRETR part"), [550, 550, 425]);
}

#[test]
fn a_lenient_account_may_hang_up_before_its_upload_is_through() {
    for after_the_bytes in [false, true] {
        let mut b = Bench::logged_in("scanner");
        b.codes("EPSV\r\nSTOR scan.pdf");
        if !after_the_bytes {
            b.session.handle_eof(b.now);
        }
        b.complete(9);
        if after_the_bytes {
            b.session.handle_eof(b.now);
        }
        for _ in ["sync", "commit"] {
            let op = b.only();
            b.answer(op, Outcome::Done(Ok(())));
        }
        assert_eq!(b.reply_codes(), [226]);
        assert!(b.closed);
    }
}

#[test]
fn leniency_covers_neither_abor_nor_what_has_not_begun_nor_a_broken_connection() {
    let mut b = Bench::logged_in("scanner");
    b.codes("EPSV\r\nSTOR scan.pdf");
    b.say("ABOR\r\n");
    assert!(b.take().contains(&"* cancel transfer Up".to_owned()));
    b.fail(TransferError::Cancelled);
    assert_eq!(b.reply_codes(), [426, 226]);

    b.codes("EPSV\r\nSTOR scan.pdf\r\nEPSV\r\nSTOR two.pdf");
    b.eof();
    b.fail(TransferError::Broken("reset".into()));
    assert_eq!(b.reply_codes(), [426, 229, 426]);
    assert!(b.closed);
}

#[test]
fn leniency_is_for_uploads_that_have_begun() {
    let mut b = Bench::logged_in("scanner");
    b.codes("EPSV\r\nRETR readme.txt");
    b.eof();
    assert_eq!(b.take()[1..], ["* cancel transfer Down"]);

    let mut b = Bench::logged_in("scanner");
    b.codes("EPSV");
    b.hold_all = true;
    b.say("STOR scan.pdf\r\n");
    b.take();
    b.eof();
    assert_eq!(b.take()[1..], ["* cancel create /scan.pdf Whole"]);
}

#[test]
fn the_receipt_tells_what_was_asked_for() {
    let upload = |receipt| {
        let mut b = Bench::with(SessionSettings { receipt, ..settings() }, "192.0.2.1:1175".parse().unwrap());
        b.say("USER root\r\nPASS secret\r\nEPSV\r\nSTOR x\r\n");
        let transfer = b.only();
        b.answer(transfer, Outcome::Transferred(Transferred { bytes: 9, result: Ok(()), digest: Some([0xa7; 32]) }));
        for _ in ["sync", "commit"] {
            let op = b.only();
            b.answer(op, Outcome::Done(Ok(())));
        }
        b.take().pop().unwrap()
    };
    assert_eq!(upload(Receipt::Plain), "S: 226 Transfer complete.");
    assert_eq!(upload(Receipt::Bytes), "S: 226 Transfer complete (9 bytes).");
    let digest = format!("S: 226 Transfer complete (9 bytes, SHA-256 {}).", "a7".repeat(32));
    assert_eq!(upload(Receipt::Digest), digest);

    let mut b =
        Bench::with(SessionSettings { receipt: Receipt::Digest, ..settings() }, "192.0.2.1:1175".parse().unwrap());
    b.say("USER ftp\r\nPASS x\r\nEPSV\r\nRETR readme.txt\r\n");
    b.complete(1715);
    assert_eq!(b.take().pop().unwrap(), "S: 226 Transfer complete (1715 bytes).");
}

#[test]
fn an_upload_that_gave_way_is_told_why() {
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nSTOR x");
    b.fail(TransferError::Displaced);
    let log = b.take();
    assert_eq!(log, ["* release", "S: 426 Transfer ended: a newer upload of the same file has taken its place."]);
}

/// A session in which an upload of 9 bytes has come as far as its commit, and whoever is asked for a digest waits.
fn before_its_commit(user: &str, before: &str, upload: &str) -> Bench {
    let settings = SessionSettings { receipt: Receipt::Digest, ..settings() };
    let mut b = Bench::with(settings, "192.0.2.1:1175".parse().unwrap());
    b.say(&format!("USER {user}\r\nPASS secret\r\n{before}\r\nEPSV\r\n{upload}\r\n"));
    let transfer = b.only();
    b.answer(transfer, Outcome::Transferred(Transferred { bytes: 9, result: Ok(()), digest: Some([0xa7; 32]) }));
    let sync = b.only();
    b.answer(sync, Outcome::Done(Ok(())));
    b.take();
    b
}

fn commit(b: &mut Bench) -> String {
    let commit = b.only();
    b.answer(commit, Outcome::Done(Ok(())));
    b.take().pop().unwrap()
}

/// Of a part of a file the digest tells nothing: that of the whole is told.
#[test]
fn the_digest_of_an_upload_that_goes_on_is_that_of_the_file() {
    let file = format!("S: 226 Transfer complete (9 bytes, SHA-256 {}).", "a5".repeat(32));
    let sent = file.replace("a5", "a7");
    for (before, upload, want) in [
        ("TYPE I\r\nREST 100", "STOR readme.txt", &file),
        ("TYPE I", "APPE readme.txt", &file),
        ("TYPE I\r\nRANG 10 18", "STOR readme.txt", &file),
        ("TYPE I", "STOR readme.txt", &sent),
        ("TYPE I\r\nREST 0", "STOR readme.txt", &sent),
        ("TYPE I", "STOU readme.txt", &sent),
    ] {
        assert_eq!(commit(&mut before_its_commit("root", before, upload)), *want, "{before} {upload}");
    }
    // What came as text is not what is in the file.
    let none = "S: 226 Transfer complete (9 bytes).";
    assert_eq!(commit(&mut before_its_commit("root", "TYPE A", "APPE readme.txt")), none);
}

/// What the digest would cost is bounded, and the upload is as good without.
#[test]
fn a_digest_of_the_file_that_cannot_be_had_is_not_told() {
    let none = "S: 226 Transfer complete (9 bytes).";
    let asked = || {
        let mut b = before_its_commit("root", "TYPE I\r\nREST 100", "STOR readme.txt");
        b.hold_all = true;
        assert!(commit(&mut b).starts_with("* "), "it is asked for");
        let op = b.only();
        let Action::Digest(request) = &b.held[&op] else { panic!("{:?}", b.held) };
        assert_eq!((request.from, request.to, request.most), (0, None, Some(64 << 20)));
        (b, op)
    };
    for error in [StorageError::TooLarge, StorageError::Denied, StorageError::NotFound] {
        let (mut b, op) = asked();
        b.answer(op, Outcome::Digest(Err(error)));
        assert_eq!(b.take(), [none]);
    }
    // It takes too long. It cannot be aborted: there is nothing left of the upload that could be.
    let (mut b, op) = asked();
    b.pass(Duration::from_millis(1999));
    b.say("ABOR\r\n");
    assert!(!b.take().iter().any(|line| line.starts_with("* cancel")));
    b.pass(Duration::from_millis(1));
    assert!(b.take().iter().any(|line| line.starts_with("* cancel")));
    b.answer(op, Outcome::Digest(Err(StorageError::Cancelled)));
    assert_eq!(b.take()[0], none);
}
