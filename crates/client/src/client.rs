//! A session and its commands.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use port21_proto::client::{Answer, DataMode, Features, Phase, Request};
use port21_proto::command::{Command, Site, Text};
use port21_proto::event::ConnectionId;
use port21_proto::listing::{Entry, EntryKind, Modified, Precision, parse_facts};
use port21_proto::path::{FtpPath, PathArg};
use port21_proto::reply::Reply;
use port21_proto::{Verb, stamp};

use crate::Representation;
use crate::builder::{Buffers, Builder};
use crate::error::Error;
use crate::file::Habits;
use crate::link::{Known, Link};
use crate::login::Login;
use crate::order::Trail;
use crate::sink::Recorder;
use crate::url::Target;

/// A session with a server: one control connection, and one data connection at a time.
///
/// Paths are bytes, as the server has them; anything that is `AsRef<[u8]>` will do. A path with a CR, LF or NUL is
/// refused before a byte is sent. Unless it says otherwise a call fails with [`Error::Refused`] where the server says
/// no, and the session can be used further.
///
/// Cancel safety: the future of any call may be dropped. What it has sent is then still under way; the next call waits
/// for its end, or stops a transfer by ABOR, first. Where that does not bring the session in order, it is begun anew:
/// see [`Client::reconnect`]. What the dropped call was to do may have been done, or not. After a change of the working directory
/// the server is asked where that has led (PWD); a login is to be done again from its first step.
pub struct Client {
    pub(crate) settings: Builder,
    pub(crate) link: Link,
    pub(crate) greeting: Reply,
    pub(crate) login: Login,
    pub(crate) trail: Trail,
    /// It may not be any more what its settings make of a session: another login, TLS ended, anything sent by hand.
    pub(crate) altered: bool,
    /// The working directory is being changed. Where that is given up it is not known any more.
    pub(crate) walking: bool,
    /// The working directory is none that a call has led to: the next call begins the session anew.
    pub(crate) strays: bool,
    /// The session could not be brought in order: the next call begins it anew.
    pub(crate) lost: bool,
    pub(crate) habits: Habits,
    /// Another download follows the one that is begun next.
    pub(crate) more_follows: bool,
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

    pub(crate) async fn begin(
        settings: Builder,
        recorder: Recorder,
        id: ConnectionId,
        known: Known,
    ) -> Result<Client, Error> {
        let (link, greeting) = Link::open(&settings, recorder, id, known).await?;
        let greeting = reply(greeting)?;
        let (login, trail) = (Login::default(), Trail::default());
        Ok(Client {
            settings,
            link,
            greeting,
            login,
            trail,
            altered: false,
            walking: false,
            strays: false,
            lost: false,
            habits: Habits::default(),
            more_follows: false,
        })
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

    /// The shortest time from a command to its answer so far: about a round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.link.round_trip()
    }

    /// Whether the control connection still stands, as far as is known.
    pub fn is_connected(&self) -> bool {
        !self.lost && self.link.is_open()
    }

    /// Whether a user is logged in.
    pub fn is_logged_in(&self) -> bool {
        self.login.done
    }

