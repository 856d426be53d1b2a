//! A driver for tests: it answers small operations at once from a fixed little tree, holds transfers until the test ends
//! them, and writes a transcript.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::line::{Line, LineDecoder};
use port21_proto::listing::{Entry, EntryKind, Modified, Precision};
use port21_proto::reply::Text;
use port21_proto::server::{
    Action, DataChannel, Described, DigestRequest, Digested, Direction, Grant, LoginError, OpId, Opened, Outcome,
    Output, Part, ServerSession, SessionSettings, SiteId, StorageError, TlsMode, TransferError, Transferred, UploadEof,
};
use port21_proto::verb::{Permission, Permissions, Verb};
use port21_proto::{FtpPath, Time};

/// What an interrupted upload to `/part` has left.
pub(crate) const PART: Part = Part { size: 500, identity: [7, 7] };

/// A session with its driver.
pub(crate) struct Bench {
    pub(crate) session: ServerSession,
    pub(crate) now: Time,
    /// `C: line`, `S: line`, and `* what the driver was asked for`.
    log: Vec<String>,
    /// Operations that the test has to end.
    pub(crate) held: BTreeMap<OpId, Action>,
    /// Whether also small operations are held.
    pub(crate) hold_all: bool,
    /// What the account was refused unseen.
    pub(crate) denied: Vec<(Verb, Vec<u8>)>,
    /// The wait that was given out last.
    pub(crate) until: Time,
    pub(crate) closed: bool,
    /// What was opened, offered or begun, and not let go of: files, listings, uploads, ports.
    pub(crate) kept: BTreeSet<OpId>,
    /// No upload that was begun so early may be given its name any more.
    spoilt: OpId,
    last_op: OpId,
    next_port: u16,
    replies: LineDecoder,
    /// The sites besides the one to begin with.
    pub(crate) sites: BTreeMap<Vec<u8>, (SiteId, Arc<SessionSettings>)>,
}

pub(crate) fn settings() -> SessionSettings {
    SessionSettings {
        greeting: "ANY-DOMAIN.COM FTP Service".into(),
        host: "ftp.any-domain.com".into(),
        anonymous: true,
        ..SessionSettings::default()
    }
}

impl Bench {
    /// A session with a client at 192.0.2.1.
    pub(crate) fn new() -> Bench {
        Bench::with(settings(), "192.0.2.1:1175".parse().unwrap())
    }

    pub(crate) fn with(settings: SessionSettings, peer: SocketAddr) -> Bench {
        Bench::under(TlsMode::Off, settings, peer)
    }

    pub(crate) fn under(tls: TlsMode, settings: SessionSettings, peer: SocketAddr) -> Bench {
        let now = Time::from_unix_secs(1_000_000);
        let mut bench = Bench {
            session: ServerSession::new(Arc::new(settings), tls, peer, now),
            now,
            log: Vec::new(),
            held: BTreeMap::new(),
            hold_all: false,
            denied: Vec::new(),
            until: Time::MAX,
            closed: false,
            kept: BTreeSet::new(),
            spoilt: OpId(0),
            last_op: OpId(0),
            next_port: 50_000,
            replies: LineDecoder::new(1 << 20),
            sites: BTreeMap::new(),
        };
        bench.drain();
        bench
    }

    /// A session in which `user` has logged in: `ftp` reads only, `root` may do all, and so may
    /// `scanner`, which is lenient about the end of uploads. The transcript begins behind it.
    pub(crate) fn logged_in(user: &str) -> Bench {
        let mut bench = Bench::new();
        bench.say(&format!("USER {user}\r\nPASS secret\r\n"));
        assert!(bench.take().iter().any(|line| line.starts_with("S: 230 ")));
        bench
    }

    /// Sends bytes as one segment; each of their lines goes into the transcript.
    pub(crate) fn say(&mut self, text: &str) {
        for line in text.lines() {
            if line == "ABOR" {
                self.spoilt = self.last_op;
            }
            self.log.push(format!("C: {line}"));
        }
        self.feed(text.as_bytes());
    }

