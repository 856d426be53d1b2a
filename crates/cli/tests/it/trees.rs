//! `mirror`, and `get` and `put` of many files.

use serde_json::Value;

use super::support::Site;

fn names(dir: std::path::PathBuf) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_mirror_down_up_and_again() {
    let site = Site::start();
    let told = site.run(&["mirror", &site.guest(""), "copy"]).ok();
    assert!(told.starts_with("2 files transferred (12 B), 0 unchanged, 1 directory made, in "), "{told}");
    assert_eq!(names(site.local("copy/pub")), ["a b.bin", "readme.txt"]);
    let told = site.run(&["mirror", &site.guest("/"), "copy"]).ok();
    assert!(told.starts_with("0 files transferred (0 B), 2 unchanged, in "), "{told}");

    std::fs::write(site.local("copy/pub/new"), "new").unwrap();
    let json = site.run(&["mirror", "--json", "--parallel", "2", "copy", &site.bob("up")]).ok();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.last().unwrap();
    assert_eq!((&summary["event"], &summary["transferred"]), (&"summary".into(), &3.into()), "{json}");
    assert!(lines.iter().any(|line| line["event"] == "done" && line["url"].as_str().unwrap().ends_with("/up/pub/new")));
    assert_eq!(names(site.remote("up/pub")), ["a b.bin", "new", "readme.txt"]);

    std::fs::remove_file(site.local("copy/pub/new")).unwrap();
    let would = site.run(&["mirror", "-n", "--delete", "-R", &site.bob("up"), "copy"]).ok();
    assert!(would.starts_with("remove ftp://bob@") && would.contains("/up/pub/new\nwould be: 0 files"), "{would}");
    assert!(site.remote("up/pub/new").exists());
    site.run(&["mirror", "--delete", "copy", &site.bob("up")]).ok();
    assert_eq!(names(site.remote("up/pub")), ["a b.bin", "readme.txt"]);
}

#[test]
fn what_a_mirror_refuses() {
    let site = Site::start();
    std::fs::create_dir(site.local("mine")).unwrap();
    std::fs::write(site.local("mine/file"), "mine").unwrap();
    std::fs::create_dir(site.remote("nothing")).unwrap();
    let ran = site.run(&["mirror", "--delete", &site.guest("nothing"), "mine"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.err.contains("the source is empty") && site.local("mine/file").exists());
    site.run(&["mirror", &site.guest("none"), "mine"]).fails(5);
    site.run(&["mirror", "nowhere", &site.bob("x")]).fails(1);
    site.run(&["mirror", "a", "b"]).fails(2);
    site.run(&["mirror", "--exclude", "[", &site.guest(""), "mine"]).fails(2);
    site.run(&["mirror", "mine", &site.guest("pub")]).fails(5);
}

#[test]
fn many_files_by_pattern_and_by_tree() {
    let site = Site::start();
    std::fs::create_dir_all(site.remote("pub/deep")).unwrap();
    std::fs::write(site.remote("pub/deep/x"), "x").unwrap();
    std::fs::write(site.remote("pub/[odd].txt"), "odd").unwrap();
    site.run(&["get", "--parallel", "3", &site.guest("pub/*.txt"), "-o", "texts/"]).ok();
    assert_eq!(names(site.local("texts")), ["[odd].txt", "readme.txt"]);
    // What looks like a pattern and matches nothing is a name.
    site.run(&["get", &site.guest("pub/[odd].txt")]).ok();
    assert_eq!(std::fs::read(site.local("[odd].txt")).unwrap(), b"odd");
    assert!(site.run(&["get", &site.guest("pub/*.none")]).fails(5).contains("no file of the server matches"));
    let error = site.run(&["get", &site.guest("pub/*.txt"), "-o", "one"]).fails(2);
    assert!(error.contains("name a directory"), "{error}");

    site.run(&["get", "-r", &site.guest("pub")]).ok();
    assert_eq!(names(site.local("pub")), ["[odd].txt", "a b.bin", "deep", "readme.txt"]);
    site.run(&["get", "-r", &site.guest("pub/deep"), &site.guest("pub/readme.txt"), "-o", "both/"]).ok();
    assert_eq!(names(site.local("both")), ["deep", "readme.txt"]);
    site.run(&["mkdir", &site.bob("new")]).ok();
    site.run(&["put", "-r", "pub", "*.txt", &site.bob("new/")]).ok();
    assert_eq!(names(site.remote("new")), ["[odd].txt", "pub"]);
    assert_eq!(names(site.remote("new/pub")), ["[odd].txt", "a b.bin", "deep", "readme.txt"]);
}

#[test]
fn what_is_too_large_is_told() {
    let site = Site::start();
    std::fs::write(site.remote("large"), [b'x'; 2000]).unwrap();
    let ran = site.run(&["mirror", "--max-size", "1KiB", &site.guest(""), "copy"]);
    assert!(ran.err.contains("/large: left out: larger than 1024 bytes"), "{ran:?}");
    assert!(ran.ok().contains(", 1 left out, in "));
    assert_eq!(names(site.local("copy")), ["pub"]);
    let urls = [site.guest("large"), site.guest("pub/readme.txt")];
    let ran = site.run(&["get", "--max-size", "1KiB", "--json", &urls[0], &urls[1], "-o", "all/"]);
    let out = ran.ok();
    let skipped: Vec<&str> = out.lines().filter(|line| line.contains("\"skipped\"")).collect();
    assert!(skipped.len() == 1 && skipped[0].contains("/large\"") && skipped[0].contains("larger than"), "{out}");
    assert_eq!(names(site.local("all")), ["readme.txt"]);
    site.run(&["get", "--max-size", "1KiB", &site.guest("*"), "-o", "all/"]).ok();
    assert_eq!(names(site.local("all")), ["readme.txt"]);
}

#[test]
fn large_files_verified_in_segments_and_slowly() {
    let site = Site::start();
    let whole: Vec<u8> = (0..1_500_000u32).flat_map(|n| n.to_be_bytes()).collect();
    std::fs::write(site.remote("big"), &whole).unwrap();
    let told = site.run(&["get", "--segments", "3", "--verify", "--json", &site.guest("big")]).ok();
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&told["verified"], &told["bytes"]), (&"SHA-256".into(), &whole.len().into()), "{told}");
    assert!(std::fs::read(site.local("big")).unwrap() == whole);
    assert_eq!(names(site.local("")), ["big"]);
    let told = site.run(&["put", "--verify", "--limit-rate", "20MiB", "--json", "big", &site.bob("back")]).ok();
    assert!(told.contains("\"verified\":\"SHA-256\""), "{told}");
    assert!(std::fs::read(site.remote("back")).unwrap() == whole);
    site.run(&["get", "--limit-rate", "0", &site.guest("big")]).fails(2);
}
