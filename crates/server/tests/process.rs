//! What belongs to a process as a whole: its descriptors and tasks, its log. These tests have a process of their own, and
//! run in it one at a time.

#[path = "process/secure.rs"]
mod secure;

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use port21_proto::server::LoginError;
use port21_proto::verb::Permissions;
use port21_server::storage::{BoxFuture, CommitMode, LocalSettings};
use port21_server::tls::TlsSettings;
use port21_server::{Account, Attempt, Authenticator, Listen, Refusal, Server, ServerHandle, Settings, TlsMode};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Nothing takes as long as this unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address of loopback that nobody else uses: the passive ports are this test's own.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 1);

/// Whoever says the name `user` may do everything.
struct Anybody(std::path::PathBuf);

impl Authenticator for Anybody {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            match attempt.user {
                b"user" => Account::local("user", &self.0, Permissions::ALL, LocalSettings::default())
                    .map_err(|_| LoginError::Unavailable),
                _ => Err(LoginError::Refused),
            }
        })
    }

    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(user != b"opensesame"))
    }
}

struct Site {
    addr: SocketAddr,
    handle: ServerHandle,
    runtime: Runtime,
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Site {
    fn new(change: impl FnOnce(&mut Settings)) -> Site {
        Site::with(None, change)
    }

    /// One that offers TLS, where it has what that needs.
    fn with(tls: Option<TlsSettings>, change: impl FnOnce(&mut Settings)) -> Site {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings =
            Settings { passive_ports: Some(61400..=61463), commit: CommitMode::Atomic, ..Settings::default() };
        settings.session.data_open_timeout = Duration::from_millis(200);
        change(&mut settings);
        let dir = tempfile::tempdir().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let within = runtime.enter();
        let mut builder = Server::builder(Arc::new(Anybody(dir.path().to_owned()))).settings(settings);
        let mut place = Listen::from(SocketAddr::from((HERE, 0)));
        if let Some(tls) = tls {
            builder = builder.tls(tls).unwrap();
            place = place.with_tls(TlsMode::Offer);
        }
        let mut server = builder.build();
        let addr = server.listen(place).unwrap();
        let handle = server.handle();
        runtime.spawn(server.run(std::future::pending()));
        drop(within);
        Site { addr, handle, runtime, dir, _alone: alone }
    }

    fn connect(&self) -> Client {
        self.connect_from(Ipv4Addr::LOCALHOST)
    }

    fn connect_from(&self, client: Ipv4Addr) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect(&self.addr.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn login(&self) -> Client {
        self.login_from(Ipv4Addr::LOCALHOST)
    }

    fn login_from(&self, client: Ipv4Addr) -> Client {
        let mut client = self.connect_from(client);
        client.reply(220);
        client.command("USER user", 331);
        client.command("PASS x", 230);
        client
    }

    /// Descriptors, tasks, sessions, passive ports.
    fn held(&self) -> [usize; 4] {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let counts = self.handle.counts();
        [descriptors, self.runtime.metrics().num_alive_tasks(), counts.sessions, counts.passive_in_use]
    }

    /// Waits until no more is held than was before.
    #[track_caller]
    fn wait_until_held_is(&self, before: [usize; 4], what: &str) {
        let until = Instant::now() + PATIENCE;
        while self.held() != before {
            assert!(Instant::now() < until, "{what}: {:?} and not {before:?}", self.held());
            std::thread::yield_now();
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        // A server that has closed takes no more.
        let _ = self.0.get_mut().write_all(bytes);
    }

    /// The text of a reply of one line, or the last line of it.
    #[track_caller]
    fn reply(&mut self, code: u16) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            assert!(line.starts_with(&code.to_string()) || line.starts_with(' '), "{code}: {line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return line;
            }
        }
    }

    fn command(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply(code)
    }

    fn passive(&mut self) -> SocketAddr {
        let text = self.command("EPSV", 229);
        (HERE, port21_proto::addr::parse_epsv(text.trim_end().as_bytes()).unwrap()).into()
    }

    fn reset(self) {
        reset(self.0.into_inner());
    }
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Abort,
    Quit,
    Reset,
    Gone,
}

/// How a data connection comes to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Passive,
    Active,
}

