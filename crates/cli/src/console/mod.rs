//! The console that the user of BSD ftp knows.
//!
//! [`Console`] runs one line against a session and writes to an output that it is given: a terminal, a script, a test and
//! the demo drive it in the same way.
//!
//! | module | what it is |
//! |---|---|
//! | `table` | the one table of commands |
//! | `words` | a line as words |
//! | `session`, `files`, `transfer`, `settings` | what the commands do |
//! | `output` | where a console writes; replies as they come |
//! | `terminal`, `complete` | line editing, history, completion |
//! | `script` | commands from standard input |

mod complete;
mod files;
mod output;
mod script;
mod session;
mod settings;
mod table;
mod terminal;
mod transfer;
mod words;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use port21_client::{Client, DataMode, Error, Representation};
use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::text::Shown;
use port21_trace::recording::Recorder;

pub(crate) use self::output::Out;
use self::output::Replies;
use self::table::Needs;
use self::words::Words;
use crate::args::client::{ConnectArgs, ShellArgs};
use crate::exit::{Exit, Fault, sentence};
use crate::prompt;
use crate::record::{Recording, SessionLog};

/// Runs the console: at a terminal with line editing, else as a script.
pub(crate) fn run(args: &ShellArgs) -> anyhow::Result<Exit> {
    let interactive = prompt::is_possible() && std::io::stdout().is_terminal();
    let recording = Recording::begin(args.connect.trace.as_deref(), Recorder::Client)?;
    let local = std::env::current_dir().context("the local directory cannot be told")?;
    let out = Out::new(std::io::stdout());
    let console = Console::new(args.connect.clone(), recording, local, out, interactive);
    let port = args.port.map(|port| format!(" {port}")).unwrap_or_default();
    let first = args.url.as_ref().map(|url| format!("open {}{port}", words::quoted(url)));
    match interactive {
        true => terminal::run(console, first),
        false => script::run(console, first),
    }
}

/// One user's console, with its session and settings.
pub(crate) struct Console {
    connect: ConnectArgs,
    recording: Recording,
    session: Option<Session>,
    out: Out,
    replies: Replies,
    /// Whether somebody can be asked for what is missing.
    interactive: bool,
    /// The local directory. Not the process's: a test's console must not move another's.
    local: PathBuf,
    /// The representation type of transfers, once the user has chosen one.
    representation: Option<Representation>,
    mode: DataMode,
    hash: bool,
    prompting: bool,
}

struct Session {
    client: Client,
    log: SessionLog,
    host: String,
}

/// What follows a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next line.
    Continue,
    /// Nothing: the user has said goodbye.
    End,
}

impl Console {
    /// A console without a session.
    pub(crate) fn new(
        connect: ConnectArgs,
        recording: Recording,
        local: PathBuf,
        out: Out,
        interactive: bool,
    ) -> Console {
        let mode = if connect.active { DataMode::Active } else { DataMode::Passive };
        Console {
            replies: Replies::new(out.clone(), interactive),
            session: None,
            representation: None,
            hash: false,
            prompting: interactive,
            connect,
            recording,
            out,
            interactive,
            local,
            mode,
        }
    }

    /// Whether the server's replies are shown.
    pub(crate) fn set_verbose(&mut self, on: bool) {
        self.replies.set(on);
    }

