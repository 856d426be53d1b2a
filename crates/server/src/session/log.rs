//! What an operator reads about a session: who came, what was done, how it ended.
//!
//! Bytes that a client chose are shown with their controls escaped: no line of a log can be forged.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use port21_proto::server::{Action, LoginError, Representation, StorageError, TlsError, TransferError};
use port21_proto::text::Shown;
use port21_proto::verb::Verb;
use port21_proto::{FtpPath, Secret};
use tracing::{debug, info, warn};

use crate::account::Account;
use crate::account::guard::Tried;
use crate::account::standing::Why;
use crate::activity::{Activity, Deed, Direction};
use crate::shared::Shared;
use crate::status::Refusal;
use crate::storage::Storage;

/// Writes the log of one session, counts what it does, and tells its activities.
pub(crate) struct Log {
    session: u64,
    peer: SocketAddr,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Once somebody is logged in.
    account: Option<Arc<str>>,
    anonymous: bool,
    guest: Option<Arc<str>>,
    /// Where the last login was tried; nothing: the site to begin with.
    site: Option<Arc<str>>,
    storage: Option<Arc<dyn Storage>>,
    /// An upload whose bytes are there, but which has no name yet.
    upload: Option<Carried>,
    /// What the next failed login gives for a name is nobody's.
    is_nobody: bool,
    /// Version and cipher suite, while TLS is on the control connection.
    tls: Option<Arc<str>>,
}

/// The most characters of an e-mail address (RFC 5321, section 4.5.3.1.3, without its brackets).
const LONGEST_MAIL: usize = 254;

/// A transfer of a file that has ended.
pub(super) struct Carried {
    pub(super) direction: Direction,
    pub(super) path: FtpPath,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) representation: Representation,
}

impl Log {
    pub(crate) fn new(session: u64, peer: SocketAddr, shared: Arc<Shared>) -> Log {
        Log { session, peer, shared, state: Mutex::default() }
    }

    pub(crate) fn connected(&self) {
        debug!(session = self.session, peer = %self.peer, "connected");
    }

    /// TLS stands on the control connection.
    pub(crate) fn secured(&self, description: &str) {
        self.lock().tls = Some(description.into());
        debug!(session = self.session, peer = %self.peer, tls = description, "secured");
    }

    /// It has ended, and the control connection goes on in clear.
    pub(crate) fn cleared(&self) {
        self.lock().tls = None;
    }

    pub(crate) fn not_secured(&self, error: &TlsError) {
        let (session, peer) = (self.session, self.peer);
        match self.shared.registry.throttles.tls.pass() {
            Some(unwritten) => warn!(session, %peer, %error, unwritten, "TLS failed"),
            None => debug!(session, %peer, %error, "TLS failed"),
        }
    }

    /// A data connection was let in of which nothing shows that it is the client's.
    pub(super) fn not_resumed(&self) {
        self.shared.registry.not_resumed();
        let (session, peer, user) = (self.session, self.peer, self.user());
        let what = "a data connection was let in that does not resume the TLS session of its control connection";
        match self.shared.registry.throttles.not_resumed.pass() {
            Some(unwritten) => info!(session, %peer, %user, unwritten, "{what}"),
            None => debug!(session, %peer, %user, "{what}"),
        }
    }

    pub(crate) fn disconnected(&self) {
        self.upload_ends(false);
        debug!(session = self.session, peer = %self.peer, "disconnected");
    }

    /// A connection that had not logged in was closed for another one.
    pub(crate) fn turned_out(&self) {
        self.shared.registry.refused(Refusal::MadeRoom);
        let (session, peer) = (self.session, self.peer);
        let what = "closed before its login, to make room for another connection";
        match self.shared.registry.throttles.turned_out.pass() {
            Some(unwritten) => warn!(session, %peer, unwritten, "{what}"),
            None => debug!(session, %peer, "{what}"),
        }
    }

