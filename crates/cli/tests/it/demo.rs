//! The reference session, run as a user runs it.

use super::support::{Ran, port21};

/// Runs the demo on ports that nobody else has, and once more at once.
#[test]
fn the_reference_session_happens_and_can_happen_again_at_once() {
    let here = tempfile::tempdir().unwrap();
    // Other tests and programs hold ports too: the first of these that are all free will do.
    let offsets = (0..40u32).map(|n| 10_000 + (std::process::id() * 7 + n * 1201) % 49_000);
    let demo = |offset: u32| {
        let run = port21(here.path()).args(["demo", "--out", "out", "--port-offset", &offset.to_string()]).output();
        Ran::new(run.unwrap())
    };
    let (offset, first) = offsets
        .map(|offset| (offset, demo(offset)))
        .find(|(_, ran)| ran.code != Some(1) || !ran.err.contains("taken"))
        .expect("some ports are free");
    for ran in [first, demo(offset)] {
        let out = ran.ok();
        assert!(out.contains("All 44 messages of the reference session happened"), "{out}");
        assert!(out.contains("1715 bytes received") && !out.contains("guest@"), "{out}");
    }
    let file = |name: &str| std::fs::read_to_string(here.path().join("out").join(name)).unwrap();
    assert!(file("session.jsonl").contains("1715 bytes") && !file("session.jsonl").contains("guest@"));
    assert!(file("session.txt").contains("RETR readme.txt") && !file("session.txt").contains('\x1b'));
    assert!(file("session.svg").contains("</svg>"));
    let mut names: Vec<_> = std::fs::read_dir(here.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["out"]);
}

#[test]
fn a_quiet_run_that_is_right_says_nothing() {
    let here = tempfile::tempdir().unwrap();
    let offsets = (0..40u32).map(|n| 10_000 + (std::process::id() * 11 + n * 1303) % 49_000);
    let demo = |offset: u32| {
        let run =
            port21(here.path()).args(["demo", "-q", "-o", "x.pdf", "--port-offset", &offset.to_string()]).output();
        Ran::new(run.unwrap())
    };
    let ran =
        offsets.map(demo).find(|ran| ran.code != Some(1) || !ran.err.contains("taken")).expect("some ports are free");
    assert_eq!(ran.err, "");
    assert_eq!(ran.ok(), "");
    assert!(std::fs::read(here.path().join("x.pdf")).unwrap().starts_with(b"%PDF-"));
}

#[test]
fn an_offset_that_leads_nowhere_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let run = port21(here.path()).args(["demo", "--port-offset", "65000"]).output().unwrap();
    assert!(Ran::new(run).fails(2).contains("--port-offset"));
}
