//! Transfers and files: RFC 959 section 4.1.3, RFC 3659.

use port21_proto::FtpPath;
use port21_proto::server::{Action, DataError, Outcome, StorageError, TransferError};
use port21_proto::verb::Verb;

use crate::bench::Bench;

fn transcript(b: &mut Bench) -> Vec<String> {
    b.take().into_iter().filter(|l| !l.starts_with('C')).collect()
}

#[test]
fn a_download_in_either_type() {
    let mut b = Bench::logged_in("ftp");
    b.say("EPSV\r\n");
    b.take();
    b.say("RETR readme.txt\r\n");
    b.complete(1715);
    assert_eq!(
        transcript(&mut b),
        [
            "S: 150 Opening ASCII mode data connection for readme.txt(1715 bytes).",
            "* transfer Down",
            "S: 226 Transfer complete.",
        ]
    );
    b.say("TYPE I\r\nEPSV\r\n");
    b.take();
    b.say("RETR /readme.txt\r\n");
    b.complete(1715);
    assert_eq!(transcript(&mut b)[0], "S: 150 Opening BINARY mode data connection for /readme.txt (1715 bytes).");
}

#[test]
fn a_listing() {
    let mut b = Bench::logged_in("ftp");
    b.say("EPSV\r\n");
    b.take();
    b.say("LIST -la\r\n");
    b.complete(99);
    assert_eq!(
        transcript(&mut b),
        ["S: 150 Opening ASCII mode data connection for /bin/ls.", "* transfer Down", "S: 226 Transfer complete.",]
    );
}

#[test]
fn other_listings_have_a_name_of_their_own() {
    let mut b = Bench::logged_in("ftp");
    for line in ["NLST", "MLSD"] {
        b.codes("EPSV");
        b.say(&format!("{line}\r\n"));
        assert_eq!(transcript(&mut b)[0], "S: 150 Opening ASCII mode data connection for file list.");
        b.complete(1);
    }
}

