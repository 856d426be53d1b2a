//! The view: sessions in a terminal, to walk through and to watch while they go on. The list of sessions leads to the ladder of
//! one, and that to a single message with its bytes.
//!
//! What is shown is a value ([`View`]) that keys change and frames are drawn from, without a terminal: so are the tests. Rows
//! are those of [`port21_trace::render::Sheet`], of which what is in view is laid out and nothing else.
//!
//! | module | what it is |
//! |---|---|
//! | `app` | what is shown, and what keys do to it |
//! | `keys` | the one table of keys, of which the help and docs/view.md are |
//! | `held` | sessions, whole ones and those that go on |
//! | `sessions`, `ladder`, `findings`, `message` | the four places where one can be |
//! | `filter`, `ask` | which rows are shown; a line that is typed |
//! | `frames` | the frames of a message, found in its captures |
//! | `style` | lines of the drawing as cells of a terminal |
//! | `terminal`, `feed` | keys and frames; what tells of sessions that go on |

mod app;
mod ask;
mod feed;
mod filter;
mod findings;
mod frames;
mod held;
mod keys;
mod ladder;
mod message;
mod sessions;
mod style;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use port21_trace::findings::Severity;
use port21_trace::recording::Recording;

use crate::args::trace::TraceArgs;

pub(super) use app::{Settings, View, named};
pub(super) use feed::Feed;
use frames::Finder;

/// Whether the view is what was asked for: standard output is a terminal, and nothing asks for text or a file.
pub(super) fn is_wanted(args: &TraceArgs) -> bool {
    let otherwise = args.plain || args.list || args.format.is_some() || args.width.is_some() || !args.output.is_empty();
    // The view shows no passwords.
    let otherwise = otherwise || args.show_secrets;
    let all = args.session.as_deref() == Some("all") && !args.follow;
    let term = std::env::var_os("TERM");
    let is_able = term.is_some_and(|term| !term.is_empty() && term != "dumb");
    !otherwise && !all && is_able && io::stdout().is_terminal()
}

/// Shows sessions of these files; the one of this index is opened.
pub(super) fn show(
    recording: Recording,
    open: Option<usize>,
    settings: Settings,
    files: &[PathBuf],
) -> anyhow::Result<Option<Severity>> {
    let mut view = View::of(recording, open, settings);
    terminal::run(&mut view, &mut Feed::None, Finder::of(files.to_vec()))?;
    Ok(view.worst())
}

/// Shows sessions while they go on.
pub(super) fn watch(mut feed: Feed, settings: Settings) -> anyhow::Result<Option<Severity>> {
    let mut view = View::growing(settings);
    terminal::run(&mut view, &mut feed, Finder::default())?;
    Ok(view.worst())
}
