//! `docs/conformance.md`, written from the verb table and the tests: a line whose test is not there cannot be written.
//!
//! To write it anew: `PORT21_WRITE_DOCS=1 cargo test -p port21-proto --test conformance`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use port21_proto::verb::{During, Needs, VERBS};

use crate::behaviour::{Promise, REPLIES, SECURITY};

/// The folders of tests by RFC, with their titles.
const RFCS: [(&str, &str); 11] = [
    ("rfc959", "RFC 959: File Transfer Protocol"),
    ("rfc1123", "RFC 1123: Requirements for Internet Hosts"),
    ("rfc2228", "RFC 2228: FTP Security Extensions"),
    ("rfc2389", "RFC 2389: Feature negotiation"),
    ("rfc2428", "RFC 2428: IPv6 and NATs"),
    ("rfc2577", "RFC 2577: FTP Security Considerations"),
    ("rfc2640", "RFC 2640: Internationalization"),
    ("rfc3659", "RFC 3659: Extensions to FTP"),
    ("rfc4217", "RFC 4217: Securing FTP with TLS"),
    ("rfc7151", "RFC 7151: HOST"),
    ("drafts", "Drafts, and what is in use"),
];

#[test]
fn the_document_is_up_to_date() {
    let path = repository().join("docs/conformance.md");
    let written = document();
    if std::env::var_os("PORT21_WRITE_DOCS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == written,
        "docs/conformance.md is not what the tests say: PORT21_WRITE_DOCS=1 cargo test -p port21-proto --test conformance"
    );
}

/// Every test of the folders says what is asked: the document is made of that.
#[test]
fn every_test_says_what_is_asked() {
    for (folder, _) in RFCS {
        for (_, path) in sections(folder) {
            for test in tests_of(&path) {
                assert!(!test.about.is_empty(), "{}: {} says nothing", path.display(), test.name);
            }
        }
    }
}

/// Each behaviour that is promised has a test that exists.
#[test]
fn every_promise_has_its_tests() {
    let mut known = Known::default();
    for promise in REPLIES.iter().chain(SECURITY) {
        assert!(!promise.tests.is_empty(), "{}", promise.what);
        for test in promise.tests {
            assert!(known.has(test), "there is no test {test}: {}", promise.what);
        }
    }
    assert!(!known.has("proto/tests/server/order.rs no_such_test"));
}

/// What SECURITY.md says is held by a test, is; and what it says is somewhere, is there.
#[test]
fn every_test_and_place_that_security_md_names_is_there() {
    let known = all_tests(&crates());
    let text = fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let mut named = 0;
    for line in text.lines() {
        // In a table the last cell names tests; elsewhere a name of three words or more is one.
        let cells: Vec<&str> =
            line.strip_prefix("| ").map_or(Vec::new(), |row| row.trim_end_matches(" |").split(" | ").collect());
        let tests = cells.last().map_or_else(Vec::new, |cell| spans(cell));
        for span in spans(line) {
            let is_name = span.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            let is_test = tests.contains(&span) || span.matches('_').count() >= 2;
            if is_name && is_test && !["perf_event_open", "no_new_privs"].contains(&span) {
                named += 1;
                assert!(known.contains(span), "SECURITY.md names {span}, and there is no such test");
            }
            let path = span.strip_prefix("crates/").unwrap_or(span);
            if ["proto/", "tls/", "server/", "client/", "trace/", "cli/"].iter().any(|of| path.starts_with(of)) {
                assert!(crates().join(path).exists(), "SECURITY.md names {span}, which is not there");
            }
        }
        if cells.len() == 4 && cells.last() != Some(&"test") {
            assert!(!tests.is_empty(), "no test holds this: {line}");
        }
    }
    assert!(named > 80, "{named}");
}

