//! Where what a server sends goes, and where what is sent to it comes from: a file, the screen, a command of the shell.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use globset::GlobBuilder;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::Console;
use super::output::Out;
use crate::exit::{Exit, Fault};

/// What a word means where a local file is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `-`: standard input or output.
    Standard,
    /// `|COMMAND`.
    Shell(String),
    File(PathBuf),
}

impl Place {
    /// Reads a word: `-`, `|COMMAND` or a path, in which `~` is the home and a pattern the first name that it matches.
    pub(super) fn of(console: &Console, word: &str) -> anyhow::Result<Place> {
        match word.strip_prefix('|') {
            _ if word == "-" => Ok(Place::Standard),
            Some(command) if command.trim().is_empty() => bail!(Fault::usage("| needs a command behind it")),
            Some(command) => Ok(Place::Shell(command.trim().to_owned())),
            None => Ok(Place::File(first_path(console, word)?)),
        }
    }
}

/// The commands of the shell that output goes to: when a line was given up, they may still have the terminal.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<Option<Child>>>);

impl Readers {
    /// Waits for the one that still runs, if any. Where that is given up it can be waited for again.
    pub(super) async fn wait(&self) -> io::Result<Option<ExitStatus>> {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut waited = Waited { child, readers: self };
        let status = match &mut waited.child {
            Some(child) => Some(child.wait().await?),
            None => None,
        };
        waited.child = None;
        Ok(status)
    }

    /// One more has the terminal.
    pub(super) fn put(&self, child: Child) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    }
}

/// A reader that is waited for.
struct Waited<'a> {
    child: Option<Child>,
    readers: &'a Readers,
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.readers.put(child);
        }
    }
}

/// What a sink has to know of the console, while the console's session is borrowed.
pub(super) struct Here {
    out: Out,
    readers: Readers,
    local: PathBuf,
    owns_input: bool,
}

impl Console {
    pub(super) fn here(&self) -> Here {
        let (out, readers, local) = (self.out.clone(), self.readers.clone(), self.local.clone());
        Here { out, readers, local, owns_input: self.owns_input }
    }
}

/// Takes bytes.
pub(super) enum Sink {
    Screen(Out),
    File(BufWriter<File>, PathBuf),
    Shell(ChildStdin, Readers, String),
}

impl Sink {
    /// Opens it; a file that is there is replaced, or added to.
    pub(super) fn open(here: &Here, place: Place, append: bool) -> anyhow::Result<Sink> {
        match place {
            Place::Standard => Ok(Sink::Screen(here.out.clone())),
            Place::File(path) => {
                let mut options = File::options();
                let file = options.create(true).write(true).append(append).truncate(!append).open(&path);
                let file = file.with_context(|| path.display().to_string())?;
                Ok(Sink::File(BufWriter::new(file), path))
            }
            Place::Shell(command) => {
                let mut process = shell(here, &command);
                let mut child = process.stdin(Stdio::piped()).spawn().context("cannot run a shell")?;
                let stdin = child.stdin.take().context("the shell has no input")?;
                here.readers.put(child);
                Ok(Sink::Shell(stdin, here.readers.clone(), command))
            }
        }
    }

    /// Takes some bytes; whether more are wanted. A pager that was left wants none.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        match self {
            Sink::Screen(out) => out.bytes(bytes),
            Sink::File(file, path) => file.write_all(bytes).with_context(|| path.display().to_string())?,
            Sink::Shell(stdin, _, command) => match stdin.write_all(bytes).await {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                written => written.with_context(|| format!("|{command}"))?,
            },
        }
        Ok(true)
    }

    /// Ends it: what was taken is written, and a command of the shell has ended.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        match self {
            Sink::Screen(_) => {}
            Sink::File(mut file, path) => file.flush().with_context(|| path.display().to_string())?,
            Sink::Shell(stdin, readers, command) => {
                drop(stdin);
                readers.wait().await.with_context(|| format!("|{command}"))?;
            }
        }
        Ok(())
    }

    /// Whether a person reads it: escapes are shown then, and not obeyed.
    pub(super) fn is_for_people(&self) -> bool {
        !matches!(self, Sink::File(..))
    }

    /// Whether it is this console's own screen.
    pub(super) fn is_screen(&self) -> bool {
        matches!(self, Sink::Screen(_))
    }
}