    /// Runs a line. An error has been told to nobody yet, unless [`Console::was_shown`] says so.
    ///
    /// The future may be dropped: a transfer is then aborted, and the session goes on with the next line.
    ///
    /// # Errors
    /// What kept the line from being done; the console can be used further.
    pub(crate) async fn run_line(&mut self, line: &str) -> anyhow::Result<Flow> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Flow::Continue);
        }
        if let Some(command) = line.strip_prefix('!') {
            return settings::local_command(self, command).map(|()| Flow::Continue);
        }
        let words = words::split(line).map_err(|open| Fault::usage(open.to_string()))?;
        let Some((name, arguments)) = words.list.split_first() else { return Ok(Flow::Continue) };
        let command = table::find(name)?;
        let words = Words { list: arguments.to_vec(), rest: words.rest };
        if command.needs == Needs::Session && self.session.is_none() {
            bail!(Fault::usage("Not connected."));
        }
        if let (Some(session), Needs::Session | Needs::Either) = (&self.session, command.needs) {
            session.log.user(&without_secrets(command.name, &words));
        }
        let done = (command.run)(self, &words).await;
        self.notice_loss();
        self.out.check()?;
        done
    }

    /// Whether the user has seen the error already, as the server's reply.
    pub(crate) fn was_shown(&self, error: &anyhow::Error) -> bool {
        let refused = |error: &Error| matches!(error, Error::Refused { .. });
        self.replies.is_on() && error.chain().any(|cause| cause.downcast_ref::<Error>().is_some_and(refused))
    }

    /// Tells the user of an error, in the place of a reply that was not shown.
    pub(crate) fn tell(&self, error: &anyhow::Error) {
        if !self.was_shown(error) {
            self.out.line(sentence(error));
        }
    }

    /// Brings the session in order after a line that was given up: its transfer is aborted.
    async fn recover(&mut self) {
        if let Some(session) = &mut self.session
            && let Err(error) = session.client.ready().await
        {
            self.out.line(error);
        }
        self.notice_loss();
    }

    /// Ends the session, if there is one.
    pub(crate) async fn end(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.client.quit().await
        {
            tracing::debug!("QUIT: {error}");
        }
    }

    /// The session's client.
    fn client(&mut self) -> anyhow::Result<&mut Client> {
        match &mut self.session {
            Some(session) => Ok(&mut session.client),
            None => bail!(Fault::usage("Not connected.")),
        }
    }

    fn notice_loss(&mut self) {
        if self.session.as_ref().is_some_and(|session| !session.client.is_connected()) {
            self.session = None;
            if self.replies.is_on() {
                self.out.line("The connection was closed.");
            }
        }
    }
}

/// The line for a recording.
fn without_secrets(name: &str, words: &Words) -> String {
    match (name, words.list.as_slice()) {
        ("user", [user, _, ..]) => format!("user {} ***", Shown(user.as_bytes())),
        ("quote", _) => match EventKind::command(ConnectionId::CONTROL, words.rest.as_bytes()) {
            EventKind::Command { verb, argument, .. } => format!("quote {verb} {}", Shown(&argument)).trim().to_owned(),
            _ => "quote".to_owned(),
        },
        (name, []) => name.to_owned(),
        (name, _) => format!("{name} {}", Shown(words.rest.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::output::tests::Memory;
    use super::*;
    use crate::args::{Args, Command};

    /// A console that nobody can be asked at.
    pub(super) fn console() -> (Console, Memory) {
        let args = <Args as clap::Parser>::try_parse_from(["port21", "shell"]).unwrap();
        let Command::Shell(args) = args.command else { panic!() };
        let memory = Memory::default();
        let out = Out::new(memory.clone());
        let recording = Recording::begin(None, Recorder::Client).unwrap();
        (Console::new(args.connect, recording, PathBuf::from("/"), out, false), memory)
    }

    #[tokio::test]
    async fn lines_that_cannot_be_run() {
        let (mut console, _) = console();
        for (line, want) in [
            ("frobnicate", "?Invalid command."),
            ("m", "?Ambiguous command."),
            ("get x", "Not connected."),
            ("lcd \"x", "opened and not closed"),
            ("rename a", "Not connected."),
            ("type ebcdic", "ascii"),
        ] {
            let error = console.run_line(line).await.unwrap_err();
            assert!(error.to_string().contains(want), "{line}: {error}");
            assert_eq!(Exit::of(&error), Exit::Usage, "{line}");
        }
        assert_eq!(console.run_line("").await.unwrap(), Flow::Continue);
        assert_eq!(console.run_line("# a remark").await.unwrap(), Flow::Continue);
        assert_eq!(console.run_line("by").await.unwrap(), Flow::End);
    }

    #[test]
    fn no_secret_in_a_recorded_line() {
        let text = |line: &str| {
            let words = words::split(line).unwrap();
            let list = words.list[1..].to_vec();
            without_secrets(&words.list[0], &Words { list, ..words })
        };
        assert_eq!(text("user ftp hunter2"), "user ftp ***");
        assert_eq!(text("user ftp"), "user ftp");
        assert_eq!(text("quote pass hunter2"), "quote PASS ***");
        assert_eq!(text("quote noop"), "quote NOOP");
        assert_eq!(text("get \"a b\""), "get \"a b\"");
    }
}
