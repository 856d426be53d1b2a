//! `[record]`: recordings of sessions.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::mistake::Found;
use crate::units::{deserialize_duration, deserialize_size};

/// Less would hold hardly any session.
const LEAST: u64 = 1 << 20;

/// The keys of the section; `record.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Record {
    pub(crate) directory: Option<PathBuf>,
    #[serde(deserialize_with = "deserialize_size")]
    pub(crate) max_size: u64,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) keep: Duration,
}

impl Default for Record {
    fn default() -> Record {
        Record { directory: None, max_size: 1 << 30, keep: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl Record {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.max_size < LEAST {
            found.at("max-size", "it is at least 1MiB: less would hold hardly any session");
        }
        if self.keep < Duration::from_secs(60) {
            found.at("keep", "it is at least a minute: nobody could look at what is gone sooner");
        }
    }
}
