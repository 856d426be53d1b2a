//! Who may log in, and what that gives: accounts and the authenticators that find them.

use std::net::IpAddr;
use std::sync::Arc;

use port21_proto::server::{Grant, LoginError};
use port21_proto::verb::Permissions;
use port21_proto::{FtpPath, Secret};

use crate::storage::{BoxFuture, Storage};

/// What a login gives: a name, files, and what may be done with them.
#[derive(Clone)]
pub struct Account {
    /// The account's name, for logs and limits; not the e-mail address that an anonymous guest gave.
    pub name: String,
    /// The account's files.
    pub storage: Arc<dyn Storage>,
    /// The working directory to begin with.
    pub start: FtpPath,
    /// What may be done.
    pub permissions: Permissions,
    /// Whether everybody may be this one: the greeting of anonymous guests, and never a write by default.
    pub anonymous: bool,
    /// The most sessions at a time under this name; nothing: only the server's own limits.
    pub max_sessions: Option<usize>,
}

impl Account {
    /// What the session is told of the account.
    pub fn grant(&self) -> Grant {
        Grant { home: self.start.clone(), anonymous: self.anonymous, permissions: self.permissions }
    }
}

/// One try to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The name given with USER.
    pub user: &'a [u8],
    /// The password given with PASS.
    pub password: &'a Secret,
    /// Where the control connection comes from.
    pub peer: IpAddr,
}

/// Turns a login attempt into an account.
pub trait Authenticator: Send + Sync {
    /// The account of `attempt`. The answer for an unknown name and for a wrong password is one and takes one time.
    ///
    /// # Errors
    /// [`LoginError`].
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>>;
}
