//! `[record]`: recordings of sessions.

use std::path::PathBuf;

use serde::Deserialize;

/// The keys of the section; `record.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Record {
    pub(crate) directory: Option<PathBuf>,
}