/// What a session says up to its transfer; `port` is where it listens itself, if it does.
fn lines(verb: &str, port: Option<u16>) -> [(String, u16); 5] {
    let data = match port {
        None => ("EPSV".into(), 229),
        Some(port) => (format!("EPRT |1|127.0.0.1|{port}|"), 200),
    };
    [("USER user".into(), 331), ("PASS x".into(), 230), ("TYPE I".into(), 200), data, (verb.into(), 150)]
        .map(|(line, code)| (format!("{line}\r\n"), code))
}

/// A verb with a file name of this session's own: the upload of the one before may still be on its way out, and holds its
/// name until then.
fn with_number(verb: &str) -> String {
    static SESSIONS: AtomicUsize = AtomicUsize::new(0);
    verb.replace("NUMBER", &format!("{:06}", SESSIONS.fetch_add(1, Ordering::Relaxed)))
}

/// A session that is cut off behind so many bytes of what it says, and of its data.
fn cut_off(site: &Site, verb: &str, mode: Mode, bytes: usize, data: Option<usize>, ending: Ending) {
    let verb = &with_number(verb);
    let listener = (mode == Mode::Active).then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.as_ref().map(|listener| listener.local_addr().unwrap().port());
    let mut client = site.connect();
    client.reply(220);
    let mut left = bytes;
    let mut stream = None;
    let mut begun = false;
    for (line, code) in lines(verb, port) {
        if left < line.len() {
            client.send(&line.as_bytes()[..left]);
            break;
        }
        begun = code == 150;
        left -= line.len();
        client.send(line.as_bytes());
        let text = client.reply(code);
        if code == 229 && data.is_some() {
            let port = port21_proto::addr::parse_epsv(text.trim_end().as_bytes()).unwrap();
            stream = Some(TcpStream::connect((HERE, port)).unwrap());
        }
    }
    if let (Some(listener), true, true) = (&listener, begun, data.is_some()) {
        stream = Some(listener.accept().unwrap().0);
    }
    if let (Some(stream), Some(amount)) = (&mut stream, data) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if begun && !verb.starts_with("STOR") {
            let _ = stream.take(amount as u64).read_to_end(&mut Vec::new());
        } else {
            let _ = stream.write_all(&vec![b'x'; amount]);
        }
    }
    match ending {
        Ending::Abort => {
            client.send(b"\r\nABOR\r\nQUIT\r\n");
            let _ = client.0.read_to_end(&mut Vec::new());
        }
        Ending::Quit => client.send(b"\r\nQUIT\r\n"),
        Ending::Reset => {
            client.reset();
            stream.into_iter().for_each(reset);
        }
        Ending::Gone => {}
    }
}

const ENDINGS: [Ending; 4] = [Ending::Abort, Ending::Quit, Ending::Reset, Ending::Gone];

const VERBS: [&str; 3] = ["RETR file", "STOR NUMBER", "LIST"];

/// What is held when nobody is on. Whatever is made once, for all sessions, was made: the server itself is the one task.
fn at_rest(site: &Site) -> [usize; 4] {
    let until = Instant::now() + PATIENCE;
    while site.handle.counts().sessions > 0 || site.handle.counts().passive_in_use > 0 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    [std::fs::read_dir("/proc/self/fd").unwrap().count(), 1, 0, 0]
}

#[test]
fn of_a_session_that_is_cut_off_at_any_byte_nothing_is_left() {
    let site = Site::new(|_| {});
    std::fs::write(site.dir.path().join("file"), vec![b'x'; 300_000]).unwrap();
    let modes = [Mode::Passive, Mode::Active];
    for (verb, mode) in VERBS.into_iter().flat_map(|verb| modes.map(|mode| (verb, mode))) {
        cut_off(&site, verb, mode, usize::MAX, Some(10), Ending::Abort);
    }
    let before = at_rest(&site);
    for ending in ENDINGS {
        for (verb, mode) in VERBS.into_iter().flat_map(|verb| modes.map(|mode| (verb, mode))) {
            // A port that the system gives has five digits.
            let port = (mode == Mode::Active).then_some(40000);
            let whole: usize = lines(verb, port).iter().map(|(line, _)| line.len()).sum();
            for bytes in 0..=whole {
                cut_off(&site, verb, mode, bytes, None, ending);
            }
            // From the EPSV's end on there can be a data connection.
            for bytes in whole - verb.len() - 2..=whole {
                cut_off(&site, verb, mode, bytes, Some(bytes % 3), ending);
            }
            for data in [0, 1, 1000, 100_000, 300_000] {
                cut_off(&site, verb, mode, whole, Some(data), ending);
            }
            site.wait_until_held_is(before, &format!("{verb}, {mode:?}, {ending:?}"));
        }
    }
    site.login().command("NOOP", 200);
}

