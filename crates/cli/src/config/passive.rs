//! `[passive]`: data connections in passive mode.

use std::ops::RangeInclusive;

use port21_server::{Network, Settings};
use serde::{Deserialize, Deserializer};

use super::deserialize_each;
use crate::args::client::parse_ports;

/// The keys of the section; `passive.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Passive {
    #[serde(deserialize_with = "deserialize_ports")]
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) advertise: Option<String>,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) local_networks: Vec<Network>,
}

impl Default for Passive {
    fn default() -> Passive {
        let server = Settings::default();
        Passive {
            ports: server.passive_ports.unwrap_or(61000..=61999),
            advertise: None,
            local_networks: server.local_networks,
        }
    }
}

impl Passive {
    /// All but `advertise`, which has to be resolved.
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.passive_ports = Some(self.ports.clone());
        settings.local_networks.clone_from(&self.local_networks);
    }
}

fn deserialize_ports<'de, D: Deserializer<'de>>(from: D) -> Result<RangeInclusive<u16>, D::Error> {
    let text = String::deserialize(from)?;
    parse_ports(&text).map_err(serde::de::Error::custom)
}
