//! What an operator reads about a session: who came, what was done, how it ended.
//!
//! Bytes that a client chose are shown with their controls escaped: no line of a log can be forged.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use port21_proto::FtpPath;
use port21_proto::server::{Action, LoginError, StorageError, TransferError};
use port21_proto::text::Shown;
use tracing::{debug, info, warn};

/// Writes the log of one session.
#[derive(Debug)]
pub(crate) struct Log {
    session: u64,
    peer: SocketAddr,
    /// The account's name, once somebody is logged in.
    user: Mutex<String>,
}

impl Log {
    pub(crate) fn new(session: u64, peer: SocketAddr) -> Log {
        Log { session, peer, user: Mutex::default() }
    }

    pub(crate) fn connected(&self) {
        debug!(session = self.session, peer = %self.peer, "connected");
    }

    pub(crate) fn disconnected(&self) {
        debug!(session = self.session, peer = %self.peer, "disconnected");
    }

    /// A connection that had not logged in was closed for another one.
    pub(crate) fn turned_out(&self) {
        warn!(session = self.session, peer = %self.peer, "closed before its login, to make room for another connection");
    }

    /// `account`: the name of the account that the login gave.
    pub(super) fn login(&self, user: &[u8], account: Result<&str, &LoginError>) {
        let user = Shown(user);
        match account {
            Ok(account) => {
                *self.user.lock().unwrap_or_else(PoisonError::into_inner) = account.to_owned();
                info!(session = self.session, peer = %self.peer, %user, account = %Shown(account.as_bytes()), "login");
            }
            Err(error) => warn!(session = self.session, peer = %self.peer, %user, %error, "login failed"),
        }
    }

    /// A transfer has ended, one way or the other. A file that was received is there only once it was stored.
    pub(super) fn transfer(
        &self,
        what: &str,
        path: &FtpPath,
        bytes: u64,
        took: Duration,
        result: &Result<(), TransferError>,
    ) {
        let (session, peer, user, seconds) = (self.session, self.peer, self.user(), took.as_secs_f64());
        match result {
            Ok(()) => info!(session, %peer, %user, %path, bytes, seconds, "{what}"),
            Err(error) => warn!(session, %peer, %user, %path, bytes, seconds, %error, "{what} broke off"),
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
            Action::SetModified(path, _) => ("set time", path),
            Action::SetMode(path, _) => ("set permissions", path),
            _ => return,
        };
        info!(session = self.session, peer = %self.peer, user = %self.user(), %path, result = outcome(result), "{what}");
    }

    fn user(&self) -> String {
        let user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        Shown(user.as_bytes()).to_string()
    }
}

fn outcome(result: &Result<(), StorageError>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "done".into())
}