    /// Sends bytes without a note of them, as long as the session takes some.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            let taken = self.session.handle_input(self.now, bytes);
            let waits = !self.session.takes_input();
            self.drain();
            bytes = &bytes[taken..];
            if bytes.is_empty() || self.closed || !self.session.takes_input() {
                return;
            }
            assert!(waits, "took {taken} and left {}", bytes.len());
        }
    }

    pub(crate) fn eof(&mut self) {
        self.log.push("C: EOF".into());
        self.spoilt = self.last_op;
        self.session.handle_eof(self.now);
        self.drain();
    }

    /// Lets time pass to the session's deadline if it is within `by`.
    pub(crate) fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while self.until <= end && !self.closed {
            self.now = self.until;
            self.session.handle_timeout(self.now);
            self.drain();
            assert!(self.until > self.now, "a deadline that does not move");
        }
        self.now = end;
    }

    /// Ends a held operation.
    pub(crate) fn answer(&mut self, op: OpId, outcome: Outcome) {
        let action = self.held.remove(&op).expect("an operation that is held");
        self.end(op, &action, outcome);
        self.drain();
    }

    /// The only held operation.
    pub(crate) fn only(&self) -> OpId {
        assert_eq!(self.held.len(), 1, "{:?}", self.held);
        *self.held.keys().next().unwrap()
    }

    /// Ends the only held transfer well, with so many bytes.
    pub(crate) fn complete(&mut self, bytes: u64) {
        let op = self.only();
        self.answer(op, Outcome::Transferred(Transferred { bytes, result: Ok(()), digest: None }));
    }

    /// Ends the only held transfer.
    pub(crate) fn fail(&mut self, error: TransferError) {
        let op = self.only();
        self.answer(op, Outcome::Transferred(Transferred { bytes: 7, result: Err(error), digest: None }));
    }

    /// The transcript since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Says one line and gives the codes of the replies.
    pub(crate) fn codes(&mut self, line: &str) -> Vec<u16> {
        self.take();
        self.say(&format!("{line}\r\n"));
        self.reply_codes()
    }

    /// The codes of all replies since the last look, one a reply.
    pub(crate) fn reply_codes(&mut self) -> Vec<u16> {
        let log = self.take();
        log.iter()
            .filter_map(|line| line.strip_prefix("S: "))
            .filter(|line| line.as_bytes().get(3) == Some(&b' '))
            .filter_map(|line| line.get(..3)?.parse().ok())
            .collect()
    }

    /// Reads what the session sends as a client does: Telnet answers are no part of any line.
    fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (read, line) = self.replies.feed(bytes);
            if let Some(Line::Whole(line) | Line::Overlong(line)) = line {
                self.log.push(format!("S: {}", String::from_utf8_lossy(line)));
            }
            bytes = &bytes[read..];
        }
        assert!(!self.replies.has_partial(), "a line without its end");
    }

    /// Tells the session an outcome, and keeps what it has brought.
    fn end(&mut self, op: OpId, action: &Action, outcome: Outcome) {
        match (&outcome, action) {
            (Outcome::Opened(Ok(_)) | Outcome::Created(Ok(_)) | Outcome::Listening(Ok(_)), _) => {
                self.kept.insert(op);
            }
            (_, Action::Transfer { job, direction: Direction::Down, .. }) => {
                self.kept.remove(job);
            }
            (Outcome::Done(Ok(())), Action::Commit(job)) => {
                self.kept.remove(job);
            }
            _ => {}
        }
        self.session.handle_outcome(self.now, op, outcome);
    }

    /// What must be so of everything that a session asks for.
    fn check(&mut self, op: OpId, action: &Action) {
        assert!(!self.closed, "{action:?} after the end");
        assert!(op > self.last_op, "an operation's name is used again");
        self.last_op = op;
        match action {
            Action::Transfer { job, data, .. } => {
                assert!(self.kept.contains(job), "{action:?} of what is not open");
                if let DataChannel::Passive(port) = data {
                    assert!(self.kept.remove(port), "{action:?} on a port that is not open");
                }
            }
            Action::Sync { job, .. } => assert!(self.kept.contains(job), "{action:?} of what is not open"),
            Action::Commit(job) => {
                assert!(self.kept.contains(job), "{action:?} of what is not open");
                assert!(*job > self.spoilt, "{action:?} of an upload that was aborted or lost its client");
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output() {
                Output::Send(bytes) => {
                    assert!(!bytes.is_empty(), "nothing to send");
                    self.receive(&bytes);
                }
                Output::Do(op, action) => {
                    self.check(op, &action);
                    match self.outcome(&action) {
                        Some(outcome) if !self.hold_all => self.end(op, &action, outcome),
                        _ => {
                            self.log.push(format!("* {}", describe(&action)));
                            assert!(self.held.insert(op, action).is_none());
                        }
                    }
                }
                Output::Cancel(op) => {
                    self.log.push(format!("* cancel {}", self.held.get(&op).map_or("-".into(), describe)))
                }
                Output::Release(op) => {
                    self.kept.remove(&op);
                    self.log.push("* release".into());
                }
                Output::Denied(verb, about) => self.denied.push((verb, about)),
                Output::LoggedOut => self.log.push("* logged out".into()),
                Output::Close => {
                    assert!(!self.closed, "closed twice");
                    self.closed = true;
                    self.log.push("* close".into());
                }
                Output::Event(_) => {}
                Output::Wait(until) => {
                    self.until = until;
                    return;
                }
            }
        }
    }

    /// What a small file system with `/readme.txt` (1715 bytes) and `/pub` says; nothing where the test decides.
    fn outcome(&mut self, action: &Action) -> Option<Outcome> {
        Some(match action {
            Action::Authenticate { user, password, .. } => Outcome::Login(match user.as_slice() {
                b"ftp" | b"anonymous" => Ok(grant(true, Permissions::READ_ONLY)),
                b"root" if password.matches(b"secret") => Ok(grant(false, Permissions::ALL)),
                b"scanner" => Ok(Grant { upload_eof: UploadEof::Lenient, ..grant(false, Permissions::ALL) }),
                b"admin" if password.matches(b"secret") => {
                    Ok(grant(false, Permissions::ALL.with(Permission::Link).with(Permission::Who)))
                }
                _ => Err(LoginError::Refused),
            }),
            Action::Recognise { user, .. } => Outcome::Login(match user.as_slice() {
                b"robot" => Ok(grant(false, Permissions::ALL)),
                _ => Err(LoginError::Refused),
            }),
            Action::Listen { .. } => {
                self.next_port += 1;
                Outcome::Listening(Ok(SocketAddr::new([192, 0, 2, 21].into(), self.next_port)))
            }
            Action::Open { path, .. } => Outcome::Opened(known(path).map(|entry| Opened { size: entry.size })),
            Action::List(request) => Outcome::Opened(known(&request.path).map(|_| Opened::default())),
            Action::Create { path, .. } => Outcome::Created(Ok(path.clone())),
            // Of `/part` there is what an interrupted upload has left.
            Action::Facts(path) | Action::Size { path, .. } if path.as_bytes() == b"/part" => Outcome::Part(PART),
            Action::Stat(path) | Action::Named(path) | Action::Facts(path) => Outcome::Entry(known(path).map(Box::new)),
            Action::Size { path, .. } => {
                Outcome::Size(known(path).and_then(|e| e.size.ok_or(StorageError::NotARegularFile)))
            }
            Action::Enter(path) => Outcome::Done(
                known(path).and_then(|e| if e.is_directory() { Ok(()) } else { Err(StorageError::NotADirectory) }),
            ),
            Action::Describe(request) => Outcome::Described(known(&request.path).map(|e| Described {
                is_directory: e.is_directory() && request.pattern.is_none(),
                lines: vec![format!("226 {}", String::from_utf8_lossy(&e.name)).into_bytes().into()],
            })),
            Action::RemoveFile(path) | Action::RemoveDirectory(path) => Outcome::Done(known(path).map(|_| ())),
            Action::Rename { .. } | Action::MakeDirectory(_) | Action::Link { .. } => Outcome::Done(Ok(())),
            Action::SetFacts(path, _) | Action::RemoveTree(path) => Outcome::Done(known(path).map(|_| ())),
            Action::Combine { parts, .. } => Outcome::Done(parts.iter().try_for_each(|part| known(part).map(|_| ()))),
            Action::TreeSize(path) => Outcome::Size(known(path).map(|_| 1715)),
            Action::Available(path) => Outcome::Size(known(path).map(|_| 1 << 40)),
            Action::Digest(request) => Outcome::Digest(digested(request)),
            Action::Who { everybody } => {
                let others = everybody.then(|| Text::from("ann from 192.0.2.9".as_bytes()));
                Outcome::Text(Ok(std::iter::once("root from 192.0.2.1".as_bytes().into()).chain(others).collect()))
            }
            Action::FindSite(name) => Outcome::Site(self.sites.get(name.to_ascii_lowercase().as_slice()).cloned()),
            _ => return None,
        })
    }
}

