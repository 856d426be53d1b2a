//! A server as an operator has it: asked, told, reloaded, measured, watched by systemd.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::support::{Ran, feed, port21};

/// Nothing in a test takes as long as this unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server by a configuration file, in a directory of its own.
pub(crate) struct Service {
    dir: TempDir,
    child: Option<Child>,
    pub(crate) address: String,
}

impl Service {
    /// With the socket `control`, and what else the file says. `DIR` stands for the directory.
    fn start(toml: &str) -> Service {
        Service::start_with(toml, |_| ())
    }

    pub(crate) fn start_with(toml: &str, prepare: impl FnOnce(&mut std::process::Command)) -> Service {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        std::fs::write(dir.path().join("root/file"), "hello").unwrap();
        let mut service = Service { dir, child: None, address: String::new() };
        service.write(toml);
        service.serve(prepare);
        service
    }

    /// Serves by the file as it is now.
    fn serve(&mut self, prepare: impl FnOnce(&mut std::process::Command)) {
        let mut command = port21(self.dir.path());
        prepare(&mut command);
        command.args(["serve", "--config", "port21.toml"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("ftp://").nth(1).and_then(|rest| rest.split('/').next());
        self.address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        self.child = Some(child);
    }

    pub(crate) fn write(&self, toml: &str) {
        let dir = self.dir.path().to_str().unwrap();
        let listen = if toml.contains("[[listen]]") { "" } else { "[[listen]]\naddress = \"127.0.0.1:0\"\n" };
        let passive = if toml.contains("[passive]") { "" } else { "[passive]\nports = \"1-65535\"\n" };
        let text = format!(
            "[site]\nroot = \"DIR/root\"\n{listen}[anonymous]\nenabled = true\n[control]\nsocket = \"DIR/control\"\n\
             {passive}[[user]]\nname = \"bob\"\npassword = \"secret\"\nwrite = true\n{toml}"
        );
        std::fs::write(self.path("port21.toml"), text.replace("DIR", dir)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut command = port21(self.dir.path());
        command.args(args).env("PORT21_SOCKET", self.path("control"));
        Ran::new(command.output().unwrap())
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.run(&["status", "--json"]).ok()).unwrap()
    }

    pub(crate) fn url(&self, user: &str, path: &str) -> String {
        format!("ftp://{user}{}/{path}", self.address)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Stops the server, and gives its exit code.
    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.child.take().unwrap().wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// From this address of the machine: the greeting, or what stands in its place, and what comes of a login.
fn knock(service: &Service, from: [u8; 4], user: &str, password: &str) -> String {
    let stream = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    stream.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
    stream.connect(&service.address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut session = Session(BufReader::new(stream.into()));
    let greeting = session.line();
    if !greeting.starts_with("220") {
        return greeting;
    }
    session.say(&format!("USER {user}"));
    session.say(&format!("PASS {password}"))
}

/// A session that is logged in, by its raw lines.
pub(crate) struct Session(BufReader<TcpStream>);

impl Session {
    fn open(address: &str) -> Session {
        Session::open_as(address, "bob")
    }

    /// By the password `secret`.
    pub(crate) fn open_as(address: &str, user: &str) -> Session {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut session = Session(BufReader::new(stream));
        session.line();
        session.say(&format!("USER {user}"));
        assert!(session.say("PASS secret").starts_with("230"));
        session
    }

    /// An upload whose data connection stands.
    pub(crate) fn upload(&mut self, name: &str) -> TcpStream {
        let reply = self.say("EPSV");
        let port: u16 = reply.split('|').nth(3).unwrap().parse().unwrap();
        let data = TcpStream::connect((self.0.get_ref().peer_addr().unwrap().ip(), port)).unwrap();
        assert!(self.say(&format!("STOR {name}")).starts_with("150"));
        data
    }

    pub(crate) fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    pub(crate) fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.line()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn who_is_on_is_shown_and_can_be_ended() {
    let mut service = Service::start("");
    assert_eq!(mode(&service.path("control")), 0o600);
    let mut session = Session::open(&service.address);
    let status = service.status();
    assert_eq!((status["sessions"][0]["user"].as_str(), status["logins"].as_u64()), (Some("bob"), Some(1)));
    assert_eq!(status["listening"][0].as_str(), Some(service.address.as_str()));
    let text = service.run(&["status"]).ok();
    assert!(text.contains("1 session, 0 transfers") && text.contains("bob"), "{text}");
    service.run(&["kick", "alice"]).fails(5);
    service.run(&["kick", "999"]).fails(5);
    service.run(&["unban", "192.0.2.1"]).fails(5);
    assert_eq!(service.run(&["kick", "bob"]).ok(), "Ended 1 session.\n");
    assert_eq!(session.line(), "421 The operator has ended this session.\r\n");
    let _by_address = Session::open(&service.address);
    assert_eq!(service.run(&["kick", "127.0.0.1"]).ok(), "Ended 1 session.\n");
    assert_eq!(service.stop(), Some(0));
    assert!(!service.path("control").exists());
    assert!(service.run(&["status"]).fails(3).contains("no server listens there"));
}

#[test]
fn a_ban_outlasts_a_restart_until_it_is_lifted() {
    const HERE: [u8; 4] = [127, 0, 0, 1];
    let bans = "[logins]\ndelay = \"0s\"\naddress-failures = 3\nkeep-bans = \"DIR/state/bans.json\"\n";
    let mut service = Service::start(bans);
    for _ in 0..3 {
        assert!(knock(&service, HERE, "bob", "wrong").starts_with("530"));
    }
    assert!(knock(&service, HERE, "bob", "secret").starts_with("421"));
    assert!(knock(&service, [127, 0, 0, 2], "bob", "secret").starts_with("230"));
    assert_eq!(service.stop(), Some(0));
    assert_eq!(mode(&service.path("state/bans.json")), 0o600);
    service.serve(|_| ());
    assert!(knock(&service, HERE, "bob", "secret").starts_with("421"));
    let banned = &service.status()["bans"][0];
    assert_eq!((banned["address"].as_str(), banned["failures"].as_u64()), (Some("127.0.0.1"), Some(3)));
    assert!(service.run(&["status"]).ok().contains("127.0.0.1  everything  3"));
    service.run(&["unban", "127.0.0.1"]).ok();
    assert!(knock(&service, HERE, "bob", "secret").starts_with("230"));
    service.run(&["unban", "127.0.0.1"]).fails(5);
    // Without a wait for the file: one that is killed has written it by then, or a little later.
    for _ in 0..3 {
        assert!(knock(&service, HERE, "bob", "wrong").starts_with("530"));
    }
    let until = std::time::Instant::now() + PATIENCE;
    while !std::fs::read_to_string(service.path("state/bans.json")).unwrap().contains("127.0.0.1") {
        assert!(std::time::Instant::now() < until, "never written");
        std::thread::yield_now();
    }
    service.signal(Signal::KILL);
    service.child.take().unwrap().wait().unwrap();
    service.serve(|_| ());
    assert!(knock(&service, HERE, "bob", "secret").starts_with("421"));
}

#[test]
fn strangers_cannot_lock_out_an_owner() {
    let service = Service::start("[logins]\ndelay = \"0s\"\naddress-failures = 3\naccount-failures = 5\n");
    for n in 10..30 {
        assert!(knock(&service, [127, 0, 0, n], "bob", "guess").starts_with("530"));
    }
    // Whoever has failed while it is under attack has had their try, but the owner gets in.
    assert!(knock(&service, [127, 0, 0, 29], "bob", "secret").starts_with("530"));
    assert!(knock(&service, [127, 0, 0, 1], "bob", "secret").starts_with("230"));
    // From where they were before they may mistype as well.
    assert!(knock(&service, [127, 0, 0, 1], "bob", "secert").starts_with("530"));
    assert!(knock(&service, [127, 0, 0, 1], "bob", "secret").starts_with("230"));
    assert!(service.run(&["status"]).ok().contains("127.0.0.29  bob"));
    service.run(&["unban", "bob", "--host", "nowhere.example"]).fails(5);
    service.run(&["unban", "bob", "--host", "-"]).ok();
    assert!(knock(&service, [127, 0, 0, 29], "bob", "secret").starts_with("230"));
}

#[test]
fn questions_that_are_none_are_answered() {
    let service = Service::start("");
    let ask = |line: &str| {
        let mut stream = UnixStream::connect(service.path("control")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("{\"version\":2,\"do\":\"dance\"}\n").contains("speaks version 1"));
    assert!(ask("{\"version\":1,\"do\":\"dance\"}\n").contains("no question"));
    assert!(ask("{\"version\":1,\"do\":\"kick\"}\n").contains("name a session"));
    assert!(ask("").contains("no question"));
    assert!(ask(&"x".repeat(20_000)).contains("no question"));
    assert!(ask("{\"version\":1,\"do\":\"status\"}\n").contains("\"uptime_seconds\""));
}

#[test]
fn a_configuration_is_taken_as_a_whole_or_not_at_all() {
    let service = Service::start("");
    let mut session = Session::open(&service.address);
    let greeting = || {
        let mut stream = BufReader::new(TcpStream::connect(&service.address).unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line
    };
    let old = greeting();
    // All that is wrong is answered, and nothing is taken.
    service.write("[timeouts]\nidle = \"soon\"\n[limits]\nconnections = -1\n");
    let ran = service.run(&["reload"]);
    assert_eq!((ran.code, ran.err.lines().count()), (Some(5), 2), "{ran:?}");
    assert!(ran.err.contains("port21.toml:") && ran.err.contains("`timeouts.idle`"), "{ran:?}");
    assert_eq!(greeting(), old);
    service.write("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    assert!(service.run(&["reload"]).fails(5).contains("`metrics.listen` has changed: restart needed"));
    // A further place, a new greeting; the session stays.
    let free = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap();
    let listen = format!("[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"{free}\"\n");
    service.write(&listen);
    let text = std::fs::read_to_string(service.path("port21.toml")).unwrap();
    std::fs::write(service.path("port21.toml"), text.replace("[site]\n", "[site]\ngreeting = \"new\"\n")).unwrap();
    let told = service.run(&["reload"]).ok();
    assert!(told.contains(&format!("listening at {free} too")), "{told}");
    assert!(greeting().contains("new"));
    assert!(TcpStream::connect(free).is_ok());
    assert!(session.say("NOOP").starts_with("200"));
    let status = service.status();
    assert_eq!((status["reloads"].as_u64(), status["failed_reloads"].as_u64()), (Some(1), Some(2)));
    assert_eq!(status["listening"].as_array().unwrap().len(), 2);
}

#[test]
fn a_name_that_is_mistyped_locks_nobody_out() {
    let service = Service::start("[log]\nfile = \"DIR/log\"\n[accounts]\nfile = \"users.toml\"\n");
    let mut add = port21(service.dir.path());
    add.args(["user", "add", "ann", "--users", "users.toml", "--password-stdin"]);
    feed(add, "secret\n").ok();
    let mut session = Session::open_as(&service.address, "ann");
    let host = "[[host]]\nnames = [\"a.example\"]\nroot = \"DIR/root\"\naccounts.file = \"DIR/others.toml\"\n";
    for wrong in ["[accounts]\nfile = \"user.toml\"\n", host] {
        service.write(&format!("[log]\nfile = \"DIR/log\"\n{wrong}"));
        let told = service.run(&["reload"]).fails(5);
        assert!(told.contains("`accounts.file`: there is no ") && told.contains("leave an empty one"), "{told}");
        assert!(session.say("NOOP").starts_with("200"));
        let told = service.run(&["serve", "--check", "--config", "port21.toml"]).ok();
        assert!(told.contains("there is no such file: nobody of it can log in"), "{told}");
    }
    // One that is there is taken; and programs that are not there are told of.
    std::fs::write(service.path("others.toml"), "").unwrap();
    let hook = "[[hook]]\non = [\"upload\"]\nprogram = [\"DIR/no-such-hook\"]\n\
                [[hook]]\non = [\"upload\"]\nprogram = [\"/bin/true\"]\n";
    service.write(&format!("[log]\nfile = \"DIR/log\"\n{hook}{host}"));
    service.run(&["reload"]).ok();
    assert!(session.say("NOOP").starts_with("200"));
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("is no program that can be run")).collect();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains("no-such-hook"), "{log}");
}

#[test]
fn systemd_is_told_and_sighup_reloads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let wait_for = |wanted: &str| {
        let mut buffer = [0; 1024];
        loop {
            let read = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            if text.lines().any(|line| line.starts_with(wanted)) {
                return text;
            }
        }
    };
    let mut service = Service::start_with("", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    });
    assert!(wait_for("READY=1").contains("STATUS=0 sessions, 0 transfers"));
    wait_for("WATCHDOG=1");
    service.signal(Signal::HUP);
    let reloading = wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    wait_for("READY=1");
    assert_eq!(service.stop(), Some(0));
    wait_for("STOPPING=1");
}

#[test]
fn transfers_are_in_the_xferlog_which_may_be_rotated() {
    let mut service = Service::start("[log]\nfile = \"DIR/log\"\nxferlog = \"DIR/xferlog\"\nformat = \"json\"\n");
    service.run(&["get", "-o", "copy", &service.url("bob:secret@", "file")]).ok();
    service.run(&["put", "copy", &service.url("bob:secret@", "a%20b")]).ok();
    service.run(&["rm", &service.url("bob:secret@", "a%20b")]).ok();
    assert_eq!(service.stop(), Some(0));
    let text = std::fs::read_to_string(service.path("xferlog")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    assert!(lines.iter().all(|words| words.len() == 18), "{text}");
    let root = service.path("root").canonicalize().unwrap();
    let want = [
        format!("5 {}/file o bob c", root.display()),
        format!("5 {}/a_b i bob c", root.display()),
        format!("0 {}/a_b d bob c", root.display()),
    ];
    let got = lines.iter().map(|w| format!("{} {} {} {} {}", w[7], w[8], w[11], w[13], w[17])).collect::<Vec<_>>();
    assert_eq!(got, want);
    // The log is one object a line, and holds no password.
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    assert!(log.contains("\"message\":\"login\"") && !log.contains("secret"), "{log}");
}

#[test]
fn metrics_and_health() {
    let service = Service::start("[metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nfile = \"DIR/log\"\n");
    service.run(&["cat", &service.url("", "file")]).ok();
    // Told before the server takes its first session.
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    let told = log.split("metrics at http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = told.unwrap_or_else(|| panic!("{log}"));
    let get = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // Whoever says nothing keeps nobody out: so many, one behind the other, would take minutes.
    let _silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get("/health").starts_with("HTTP/1.1 200 OK\r\n"));
    let page = get("/metrics");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    for line in [
        "port21_logins_total{result=\"ok\"} 1",
        "port21_finished_transfers_total{direction=\"download\",result=\"whole\"} 1",
        "port21_bytes_total{direction=\"download\"} 5",
        "port21_refusals_total{reason=\"no_passive_port\"} 0",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}: {body}");
    }
    // Each sample belongs to a metric that has its HELP and TYPE above.
    let mut typed = "";
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(rest) => typed = rest.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next(), Some(typed), "{line}"),
        }
    }
}

/// `chain.pem` and `key.pem`: good until the beginning of this year.
fn make_certificate(dir: &Path, until: i32) {
    let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(dir.join("chain.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

#[test]
fn a_certificate_that_has_expired_is_told_everywhere() {
    let free = TcpListener::bind("127.0.0.78:0").unwrap().local_addr().unwrap();
    let toml = format!(
        "[log]\nfile = \"DIR/log\"\n[metrics]\nlisten = \"{free}\"\n[tls]\nmode = \"offer\"\n[[certificate]]\n\
         chain = \"DIR/chain.pem\"\nkey = \"DIR/key.pem\"\n"
    );
    let mut service = Service::start_with(&toml, |command| make_certificate(command.get_current_dir().unwrap(), 2021));
    let expired = format!("the certificate {} has expired on 2021-01-01", service.path("chain.pem").display());
    let told = service.run(&["status"]).ok();
    assert!(told.contains(&format!("WARNING: {expired}")), "{told}");
    let mut stream = TcpStream::connect(free).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let file = service.path("chain.pem");
    let sample = format!("port21_certificate_not_after_seconds{{file=\"{}\"}} 1609459200\n", file.display());
    assert!(page.contains(&sample), "{page}");
    let check = service.run(&["serve", "--check", "--config", "port21.toml"]);
    assert!(
        check.out.contains("chain.pem, until 2021-01-01 00:00 UTC, SHA-256") && check.err.contains(&expired),
        "{check:?}"
    );
    assert_eq!(check.code, Some(0));
    assert_eq!(service.stop(), Some(0));
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(&expired)), "{log}");
}

#[test]
fn what_is_wrong_with_certificates_is_told_at_a_reload() {
    let service = Service::start("");
    make_certificate(&service.path(""), 2199);
    let refused = |toml: &str| {
        service.write(toml);
        service.run(&["reload"]).fails(5)
    };
    // A restart would help in the one case alone, and in the other be the end of a server that runs.
    let own = "[tls]\nmode = \"offer\"\nself-signed = \"DIR/keys/own\"\n";
    let error = refused(own);
    assert!(error.contains("restart needed: cannot make a certificate"), "{error}");
    let chain = |name: &str| format!("[[certificate]]\nchain = \"DIR/{name}\"\nkey = \"DIR/key.pem\"\n");
    let error = refused(&format!("[tls]\nmode = \"offer\"\n{}", chain("typo.pem")));
    assert!(error.contains("typo.pem") && !error.contains("restart"), "{error}");
    assert!(error.contains("`certificate.chain`: cannot read") && error.contains("port21.toml:"), "{error}");
    // Authorities are read at each reload, whatever else has changed.
    let toml = format!(
        "[tls]\nmode = \"offer\"\nclient-certificates = \"request\"\nclient-authorities = \"DIR/ca.pem\"\n{}",
        chain("chain.pem")
    );
    let error = refused(&toml);
    assert!(error.contains("ca.pem") && !error.contains("restart"), "{error}");
    std::fs::copy(service.path("chain.pem"), service.path("ca.pem")).unwrap();
    service.run(&["reload"]).ok();
    std::fs::write(service.path("ca.pem"), "nobody").unwrap();
    assert!(refused(&toml).contains("ca.pem"));
    std::fs::remove_file(service.path("ca.pem")).unwrap();
    assert!(refused(&toml).contains("ca.pem"));
    // To ask beforehand makes nothing, and listens nowhere for longer than it takes.
    service.write(own);
    let check = service.run(&["serve", "--check", "--config", "port21.toml"]);
    assert!(check.code == Some(0) && check.out.contains("self-signed.pem: there is none yet"), "{check:?}");
    assert!(!service.path("keys").exists() && !check.err.contains("listening"), "{check:?}");
    service.write(&own.replace("keys/own", "root/file/own"));
    let check = service.run(&["serve", "--check", "--config", "port21.toml"]);
    assert!(check.code == Some(1) && check.err.contains("`tls.self-signed`"), "{check:?}");
}

/// Whatever umask the server is started with.
#[test]
fn new_files_have_the_mode_that_their_account_says() {
    let toml = "[uploads]\numask = \"007\"\n[log]\nfile = \"DIR/log/log\"\n[[user]]\nname = \"cat\"\npassword = \"secret\"\n\
                write = true\numask = \"027\"\n";
    for umask in ["077", "000"] {
        let service = Service::start_with(toml, |command| {
            let dir = command.get_current_dir().unwrap().to_owned();
            let mut ann = port21(&dir);
            ann.args(["user", "add", "ann", "--users", "users.toml", "--home", "/of/ann", "--umask", "002"]);
            Ran::new(ann.args(["--permissions", "all"]).env("PORT21_PASSWORD", "secret").output().unwrap()).ok();
            let mut shell = std::process::Command::new("/bin/sh");
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_port21")]).env_clear().env("HOME", &dir).current_dir(dir);
            *command = shell;
        });
        std::fs::write(service.path("new"), "hello").unwrap();
        for (user, put, dir) in [("bob", 0o660, 0o770), ("cat", 0o640, 0o750), ("ann", 0o664, 0o775)] {
            let at = if user == "ann" { "root/of/ann" } else { "root" };
            service.run(&["put", "new", &service.url(&format!("{user}:secret@"), user)]).ok();
            service.run(&["mkdir", &service.url(&format!("{user}:secret@"), &format!("{user}.dir"))]).ok();
            let made = (mode(&service.path(&format!("{at}/{user}"))), mode(&service.path(&format!("{at}/{user}.dir"))));
            assert_eq!(made, (put, dir), "{user}");
        }
        assert_eq!((mode(&service.path("root/of")), mode(&service.path("root/of/ann"))), (0o775, 0o775));
        assert_eq!((mode(&service.path("log")), mode(&service.path("control"))), (0o700, 0o600));
        assert_eq!(mode(&service.path("log/log")), 0o640);
    }
}

#[test]
fn a_name_that_cannot_be_looked_up_is_no_reason_not_to_start() {
    let mut service = Service::start("[log]\nfile = \"DIR/log\"\n[passive]\nadvertise = \"nowhere.invalid\"\n");
    service.run(&["cat", &service.url("", "file")]).ok();
    assert_eq!(service.stop(), Some(0));
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    assert!(log.contains("nowhere.invalid") && log.contains("until this name can be looked up"), "{log}");
    assert!(!log.contains("the helper process is gone"), "{log}");
}

#[test]
fn why_it_does_not_start_is_in_its_log_too() {
    let mut service = Service::start("[log]\nfile = \"DIR/log\"\n");
    let text = std::fs::read_to_string(service.path("port21.toml")).unwrap();
    std::fs::write(service.path("port21.toml"), text.replace("127.0.0.1:0", &service.address)).unwrap();
    // The place is taken.
    let error = service.run(&["-q", "serve", "--config", "port21.toml"]).fails(1);
    assert!(error.contains(&service.address), "{error}");
    assert_eq!(service.stop(), Some(0));
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(&service.address)), "{log}");
}

/// Behind the sandbox too, and nothing else that is there.
#[test]
fn old_recordings_make_room_for_new_ones() {
    let toml = "[record]\ndirectory = \"DIR/records\"\nmax-size = \"1MiB\"\n";
    let old = ["20050502T210700Z-000017-192.0.2.1.jsonl", "20050502T210800Z-000018-192.0.2.1.jsonl", "notes.jsonl"];
    let mut service = Service::start_with(toml, |command| {
        let records = command.get_current_dir().unwrap().join("records");
        std::fs::create_dir(&records).unwrap();
        old.iter().for_each(|name| std::fs::write(records.join(name), vec![b'x'; 600 << 10]).unwrap());
    });
    service.run(&["cat", &service.url("", "file")]).ok();
    assert_eq!(service.stop(), Some(0));
    let left: Vec<String> = std::fs::read_dir(service.path("records"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.len() == 3 && !left.contains(&old[0].to_owned()), "{left:?}");
    assert!(old[1..].iter().all(|name| left.contains(&(*name).to_owned())), "{left:?}");
}

#[test]
fn a_hook_is_told_of_an_upload() {
    // The helper runs it: the server itself could not.
    let program = "[[hook]]\non = [\"upload\"]\nprogram = [\"/bin/sh\", \"-c\", \"cat > DIR/told\"]\n";
    let mut service = Service::start(program);
    std::fs::write(service.path("new"), "hello").unwrap();
    service.run(&["put", "new", &service.url("bob:secret@", "")]).ok();
    // What was begun is ended.
    assert_eq!(service.stop(), Some(0));
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(service.path("told")).unwrap()).unwrap();
    let file = service.path("root").canonicalize().unwrap().join("new");
    assert_eq!((told["event"].as_str(), told["file"].as_str()), (Some("upload"), file.to_str()));
}

#[test]
fn what_would_be_exposed_and_whether_it_would_start() {
    let service = Service::start("[log]\nfile = \"DIR/log\"\n");
    // Beside the server that runs: its socket is taken by itself.
    let told = service.run(&["serve", "--check", "--config", "port21.toml"]).ok();
    for part in ["listening", "this machine only", "anybody", "bob (read and write)", "firewall", "would start"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("WARNING"), "{told}");
    // Who can read whose files is told, also by the server itself.
    let mut ann = port21(service.dir.path());
    ann.args(["user", "add", "ann", "--users", "users.toml", "--home", "ann", "--no-password"]);
    Ran::new(ann.output().unwrap()).ok();
    let within = "guests, bob can reach the home of ann (";
    let told = service.run(&["serve", "--check", "--config", "port21.toml"]).ok();
    assert!(told.lines().any(|line| line.starts_with("WARNING") && line.contains(within)), "{told}");
    service.run(&["reload"]).ok();
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(within)), "{log}");
    // A directory that the server makes when it starts is not missed, and one that it cannot make is.
    service.write("[log]\nfile = \"DIR/made/log\"\n");
    let told = service.run(&["serve", "--check", "--config", "port21.toml"]).ok();
    assert!(told.contains("would start") && !service.path("made").exists(), "{told}");
    service.write("[log]\nfile = \"DIR/root/file/log\"\n");
    let ran = service.run(&["serve", "--check", "--config", "port21.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("`log.file`"), "{ran:?}");
    service.write("[sandbox]\nmode = \"off\"\n[log]\nfile = \"DIR/made/log\"\n");
    let ran = service.run(&["serve", "--check", "--config", "port21.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("`log.file`"), "{ran:?}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let ran =
        Ran::new(port21(service.dir.path()).args(["serve", "--check", "root", "--listen", &at]).output().unwrap());
    assert!(ran.code == Some(1) && ran.err.contains(&at) && !ran.out.contains("would start"), "{ran:?}");
}
