//! What is told of transfers while they run: which file, how far, how fast, and what went wrong.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use port21_client::{Deed, Error, Event, Item, Place, Progress, Transferred, Watch};
use port21_proto::text::Shown;

use super::Console;
use super::output::Out;
use super::transfer::without_passive;
use crate::alike::Alike;
use crate::exit::{Exit, Fault, client_sentence};
use crate::progress::{Board, Total};

/// Tells of the transfers of one command.
pub(super) struct Reporter {
    out: Out,
    manner: Manner,
    /// `received` or `sent`.
    verb: &'static str,
    /// Names of files in it are told without it.
    directory: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

/// The command that transfers now, for whoever wants to know how far it has come.
#[derive(Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<Option<Running>>>);

#[derive(Clone)]
struct Running {
    verb: &'static str,
    inner: Weak<Mutex<Inner>>,
}

impl UnderWay {
    fn set(&self, reporter: &Reporter) {
        let now = Running { verb: reporter.verb, inner: Arc::downgrade(&reporter.inner) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// The line that its end would bring if it came now; nothing where none runs.
    pub(super) fn line(&self) -> Option<String> {
        let Running { verb, inner } = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let inner = inner.upgrade()?;
        let (bytes, took) = inner.lock().unwrap_or_else(PoisonError::into_inner).board.so_far();
        Some(speed(bytes, verb, took))
    }
}

/// As BSD ftp has always said it: `1715 bytes received in 0.00 seconds (1674.80 KiB/s)`.
fn speed(bytes: u64, verb: &str, took: Duration) -> String {
    // On a coarse clock a small file takes no time at all.
    let seconds = took.as_secs_f64().max(1e-6);
    format!("{bytes} bytes {verb} in {seconds:.2} seconds ({:.2} KiB/s)", bytes as f64 / 1024.0 / seconds)
}

/// How much is told, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// It has the screen: bars and hash marks.
    foreground: bool,
    /// Names and speeds are told.
    verbose: bool,
    /// The server's replies are shown, refusals too.
    replies: bool,
    /// Somebody waits for it: what goes wrong is told at once.
    tells: bool,
    /// A hash mark stands for so many bytes.
    hash: Option<u64>,
    /// What a mirror does is told step by step: a dry run.
    deeds: bool,
}

struct Inner {
    board: Board,
    /// Hash marks of the file that is being transferred.
    marks: u64,
    failures: Vec<(Exit, String)>,
    alike: Alike,
    /// Files that found no passive data connection.
    without_passive: Vec<Left>,
}

/// A file that was left, for there is no data connection.
pub(super) struct Left {
    pub(super) item: Item,
    /// Why active mode may help.
    pub(super) why: &'static str,
    exit: Exit,
    text: String,
}

impl Reporter {
    /// For a command that the user waits for.
    pub(super) fn new(console: &Console, upload: bool) -> Reporter {
        let manner = Manner {
            foreground: true,
            verbose: console.replies.is_on(),
            replies: console.replies.is_on(),
            tells: console.interactive,
            hash: console.settings.hash.then_some(console.settings.hash_bytes),
            deeds: false,
        };
        Reporter::shown(console, manner, Board::new(!console.settings.progress), upload)
    }

    /// For what goes to the screen or to a command of the shell, where bars and hash marks would be in the way.
    pub(super) fn of_stream(console: &Console) -> Reporter {
        let manner = Manner { foreground: true, verbose: console.replies.is_on(), ..Manner::default() };
        Reporter::shown(console, manner, Board::new(true), false)
    }

    fn shown(console: &Console, manner: Manner, board: Board, upload: bool) -> Reporter {
        console.out.set_bars(Some(board.bars()));
        let reporter = Reporter::with(console, manner, board, upload);
        console.under_way.set(&reporter);
        reporter
    }

    /// For a command that the user waits for, over sessions whose replies he does not see.
    pub(super) fn of_own_sessions(console: &Console, upload: bool) -> Reporter {
        let mut reporter = Reporter::new(console, upload);
        reporter.manner.replies = false;
        reporter
    }

