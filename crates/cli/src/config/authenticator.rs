//! `[authenticator]`: a program that says who may log in.

use std::time::Duration;

use serde::Deserialize;

use super::mistake::Found;
use crate::units::deserialize_duration;

/// The keys of the section; `authenticator.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Authenticator {
    pub(crate) program: Vec<String>,
    #[serde(default = "default_timeout", deserialize_with = "deserialize_duration")]
    pub(crate) timeout: Duration,
    #[serde(default = "default_at_once")]
    pub(crate) at_once: usize,
    #[serde(default = "Topic::all")]
    pub(crate) may_answer: Vec<Topic>,
}

/// What an answer may set of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Topic {
    Home,
    Permissions,
    Quota,
    Rates,
    MaxSessions,
    Networks,
    TlsRequired,
    Uploads,
}

impl Topic {
    /// What a key of an answer is about; nothing where there is no such key.
    pub(crate) fn of(key: &str) -> Option<Topic> {
        Some(match key {
            "home" => Topic::Home,
            "permissions" | "paths" => Topic::Permissions,
            "quota" | "quota-files" => Topic::Quota,
            "rate-down" | "rate-up" | "session-rate-down" | "session-rate-up" => Topic::Rates,
            "max-sessions" => Topic::MaxSessions,
            "networks" => Topic::Networks,
            "tls-required" => Topic::TlsRequired,
            "umask" | "commit" | "upload-eof" | "shared" => Topic::Uploads,
            _ => return None,
        })
    }

    fn all() -> Vec<Topic> {
        vec![
            Topic::Home,
            Topic::Permissions,
            Topic::Quota,
            Topic::Rates,
            Topic::MaxSessions,
            Topic::Networks,
            Topic::TlsRequired,
            Topic::Uploads,
        ]
    }
}

impl Authenticator {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        match self.program.first() {
            None => found.at("program", "name a program"),
            Some(program) if !program.starts_with('/') => {
                found.at("program", format!("`{program}` is no absolute path: no PATH is searched for it"));
            }
            Some(_) => {}
        }
        if self.timeout.is_zero() {
            found.at("timeout", "0 leaves no time for anything");
        }
        if self.at_once == 0 || self.at_once > 1000 {
            found.at("at-once", format!("{} is not from 1 to 1000", self.at_once));
        }
    }
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_at_once() -> usize {
    8
}
