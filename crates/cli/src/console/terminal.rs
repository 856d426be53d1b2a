//! The console at a terminal: line editing, history, ^C.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::complete::Completion;
use super::table::find;
use super::{Console, Flow};
use crate::exit::Exit;
use crate::interrupt::{interrupted, runtime};
use crate::prompt;

/// Reads and runs lines until the user says goodbye or closes the input.
pub(super) fn run(console: Console, first: Option<String>) -> anyhow::Result<Exit> {
    let runtime = Rc::new(runtime()?);
    let console = Rc::new(RefCell::new(console));
    let config = Config::builder().history_ignore_space(true).max_history_size(1000)?;
    let config = config.completion_type(CompletionType::List).build();
    let mut editor: Editor<Completion, DefaultHistory> =
        Editor::with_config(config).context("cannot edit lines here")?;
    editor.set_helper(Some(Completion::new(console.clone(), runtime.clone())));
    let history = history_file();
    if let Some(file) = &history
        && let Err(error) = editor.load_history(file)
    {
        tracing::debug!("no history from {}: {error}", file.display());
    }
    // From here on ^C ends nothing but what waits for it: not while a command of the shell has the terminal either.
    let interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) });
    let _interrupts = interrupts.context("cannot wait for signals")?;
    let mut next = first;
    loop {
        let line = match next.take().map_or_else(|| ask(&runtime, &console, &mut editor), Ok) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => "bye".to_owned(),
            Err(error) => return Err(error).context("cannot read from the terminal"),
        };
        if is_for_history(&line) {
            editor.add_history_entry(&line).context("the history cannot grow")?;
        }
        if run_line(&runtime, &console, &line) == Flow::End {
            break;
        }
    }
    runtime.block_on(console.borrow_mut().end());
    if let Some(file) = &history
        && let Err(error) = save(&mut editor, file)
    {
        tracing::warn!("the history cannot be kept in {}: {error:#}", file.display());
    }
    Ok(Exit::Done)
}

/// Reads the next line, edited or as the terminal gives it. What has happened in the background is told first.
fn ask(
    runtime: &Runtime,
    console: &RefCell<Console>,
    editor: &mut Editor<Completion, DefaultHistory>,
) -> rustyline::Result<String> {
    let (text, editing) = {
        let mut console = console.borrow_mut();
        // Each failure has been told by its line.
        let _ = console.tell_ended();
        // A server that does not answer gives no prompt of its own.
        let text = runtime.block_on(async { tokio::time::timeout(PATIENCE, console.prompt_text()).await });
        (text.unwrap_or_else(|_| PROMPT.to_owned()), console.settings.editing)
    };
    if editing {
        return editor.readline(&text);
    }
    match prompt::line_or_end(&text) {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(ReadlineError::Eof),
        Err(_) => Err(ReadlineError::Interrupted),
    }
}

/// How long the server may take to say what the prompt wants to know, and the prompt where it takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
const PROMPT: &str = "port21> ";

/// Runs a line; ^C stops it and keeps the session.
fn run_line(runtime: &Runtime, console: &RefCell<Console>, line: &str) -> Flow {
    let mut console = console.borrow_mut();
    let done = runtime.block_on(async {
        tokio::select! {
            done = console.run_line(line) => Some(done),
            _ = interrupted() => None,
        }
    });
    match done {
        Some(Ok(flow)) => return flow,
        Some(Err(error)) => console.tell(&error),
        None => {
            console.out.line("\nInterrupted.");
            runtime.block_on(async {
                tokio::select! {
                    () = console.recover() => {}
                    // Whoever does not want to wait for that leaves it to the next command.
                    _ = interrupted() => {}
                }
            });
        }
    }
    Flow::Continue
}

/// A line that may hold a password is not kept.
fn is_for_history(line: &str) -> bool {
    let line = line.trim();
    let mut words = line.split_whitespace();
    let mut first = words.next().unwrap_or_default().to_ascii_lowercase();
    // A proxied command is what it would be by itself.
    if find(&first).is_ok_and(|command| command.name == "proxy") {
        first = words.next().unwrap_or_default().to_ascii_lowercase();
    }
    // A beginning that others share may have been meant for the command all the same.
    let may_be = |name: &str| !first.is_empty() && name.starts_with(&first);
    let secret = may_be("user") && words.clone().count() > 1
        || may_be("account") && words.clone().next().is_some()
        || may_be("quote") && words.next().is_some_and(|verb| ["pass", "acct"].contains(&&*verb.to_ascii_lowercase()))
        // A URL may hold one before its host.
        || ["open", "ftp", "bookmarks", "set"].into_iter().any(may_be) && line.contains('@')
        // An argument of a macro may be one.
        || line.starts_with('$') && words.next().is_some();
    !line.is_empty() && !secret
}

/// `$XDG_STATE_HOME/port21/history`.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("port21/history"))
}

fn save(editor: &mut Editor<Completion, DefaultHistory>, file: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(dir) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    editor.save_history(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_for_history;

    #[test]
    fn lines_with_passwords_are_not_kept() {
        for line in [
            "user bob hunter2",
            "us bob hunter2 account",
            "quote PASS hunter2",
            "open ftp://bob:hunter2@h/",
            "proxy user bob hunter2",
            "account hunter2",
            "set ftp_proxy http://me:hunter2@p",
            "$login hunter2",
            "$ login hunter2",
        ] {
            assert!(!is_for_history(line), "{line}");
        }
        for line in ["user bob", "get a b c", "quote NOOP", "open h"] {
            assert!(is_for_history(line), "{line}");
        }
    }
}