    /// For a tree: files side by side have no line each, but bars.
    pub(super) fn of_tree(console: &Console, upload: bool, dry_run: bool) -> Reporter {
        let mut reporter = Reporter::of_own_sessions(console, upload);
        (reporter.manner.verbose, reporter.manner.hash, reporter.manner.deeds) = (false, None, dry_run);
        reporter
    }

    /// For a command in the background, of which nothing is told before its end.
    pub(super) fn silent(console: &Console, upload: bool) -> Reporter {
        Reporter::with(console, Manner::default(), Board::new(true), upload)
    }

    fn with(console: &Console, manner: Manner, board: Board, upload: bool) -> Reporter {
        let verb = if upload { "sent" } else { "received" };
        let inner =
            Inner { board, marks: 0, failures: Vec::new(), alike: Alike::default(), without_passive: Vec::new() };
        let (out, directory) = (console.out.clone(), console.local.clone());
        Reporter { out, manner, verb, directory, inner: Arc::new(Mutex::new(inner)) }
    }

    /// How far it has come.
    pub(super) fn total(&self) -> Total {
        self.inner().board.total()
    }

    /// The files that found no passive data connection; they count as failed no more.
    pub(super) fn take_without_passive(&self) -> Vec<Left> {
        std::mem::take(&mut self.inner().without_passive)
    }

    /// A file was left for good.
    pub(super) fn left(&self, left: &Left) {
        self.failed(left.exit, format!("{}: {}", Shown(&left.item.remote), left.text), false);
    }

    /// The end of the command: an error where anything has failed, the last one; those before are told.
    pub(super) fn end(&self) -> Result<(), Fault> {
        self.give_back();
        self.take_without_passive().iter().for_each(|left| self.left(left));
        let rest = self.inner().alike.rest();
        rest.iter().for_each(|line| self.out.line(line));
        let mut failures = std::mem::take(&mut self.inner().failures);
        let last = failures.pop();
        if !self.manner.tells {
            failures.iter().for_each(|(_, text)| tracing::warn!("{text}"));
        }
        last.map_or(Ok(()), |(exit, text)| Err(Fault::new(exit, text)))
    }

    /// Whether the user has been told of what went wrong.
    pub(super) fn has_told(&self) -> bool {
        self.manner.tells
    }

    pub(super) fn began(&self, local: &Path, remote: &[u8]) {
        self.inner().marks = 0;
        if self.manner.verbose {
            let (local, remote) = (Shown(self.name(local)), Shown(remote));
            self.out.line(format_args!("local: {local} remote: {remote}"));
        }
    }

    pub(super) fn moved(&self, item: &Item, progress: Progress) {
        let mut inner = self.inner();
        inner.board.moved(item, progress);
        if let Some(bytes) = self.manner.hash {
            // A block counts when it has begun: so has the last one, which need not be full.
            let marks = progress.done.div_ceil(bytes.max(1));
            // A line of a terminal at a time, however far the transfer has come.
            while inner.marks < marks {
                let n = (marks - inner.marks).min(80);
                self.out.marks(usize::try_from(n).unwrap_or(80));
                inner.marks += n;
            }
        }
    }

    /// A file is whole: how large it is, and how fast it was.
    pub(super) fn done(&self, item: &Item, bytes: u64, took: Duration) {
        self.inner().board.ended(item);
        if self.manner.foreground {
            self.out.end_marks();
        }
        if self.manner.verbose {
            self.out.line(speed(bytes, self.verb, took));
        }
    }

    /// Something has failed; what follows is done all the same.
    pub(super) fn failed(&self, exit: Exit, text: String, was_shown: bool) {
        if self.manner.foreground {
            self.out.end_marks();
        }
        if self.manner.tells && !was_shown {
            self.out.line(Shown(text.as_bytes()));
        }
        self.inner().failures.push((exit, text));
    }

    fn ended(&self, item: &Item, result: &Result<Transferred, Error>, took: Duration) {
        match result {
            Ok(done) => self.done(item, done.bytes, took),
            Err(error @ Error::TooLarge { .. }) => {
                self.inner().board.ended(item);
                if self.manner.tells || self.manner.deeds {
                    self.out.line(format_args!("{}: left out: {error}", Shown(&item.remote)));
                }
            }
            Err(error) => match without_passive(error) {
                Some(why) => {
                    let text = match error {
                        Error::Refused { verb: "EPSV" | "PASV", .. } => {
                            "the server has no passive mode: passive off".to_owned()
                        }
                        error => client_sentence(error),
                    };
                    let left = Left { item: item.clone(), why, exit: Exit::of_client(error), text };
                    let mut inner = self.inner();
                    inner.board.ended(item);
                    inner.without_passive.push(left);
                }
                None => {
                    self.inner().board.ended(item);
                    self.error(error);
                }
            },
        }
    }

