//! `[passive]`: data connections in passive mode.

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use port21_server::{Network, Settings};
use serde::{Deserialize, Deserializer};

use super::deserialize_each;
use super::mistake::Found;
use crate::args::client::parse_ports;
use crate::units::deserialize_duration;

/// The keys of the section; `passive.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Passive {
    #[serde(deserialize_with = "deserialize_ports")]
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) advertise: Option<String>,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) advertise_every: Duration,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) local_networks: Vec<Network>,
}

impl Default for Passive {
    fn default() -> Passive {
        let server = Settings::default();
        Passive {
            ports: server.passive_ports.unwrap_or(61000..=61999),
            advertise: None,
            advertise_every: Duration::from_secs(300),
            local_networks: server.local_networks,
        }
    }
}

impl Passive {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.advertise_every < Duration::from_secs(1) {
            found.at("advertise-every", "less than a second would flood the name server");
        }
        if let Some(host) = self.advertise.as_deref().filter(|host| host.parse::<Ipv6Addr>().is_ok()) {
            found.at("advertise", format!("{host} is no IPv4 address, and PASV can tell no other"));
        }
    }

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
