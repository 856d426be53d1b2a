//! `port21 doctor`: what it tells of servers that are well, and of each fault, by name.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::scripted::Scripted;
use super::support::{Ran, Site, port21};

/// What the doctor tells a program, and its exit code.
#[track_caller]
fn told(ran: Ran) -> (Value, i32) {
    (serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}")), ran.code.unwrap())
}

#[track_caller]
fn step<'v>(told: &'v Value, name: &str) -> &'v Value {
    let found = told["steps"].as_array().unwrap().iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {told:#}"))
}

fn outcomes(told: &Value) -> Vec<String> {
    let steps = told["steps"].as_array().unwrap();
    steps.iter().map(|s| format!("{} {}", s["step"].as_str().unwrap(), s["outcome"].as_str().unwrap())).collect()
}

#[test]
fn a_server_that_is_well() {
    let site = Site::start();
    let url = site.guest("pub/");
    let (all, code) = told(site.run(&["doctor", "--json", &url, "-o", "all.svg", "-o", "all.jsonl"]));
    assert_eq!(
        outcomes(&all),
        [
            "resolve passed",
            "connect passed",
            "greeting passed",
            "FEAT passed",
            "login passed",
            "EPSV passed",
            "PASV passed",
            "PORT passed",
            "listing passed",
            "download passed",
            "upload not tried",
            "TLS passed"
        ]
    );
    assert_eq!((code, &all["failed"], &all["version"]), (0, &Value::Null, &json!(1)));
    assert_eq!(step(&all, "listing")["found"], "2 entries");
    let svg = std::fs::read_to_string(site.local("all.svg")).unwrap();
    assert!(svg.contains("EPSV") && svg.contains("QUIT"));
    let drawn = site.run(&["trace", "all.jsonl", "--session", "all"]).ok();
    assert!(drawn.contains("port21 doctor"), "{drawn}");
    let rows = site.run(&["doctor", &url]).ok();
    assert!(rows.contains("ok      EPSV") && rows.ends_with("All that was tried works.\n"), "{rows}");
}

#[test]
fn a_file_is_read_and_one_is_written_and_removed() {
    let site = Site::start();
    std::fs::write(site.remote("pub/large"), vec![7; 3 << 20]).unwrap();
    let (all, code) = told(site.run(&["doctor", "--json", "--write", &site.bob("pub/large")]));
    let found = step(&all, "download")["found"].as_str().unwrap();
    assert!(found.starts_with("pub/large: ") && found.contains("of more"), "{found}");
    assert_eq!((code, &step(&all, "upload")["outcome"]), (0, &json!("passed")));
    assert_eq!(step(&all, "removal")["outcome"], "passed");
    assert_eq!(std::fs::read_dir(site.remote("pub")).unwrap().count(), 3);
    // In clear text, and with a password: nothing on this side could change that.
    assert_eq!((&step(&all, "TLS")["outcome"], &step(&all, "TLS")["side"]), (&json!("noticed"), &json!("server")));
    let (all, code) = told(site.run(&["doctor", "--json", "--write", &site.guest("pub/")]));
    assert_eq!((code, &all["failed"]), (5, &json!("upload")));
    assert!(step(&all, "upload")["cause"].as_str().unwrap().contains("may not do this"));
}

#[test]
fn a_login_that_is_refused_is_named_and_keeps_its_secret() {
    let site = Site::start();
    let url = site.bob("").replace("secret", "hunter2");
    let ran = site.run(&["doctor", "--json", &url, "-o", "all.jsonl"]);
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));
    assert!(!std::fs::read_to_string(site.local("all.jsonl")).unwrap().contains("hunter2"));
    let (all, code) = told(ran);
    assert_eq!((code, &all["failed"]), (4, &json!("login")));
    assert!(step(&all, "login")["cause"].as_str().unwrap().contains("password is wrong"));
    assert_eq!(outcomes(&all).last().unwrap(), "login failed");
}

