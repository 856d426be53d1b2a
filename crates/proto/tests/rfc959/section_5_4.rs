//! The replies that each command may have, one test a command: those of the list that there is an occasion for.

use port21_proto::server::{DataError, Outcome, StorageError, TransferError};

use crate::bench::Bench;
use crate::play::{expect, ready, refused, stored};

/// USER: 331; 530 where a login must be over TLS (see RFC 4217); 501. (230 and 332 would be for users without a password
/// and with an account: there are none.)
#[test]
fn user() {
    expect(&mut Bench::new(), &[("USER root", &[331]), ("USER", &[501])]);
}

/// PASS: 230, 530, 503, and 421 at the end of all tries. (202 and 332 have no occasion; an empty password is one.)
#[test]
fn pass() {
    let mut b = Bench::new();
    expect(&mut b, &[("PASS", &[503]), ("USER root\r\nPASS", &[331, 530]), ("USER root\r\nPASS x", &[331, 530])]);
    expect(&mut b, &[("USER root\r\nPASS x", &[331, 421])]);
    expect(&mut Bench::new(), &[("USER root\r\nPASS secret", &[331, 230])]);
}

/// ACCT: 202, 501, 503. (230 and 530 are for accounts that are needed.)
#[test]
fn acct() {
    expect(&mut Bench::logged_in("root"), &[("ACCT x", &[202]), ("ACCT", &[501])]);
    expect(&mut Bench::new(), &[("ACCT x", &[503])]);
}

/// CWD and CDUP: 250, 501, 530, 550.
#[test]
fn cwd_and_cdup() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("CWD pub", &[250]), ("CDUP", &[250]), ("CWD", &[501]), ("CWD nosuch", &[550])]);
    expect(&mut Bench::new(), &[("CWD pub", &[530]), ("CDUP", &[530])]);
}

/// REIN: 220. QUIT: 221.
#[test]
fn rein_and_quit() {
    expect(&mut Bench::new(), &[("REIN", &[220]), ("QUIT", &[221])]);
}

/// PORT: 200, 501, 530. PASV: 227, 530; 425 where no port is free, which RFC 959 has no code for.
#[test]
fn port_and_pasv() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("PORT 192,0,2,1,9,9", &[200]), ("PORT x", &[501]), ("PASV", &[227])]);
    expect(&mut Bench::new(), &[("PORT 192,0,2,1,9,9", &[530]), ("PASV", &[530])]);
    b.hold_all = true;
    b.say("PASV\r\n");
    let op = b.only();
    b.answer(op, Outcome::Listening(Err(DataError::NoPort)));
    assert_eq!(b.reply_codes(), [425]);
}

/// MODE, TYPE, STRU: 200, 501, 504. (530 is not given: they are taken before a login.)
#[test]
fn mode_type_stru() {
    for (verb, good, wrong) in [("MODE", "S", "B"), ("TYPE", "I", "E"), ("STRU", "F", "R")] {
        let line = |arg: &str| format!("{verb} {arg}");
        expect(&mut Bench::new(), &[(&line(good), &[200]), (&line("?"), &[501]), (&line(wrong), &[504])]);
    }
}

/// ALLO: 200, 501, 530. REST: 350, 501, 530.
#[test]
fn allo_and_rest() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("ALLO 1", &[200]), ("ALLO x", &[501]), ("REST 1", &[350]), ("REST x", &[501])]);
    expect(&mut Bench::new(), &[("ALLO 1", &[530]), ("REST 1", &[530])]);
}

/// STOR: 150, 226; 425, 426, 451, 552; 450, 452, 553; 501, 530. 550 where nothing may be written, as everywhere.
#[test]
fn stor() {
    stores("STOR x");
    expect(&mut Bench::new(), &[("STOR x", &[530])]);
    expect(&mut Bench::logged_in("ftp"), &[("STOR x", &[550])]);
    expect(&mut ready(), &[("STOR", &[501])]);
}

/// STOU: those of STOR.
#[test]
fn stou() {
    stores("STOU");
    expect(&mut Bench::new(), &[("STOU", &[530])]);
}

/// APPE: those of STOR, and 550.
#[test]
fn appe() {
    stores("APPE x");
    assert_eq!(refused(&mut ready(), "APPE x", StorageError::IsADirectory), [550]);
    expect(&mut Bench::new(), &[("APPE x", &[530])]);
    expect(&mut ready(), &[("APPE", &[501])]);
}

fn stores(line: &str) {
    let mut b = ready();
    expect(&mut b, &[(line, &[150])]);
    stored(&mut b, 9);
    assert_eq!(b.reply_codes(), [226]);
    for (error, code) in [
        (TransferError::Data(DataError::Refused("192.0.2.1:5001".parse().unwrap())), 425),
        (TransferError::Broken("reset".into()), 426),
        (TransferError::Storage(StorageError::Io("disk".into())), 451),
        (TransferError::Storage(StorageError::NoSpace), 452),
        (TransferError::Storage(StorageError::OverQuota), 552),
    ] {
        let mut b = ready();
        b.codes(line);
        b.fail(error);
        assert_eq!(b.reply_codes(), [code], "{line}");
    }
    for (error, code) in [
        (StorageError::Busy, 450),
        (StorageError::NoSpace, 452),
        (StorageError::OverQuota, 552),
        (StorageError::BadName, 553),
        (StorageError::Denied, 550),
        (StorageError::Exists, 550),
    ] {
        assert_eq!(refused(&mut ready(), line, error), [code], "{line}");
    }
}

