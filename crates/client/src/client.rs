//! A session and its commands.

use std::net::SocketAddr;

use jiff::Timestamp;
use port21_proto::client::{Answer, DataMode, Features, LoginStep, Phase, Request};
use port21_proto::command::{Command, Site, Text};
use port21_proto::event::ConnectionId;
use port21_proto::listing::{Entry, EntryKind, Modified, Precision, parse_facts};
use port21_proto::path::{FtpPath, PathArg, PathError};
use port21_proto::reply::Reply;
use port21_proto::{Secret, Verb, stamp};

use crate::Form;
use crate::builder::{Builder, Credentials};
use crate::error::Error;
use crate::link::Link;
use crate::sink::Recorder;
use crate::url::Target;

/// How many changes of the working directory are remembered one by one.
const MAX_TRAIL: usize = 256;

/// A session with a server: one control connection, and one data connection at a time.
///
/// Paths are bytes, as the server has them; anything that is `AsRef<[u8]>` will do. A path with a CR, LF or NUL is
/// refused before a byte is sent. Unless it says otherwise a call fails with [`Error::Refused`] where the server says
/// no, and the session can be used further.
///
/// Cancel safety: the future of any call may be dropped. What it has sent is then still under way; the next call waits
/// for its end, or stops a transfer by ABOR, first. Where that does not bring the session in order, it is begun anew:
/// see [`Client::reconnect`].
pub struct Client {
    settings: Builder,
    pub(crate) link: Link,
    greeting: Reply,
    login: Login,
    trail: Trail,
    /// The session could not be brought in order: the next call begins it anew.
    lost: bool,
}

/// How the user has logged in: it is done again where the session is begun anew.
#[derive(Default)]
struct Login {
    done: bool,
    user: Option<Text>,
    password: Option<Secret>,
    account: Option<Secret>,
}

/// The way from the directory of the login to the working directory.
enum Trail {
    Steps(Vec<Command>),
    /// Too many to be remembered.
    Lost,
}

impl Client {
    /// Settings to begin a session with.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Connects and logs in to the server that the URL names, anonymously where it names no user. The URL's path is
    /// not used: see [`Target`].
    ///
    /// # Errors
    /// In the phases resolve, connect, greeting and login.
    pub async fn connect(url: &str) -> Result<Client, Error> {
        Client::builder().target(&Target::parse(url)?).open().await
    }

    pub(crate) async fn begin(settings: Builder) -> Result<Client, Error> {
        let recorder = Recorder::new(settings.sink.clone(), settings.clock);
        let (link, greeting) = Link::open(&settings, recorder, ConnectionId::CONTROL).await?;
        let greeting = reply(greeting)?;
        let (login, trail) = (Login::default(), Trail::Steps(Vec::new()));
        Ok(Client { settings, link, greeting, login, trail, lost: false })
    }