fn grant(anonymous: bool, permissions: Permissions) -> Grant {
    Grant { home: FtpPath::root(), anonymous, permissions, upload_eof: UploadEof::Strict }
}

fn known(path: &FtpPath) -> Result<Entry, StorageError> {
    let mut entry = match path.as_bytes() {
        b"/readme.txt" => Entry::new(EntryKind::File, "readme.txt"),
        b"/" | b"/pub" => return Ok(Entry::new(EntryKind::Directory, path.file_name().unwrap_or(b"/"))),
        _ => return Err(StorageError::NotFound),
    };
    entry.size = Some(1715);
    entry.modified =
        Some(Modified { at: "2005-05-02T21:07:00Z".parse().unwrap(), precision: Precision::Second, utc: true });
    Ok(entry)
}

/// A digest of as many bytes as it has: the algorithm is told by their number.
fn digested(request: &DigestRequest) -> Result<Digested, StorageError> {
    let entry = known(&request.path)?;
    let size = entry.size.ok_or(StorageError::IsADirectory)?;
    if request.from > size {
        return Err(StorageError::BadOffset);
    }
    let to = request.to.unwrap_or(size).min(size);
    if request.most.is_some_and(|most| to - request.from > most) {
        return Err(StorageError::TooLarge);
    }
    let length = match request.algorithm.name() {
        "SHA-512" => 64,
        "SHA-256" => 32,
        "SHA-1" => 20,
        "MD5" => 16,
        _ => 4,
    };
    Ok(Digested { from: request.from, to, digest: vec![0xa5; length] })
}

fn describe(action: &Action) -> String {
    match action {
        Action::Authenticate { .. } => "authenticate".into(),
        Action::Recognise { .. } => "recognise".into(),
        Action::Open { path, from, to: Some(to), .. } => format!("open {path} from {from} to {to}"),
        Action::Open { path, from, .. } => format!("open {path} from {from}"),
        Action::Create { path, placement, .. } => format!("create {path} {placement:?}"),
        Action::List(request) => format!("list {}", request.path),
        Action::Transfer { direction, .. } => format!("transfer {direction:?}"),
        Action::StartTls { .. } => "start TLS".into(),
        Action::StopTls => "stop TLS".into(),
        Action::Sync { .. } => "sync".into(),
        Action::Commit(_) => "commit".into(),
        other => format!("{other:?}"),
    }
}
