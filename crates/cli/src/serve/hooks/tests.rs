//! Hooks against programs, a listener that speaks HTTP, and a runner that does what the test wants.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU32;

use port21_proto::server::{LoginError, Representation};
use port21_proto::{FtpPath, Time};
use port21_server::{Deed, Direction};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::program::Running;
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const NO_PAUSE: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

fn hook(toml: &str) -> Hook {
    toml::from_str(&format!("on = [\"upload\", \"login-failed\", \"delete\"]\n{toml}")).unwrap()
}

fn activity(deed: Deed) -> Activity {
    Activity::new(Time::from_unix_secs(1), 3, "192.0.2.7:4711".parse().unwrap(), "alice".into(), false, deed)
}

fn upload(name: &[u8], whole: bool) -> Activity {
    let path = FtpPath::new([b"/", name].concat()).unwrap();
    let took = Duration::from_millis(1500);
    activity(Deed::Transferred {
        direction: Direction::Up,
        path,
        file: None,
        bytes: 5,
        took,
        representation: Representation::Image,
        whole,
    })
}

fn count(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
}

fn script(dir: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("hook");
    // Written under another name: a file that some other test's child still holds open for writing cannot be run.
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_program_reads_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // As a shell's argument, so that nothing is run that was just written.
    let program = format!("program = [\"/bin/sh\", \"-c\", \"cat > {}\"]", out.display());
    let hooks = Hooks::start(&[hook(&program)], &Helper::default());
    hooks.note(&upload(b"half", false));
    hooks.note(&upload("größe \"x\"".as_bytes(), true));
    hooks.finish(PATIENCE).await;
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let want = serde_json::json!({
        "event": "upload", "time": "1970-01-01T00:00:01Z", "session": 3, "address": "192.0.2.7", "port": 4711,
        "site": null, "user": "alice", "anonymous": false, "path": "/größe \"x\"", "bytes": 5, "seconds": 1.5, "type": "image",
    });
    assert_eq!(json, want);
    assert_eq!((count(&hooks.counts().delivered), count(&hooks.counts().dropped)), (1, 0));
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_tried_again_and_then_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let missing = script(dir.path(), "exit 0");
    std::fs::remove_file(&missing).unwrap();
    for program in [format!("program = [\"{missing}\"]"), "program = [\"/bin/sh\", \"-c\", \"exit 3\"]".to_owned()] {
        let hooks = Hooks::with(&[hook(&program)], &Helper::default(), Arc::new(Helper::default()), NO_PAUSE);
        hooks.note(&upload(b"x", true));
        hooks.finish(PATIENCE).await;
        assert_eq!((count(&hooks.counts().failed_tries), count(&hooks.counts().dropped)), (3, 1));
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // The child of the shell holds the FIFO open for writing until it is killed.
    let program = format!(
        "program = [\"/bin/sh\", \"-c\", \"sleep 1000 > {} & wait\"]\ntimeout = \"200ms\"\ntries = 1",
        fifo.display()
    );
    let hooks = Hooks::start(&[hook(&program)], &Helper::default());
    hooks.note(&upload(b"x", true));
    let read = tokio::task::spawn_blocking(move || std::fs::read(fifo).unwrap());
    hooks.finish(PATIENCE).await;
    assert_eq!(timeout(PATIENCE, read).await.unwrap().unwrap(), b"");
    assert_eq!(count(&hooks.counts().dropped), 1);
}

/// Fails so often, then succeeds.
struct Fails(AtomicU32);

impl Runner for Fails {
    fn run<'a>(&'a self, _: &'a [String], _: &'a [u8]) -> Running<'a> {
        let fails = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let result = if fails { Err(io::ErrorKind::NotFound.into()) } else { Ok(ExitStatus::from_raw(0)) };
        Box::pin(std::future::ready(result))
    }
}

#[tokio::test]
async fn the_second_try_may_succeed() {
    let hooks =
        Hooks::with(&[hook("program = [\"/x\"]")], &Helper::default(), Arc::new(Fails(AtomicU32::new(2))), NO_PAUSE);
    hooks.note(&upload(b"x", true));
    hooks.finish(PATIENCE).await;
    let counts = hooks.counts();
    assert_eq!((count(&counts.delivered), count(&counts.failed_tries), count(&counts.dropped)), (1, 2, 0));
}

/// Never ends.
struct Hangs;

impl Runner for Hangs {
    fn run<'a>(&'a self, _: &'a [String], _: &'a [u8]) -> Running<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_nobody_waits() {
    let hooks = Hooks::with(&[hook("program = [\"/x\"]\nqueue = 10")], &Helper::default(), Arc::new(Hangs), NO_PAUSE);
    for _ in 0..100 {
        hooks.note(&upload(b"x", true));
    }
    assert_eq!(count(&hooks.counts().dropped), 90);
    hooks.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn other_hooks_count_on_and_the_old_ones_deliver_what_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, out) = (dir.path().join("fifo"), dir.path().join("out"));
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // It waits until somebody reads, with another message behind it.
    let program = |more: &str| format!("program = [\"/bin/sh\", \"-c\", \"{more} cat >> {}\"]", out.display());
    let hooks = Hooks::start(&[hook(&program(&format!("echo > {};", fifo.display())))], &Helper::default());
    hooks.note(&upload(b"one", true));
    hooks.note(&upload(b"two", true));
    hooks.replace(&[hook(&program(""))]);
    hooks.note(&upload(b"three", true));
    // Open for both ways: neither side of it waits for the other again. A thread of its own is not waited for.
    let (read, has_read) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut fifo = std::fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap();
        std::io::Read::read_exact(&mut fifo, &mut [0; 2]).unwrap();
        let _ = read.send(());
    });
    hooks.finish(PATIENCE).await;
    timeout(PATIENCE, has_read).await.unwrap().unwrap();
    let told = std::fs::read_to_string(&out).unwrap();
    assert!(["/one", "/two", "/three"].iter().all(|path| told.contains(path)), "{told}");
    assert_eq!((count(&hooks.counts().delivered), count(&hooks.counts().dropped)), (3, 0));
    // Whoever comes when the server has ended is told to nobody.
    hooks.note(&upload(b"four", true));
    assert_eq!(count(&hooks.counts().dropped), 0);
}