    /// Connects anew with the same settings, logs in as before and returns to the working directory. The old connection
    /// is closed, whatever it was doing.
    ///
    /// # Errors
    /// As [`Builder::open`], and where the working directory is not there any more.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        self.lost = true;
        let recorder = self.link.recorder().clone();
        let id = recorder.name();
        let (mut link, greeting) = Link::open(&self.settings, recorder, id).await?;
        if let (true, Some(user)) = (self.login.done, &self.login.user) {
            let mut step = login_step(link.run(Request::User(user.clone())).await?)?;
            if let (LoginStep::Password(_), Some(password)) = (&step, &self.login.password) {
                step = login_step(link.run(Request::Pass(password.clone())).await?)?;
            }
            if let (LoginStep::Account(_), Some(account)) = (&step, &self.login.account) {
                step = login_step(link.run(Request::Acct(account.clone())).await?)?;
            }
            if !matches!(step, LoginStep::Done(_)) {
                return Err(Error::Usage("the server asks for more than it did at the first login"));
            }
            let Trail::Steps(steps) = &self.trail else {
                return Err(Error::Usage("the way to the working directory is not known any more"));
            };
            for command in steps {
                link.run(Request::Command(command.clone(), None)).await?;
            }
        }
        self.greeting = reply(greeting)?;
        self.link = link;
        self.lost = false;
        Ok(())
    }

    /// The settings that the session was begun with, as they are now.
    pub fn settings(&self) -> &Builder {
        &self.settings
    }

    /// The server's greeting.
    pub fn greeting(&self) -> &Reply {
        &self.greeting
    }

    /// This side's address of the control connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.link.local()
    }

    /// The server's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.link.peer()
    }

    /// Whether the control connection still stands, as far as is known.
    pub fn is_connected(&self) -> bool {
        !self.lost && self.link.is_open()
    }

    /// Whether a user is logged in.
    pub fn is_logged_in(&self) -> bool {
        self.login.done
    }

    /// Logs in: USER, and PASS and ACCT where the server asks for them.
    ///
    /// # Errors
    /// [`Error::Refused`] in the phase login; another login may be tried. [`Error::Usage`] where the server asks for an
    /// account and the credentials have none.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<Reply, Error> {
        let mut step = self.user(&credentials.user).await?;
        if let LoginStep::Password(_) = step {
            step = self.password(&credentials.password).await?;
        }
        if let (LoginStep::Account(_), Some(account)) = (&step, &credentials.account) {
            step = self.account(account).await?;
        }
        match step {
            LoginStep::Done(reply) => Ok(reply),
            _ => Err(Error::Usage("the server asks for an account, and none was given")),
        }
    }

    /// The first step of a login by hand (USER): for a console, which asks its user for a password only when the server
    /// does.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn user(&mut self, name: impl AsRef<[u8]>) -> Result<LoginStep, Error> {
        let name = Text::new(name.as_ref())?;
        self.login = Login { user: Some(name.clone()), ..Login::default() };
        self.trail = Trail::Steps(Vec::new());
        self.log_in(Request::User(name)).await
    }

    /// The second step of a login by hand (PASS).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn password(&mut self, password: &Secret) -> Result<LoginStep, Error> {
        check(password.expose())?;
        self.login.password = Some(password.clone());
        self.log_in(Request::Pass(password.clone())).await
    }

    /// The third step of a login by hand (ACCT).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn account(&mut self, account: &Secret) -> Result<LoginStep, Error> {
        check(account.expose())?;
        self.login.account = Some(account.clone());
        self.log_in(Request::Acct(account.clone())).await
    }

    /// Changes the working directory (CWD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cwd(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        let reply = self.command(Command::Cwd(path.clone())).await?;
        self.trail.step(Command::Cwd(path));
        Ok(reply)
    }

    /// Changes to the directory above (CDUP).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cdup(&mut self) -> Result<Reply, Error> {
        let reply = self.command(Command::Cdup).await?;
        self.trail.step(Command::Cdup);
        Ok(reply)
    }

    /// The working directory (PWD).
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Protocol`] where the reply holds no path.
    pub async fn pwd(&mut self) -> Result<Vec<u8>, Error> {
        let reply = self.command(Command::Pwd).await?;
        FtpPath::unquote(reply.text()).ok_or_else(|| unreadable("a path", &reply))
    }

    /// Makes a directory (MKD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn mkdir(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        self.command(Command::Mkd(path)).await
    }

    /// Removes an empty directory (RMD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn rmdir(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        self.command(Command::Rmd(path)).await
    }

    /// Removes a file (DELE).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn remove(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        self.command(Command::Dele(path)).await
    }

    /// Gives a file or directory another name (RNFR, RNTO).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let from = self.path(from.as_ref()).await?;
        let to = self.path(to.as_ref()).await?;
        reply(self.run(Request::Rename(from, to)).await?)
    }

    /// How many bytes a transfer of the file would have, in the current form (SIZE, RFC 3659 section 4). The form is
    /// made the server's first.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn size(&mut self, path: impl AsRef<[u8]>) -> Result<u64, Error> {
        let path = self.path(path.as_ref()).await?;
        let reply = reply(self.run(Request::Command(Command::Size(path), Some(self.settings.form))).await?)?;
        let digits = std::str::from_utf8(reply.text().trim_ascii()).ok();
        digits.and_then(|d| d.parse().ok()).ok_or_else(|| unreadable("a size", &reply))
    }

    /// When the file was last changed (MDTM, RFC 3659 section 3).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn mtime(&mut self, path: impl AsRef<[u8]>) -> Result<Timestamp, Error> {
        let path = self.path(path.as_ref()).await?;
        let reply = self.command(Command::Mdtm(path)).await?;
        stamp::parse(reply.text()).ok_or_else(|| unreadable("a time", &reply))
    }

    /// Sets when the file was last changed (MFMT).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn set_mtime(&mut self, path: impl AsRef<[u8]>, at: Timestamp) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        self.command(Command::Mfmt(at, path)).await
    }

    /// Sets the permission bits of a file, 0 to 0o777 (SITE CHMOD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn chmod(&mut self, path: impl AsRef<[u8]>, mode: u32) -> Result<Reply, Error> {
        if mode > 0o777 {
            return Err(Error::Usage("a mode is 0 to 777 (octal)"));
        }
        let path = self.path(path.as_ref()).await?;
        self.command(Command::Site(Site::Chmod(mode, path))).await
    }

    /// What is known of one file or directory: by MLST where the server has it, else by SIZE and MDTM, which tell no
    /// more than these two, and that it is a file.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn stat(&mut self, path: impl AsRef<[u8]>) -> Result<Entry, Error> {
        let arg = self.path(path.as_ref()).await?;
        match self.command(Command::Mlst(Some(arg))).await {
            Ok(reply) => {
                // RFC 3659 section 7.2: the facts stand on the reply's second line, indented by a space.
                let line = reply.lines().get(1).map(|line| line.strip_prefix(b" ").unwrap_or(line));
                line.and_then(|line| parse_facts(line).ok()).ok_or_else(|| unreadable("facts", &reply))
            }
            Err(Error::Refused { reply, .. }) if matches!(reply.code().number(), 500 | 501 | 502 | 504) => {
                let mut entry = Entry::new(EntryKind::File, path.as_ref());
                let size = self.size(path.as_ref()).await;
                entry.size = size.as_ref().ok().copied();
                entry.modified = match self.mtime(path.as_ref()).await {
                    Ok(at) => Some(Modified { at, precision: Precision::Second, utc: true }),
                    Err(error) if size.is_err() => return Err(error),
                    Err(_) => None,
                };
                Ok(entry)
            }
            Err(error) => Err(error),
        }
    }

    /// What the server says it can (FEAT); asked once in a session. A server without FEAT gives none.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn features(&mut self) -> Result<&Features, Error> {
        if self.link.session().features().is_none() {
            self.run(Request::Probe).await?;
        }
        self.link.session().features().ok_or(Error::Closed { phase: Phase::Command })
    }

    /// Sets the form of the transfers that follow. TYPE is sent where the server does not have that form yet, and its
    /// reply given.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn set_form(&mut self, form: Form) -> Result<Option<Reply>, Error> {
        match self.run(Request::Form(form)).await? {
            Answer::Form(reply) => {
                self.settings.form = form;
                Ok(reply)
            }
            other => reply(other).map(Some),
        }
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
    /// events. For commands that move no data and change nothing that this type keeps in mind; others are refused with
    /// [`Error::Usage`].
    ///
    /// # Errors
    /// [`Error::Name`] for a CR, LF or NUL; never [`Error::Refused`].
    pub async fn quote(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let line = Text::new(line.as_ref().trim_ascii_start())?;
        let verb = line.as_bytes().split(|&b| b == b' ').next().unwrap_or_default();
        if verb.eq_ignore_ascii_case(b"AUTH") {
            return Err(Error::Usage("TLS cannot be begun by hand"));
        }
        if let Some(Verb::Retr | Verb::Stor | Verb::Stou | Verb::Appe | Verb::List | Verb::Nlst | Verb::Mlsd) =
            Verb::from_name(verb)
        {
            return Err(Error::Usage("a command that moves data cannot be sent by hand: use get, put or ls"));
        }
        reply(self.run(Request::Raw(line)).await?)
    }

    /// Keeps the session alive (NOOP).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn noop(&mut self) -> Result<Reply, Error> {
        self.command(Command::Noop).await
    }

    /// Ends the session (QUIT): waits for the server's farewell and for it to close, and closes. A server that closes
    /// without a farewell gives nothing. A transfer that was given up is stopped first.
    ///
    /// # Errors
    /// [`Error::Timeout`] where the server neither answers nor closes; the connection is closed all the same.
    pub async fn quit(mut self) -> Result<Option<Reply>, Error> {
        if self.lost || !self.link.is_in_order().await && self.link.abort().await.is_err() {
            return Ok(None);
        }
        match self.link.run(Request::Quit).await? {
            Answer::Ended(farewell) => Ok(farewell),
            other => reply(other).map(Some),
        }
    }

    /// Brings the session in order after a call that was given up: what is left of it is waited for or aborted, and a
    /// connection that was lost with it is made anew. Every call begins with this; a console calls it at ^C, so that the
    /// server does not wait for the next command.
    ///
    /// # Errors
    /// Those of [`Client::reconnect`].
    pub async fn ready(&mut self) -> Result<(), Error> {
        if !self.lost && !self.link.is_in_order().await {
            self.lost = self.link.abort().await.is_err();
        }
        if self.lost { self.reconnect().await } else { Ok(()) }
    }

    /// Stops a transfer.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        let stopped = self.link.abort().await;
        self.lost = stopped.is_err();
        stopped
    }

    /// A path that can be sent. Where it is not ASCII, and the server may be asked, it is told to take names in UTF-8.
    pub(crate) async fn path(&mut self, path: &[u8]) -> Result<PathArg, Error> {
        let path = PathArg::new(path)?;
        if !path.as_bytes().is_ascii() {
            self.probe().await?;
        }
        Ok(path)
    }

    /// Asks the server what it has, once, where that is wanted and a user is logged in.
    pub(crate) async fn probe(&mut self) -> Result<(), Error> {
        if self.settings.probe && self.login.done {
            self.features().await?;
        }
        Ok(())
    }

    async fn run(&mut self, request: Request) -> Result<Answer, Error> {
        self.ready().await?;
        self.link.run(request).await
    }

    async fn command(&mut self, command: Command) -> Result<Reply, Error> {
        reply(self.run(Request::Command(command, None)).await?)
    }

    async fn log_in(&mut self, request: Request) -> Result<LoginStep, Error> {
        let step = login_step(self.run(request).await?)?;
        self.login.done = matches!(step, LoginStep::Done(_));
        Ok(step)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Trail {
    fn step(&mut self, command: Command) {
        let Trail::Steps(steps) = self else { return };
        if matches!(&command, Command::Cwd(path) if path.as_bytes().starts_with(b"/")) {
            steps.clear();
        }
        if steps.len() < MAX_TRAIL {
            steps.push(command);
        } else {
            *self = Trail::Lost;
        }
    }
}

fn check(secret: &[u8]) -> Result<(), Error> {
    if secret.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) { Err(PathError::Forbidden.into()) } else { Ok(()) }
}

fn reply(answer: Answer) -> Result<Reply, Error> {
    match answer {
        Answer::Reply(reply) | Answer::Transferred(reply) => Ok(reply),
        _ => Err(Error::Usage("the call was answered by another")),
    }
}

fn login_step(answer: Answer) -> Result<LoginStep, Error> {
    match answer {
        Answer::Login(step) => Ok(step),
        _ => Err(Error::Usage("the call was answered by another")),
    }
}

fn unreadable(what: &str, reply: &Reply) -> Error {
    Error::Protocol {
        phase: Phase::Command,
        why: format!("no {what} in the reply {reply}", what = what.trim_start_matches("a ")),
    }
}