#[test]
fn ten_thousand_connections_that_are_reset_leave_nothing() {
    let site = Site::new(|_| {});
    site.login().command("QUIT", 221);
    let until = Instant::now() + PATIENCE;
    while site.handle.counts().sessions > 0 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let before = [std::fs::read_dir("/proc/self/fd").unwrap().count(), 1, 0, 0];
    for _ in 0..10_000 {
        reset(TcpStream::connect(site.addr).unwrap());
    }
    site.login().command("QUIT", 221);
    site.wait_until_held_is(before, "after the flood");
}

#[test]
fn connections_beyond_a_limit_are_told_so_and_the_log_does_not_grow() {
    let log = Log::of_this_process();
    for change in [
        |settings: &mut Settings| settings.max_connections = 1,
        |settings: &mut Settings| settings.max_connections_per_address = 1,
    ] {
        let site = Site::new(change);
        let mut first = site.login();
        log.take();
        for _ in 0..500 {
            let mut client = site.connect();
            client.reply(421);
            assert_eq!(client.0.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        let lines = log.take().into_iter().filter(|line| line.text.contains("refused a connection")).count();
        assert_eq!(lines, 10);
        first.command("NOOP", 200);
    }
}

#[test]
fn where_no_passive_port_is_left_a_session_is_told_so_and_the_operator_too() {
    let log = Log::of_this_process();
    let site = Site::new(|settings| {
        settings.passive_ports = Some(61464..=61465);
        settings.session.data_open_timeout = PATIENCE;
    });
    let from = |n| site.login_from(Ipv4Addr::new(127, 0, 78, n));
    let (mut first, mut second, mut third) = (from(1), from(2), from(3));
    log.take();
    assert_ne!(first.passive(), second.passive());
    for _ in 0..50 {
        third.command("EPSV", 425);
    }
    let lines = log.take().into_iter().filter(|line| line.text.contains("no passive port is free")).count();
    assert_eq!(lines, 10);
    // A port that was used rests only while others are free.
    first.command("QUIT", 221);
    let until = Instant::now() + PATIENCE;
    while site.handle.counts().passive_in_use > 1 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    third.passive();
}

#[test]
fn one_address_does_not_take_all_passive_ports_and_none_for_as_long_as_it_likes() {
    let log = Log::of_this_process();
    let site = Site::new(|settings| settings.passive_ports = Some(61464..=61467));
    let mut hoarders = [(); 4].map(|()| site.login());
    let mut other = site.login_from(Ipv4Addr::new(127, 0, 78, 1));
    log.take();
    let [last, hoarders @ ..] = &mut hoarders;
    for hoarder in hoarders.iter_mut() {
        hoarder.passive();
    }
    last.command("EPSV", 425);
    let lines = log.take().into_iter().filter(|line| line.text.contains("holds its share")).count();
    assert_eq!((lines, site.handle.counts().refusals[Refusal::PortsOfAddress as usize]), (1, 1));
    other.passive();
    // They say that they are still there, and the ports are given up all the same.
    let until = Instant::now() + PATIENCE;
    while site.handle.counts().passive_in_use > 0 {
        assert!(Instant::now() < until);
        for hoarder in hoarders.iter_mut() {
            hoarder.command("NOOP", 200);
        }
    }
    last.passive();
    for hoarder in hoarders {
        hoarder.command("LIST", 150);
        let text = hoarder.reply(425);
        assert!(text.contains("given up"), "{text}");
    }
}

/// Without descriptors nobody can be let in, until somebody goes. Meanwhile the server does not run in circles, and who is
/// there is served.
#[test]
fn a_server_without_descriptors_waits_for_some() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let log = Log::of_this_process();
    let site = Site::new(|_| {});
    let mut first = site.login();
    let limit = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    log.take();
    setrlimit(Resource::Nofile, Rlimit { current: Some(open + 21), ..limit }).unwrap();
    // Those of the clients are this process's as well: the last of them are never accepted.
    let clients: Vec<TcpStream> = std::iter::from_fn(|| TcpStream::connect(site.addr).ok()).take(64).collect();
    let failures = log.wait_for("cannot accept connections", 4);
    first.command("PWD", 257);
    drop(clients);
    setrlimit(Resource::Nofile, limit).unwrap();
    site.login().command("NOOP", 200);
    for pair in failures.windows(2) {
        assert!(pair[1].at.duration_since(pair[0].at) >= Duration::from_millis(90), "no pause between them");
    }
}

#[test]
fn no_name_forges_a_line_of_the_log_or_steers_a_terminal() {
    let log = Log::of_this_process();
    let site = Site::new(|_| {});
    let mut client = site.connect();
    client.reply(220);
    log.take();
    let hostile = "x\u{1b}[2J\u{9b}31m\u{7f}\u{1}\u{202e}y";
    client.command(&format!("USER {hostile}"), 331);
    client.command(&format!("PASS {hostile}secret"), 530);
    let mut client = site.login();
    client.command(&format!("MKD {hostile}"), 257);
    client.command(&format!("RNFR {hostile}"), 350);
    client.command(&format!("RNTO {hostile}2"), 250);
    client.command(&format!("RMD {hostile}2"), 250);
    let to = client.passive();
    let data = TcpStream::connect(to).unwrap();
    client.command(&format!("STOR {hostile}"), 150);
    drop(data);
    client.reply(226);
    client.command(&format!("DELE {hostile}"), 250);
    client.command("QUIT", 221);
    log.wait_for("remove", 1);
    let lines = log.take();
    assert!(lines.iter().filter(|line| line.text.contains("[2J")).count() >= 5, "{lines:?}");
    for line in lines {
        assert!(!line.text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        assert!(!line.text.contains("secret"), "{line:?}");
    }
}

/// Typed one field too early, a password comes as a name.
#[test]
fn a_name_that_nobody_has_is_not_written_into_the_log() {
    let log = Log::of_this_process();
    let site = Site::new(|_| {});
    let mut client = site.connect();
    client.reply(220);
    log.take();
    client.command("USER opensesame", 331);
    client.command("PASS x", 530);
    client.command("USER somebody", 331);
    client.command("PASS x", 530);
    log.wait_for("login failed", 2);
    let failed = log.take();
    let told = |text: &str| failed.iter().filter(|line| line.text.contains(text)).count();
    assert_eq!((told("opensesame"), told("user=(no such account)"), told("user=somebody")), (0, 1, 1), "{failed:?}");
}

/// Else nobody could tell a user why an upload does not work, nor see a disk that has become read-only.
#[test]
fn what_is_refused_is_told_to_the_operator_and_does_not_fill_the_log() {
    let log = Log::of_this_process();
    let site = Site::new(|_| {});
    log.take();
    let mut client = site.login();
    assert!(log.wait_for("message=login ", 1)[0].text.contains("tls=none"));
    let mut refused = |command: &str, code: u16, what: &str, why: &str| {
        log.take();
        client.command("TYPE I", 200);
        client.command("EPSV", 229);
        client.command(command, code);
        let line = log.wait_for(what, 1).remove(0).text;
        assert!(line.contains("user=user") && line.contains(why), "{command}: {line}");
    };
    std::fs::create_dir(site.dir.path().join("d")).unwrap();
    refused("RETR none", 550, "download refused", "path=/none error=No such file");
    refused("STOR d", 550, "upload refused", "path=/d error=Is a directory");
    refused("STOR no/where", 550, "upload refused", "error=No such file");
    refused("SITE SYMLINK a b", 550, "not allowed to this account", "verb=SITE about=SYMLINK \"a\" \"b\"");
    for _ in 0..100 {
        client.command("EPSV", 229);
        client.command("RETR none", 550);
    }
    let told = log.take().into_iter().filter(|line| line.text.contains("unwritten=")).count();
    assert!(told <= 10, "{told}");
}

/// All that is logged, every value as it is.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

#[derive(Clone, Debug)]
struct Line {
    at: Instant,
    text: String,
}

impl Log {
    fn of_this_process() -> Log {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Log::default();
            tracing::subscriber::set_global_default(log.clone()).unwrap();
            log
        })
        .clone()
    }

    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Waits for so many lines with this text, and leaves them there.
    fn wait_for(&self, text: &str, count: usize) -> Vec<Line> {
        let until = Instant::now() + PATIENCE;
        loop {
            let found: Vec<Line> = self.0.lock().unwrap().iter().filter(|l| l.text.contains(text)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < until, "{} of {count} lines of {text:?}", found.len());
            std::thread::yield_now();
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("port21")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { at: Instant::now(), text: String::new() };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text.push_str(&format!("{}={value:?} ", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text.push_str(&format!("{}={value} ", field.name()));
    }
}
