//! The server as a process.

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Ran, Site, port21};

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::start();
        site.run(&["ls", &site.guest("")]).ok();
        kill_process(Pid::from_child(site.server()), signal).unwrap();
        assert_eq!(site.wait(), Some(0));
    }
}

#[test]
fn guests_read_and_users_write() {
    let site = Site::start();
    site.run(&["mkdir", &site.guest("x")]).fails(5);
    site.run(&["mkdir", &site.bob("x")]).ok();
}

#[test]
fn a_recording_a_session_that_can_be_drawn() {
    let records = tempfile::tempdir().unwrap();
    let dir = records.path().join("sessions");
    let site = Site::with_flags(&["--record", dir.to_str().unwrap()]);
    site.run(&["get", &site.bob("pub/readme.txt")]).ok();
    site.run(&["ls", &site.guest("")]).ok();
    kill_process(Pid::from_child(site.server()), Signal::TERM).unwrap();
    let drawer = tempfile::tempdir().unwrap();
    assert_eq!(site.wait(), Some(0));
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    let first = std::fs::read_to_string(&files[0]).unwrap();
    assert!(!first.contains("secret") && first.contains("\"by\":\"server\""), "{first}");
    let drawn = Ran::new(port21(drawer.path()).arg("trace").arg(&files[0]).output().unwrap()).ok();
    assert!(drawn.contains("RETR pub/readme.txt") && drawn.contains("PASS ***"), "{drawn}");
}

#[test]
fn what_cannot_be_served() {
    let here = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Ran::new(port21(here.path()).arg("serve").args(args).output().unwrap());
    let error = run(&["--listen", ":0"]).fails(2);
    assert!(error.contains("say which directory"), "{error}");
    assert!(run(&["nowhere"]).fails(2).contains("nowhere"));
    assert!(run(&[".", "--user", "hunter2"]).err.contains("NAME:PASSWORD"));
    assert!(!run(&[".", "--user", "hunter2"]).err.contains("hunter2"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let error = run(&[".", "--listen", &taken.to_string()]);
    assert_eq!(error.code, Some(1));
    assert!(error.err.contains(&taken.to_string()), "{}", error.err);
    drop(holder);
}
