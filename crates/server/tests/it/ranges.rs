//! RANG, and REST beyond 4 GiB.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::compressed::{deflate, inflate};
use crate::site::Site;

#[test]
fn only_the_range_is_sent() {
    let site = Site::new();
    site.write("file", "0123456789");
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    for (range, want) in [("0 0", "0"), ("2 4", "234"), ("8 100", "89"), ("10 12", ""), ("11 12", "")] {
        raw.command(&format!("RANG {range}"), 350);
        assert_eq!(raw.fetch("RETR file"), want.as_bytes(), "{range}");
        assert_eq!(raw.fetch("RETR file"), b"0123456789", "it holds for one transfer");
    }
    raw.command("RANG 2 4", 350);
    raw.command("RANG 1 0", 350);
    assert_eq!(raw.fetch("RETR file"), b"0123456789");
    raw.command("RANG 2 4", 350);
    raw.command("REST 5", 350);
    assert_eq!(raw.fetch("RETR file"), b"56789", "REST takes its place");
}

#[test]
fn a_range_is_written_and_nothing_else() {
    let site = Site::new();
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    for (verb, range, bytes, want) in [
        ("STOR", "2 4", "abc", "01abc56789"),
        ("APPE", "2 4", "abc", "01abc56789"),
        ("STOR", "0 0", "a", "a123456789"),
        ("STOR", "8 11", "abcd", "01234567abcd"),
        ("STOR", "10 11", "ab", "0123456789ab"),
    ] {
        site.write("file", "0123456789");
        raw.command(&format!("RANG {range}"), 350);
        raw.store(&format!("{verb} file"), bytes.as_bytes());
        assert_eq!(site.read("file"), want.as_bytes(), "{verb} {range}");
    }
    raw.command("RANG 0 2", 350);
    raw.store("STOR new", b"abc");
    assert_eq!(site.read("new"), b"abc");
    raw.store("STOR file", b"whole");
    assert_eq!(site.read("file"), b"whole", "it holds for one transfer");
}

#[test]
fn a_range_that_does_not_fit_is_refused_and_harms_nothing_outside_it() {
    let site = Site::new();
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    for (bytes, code, rest) in [("abcd", 554, "56789"), ("ab", 554, "56789"), ("abc", 226, "56789")] {
        site.write("file", "0123456789");
        raw.command("RANG 2 4", 350);
        let mut data = raw.passive();
        raw.command("STOR file", 150);
        data.write_all(bytes.as_bytes()).unwrap();
        drop(data);
        raw.expect(code);
        let now = site.read("file");
        assert!(now.starts_with(b"01") && now.ends_with(rest.as_bytes()) && now.len() == 10, "{now:?}");
    }
    for (range, file) in [("11 12", "file"), ("1 2", "nosuch")] {
        raw.command(&format!("RANG {range}"), 350);
        let _data = raw.passive();
        raw.command(&format!("STOR {file}"), 554);
    }
    raw.command("RANG 0 2", 350);
    let mut data = raw.passive();
    raw.command("STOR new", 150);
    data.write_all(b"ab").unwrap();
    drop(data);
    raw.expect(554);
    assert_eq!(site.names(), ["file"], "a file that is not whole is none");
}

/// The range counts the file's bytes, whatever they are on the wire (draft-bryan-ftp-range-08 section 4.3).
#[test]
fn a_compressed_range_is_that_of_the_file() {
    let site = Site::new();
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    raw.command("MODE Z", 200);
    for (verb, range, bytes, want) in [
        ("STOR", "2 4", "abc", "01abc56789"),
        ("APPE", "2 4", "abc", "01abc56789"),
        ("STOR", "8 11", "abcd", "01234567abcd"),
    ] {
        site.write("file", "0123456789");
        raw.command(&format!("RANG {range}"), 350);
        raw.store(&format!("{verb} file"), &deflate(bytes.as_bytes()));
        assert_eq!(site.read("file"), want.as_bytes(), "{verb} {range}");
        raw.command(&format!("RANG {range}"), 350);
        assert_eq!(inflate(&raw.fetch("RETR file")), bytes.as_bytes(), "{verb} {range}");
    }
    // More or fewer than there is room for, as they are once they are out: nothing outside of the range is touched.
    for bytes in ["abcd", "ab"] {
        site.write("file", "0123456789");
        raw.command("RANG 2 4", 350);
        let mut data = raw.passive();
        raw.command("STOR file", 150);
        // It may be told before all has been sent.
        let _ = data.write_all(&deflate(bytes.as_bytes()));
        drop(data);
        raw.expect(554);
        let now = site.read("file");
        assert!(now.starts_with(b"01") && now.ends_with(b"56789") && now.len() == 10, "{now:?}");
    }
    // Few on the wire may be many: a bomb stops where the range does.
    site.write("file", "0123456789");
    raw.command("RANG 0 9", 350);
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    let _ = data.write_all(&deflate(&vec![b'x'; 1 << 20]));
    drop(data);
    raw.expect(554);
    assert_eq!(site.read("file").len(), 10);
}

#[test]
fn a_range_of_a_text_is_refused() {
    let site = Site::new();
    site.write("file", "0123456789");
    let mut raw = site.login();
    raw.command("RANG 2 4", 350);
    let _data = raw.passive();
    raw.command("RETR file", 551);
    raw.command("RANG 2 4", 350);
    let _data = raw.passive();
    raw.command("STOR file", 551);
    assert_eq!(site.read("file"), b"0123456789");
}

#[test]
fn beyond_four_gigabytes() {
    const FAR: u64 = 5_000_000_000;
    let site = Site::new();
    let file = File::options().read(true).write(true).create_new(true).open(site.file("large")).unwrap();
    file.write_all_at(b"far out", FAR).unwrap();
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    assert_eq!(raw.command("SIZE large", 213), "213 5000000007\r\n");
    raw.command(&format!("REST {FAR}"), 350);
    assert_eq!(raw.fetch("RETR large"), b"far out");
    raw.command(&format!("RANG {} {}", FAR + 4, FAR + 6), 350);
    assert_eq!(raw.fetch("RETR large"), b"out");
    raw.command(&format!("REST {}", FAR + 4), 350);
    raw.store("STOR large", b"away");
    let mut end = [0; 8];
    file.read_exact_at(&mut end, FAR).unwrap();
    assert_eq!(&end, b"far away");
    raw.command(&format!("REST {}", FAR + 9), 350);
    let _data = raw.passive();
    raw.command("RETR large", 554);
}
