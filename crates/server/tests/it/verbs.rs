//! Verbs that are no transfers: facts, trees, SITE, HOST.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use port21_proto::verb::{Permission, Permissions};
use port21_server::Deed;
use port21_server::storage::Guarded;
use port21_server::storage::rules::{Rule, Rules};

use crate::site::{Raw, Site};

/// 2005-05-02 21:07:00 UTC.
const MAY: u64 = 1_115_068_020;

fn modified(site: &Site, name: &str) -> u64 {
    let time = std::fs::metadata(site.file(name)).unwrap().modified().unwrap();
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn mode(site: &Site, name: &str) -> u32 {
    std::fs::metadata(site.file(name)).unwrap().permissions().mode() & 0o7777
}

fn admin(site: &Site) -> Raw {
    let mut raw = site.connect();
    raw.command("USER admin", 331);
    raw.command("PASS secret", 230);
    raw
}

#[test]
fn facts_are_set_by_every_verb_that_can() {
    let site = Site::new();
    let mut raw = site.login();
    for (line, code) in [
        ("MFMT 20050502210700 a b", 213),
        ("MFF Modify=20050502210700;UNIX.mode=0640; a b", 213),
        ("MDTM 20050502210700 a b", 253),
        ("SITE UTIME 200505022107 a b", 200),
        ("SITE UTIME a b 20040101000000 20050502210700 20030101000000 UTC", 200),
    ] {
        site.write("a b", "x");
        raw.command(line, code);
        assert_eq!(modified(&site, "a b"), MAY, "{line}");
        assert!(raw.command("MDTM a b", 213).contains("20050502210700"));
    }
    assert_eq!(mode(&site, "a b"), 0o640);
    raw.command("SITE CHMOD 600 a b", 200);
    assert_eq!(mode(&site, "a b"), 0o600);
    // A file of the whole name is meant as such.
    site.write("20050502210700 a b", "x");
    raw.command("SITE UTIME 20010101000000 20050502210700 a b", 200);
    assert!(raw.command("MDTM 20050502210700 a b", 213).contains("20010101000000"));
    raw.command("MFCT 20050502210700 a b", 504);
    raw.command("MFMT 20050502210700 missing", 550);
    raw.command("MDTM 20050502210700 missing", 550);
}

#[test]
fn a_tree_is_removed_and_nothing_that_its_links_lead_to() {
    let site = Site::new();
    std::fs::create_dir_all(site.file("tree/a/b")).unwrap();
    std::fs::create_dir(site.file("other")).unwrap();
    for name in ["tree/1", "tree/.hidden", "tree/a/2", "tree/a/b/3", "other/kept"] {
        site.write(name, "x");
    }
    symlink("../other", site.file("tree/link")).unwrap();
    symlink(site.outside(), site.file("tree/out")).unwrap();
    symlink("tree", site.file("shortcut")).unwrap();
    let mut raw = site.login();
    raw.command("RMDA shortcut", 550);
    raw.command("RMDA other/kept", 550);
    raw.command("RMDA /", 550);
    raw.command("RMDA missing", 550);
    assert!(raw.command("DSIZ tree", 213).starts_with("213 4"));
    raw.command("DSIZ tree/1", 550);
    raw.command("RMDA tree", 250);
    assert_eq!(site.names(), ["other", "shortcut"]);
    assert_eq!(site.read("other/kept"), b"x");
    let want = ["/tree/.hidden", "/tree/1", "/tree/a/2", "/tree/a/b/3", "/tree/link", "/tree/out"];
    assert_eq!(next_removed(&site, want.len()), want);
}

/// The next so many files that are told to be removed, sorted.
fn next_removed(site: &Site, many: usize) -> Vec<String> {
    let removed = std::iter::repeat_with(|| site.next_deed()).filter_map(|deed| match deed {
        Deed::Removed { path, .. } => Some(path.to_string()),
        _ => None,
    });
    let mut removed: Vec<String> = removed.take(many).collect();
    removed.sort();
    removed
}

#[test]
fn a_tree_that_is_too_deep_is_left_as_it_is() {
    let site = Site::new();
    let mut deep = site.file("deep");
    for _ in 0..50 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    site.write("deep/file", "x");
    let mut raw = site.login();
    raw.command("RMDA deep", 451);
    assert!(deep.is_dir() && site.read("deep/file") == b"x");
    raw.command("DSIZ deep", 451);
}

#[test]
fn parts_become_one_file() {
    let site = Site::new();
    let mut raw = site.login();
    for (name, bytes) in [("p1", "one "), ("p 2", "two "), ("p3", "three")] {
        site.write(name, bytes);
    }
    raw.command("COMB whole p1 \"p 2\" p3", 250);
    assert_eq!(site.names(), ["whole"]);
    assert_eq!(site.read("whole"), b"one two three");
    assert_eq!(next_removed(&site, 3), ["/p 2", "/p1", "/p3"]);
    // To a target that is there they are added.
    site.write("p4", ", four");
    raw.command("COMB \"whole\" \"p4\"", 250);
    assert_eq!(site.read("whole"), b"one two three, four");
    assert_eq!(site.names(), ["whole"]);
    // One that is missing leaves all as it was.
    site.write("p5", "x");
    assert!(
        raw.command("COMB whole p5 missing", 550).contains(" /missing: "),
        "the one that stands in the way is named"
    );
    raw.command("COMB new p5 missing", 550);
    raw.command("COMB whole whole", 553);
    raw.command("COMB whole p5 ./p5", 553);
    assert_eq!(site.names(), ["p5", "whole"]);
    assert_eq!(site.read("whole"), b"one two three, four");
}

#[test]
fn parts_are_joined_safely_where_uploads_are_written_under_their_name() {
    let mut settings = Site::settings();
    settings.commit = port21_server::storage::CommitMode::Direct;
    let site = Site::with(settings);
    site.write("whole", "old and ");
    site.write("part", "new");
    site.login().command("COMB whole part", 250);
    assert_eq!(site.read("whole"), b"old and new");
}

#[test]
fn links_lead_nowhere_but_into_the_root() {
    let site = Site::new();
    std::fs::write(site.outside().join("secret"), "secret").unwrap();
    std::fs::create_dir_all(site.file("a/b")).unwrap();
    site.write("a/file", "inside");
    site.login().command("SITE SYMLINK a/file link", 550);
    let mut raw = admin(&site);
    raw.command("SITE SYMLINK /a/file link", 200);
    raw.command("SITE SYMLINK ../file a/b/up", 200);
    raw.command("SITE SYMLINK ../../../secret a/b/out", 200);
    raw.command("SITE SYMLINK / a/b/root", 200);
    for (name, text) in [("link", "a/file"), ("a/b/up", "../file"), ("a/b/out", "../../secret"), ("a/b/root", "../..")]
    {
        assert_eq!(std::fs::read_link(site.file(name)).unwrap().to_str(), Some(text), "{name}");
    }
    for name in ["link", "a/b/up", "a/b/root/link"] {
        assert_eq!(raw.fetch(&format!("RETR {name}")), b"inside", "{name}");
    }
    raw.command("SIZE a/b/out", 550);
    raw.command("SITE SYMLINK x link", 550);
}

#[test]
fn who_is_told_is_a_matter_of_permission() {
    let site = Site::new();
    let mut user = site.login();
    let mut guest = site.connect();
    guest.command("USER anonymous", 331);
    guest.command("PASS me@example.org", 230);
    let own = user.command("SITE WHO", 200);
    assert!(own.contains("user from 127.0.0.1 since 2") && !own.contains("anonymous"), "{own}");
    guest.command("SITE WHO", 550);
    let all = admin(&site).command("SITE WHO", 200);
    assert!(["user from", "anonymous from", "admin from"].iter().all(|name| all.contains(name)), "{all}");
    guest.command("QUIT", 221);
    assert!(guest.into_end().0);
}

#[test]
fn listings_tell_times_in_the_zone_that_is_set_and_facts_in_utc() {
    let mut settings = Site::settings();
    settings.session.list_zone = TimeZone::fixed(jiff::tz::offset(-9));
    let site = Site::with(settings);
    site.write("file", "x");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 366);
    std::fs::File::options().write(true).open(site.file("file")).unwrap().set_modified(at).unwrap();
    let mut raw = site.login();
    // The first second of 2 January 1971.
    for listing in [raw.fetch("LIST"), raw.fetch("NLST -l"), raw.command("STAT file", 213).into_bytes()] {
        let listing = String::from_utf8(listing).unwrap();
        assert!(listing.contains(" Jan  1  1971 file"), "{listing}");
    }
    assert!(String::from_utf8(raw.fetch("MLSD")).unwrap().contains("modify=19710102000000;"));
    assert!(raw.command("MLST file", 250).contains("modify=19710102000000;"));
    assert_eq!(raw.command("MDTM file", 213), "213 19710102000000\r\n");
}

