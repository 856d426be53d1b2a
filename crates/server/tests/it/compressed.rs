//! MODE Z both ways, and what it must not become.

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use port21_server::storage::CommitMode;

use crate::site::{Raw, Site, noise};

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn inflate(wire: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(wire).read_to_end(&mut bytes).unwrap();
    bytes
}

fn login(site: &Site) -> Raw {
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    raw.command("MODE Z", 200);
    raw
}

#[test]
fn files_go_both_ways() {
    let site = Site::new();
    let mut raw = login(&site);
    for bytes in [Vec::new(), b"x".to_vec(), noise(100_000), "the same again ".repeat(10_000).into_bytes()] {
        raw.store("STOR file", &deflate(&bytes));
        assert!(site.read("file") == bytes);
        let wire = raw.fetch("RETR file");
        assert!(inflate(&wire) == bytes);
        assert!(wire.len() < bytes.len() / 50 || bytes.len() < 10 || bytes[0] != b't');
    }
    // A client that sends nothing at all for an empty file.
    raw.store("STOR empty", b"");
    assert_eq!(site.read("empty"), b"");
    raw.command("MODE S", 200);
    site.write("file", "plain");
    assert_eq!(raw.fetch("RETR file"), b"plain");
}

#[test]
fn levels_differ() {
    let site = Site::new();
    let text: String = (0..20_000).map(|n| format!("line {} of many\n", n % 977)).collect();
    site.write("file", &text);
    let mut raw = login(&site);
    raw.command("OPTS MODE Z LEVEL 1", 200);
    let fast = raw.fetch("RETR file");
    raw.command("OPTS MODE Z LEVEL 9", 200);
    let small = raw.fetch("RETR file");
    assert!(small.len() < fast.len());
    assert!(inflate(&small) == text.as_bytes() && inflate(&fast) == text.as_bytes());
}

#[test]
fn listings_and_texts_too() {
    let site = Site::new();
    site.write("file", "one\ntwo\n");
    let mut raw = login(&site);
    assert_eq!(inflate(&raw.fetch("NLST")), b"file\r\n");
    raw.command("TYPE A", 200);
    assert_eq!(inflate(&raw.fetch("RETR file")), b"one\r\ntwo\r\n");
    raw.store("STOR back", &deflate(b"1\r\n2\r\n"));
    assert_eq!(site.read("back"), b"1\n2\n");
}

#[test]
fn it_goes_on_where_it_was_broken_off() {
    let site = Site::new();
    site.write("file", "0123456789");
    let mut raw = login(&site);
    raw.command("REST 4", 350);
    assert_eq!(inflate(&raw.fetch("RETR file")), b"456789");
    raw.command("REST 4", 350);
    raw.store("STOR file", &deflate(b"xyz"));
    assert_eq!(site.read("file"), b"0123xyz");
}

/// The connection ends in order, the stream does not: what came is a part, whatever FIN says.
#[test]
fn a_stream_that_does_not_end_makes_no_file() {
    let site = Site::new();
    site.write("file", "old");
    let mut raw = login(&site);
    let whole = deflate(&noise(30_000));
    let more = [whole.as_slice(), b"more"].concat();
    for wire in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &more, b"no stream at all"] {
        let mut data = raw.passive();
        raw.command("STOR file", 150);
        let _ = data.write_all(wire);
        drop(data);
        raw.expect(426);
        assert_eq!(site.read("file"), b"old");
        assert_eq!(site.names(), ["file"]);
    }
}

/// 20 KB on the wire that would be 20 MB in the file: it ends at what the account may have.
#[test]
fn a_bomb_stops_at_the_quota() {
    let site = Site::over(Site::settings(), |files| {
        Arc::new(crate::storages::Capped { files, most: 1_000_000 }) as Arc<dyn port21_server::Storage>
    });
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..20 {
        encoder.write_all(&[0; 1_000_000]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 40_000);
    let mut raw = login(&site);
    let mut data = raw.passive();
    raw.command("STOR bomb", 150);
    let _ = data.write_all(&bomb);
    drop(data);
    raw.expect(552);
    assert!(site.names().is_empty());
}

#[test]
fn an_abort_ends_it() {
    let mut settings = Site::settings();
    settings.commit = CommitMode::Atomic;
    let site = Site::with(settings);
    site.write("large", noise(5_000_000));
    let mut raw = login(&site);
    let data = raw.passive();
    raw.command("RETR large", 150);
    raw.command("ABOR", 426);
    raw.expect(226);
    drop(data);
    raw.command("NOOP", 200);
}
