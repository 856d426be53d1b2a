//! `[limits]`: how much peers may make the server hold.

use std::time::Duration;

use port21_server::Settings;
use serde::Deserialize;

use super::Anonymous;
use super::mistake::Found;
use crate::units::{deserialize_duration, deserialize_size};

/// The keys of the section; `limits.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    #[serde(deserialize_with = "deserialize_size")]
    pub(crate) minimum_rate: u64,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) minimum_rate_window: Duration,
    pub(crate) commands_per_second: u32,
    pub(crate) command_burst: u32,
    pub(crate) unknown_commands: u32,
    pub(crate) digests: usize,
    #[serde(deserialize_with = "deserialize_size")]
    pub(crate) guest_digest_bytes: u64,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) quota_recount: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let server = Settings::default();
        Limits {
            connections: server.max_connections,
            connections_per_address: server.max_connections_per_address,
            minimum_rate: server.session.min_rate,
            minimum_rate_window: server.session.min_rate_window,
            commands_per_second: server.session.command_rate,
            command_burst: server.session.command_burst,
            unknown_commands: server.session.max_nonsense,
            digests: server.digests,
            guest_digest_bytes: server.session.guest_digest_limit,
            quota_recount: Duration::from_secs(3600),
        }
    }
}

impl Limits {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        for (key, most) in
            [("connections", self.connections), ("connections-per-address", self.connections_per_address)]
        {
            if most == 0 {
                found.at(key, "nobody could connect: write at least 1");
            }
        }
    }

    /// Whether the guests' rates are above the minimum.
    pub(super) fn check_guests(&self, guests: &Anonymous, found: &mut Found<'_>) {
        for key in guests.rates_below(self.minimum_rate) {
            found.at(key, self.too_slow());
        }
    }

    /// What is wrong with a rate below the minimum.
    pub(super) fn too_slow(&self) -> String {
        let least = self.minimum_rate;
        format!(
            "every transfer would be cut off as one that crawls: `minimum-rate` of [limits] is {least} bytes a second"
        )
    }

    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.max_connections = self.connections;
        settings.max_connections_per_address = self.connections_per_address;
        settings.session.min_rate = self.minimum_rate;
        settings.session.min_rate_window = self.minimum_rate_window;
        settings.session.command_rate = self.commands_per_second;
        settings.session.command_burst = self.command_burst;
        settings.session.max_nonsense = self.unknown_commands;
        settings.digests = self.digests;
        settings.session.guest_digest_limit = self.guest_digest_bytes;
    }
}
