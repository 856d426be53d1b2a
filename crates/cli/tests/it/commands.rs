//! The URL commands.

use super::support::{Ran, Site};

#[test]
fn get_keeps_every_byte_and_replaces_what_is_there() {
    let site = Site::start();
    std::fs::write(site.local("a b.bin"), "older, and longer").unwrap();
    for more in [&[][..], &["--active"], &["-4", "--timeout", "10s"]] {
        let url = site.guest("pub/a%20b.bin");
        site.run(&[&["get", url.as_str()], more].concat()).ok();
        assert_eq!(std::fs::read(site.local("a b.bin")).unwrap(), [0, 13, 10, 255]);
    }
    assert!(!site.local("a b.bin.port21-part").exists());
}

#[test]
fn get_into_a_directory_a_file_or_standard_output() {
    let site = Site::start();
    std::fs::create_dir(site.local("in")).unwrap();
    let (a, b) = (site.guest("pub/readme.txt"), site.guest("pub/a%20b.bin"));
    site.run(&["get", &a, &b, "-o", "in"]).ok();
    assert!(site.local("in/readme.txt").exists() && site.local("in/a b.bin").exists());
    site.run(&["get", &a, "-o", "x.txt"]).ok();
    assert_eq!(std::fs::read(site.local("x.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(site.run(&["get", &a, &a, "-o", "-"]).ok(), "one\ntwo\none\ntwo\n");
    assert_eq!(site.run(&["cat", &a]).ok(), "one\ntwo\n");
    let error = site.run(&["get", &a, &b, "-o", "x.txt"]).fails(2);
    assert!(error.contains("name a directory"), "{error}");
}

#[test]
fn get_goes_on_where_it_stopped() {
    let site = Site::start();
    let whole: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_be_bytes()).collect();
    std::fs::write(site.remote("big"), &whole).unwrap();
    std::fs::write(site.local("big.port21-part"), &whole[..123_456]).unwrap();
    let json = site.run(&["get", "-c", "--json", &site.guest("big")]).ok();
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    // A little of what is there is fetched again, to see that it belongs to the same file.
    let (from, bytes) = (told["from"].as_u64().unwrap(), told["bytes"].as_u64().unwrap());
    assert!((1..=123_456).contains(&from) && from + bytes == whole.len() as u64, "{json}");
    assert_eq!(std::fs::read(site.local("big")).unwrap(), whole);
    assert!(!site.local("big.port21-part").exists());
}

#[test]
fn no_clobber_leaves_files_alone() {
    let site = Site::start();
    std::fs::write(site.local("readme.txt"), "mine").unwrap();
    site.run(&["get", "-n", &site.guest("pub/readme.txt")]).ok();
    assert_eq!(std::fs::read(site.local("readme.txt")).unwrap(), b"mine");
}

#[test]
fn put_files_and_standard_input() {
    let site = Site::start();
    std::fs::write(site.local("one"), "1").unwrap();
    std::fs::write(site.local("two"), "22").unwrap();
    site.run(&["put", "one", "two", &site.bob("pub/")]).ok();
    site.run(&["put", "one", &site.bob("pub/three")]).ok();
    site.feed(&["put", "-", &site.bob("pub/four")], "from a pipe").ok();
    for (name, want) in [("one", "1"), ("two", "22"), ("three", "1"), ("four", "from a pipe")] {
        assert_eq!(std::fs::read_to_string(site.remote("pub").join(name)).unwrap(), want);
    }
    let error = site.run(&["put", "one", "two", &site.bob("pub/x")]).fails(2);
    assert!(error.contains("end the URL with /"), "{error}");
    site.feed(&["put", "-", &site.bob("pub/")], "").fails(2);
}

#[test]
fn put_goes_on_where_it_stopped() {
    let site = Site::start();
    let whole: Vec<u8> = (0..100_000u32).flat_map(|n| n.to_be_bytes()).collect();
    std::fs::write(site.local("big"), &whole).unwrap();
    std::fs::write(site.remote("big"), &whole[..77_777]).unwrap();
    let json = site.run(&["put", "-c", "--json", "big", &site.bob("big")]).ok();
    assert!(json.contains(&format!("\"bytes\":{},", whole.len() - 77_777)), "{json}");
    assert_eq!(std::fs::read(site.remote("big")).unwrap(), whole);
}

#[test]
fn ls_for_people_and_programs() {
    let site = Site::start();
    let names = site.run(&["ls", "-1", &site.guest("pub")]).ok();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["a b.bin", "readme.txt"]);
    let long = site.run(&["ls", &site.guest("")]).ok();
    assert!(long.starts_with('d') && long.trim_end().ends_with("pub"), "{long}");
    let json = site.run(&["ls", "--json", "--active", &site.guest("pub/")]).ok();
    let sizes: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(sizes.iter().any(|e| e["name"] == "readme.txt" && e["size"] == 8 && e["type"] == "file"), "{json}");
    assert_eq!(site.run(&["ls", "-1", &site.guest("pub/readme.txt")]).ok(), "readme.txt\n");
    site.run(&["ls", &site.guest("missing")]).fails(5);
    let plain = site.run(&["ls", "-1", "--no-probe", &site.guest("pub")]).ok();
    assert_eq!(plain.lines().count(), 2);
}

#[test]
fn directories_names_and_trees() {
    let site = Site::start();
    site.run(&["mkdir", &site.bob("a/b")]).fails(5);
    site.run(&["mkdir", "-p", &site.bob("a/b/c"), &site.bob("a/b/c")]).ok();
    assert!(site.remote("a/b/c").is_dir());
    std::fs::write(site.remote("a/b/c/x y"), "").unwrap();
    std::fs::write(site.remote("a/kept"), "").unwrap();
    std::os::unix::fs::symlink("../pub", site.remote("a/link")).unwrap();
    site.run(&["mv", &site.bob("a/b/c/x%20y"), "z"]).ok();
    site.run(&["mv", &site.bob("a/b/c/z"), "/pub/"]).ok();
    assert!(site.remote("pub/z").exists());
    site.run(&["rm", &site.bob("a")]).fails(5);
    site.run(&["rm", "-r", &site.bob("a")]).ok();
    assert!(!site.remote("a").exists() && site.remote("pub/readme.txt").exists());
    site.run(&["rm", &site.bob("pub/z")]).ok();
    site.run(&["rm", &site.bob("pub/z")]).fails(5);
}

#[test]
fn stat_tells_facts() {
    let site = Site::start();
    let text = site.run(&["stat", &site.guest("pub/readme.txt")]).ok();
    assert!(text.contains("size      8 (8 B)") && text.contains("type      file"), "{text}");
    let json = site.run(&["stat", "--json", &site.guest("pub")]).ok();
    let entry: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entry["type"], "directory");
}

