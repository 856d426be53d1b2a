//! This crate does no I/O and reads no clock: neither by a crate that it depends on, on any platform, nor by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every crate that this one may depend on, directly or not. A new one is looked at before it is put here: it must not
/// open, connect, spawn, or tell the time on its own.
const ALLOWED: [&str; 15] = [
    // The calendar, and what it is made of. It could ask for the time and the zone; `FORBIDDEN` keeps us from it.
    "jiff",
    "jiff-core",
    "jiff-static",
    "log",
    "portable-atomic",
    "portable-atomic-util",
    "serde_core",
    "serde_derive",
    // Names libraries of Windows to its linker. It is in the lock for the binary, which knows time zones.
    "windows-link",
    // Derives errors, when it is compiled.
    "thiserror",
    "thiserror-impl",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Modules of the standard library that no line of our code may name. Addresses (`std::net::IpAddr`) and durations are
/// no I/O.
const FORBIDDEN_MODULES: [&str; 6] = ["fs", "io", "process", "thread", "env", "os"];

/// Words that no line of our code may hold.
const FORBIDDEN: [&str; 17] = [
    "tokio",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "Instant",
    "SystemTime",
    "::now",
    "TimeZone::system",
    "TimeZone::try_system",
    "TimeZone::get",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
];

#[test]
fn no_crate_that_this_one_depends_on_does_io() {
    let manifest = read(&root().join("Cargo.toml"));
    let lock = [root().join("Cargo.lock"), root().join("../../Cargo.lock")];
    let lock = read(lock.iter().find(|path| path.exists()).expect("Cargo.lock beside this crate or its workspace"));
    let direct = direct_dependencies(&manifest);
    assert!(!direct.is_empty());
    let all = closure(&direct, &lock);
    assert!(all.len() > direct.len(), "{all:?}");
    let unknown: Vec<&String> = all.iter().filter(|name| !ALLOWED.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "new dependencies, to be looked at and put on the list: {unknown:?}");
}

#[test]
fn no_line_of_this_crate_does_io() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.iter().any(|path| path.ends_with("listing/mod.rs")), "{files:?}");
    let mut found = Vec::new();
    for path in &files {
        for (number, line) in read(path).lines().enumerate() {
            if let Some(word) = forbidden(line) {
                found.push(format!("{}:{}: {word}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_check_sees_what_it_looks_for() {
    for line in [
        "use std::fs;",
        "use std::{fmt, io};",
        "use std::net::{IpAddr, TcpStream};",
        "use std::time::{Duration, Instant};",
        "    let t = jiff::Timestamp::now();",
        "println!(\"{x}\"); // why",
    ] {
        assert!(forbidden(line).is_some(), "{line}");
    }
    for line in [
        "use std::net::{IpAddr, SocketAddr};",
        "//! No Instant and no tokio here.",
        "fn pass(now: Time, ios: u8) {} // an Instant would be wrong",
    ] {
        assert_eq!(forbidden(line), None, "{line}");
    }
    let manifest =
        "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
    assert_eq!(direct_dependencies(manifest), ["a", "b"]);
    let lock = "[[package]]\nname = \"a\"\ndependencies = [\n \"d 1.0.0\",\n]\n\n[[package]]\nname = \"d\"\n\n\
                [[package]]\nname = \"d\"\ndependencies = [\n \"e\",\n]\n";
    assert_eq!(closure(&["a".to_owned()], lock), ["a", "d", "e"].map(str::to_owned).into());
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys of the manifest's `[dependencies]`. There are no dependencies of one platform or of a build script.
fn direct_dependencies(manifest: &str) -> Vec<String> {
    let mut headers = manifest.lines().filter(|line| line.starts_with('[') && line.contains("dependencies"));
    assert!(headers.all(|header| matches!(header, "[dependencies]" | "[dev-dependencies]")), "{manifest}");
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let keys = section.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split(['.', '=']).next());
    keys.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty() && !key.starts_with('#')).collect()
}

/// The crates that are reached from some, by the lock file: it holds what all platforms and all enabled features need,
/// and nothing has to be downloaded to read it. Versions of one crate are taken together.
fn closure(direct: &[String], lock: &str) -> BTreeSet<String> {
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).expect("a name").trim_matches('"');
        // Dependencies are the only lines that begin with a blank: ` "name version",`.
        let needs = package.lines().filter_map(|line| line.strip_prefix(" \"")?.split([' ', '"']).next());
        edges.entry(name).or_default().extend(needs);
    }
    let mut all = BTreeSet::new();
    let mut next: Vec<&str> = direct.iter().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if all.insert(name.to_owned()) {
            next.extend(edges.get(name).into_iter().flatten());
        }
    }
    all
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The first forbidden word of a line, comments aside.
fn forbidden(line: &str) -> Option<&'static str> {
    let code = line.split("//").next().unwrap_or_default();
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let modules = FORBIDDEN_MODULES.into_iter().filter(|_| code.contains("std::"));
    modules.chain(FORBIDDEN).find(|word| {
        code.match_indices(word).any(|(at, _)| {
            let before = word.starts_with(part_of_word) && code[..at].chars().next_back().is_some_and(part_of_word);
            let after = word.ends_with(part_of_word) && code[at + word.len()..].starts_with(part_of_word);
            !before && !after
        })
    })
}
