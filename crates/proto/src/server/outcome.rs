//! How the outcome of a single operation is answered.

use std::borrow::Cow;
use std::net::SocketAddr;

use jiff::Timestamp;

use super::action::{Action, DataChannel, Described, Grant, Outcome, Told};
use super::error::{LoginError, StorageError};
use super::login::Login;
use super::session::ServerSession;
use super::wording::{self, say};
use crate::listing::{Changes, Entry, EntryKind, write_facts};
use crate::op::OpId;
use crate::parameters::{Algorithm, Protection};
use crate::path::{FtpPath, PathArg};
use crate::reply::{Code, Reply, Text};
use crate::time::Time;
use crate::verb::Verb;

/// What is done when the outcome of the one running operation comes. `name` is what the client wrote, for the reply.
#[derive(Debug)]
pub(super) enum Pending {
    /// PASS.
    Login { user: Vec<u8> },
    /// -> [`Outcome::Login`]
    Recognise { user: Vec<u8> },
    /// PASV, EPSV.
    Listen { extended: bool },
    /// AUTH, or the beginning of an implicit session: what holds for data connections afterwards.
    StartTls { since: Time, protection: Protection },
    /// CCC, REIN.
    StopTls { since: Time },
    /// CWD, CDUP.
    Enter { verb: Verb, path: FtpPath, name: Vec<u8> },
    /// MLST.
    Facts { path: FtpPath, name: Vec<u8> },
    /// SIZE, DSIZ, AVBL.
    Size { path: FtpPath, verb: Verb, name: Vec<u8> },
    /// MDTM; where there is no file of that name, perhaps a file whose time is to be set.
    Modified { name: Vec<u8>, set: Option<(FtpPath, Timestamp)> },
    /// HASH and its like.
    Digest { verb: Verb, algorithm: Algorithm, name: Vec<u8> },
    /// HOST.
    Site,
    /// SITE WHO.
    Who,
    /// RNFR.
    RenameFrom { path: FtpPath, name: Vec<u8> },
    /// STAT with a path.
    Describe { name: Vec<u8> },
    /// All that either succeed or do not: the reply to success.
    Done { verb: Verb, reply: Reply, name: Vec<u8> },
}

impl Pending {
    pub(super) fn done(verb: Verb, reply: Reply, arg: &PathArg) -> Pending {
        Pending::Done { verb, reply, name: arg.as_bytes().to_vec() }
    }

    /// The verb, where it may take long and ABOR therefore ends it.
    pub(super) fn long_verb(&self) -> Option<Verb> {
        match self {
            Pending::Size { verb, .. } | Pending::Digest { verb, .. } | Pending::Done { verb, .. } => Some(*verb),
            _ => None,
        }
        .filter(|verb| verb.is_long())
    }
}

impl ServerSession {
    pub(super) fn conclude(&mut self, now: Time, op: OpId, pending: Pending, outcome: Outcome) {
        let reply = match (pending, outcome) {
            (Pending::Login { user }, Outcome::Login(result)) => return self.logged_in(now, user, result),
            (Pending::Recognise { user }, Outcome::Login(result)) => self.recognised(user, result),
            (Pending::StartTls { protection, .. }, Outcome::Secured(result)) => {
                return self.secured(now, protection, result);
            }
            (Pending::StopTls { .. }, Outcome::Cleared(result)) => return self.cleared(result),
            (Pending::StartTls { .. } | Pending::StopTls { .. }, _) => return self.close(),
            (Pending::Listen { extended }, Outcome::Listening(Ok(addr))) => self.listening(op, extended, addr),
            (Pending::Listen { .. }, Outcome::Listening(Err(error))) => wording::data_error(&error),
            (Pending::Enter { verb, path, .. }, Outcome::Done(Ok(()))) => {
                self.cwd = path;
                wording::done(verb)
            }
            (Pending::Facts { path, .. }, Outcome::Entry(Ok(entry))) => {
                if let (EntryKind::File, Some(size)) = (&entry.kind, entry.size) {
                    self.sizes_told.tell(path.clone(), Told::File(size));
                }
                self.facts_reply(&path, *entry)
            }
            (Pending::Size { path, .. }, Outcome::Size(Ok(size))) => {
                self.sizes_told.tell(path, Told::File(size));
                say(213, size.to_string())
            }
            (Pending::Size { path, .. }, Outcome::Part(part)) => {
                self.sizes_told.tell(path, Told::Part(part));
                say(213, part.size.to_string())
            }
            (Pending::Facts { path, .. }, Outcome::Part(part)) => {
                // No time: of a part it tells nothing about the file that it may become.
                let entry = Entry { size: Some(part.size), ..Entry::new(EntryKind::File, path.as_bytes()) };
                self.sizes_told.tell(path.clone(), Told::Part(part));
                self.facts_reply(&path, entry)
            }
            (Pending::Modified { name, .. }, Outcome::Entry(Ok(entry))) => modified_reply(&entry, &name),
            (Pending::Modified { name, set: Some((path, at)) }, Outcome::Entry(Err(StorageError::NotFound))) => {
                let changes = Changes { modified: Some(at), mode: None };
                // The code that clients of those servers expect which had it first.
                let reply = say(253, "The time of the file was set.");
                let pending = Pending::Done { verb: Verb::Mdtm, reply, name };
                return self.start_single(Action::SetFacts(path, changes), pending);
            }
            (Pending::Digest { verb, algorithm, name }, Outcome::Digest(Ok(digested))) => {
                wording::digest(verb, algorithm, &digested, &name)
            }
            // draft-bryan-ftpext-hash-02 section 3.5.
            (Pending::Digest { verb: Verb::Hash, name, .. }, Outcome::Digest(Err(e @ StorageError::IsADirectory))) => {
                say(553, [name.as_slice(), b": ", e.to_string().as_bytes(), b"."].concat())
            }
            (Pending::Site, Outcome::Site(found)) => self.enter_site(found),
            (Pending::Who, Outcome::Text(Ok(lines))) => wording::who(lines),
            (Pending::RenameFrom { path, .. }, Outcome::Entry(Ok(_))) => {
                self.rename_from = Some(path);
                say(350, "Ready for RNTO.")
            }
            (Pending::Describe { name }, Outcome::Described(Ok(described))) => status_reply(&name, described),
            (Pending::Done { reply, .. }, Outcome::Done(Ok(()))) => reply,
            (_, Outcome::Refused { at, error }) => wording::storage_error(&error, at.as_bytes()),
            (pending, outcome) => match (failure(outcome), pending.long_verb()) {
                (StorageError::Cancelled, Some(verb)) => wording::aborted(verb),
                (error, _) => wording::storage_error(&error, pending.name()),
            },
        };
        self.reply(now, reply);
    }

