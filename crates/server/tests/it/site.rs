//! A server on loopback with a directory of its own, and a client that speaks raw lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use port21_proto::SessionEvent;
use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::server::{LoginError, SessionSettings, UploadEof};
use port21_proto::verb::{Permission, Permissions};
use port21_server::account::Rates;
use port21_server::account::password::{Cost, PasswordHash};
use port21_server::account::records::{ByRecord, Found, Record, Records};
use port21_server::storage::BoxFuture;
use port21_server::storage::{CommitMode, LocalFs, LocalSettings, UploadPolicy};
use port21_server::tls::TlsSettings;
use port21_server::{
    Account, Activity, Attempt, Authenticator, Deed, EventSink, FirstOf, Listen, Server, ServerHandle, Settings,
    Storage, TlsMode,
};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};

/// Nothing in a test takes as long as this unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until this is dropped.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    dir: TempDir,
    events: Mutex<Receiver<SessionEvent>>,
    activities: Mutex<Receiver<Activity>>,
    pub(crate) handle: ServerHandle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// With settings that a test can do with: any passive port, and no waiting for the disk.
    pub(crate) fn new() -> Site {
        Site::with(Site::settings())
    }

    pub(crate) fn settings() -> Settings {
        Settings {
            passive_ports: None,
            commit: port21_server::storage::CommitMode::Atomic,
            shutdown_grace: Duration::from_secs(5),
            ..Settings::default()
        }
    }

    pub(crate) fn with(settings: Settings) -> Site {
        Site::over(settings, |files| files)
    }

    /// With TLS at its one address.
    pub(crate) fn secure(
        mode: TlsMode,
        tls: TlsSettings,
        settings: Settings,
        wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>,
    ) -> Site {
        let place = Listen::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).with_tls(mode);
        Site::build(place, settings, Some(tls), wrap, Vec::new())
    }

    /// At the address of IPv6; nothing where there is none.
    pub(crate) fn over_ipv6() -> Option<Site> {
        let loopback = (Ipv6Addr::LOCALHOST, 0).into();
        TcpListener::bind(loopback).ok()?;
        Some(Site::at(loopback, Site::settings(), |files| files))
    }

    /// `wrap` may put something between the sessions and the files.
    pub(crate) fn over(settings: Settings, wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>) -> Site {
        Site::at((Ipv4Addr::LOCALHOST, 0).into(), settings, wrap)
    }

    fn at(addr: SocketAddr, settings: Settings, wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>) -> Site {
        Site::build(addr.into(), settings, None, wrap, Vec::new())
    }

    /// These are asked about whoever the site's own accounts do not let in.
    pub(crate) fn asking(others: Vec<Arc<dyn Authenticator>>, settings: Settings) -> Site {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Site::build(loopback.into(), settings, None, |files| files, others)
    }

    fn build(
        place: Listen,
        settings: Settings,
        tls: Option<TlsSettings>,
        wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>,
        others: Vec<Arc<dyn Authenticator>>,
    ) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        // Whoever comes again displaces what stalls: no test waits for that.
        let files =
            LocalSettings { owner: Some("user".into()), displace_after: Duration::ZERO, ..LocalSettings::default() };
        let storage = wrap(Arc::new(LocalFs::open(&root, files).unwrap()));
        // A server whose first site has a name has a second one, with the directory `second`.
        let second = (!settings.names.is_empty()).then(|| {
            let root = dir.path().join("second");
            std::fs::create_dir(&root).unwrap();
            Arc::new(LocalFs::open(&root, LocalSettings::default()).unwrap()) as Arc<dyn Storage>
        });
        let (sink, events) = channel();
        let (done, activities) = channel();
        let (bound, is_bound) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let mut settings = settings;
                settings.session.anonymous = true;
                let own: Arc<dyn Authenticator> = Arc::new(Accounts(storage));
                let all = std::iter::once(own).chain(others).collect();
                let mut builder = Server::builder(Arc::new(FirstOf::new(all)));
                if let Some(storage) = second {
                    builder = builder.site(port21_server::Site {
                        names: vec!["second.example".into()],
                        session: SessionSettings { greeting: "The second site".into(), ..SessionSettings::default() },
                        authenticator: Arc::new(Accounts(storage)),
                    });
                }
                if let Some(tls) = tls {
                    builder = builder.tls(tls).unwrap();
                }
                let mut server = builder
                    .settings(settings)
                    .events(move |_| {
                        let sink = sink.clone();
                        Some(Arc::new(move |event| drop(sink.send(event))) as EventSink)
                    })
                    .activities(move |activity| drop(done.send(activity.clone())))
                    .build();
                let addr = server.listen(place).unwrap();
                bound.send((addr, server.handle())).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (addr, handle) = is_bound.recv().unwrap();
        let (events, activities) = (Mutex::new(events), Mutex::new(activities));
        Site { addr, dir, events, activities, handle, stop: Some(stop), thread: Some(thread) }
    }

    /// A file below the account's root.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    /// What the root is in.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    /// The names in the root, hidden ones too: what an upload leaves behind is among them. Not the empty file that marks
    /// an upload over a file which broke off.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("root")).unwrap().map(Result::unwrap);
        let is_mark = |name: &str| name.starts_with(".port21-over-") && self.read(name).is_empty();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.retain(|name| !is_mark(name));
        names.sort();
        names
    }

    /// A client that is connected.
    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.addr)
    }

    /// A client that is logged in and may do everything.
    pub(crate) fn login(&self) -> Raw {
        let mut raw = self.connect();
        raw.log_in();
        raw
    }

    /// The next thing that was done.
    pub(crate) fn next_deed(&self) -> Deed {
        self.activities.lock().unwrap().recv_timeout(PATIENCE).expect("nothing was done").deed
    }

    /// Waits for the next event that `wanted` says is it.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&EventKind) -> bool) -> SessionEvent {
        let events = self.events.lock().unwrap();
        loop {
            let event = events.recv_timeout(PATIENCE).expect("the event does not come");
            if wanted(&event.kind) {
                return event;
            }
        }
    }

    /// Waits until the server has closed a control connection.
    pub(crate) fn wait_for_the_end(&self) {
        self.wait_for(|kind| {
            matches!(kind, EventKind::Closed { connection: ConnectionId::CONTROL, by: End::Server, .. })
        });
    }

    /// Tells the server to stop, without waiting.
    pub(crate) fn shut_down(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has ended.
    pub(crate) fn join(&mut self) {
        self.shut_down();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}

/// One account that may do everything, under four names, and guests who may read.
///
/// Of `single` there is one session at a time; `scanner` hangs up when it likes; what `tailed` uploads is read by others
/// while it grows.
struct Accounts(Arc<dyn Storage>);

/// The login of `late`, which takes as long as the test wants.
pub(crate) struct Late {
    pub(crate) arrived: Semaphore,
    pub(crate) may_go_on: Semaphore,
}

pub(crate) static LATE: Late = Late { arrived: Semaphore::const_new(0), may_go_on: Semaphore::const_new(0) };

impl Authenticator for Accounts {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            let uploads = UploadPolicy {
                commit: None,
                commit_by_path: match attempt.user {
                    b"tailed" => vec![("/logs/**".parse().unwrap(), CommitMode::Direct)],
                    _ => Vec::new(),
                },
                eof: if attempt.user == b"scanner" { UploadEof::Lenient } else { UploadEof::Strict },
            };
            let slow = Rates { down: NonZeroU64::new(1_000_000), up: NonZeroU64::new(1_000_000) };
            let account = |permissions, anonymous| Account {
                anonymous,
                uploads: Arc::new(uploads.clone()),
                max_sessions: (attempt.user == b"single").then_some(1),
                rates: if attempt.user == b"slow" { slow } else { Rates::default() },
                ..Account::new(String::from_utf8_lossy(attempt.user), self.0.clone(), permissions)
            };
            match attempt.user {
                // Who has a certificate needs no password, and who has none, TLS.
                b"robot" => match attempt.tls.map(|peer| &peer.certificate) {
                    Some(Some(certificate)) if certificate.names == ["robot.example"] => {
                        Ok(account(Permissions::ALL, false))
                    }
                    Some(_) => Err(LoginError::Refused),
                    None => Err(LoginError::NeedsTls),
                },
                b"user" | b"single" | b"slow" | b"scanner" | b"tailed" if attempt.password.matches(b"secret") => {
                    Ok(account(Permissions::ALL, false))
                }
                b"admin" if attempt.password.matches(b"secret") => {
                    Ok(account(Permissions::ALL.with(Permission::Link).with(Permission::Who), false))
                }
                b"anonymous" => Ok(account(Permissions::READ_ONLY, true)),
                b"late" => {
                    LATE.arrived.add_permits(1);
                    let _ = LATE.may_go_on.acquire().await;
                    Ok(account(Permissions::ALL, false))
                }
                b"panic" => panic!("an authenticator that panics"),
                _ => Err(LoginError::Refused),
            }
        })
    }

    fn recognise<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        let by = ByRecord::new(Arc::new(Signed(self.0.clone())), Arc::default());
        Box::pin(async move { by.recognise(attempt).await })
    }
}

