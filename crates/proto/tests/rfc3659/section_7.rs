//! MLST and MLSD.

use port21_proto::server::{Action, StorageError};

use crate::bench::Bench;
use crate::play::{expect, ready, refused, reply};

/// MLST: 250, the facts of one path on a line behind one space, with the path behind another; 550; 501.
#[test]
fn mlst() {
    let mut b = Bench::logged_in("ftp");
    let lines = reply(&mut b, "MLST readme.txt");
    assert!(lines.len() == 3 && lines[0].starts_with("250-") && lines[2].starts_with("250 "), "{lines:?}");
    assert_eq!(lines[1], " type=file;size=1715;modify=20050502210700; /readme.txt");
    expect(&mut b, &[("MLST", &[250]), ("MLST nosuch", &[550])]);
    expect(&mut Bench::new(), &[("MLST", &[530])]);
}

/// MLSD: a listing of a directory over the data connection; 550 for what is none.
#[test]
fn mlsd() {
    let mut b = ready();
    expect(&mut b, &[("MLSD pub", &[150])]);
    b.complete(9);
    assert_eq!(b.reply_codes(), [226]);
    assert_eq!(refused(&mut ready(), "MLSD readme.txt", StorageError::NotADirectory), [550]);
    expect(&mut Bench::logged_in("ftp"), &[("MLSD", &[425])]);
}

/// MLSD lists all names, also those that `ls` hides.
#[test]
fn nothing_is_hidden() {
    let mut b = ready();
    b.hold_all = true;
    b.say("MLSD\r\n");
    let Action::List(request) = &b.held[&b.only()] else { panic!("{:?}", b.held) };
    assert!(request.options.all);
}

/// OPTS MLST chooses the facts; those that are not known are left out without an error; FEAT marks those that are chosen.
#[test]
fn facts_are_chosen() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(reply(&mut b, "OPTS MLST Type;UNIX.mode;X.nosuch;"), ["200 MLST OPTS type;UNIX.mode;"]);
    assert_eq!(reply(&mut b, "MLST readme.txt")[1], " type=file; /readme.txt");
    assert!(
        reply(&mut b, "FEAT")
            .contains(&" MLST type*;size;modify;perm;unique;UNIX.mode*;UNIX.owner;UNIX.group;".to_owned())
    );
    assert_eq!(reply(&mut b, "OPTS MLST"), ["200 MLST OPTS"]);
    assert_eq!(reply(&mut b, "MLST readme.txt")[1], "  /readme.txt");
}