#[test]
fn exit_codes() {
    let site = Site::start();
    // Usage.
    for args in [&["get"][..], &["get", "http://h/x"], &["get", &site.guest("pub/")], &["get", "--nonsense"]] {
        assert_eq!(site.run(args).code, Some(2), "{args:?}");
    }
    // Nobody listens there; nothing has that name.
    let nobody = std::net::TcpListener::bind("127.0.0.75:0").unwrap().local_addr().unwrap();
    let error = site.run(&["ls", &format!("ftp://{nobody}/")]).fails(3);
    assert!(error.contains("refused") && error.contains(&nobody.to_string()), "{error}");
    let dns = nobody.to_string();
    site.run(&["ls", "--dns", &dns, "--timeout", "1s", "ftp://nowhere.invalid/"]).fails(3);
    // The login.
    let error = site.run(&["ls", &format!("ftp://bob:wrong@127.0.0.1:{}/", site.port())]).fails(4);
    assert!(error.contains("530") && !error.contains("wrong"), "{error}");
    // The server refuses.
    let error = site.run(&["get", &site.guest("missing")]).fails(5);
    assert!(error.contains("550") && error.contains("missing"), "{error}");
    assert!(!site.local("missing").exists() && !site.local("missing.port21-part").exists());
    std::fs::write(site.local("x"), "x").unwrap();
    site.run(&["put", "x", &site.guest("x")]).fails(5);
    // Here.
    site.run(&["put", "nowhere", &site.bob("x")]).fails(1);
    site.run(&["get", &site.guest("pub/readme.txt"), "-o", "no/such/dir/x"]).fails(1);
    // The first of several failures counts, and what can be done is done.
    let several = site.run(&["get", &site.guest("missing"), &site.guest("pub/readme.txt")]);
    assert_eq!(several.code, Some(5));
    assert!(site.local("readme.txt").exists());
}