#[test]
fn what_an_account_may_not_do_at_all_is_told_to_the_driver() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("DELE readme.txt\r\nMKD a b\r\nPWD"), [550, 550, 257]);
    assert_eq!(b.denied, [(Verb::Dele, b"readme.txt".to_vec()), (Verb::Mkd, b"a b".to_vec())]);
    let mut b = Bench::logged_in("root");
    assert_eq!(b.codes("SITE SYMLINK a b"), [550]);
    assert_eq!(b.denied, [(Verb::Site, br#"SYMLINK "a" "b""#.to_vec())]);
}

/// That may be another one than the client has named first, or one that it has not named at all.
#[test]
fn of_many_files_the_one_that_stands_in_the_way_is_named() {
    for line in ["COMB whole part", "RMDA tree"] {
        let mut b = Bench::logged_in("root");
        b.hold_all = true;
        b.say(&format!("{line}\r\n"));
        let (op, at) = (b.only(), FtpPath::new("/a/b").unwrap());
        b.answer(op, Outcome::Refused { at, error: StorageError::Busy });
        assert!(transcript(&mut b).last().unwrap().starts_with("S: 450 /a/b: "), "{line}");
    }
}

#[test]
fn an_answer_that_does_not_fit_is_a_local_error() {
    // The driver erred: the client is told nothing of it but that it was not its fault.
    for line in ["RETR readme.txt", "STOR x", "CWD pub"] {
        let mut b = Bench::logged_in("root");
        b.codes("EPSV");
        b.hold_all = true;
        b.say(&format!("{line}\r\n"));
        let op = b.only();
        b.answer(op, Outcome::Size(Ok(0)));
        assert_eq!(b.reply_codes(), [451], "{line}");
    }
    for line in ["RETR readme.txt", "STOR x"] {
        let mut b = Bench::logged_in("root");
        b.codes(&format!("EPSV\r\n{line}"));
        let op = b.only();
        b.answer(op, Outcome::Done(Ok(())));
        assert_eq!(b.reply_codes(), [451], "{line}");
    }
}

#[test]
fn an_upload_is_made_to_last_and_only_then_named() {
    let mut b = Bench::logged_in("root");
    b.say("EPSV\r\n");
    b.take();
    b.say("STOR new\r\n");
    b.complete(9);
    let sync = b.only();
    b.answer(sync, Outcome::Done(Ok(())));
    let commit = b.only();
    b.answer(commit, Outcome::Done(Ok(())));
    assert_eq!(
        transcript(&mut b),
        [
            "S: 150 Opening ASCII mode data connection for new.",
            "* transfer Up",
            "* sync",
            "* commit",
            "S: 226 Transfer complete.",
        ]
    );
}

#[test]
fn an_upload_whose_client_vanished_is_dropped() {
    // A killed client ends both connections in order: the data's end comes first, the control's while it is synced.
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nSTOR new");
    b.complete(9);
    let sync = b.only();
    b.eof();
    b.take();
    b.answer(sync, Outcome::Done(Ok(())));
    let got = b.take();
    assert_eq!(got[0], "* release");
    assert!(!got.contains(&"* commit".to_owned()), "{got:?}");
    assert!(b.closed);
}

#[test]
fn an_upload_that_breaks_is_dropped() {
    for (error, code) in [
        (TransferError::Broken("connection reset".into()), 426),
        (TransferError::Storage(StorageError::NoSpace), 452),
        (TransferError::Storage(StorageError::OverQuota), 552),
        (TransferError::Storage(StorageError::Io("disk on fire".into())), 451),
        (TransferError::Data(DataError::Refused("192.0.2.1:5001".parse().unwrap())), 425),
    ] {
        let mut b = Bench::logged_in("root");
        b.codes("EPSV\r\nSTOR new");
        b.fail(error);
        let got = b.take();
        assert_eq!(got[0], "* release");
        assert!(got[1].starts_with(&format!("S: {code} ")), "{got:?}");
        assert!(!got[1].contains("fire"), "no detail of the machine is told: {got:?}");
    }
}

#[test]
fn a_commit_that_fails_is_told() {
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nSTOR new");
    b.complete(9);
    let sync = b.only();
    b.answer(sync, Outcome::Done(Ok(())));
    let commit = b.only();
    b.answer(commit, Outcome::Done(Err(StorageError::Denied)));
    assert_eq!(b.reply_codes(), [550]);
}

#[test]
fn rest_is_consumed_by_the_next_transfer_whatever_comes_of_it() {
    let mut b = Bench::logged_in("root");
    b.say("TYPE I\r\nEPSV\r\nREST 100\r\nRETR nosuch\r\nEPSV\r\n");
    b.take();
    b.hold_all = true;
    b.say("RETR readme.txt\r\n");
    assert!(b.take().contains(&"* open /readme.txt from 0".to_owned()));
}

#[test]
fn rest_survives_the_commands_that_come_before_a_transfer() {
    let mut b = Bench::logged_in("root");
    b.say("TYPE I\r\nREST 100\r\nPASV\r\n");
    b.take();
    b.hold_all = true;
    b.say("RETR readme.txt\r\n");
    assert!(b.take().contains(&"* open /readme.txt from 100".to_owned()));
}

#[test]
fn rest_and_its_limits() {
    let mut b = Bench::logged_in("root");
    assert_eq!(b.codes("EPSV\r\nREST 5\r\nRETR readme.txt"), [229, 350, 504], "not in TYPE A");
    assert_eq!(b.codes("TYPE I\r\nEPSV\r\nREST 5\r\nAPPE readme.txt"), [200, 229, 350, 503]);
    assert_eq!(b.codes("EPSV\r\nREST 9223372036854775807"), [229, 350]);
    assert_eq!(b.codes("ABOR"), [225]);
    b.hold_all = true;
    b.say("STOR x\r\n");
    assert!(b.take().contains(&"* create /x Whole".to_owned()), "ABOR clears REST");
}

#[test]
fn rest_and_stor_write_in_place() {
    let mut b = Bench::logged_in("root");
    b.codes("TYPE I\r\nEPSV\r\nREST 5");
    b.hold_all = true;
    b.say("STOR readme.txt\r\n");
    assert!(b.take().contains(&"* create /readme.txt At(5)".to_owned()));
}

#[test]
fn stou_tells_the_name() {
    let mut b = Bench::logged_in("root");
    b.say("EPSV\r\n");
    b.take();
    b.say("STOU\r\n");
    assert_eq!(transcript(&mut b)[0], "S: 150 FILE: /ftp");
}

#[test]
fn facts_of_a_file() {
    let mut b = Bench::logged_in("ftp");
    b.say("MLST readme.txt\r\n");
    let got = transcript(&mut b);
    assert_eq!(got.len(), 3);
    assert!(got[0].starts_with("S: 250-"));
    assert!(got[1].starts_with("S:  ") && !got[1].starts_with("S:   ") && got[1].ends_with(" /readme.txt"), "{got:?}");
    assert!(got[2].starts_with("S: 250 "));
    assert_eq!(
        b.codes("MLST nosuch\r\nSIZE readme.txt\r\nSIZE pub\r\nMDTM readme.txt\r\nMDTM nosuch"),
        [550, 213, 550, 213, 550]
    );
    b.say("MDTM readme.txt\r\n");
    assert_eq!(b.take()[1], "S: 213 20050502210700");
}

#[test]
fn names_in_replies() {
    let mut b = Bench::logged_in("root");
    b.say("MKD a \"b\"\r\nPWD\r\nCWD pub\r\nPWD\r\nCDUP\r\nPWD\r\n");
    assert_eq!(
        transcript(&mut b),
        [
            r#"S: 257 "/a ""b""" directory created."#,
            r#"S: 257 "/" is the current directory."#,
            "S: 250 CWD command successful.",
            r#"S: 257 "/pub" is the current directory."#,
            "S: 250 CDUP command successful.",
            r#"S: 257 "/" is the current directory."#,
        ]
    );
}

#[test]
fn a_listing_in_a_reply_cannot_end_it() {
    let mut b = Bench::logged_in("ftp");
    b.say("STAT readme.txt\r\n");
    assert_eq!(transcript(&mut b)[1], "S:  226 readme.txt", "a name that looks like a reply is indented");
}

#[test]
fn feat_and_help_come_from_the_table() {
    let mut b = Bench::logged_in("ftp");
    b.say("FEAT\r\n");
    let got = transcript(&mut b);
    assert_eq!((got[0].as_str(), got[got.len() - 1].as_str()), ("S: 211-Features:", "S: 211 End"));
    for want in ["EPRT", "EPSV", "MDTM", "SIZE", "REST STREAM", "TVFS", "UTF8"] {
        assert!(got.contains(&format!("S:  {want}")), "{want}: {got:?}");
    }
    assert!(got.iter().any(|l| l.starts_with("S:  MLST type*;")), "{got:?}");
    b.say("HELP RETR\r\n");
    assert!(transcript(&mut b)[0].starts_with("S: 214 RETR PATH: "));
}

#[test]
fn rest_is_consumed_by_a_transfer_that_is_refused() {
    for refused in ["STOR x", "STOR", "RETR", "RETR a\0b"] {
        let mut b = Bench::logged_in("ftp");
        b.codes(&format!("TYPE I\r\nEPSV\r\nREST 100\r\n{refused}"));
        b.codes("EPSV");
        b.hold_all = true;
        b.say("RETR readme.txt\r\n");
        let got = b.take();
        assert!(got.contains(&"* open /readme.txt from 0".to_owned()), "{refused:?}: {got:?}");
    }
}

#[test]
fn rest_survives_what_is_no_transfer() {
    let mut b = Bench::logged_in("ftp");
    b.codes("TYPE I\r\nREST 100\r\nNOSUCH\r\nEPSV 3\r\nEPSV\r\nNOOP\r\nSIZE readme.txt");
    b.hold_all = true;
    b.say("RETR readme.txt\r\n");
    assert!(b.take().contains(&"* open /readme.txt from 100".to_owned()));
}

#[test]
fn rnfr_holds_for_the_very_next_command_alone() {
    let mut b = Bench::logged_in("root");
    for between in ["NOOP", "NOSUCH", "CWD", "ABOR", ""] {
        let codes = b.codes(&format!("RNFR readme.txt\r\n{between}\r\nRNTO x"));
        assert_eq!((codes[0], codes[2]), (350, 503), "{between}");
    }
}

#[test]
fn allo_holds_for_the_next_transfer_alone() {
    let announced = |b: &Bench| {
        b.held.values().find_map(|action| match action {
            Action::Create { announced, .. } => Some(*announced),
            _ => None,
        })
    };
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nALLO 99");
    b.hold_all = true;
    b.say("STOR x\r\n");
    assert_eq!(announced(&b), Some(Some(99)));
    for between in ["ABOR", "RETR", "USER root\r\nPASS secret"] {
        let mut b = Bench::logged_in("root");
        b.codes(&format!("ALLO 99\r\n{between}\r\nEPSV"));
        b.hold_all = true;
        b.say("STOR x\r\n");
        assert_eq!(announced(&b), Some(None), "{between}");
    }
}

#[test]
fn an_upload_needs_the_control_connection_to_its_end() {
    // QUIT was sent ahead, and then the client was killed in the middle: both connections end in order.
    let mut b = Bench::logged_in("root");
    b.codes("EPSV\r\nSTOR new\r\nQUIT");
    b.eof();
    assert_eq!(b.take()[1..], ["* cancel transfer Up"]);
    b.complete(9);
    assert_eq!(b.reply_codes(), [426, 221]);
    assert!(b.closed);
}
