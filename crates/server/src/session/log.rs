//! What an operator reads about a session: who came, what was done, how it ended.
//!
//! Bytes that a client chose are shown with their controls escaped: no line of a log can be forged.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use port21_proto::FtpPath;
use port21_proto::server::{Action, Form, LoginError, StorageError, TlsError, TransferError};
use port21_proto::text::Shown;
use tracing::{debug, info, warn};

use crate::account::Account;
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
    storage: Option<Arc<dyn Storage>>,
    /// An upload whose bytes are there, but which has no name yet.
    upload: Option<Carried>,
}

/// A transfer of a file that has ended.
pub(super) struct Carried {
    pub(super) direction: Direction,
    pub(super) path: FtpPath,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) form: Form,
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
        debug!(session = self.session, peer = %self.peer, tls = description, "secured");
    }

    pub(crate) fn not_secured(&self, error: &TlsError) {
        let (session, peer) = (self.session, self.peer);
        match self.shared.registry.throttles.tls.pass() {
            Some(unwritten) => warn!(session, %peer, %error, unwritten, "TLS failed"),
            None => debug!(session, %peer, %error, "TLS failed"),
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

    /// The operator has ended the session.
    pub(crate) fn kicked(&self) {
        self.shared.registry.refused(Refusal::Kicked);
        warn!(session = self.session, peer = %self.peer, user = %self.user(), "ended by the operator");
    }

    /// The name and kind of the account that the login gave, or why it gave none.
    pub(super) fn login(&self, user: &[u8], account: Result<&Account, &LoginError>) {
        let shown = Shown(user);
        let result = match account {
            Ok(account) => {
                let name: Arc<str> = account.name.as_str().into();
                self.shared.registry.login(self.session, name.clone(), account.anonymous);
                {
                    let mut state = self.lock();
                    (state.account, state.anonymous) = (Some(name), account.anonymous);
                    state.storage = Some(account.storage.clone());
                }
                let account = Shown(account.name.as_bytes());
                info!(session = self.session, peer = %self.peer, user = %shown, %account, "login");
                Ok(())
            }
            Err(error) => {
                if *error == LoginError::TooMany {
                    self.shared.registry.refused(Refusal::Account);
                }
                self.shared.registry.login_failed(self.session);
                {
                    let mut state = self.lock();
                    (state.account, state.anonymous, state.storage) = (None, false, None);
                }
                warn!(session = self.session, peer = %self.peer, user = %shown, %error, "login failed");
                Err(error.clone())
            }
        };
        self.did(|| Deed::Login { user: user.to_vec(), result });
    }

    /// A transfer has ended, one way or the other. A file that was received is there only once it was stored.
    pub(super) fn transfer(&self, carried: Carried, result: &Result<(), TransferError>) {
        let (session, peer, user, seconds) = (self.session, self.peer, self.user(), carried.took.as_secs_f64());
        let (what, path, bytes) = (carried.direction.name(), &carried.path, carried.bytes);
        match result {
            Ok(()) => info!(session, %peer, %user, %path, bytes, seconds, "{what}"),
            Err(error) => warn!(session, %peer, %user, %path, bytes, seconds, %error, "{what} broke off"),
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
                warn!(session = self.session, peer = %self.peer, user = %self.user(), %path, %error, "not stored");
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
        let (account, anonymous) = {
            let state = self.lock();
            (state.account.clone().unwrap_or_default(), state.anonymous)
        };
        let (at, session, peer) = (self.shared.clock.now(), self.session, self.peer);
        sink(&Activity { at, session, peer, account, anonymous, deed: deed() });
    }

    /// Something was changed, or not.
    pub(super) fn changed(&self, action: &Action, result: &Result<(), StorageError>) {
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
        info!(session = self.session, peer = %self.peer, user = %self.user(), %path, result = outcome(result), "{what}");
    }

    /// A file was removed: by itself, with its tree, or as a part of what is one file now.
    pub(super) fn removed(&self, path: &FtpPath) {
        self.did(|| Deed::Removed { path: path.clone(), file: self.file(path) });
    }

    /// A part that is in another file now could not be removed.
    pub(super) fn stayed(&self, path: &FtpPath, error: &StorageError) {
        let (session, peer, user) = (self.session, self.peer, self.user());
        warn!(session, %peer, %user, %path, %error, "combined, and could not be removed: it is there twice now");
    }

    fn deed(&self, carried: Carried, whole: bool) -> Deed {
        let Carried { direction, path, bytes, took, form } = carried;
        Deed::Transferred { direction, file: self.file(&path), path, bytes, took, form, whole }
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

fn outcome(result: &Result<(), StorageError>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "done".into())
}
