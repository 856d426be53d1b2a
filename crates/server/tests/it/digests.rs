//! HASH and its like, and how they are stopped.

use std::fs::File;
use std::sync::Arc;

use port21_server::Storage;

use crate::site::Site;

const ABC: [(&str, &str); 5] = [
    ("SHA-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        "SHA-512",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e\
         2a9ac94fa54ca49f",
    ),
    ("SHA-1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("MD5", "900150983cd24fb0d6963f7d28e17f72"),
    ("CRC32", "352441c2"),
];

#[test]
fn of_every_algorithm() {
    let site = Site::new();
    site.write("a file", "abc");
    let mut raw = site.login();
    for (name, digest) in ABC {
        raw.command(&format!("OPTS HASH {name}"), 200);
        assert_eq!(raw.command("HASH a file", 213), format!("213 {name} 0-2 {digest} a file\r\n"));
    }
    for (verb, at) in [("XSHA256", 0), ("XSHA512", 1), ("XSHA", 2), ("XSHA1", 2), ("XMD5", 3), ("XCRC", 4)] {
        assert_eq!(raw.command(&format!("{verb} a file"), 250), format!("250 {}\r\n", ABC[at].1), "{verb}");
        assert_eq!(raw.command(&format!("{verb} \"a file\""), 250), format!("250 {}\r\n", ABC[at].1), "{verb}");
    }
    assert_eq!(raw.command("MD5 a file", 251), format!("251 a file {}\r\n", ABC[3].1));
    raw.command("HASH missing", 550);
    std::fs::create_dir(site.file("dir")).unwrap();
    raw.command("HASH dir", 553);
    raw.command("XCRC dir", 550);
}

#[test]
fn of_a_part() {
    let site = Site::new();
    site.write("file", "xxabcxx");
    let mut raw = site.login();
    raw.command("RANG 2 4", 350);
    assert_eq!(raw.command("HASH file", 213), format!("213 SHA-256 2-4 {} file\r\n", ABC[0].1));
    // The range was used up.
    assert!(raw.command("HASH file", 213).starts_with("213 SHA-256 0-6 "));
    raw.command("RANG 2 100", 350);
    assert!(raw.command("HASH file", 213).starts_with("213 SHA-256 2-6 "));
    raw.command("RANG 8 9", 350);
    raw.command("HASH file", 554);
    assert_eq!(raw.command("XCRC \"file\" 2 5", 250), format!("250 {}\r\n", ABC[4].1));
    raw.command("XCRC \"file\" 8", 554);
    site.write("empty", "");
    assert!(raw.command("HASH empty", 213).starts_with("213 SHA-256 0-0 e3b0c442"));
}

#[test]
fn guests_have_a_limit() {
    let mut settings = Site::settings();
    settings.session.guest_digest_limit = 3;
    let site = Site::with(settings);
    site.write("small", "abc");
    site.write("large", "abcd");
    let mut raw = site.connect();
    raw.command("USER anonymous", 331);
    raw.command("PASS x", 230);
    raw.command("HASH small", 213);
    raw.command("HASH large", 556);
    raw.command("XCRC \"large\" 0 3", 250);
    site.login().command("HASH large", 213);
}

/// So large that no test could wait for its digest, and nothing on the disk.
fn endless(site: &Site) {
    File::create(site.file("endless")).unwrap().set_len(1 << 40).unwrap();
}

#[test]
fn an_abort_ends_one_that_takes_long() {
    let site = Site::new();
    endless(&site);
    let mut raw = site.login();
    raw.send("HASH endless\r\nXSHA512 endless\r\nNOOP\r\nABOR\r\n");
    raw.expect(426);
    raw.expect(426);
    raw.expect(200);
    raw.expect(226);
    raw.command("SIZE endless", 550);
    raw.command("TYPE I", 200);
    raw.command("SIZE endless", 213);
}

#[test]
fn the_end_of_the_client_ends_them_and_others_have_their_turn() {
    let mut settings = Site::settings();
    settings.digests = 1;
    let site = Site::with(settings);
    endless(&site);
    site.write("small", "abc");
    let mut first = site.login();
    first.send("XMD5 endless\r\n");
    let mut second = site.login();
    second.send("XMD5 small\r\n");
    drop(first);
    second.expect(250);
}

#[test]
fn a_storage_that_is_no_file_system_has_them_too() {
    let site = Site::over(Site::settings(), |files| Arc::new(crate::storages::AsReader(files)) as Arc<dyn Storage>);
    site.write("file", "abc");
    let mut raw = site.login();
    assert_eq!(raw.command("XMD5 file", 250), format!("250 {}\r\n", ABC[3].1));
    raw.command("RANG 1 1", 350);
    raw.command("TYPE I", 200);
    assert_eq!(raw.fetch("RETR file"), b"b");
    raw.command("COMB both file", 250);
    assert_eq!(site.read("both"), b"abc");
}
