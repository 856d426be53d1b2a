//! Everyday work, by a client that others wrote (suppaftp).

use std::io::Cursor;

use suppaftp::types::FileType;
use suppaftp::{FtpStream, Mode};

use crate::site::{Site, noise};

fn connect(site: &Site, mode: Mode) -> FtpStream {
    let mut ftp = FtpStream::connect(site.addr).unwrap();
    ftp.login("user", "secret").unwrap();
    ftp.set_mode(mode);
    ftp.transfer_type(FileType::Binary).unwrap();
    ftp
}

/// All that a client does every day, over data connections of one kind.
fn everyday(mode: Mode) {
    let site = Site::new();
    let mut ftp = connect(&site, mode);
    assert_eq!(ftp.pwd().unwrap(), "/");

    for name in ["plain.txt", "with space.txt", "größe 日本.txt", "a \"quoted\" name", "-dash", "[x]"] {
        let bytes = noise(1000 + name.len());
        assert_eq!(ftp.put_file(name, &mut Cursor::new(&bytes)).unwrap(), bytes.len() as u64, "{name}");
        assert_eq!(site.read(name), bytes, "{name}");
        assert_eq!(ftp.retr_as_buffer(name).unwrap().into_inner(), bytes, "{name}");
        assert_eq!(ftp.size(name).unwrap(), bytes.len(), "{name}");
        ftp.mdtm(name).unwrap();
        assert!(ftp.nlst(None).unwrap().contains(&name.to_string()), "{name}");
        assert!(ftp.list(None).unwrap().iter().any(|line| line.ends_with(name)), "{name}");
        ftp.rm(name).unwrap();
        assert!(site.names().is_empty(), "{name}");
    }

    ftp.mkdir("dir \"x\"").unwrap();
    ftp.cwd("dir \"x\"").unwrap();
    // This client leaves the quotes as they came, doubled.
    assert_eq!(ftp.pwd().unwrap(), "/dir \"\"x\"\"");
    assert!(ftp.nlst(None).unwrap().is_empty());
    ftp.put_file("one", &mut Cursor::new(b"first")).unwrap();
    ftp.append_file("one", &mut Cursor::new(b" second")).unwrap();
    assert_eq!(site.read("dir \"x\"/one"), b"first second");
    ftp.resume_transfer(6).unwrap();
    assert_eq!(ftp.retr_as_buffer("one").unwrap().into_inner(), b"second");
    ftp.resume_transfer(6).unwrap();
    ftp.put_file("one", &mut Cursor::new(b"SECOND!")).unwrap();
    assert_eq!(site.read("dir \"x\"/one"), b"first SECOND!");
    ftp.rename("one", "/two").unwrap();
    ftp.cdup().unwrap();
    ftp.rmdir("dir \"x\"").unwrap();
    assert_eq!(site.names(), ["two"]);
    assert!(ftp.mlsd(None).unwrap().iter().any(|line| line.contains("size=13;") && line.ends_with(" two")));
    assert!(ftp.mlst(Some("two")).unwrap().contains("type=file;"));
    ftp.rm("two").unwrap();
    assert!(ftp.retr_as_buffer("two").is_err());
    ftp.noop().unwrap();
    ftp.quit().unwrap();
}

#[test]
fn by_passive_mode() {
    everyday(Mode::Passive);
}

#[test]
fn by_extended_passive_mode() {
    everyday(Mode::ExtendedPassive);
}

#[test]
fn by_active_mode() {
    everyday(Mode::Active);
}

#[test]
fn big_files_both_ways() {
    let site = Site::new();
    let mut ftp = connect(&site, Mode::ExtendedPassive);
    let bytes = noise(20_000_003);
    ftp.put_file("big", &mut Cursor::new(&bytes)).unwrap();
    assert!(site.read("big") == bytes, "the upload differs");
    assert!(ftp.retr_as_buffer("big").unwrap().into_inner() == bytes, "the download differs");
    ftp.resume_transfer(19_999_999).unwrap();
    assert_eq!(ftp.retr_as_buffer("big").unwrap().into_inner(), bytes[19_999_999..]);
    ftp.quit().unwrap();
}

#[test]
fn text_has_the_line_ends_of_each_side() {
    let site = Site::new();
    let mut ftp = connect(&site, Mode::ExtendedPassive);
    ftp.transfer_type(FileType::Ascii(suppaftp::types::FormatControl::Default)).unwrap();
    ftp.put_file("text", &mut Cursor::new(b"one\r\ntwo\r\n")).unwrap();
    assert_eq!(site.read("text"), b"one\ntwo\n");
    assert_eq!(ftp.retr_as_buffer("text").unwrap().into_inner(), b"one\r\ntwo\r\n");
    let long = "a line\n".repeat(100_000);
    site.write("long", &long);
    let wire = ftp.retr_as_buffer("long").unwrap().into_inner();
    assert!(wire == long.replace('\n', "\r\n").into_bytes());
    ftp.put_file("back", &mut Cursor::new(&wire)).unwrap();
    assert!(site.read("back") == long.as_bytes());
    ftp.quit().unwrap();
}

#[test]
fn guests_read_and_do_not_write() {
    let site = Site::new();
    site.write("readme", "hello");
    let mut ftp = FtpStream::connect(site.addr).unwrap();
    ftp.login("anonymous", "me@example.org").unwrap();
    ftp.set_mode(Mode::ExtendedPassive);
    assert_eq!(ftp.retr_as_buffer("readme").unwrap().into_inner(), b"hello");
    assert!(ftp.put_file("new", &mut Cursor::new(b"x")).is_err());
    assert!(ftp.rm("readme").is_err() && ftp.mkdir("d").is_err() && ftp.rename("readme", "r").is_err());
    assert_eq!(site.names(), ["readme"]);
    assert!(FtpStream::connect(site.addr).unwrap().login("user", "wrong").is_err());
}