#[test]
fn tls_that_is_not_believed_and_sessions_that_must_be_resumed() {
    let site = Site::with_flags(&["--tls", "require"]);
    let (all, code) = told(site.run(&["doctor", "--json", "--tls", &site.bob("pub/")]));
    assert_eq!((code, &all["failed"]), (7, &json!("TLS")));
    let advice = step(&all, "TLS")["advice"].as_str().unwrap();
    let pin = advice.split("--pin ").nth(1).unwrap();
    let (all, code) = told(site.run(&["doctor", "--json", "--tls", "--pin", pin, &site.bob("pub/")]));
    assert_eq!((code, &step(&all, "TLS on data")["outcome"]), (0, &json!("passed")), "{all:#}");
    let reuse = step(&all, "TLS reuse");
    assert_eq!(reuse["outcome"], "noticed");
    assert!(
        reuse["found"].as_str().unwrap().contains("522")
            && reuse["advice"].as_str().unwrap().contains("require_ssl_reuse")
    );
    // Who comes without is told so.
    let (all, code) = told(site.run(&["doctor", "--json", &site.bob("")]));
    assert_eq!((code, &all["failed"]), (4, &json!("login")));
    assert!(step(&all, "login")["cause"].as_str().unwrap().contains("without TLS"));
}

#[test]
fn a_port_at_which_nobody_listens() {
    let home = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.76:0").unwrap().local_addr().unwrap();
    let ran = port21(home.path()).args(["doctor", "--json", &format!("ftp://{address}/")]).output().unwrap();
    let (all, code) = told(Ran::new(ran));
    assert_eq!((code, &all["failed"]), (3, &json!("connect")));
    assert!(step(&all, "connect")["cause"].as_str().unwrap().contains("nothing listens"));
}

