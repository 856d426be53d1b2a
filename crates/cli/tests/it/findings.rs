//! Faults that are caused on real sockets, recorded by the client or the server itself: each is named, and no other.
//!
//! What takes a network of its own, or packets to be seen, is caused in `interop/causes.py`.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use super::scripted::{Scripted, Session};
use super::support::{Ran, Site, make_certificate, port21, protected, trusting};

/// So long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server under TLS is called.
const NAME: &str = "localhost";

/// A rule, what the client is told to do, and what the server does; what is not for it is done as usual.
type Case = (&'static str, &'static [&'static str], &'static str, fn(&mut Session, &str));

const CASES: &[Case] = &[
    ("tls-refused", &["--tls"], "x", |s, line| s.usual(line)),
    ("tls-control", &["--tls"], "x", |s, line| match line {
        "AUTH TLS" => {
            s.say("234 go on");
            s.say("220 what is this?");
        }
        _ => s.usual(line),
    }),
    ("login-refused", &[], "x", |s, line| match word(line) {
        "PASS" => s.say("530 not you"),
        _ => s.usual(line),
    }),
    ("data-refused", &[], "x", |s, line| match word(line) {
        "EPSV" => {
            // A port that listens no more when it is told.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            s.say(&format!("229 ok (|||{port}|)"));
        }
        "RETR" => s.say("425 nobody has come"),
        _ => s.usual(line),
    }),
    ("data-unanswered", &["--active"], "x", |s, line| match word(line) {
        "EPRT" | "PORT" => s.say("200 ok"),
        "RETR" => {
            s.say("150 coming");
            s.say("425 no way through");
        }
        _ => s.usual(line),
    }),
    ("no-data-connection", &["--active"], "x", |s, line| match word(line) {
        "EPRT" | "PORT" => s.say("200 ok"),
        "RETR" => {
            s.say("150 coming");
            s.say("226 done");
        }
        _ => s.usual(line),
    }),
    ("malformed", &[], "x", |s, line| match word(line) {
        "TYPE" => s.say("fine with me"),
        _ => s.usual(line),
    }),
    ("service-closing", &[], "x", |s, line| match word(line) {
        "TYPE" => {
            s.say("421 idle for too long");
            s.end();
        }
        _ => s.usual(line),
    }),
    ("control-cut", &[], "x", |s, line| match word(line) {
        "RETR" => {
            let mut data = s.accept();
            s.say("150 here it comes");
            data.write_all(&[7; 500]).unwrap();
            s.end();
            // Until the client has had enough of it.
            let _ = data.read(&mut [0]);
        }
        _ => s.usual(line),
    }),
    ("no-final-reply", &["--timeout", "4s"], "x", |s, line| match word(line) {
        "RETR" => {
            let mut data = s.accept();
            s.say("150 here it comes");
            data.write_all(&[7; 500]).unwrap();
        }
        _ => s.usual(line),
    }),
    ("bytes-differ", &[], "x", |s, line| match word(line) {
        "RETR" => {
            let mut data = s.accept();
            s.say("150 Opening BINARY mode data connection for x (1000 bytes).");
            data.write_all(&[7; 500]).unwrap();
            drop(data);
            s.say("226 done");
        }
        _ => s.usual(line),
    }),
    ("reset", &[], "x", |s, line| match word(line) {
        "RETR" => {
            let mut data = s.accept();
            s.say("150 here it comes");
            data.write_all(&[7; 500]).unwrap();
            socket2::SockRef::from(&data).set_linger(Some(Duration::ZERO)).unwrap();
            drop(data);
            s.say("426 broken off");
        }
        _ => s.usual(line),
    }),
    ("transfer-failed", &[], "x", |s, line| match word(line) {
        "RETR" => s.say("550 no such file"),
        _ => s.usual(line),
    }),
    ("out-of-step", &[], "x", |s, line| match word(line) {
        "TYPE" => s.say("229 ok (|||50000|)"),
        _ => s.usual(line),
    }),
    ("waiting", &["--timeout", "6s"], "x", |s, line| match word(line) {
        "TYPE" | "EPSV" => {}
        _ => s.usual(line),
    }),
    ("pasv-rewritten", &[], "x", |s, line| match word(line) {
        "EPSV" => s.say("502 no"),
        "PASV" => {
            let [hi, lo] = s.listen().to_be_bytes();
            s.say(&format!("227 Entering Passive Mode (10,9,8,7,{hi},{lo})."));
        }
        "RETR" => s.transfer(b"data"),
        _ => s.usual(line),
    }),
    ("ascii-binary", &[], "x.zip;type=a", |s, line| match word(line) {
        "RETR" => s.transfer(b"data"),
        _ => s.usual(line),
    }),
];

fn word(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

/// What is found in a recording: faults, and warnings.
fn found(home: &Path, recording: &Path) -> [Vec<String>; 2] {
    let mut command = port21(home);
    let all: Value = serde_json::from_str(
        &Ran::new(command.args(["trace", "--format", "json"]).arg(recording).output().unwrap()).ok(),
    )
    .unwrap();
    ["fault", "warning"].map(|severity| {
        let findings = all["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == severity);
        findings.map(|f| f["rule"].as_str().unwrap().to_owned()).collect()
    })
}

/// Whether that, and nothing else, is what was found; several times, where the client tries it again.
fn is_the_root(rule: &str, found: &[Vec<String>; 2]) -> bool {
    let [faults, warnings] = found;
    let only = |found: &[String]| !found.is_empty() && found.iter().all(|name| name == rule);
    match rule {
        "pasv-rewritten" | "ascii-binary" | "slow-login" => faults.is_empty() && only(warnings),
        _ => only(faults) && warnings.is_empty(),
    }
}

#[track_caller]
fn expect(rule: &str, found: [Vec<String>; 2]) {
    assert!(is_the_root(rule, &found), "{rule}: {found:?}");
}

#[test]
fn faults_of_servers_as_a_client_records_them() {
    let played = std::thread::scope(|scope| {
        let each = CASES.iter().map(|(rule, flags, file, script)| {
            let play = move || {
                let here = tempfile::tempdir().unwrap();
                let server = Scripted::start(script);
                let recording = here.path().join("s.jsonl");
                let mut command = port21(here.path());
                let patience: &[&str] = if flags.contains(&"--timeout") { &[] } else { &["--timeout", "10s"] };
                command.args(["get", "--retry", "0"]).args(patience).args(*flags).arg("--trace").arg(&recording);
                let ran = Ran::new(command.arg(server.url(file)).output().unwrap());
                assert!(recording.exists(), "{rule}: {ran:?}");
                (*rule, found(here.path(), &recording))
            };
            scope.spawn(play)
        });
        let all: Vec<_> = each.collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let wrong: Vec<_> = played.iter().filter(|(rule, found)| !is_the_root(rule, found)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_listens() {
    let here = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let recording = here.path().join("s.jsonl");
    let mut command = port21(here.path());
    command.args(["get", "--retry", "0", "--trace"]).arg(&recording).arg(format!("ftp://{gone}/x"));
    assert_eq!(Ran::new(command.output().unwrap()).code, Some(3));
    expect("control-unopened", found(here.path(), &recording));
}

/// A client of a few words.
struct Dumb<S: Read + Write = TcpStream> {
    control: BufReader<S>,
}

impl Dumb {
    fn connect(address: SocketAddr) -> Dumb {
        let control = TcpStream::connect(address).unwrap();
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut dumb = Dumb { control: BufReader::new(control) };
        dumb.reply();
        dumb
    }

    /// Goes on under TLS, with data connections under TLS as well.
    fn secure(mut self, config: &Arc<ClientConfig>) -> Dumb<StreamOwned<ClientConnection, TcpStream>> {
        assert!(self.say("AUTH TLS").starts_with("234"));
        let control = protected(config, NAME, self.control.into_inner());
        let mut dumb = Dumb { control: BufReader::new(control) };
        dumb.log_in();
        dumb.say("PBSZ 0");
        assert!(dumb.say("PROT P").starts_with("200"));
        dumb
    }
}

impl<S: Read + Write> Dumb<S> {
    fn say(&mut self, line: &str) -> String {
        self.control.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.control.read_line(&mut line).unwrap(), 0, "the server has ended");
            if line.as_bytes().get(3) == Some(&b' ') {
                return line;
            }
        }
    }

    fn log_in(&mut self) {
        self.say("USER bob");
        assert!(self.say("PASS secret").starts_with("230"));
    }

    /// A data connection by EPSV.
    fn passive(&mut self) -> TcpStream {
        let told = self.say("EPSV");
        let port: u16 = told.split('|').nth(3).unwrap().parse().unwrap();
        let data = TcpStream::connect(("127.0.0.1", port)).unwrap();
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data
    }

    fn quit(mut self) {
        self.say("QUIT");
        // Until the server has ended, and its recording with it.
        let _ = self.control.read_to_end(&mut Vec::new());
    }
}

/// What the server has found in its only session, which ends with QUIT.
fn served(flags: &[&str], session: impl FnOnce(Dumb)) -> [Vec<String>; 2] {
    let sessions = tempfile::tempdir().unwrap();
    let record = sessions.path().to_str().unwrap();
    let site = Site::with_flags(&[flags, &["--record", record]].concat());
    session(Dumb::connect(site.address()));
    // The recording is written aside: the server's end is its end.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(site.server().id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    site.wait();
    let mut files = std::fs::read_dir(sessions.path()).unwrap().map(|entry| entry.unwrap().path());
    let (only, none) = (files.next().unwrap(), files.next());
    assert_eq!(none, None);
    found(sessions.path(), &only)
}

/// The same with a server that wants TLS on both connections, and a client that knows its certificate.
fn served_protected(session: impl FnOnce(Dumb, Arc<ClientConfig>)) -> [Vec<String>; 2] {
    let here = tempfile::tempdir().unwrap();
    make_certificate(here.path(), NAME);
    let file = |ending: &str| here.path().join(format!("{NAME}.{ending}"));
    let (chain, key) = (file("pem"), file("key"));
    let flags = ["--tls", "require", "--cert", chain.to_str().unwrap(), "--key", key.to_str().unwrap()];
    served(&flags, |dumb| session(dumb, Arc::new(trusting(&chain))))
}

#[test]
fn a_third_host_as_a_server_records_it() {
    let found = served(&[], |mut dumb| {
        dumb.log_in();
        assert!(dumb.say("PORT 203,0,113,9,0,80").starts_with('5'));
        dumb.quit();
    });
    expect("port-third-host", found);
}

#[test]
fn a_file_that_is_not_there_as_a_server_records_it() {
    let found = served(&[], |mut dumb| {
        dumb.log_in();
        dumb.say("EPSV");
        assert!(dumb.say("RETR pub/nothing").starts_with("550"));
        dumb.quit();
    });
    expect("transfer-failed", found);
}

#[test]
fn a_data_connection_that_resumes_no_tls_session_as_a_server_records_it() {
    let found = served_protected(|dumb, config| {
        let mut dumb = dumb.secure(&config);
        let data = dumb.passive();
        assert!(dumb.say("RETR pub/readme.txt").starts_with("150"));
        let mut forgetful = ClientConfig::clone(&config);
        forgetful.resumption = Resumption::disabled();
        let mut data = protected(&Arc::new(forgetful), NAME, data);
        // Nothing but the server's end.
        let _ = data.read(&mut [0; 100]);
        assert!(dumb.reply().starts_with("522"));
        dumb.quit();
    });
    expect("tls-reuse", found);
}

#[test]
fn a_data_connection_that_speaks_no_tls_as_a_server_records_it() {
    let found = served_protected(|dumb, config| {
        let mut dumb = dumb.secure(&config);
        let mut data = dumb.passive();
        assert!(dumb.say("STOR x").starts_with("150"));
        data.write_all(b"in clear, whatever was agreed on\r\n").unwrap();
        let _ = data.read(&mut [0; 100]);
        assert!(dumb.reply().starts_with('5'));
        dumb.quit();
    });
    expect("tls-data", found);
}

#[test]
fn an_upload_without_close_notify_as_a_server_records_it() {
    let found = served_protected(|dumb, config| {
        let mut dumb = dumb.secure(&config);
        let data = dumb.passive();
        assert!(dumb.say("STOR x").starts_with("150"));
        let mut data = protected(&config, NAME, data);
        data.write_all(b"all of it, or not").unwrap();
        data.flush().unwrap();
        // A FIN, and not a word of TLS.
        drop(data);
        assert!(dumb.reply().starts_with('4'));
        dumb.quit();
    });
    expect("tls-truncated", found);
}

#[test]
fn nothing_is_wrong_with_a_whole_session_as_a_server_records_it() {
    let found = served(&[], |mut dumb| {
        dumb.log_in();
        dumb.say("TYPE I");
        let mut data = dumb.passive();
        assert!(dumb.say("RETR pub/readme.txt").starts_with("150"));
        let mut file = Vec::new();
        data.read_to_end(&mut file).unwrap();
        drop(data);
        assert!(dumb.reply().starts_with("226"));
        dumb.quit();
    });
    assert_eq!(found, [Vec::<String>::new(), Vec::new()]);
}
