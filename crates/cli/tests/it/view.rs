//! The view of sessions at a terminal.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::support::Site;
use super::terminal::Terminal;

/// The screen that is put aside, and the one that stays.
const BEGINS: &str = "\x1b[?1049h";
const ENDS: &str = "\x1b[?1049l";

fn recorded() -> Site {
    let site = Site::start();
    site.run(&["get", "--trace", "s.jsonl", &site.bob("pub/readme.txt")]).ok();
    site
}

#[test]
fn a_terminal_has_the_view_and_is_left_as_it_was() {
    let site = recorded();
    let mut terminal = Terminal::sized(&site, &["trace", "s.jsonl"], 100, 30);
    terminal.shows(BEGINS);
    terminal.shows("Enter row");
    assert!(!terminal.is_cooked());
    // In the shell's place nobody continues it: it goes on at once, and draws all of its screen.
    terminal.types("/RETR\r\r\x1a");
    terminal.shows(ENDS);
    terminal.shows(BEGINS);
    terminal.shows("Command RETR");
    terminal.shows("00000000");
    // Escape and what follows it at once are two keys.
    terminal.types("\x1bssaved.html\r");
    terminal.shows("saved to saved.html");
    terminal.types("q");
    terminal.shows(ENDS);
    assert!(std::fs::read_to_string(site.local("saved.html")).unwrap().starts_with("<!doctype html>"));
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.is_cooked());
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let site = recorded();
    let mut terminal = Terminal::sized(&site, &["trace", "s.jsonl", "--fail-on", "note"], 100, 30);
    terminal.shows("Enter row");
    terminal.terminate();
    terminal.shows(ENDS);
    // A password in clear text is worth a note.
    assert_eq!(terminal.ends(), Some(8));
    assert!(terminal.is_cooked());
}

#[test]
fn text_is_for_those_who_ask_for_it() {
    let site = recorded();
    for more in [&["--plain"][..], &["--width", "80"], &["--format", "txt"], &["--list"], &["--session", "all"]] {
        let mut terminal = Terminal::sized(&site, &[&["trace", "s.jsonl"], more].concat(), 100, 30);
        terminal.shows("user bob");
        assert!(!terminal.screen().contains(BEGINS), "{more:?}");
        assert_eq!(terminal.ends(), Some(0));
    }
}

#[test]
fn a_recording_is_followed_in_the_view() {
    let site = recorded();
    let recording = std::fs::read_to_string(site.local("s.jsonl")).unwrap();
    let at = recording.find("RETR").and_then(|at| recording[..at].rfind('\n')).unwrap() + 1;
    std::fs::write(site.local("t.jsonl"), &recording[..at]).unwrap();
    let mut terminal = Terminal::sized(&site, &["trace", "--follow", "t.jsonl"], 100, 90);
    terminal.shows("FOLLOWS");
    OpenOptions::new()
        .append(true)
        .open(site.local("t.jsonl"))
        .unwrap()
        .write_all(&recording.as_bytes()[at..])
        .unwrap();
    terminal.shows("RETR");
    terminal.shows("QUIT");
    terminal.types("\x03");
    terminal.shows(ENDS);
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.is_cooked());
}