/// A port that is never answered, as behind a firewall: its queue is full.
struct Filtered {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Filtered {
    fn new() -> Filtered {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..16 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => waiting.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Filtered { listener, _waiting: waiting },
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the queue has no end");
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// A server of few words, for any number of sessions: `answers` to verbs, 502 to all others. It ends with the test.
fn server(answers: &[(&'static str, String)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ftp://{}/", listener.local_addr().unwrap());
    let answers: Vec<_> = answers.to_vec();
    std::thread::spawn(move || {
        while let Ok((control, _)) = listener.accept() {
            let answers = answers.clone();
            std::thread::spawn(move || session(control, &answers));
        }
    });
    url
}

fn session(mut control: TcpStream, answers: &[(&'static str, String)]) {
    let lines = BufReader::new(control.try_clone().unwrap()).lines();
    let usual = [("USER", "331 ?"), ("PASS", "230 in"), ("TYPE", "200 ok"), ("QUIT", "221 bye")];
    let mut say = |text: &str| control.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    say("220 here");
    for line in lines.map_while(Result::ok) {
        let verb = line.split(' ').next().unwrap();
        let own = answers.iter().find(|(of, _)| *of == verb).map(|(_, text)| text.as_str());
        let text = own.or_else(|| usual.iter().find(|(of, _)| *of == verb).map(|(_, text)| *text));
        if !say(text.unwrap_or("502 no")) || verb == "QUIT" {
            break;
        }
    }
}

fn examine(url: &str) -> (Value, i32) {
    let home = tempfile::tempdir().unwrap();
    told(Ran::new(port21(home.path()).args(["doctor", "--json", "--timeout", "500ms", url]).output().unwrap()))
}

#[test]
fn a_data_port_that_is_filtered() {
    let filtered = Filtered::new();
    let port = filtered.address().port();
    let url = server(&[("EPSV", format!("229 ok (|||{port}|)")), ("PASV", "502 no".to_owned())]);
    let (all, code) = examine(&url);
    assert_eq!((code, &all["failed"]), (3, &json!("EPSV")), "{all:#}");
    let epsv = step(&all, "EPSV");
    assert_eq!((&epsv["side"], &step(&all, "listing")["outcome"]), (&json!("network"), &json!("not tried")));
    let cause = epsv["cause"].as_str().unwrap();
    assert!(cause.contains(&format!("data port {port}")) && cause.contains("firewall"), "{cause}");
    assert!(epsv["advice"].as_str().unwrap().contains("pasv_min_port"));
}

#[test]
fn an_address_that_is_private() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = server(&[("PASV", format!("227 Entering Passive Mode (10,1,2,3,{},{})", port >> 8, port & 255))]);
    let (all, _) = examine(&url);
    let pasv = step(&all, "PASV");
    assert_eq!((&pasv["outcome"], &pasv["side"]), (&json!("noticed"), &json!("server")), "{all:#}");
    assert!(pasv["cause"].as_str().unwrap().contains("PASV names 10.1.2.3"));
    assert!(pasv["advice"].as_str().unwrap().contains("pasv_address"));
    assert_eq!(step(&all, "EPSV")["outcome"], "passed");
}

#[test]
fn a_server_that_does_not_greet_and_one_that_speaks_something_else() {
    // It is connected to, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (all, code) = examine(&format!("ftp://{}/", silent.local_addr().unwrap()));
    assert_eq!((code, &all["failed"]), (3, &json!("greeting")));
    assert!(step(&all, "greeting")["cause"].as_str().unwrap().contains("owes its greeting"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ftp://{}/", other.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        // Once to see whether it is there, and once for the session.
        for _ in 0..2 {
            let (mut control, _) = other.accept().unwrap();
            let _ = control.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
        }
    });
    let (all, code) = examine(&url);
    thread.join().unwrap();
    assert_eq!((code, &all["failed"]), (3, &json!("greeting")), "{all:#}");
    assert!(step(&all, "greeting")["cause"].as_str().unwrap().contains("something else than FTP"));
}

#[test]
fn a_file_of_which_less_comes_than_was_announced() {
    let data = TcpListener::bind("127.0.0.1:0").unwrap();
    let epsv = format!("229 ok (|||{}|)", data.local_addr().unwrap().port());
    // What it ends is taken, whatever was asked for.
    std::thread::spawn(move || while data.accept().is_ok() {});
    let retr = "150 Opening BINARY mode data connection for f (9 bytes).\r\n226 all of it".to_owned();
    let pasv = ("PASV", "502 no".to_owned());
    let url = server(&[("EPSV", epsv), pasv, ("SIZE", "213 9".to_owned()), ("RETR", retr)]);
    let (all, _) = examine(&format!("{url}f"));
    let download = step(&all, "download");
    assert_eq!((&download["outcome"], &download["exit"]), (&json!("failed"), &json!(6)), "{all:#}");
    assert!(download["cause"].as_str().unwrap().contains("fewer bytes than announced"), "{all:#}");
    assert!(download["found"].as_str().unwrap().contains("0 bytes, of 9"), "{all:#}");
}

#[test]
fn sizes_and_times_that_are_not_true() {
    for (size, outcome, cause) in [(9, "failed", "fewer bytes come than SIZE tells"), (1, "noticed", "more bytes come")]
    {
        let server = Scripted::start(move |session, line| match line.split(' ').next().unwrap() {
            "FEAT" => session.say("211-F\r\n MLST type*;modify*;\r\n SIZE\r\n MDTM\r\n211 end"),
            "MLSD" => session.transfer(b"type=file;modify=20200102030405; f\r\n"),
            "MDTM" => session.say("213 20200102050405"),
            "SIZE" => session.say(&format!("213 {size}")),
            "RETR" => session.transfer(b"four"),
            _ => session.usual(line),
        });
        let (all, _) = examine(&server.url(""));
        let download = step(&all, "download");
        assert_eq!(download["outcome"], outcome, "{all:#}");
        assert!(download["cause"].as_str().unwrap().contains(cause), "{all:#}");
        let times = step(&all, "times");
        assert_eq!((&times["outcome"], &times["side"]), (&json!("noticed"), &json!("server")), "{all:#}");
        assert!(times["cause"].as_str().unwrap().contains("local time (UTC+2:00)"), "{all:#}");
    }
}