/// The command of a shell in the console's directory.
pub(super) fn shell(here: &Here, command: &str) -> Command {
    let mut process = Command::new("/bin/sh");
    process.args(["-c", command]).current_dir(&here.local);
    if !here.owns_input {
        // Standard input holds the rest of the script.
        process.stdin(Stdio::null());
    }
    process
}

/// The path that a word means: the first of those that match, where it is a pattern. As ftp has it, one that nothing matches
/// is the name itself.
pub(super) fn first_path(console: &Console, word: &str) -> anyhow::Result<PathBuf> {
    let plain = console.local.join(at_home(word)?);
    Ok(local_paths(console, word).ok().and_then(|paths| paths.into_iter().next()).unwrap_or(plain))
}

/// A word with the home in the place of `~`.
fn at_home(word: &str) -> anyhow::Result<String> {
    match word.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = std::env::home_dir().context("there is no home directory")?;
            Ok(format!("{}{rest}", home.display()))
        }
        _ => Ok(word.to_owned()),
    }
}

/// The paths here that a word means, in order: `~`, and where `glob` is on patterns for the last part. Where a file has the
/// name itself it is meant.
pub(super) fn local_paths(console: &Console, word: &str) -> anyhow::Result<Vec<PathBuf>> {
    let word = at_home(word)?;
    let path = console.local.join(&word);
    if !console.settings.glob || !is_pattern(&word) || path.symlink_metadata().is_ok() {
        return Ok(vec![path]);
    }
    let at = word.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, pattern) = word.split_at(at);
    if is_pattern(directory) {
        bail!(Fault::usage(format!("{word}: only the last part of a path may be a pattern")));
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let matcher = glob.map_err(|error| Fault::usage(error.to_string()))?.compile_matcher();
    let directory: &Path = &console.local.join(directory);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry.with_context(|| directory.display().to_string())?;
        let name = entry.file_name();
        let hidden = name.as_bytes().starts_with(b".") && !pattern.starts_with('.');
        if !hidden && matcher.is_match(&name) && !entry.path().is_dir() {
            paths.push(entry.path());
        }
    }
    if paths.is_empty() {
        bail!(Fault::new(Exit::Local, format!("{word}: no local file matches")));
    }
    paths.sort();
    Ok(paths)
}

/// Whether a word is a pattern for local names.
fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    #[tokio::test]
    async fn words_for_local_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", ".c.txt", "d.bin", "what?"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("e.txt")).unwrap();
        let (mut console, _) = console();
        console.local = dir.path().to_owned();
        let here = |name: &str| dir.path().join(name);
        assert_eq!(local_paths(&console, "*.txt").unwrap(), [here("a.txt"), here("b.txt")]);
        assert_eq!(local_paths(&console, "{b,d}.*").unwrap(), [here("b.txt"), here("d.bin")]);
        assert_eq!(local_paths(&console, "what?").unwrap(), [here("what?")]);
        assert!(local_paths(&console, "*.nothing").is_err() && local_paths(&console, "*/x").is_err());
        assert_eq!(Place::of(&console, "?.bin").unwrap(), Place::File(here("d.bin")));
        // What a download makes may be called so.
        assert_eq!(Place::of(&console, "[new].txt").unwrap(), Place::File(here("[new].txt")));
        assert_eq!(Place::of(&console, "-").unwrap(), Place::Standard);
        assert_eq!(Place::of(&console, "| wc -l").unwrap(), Place::Shell("wc -l".to_owned()));
        assert!(Place::of(&console, "|").is_err());
        console.settings.glob = false;
        assert_eq!(local_paths(&console, "*.txt").unwrap(), [here("*.txt")]);
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_wants_no_more() {
        let (console, _) = console();
        let mut sink = Sink::open(&console.here(), Place::Shell("true".to_owned()), false).unwrap();
        let line = [b'x'; 64 * 1024];
        let mut more = true;
        // A pipe takes 64 KiB, and after `true` has ended nothing.
        for _ in 0..1000 {
            more &= sink.write(&line).await.unwrap();
        }
        assert!(!more);
        sink.end().await.unwrap();
    }
}