#[test]
fn the_status_of_a_directory_and_that_of_a_file() {
    let site = Site::new();
    site.write("file", "x");
    std::fs::create_dir(site.file("dir")).unwrap();
    let mut raw = site.login();
    for (line, code) in [("STAT /", 212), ("STAT -l", 212), ("STAT dir", 212), ("STAT file", 213), ("STAT *", 213)] {
        raw.command(line, code);
    }
    raw.command("STAT nosuch", 550);
    // Of the directory itself, as ls has it: one line, that of LIST, and not what is in it.
    std::fs::write(site.file("dir/inside"), "x").unwrap();
    for of in ["dir", "/dir"] {
        let status = raw.command(&format!("STAT -d {of}"), 213);
        let lines: Vec<&str> = status.lines().collect();
        assert!(lines.len() == 3 && lines[1].starts_with(" drwx") && lines[1].ends_with(" dir"), "{status}");
        let listed = String::from_utf8(raw.fetch(&format!("LIST -d {of}"))).unwrap();
        assert_eq!(listed.trim_end(), lines[1].trim_start());
    }
    assert!(raw.command("STAT -l dir", 212).contains(" inside\r\n"));
}

#[test]
fn what_an_upload_may_have() {
    let site = Site::new();
    let mut raw = site.login();
    let text = raw.command("AVBL", 213);
    assert!(text.trim_start_matches("213 ").trim_end().parse::<u64>().unwrap() > 0, "{text}");
    site.write("file", "x");
    raw.command("AVBL file", 550);
    raw.command("AVBL missing", 550);
}

