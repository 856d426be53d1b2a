//! `ls --parse`: listings that were saved.

use std::path::Path;

use serde_json::Value;

use super::support::{Ran, feed, port21};

const UNIX: &str = "total 8\r\n\
    -rw-r--r--   1 ftp      ftp          1715 Apr 30 09:05 readme.txt\r\n\
    lrwxrwxrwx   1 ftp      ftp             3 Dec 31 23:59 latest -> 1.0\r\n\
    what is this?\r\n\
    -rw-r--r--   1 ftp      ftp        33.5k May  4  2004  two words \r\n";

/// Runs `ls --parse` on a file of its own.
fn parse(listing: &[u8], args: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("listing"), listing).unwrap();
    let mut command = port21(home.path());
    Ran::new(command.args(["ls", "--parse", "listing"]).args(args).output().unwrap())
}

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_saved_listing_as_json() {
    let ran = parse(UNIX.as_bytes(), &["--now", "2005-05-02", "--json"]);
    assert!(ran.err.contains("cannot be read: what is this?"), "{}", ran.err);
    assert!(!ran.err.contains("total 8"), "{}", ran.err);
    let told = objects(&ran.ok());
    let of = |at: usize, keys: &[&str]| keys.iter().map(|key| told[at][*key].to_string()).collect::<Vec<_>>().join(" ");
    let keys = ["name", "kind", "size", "modified", "target"];
    assert_eq!(of(0, &keys), r#""readme.txt" "file" 1715 "2005-04-30T09:05:00" null"#);
    assert_eq!(of(1, &keys), r#""latest" "link" 3 "2004-12-31T23:59:00" "1.0""#);
    assert_eq!(of(2, &keys), r#"null "unreadable" null null null"#);
    assert_eq!(of(3, &keys), r#"" two words " "file" 34304 "2004-05-04T00:00:00" null"#);
    assert_eq!(of(3, &["rough", "precision"]), r#"true "day""#);
    assert_eq!(told[2]["raw"], "what is this?");
    assert_eq!(told[0]["raw"], UNIX.lines().nth(1).unwrap());
    assert_eq!(told.len(), 4);
}

#[test]
fn the_same_from_standard_input_and_for_people() {
    let args = ["ls", "--parse", "-", "--now", "2005-05-02T21:07:00Z"];
    let mut command = port21(Path::new("/"));
    command.args(args);
    let long = feed(command, UNIX);
    assert!(long.err.contains("cannot be read: what is this?"), "{}", long.err);
    let long = long.ok();
    assert!(long.starts_with("-rw-r--r-- ftp      ftp              1715 2005-04-30 09:05 readme.txt\n"), "{long}");
    assert!(long.contains("~34304 2004-05-04        two words \n"), "{long}");
    let mut command = port21(Path::new("/"));
    command.args(args).arg("-1");
    assert_eq!(feed(command, UNIX).ok(), "readme.txt\nlatest\n two words \n");
}

#[test]
fn what_names_no_file_is_told_with_v() {
    let ran = parse(b"Directory DISK:[X]\r\n\r\nA.TXT;1  1/9  2-JUN-1998 07:32:04\r\n", &["-v", "-1"]);
    assert!(ran.err.contains("read as that of VMS") && ran.err.contains("Directory DISK:[X]"), "{}", ran.err);
    assert_eq!(ran.ok(), "A.TXT;1\n");
}

#[test]
fn names_of_any_bytes_are_told() {
    let told = objects(&parse(b"type=file;size=5; a\xff\x1b[2J\r\n", &["--json"]).ok());
    assert_eq!(
        (told[0]["name"].as_str(), told[0]["name_hex"].as_str()),
        (Some("a\\xff\\x1b[2J"), Some("61ff1b5b324a"))
    );
    assert!(told[0]["raw_hex"].as_str().unwrap().ends_with("61ff1b5b324a"));
    let long = [&[b'x'; 20_000][..], b"\n"].concat();
    let told = objects(&parse(&long, &["--json"]).ok());
    assert_eq!((told[0]["overlong"].as_bool(), told[0]["raw"].as_str().unwrap().len()), (Some(true), 16 * 1024));
}

#[test]
fn what_cannot_be_asked_for() {
    assert_eq!(parse(b"", &[]).ok(), "");
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Ran::new(port21(home.path()).arg("ls").args(args).output().unwrap());
    assert!(run(&["--parse", "missing"]).fails(1).contains("cannot open missing"));
    assert!(run(&["--parse", "x", "--now", "soon"]).err.contains("2005-05-02T21:07:00Z"));
    for args in [&["--parse", "x", "ftp://localhost/"][..], &["--now", "2005-05-02", "ftp://localhost/"], &[]] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}