/// `signed`, whose certificate is enough.
struct Signed(Arc<dyn Storage>);

impl Records for Signed {
    fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>> {
        let record = (name == b"signed").then(|| Record {
            password: None,
            networks: Vec::new(),
            tls_required: true,
            certificates: vec!["san:robot.example".parse().unwrap()],
            certificate_alone: true,
            disabled: false,
        });
        let decoy = Arc::new(PasswordHash::decoy(Cost::default()));
        Box::pin(std::future::ready(Ok(Found { record: record.map(Arc::new), decoy })))
    }

    fn open<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Result<Account, LoginError>> {
        let account = Account::new("signed", self.0.clone(), Permissions::ALL);
        Box::pin(std::future::ready(Ok(account)))
    }
}

/// A client that sends what it is told and reads replies.
pub(crate) struct Raw {
    control: BufReader<TcpStream>,
}

impl Raw {
    /// Connects and reads the greeting.
    pub(crate) fn connect(addr: SocketAddr) -> Raw {
        let mut raw = Raw::silent(addr);
        raw.expect(220);
        raw
    }

    /// Connects and reads nothing.
    pub(crate) fn silent(addr: SocketAddr) -> Raw {
        Raw::over(TcpStream::connect(addr).unwrap())
    }

    /// Over a connection that stands.
    pub(crate) fn over(control: TcpStream) -> Raw {
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        control.set_nodelay(true).unwrap();
        Raw { control: BufReader::new(control) }
    }

