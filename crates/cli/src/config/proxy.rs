//! `[proxy]`: proxies in front of the server.

use port21_server::{Network, Settings};
use serde::Deserialize;

use super::deserialize_each;

/// The keys of the section; `proxy.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Proxy {
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) trusted: Vec<Network>,
}

impl Proxy {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.proxies.clone_from(&self.trusted);
    }
}
