//! A session and its commands.

use std::net::SocketAddr;

use jiff::Timestamp;
use port21_proto::Secret;
use port21_proto::client::{DataMode, Features, LoginStep, Phase};
use port21_proto::listing::Entry;
use port21_proto::reply::Reply;

use crate::Form;
use crate::builder::{Builder, Credentials};
use crate::error::Error;

/// A session with a server: one control connection, and one data connection at a time.
///
/// Paths are bytes, as the server has them; anything that is `AsRef<[u8]>` will do. A path with a CR, LF or NUL is
/// refused before a byte is sent. Unless it says otherwise a call fails with [`Error::Refused`] where the server says
/// no, and the session can be used further.
///
/// Cancel safety: the future of any call may be dropped. What it has sent is then still under way; the next call waits
/// for it, or aborts it, first.
pub struct Client {
    settings: Builder,
}

impl Client {
    /// Settings to begin a session with.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Connects and logs in to the server that the URL names, anonymously where it names no user. The URL's path is
    /// not used: see [`Target`](crate::Target).
    ///
    /// # Errors
    /// In the phases resolve, connect, greeting and login.
    pub async fn connect(url: &str) -> Result<Client, Error> {
        Client::builder().target(&crate::url::Target::parse(url)?).open().await
    }

    pub(crate) async fn begin(settings: Builder) -> Result<Client, Error> {
        drop(Client { settings });
        unfinished()
    }

    /// Connects anew with the same settings, logs in as before and returns to the working directory.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        unfinished()
    }

    /// The settings that the session was begun with.
    pub fn settings(&self) -> &Builder {
        &self.settings
    }

    /// The server's greeting.
    pub fn greeting(&self) -> &Reply {
        unimplemented!()
    }

    /// This side's address of the control connection.
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// The server's address.
    pub fn peer_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Whether the control connection still stands, as far as is known.
    pub fn is_connected(&self) -> bool {
        false
    }

    /// Whether a user is logged in.
    pub fn is_logged_in(&self) -> bool {
        false
    }

    /// Logs in: USER, and PASS and ACCT where the server asks for them.
    ///
    /// # Errors
    /// [`Error::Refused`] in the phase login; another login may be tried.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<Reply, Error> {
        let _ = credentials;
        unfinished()
    }

    /// The first step of a login by hand (USER): for a console, which asks its user for a password only when the server
    /// does.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn user(&mut self, name: impl AsRef<[u8]>) -> Result<LoginStep, Error> {
        let _ = name.as_ref();
        unfinished()
    }

    /// The second step of a login by hand (PASS).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn password(&mut self, password: &Secret) -> Result<LoginStep, Error> {
        let _ = password;
        unfinished()
    }

    /// The third step of a login by hand (ACCT).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn account(&mut self, account: &Secret) -> Result<LoginStep, Error> {
        let _ = account;
        unfinished()
    }

    /// Changes the working directory (CWD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cwd(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// Changes to the directory above (CDUP).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cdup(&mut self) -> Result<Reply, Error> {
        unfinished()
    }

    /// The working directory (PWD).
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Protocol`] where the reply holds no path.
    pub async fn pwd(&mut self) -> Result<Vec<u8>, Error> {
        unfinished()
    }

    /// Makes a directory (MKD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn mkdir(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// Removes an empty directory (RMD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn rmdir(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// Removes a file (DELE).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn remove(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// Gives a file or directory another name (RNFR, RNTO).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = (from.as_ref(), to.as_ref());
        unfinished()
    }

    /// How many bytes a transfer of the file would have, in the current form (SIZE, RFC 3659 section 4). The form is
    /// made the server's first.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn size(&mut self, path: impl AsRef<[u8]>) -> Result<u64, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// When the file was last changed (MDTM, RFC 3659 section 3).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn mtime(&mut self, path: impl AsRef<[u8]>) -> Result<Timestamp, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// Sets when the file was last changed (MFMT).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn set_mtime(&mut self, path: impl AsRef<[u8]>, at: Timestamp) -> Result<Reply, Error> {
        let _ = (path.as_ref(), at);
        unfinished()
    }

    /// Sets the permission bits of a file, 0 to 0o777 (SITE CHMOD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn chmod(&mut self, path: impl AsRef<[u8]>, mode: u32) -> Result<Reply, Error> {
        let _ = (path.as_ref(), mode);
        unfinished()
    }

    /// What is known of one file or directory: by MLST where the server has it, else by SIZE and MDTM, which tell no
    /// more than these two and that it is a file.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn stat(&mut self, path: impl AsRef<[u8]>) -> Result<Entry, Error> {
        let _ = path.as_ref();
        unfinished()
    }

    /// What the server says it can (FEAT); asked once in a session. A server without FEAT gives none.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn features(&mut self) -> Result<&Features, Error> {
        unfinished()
    }

    /// Sets the form of the transfers that follow. TYPE is sent where the server does not have that form yet, and its
    /// reply given.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn set_form(&mut self, form: Form) -> Result<Option<Reply>, Error> {
        let _ = form;
        unfinished()
    }

    /// The form of transfers.
    pub fn form(&self) -> Form {
        self.settings.form
    }

    /// Sets who opens the data connections that follow. Nothing is sent.
    pub fn set_mode(&mut self, mode: DataMode) {
        self.settings.mode = mode;
    }

    /// Who opens data connections.
    pub fn mode(&self) -> DataMode {
        self.settings.mode
    }

    /// Sends a line as it is, and gives the reply whatever it says. The line's secrets (PASS, ACCT) are masked in
    /// events. For commands that move no data; others are refused with [`Error::Usage`].
    ///
    /// # Errors
    /// [`Error::Name`] for a CR, LF or NUL; never [`Error::Refused`].
    pub async fn quote(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let _ = line.as_ref();
        unfinished()
    }

    /// Keeps the session alive (NOOP).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn noop(&mut self) -> Result<Reply, Error> {
        unfinished()
    }

    /// Ends the session (QUIT): waits for the server's farewell and for it to close, and closes. A server that closes
    /// without a farewell gives nothing.
    ///
    /// # Errors
    /// [`Error::Timeout`] where the server neither answers nor closes; the connection is closed all the same.
    pub async fn quit(self) -> Result<Option<Reply>, Error> {
        unfinished()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

pub(crate) fn unfinished<T>() -> Result<T, Error> {
    Err(Error::Closed { phase: Phase::Connect })
}
