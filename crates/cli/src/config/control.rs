//! `[control]`: the local socket by which a running server is asked and told.

use std::path::PathBuf;

use serde::Deserialize;

/// The keys of the section; `control.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Control {
    pub(crate) socket: Option<PathBuf>,
}
