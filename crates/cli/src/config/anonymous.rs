//! `[anonymous]`: guests.

use port21_server::Settings;
use port21_server::storage::rules::PathPattern;
use serde::Deserialize;

use super::home::check_home;
use super::mistake::Found;
use crate::text::Text;
use crate::units::{Size, Umask};

/// The keys of the section; `anonymous.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Anonymous {
    pub(crate) enabled: bool,
    pub(crate) home: Option<String>,
    pub(crate) drop: Vec<Text<PathPattern>>,
    pub(crate) quota: Option<Text<Size>>,
    pub(crate) quota_files: Option<u64>,
    pub(crate) umask: Text<Umask>,
    pub(crate) max_sessions: Option<usize>,
    pub(crate) rate_down: Option<Text<Size>>,
    pub(crate) rate_up: Option<Text<Size>>,
    pub(crate) session_rate_down: Option<Text<Size>>,
    pub(crate) session_rate_up: Option<Text<Size>>,
}

impl Default for Anonymous {
    fn default() -> Anonymous {
        Anonymous {
            enabled: false,
            home: None,
            drop: Vec::new(),
            quota: None,
            quota_files: None,
            umask: Text(Umask(0o077)),
            max_sessions: None,
            rate_down: None,
            rate_up: None,
            session_rate_down: None,
            session_rate_up: None,
        }
    }
}

impl Anonymous {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.anonymous = self.enabled;
    }

    pub(super) fn check(&self, found: &mut Found<'_>) {
        if let Err(error) = check_home(self.home.as_deref()) {
            found.at("home", error.to_string());
        }
    }

    /// The rates that are below so many bytes a second.
    pub(super) fn rates_below(&self, least: u64) -> impl Iterator<Item = &'static str> {
        let rates = [
            ("rate-down", self.rate_down),
            ("rate-up", self.rate_up),
            ("session-rate-down", self.session_rate_down),
            ("session-rate-up", self.session_rate_up),
        ];
        rates.into_iter().filter(move |(_, rate)| rate.is_some_and(|rate| rate.0.0 < least)).map(|(key, _)| key)
    }
}
