//! The console that the user of BSD ftp knows.
//!
//! [`Console`] runs one line against a session and writes to an output that it is given: a terminal, a script, a test and
//! the demo drive it in the same way.
//!
//! | module | what it is |
//! |---|---|
//! | `table` | the one table of commands: help, completion and what runs them are made from it |
//! | `words` | a line as words |
//! | `session`, `gate` | commands that begin and end sessions |
//! | `files`, `list`, `ask` | what is asked of the server: files and directories, listings, everything else |
//! | `transfer`, `many`, `trees` | one file; many; what takes several sessions |
//! | `between` | a second session, and files from server to server |
//! | `jobs` | transfers in the background |
//! | `reporter`, `asking` | what is told of transfers, and asked before them |
//! | `sink` | local files, the screen, commands of the shell: where bytes go and come from |
//! | `names` | what becomes of names on their way |
//! | `settings`, `rates`, `options` | what can be set |
//! | `macros`, `bookmarks`, `local`, `about` | macros; places with a name; this side; help and status |
//! | `output` | where a console writes; replies as they come |
//! | `terminal`, `complete`, `prompting` | line editing, history, completion, the prompt |
//! | `script` | commands from a file or standard input |

mod about;
mod ask;
mod asking;
mod between;
mod bookmarks;
mod complete;
mod files;
mod gate;
mod jobs;
mod list;
mod local;
mod macros;
mod many;
mod names;
mod options;
mod output;
mod prompting;
mod rates;
mod reporter;
mod script;
mod session;
mod settings;
mod sink;
mod table;
mod terminal;
mod transfer;
mod trees;
mod words;

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use port21_client::{Client, Credentials, DataMode, Error, Representation};
use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::text::Shown;
use port21_trace::recording::Recorder;
use tokio::signal::unix::{SignalKind, signal};

use self::gate::Gate;
use self::jobs::Jobs;
use self::macros::Macros;
use self::options::Options;
pub(crate) use self::output::Out;
use self::output::Replies;
use self::reporter::UnderWay;
use self::settings::Settings;
use self::sink::Readers;
use self::table::Command;
use self::words::Words;
use crate::args::client::{ConnectArgs, ShellArgs};
use crate::exit::{Exit, Fault, sentence};
use crate::place::Place;
use crate::prompt;
use crate::record::{Recording, SessionLog};

/// Runs the console: at a terminal with line editing, else as a script.
pub(crate) fn run(args: &ShellArgs) -> anyhow::Result<Exit> {
    let terminal = prompt::is_possible() && std::io::stdout().is_terminal();
    let interactive = terminal && args.script.is_none();
    let recording = Recording::begin(args.connect.trace.as_deref(), Recorder::Client)?;
    let local = std::env::current_dir().context("the local directory cannot be told")?;
    let out = Out::new(std::io::stdout());
    let mut console = Console::new(args.connect.clone(), recording, local, out, interactive);
    console.begin_in(std::env::var("FTPMODE").unwrap_or_default().as_str());
    console.owns_input = interactive || args.script.as_ref().is_some_and(|file| file.as_os_str() != "-");
    let port = args.port.map(|port| format!(" {port}")).unwrap_or_default();
    let first = args.url.as_ref().map(|url| format!("open {}{port}", words::quoted(url)));
    match interactive {
        true => terminal::run(console, first),
        false => script::run(console, first, args.script.as_deref(), args.keep_going),
    }
}

/// One user's console, with its session and settings.
pub(crate) struct Console {
    connect: ConnectArgs,
    recording: Recording,
    session: Option<Session>,
    /// The secondary session; while a command is proxied, the primary one.
    other: Option<Session>,
    proxying: bool,
    out: Out,
    replies: Replies,
    /// Whether somebody can be asked for what is missing.
    interactive: bool,
    /// Whether standard input is the user's, and holds no script.
    owns_input: bool,
    /// Listings have colours.
    colours: bool,
    /// The local directory. Not the process's: a test's console must not move another's.
    local: PathBuf,
    /// The representation type of transfers, once the user has chosen one.
    representation: Option<Representation>,
    mode: DataMode,
    settings: Settings,
    options: Options,
    gate: Gate,
    macros: Macros,
    jobs: Jobs,
    readers: Readers,
    under_way: UnderWay,
    /// Where the next transfer begins.
    restart: u64,
    /// The working directory of the server, where the prompt has asked for it.
    directory: Option<Vec<u8>>,
    /// The user has been told of the error that the line ends with.
    told: bool,
}

