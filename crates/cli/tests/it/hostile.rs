//! Servers that mean harm: what the commands say of them, and with which code they end.

use std::time::{Duration, UNIX_EPOCH};

use super::scripted::Scripted;
use super::support::{Ran, port21};

fn run(args: &[&str]) -> (Ran, tempfile::TempDir) {
    let here = tempfile::tempdir().unwrap();
    let ran = Ran::new(port21(here.path()).args(args).output().unwrap());
    (ran, here)
}

/// The server's fault, told in plain words, and asked for once.
#[test]
fn a_reply_without_end_is_not_asked_for_again() {
    for (verb, bytes) in [("RETR", "550-on and on\r\n"), ("RETR", "a line "), ("USER", "331-\r\n"), ("EPSV", "\r\n")] {
        let server = Scripted::start(move |session, line| match line.starts_with(verb) {
            true => {
                let bytes = bytes.repeat(1000);
                while session.raw(bytes.as_bytes()) {}
            }
            false => session.usual(line),
        });
        let (ran, here) = run(&["get", &server.url("x")]);
        let error = ran.fails(5);
        assert!(error.contains("does not end") && !error.contains("again"), "{verb} {bytes:?}: {error}");
        assert_eq!(server.count(verb), 1, "{:?}", server.heard());
        assert!(!here.path().join("x").exists());
    }
}

/// A server whose directories all hold this, and whose files are all `x`.
fn everywhere(listing: &str) -> Scripted {
    let listing = listing.to_owned();
    Scripted::start(move |session, line| match line.split(' ').next().unwrap() {
        "LIST" if line == "LIST" => session.transfer(format!("{DIRECTORY}x\r\n{listing}").as_bytes()),
        "LIST" => session.transfer(listing.as_bytes()),
        "RETR" => session.transfer(b"x"),
        "DELE" if line == "DELE x" => session.say("550 a directory"),
        _ => session.usual(line),
    })
}

const DIRECTORY: &str = "drwxr-xr-x 1 u g 1 Jan 1 2001 ";
const FILE: &str = "-rw-r--r-- 1 u g 1 Jan 1 2001 ";
const LINK: &str = "lrwxrwxrwx 1 u g 1 Jan 1 2001 ";

#[test]
fn a_tree_without_end_has_one() {
    let server = everywhere(&format!("{DIRECTORY}d\r\n{FILE}f\r\n"));
    let (ran, here) = run(&["get", "-r", &server.url("x")]);
    let error = ran.fails(5);
    assert!(error.contains(&format!("x/{}: ", "d/".repeat(257).trim_end_matches('/'))), "{error}");
    assert!(error.contains("more than 256 directories deep"), "{error}");
    // What is not too deep has come.
    let deepest = here.path().join("x").join("d/".repeat(256));
    assert_eq!(std::fs::read(deepest.join("f")).unwrap(), b"x");
    assert_eq!(server.count("RETR"), 257);

    let (ran, _here) = run(&["rm", "-r", &server.url("x")]);
    let error = ran.fails(5);
    assert!(error.contains("more than 256 directories deep"), "{error}");
    assert_eq!((server.count("DELE x/"), server.count("RMD")), (257, 0));
}

#[test]
fn warnings_that_are_alike_are_counted() {
    let links: String = (0..30).map(|n| format!("{LINK}l{n} -> x\r\n")).collect();
    let server = everywhere(&format!("{links}{FILE}f\r\n"));
    let (ran, here) = run(&["get", "-r", &server.url("x")]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!((ran.code, lines.len()), (Some(0), 21), "{ran:?}");
    assert!(lines[19].contains("x/l") && lines[20].contains("... and 10 more like it: a symbolic link"), "{ran:?}");
    assert_eq!(std::fs::read(here.path().join("x/f")).unwrap(), b"x");
}

#[test]
fn a_directory_of_too_many_entries() {
    let files: String = (0..150).map(|n| format!("{FILE}f{n}\r\n")).collect();
    let server = everywhere(&files);
    for url in ["x/*", "x"] {
        let (ran, here) = run(&["get", "-r", "--max-entries", "100", &server.url(url)]);
        let error = ran.fails(5);
        assert!(error.contains("more than 100 entries") && error.contains("--max-entries N"), "{error}");
        assert!(!here.path().join("f0").exists() && !here.path().join("x/f0").exists());
    }
    let (ran, _here) = run(&["rm", "-r", "--max-entries", "10", &server.url("x")]);
    assert!(ran.fails(5).contains("--max-entries"));
    let (ran, _here) = run(&["ls", "-1", "--max-entries", "100", &server.url("x")]);
    assert_eq!(ran.ok().lines().count(), 150);
    let (ran, here) = run(&["get", &server.url("x/*9")]);
    ran.ok();
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 15);
}