#[test]
fn host_chooses_greeting_accounts_and_files() {
    let mut settings = Site::settings();
    settings.names = vec!["first.example".into()];
    let site = Site::with(settings);
    site.write("file", "first");
    std::fs::write(site.outside().join("second/file"), "second").unwrap();
    let mut raw = site.connect();
    raw.command("HOST unknown.example", 504);
    assert_eq!(raw.command("HOST SECOND.example", 220), "220 The second site\r\n");
    raw.log_in();
    assert_eq!(raw.fetch("RETR file"), b"second");
    raw.command("HOST first.example", 503);
    raw.command("REIN", 220);
    raw.log_in();
    assert_eq!(raw.fetch("RETR file"), b"first");
    raw.command("REIN", 220);
    raw.command("HOST first.example", 220);
    raw.command("USER user", 331);
    raw.command("HOST second.example", 503);
}

#[test]
fn a_server_of_one_site_is_every_host() {
    let site = Site::new();
    let mut raw = site.connect();
    raw.command("HOST any.example", 220);
    raw.log_in();
}

#[test]
fn a_deep_or_wide_pattern_costs_no_more_than_its_bound() {
    let site = Site::new();
    for name in 0..300 {
        site.write(&format!("{}{name}", "a".repeat(100)), "");
    }
    let mut raw = site.login();
    let begun = std::time::Instant::now();
    let text = raw.fetch(&format!("NLST {}b", "*a".repeat(60)));
    assert!(text.is_empty());
    // Exponential matching would take years: any time at all shows that it is not.
    assert!(begun.elapsed() < Duration::from_secs(25));
}