    /// Changes the working directory (CWD).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cwd(&mut self, path: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let path = self.path(path.as_ref()).await?;
        self.walk(Command::Cwd(path)).await
    }

    /// Changes to the directory above (CDUP).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn cdup(&mut self) -> Result<Reply, Error> {
        self.walk(Command::Cdup).await
    }

    /// The working directory (PWD).
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Protocol`] where the reply holds no path.
    pub async fn pwd(&mut self) -> Result<Vec<u8>, Error> {
        let reply = self.command(Command::Pwd).await?;
        told_path(&reply).and_then(|path| self.decoded(&path)).ok_or_else(|| unreadable("path", &reply))
    }

    async fn walk(&mut self, command: Command) -> Result<Reply, Error> {
        self.ready().await?;
        self.walking = true;
        let result = self.run_ready(Request::Command(command.clone(), None)).await;
        self.walking = false;
        let reply = reply(result?)?;
        self.trail.step(command);
        Ok(reply)
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

    /// How many bytes a transfer of the file would have, in the current type (SIZE, RFC 3659 section 4). The type is
    /// made the server's first.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn size(&mut self, path: impl AsRef<[u8]>) -> Result<u64, Error> {
        let path = self.path(path.as_ref()).await?;
        self.size_of(path).await
    }

    /// As [`Client::size`], of a path as the server has it.
    pub(crate) async fn size_of(&mut self, path: PathArg) -> Result<u64, Error> {
        let reply = reply(self.run(Request::Command(Command::Size(path), Some(self.settings.representation))).await?)?;
        told_size(&reply)
    }

    /// When the file was last changed (MDTM, RFC 3659 section 3).
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn mtime(&mut self, path: impl AsRef<[u8]>) -> Result<Timestamp, Error> {
        let path = self.path(path.as_ref()).await?;
        let reply = self.command(Command::Mdtm(path)).await?;
        told_time(&reply)
    }

    /// [`Client::size`] and [`Client::mtime`], in one round trip where the server takes both at once.
    pub(crate) async fn size_and_mtime(
        &mut self,
        path: &[u8],
    ) -> Result<(Result<u64, Error>, Result<Timestamp, Error>), Error> {
        let path = self.path(path).await?;
        let commands = vec![Command::Size(path.clone()), Command::Mdtm(path)];
        let mut replies = self.batch(commands, Some(self.settings.representation)).await?.into_iter();
        let mut next = |verb| match replies.next() {
            Some(reply) if reply.code().is_completion() => Ok(reply),
            Some(reply) => Err(Error::Refused { phase: Phase::Command, verb, reply: Box::new(reply) }),
            None => Err(Error::Usage("the call was answered by another")),
        };
        let (size, time) = (next("SIZE"), next("MDTM"));
        Ok((size.and_then(|reply| told_size(&reply)), time.and_then(|reply| told_time(&reply))))
    }

    /// Sends commands, ahead of each other where that goes; their replies, whatever they say.
    pub(crate) async fn batch(
        &mut self,
        commands: Vec<Command>,
        representation: Option<Representation>,
    ) -> Result<Vec<Reply>, Error> {
        match self.run(Request::Batch(commands, representation)).await? {
            Answer::Replies(replies) => Ok(replies),
            _ => Err(Error::Usage("the call was answered by another")),
        }
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
    /// more than these two, and that it is a file. An empty path is the directory that the session is in, which MLST
    /// alone can tell of.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn stat(&mut self, path: impl AsRef<[u8]>) -> Result<Entry, Error> {
        // RFC 3659 section 7.2: without an argument it is of the current directory.
        let arg = match path.as_ref() {
            b"" => None,
            path => Some(self.path(path).await?),
        };
        let mut answer = self.command(Command::Mlst(arg.clone())).await;
        // pure-ftpd takes MLST for a transfer, and wants PROT before it (521, RFC 4217 section 13).
        if self.is_secure()
            && let Err(Error::Refused { reply, .. }) = &answer
            && matches!(reply.code().number(), 521 | 522)
        {
            self.run(Request::Protect).await?;
            answer = self.command(Command::Mlst(arg.clone())).await;
        }
        match answer {
            Ok(reply) => {
                // RFC 3659 section 7.2: the facts stand on the reply's second line, indented by a space.
                let line = reply.lines().get(1).map(|line| line.strip_prefix(b" ").unwrap_or(line));
                let entry = line.and_then(|line| parse_facts(line).ok()).and_then(|entry| self.decoded_entry(entry));
                entry.ok_or_else(|| unreadable("facts", &reply))
            }
            Err(Error::Refused { reply, .. })
                if arg.is_some() && matches!(reply.code().number(), 500 | 501 | 502 | 504) =>
            {
                let mut entry = Entry::new(EntryKind::File, path.as_ref());
                let (size, modified) = self.size_and_mtime(path.as_ref()).await?;
                entry.modified = match modified {
                    Ok(at) => Some(Modified { at, precision: Precision::Second, utc: true }),
                    Err(error) if size.is_err() => return Err(error),
                    Err(_) => None,
                };
                entry.size = size.ok();
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

    /// Sets the representation type of the transfers that follow. TYPE is sent where the server does not have that type
    /// yet, and its reply given.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn set_representation(&mut self, representation: Representation) -> Result<Option<Reply>, Error> {
        match self.run(Request::Representation(representation)).await? {
            Answer::Representation(reply) => {
                self.settings.representation = representation;
                Ok(reply)
            }
            other => reply(other).map(Some),
        }
    }

    /// The representation type of transfers.
    pub fn representation(&self) -> Representation {
        self.settings.representation
    }

    /// Sets who opens the data connections that follow. Nothing is sent.
    pub fn set_mode(&mut self, mode: DataMode) {
        self.settings.mode = mode;
    }

    /// Who opens data connections.
    pub fn mode(&self) -> DataMode {
        self.settings.mode
    }

    /// Sets whether EPSV is tried where there is PASV as well, on this connection and whatever was learned of it so far. Nothing is
    /// sent.
    pub fn set_extended(&mut self, on: bool) {
        self.link.set_extended(on);
    }

    /// Sets whether downloads in the ASCII type keep the CR of each CRLF, as some servers' files have single LFs within their lines.
    pub fn set_keeps_returns(&mut self, on: bool) {
        self.settings.keeps_returns = on;
    }

    /// Sets how large the buffers of the data connections that follow are.
    pub fn set_buffers(&mut self, buffers: Buffers) {
        self.settings.buffers = buffers;
        self.link.set_buffers(buffers);
    }

    /// Sends a line as it is, and gives the reply whatever it says. The line's secrets (PASS, ACCT) are masked in
    /// events. Commands that move data, and those that begin or end TLS, are refused with [`Error::Usage`]. A change of the working directory is
    /// kept in mind; a login is not, and after one the session cannot be begun anew (see [`Client::reconnect`]).
    ///
    /// # Errors
    /// [`Error::Name`] for a CR, LF or NUL; never [`Error::Refused`].
    pub async fn quote(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Error> {
        let line = Text::new(line.as_ref().trim_ascii_start())?;
        let verb = line.as_bytes().split(|&b| b == b' ').next().unwrap_or_default();
        match Verb::from_name(verb) {
            Some(Verb::Auth) => return Err(Error::Usage("TLS cannot be begun by hand: ask for it when connecting")),
            Some(Verb::Ccc) => return Err(Error::Usage("TLS cannot be ended by hand")),
            // RFC 4217 section 11: it would end TLS.
            Some(Verb::Rein) if self.is_secure() => return Err(Error::Usage("REIN would end TLS: connect anew")),
            _ => {}
        }
        if let Some(Verb::Retr | Verb::Stor | Verb::Stou | Verb::Appe | Verb::List | Verb::Nlst | Verb::Mlsd) =
            Verb::from_name(verb)
        {
            return Err(Error::Usage("a command that moves data cannot be sent by hand: use get, put or ls"));
        }
        let command = Command::parse(line.as_bytes());
        self.ready().await?;
        self.altered = true;
        self.walking = matches!(command, Ok(Command::Cwd(_) | Command::Cdup));
        let reply = reply(self.run_ready(Request::Raw(line)).await?)?;
        self.walking = false;
        match command {
            _ if reply.code().is_error() => {}
            Ok(command @ (Command::Cwd(_) | Command::Cdup)) => self.trail.step(command),
            // Another user's directory: the way there is not the one that was gone.
            Ok(Command::User(_) | Command::Rein) => self.trail = Trail::Lost,
            _ => {}
        }
        Ok(reply)
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

    /// A path that can be sent. Where it is not ASCII, and the server may be asked, it is told to take names in UTF-8.
    pub(crate) async fn path(&mut self, path: &[u8]) -> Result<PathArg, Error> {
        let path = PathArg::new(self.encoded(path)?)?;
        if !path.as_bytes().is_ascii() {
            self.probe().await?;
        }
        Ok(path)
    }

    /// A name as the server has it.
    pub(crate) fn encoded(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.settings.charset.map_or_else(|| Ok(name.to_vec()), |charset| charset.encode(name))
    }

    /// An entry with its names as the caller has them.
    pub(crate) fn decoded_entry(&self, mut entry: Entry) -> Option<Entry> {
        entry.name = self.decoded(&entry.name)?;
        for name in [&mut entry.target, &mut entry.directory].into_iter().flatten() {
            *name = self.decoded(name)?;
        }
        Some(entry)
    }

    /// A name of the server's as the caller has it; nothing where it is not in the server's charset.
    pub(crate) fn decoded(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.settings.charset.map_or_else(|| Some(name.to_vec()), |charset| charset.decode(name))
    }

    /// Asks the server what it has, once, where that is wanted and a user is logged in.
    pub(crate) async fn probe(&mut self) -> Result<(), Error> {
        if self.settings.probe && self.login.done {
            self.features().await?;
        }
        Ok(())
    }

    /// Does a job. Where the server cannot take what is sent ahead, the job is done again in a new session, one command at a time.
    pub(crate) async fn run(&mut self, request: Request) -> Result<Answer, Error> {
        self.ready().await?;
        self.run_ready(request).await
    }

    /// As [`Client::run`], in a session that is in order.
    async fn run_ready(&mut self, request: Request) -> Result<Answer, Error> {
        let again = self.link.sends_ahead().then(|| request.clone());
        match (self.link.run(request).await, again) {
            (Err(Error::OutOfStep { .. }), Some(request)) => {
                let walking = self.walking;
                self.reconnect().await?;
                self.walking = walking;
                self.link.run(request).await
            }
            (result, _) => result,
        }
    }

    async fn command(&mut self, command: Command) -> Result<Reply, Error> {
        reply(self.run(Request::Command(command, None)).await?)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

pub(crate) fn reply(answer: Answer) -> Result<Reply, Error> {
    match answer {
        Answer::Reply(reply) | Answer::Transferred(reply) => Ok(reply),
        _ => Err(Error::Usage("the call was answered by another")),
    }
}

/// The path in a reply to PWD.
pub(crate) fn told_path(reply: &Reply) -> Option<Vec<u8>> {
    // Some servers leave the quotes out.
    let bare = || reply.text().split(|&b| b == b' ').next().filter(|word| word.starts_with(b"/")).map(<[u8]>::to_vec);
    FtpPath::unquote(reply.text()).or_else(bare)
}

fn told_size(reply: &Reply) -> Result<u64, Error> {
    let digits = std::str::from_utf8(reply.text().trim_ascii()).ok();
    digits.and_then(|d| d.parse().ok()).ok_or_else(|| unreadable("size", reply))
}

fn told_time(reply: &Reply) -> Result<Timestamp, Error> {
    stamp::parse(reply.text()).ok_or_else(|| unreadable("time", reply))
}

fn unreadable(what: &str, reply: &Reply) -> Error {
    Error::Protocol { phase: Phase::Command, why: format!("no {what} in the reply {reply}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions are moved between threads, and so are calls under way: a caller may spawn them.
    #[test]
    fn calls_can_be_spawned() {
        fn spawnable<T: Send>(_: T) {}
        async fn all(client: &mut Client) -> Result<(), Error> {
            client.list("").await?.next().await;
            client.download("f", 0).await?.finish().await?;
            client.get_file("f", "f".as_ref(), &crate::GetOptions::default(), &mut |_| {}).await?;
            client.put_file("f".as_ref(), "f", &crate::PutOptions::default(), &mut |_| {}).await?;
            client.reconnect().await
        }
        spawnable(async {
            let mut client = Client::connect("ftp://host.invalid/").await?;
            all(&mut client).await?;
            client.quit().await
        });
    }
}
