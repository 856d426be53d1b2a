//! The helper: a second process that does what the server must not be able to do any more.
//!
//! Behind its sandbox the server cannot start programs, read its private keys again, or ask name servers. Some of that is
//! still needed now and then: for hooks, external authenticators, a reload. So a helper is started first, with the rights
//! that the server itself was started with. It is small, hears no stranger, and is asked by the server over a pair of
//! sockets.
//!
//! It does not trust the server, which may be in a stranger's hands by then. It knows the configuration by its own reading,
//! and whatever it is asked for, be it a program with its arguments, a file or a host, has to be named there, to the last
//! byte: nothing that the server says is executed, opened or looked up. What the server does choose is the standard input
//! of programs.
//!
//! | module | what it is |
//! |---|---|
//! | [`Helper`], [`connection`] | the server's end |
//! | [`process`] | the helper's end |
//! | [`named`] | what the configuration names |
//! | [`deeds`] | what is done: by the helper, or by the server itself where there is no sandbox |
//! | [`message`] | what they say to each other |

mod connection;
mod deeds;
mod message;
mod named;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;

use self::connection::{Connection, Health, Patience};
pub(crate) use self::deeds::{Ended, Stamp};
use self::message::{Done, Task};
pub(crate) use self::process::run;

/// The name of the command that is the helper. It is for nobody to call.
pub(crate) const COMMAND: &str = "helper";

/// A helper that was started, to be spoken to once there is a runtime.
pub(crate) struct Started {
    stream: UnixStream,
    /// Its number, where it is a process.
    process: Option<u32>,
    patience: Patience,
}

impl Started {
    /// Starts this very program again, as the helper, with the same arguments: it reads the same configuration. To be called
    /// before anything is given up, and before any socket is open that is not meant for it.
    ///
    /// # Errors
    /// Where no process can be started.
    pub(crate) fn new() -> anyhow::Result<Started> {
        let (stream, its_end) = UnixStream::pair().context("cannot make a pair of sockets")?;
        stream.set_nonblocking(true).context("a pair of sockets")?;
        let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
        // What comes before the command are flags that take no value.
        if let Some(command) = arguments.iter_mut().find(|argument| *argument == "serve") {
            *command = COMMAND.into();
        }
        // The file may have been replaced since this program was started from it.
        let mut command = Command::new("/proc/self/exe");
        command.args(arguments).stdin(Stdio::from(OwnedFd::from(its_end))).stdout(Stdio::null());
        // What systemd tells is told to the server.
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        // Nobody waits for it: it ends when this process does.
        let process = command.spawn().context("cannot start the helper process")?.id();
        Ok(Started { stream, process: Some(process), patience: Patience::default() })
    }

    /// Begins to speak to it; call it within a tokio runtime.
    ///
    /// # Errors
    /// Where the runtime cannot watch the socket.
    pub(crate) fn connect(self) -> anyhow::Result<Helper> {
        let connection =
            Connection::new(self.stream, self.process, self.patience).context("cannot speak to the helper process")?;
        Ok(Helper { connection: Some(Arc::new(connection)) })
    }
}

/// What the server asks the helper for; where there is none, it is done right here.
#[derive(Clone, Default)]
pub(crate) struct Helper {
    connection: Option<Arc<Connection>>,
}

impl Helper {
    /// Reads a file that the configuration names, or the configuration itself: the helper reads that anew as well, and
    /// from then on takes what it names for named, beside what was named before.
    ///
    /// # Errors
    /// Those of reading; that the helper is gone; that it does not answer, or has not within 10 s ([`io::ErrorKind::TimedOut`]);
    /// that it does not find the file named.
    pub(crate) async fn read(&self, path: &Path) -> io::Result<String> {
        let Some(connection) = &self.connection else { return deeds::read(path.to_owned()).await };
        match connection.ask(Task::Read(path.to_owned())).await? {
            Done::Text(text) => Ok(text),
            _ => Err(message::nonsense()),
        }
    }

    /// As [`Helper::read`], on a thread that may wait: not on one that runs tasks.
    ///
    /// # Errors
    /// As [`Helper::read`].
    pub(crate) fn read_and_wait(&self, path: &Path) -> io::Result<String> {
        let Some(connection) = &self.connection else { return deeds::read_and_wait(path) };
        match connection.ask_and_wait(Task::Read(path.to_owned()))? {
            Done::Text(text) => Ok(text),
            _ => Err(message::nonsense()),
        }
    }

    /// Looks at a file or program that the configuration names: what tells one state of it from another. On a thread that may wait.
    ///
    /// # Errors
    /// As [`Helper::read`].
    pub(crate) fn look_and_wait(&self, path: &Path) -> io::Result<Stamp> {
        let Some(connection) = &self.connection else { return deeds::look_and_wait(path) };
        match connection.ask_and_wait(Task::Look(path.to_owned()))? {
            Done::Seen(stamp) => Ok(stamp),
            _ => Err(message::nonsense()),
        }
    }

    /// Looks up a host that the configuration names.
    ///
    /// # Errors
    /// As [`Helper::read`]; it may take 60 s.
    pub(crate) async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let Some(connection) = &self.connection else { return deeds::resolve(host.to_owned()).await };
        match connection.ask(Task::Resolve(host.to_owned())).await? {
            Done::Addresses(addresses) => Ok(addresses),
            _ => Err(message::nonsense()),
        }
    }

    /// Runs a program that the configuration names (its path, then its arguments) with this on its standard input, to its
    /// end; `answers`: what it writes to its standard output is wanted. There is no time limit, which is for the caller to have:
    /// dropped, the program and all that it has started are killed.
    ///
    /// # Errors
    /// As [`Helper::read`].
    pub(crate) async fn run(&self, program: &[String], input: &str, answers: bool) -> io::Result<Ended> {
        let Some(connection) = &self.connection else { return deeds::run(program, input, answers, None).await };
        match connection.ask(Task::Run { program: program.to_vec(), input: input.to_owned(), answers }).await? {
            Done::Ended(ended) => Ok(ended),
            _ => Err(message::nonsense()),
        }
    }

    /// What is wrong with it, and what to do: there was a process, and it is gone, or does not answer. Then all that is asked of
    /// it fails at once.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        match self.connection.as_ref()?.health() {
            Health::Well => None,
            Health::Silent => Some("the helper process does not answer: if it stays so, restart the server"),
            Health::Gone => Some("the helper process is gone: restart the server"),
        }
    }

    /// The server ends: that the helper goes is no fault from now on.
    pub(crate) fn ending(&self) {
        if let Some(connection) = &self.connection {
            connection.ending();
        }
    }

    /// The configuration that was read last is in force: what only an earlier one names is named no more, but its programs for a
    /// while, as hooks may have messages left.
    ///
    /// # Errors
    /// That the helper is gone.
    pub(crate) async fn adopt(&self) -> io::Result<()> {
        match &self.connection {
            Some(connection) => connection.ask(Task::Adopt).await.map(drop),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.connection.is_some() { "Helper(a process)" } else { "Helper(here)" })
    }
}