fn document() -> String {
    let mut out = String::from(
        "# Conformance\n\n\
         Written by `PORT21_WRITE_DOCS=1 cargo test -p port21-proto --test conformance` from the verb table and the tests;\n\
         the same test fails where this file is not what they say. Paths are below `crates/`.\n\n\
         ## Verbs\n\n\
         | verb | also | argument | needs | in a transfer | FEAT | source |\n|---|---|---|---|---|---|---|\n",
    );
    for facts in VERBS {
        let needs = match facts.needs {
            Needs::Nothing => "nothing".to_owned(),
            Needs::Login => "a login".to_owned(),
            Needs::May(permission) => format!("{permission:?}"),
        };
        let during = match facts.during {
            During::Wait => "waits",
            During::Overtake => "answered",
            During::Abort => "ends it",
        };
        let cells = [
            facts.name.to_owned(),
            facts.aliases.join(" "),
            code(facts.syntax),
            needs,
            during.to_owned(),
            code(facts.feature.unwrap_or_default()),
            facts.source.to_owned(),
        ];
        writeln!(out, "| {} |", cells.join(" | ")).unwrap();
    }
    out.push_str(
        "\nHASH, MLST and MODE Z have a line of FEAT that depends on the session; TVFS and UTF8 have no verb.\n",
    );
    for (folder, title) in RFCS {
        writeln!(out, "\n## {title}").unwrap();
        for (section, path) in sections(folder) {
            let file = path.file_name().unwrap().to_str().unwrap();
            writeln!(out, "\n### {section}: `proto/tests/{folder}/{file}`\n\n| what is asked | test |\n|---|---|")
                .unwrap();
            for test in tests_of(&path) {
                writeln!(out, "| {} | `{}` |", cell(&test.about), test.name).unwrap();
            }
        }
    }
    for (title, promises) in [("Replies", REPLIES), ("Security", SECURITY)] {
        writeln!(out, "\n## {title}\n\n| what holds | tests |\n|---|---|").unwrap();
        for Promise { what, tests } in promises {
            let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
            writeln!(out, "| {} | {} |", cell(what), tests.join("<br>")).unwrap();
        }
    }
    out
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) }
}

/// A cell of a table ends at `|`.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The sections of a folder, in order, with their files.
fn sections(folder: &str) -> Vec<(String, PathBuf)> {
    let folder = crates().join("proto/tests").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "mod.rs"));
    let named = files.into_iter().map(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let numbers: Vec<u32> = stem.split('_').filter_map(|part| part.parse().ok()).collect();
        let title = fs::read_to_string(&path).unwrap();
        let title = title.lines().next().unwrap().trim_start_matches("//! ").trim_end_matches('.').to_owned();
        let number: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let name = if number.is_empty() { title } else { format!("Section {}, {title}", number.join(".")) };
        (numbers, stem.to_owned(), name, path)
    });
    let mut all: Vec<_> = named.collect();
    all.sort();
    all.into_iter().map(|(_, _, name, path)| (name, path)).collect()
}

/// A test of a file: its name and its documentation.
struct Test {
    name: String,
    about: String,
}

/// The tests of a file: functions behind `#[test]` or `#[tokio::test]`, in `proptest!` too.
fn tests_of(path: &Path) -> Vec<Test> {
    let source = fs::read_to_string(path).unwrap_or_default();
    let (mut tests, mut about, mut is_test) = (Vec::new(), String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            about = format!("{about} {text}").trim_start().to_owned();
        } else if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[") {
        } else {
            let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            if let (Some(name), true) = (name, is_test) {
                tests.push(Test { name: name.to_owned(), about: std::mem::take(&mut about) });
            }
            about.clear();
            is_test = false;
        }
    }
    tests
}

/// The names of all tests below a folder.
fn all_tests(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(all_tests(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(tests_of(&path).into_iter().map(|test| test.name));
        }
    }
    names
}

/// What stands between backticks in a line of Markdown.
fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Which tests there are, read once a file.
#[derive(Default)]
struct Known(BTreeMap<String, Vec<String>>);

impl Known {
    /// `file name`, the file from `crates/`.
    fn has(&mut self, test: &str) -> bool {
        let Some((file, name)) = test.split_once(' ') else { return false };
        let names = self
            .0
            .entry(file.to_owned())
            .or_insert_with(|| tests_of(&crates().join(file)).into_iter().map(|test| test.name).collect());
        names.iter().any(|known| known == name)
    }
}

fn crates() -> PathBuf {
    repository().join("crates")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
