//! `[uploads]`: how uploads become files.

use port21_server::Settings;
use port21_server::storage::CommitMode;
use serde::{Deserialize, Deserializer};

use crate::args::serve::Commit;

/// The keys of the section; `uploads.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Uploads {
    #[serde(deserialize_with = "deserialize_commit")]
    pub(crate) commit: CommitMode,
}

impl Uploads {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.commit = self.commit;
    }
}

fn deserialize_commit<'de, D: Deserializer<'de>>(from: D) -> Result<CommitMode, D::Error> {
    Commit::deserialize(from).map(CommitMode::from)
}