    fn logged_in(&mut self, now: Time, user: Vec<u8>, result: Result<Grant, LoginError>) {
        match result {
            Ok(grant) => {
                self.cwd = grant.home.clone();
                let reply = wording::welcome(&self.settings, &user, grant.anonymous);
                self.login = Login::In { user, grant, by_certificate: false };
                self.reply(now, reply);
            }
            Err(LoginError::Refused) => {
                self.failed_logins += 1;
                if self.failed_logins >= self.settings.login_tries {
                    self.reply(now, say(421, "Login incorrect; too many failed logins, closing."));
                    self.close();
                } else {
                    self.reply(now, say(530, "Login incorrect."));
                }
            }
            // RFC 4217 section 10.1 leaves the code open. The password was right, so this is no failed try.
            Err(LoginError::NeedsTls) => self.reply(now, wording::needs_tls()),
            Err(error @ (LoginError::TooMany | LoginError::Unavailable)) => {
                self.reply(now, say(421, format!("Not now: {error}; try again later.")));
                self.close();
            }
            // Which of its authenticators a server has asked is nobody else's business.
            Err(LoginError::Undecided) => self.logged_in(now, user, Err(LoginError::Unavailable)),
        }
    }

    fn listening(&mut self, op: OpId, extended: bool, addr: SocketAddr) -> Reply {
        let reply = match (extended, addr) {
            (true, addr) => wording::extended_passive(addr.port()),
            (false, SocketAddr::V4(addr)) => wording::passive(addr),
            (false, SocketAddr::V6(_)) => {
                self.release(op);
                return wording::data_error(&super::error::DataError::Family);
            }
        };
        self.data = Some(DataChannel::Passive(op));
        reply
    }

    /// RFC 3659 section 7.2: the facts on a line of their own after one space, with the path that they are of.
    fn facts_reply(&self, path: &FtpPath, mut entry: Entry) -> Reply {
        entry.name = path.as_bytes().to_vec();
        let mut line = vec![b' '];
        write_facts(&mut line, &entry, self.facts);
        let first = [b"Listing ", path.as_bytes()].concat();
        let all: Vec<Text> = vec![Cow::Owned(first), Cow::Owned(line), Cow::Borrowed(b"End.")];
        Reply::with_lines(Code::known(250), all)
    }
}

impl Pending {
    fn name(&self) -> &[u8] {
        match self {
            Pending::Login { .. } | Pending::Listen { .. } | Pending::StartTls { .. } | Pending::StopTls { .. } => b"",
            Pending::Site | Pending::Who | Pending::Recognise { .. } => b"",
            Pending::Enter { name, .. }
            | Pending::Facts { name, .. }
            | Pending::Size { name, .. }
            | Pending::Modified { name, .. }
            | Pending::Digest { name, .. }
            | Pending::RenameFrom { name, .. }
            | Pending::Describe { name }
            | Pending::Done { name, .. } => name,
        }
    }
}

/// RFC 3659 section 3: only files have a time that can be relied on, but clients ask for directories too.
fn modified_reply(entry: &Entry, name: &[u8]) -> Reply {
    match entry.modified {
        Some(modified) => say(213, crate::stamp::write(modified.at)),
        None => wording::storage_error(&StorageError::Unsupported, name),
    }
}

/// RFC 959 section 4.1.3: STAT of a directory is its listing, over the control connection. Section 4.2.1 has 212 for the
/// status of a directory and 213 for that of a file, and so does proftpd; vsftpd and Pure-FTPd say 213 to both. Clients that
/// list by STAT (lftp, Cyberduck) take any 2yz and look for no code in it, so nothing speaks against what the RFC says.
fn status_reply(name: &[u8], Described { is_directory, lines }: Described) -> Reply {
    let first = if name.is_empty() {
        b"Status of the current directory:".to_vec()
    } else {
        [b"Status of ", name, b":"].concat()
    };
    let mut all: Vec<Text> = vec![Cow::Owned(first)];
    all.extend(lines);
    all.push(Cow::Borrowed(b"End of status."));
    Reply::with_lines(Code::known(if is_directory { 212 } else { 213 }), all)
}

/// The error of an outcome. A success of the wrong kind is a fault of the driver, told as a local error.
fn failure(outcome: Outcome) -> StorageError {
    match outcome {
        Outcome::Opened(Err(e))
        | Outcome::Created(Err(e))
        | Outcome::Entry(Err(e))
        | Outcome::Digest(Err(e))
        | Outcome::Size(Err(e))
        | Outcome::Described(Err(e))
        | Outcome::Text(Err(e))
        | Outcome::Done(Err(e)) => e,
        _ => StorageError::Io("an outcome of the wrong kind".into()),
    }
}