struct Session {
    client: Client,
    log: SessionLog,
    host: String,
    place: Place,
    /// Who has logged in.
    credentials: Option<Credentials>,
    through_gate: bool,
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
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let mode = if connect.active { DataMode::Active } else { DataMode::Passive };
        Console {
            replies: Replies::new(out.clone(), interactive),
            session: None,
            other: None,
            proxying: false,
            representation: None,
            settings: Settings::new(interactive, !connect.no_probe),
            options: Options::default(),
            gate: Gate::from_environment(),
            macros: Macros::default(),
            jobs: Jobs::default(),
            readers: Readers::default(),
            under_way: UnderWay::default(),
            restart: 0,
            directory: None,
            told: false,
            owns_input: interactive,
            colours: interactive && !dumb && !set("NO_COLOR"),
            connect,
            recording,
            out,
            interactive,
            local,
            mode,
        }
    }

    /// FTPMODE, as ftp has it; --active counts more.
    fn begin_in(&mut self, mode: &str) {
        match mode {
            "active" => self.mode = DataMode::Active,
            "passive" => self.settings.fallback = false,
            "gate" => self.gate.switch_on(),
            "" | "auto" => {}
            other => tracing::warn!("FTPMODE is {}, and not active, auto, gate or passive", Shown(other.as_bytes())),
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
        self.unswap();
        self.macros.settle();
        if self.macros.is_defining() {
            self.macros.take(line.trim_end_matches(['\r', '\n']))?;
            return Ok(Flow::Continue);
        }
        let (rates, told) = (self.settings.rates.clone(), tells(self.under_way.clone(), self.out.clone()));
        tokio::select! {
            done = self.run_one(line) => done,
            never = rates.obey_signals() => match never {},
            never = told => match never {},
        }
    }

    /// Whether the next line belongs to a macro, and is no command.
    fn is_defining(&self) -> bool {
        self.macros.is_defining()
    }

    /// Runs a command: of a line, of a macro, of a second session.
    async fn run_one(&mut self, line: &str) -> anyhow::Result<Flow> {
        self.told = false;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Flow::Continue);
        }
        let (command, mut words) = read(line)?;
        if command.needs.may_be_job() {
            words.take_background();
        }
        if command.needs.session() && self.session.is_none() {
            bail!(Fault::usage("Not connected."));
        }
        self.ask_for_missing(command, &mut words)?;
        command.check(&words)?;
        if let Some(session) = self.session.as_ref().filter(|_| command.needs.is_recorded()) {
            session.log.user(&without_secrets(command.name, &words));
        }
        let mut done = (command.run)(self, &words).await;
        if let Some(why) = transfer::lacks_passive(&done)
            && self.go_active(why)
        {
            done = (command.run)(self, &words).await;
            if transfer::lacks_passive(&done).is_some() {
                // Neither way comes to stand.
                self.set_mode(DataMode::Passive);
            }
        }
        if self.settings.bell && command.needs.rings() {
            self.out.bytes(b"\x07");
        }
        self.notice_loss();
        self.out.check()?;
        done
    }

    /// Asks for the arguments that a command cannot do without.
    fn ask_for_missing(&self, command: &Command, words: &mut Words) -> anyhow::Result<()> {
        while self.interactive && words.list.len() < command.arguments.0 {
            let missing = command.syntax.split(' ').nth(words.list.len()).unwrap_or("ARGUMENT");
            let answer = prompt::line(&format!("({}) ", missing.to_ascii_lowercase()))?;
            if answer.trim().is_empty() {
                break;
            }
            let more = words::split(&answer).map_err(|open| Fault::usage(open.to_string()))?;
            words.rest = format!("{} {}", words.rest, answer.trim()).trim_start().to_owned();
            words.line = format!("{} {}", words.line, answer.trim());
            words.list.extend(more.list);
        }
        Ok(())
    }

    /// Whether the user has seen the error already, as the server's reply or as what was told of a transfer.
    pub(crate) fn was_shown(&self, error: &anyhow::Error) -> bool {
        let refused = |error: &Error| matches!(error, Error::Refused { .. });
        let replied = || error.chain().any(|cause| cause.downcast_ref::<Error>().is_some_and(refused));
        self.told || self.replies.is_on() && replied()
    }

    /// Tells the user of an error, in the place of a reply that was not shown.
    pub(crate) fn tell(&self, error: &anyhow::Error) {
        if !self.was_shown(error) {
            self.out.line(sentence(error));
        }
    }

    /// Brings the sessions in order after a line that was given up: its transfer is aborted.
    async fn recover(&mut self) {
        self.unswap();
        self.out.set_bars(None);
        for session in [&mut self.session, &mut self.other].into_iter().flatten() {
            if let Err(error) = session.client.ready().await {
                self.out.line(error);
            }
        }
        self.notice_loss();
        // A pager that still runs has the terminal.
        if let Err(error) = self.readers.wait().await {
            tracing::debug!("a command of the shell: {error}");
        }
    }

    /// Ends the sessions that there are.
    pub(crate) async fn end(&mut self) {
        for session in [self.session.take(), self.other.take()].into_iter().flatten() {
            if let Err(error) = session.client.quit().await {
                tracing::debug!("QUIT: {error}");
            }
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

/// Answers SIGQUIT (^\\ at a terminal) for as long as it is polled, as ftp does: how far the transfer has come.
async fn tells(under_way: UnderWay, out: Out) -> Infallible {
    let Ok(mut asked) = signal(SignalKind::quit()) else { return std::future::pending().await };
    while asked.recv().await.is_some() {
        out.aside(under_way.line().unwrap_or_else(|| "Nothing is being transferred: ^C stops the command.".to_owned()));
    }
    std::future::pending().await
}

/// A line as a command and its arguments.
fn read(line: &str) -> anyhow::Result<(&'static Command, Words)> {
    if let Some(command) = line.strip_prefix('!') {
        let words = Words { rest: command.trim().to_owned(), line: line.to_owned(), ..Words::default() };
        return Ok((table::find("!")?, words));
    }
    let (named, behind) = match line.strip_prefix('$') {
        Some(behind) => (true, behind),
        None => (false, line),
    };
    let words = words::split(behind).map_err(|open| Fault::usage(open.to_string()))?;
    if named {
        return Ok((table::find("$")?, words));
    }
    let Words { mut list, rest, line, background } = words;
    let name = if list.is_empty() { String::new() } else { list.remove(0) };
    Ok((table::find(&name)?, Words { list, rest, line, background }))
}

/// The line for a recording.
fn without_secrets(name: &str, words: &Words) -> String {
    match (name, words.list.as_slice()) {
        ("account", [_, ..]) => "account ***".to_owned(),
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
            ("proxy get x", "No proxy connection."),
            ("proxy lcd x", "?Invalid proxy command."),
            ("mirror x", "Not connected."),
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
            let (name, list) = (words.list[0].clone(), words.list[1..].to_vec());
            without_secrets(&name, &Words { list, ..words })
        };
        assert_eq!(text("user ftp hunter2"), "user ftp ***");
        assert_eq!(text("user ftp"), "user ftp");
        assert_eq!(text("account hunter2"), "account ***");
        assert_eq!(text("quote pass hunter2"), "quote PASS ***");
        assert_eq!(text("quote noop"), "quote NOOP");
        assert_eq!(text("get \"a b\""), "get \"a b\"");
    }
}
