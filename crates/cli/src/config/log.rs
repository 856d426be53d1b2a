//! `[log]`: what is written down for the operator.

use std::path::PathBuf;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::mistake::Found;

/// The keys of the section; `log.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: Format,
    pub(crate) file: Option<PathBuf>,
    pub(crate) xferlog: Option<PathBuf>,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info".to_owned(), format: Format::default(), file: None, xferlog: None }
    }
}

impl Log {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if let Err(error) = EnvFilter::try_new(&self.level) {
            found.at(
                "level",
                format!("`{}` is no level: write error, warn, info, debug or trace ({error})", self.level),
            );
        }
    }
}
