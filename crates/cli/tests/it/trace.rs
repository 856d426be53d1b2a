//! Recordings of the client, and what is drawn of them.

use super::support::Site;

#[test]
fn a_client_records_and_trace_draws() {
    let site = Site::start();
    site.run(&["get", "--trace", "s.jsonl", &site.bob("pub/readme.txt")]).ok();
    let recording = std::fs::read_to_string(site.local("s.jsonl")).unwrap();
    assert!(!recording.contains("secret"), "{recording}");
    let text = site.run(&["trace", "s.jsonl"]).ok();
    assert!(text.contains("RETR pub/readme.txt") && !text.contains('\x1b'), "{text}");
    site.run(&["trace", "s.jsonl", "-o", "s.svg", "-o", "s.txt", "--date", "2005-05-02", "--title", "A title"]).ok();
    let svg = std::fs::read_to_string(site.local("s.svg")).unwrap();
    assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"), "{}", &svg[..80]);
    assert!(svg.contains("A title") && std::fs::read_to_string(site.local("s.txt")).unwrap().contains("2005-05-02"));
    assert_eq!(site.feed(&["trace", "-", "--list"], &recording).ok().lines().count(), 1);
    let narrow = site.feed(&["trace", "-", "--ascii", "--width", "60", "--no-tcp"], &recording).ok();
    assert!(narrow.is_ascii() && narrow.lines().all(|line| line.len() <= 60) && !narrow.contains("SYN"), "{narrow}");
    let fields = site.run(&["trace", "s.jsonl", "--fields", "--only", &format!("server:{}", site.port())]).ok();
    assert!(fields.contains("ftp.response.code"), "{fields}");
}

#[test]
fn a_console_records_each_of_its_sessions() {
    let site = Site::start();
    let open = format!("open 127.0.0.1 {}\nuser bob secret\nclose\n", site.port());
    site.feed(&["shell", "--trace", "s.jsonl"], &open.repeat(2)).ok();
    assert!(!std::fs::read_to_string(site.local("s.jsonl")).unwrap().contains("secret"));
    let error = site.run(&["trace", "s.jsonl"]).fails(2);
    assert!(error.contains("2 sessions") && error.contains("--session"), "{error}");
    assert_eq!(site.run(&["trace", "s.jsonl", "--list"]).ok().lines().count(), 2);
    site.run(&["trace", "s.jsonl", "--session", "2"]).ok();
    site.run(&["trace", "s.jsonl", "--session", "all"]).ok();
    site.run(&["trace", "s.jsonl", "--session", "3"]).fails(2);
}

#[test]
fn what_cannot_be_drawn() {
    let site = Site::start();
    let error = site.run(&["trace", "s.jsonl", "-o", "s.pdf"]).fails(2);
    assert!(error.contains(".txt and .svg"), "{error}");
    assert!(site.run(&["trace", "nowhere.jsonl"]).fails(1).contains("nowhere.jsonl"));
    assert!(site.feed(&["trace", "-"], "hello\n").fails(1).contains("not a port21 recording"));
    assert!(site.run(&["trace", "-", "--only", "moon"]).fails(2).contains("moon"));
}
