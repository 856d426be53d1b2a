//! `[timeouts]`: how long the server waits.

use std::time::Duration;

use port21_server::Settings;
use serde::Deserialize;

use super::mistake::Found;
use crate::units::deserialize_duration;

/// The keys of the section; `timeouts.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Timeouts {
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) login: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) data_open: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) stall: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let server = Settings::default();
        Timeouts {
            login: server.session.login_timeout,
            idle: server.session.idle_timeout,
            data_open: server.session.data_open_timeout,
            stall: server.session.stall_timeout,
            shutdown: server.shutdown_grace,
        }
    }
}

impl Timeouts {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        let waits = [("login", self.login), ("idle", self.idle), ("data-open", self.data_open), ("stall", self.stall)];
        for (key, wait) in waits {
            if wait.is_zero() {
                found.at(key, "nobody would be waited for at all, and so nobody served: write at least \"1s\"");
            }
        }
    }

    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.login_timeout = self.login;
        settings.session.idle_timeout = self.idle;
        settings.session.data_open_timeout = self.data_open;
        settings.session.stall_timeout = self.stall;
        settings.shutdown_grace = self.shutdown;
    }
}