/// Answers each request with this, and gives what was asked.
async fn answer(listener: &TcpListener, with: &str) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    respond(stream, with).await
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin, with: &str) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"}\n") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{request:?}");
        request.extend_from_slice(&buffer[..read]);
    }
    stream.write_all(with.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn a_url_is_posted_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let hooks =
        Hooks::with(&[hook(&format!("url = \"http://{addr}/a?b=c\""))], &Helper::default(), Arc::new(Hangs), NO_PAUSE);
    hooks.note(&activity(Deed::Login { user: b"eve\n".to_vec(), result: Err(LoginError::Refused) }));
    answer(&listener, "HTTP/1.1 503 Busy\r\n\r\n").await;
    answer(&listener, "SSH-2.0-x\r\n").await;
    let request = answer(&listener, "HTTP/1.1 204 No Content\r\n\r\n").await;
    hooks.finish(PATIENCE).await;
    assert!(request.starts_with(&format!("POST /a?b=c HTTP/1.1\r\nHost: {addr}\r\n")), "{request}");
    let body = request.split("\r\n\r\n").nth(1).unwrap();
    assert!(request.contains(&format!("Content-Length: {}\r\n", body.len())), "{request}");
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((json["event"].as_str(), json["user"].as_str()), (Some("login-failed"), Some("eve\n")));
    assert_eq!((count(&hooks.counts().delivered), count(&hooks.counts().failed_tries)), (1, 2));
}

#[tokio::test]
async fn a_url_of_https_is_posted_to_whom_the_authority_knows() {
    let dir = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, ca.pem()).unwrap();
        (ca, file)
    };
    let ((ca, file), (_, other)) = (authority("ca.pem"), authority("other.pem"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hooks = |host: &str, ca: &Path| {
        let toml = format!("url = \"https://{host}:{port}/told\"\nca = {ca:?}\ntries = 1");
        let hooks = Hooks::with(&[hook(&toml)], &Helper::default(), Arc::new(Hangs), NO_PAUSE);
        hooks.note(&upload(b"x", true));
        hooks
    };
    let believed = hooks("localhost", &file);
    let (stream, _) = listener.accept().await.unwrap();
    let request = respond(acceptor.accept(stream).await.unwrap(), "HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(request.starts_with("POST /told HTTP/1.1\r\n") && request.contains("\"path\":\"/x\""), "{request}");
    believed.finish(PATIENCE).await;
    assert_eq!(count(&believed.counts().delivered), 1);
    // Another authority, another name, a file that is none: not a byte is told.
    let none = dir.path().join("none.pem");
    std::fs::write(&none, "nothing").unwrap();
    for (host, ca) in [("localhost", &other), ("127.0.0.1", &file), ("localhost", &none)] {
        let refused = hooks(host, ca);
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
        refused.finish(PATIENCE).await;
        assert_eq!((count(&refused.counts().delivered), count(&refused.counts().dropped)), (0, 1));
    }
}

#[test]
fn renames_and_directories_are_told_with_their_site_and_guest() {
    let path = |text: &str| FtpPath::new(text.as_bytes()).unwrap();
    let renamed = Deed::Renamed { from: path("/a"), path: path("/b"), file: None };
    for (deed, event) in [
        (renamed, "rename"),
        (Deed::DirectoryMade { path: path("/b"), file: None }, "mkdir"),
        (Deed::DirectoryRemoved { path: path("/b"), file: None }, "rmdir"),
    ] {
        let mut activity = activity(deed);
        (activity.site, activity.guest) = (Some("a.example".into()), Some("ann@example.com".into()));
        let message = Message::new(&activity, message::occasion(&activity).unwrap());
        let json: serde_json::Value = serde_json::from_slice(message.json()).unwrap();
        assert_eq!((json["event"].as_str(), json["path"].as_str()), (Some(event), Some("/b")));
        assert_eq!(json["from"].as_str(), (event == "rename").then_some("/a"));
        assert_eq!((json["site"].as_str(), json["guest"].as_str()), (Some("a.example"), Some("ann@example.com")));
    }
}

#[test]
fn a_name_that_is_no_text_is_there_in_hexadecimal() {
    let path = FtpPath::new(b"/a\xff").unwrap();
    let removed = activity(Deed::Removed { path, file: None });
    let message = Message::new(&removed, message::occasion(&removed).unwrap());
    let json: serde_json::Value = serde_json::from_slice(message.json()).unwrap();
    assert_eq!((json["path"].as_str(), json["path_hex"].as_str()), (Some("/a\u{fffd}"), Some("2f61ff")));
}
