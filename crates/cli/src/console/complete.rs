//! Completion: commands, names on the server, names here.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use port21_client::Listed;
use rustyline::completion::{Completer, Pair};
use rustyline::{Context, Helper, Highlighter, Hinter, Validator};
use tokio::runtime::Runtime;

use super::options::OPTIONS;
use super::table::{COMMANDS, Completes, find};
use super::words::{quoted, unfinished};
use super::{Console, bookmarks};

/// How long the server may take to list a directory for a completion.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most names that are offered.
const MAX_NAMES: usize = 2000;

/// Completes the word at the cursor.
#[derive(Helper, Highlighter, Hinter, Validator)]
pub(super) struct Completion {
    console: Rc<RefCell<Console>>,
    runtime: Rc<Runtime>,
}

impl Completion {
    pub(super) fn new(console: Rc<RefCell<Console>>, runtime: Rc<Runtime>) -> Completion {
        Completion { console, runtime }
    }

    fn candidates(&self, kind: Completes, text: &str) -> Vec<String> {
        match kind {
            Completes::Nothing => Vec::new(),
            Completes::Command => commands(text),
            Completes::Switch => begun(["on", "off"].map(str::to_owned), text),
            Completes::Bookmark => begun(bookmarks::names(), text),
            Completes::Macro => begun(self.console.borrow().macros.names(), text),
            Completes::Option => begun(OPTIONS.map(|(name, ..)| name.to_owned()), text),
            Completes::Local => local(&self.console.borrow().local, text),
            Completes::Remote => self.runtime.block_on(self.console.borrow_mut().remote_names(text)),
        }
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = line.get(..pos).unwrap_or(line);
        let word = unfinished(line);
        let kind = word.command.as_ref().map_or(Completes::Command, |command| kind(command, word.before));
        let mut names = self.candidates(kind, &word.text);
        names.sort();
        let pairs = names.into_iter().map(|name| Pair { display: name.clone(), replacement: quoted(&name) });
        Ok((word.start, pairs.collect()))
    }
}

/// What the argument at this place (from 1) of a command names.
fn kind(command: &str, place: usize) -> Completes {
    let Ok(command) = find(command) else { return Completes::Nothing };
    let kinds = command.completes;
    kinds.get(place - 1).or(kinds.last()).copied().unwrap_or(Completes::Nothing)
}

fn commands(text: &str) -> Vec<String> {
    begun(COMMANDS.iter().flat_map(|command| command.names()).map(str::to_owned), text)
}

fn begun(names: impl IntoIterator<Item = String>, text: &str) -> Vec<String> {
    names.into_iter().filter(|name| name.starts_with(text)).collect()
}

fn local(from: &Path, text: &str) -> Vec<String> {
    let (directory, begun) = text.split_at(text.rfind('/').map_or(0, |slash| slash + 1));
    let Ok(entries) = std::fs::read_dir(from.join(directory)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| is_offered(name, begun))?;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        Some(format!("{directory}{name}{slash}"))
    });
    names.take(MAX_NAMES).collect()
}

impl Console {
    /// The names on the server that begin as `text` does. Replies that this brings are not shown; where the server does
    /// not answer soon, nothing is offered.
    async fn remote_names(&mut self, text: &str) -> Vec<String> {
        let (directory, begun) = text.split_at(text.rfind('/').map_or(0, |slash| slash + 1));
        let shown = self.replies.set(false);
        let names = tokio::time::timeout(PATIENCE, self.listed(directory, begun)).await;
        self.replies.set(shown);
        names.unwrap_or_default()
    }

    async fn listed(&mut self, directory: &str, begun: &str) -> Vec<String> {
        let mut names = Vec::new();
        let Ok(client) = self.client() else { return names };
        let Ok(mut entries) = client.list(directory).await else { return names };
        while let Some(Ok(listed)) = entries.next().await {
            if let Listed::Entry(entry) = listed
                && let Some(name) = entry.safe_name().and_then(|name| std::str::from_utf8(name).ok())
                && is_offered(name, begun)
                && names.len() < MAX_NAMES
            {
                let slash = if entry.is_directory() { "/" } else { "" };
                names.push(format!("{directory}{name}{slash}"));
            }
        }
        names
    }
}

/// A name with a control character in it is not put into the user's line.
fn is_offered(name: &str, begun: &str) -> bool {
    let hidden = name.starts_with('.') && !begun.starts_with('.');
    name.starts_with(begun) && !hidden && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_complete_to_what_they_name() {
        assert_eq!(kind("get", 1), Completes::Remote);
        assert_eq!(kind("get", 2), Completes::Local);
        assert_eq!(kind("mput", 7), Completes::Local);
        assert_eq!(kind("help", 1), Completes::Command);
        assert_eq!(kind("hash", 1), Completes::Switch);
        assert_eq!(kind("rename", 2), Completes::Remote);
        assert_eq!(kind("pwd", 1), Completes::Nothing);
        assert_eq!(kind("nonsense", 1), Completes::Nothing);
    }

    #[test]
    fn local_names_and_commands() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pub")).unwrap();
        for name in ["pub/a b", "pub/ac", "pub/.hidden", "pub/\x1b[2J"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let mut names = local(dir.path(), "pub/a");
        names.sort();
        assert_eq!(names, ["pub/a b", "pub/ac"]);
        assert_eq!(local(dir.path(), "p"), ["pub/"]);
        assert_eq!(local(dir.path(), "pub/").len(), 2);
        assert_eq!(commands("mge"), ["mget"]);
    }
}
