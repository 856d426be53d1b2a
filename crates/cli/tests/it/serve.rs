//! The server as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

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
fn tls_with_a_certificate_that_is_made_and_kept() {
    let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = || {
        let mut command = port21(home.path());
        command.env("STATE_DIRECTORY", home.path().join("state"));
        command.args(["serve", "--tls", "require", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=implicit"]);
        let mut server = command.arg(root.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let told = [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()];
        (server, told)
    };
    let (mut server, [serving, first]) = start();
    assert!(serving.contains("(TLS required) and ftps://127.0.0.1:"), "{serving}");
    let file = home.path().join("state/self-signed.pem");
    let told = format!("Self-signed certificate {}, SHA-256 fingerprint ", file.display());
    assert!(first.starts_with(&told) && file.exists(), "{first}");
    let address = serving.split("ftp://").nth(1).unwrap().split('/').next().unwrap();
    let mut control = BufReader::new(std::net::TcpStream::connect(address).unwrap());
    control.get_mut().write_all(b"USER ftp\r\nAUTH TLS\r\n").unwrap();
    let replies: Vec<String> = control.lines().take(3).map(|line| line.unwrap()[..3].to_owned()).collect();
    assert_eq!(replies, ["220", "530", "234"]);
    server.kill().unwrap();
    server.wait().unwrap();
    let (mut server, [_, second]) = start();
    assert_eq!(first, second, "the same server as before");
    server.kill().unwrap();
    server.wait().unwrap();
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