    /// The session ends for this reason: in words.
    pub(crate) fn called(&self, why: Why) -> &'static str {
        let (counted, text) = match why {
            Why::Kicked => (Refusal::Kicked, "ended by the operator"),
            Why::Revoked => (Refusal::Withdrawn, "ended: the account was removed or disabled, or takes another proof"),
            Why::Changed => (Refusal::Withdrawn, "ending behind what runs: the account was changed"),
        };
        self.shared.registry.refused(counted);
        warn!(session = self.session, peer = %self.peer, user = %self.user(), "{text}");
        text
    }

    /// The login that is told of next has failed, and nobody has its name: that may be a password, and is not written down.
    pub(super) fn has_tried_a_name_that_nobody_has(&self) {
        self.lock().is_nobody = true;
    }

    /// The name and kind of the account that the login gave, or why it gave none. `password` is looked at for a guest's
    /// alone.
    pub(super) fn login(
        &self,
        Tried { site, user }: Tried<'_>,
        password: Option<&Secret>,
        account: Result<&Account, &LoginError>,
    ) {
        let shown = Shown(user);
        self.lock().site = site.map(Arc::from);
        let result = match account {
            Ok(account) => {
                let name: Arc<str> = account.name.as_str().into();
                self.shared.registry.login(self.session, name.clone(), account.anonymous);
                {
                    let mut state = self.lock();
                    (state.account, state.anonymous) = (Some(name), account.anonymous);
                    state.guest = password.filter(|_| account.anonymous).and_then(mail);
                    state.storage = Some(account.storage.clone());
                }
                let account = Shown(account.name.as_bytes());
                let tls = self.lock().tls.clone();
                let tls = tls.as_deref().unwrap_or("none");
                info!(session = self.session, peer = %self.peer, site, user = %shown, %account, tls, "login");
                Ok(())
            }
            Err(error) => {
                if *error == LoginError::TooMany {
                    self.shared.registry.refused(Refusal::Account);
                }
                self.shared.registry.login_failed(self.session);
                let is_nobody = {
                    let mut state = self.lock();
                    (state.account, state.anonymous, state.guest, state.storage) = (None, false, None, None);
                    std::mem::take(&mut state.is_nobody)
                };
                let user = match error {
                    // It may be a password all the same, and nobody could say whose name it is.
                    LoginError::Unavailable if is_nobody => "(not known)".into(),
                    _ if is_nobody => "(no such account)".into(),
                    _ => shown.to_string(),
                };
                warn!(session = self.session, peer = %self.peer, site, user, %error, "login failed");
                Err(error.clone())
            }
        };
        self.did(|| Deed::Login { user: user.to_vec(), result });
    }

    /// Who was logged in is not any more, and the client is still there.
    pub(super) fn logged_out(&self) {
        // What was not stored by now will not be, and was its user's.
        self.upload_ends(false);
        info!(session = self.session, peer = %self.peer, user = %self.user(), "logout");
        self.shared.registry.logged_out(self.session);
        let mut state = self.lock();
        *state = State { tls: state.tls.take(), ..State::default() };
    }

    /// The account may do no such thing anywhere.
    pub(super) fn denied(&self, verb: Verb, about: &[u8]) {
        let (session, peer, user, about) = (self.session, self.peer, self.user(), Shown(about));
        let what = "not allowed to this account";
        match self.shared.registry.throttles.denied.pass() {
            Some(unwritten) => info!(session, %peer, %user, %verb, %about, unwritten, "{what}"),
            None => debug!(session, %peer, %user, %verb, %about, "{what}"),
        }
    }

    /// A transfer was refused before its data connection was used: the client may know no more than that it was.
    pub(super) fn refused(&self, direction: Direction, path: &FtpPath, error: &StorageError) {
        let (session, peer, user, what) = (self.session, self.peer, self.user(), direction.name());
        let (throttles, cause) = (&self.shared.registry.throttles, error.detail());
        let of_the_disk = error.is_of_the_disk();
        let throttle = if of_the_disk { &throttles.disk } else { &throttles.denied };
        match throttle.pass() {
            Some(unwritten) if of_the_disk => {
                warn!(session, %peer, %user, %path, error = cause, unwritten, "{what} refused");
            }
            Some(unwritten) => info!(session, %peer, %user, %path, error = cause, unwritten, "{what} refused"),
            None => debug!(session, %peer, %user, %path, error = cause, "{what} refused"),
        }
    }

    /// A transfer has ended, one way or the other. A file that was received is there only once it was stored.
    pub(super) fn transfer(&self, carried: Carried, result: &Result<(), TransferError>) {
        let (session, peer, user, seconds) = (self.session, self.peer, self.user(), carried.took.as_secs_f64());
        let (what, path, bytes) = (carried.direction.name(), &carried.path, carried.bytes);
        match result {
            Ok(()) => info!(session, %peer, %user, %path, bytes, seconds, "{what}"),
            Err(error) => {
                warn!(session, %peer, %user, %path, bytes, seconds, error = error.detail(), "{what} broke off");
            }
        }
        // An upload that nobody has stored or refused since will not be stored any more.
        self.upload_ends(false);
        match (carried.direction, result) {
            (Direction::List, _) => {}
            (Direction::Up, Ok(())) => self.lock().upload = Some(carried),
            (_, result) => self.did(|| self.deed(carried, result.is_ok())),
        }
    }

    /// An upload was given its name, or not.
    pub(super) fn stored(&self, path: &FtpPath, result: &Result<(), StorageError>) {
        match result {
            Ok(()) => info!(session = self.session, peer = %self.peer, user = %self.user(), %path, "stored"),
            Err(error) => {
                let (session, peer, user) = (self.session, self.peer, self.user());
                warn!(session, %peer, %user, %path, error = error.detail(), "not stored");
            }
        }
        self.upload_ends(result.is_ok());
    }

    fn upload_ends(&self, whole: bool) {
        let upload = self.lock().upload.take();
        if let Some(upload) = upload {
            self.did(|| self.deed(upload, whole));
        }
    }

    /// Tells an activity, where somebody listens.
    fn did(&self, deed: impl FnOnce() -> Deed) {
        let Some(sink) = &self.shared.activities else { return };
        let deed = deed();
        let activity = {
            let (at, state) = (self.shared.clock.now(), self.lock());
            let account = state.account.clone().unwrap_or_default();
            let activity = Activity::new(at, self.session, self.peer, account, state.anonymous, deed);
            Activity { guest: state.guest.clone(), site: state.site.clone(), ..activity }
        };
        sink(&activity);
    }

    /// Something was changed, or not: for what is `at` this path, where that is another one.
    pub(super) fn changed(&self, action: &Action, at: Option<&FtpPath>, result: &Result<(), StorageError>) {
        if result.is_ok() {
            self.tell_change(action);
        }
        let (what, path) = match action {
            Action::Rename { from, to, .. } => {
                let (user, result) = (self.user(), outcome(result));
                info!(session = self.session, peer = %self.peer, %user, %from, %to, result, "rename");
                return;
            }
            Action::RemoveFile(path) => ("remove", path),
            Action::RemoveDirectory(path) => ("remove directory", path),
            Action::MakeDirectory(path) => ("make directory", path),
            Action::SetFacts(path, _) => ("set facts", path),
            Action::RemoveTree(path) => ("remove tree", path),
            Action::Combine { target, .. } => ("combine", target),
            Action::Link { link, .. } => ("make link", link),
            _ => return,
        };
        let (session, peer, user, at) = (self.session, self.peer, self.user(), at.map(tracing::field::display));
        info!(session, %peer, %user, %path, at, result = outcome(result), "{what}");
    }

    fn tell_change(&self, action: &Action) {
        match action {
            Action::Rename { from, to, .. } => {
                self.did(|| Deed::Renamed { from: from.clone(), path: to.clone(), file: self.file(to) });
            }
            Action::RemoveFile(path) => self.removed(path),
            Action::MakeDirectory(path) => {
                self.did(|| Deed::DirectoryMade { path: path.clone(), file: self.file(path) });
            }
            Action::RemoveDirectory(path) | Action::RemoveTree(path) => {
                self.did(|| Deed::DirectoryRemoved { path: path.clone(), file: self.file(path) });
            }
            _ => {}
        }
    }

    /// A file was removed: by itself, with its tree, or as a part of what is one file now.
    pub(super) fn removed(&self, path: &FtpPath) {
        self.did(|| Deed::Removed { path: path.clone(), file: self.file(path) });
    }

    /// A part that is in another file now could not be removed.
    pub(super) fn stayed(&self, path: &FtpPath, error: &StorageError) {
        let (session, peer, user) = (self.session, self.peer, self.user());
        warn!(session, %peer, %user, %path, error = error.detail(), "combined, and could not be removed: it is there twice now");
    }

    fn deed(&self, carried: Carried, whole: bool) -> Deed {
        let Carried { direction, path, bytes, took, representation } = carried;
        Deed::Transferred { direction, file: self.file(&path), path, bytes, took, representation, whole }
    }

    /// The file of this machine that a path of the account names.
    fn file(&self, path: &FtpPath) -> Option<PathBuf> {
        self.lock().storage.as_ref()?.local_path(path)
    }

    fn user(&self) -> String {
        self.lock().account.as_ref().map(|account| Shown(account.as_bytes()).to_string()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a guest gave for a password, as one visible word, if it may be an e-mail address. Anything else is nobody's
/// business: it may be a password that was meant for another server.
fn mail(password: &Secret) -> Option<Arc<str>> {
    let text = String::from_utf8_lossy(password.expose());
    let has_name = text.find('@').is_some_and(|at| at > 0);
    let visible = |c: char| if c.is_whitespace() || c.is_control() { '_' } else { c };
    has_name.then(|| text.chars().take(LONGEST_MAIL).map(visible).collect::<String>().into())
}

fn outcome(result: &Result<(), StorageError>) -> String {
    result.as_ref().map_or_else(StorageError::detail, |()| "done".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_guests_say_of_themselves() {
        let told = |text: &str| mail(&Secret::new(text)).map(|mail| mail.to_string());
        assert_eq!(told("ann@example.com").as_deref(), Some("ann@example.com"));
        assert_eq!(told("a b\t\u{1b}[2J@\u{85}x\u{a0}y").as_deref(), Some("a_b__[2J@_x_y"));
        assert_eq!(told(&format!("{}@x", "a".repeat(1000))).map(|mail| mail.len()), Some(LONGEST_MAIL));
        assert_eq!((told("hunter2"), told(""), told("@x")), (None, None, None));
    }
}