/// All bytes have come, and the server says that something was wrong with them.
#[test]
fn a_refusal_behind_the_last_byte_of_a_segment_counts() {
    let bytes = vec![7; 3 << 20];
    let server = Scripted::start(move |session, line| match line.split(' ').next().unwrap() {
        "SIZE" => session.say(&format!("213 {}", bytes.len())),
        "REST" => {
            session.offset = line[5..].parse().unwrap();
            session.say("350 from there");
        }
        "RETR" => {
            session.farewell = "451 the disk cannot be read";
            let from = std::mem::take(&mut session.offset);
            session.transfer(&bytes[from..]);
        }
        "ABOR" => session.say("226 stopped"),
        _ => session.usual(line),
    });
    let (ran, here) = run(&["get", "--segments", "2", "--retry", "0", &server.url("f")]);
    assert!(ran.code == Some(6) && ran.err.contains("451 the disk cannot be read"), "{ran:?}");
    assert!(!here.path().join("f").exists());
}

/// What it is may be what was asked for.
#[test]
fn lines_that_cannot_be_read_are_told() {
    let server = everywhere(&format!("what is this?\r\n{FILE}f\r\n"));
    for (url, named, fetched) in [("x/*", "/x: ", "f"), ("*", "/: ", "f"), ("x", "/x: ", "x/f"), ("", "/: ", "f")] {
        let way = if url.contains('*') { "get" } else { "mirror" };
        let (ran, here) = match way {
            "get" => run(&["get", &server.url(url)]),
            _ => run(&["mirror", &server.url(url), if url.is_empty() { "." } else { "x" }]),
        };
        let line = ran.err.lines().find(|line| line.contains("what is this?"));
        let line = line.unwrap_or_else(|| panic!("{url}: {ran:?}"));
        assert!(
            ran.code == Some(5) && line.contains(&format!("{named}a line of the listing cannot be read")),
            "{ran:?}"
        );
        assert_eq!(std::fs::read(here.path().join(fetched)).unwrap(), b"x");
    }
    let lines = "what is this?\r\n".repeat(100);
    let server = everywhere(&format!("{FILE}f\r\n{lines}"));
    let (ran, _here) = run(&["ls", &server.url("x")]);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(5), 22), "{ran:?}");
    assert!(ran.err.contains("... and 80 more like it"), "{ran:?}");
    let (ran, _here) = run(&["get", &server.url("x/*")]);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(5), 22), "{ran:?}");
}

/// The size of a file is the server's word: nothing is made as long beforehand, and what is not true is found out.
#[test]
fn sizes_that_are_lies_cost_nothing() {
    let content: Vec<u8> = (0..3 << 20).map(|n: u32| (n >> 8) as u8 ^ n as u8).collect();
    let sizes = [u64::MAX, i64::MAX as u64, 1 << 60, 64 << 20, (2 << 20) + 1];
    for (size, refuses) in sizes.into_iter().flat_map(|size| [(size, false), (size, true)]) {
        let bytes = content.clone();
        let server = Scripted::start(move |session, line| match line.split(' ').next().unwrap() {
            "SIZE" => session.say(&format!("213 {size}")),
            "REST" => {
                session.offset = line[5..].parse().unwrap_or(usize::MAX);
                session.say("350 from there");
            }
            "RETR" if refuses && session.offset > bytes.len() => session.say("554 it has no such byte"),
            "RETR" => {
                let from = std::mem::take(&mut session.offset).min(bytes.len());
                session.transfer(&bytes[from..]);
            }
            "ABOR" => session.say("226 stopped"),
            _ => session.usual(line),
        });
        let (ran, here) = run(&["get", "--segments", "3", &server.url("f")]);
        assert_eq!(ran.code, Some(0), "{size} {refuses}: {ran:?} {:?}", server.heard());
        assert!(std::fs::read(here.path().join("f")).unwrap() == content, "{size} {refuses}");
        let names: Vec<_> = std::fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["f"]);
        // Who tells less than there is, and gives what was told, is not found out by the bytes of a segment's midst.
        assert!(ran.err.contains("it is fetched in one stream"), "{size} {refuses}: {ran:?}");
    }
}

/// MLSD tells UTC by its definition; MDTM is to, and does not everywhere.
#[test]
fn times_are_those_of_mlsd() {
    let server = Scripted::start(|session, line| match line.split(' ').next().unwrap() {
        "FEAT" => session.say("211-F\r\n MLST type*;modify*;\r\n MDTM\r\n211 end"),
        "MLSD" => session.transfer(b"type=file;modify=20200102030405; f\r\n"),
        "MDTM" => session.say("213 20200102050405"),
        "RETR" => session.transfer(b"x"),
        _ => session.usual(line),
    });
    for way in [&["get", "URL/*"][..], &["mirror", "URL/", "."]] {
        let words: Vec<String> = way.iter().map(|word| word.replace("URL/", &server.url(""))).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (ran, here) = run(&words);
        ran.ok();
        let modified = std::fs::metadata(here.path().join("f")).unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(1_577_934_245));
    }
    assert_eq!(server.count("MDTM"), 0);
}