#[test]
fn logins_from_the_environment_and_netrc() {
    let site = Site::start();
    let url = format!("ftp://bob@{}/", site.guest("").trim_start_matches("ftp://").trim_end_matches('/'));
    let error = site.run(&["ls", &url]).fails(4);
    assert!(error.contains("PORT21_PASSWORD"), "{error}");
    Ran::new(site.command(&["ls", &url]).env("PORT21_PASSWORD", "secret").output().unwrap()).ok();
    std::fs::write(site.local("logins"), "machine 127.0.0.1 login bob password secret").unwrap();
    // What others may read is refused.
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(site.local("logins"), own).unwrap();
    site.run(&["mkdir", "--netrc-file", "logins", "-q", &site.guest("by-bob")]).ok();
    assert!(site.remote("by-bob").is_dir());
    std::fs::rename(site.local("logins"), site.local(".netrc")).unwrap();
    site.run(&["rm", "-r", "-q", &site.guest("by-bob")]).ok();
    site.run(&["mkdir", "-q", "--user", "nobody", &site.guest("x")]).fails(4);
}

#[test]
fn urls_name_the_files_that_they_say() {
    let site = Site::start();
    for name in ["c", "c#x", "a", r"a\b", "sp", "sp "] {
        std::fs::write(site.remote(&format!("pub/{name}")), name).unwrap();
    }
    for name in ["c#x", r"a\b", "sp "] {
        assert_eq!(site.run(&["cat", &site.guest(&format!("pub/{name}"))]).ok(), name);
        site.run(&["rm", &site.bob(&format!("pub/{name}"))]).ok();
        assert!(!site.remote(&format!("pub/{name}")).exists());
    }
    for name in ["c", "a", "sp"] {
        assert_eq!(std::fs::read_to_string(site.remote(&format!("pub/{name}"))).unwrap(), name);
    }
    assert!(site.run(&["mkdir", &site.bob("x\r\nDELE pub/c")]).fails(2).contains("CR, LF or NUL"));
}

#[test]
fn whoever_does_not_listen_changes_nothing() {
    let site = Site::start();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let run = |args: &[&str]| {
        let mut command = site.command(args);
        command.stdout(gone()).stderr(gone()).status().unwrap().code()
    };
    // As `ls` does: what it was to tell was not told.
    assert_eq!(run(&["ls", &site.guest("pub")]), Some(1));
    assert_eq!(run(&["mirror", "--dry-run", &site.guest("pub"), "here"]), Some(1));
    assert_eq!(run(&["mirror", &site.guest("pub"), "here"]), Some(1));
    assert!(site.local("here/readme.txt").exists());
    assert_eq!(run(&["-q", "mirror", &site.guest("pub"), "here"]), Some(0));
    assert_eq!(run(&["get", &site.guest("nope")]), Some(5));
    assert_eq!(run(&["-v", "mirror", &site.guest("nope"), "there"]), Some(5));
    assert_eq!(run(&["ls", "no URL"]), Some(2));
    assert_eq!(run(&["serve", "--no-such-flag"]), Some(2));
}
