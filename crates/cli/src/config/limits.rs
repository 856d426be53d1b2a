//! `[limits]`: how much peers may make the server hold.

use port21_server::Settings;
use serde::Deserialize;

/// The keys of the section; `limits.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        let server = Settings::default();
        Limits { connections: server.max_connections, connections_per_address: server.max_connections_per_address }
    }
}

impl Limits {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.max_connections = self.connections;
        settings.max_connections_per_address = self.connections_per_address;
    }
}
