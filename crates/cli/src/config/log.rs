//! `[log]`: what is written down for the operator.

use std::path::PathBuf;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
        // A filter takes any word for the name of a part of the program, and then lets nothing else through.
        let is_word = |part: &str| !part.contains(['=', '[']) && part.trim().parse::<LevelFilter>().is_err();
        let why = match EnvFilter::try_new(&self.level) {
            Err(error) => format!(" ({error})"),
            Ok(_) if self.level.split(',').any(is_word) => String::new(),
            Ok(_) => return,
        };
        found.at("level", format!("`{}` is no level: write error, warn, info, debug or trace{why}", self.level));
    }
}
