//! `[anonymous]`: guests.

use port21_server::Settings;
use serde::Deserialize;

/// The keys of the section; `anonymous.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Anonymous {
    pub(crate) enabled: bool,
}

impl Anonymous {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.anonymous = self.enabled;
    }
}
