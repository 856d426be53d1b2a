//! What clients send that no RFC describes.

use crate::bench::Bench;
use crate::play::{asked, expect, refused, reply};

/// XCRC and its like tell the digest alone, of the file or of the bytes that are named behind a name in quotes.
#[test]
fn digests() {
    let mut b = Bench::logged_in("ftp");
    for (verb, length) in [("XCRC", 4), ("XMD5", 16), ("XSHA", 20), ("XSHA1", 20), ("XSHA256", 32), ("XSHA512", 64)] {
        assert_eq!(reply(&mut b, &format!("{verb} readme.txt")), [format!("250 {}", "a5".repeat(length))]);
        expect(&mut b, &[(&format!("{verb} \"readme.txt\" 0 9"), &[250]), (verb, &[501])]);
        expect(&mut b, &[(&format!("{verb} nosuch"), &[550]), (&format!("{verb} \"readme.txt\" 5000"), &[554])]);
    }
    assert_eq!(reply(&mut b, "MD5 readme.txt"), [format!("251 readme.txt {}", "a5".repeat(16))]);
}

/// COMB joins parts to a target; who may not read, write and remove may not.
#[test]
fn comb() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("COMB t readme.txt", &[250]), ("COMB t nosuch", &[550]), ("COMB t", &[501])]);
    expect(&mut b, &[("COMB t t", &[553]), ("COMB t readme.txt /readme.txt", &[553])]);
    expect(&mut Bench::logged_in("ftp"), &[("COMB t readme.txt", &[550])]);
}

/// RMDA removes a tree, DSIZ tells its size, AVBL the room for an upload.
#[test]
fn trees() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("RMDA pub", &[250]), ("RMDA nosuch", &[550]), ("DSIZ pub", &[213]), ("DSIZ", &[213])]);
    expect(&mut b, &[("AVBL", &[213]), ("AVBL pub", &[213]), ("AVBL nosuch", &[550])]);
    expect(&mut Bench::logged_in("ftp"), &[("RMDA pub", &[550]), ("DSIZ pub", &[213]), ("AVBL", &[550])]);
    assert_eq!(refused(&mut b, "DSIZ x", port21_proto::server::StorageError::TooMany), [451]);
}

/// CLNT and CSID are answered with 200; CSID tells that names differ by case and are parted by `/`.
#[test]
fn who_we_are() {
    let mut b = Bench::new();
    expect(&mut b, &[("CLNT lftp", &[200]), ("CLNT", &[501]), ("CSID", &[200])]);
    assert_eq!(reply(&mut b, "CSID Name=x;"), ["200 Name=port21;CaseSensitive=1;DirSep=/;"]);
}

/// SITE CHMOD, UTIME (in both its forms), SYMLINK and WHO, each for who may.
#[test]
fn site() {
    let mut b = Bench::logged_in("admin");
    expect(
        &mut b,
        &[
            ("SITE CHMOD 600 readme.txt", &[200]),
            ("SITE CHMOD 7777 readme.txt", &[501]),
            ("SITE UTIME 200505022107 readme.txt", &[200]),
            ("SITE UTIME readme.txt 20050502210700 20050502210700 20050502210700 UTC", &[200]),
            ("SITE UTIME x", &[501]),
            ("SITE SYMLINK readme.txt link", &[200]),
        ],
    );
    assert_eq!(
        reply(&mut b, "SITE WHO"),
        ["200-Logged in:", " root from 192.0.2.1", " ann from 192.0.2.9", "200 End of list."]
    );
    assert_eq!(reply(&mut Bench::logged_in("root"), "SITE WHO").len(), 3, "own sessions alone");
    expect(&mut Bench::logged_in("root"), &[("SITE SYMLINK a b", &[550])]);
    expect(&mut Bench::logged_in("ftp"), &[("SITE WHO", &[550]), ("SITE UTIME 200505022107 readme.txt", &[550])]);
}

/// A link's target is meant from where the link is, and nothing is above the root.
#[test]
fn targets_of_links() {
    for (line, target) in [
        ("SITE SYMLINK readme.txt pub/link", "/pub/readme.txt"),
        ("SITE SYMLINK ../readme.txt pub/link", "/readme.txt"),
        ("SITE SYMLINK ../../../etc/passwd pub/link", "/etc/passwd"),
        ("SITE SYMLINK /readme.txt pub/link", "/readme.txt"),
    ] {
        let got = asked(&mut Bench::logged_in("admin"), line);
        assert_eq!(got, [format!("Link {{ target: FtpPath({target:?}), link: FtpPath(\"/pub/link\") }}")]);
    }
}

/// Nothing that a client in use sends is 502.
#[test]
fn no_verb_in_use_is_unknown() {
    let mut b = Bench::logged_in("root");
    for line in [
        "ACCT x",
        "ALLO 1",
        "AVBL",
        "CLNT x",
        "COMB a b",
        "CSID",
        "DSIZ",
        "EPSV",
        "FEAT",
        "HASH x",
        "HELP",
        "HOST x",
        "LANG",
        "MD5 x",
        "MDTM x",
        "MFCT 20050502210700 x",
        "MFF Modify=20050502210700; x",
        "MFMT 20050502210700 x",
        "MLST",
        "MODE Z",
        "OPTS UTF8 ON",
        "RANG 0 1",
        "RMDA x",
        "SITE UTIME 200505022107 x",
        "SIZE x",
        "STAT",
        "SYST",
        "XCRC x",
        "XCUP",
        "XCWD /",
        "XMD5 x",
        "XMKD x",
        "XPWD",
        "XRMD x",
        "XSHA x",
        "XSHA1 x",
        "XSHA256 x",
        "XSHA512 x",
    ] {
        assert_ne!(b.codes(line), [502], "{line}");
    }
}

/// No command behind SITE runs anything: those that other servers had for it are not there.
#[test]
fn nothing_is_executed() {
    let mut b = Bench::logged_in("admin");
    for line in [
        "SITE EXEC ls",
        "SITE EXEC /bin/sh",
        "SITE CPFR a",
        "SITE CPTO b",
        "SITE ALIAS x",
        "SITE GROUP x",
        "SITE INDEX",
    ] {
        b.take();
        b.hold_all = true;
        b.say(&format!("{line}\r\n"));
        assert!(b.held.is_empty(), "{line}");
        assert_eq!(b.reply_codes(), [504], "{line}");
    }
}