    fn error(&self, error: &Error) {
        // A server can make as many of these as it likes.
        if matches!(error, Error::TooMuch { .. }) && !self.inner().alike.is_told(&client_sentence(error)) {
            return;
        }
        let shown = self.manner.replies && matches!(error, Error::Refused { .. });
        self.failed(Exit::of_client(error), client_sentence(error), shown);
    }

    /// The name of a file here as the user would write it.
    fn name<'a>(&self, local: &'a Path) -> &'a [u8] {
        local.strip_prefix(&self.directory).unwrap_or(local).as_os_str().as_bytes()
    }

    fn deed(&self, deed: Deed, place: &Place) {
        let what = match deed {
            Deed::Transfer => "transfer",
            Deed::MakeDirectory => "make-directory",
            Deed::Link => "link",
            Deed::Remove => "remove",
            Deed::RemoveDirectory => "remove-directory",
            _ => return,
        };
        if self.manner.deeds {
            self.out.line(format_args!("{what} {place}"));
        }
    }

    /// The screen is the console's again.
    fn give_back(&self) {
        if self.manner.foreground {
            self.out.end_marks();
            self.out.set_bars(None);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Reporter {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Found(item) => self.inner().board.found(item),
            Event::Began(item) => self.began(&item.local, &item.remote),
            Event::Moved(item, progress) => self.moved(item, *progress),
            Event::Ended { item, result, took } => self.ended(item, result, *took),
            Event::Again { remote, error, wait } if self.manner.tells => {
                let (name, text, seconds) = (Shown(remote), client_sentence(error), wait.as_secs_f64());
                self.out.line(format_args!("{name}: {text}; trying again in {seconds:.1} s"));
            }
            Event::Did(deed, place) => self.deed(*deed, place),
            Event::Skipped(place, why)
                if (self.manner.tells || self.manner.deeds) && self.inner().alike.is_told(why) =>
            {
                self.out.line(format_args!("{place}: left out: {why}"));
            }
            Event::Gap(place, why) => self.failed(Exit::Refused, format!("{place}: {why}"), false),
            Event::Failed(_, error) => self.error(error),
            Event::Notice(text) if self.manner.tells => self.out.line(Shown(text.as_bytes())),
            _ => {}
        }
    }
}

impl Drop for Reporter {
    /// A command that was given up leaves no bars.
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    fn item() -> Item {
        Item { id: 1, remote: b"pub/x".to_vec(), local: "/x".into(), size: None }
    }

    #[tokio::test]
    async fn hash_marks_and_speeds() {
        let (mut console, memory) = console();
        for line in ["verbose", "hash"] {
            console.run_line(line).await.unwrap();
        }
        let before = memory.text().len();
        let reporter = Reporter::new(&console, false);
        reporter.began(Path::new("/x"), b"pub/x");
        for done in [0, 1023, 1024, 1025, 199 * 1024 + 1] {
            reporter.moved(&item(), Progress { done, total: None });
        }
        // The final reply comes before the transfer's own end.
        console.out.line("226 Transfer complete.");
        reporter.done(&item(), 204_800, Duration::from_secs(2));
        let want = format!(
            "local: x remote: pub/x\n{}\n226 Transfer complete.\n204800 bytes received in 2.00 seconds (100.00 KiB/s)\n",
            "#".repeat(200)
        );
        assert_eq!(memory.text()[before..], want);
        assert!(reporter.end().is_ok());
    }

    #[tokio::test]
    async fn the_last_failure_is_that_of_the_command() {
        let (console, memory) = console();
        let reporter = Reporter::new(&console, true);
        for text in ["one", "two"] {
            reporter.failed(Exit::Refused, text.to_owned(), false);
        }
        assert_eq!(reporter.end().unwrap_err().to_string(), "two");
        assert_eq!(memory.text(), "");
    }
}
