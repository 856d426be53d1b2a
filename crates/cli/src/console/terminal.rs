//! The console at a terminal: line editing, history, ^C.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::runtime::Runtime;

use super::complete::Completion;
use super::table::find;
use super::{Console, Flow};
use crate::exit::Exit;
use crate::interrupt::{interrupted, runtime};

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
    let mut next = first;
    loop {
        let line = match next.take().map_or_else(|| editor.readline("port21> "), Ok) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
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
    let mut words = line.split_whitespace();
    let name = words.next().and_then(|word| find(word).ok()).map(|command| command.name);
    match name {
        Some("user") => words.count() <= 1,
        Some("quote") => {
            !words.next().is_some_and(|verb| matches!(verb.to_ascii_lowercase().as_str(), "pass" | "acct"))
        }
        // A URL may hold one before its host.
        Some("open") => !line.contains('@'),
        _ => !line.trim().is_empty(),
    }
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
        for line in ["user bob hunter2", "us bob hunter2 account", "quote PASS hunter2", "open ftp://bob:hunter2@h/"] {
            assert!(!is_for_history(line), "{line}");
        }
        for line in ["user bob", "get a b c", "quote NOOP", "open h"] {
            assert!(is_for_history(line), "{line}");
        }
    }
}