    pub(crate) fn log_in(&mut self) {
        self.log_in_as("user");
    }

    pub(crate) fn log_in_as(&mut self, user: &str) {
        self.command(&format!("USER {user}"), 331);
        self.command("PASS secret", 230);
    }

    /// The connection, of which nothing was read ahead.
    pub(crate) fn into_socket(self) -> TcpStream {
        assert!(self.control.buffer().is_empty());
        self.control.into_inner()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.control.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.control.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// A reply: its code and all of its text.
    pub(crate) fn reply(&mut self) -> (u16, String) {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            self.control.read_until(b'\n', &mut line).expect("no reply");
            assert!(line.ends_with(b"\r\n"), "the connection ended: {:?}", String::from_utf8_lossy(&line));
            let line = String::from_utf8_lossy(&line).into_owned();
            text.push_str(&line);
            if text.is_char_boundary(4) && line.get(..3) == text.get(..3) && line.get(3..4) == Some(" ") {
                return (text[..3].parse().unwrap(), text);
            }
        }
    }

    /// Reads a reply that must have this code.
    #[track_caller]
    pub(crate) fn expect(&mut self, code: u16) -> String {
        let (got, text) = self.reply();
        assert_eq!(got, code, "{text}");
        text
    }

    #[track_caller]
    pub(crate) fn command(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n"));
        self.expect(code)
    }

    /// Reads to the end of the connection: whether it ended in order, and what came before.
    pub(crate) fn into_end(mut self) -> (bool, Vec<u8>) {
        let mut rest = Vec::new();
        let end = self.control.read_to_end(&mut rest);
        (end.is_ok(), rest)
    }

    /// Whether the server has sent anything that was not read yet.
    pub(crate) fn has_more(&mut self) -> bool {
        if !self.control.buffer().is_empty() {
            return true;
        }
        self.socket().set_nonblocking(true).unwrap();
        let more = self.socket().peek(&mut [0]).is_ok();
        self.socket().set_nonblocking(false).unwrap();
        more
    }

    /// Where to connect to: EPSV.
    pub(crate) fn epsv(&mut self) -> SocketAddr {
        let text = self.command("EPSV", 229);
        let port = port21_proto::addr::parse_epsv(text.trim_end().as_bytes()).unwrap();
        let ip: IpAddr = self.socket().peer_addr().unwrap().ip();
        (ip, port).into()
    }

    /// A data connection by EPSV.
    pub(crate) fn passive(&mut self) -> TcpStream {
        let data = TcpStream::connect(self.epsv()).unwrap();
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data
    }

    /// A listener that PORT has named to the server.
    pub(crate) fn active(&mut self) -> TcpListener {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(addr) = listener.local_addr().unwrap() else { panic!() };
        self.command(&format!("PORT {}", port21_proto::addr::write_port(addr)), 200);
        listener
    }

    /// What a command brings over a data connection.
    pub(crate) fn fetch(&mut self, line: &str) -> Vec<u8> {
        let mut data = self.passive();
        self.command(line, 150);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        drop(data);
        self.expect(226);
        bytes
    }

    /// Sends `bytes` for a command.
    pub(crate) fn store(&mut self, line: &str, bytes: &[u8]) {
        let mut data = self.passive();
        self.command(line, 150);
        data.write_all(bytes).unwrap();
        drop(data);
        self.expect(226);
    }
}

/// Bytes in which no part is like another.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}
