//! The server's own log: where it goes, what is in it, and how that changes while it runs.

use std::io::IsTerminal as _;
use std::os::unix::fs::chown;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use super::lines::{LineWriter, Lines};
use crate::config::Log as Settings;
use crate::config::log::Format;
use crate::exit::sentences;

/// The log of a server that runs. Dropped, it is written to its end.
pub(super) struct Log {
    lines: Lines,
    /// Sets the level; where flags or the environment have set it, nothing does.
    set: Option<SetLevel>,
}

type SetLevel = Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>;

impl Log {
    /// Takes all messages of this process from now on; they are written once [`Log::begin`] was called. `flags` is the
    /// level that the command line says.
    pub(super) fn new(settings: &Settings, flags: Option<&str>) -> Log {
        let lines = Lines::new(settings.file.clone());
        let (filter, fixed) = match (EnvFilter::try_from_default_env(), flags) {
            (Ok(filter), _) => (filter, true),
            (Err(_), Some(level)) => (EnvFilter::new(level), true),
            (Err(_), None) => (EnvFilter::new(&settings.level), false),
        };
        let terminal = settings.file.is_none() && std::io::stderr().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let writer = lines.clone();
        let (filter, handle) = reload::Layer::new(filter);
        let layer = tracing_subscriber::fmt::layer().with_writer(move || LineWriter(writer.clone())).with_target(false);
        match settings.format {
            Format::Text => tracing_subscriber::registry().with(filter).with(layer.with_ansi(colours)).init(),
            Format::Json => tracing_subscriber::registry().with(filter).with(layer.json().flatten_event(true)).init(),
        }
        let set: SetLevel = Box::new(move |filter| Ok(handle.reload(filter)?));
        Log { lines, set: (!fixed).then_some(set) }
    }

    /// Begins to write.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        self.lines.begin()
    }

    /// Writes this down, last of all: the server does not start, or has failed. `owner`: whom the file is to belong to.
    /// Nothing where it goes to standard error, which is told anyway.
    pub(super) fn failed(lines: &Lines, error: &anyhow::Error, owner: Option<(u32, u32)>) {
        if let Some(path) = lines.path() {
            sentences(error).iter().for_each(|line| tracing::error!("{line}"));
            lines.flush();
            if let Some((uid, gid)) = owner {
                // Where it is not there nothing could be written.
                let _ = chown(&path, Some(uid), Some(gid));
            }
        }
    }

    /// Where its lines are put.
    pub(super) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Takes the level of new settings.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn set_level(&self, settings: &Settings) -> anyhow::Result<()> {
        match &self.set {
            Some(set) => set(EnvFilter::try_new(&settings.level)?),
            None => Ok(()),
        }
    }

    /// Opens the file anew.
    pub(super) fn reopen(&self) {
        self.lines.reopen();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.flush();
    }
}