/// RETR: 150, 226; 425, 426, 451; 450, 550; 501, 530.
#[test]
fn retr() {
    let mut b = ready();
    expect(&mut b, &[("RETR readme.txt", &[150])]);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
    for (error, code) in [
        (TransferError::Data(DataError::NoPort), 425),
        (TransferError::Data(DataError::Unused(std::time::Duration::from_secs(60))), 425),
        (TransferError::Broken("reset".into()), 426),
        (TransferError::Storage(StorageError::Io("disk".into())), 451),
    ] {
        let mut b = ready();
        b.codes("RETR readme.txt");
        b.fail(error);
        assert_eq!(b.reply_codes(), [code]);
    }
    assert_eq!(refused(&mut ready(), "RETR x", StorageError::Busy), [450]);
    for error in
        [StorageError::NotFound, StorageError::Denied, StorageError::IsADirectory, StorageError::NotARegularFile]
    {
        assert_eq!(refused(&mut ready(), "RETR x", error), [550]);
    }
    expect(&mut ready(), &[("RETR", &[501])]);
    expect(&mut Bench::new(), &[("RETR x", &[530])]);
}

/// LIST and NLST: 150, 226; 425, 426, 451; 450; 501 has no occasion; 530. 550 for what is not there, as RETR.
#[test]
fn list_and_nlst() {
    for line in ["LIST", "NLST"] {
        let mut b = ready();
        expect(&mut b, &[(line, &[150])]);
        b.complete(9);
        assert_eq!(b.reply_codes(), [226]);
        expect(&mut b, &[(line, &[425])]);
        for (error, code) in
            [(TransferError::Broken("reset".into()), 426), (TransferError::Storage(StorageError::TooMany), 451)]
        {
            let mut b = ready();
            b.codes(line);
            b.fail(error);
            assert_eq!(b.reply_codes(), [code]);
        }
        assert_eq!(refused(&mut ready(), line, StorageError::Busy), [450]);
        assert_eq!(refused(&mut ready(), line, StorageError::NotFound), [550]);
        expect(&mut Bench::new(), &[(line, &[530])]);
    }
}

/// RNFR: 350; 450, 550; 501, 530. RNTO: 250; 553; 501, 503, 530; 550 where the name is taken and may not be.
#[test]
fn rnfr_and_rnto() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("RNFR readme.txt", &[350]), ("RNTO x", &[250]), ("RNTO x", &[503])]);
    expect(&mut b, &[("RNFR", &[501]), ("RNTO", &[501])]);
    assert_eq!(refused(&mut b, "RNFR x", StorageError::Busy), [450]);
    assert_eq!(refused(&mut b, "RNFR x", StorageError::NotFound), [550]);
    for (error, code) in [(StorageError::BadName, 553), (StorageError::Exists, 550)] {
        expect(&mut b, &[("RNFR readme.txt", &[350])]);
        assert_eq!(refused(&mut b, "RNTO x", error), [code]);
    }
    expect(&mut Bench::new(), &[("RNFR x", &[530]), ("RNTO x", &[530])]);
}

/// DELE: 250; 450, 550; 501, 530. RMD: 250; 501, 530, 550.
#[test]
fn dele_and_rmd() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("DELE readme.txt", &[250]), ("DELE nosuch", &[550]), ("DELE", &[501])]);
    assert_eq!(refused(&mut b, "DELE x", StorageError::Busy), [450]);
    expect(&mut b, &[("RMD pub", &[250]), ("RMD nosuch", &[550]), ("RMD", &[501])]);
    assert_eq!(refused(&mut b, "RMD x", StorageError::NotEmpty), [550]);
    expect(&mut Bench::new(), &[("DELE x", &[530]), ("RMD x", &[530])]);
}

/// MKD: 257; 501, 530, 550. PWD: 257; 530, as it tells of a user's files. (RFC 959 lists 550 for it.)
#[test]
fn mkd_and_pwd() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("MKD x", &[257]), ("MKD", &[501]), ("PWD", &[257])]);
    assert_eq!(refused(&mut b, "MKD x", StorageError::Exists), [550]);
    expect(&mut Bench::new(), &[("MKD x", &[530]), ("PWD", &[530])]);
}

/// ABOR: 225, 226.
#[test]
fn abor() {
    expect(&mut ready(), &[("ABOR", &[225])]);
    expect(&mut Bench::logged_in("ftp"), &[("ABOR", &[226])]);
}

/// SYST: 215. STAT: 211, 213; 450; 501 has no occasion; 530. HELP: 214, 501. NOOP: 200.
#[test]
fn questions() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("SYST", &[215]), ("STAT", &[211]), ("STAT readme.txt", &[213]), ("HELP", &[214])]);
    expect(&mut b, &[("HELP RETR", &[214]), ("HELP X", &[501]), ("NOOP", &[200])]);
    assert_eq!(refused(&mut b, "STAT x", StorageError::Busy), [450]);
    expect(&mut Bench::new(), &[("STAT", &[530])]);
}

/// SITE: 200, 501, 530; 504 for one that is not there, which tells more than the 501 of the list.
#[test]
fn site() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("SITE CHMOD 600 readme.txt", &[200]), ("SITE CHMOD x", &[501]), ("SITE NOSUCH", &[504])]);
    expect(&mut Bench::new(), &[("SITE HELP", &[530])]);
}

/// 421 at any time, when the server must go down; the connection then ends.
#[test]
fn any_command_may_meet_421() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    b.session.handle_shutdown(b.now);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 421]);
    assert!(b.closed);
}