/// A server whose account may do only so much with these paths.
fn ruled(paths: &str, permissions: Permissions) -> Site {
    let rule = Rule { paths: paths.parse().unwrap(), permissions };
    let rules = Rules::new(Permissions::ALL, vec![rule]);
    Site::over(Site::settings(), |files| Guarded::over(files, rules))
}

#[test]
fn a_file_is_not_put_to_itself_by_another_name() {
    let site = Site::new();
    std::fs::create_dir(site.file("real")).unwrap();
    symlink("real", site.file("alias")).unwrap();
    site.write("real/a", "precious");
    site.write("real/b", "more");
    symlink("real/a", site.file("link")).unwrap();
    std::fs::hard_link(site.file("real/a"), site.file("twin")).unwrap();
    let mut raw = site.login();
    for (target, parts) in [
        ("/real/a", "/alias/a"),
        ("/alias/a", "/real/a"),
        ("/real/a", "/link"),
        ("/link", "/real/a"),
        ("/real/a", "/twin"),
        ("/real/a", "/real/b /alias/a"),
        ("/new", "/real/b /alias/b"),
        ("/new", "/real/a /link"),
        ("/real/b", "/real/a /alias/b"),
    ] {
        raw.command(&format!("COMB {target} {parts}"), 553);
        assert_eq!(
            (site.read("real/a"), site.read("real/b")),
            (b"precious".to_vec(), b"more".to_vec()),
            "{target} {parts}"
        );
    }
    assert!(!site.file("new").exists());
    // By a link that leads to another file it is just another file; the link goes, and what it leads to stays.
    raw.command("COMB /real/b /link", 250);
    assert_eq!(site.read("real/b"), b"moreprecious");
    assert!(site.file("real/a").exists() && std::fs::symlink_metadata(site.file("link")).is_err());
}

#[test]
fn nothing_is_combined_of_which_a_part_may_not_be_removed() {
    let all_but = [Permission::List, Permission::Read, Permission::Write].into_iter();
    let site = ruled("/keep", all_but.fold(Permissions::NONE, Permissions::with));
    std::fs::create_dir(site.file("keep")).unwrap();
    for (name, text) in [("whole", "T"), ("first", "F"), ("keep/part", "PPP")] {
        site.write(name, text);
    }
    let mut raw = site.login();
    for target in ["whole", "new"] {
        raw.command(&format!("COMB {target} first keep/part"), 550);
        assert_eq!((site.read("whole"), site.read("first")), (b"T".to_vec(), b"F".to_vec()));
    }
    assert!(!site.file("new").exists() && site.file("keep/part").exists());
    raw.command("COMB whole first", 250);
    assert_eq!(site.read("whole"), b"TF");
}

#[test]
fn a_tree_stays_whole_where_something_in_it_may_not_be_removed() {
    for permissions in [Permissions::READ_ONLY, Permissions::NONE] {
        let site = ruled("/tree/keep/**", permissions);
        std::fs::create_dir_all(site.file("tree/keep")).unwrap();
        std::fs::create_dir_all(site.file("tree/z")).unwrap();
        for name in ["tree/a", "tree/keep/b", "tree/z/c"] {
            site.write(name, "x");
        }
        let mut raw = site.login();
        raw.command("RMDA tree", 550);
        for name in ["tree/a", "tree/keep/b", "tree/z/c"] {
            assert!(site.file(name).exists(), "{name}");
        }
        raw.command("RMDA tree/z", 250);
        assert!(!site.file("tree/z").exists());
    }
}

#[test]
fn a_link_that_leads_nowhere_has_a_name_to_be_changed() {
    let site = Site::new();
    symlink("nothing", site.file("dangling")).unwrap();
    symlink("ring", site.file("ring")).unwrap();
    let mut raw = site.login();
    for name in ["dangling", "ring"] {
        raw.command(&format!("RNFR {name}"), 350);
        raw.command(&format!("RNTO new-{name}"), 250);
        assert!(std::fs::symlink_metadata(site.file(&format!("new-{name}"))).unwrap().is_symlink());
    }
    raw.command("RNFR dangling", 550);
}
