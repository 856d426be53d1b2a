//! Servers that mean harm: what the commands say of them, and with which code they end.

use super::scripted::Scripted;
use super::support::{Ran, port21};

fn run(args: &[&str]) -> (Ran, tempfile::TempDir) {
    let here = tempfile::tempdir().unwrap();
    let ran = Ran::new(port21(here.path()).args(args).output().unwrap());
    (ran, here)
}

/// The server's fault, told in plain words, and asked for once.
#[test]
fn a_reply_without_end_is_not_asked_for_again() {
    for (verb, bytes) in [("RETR", "550-on and on\r\n"), ("RETR", "a line "), ("USER", "331-\r\n"), ("EPSV", "\r\n")] {
        let server = Scripted::start(move |session, line| match line.starts_with(verb) {
            true => {
                let bytes = bytes.repeat(1000);
                while session.raw(bytes.as_bytes()) {}
            }
            false => session.usual(line),
        });
        let (ran, here) = run(&["get", &server.url("x")]);
        let error = ran.fails(5);
        assert!(error.contains("does not end") && !error.contains("again"), "{verb} {bytes:?}: {error}");
        assert_eq!(server.count(verb), 1, "{:?}", server.heard());
        assert!(!here.path().join("x").exists());
    }
}
