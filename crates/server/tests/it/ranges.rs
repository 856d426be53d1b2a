//! RANG, and REST beyond 4 GiB.

use std::fs::File;
use std::os::unix::fs::FileExt;

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
fn a_range_of_a_text_or_an_upload_is_refused() {
    let site = Site::new();
    site.write("file", "0123456789");
    let mut raw = site.login();
    raw.command("RANG 2 4", 350);
    let _data = raw.passive();
    raw.command("RETR file", 504);
    raw.command("TYPE I", 200);
    raw.command("RANG 2 4", 350);
    raw.command("STOR file", 504);
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
