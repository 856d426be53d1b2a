//! `[[hook]]`: what is done when somebody logs in or a file was moved or removed.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::mistake::Found;
use crate::units::deserialize_duration;

/// The keys of one table; `hooks.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Hook {
    pub(crate) on: Vec<Occasion>,
    #[serde(default)]
    pub(crate) program: Vec<String>,
    #[serde(default)]
    pub(crate) url: Option<Url>,
    /// Authorities that are believed for an https URL; nothing: those of the system.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
    #[serde(default = "default_timeout", deserialize_with = "deserialize_duration")]
    pub(crate) timeout: Duration,
    #[serde(default = "default_tries")]
    pub(crate) tries: u32,
    #[serde(default = "default_parallel")]
    pub(crate) parallel: usize,
    #[serde(default = "default_queue")]
    pub(crate) queue: usize,
}

/// What a hook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Occasion {
    Login,
    LoginFailed,
    Download,
    Upload,
    Delete,
    Rename,
    Mkdir,
    Rmdir,
}

impl Occasion {
    /// As the file has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Occasion::Login => "login",
            Occasion::LoginFailed => "login-failed",
            Occasion::Download => "download",
            Occasion::Upload => "upload",
            Occasion::Delete => "delete",
            Occasion::Rename => "rename",
            Occasion::Mkdir => "mkdir",
            Occasion::Rmdir => "rmdir",
        }
    }
}

impl Hook {
    /// Whether it is told over TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.on.is_empty() {
            found.at("on", "name at least one of login, login-failed, download, upload, delete, rename, mkdir, rmdir");
        }
        match (self.program.first(), &self.url) {
            (Some(_), Some(_)) => found.at("url", "a hook is a `program` or a `url`, not both"),
            (None, None) => found.at("program", "a hook needs a `program` or a `url`"),
            (Some(program), None) if !program.starts_with('/') => {
                found.at("program", format!("`{program}` is no absolute path: no PATH is searched for hooks"));
            }
            (None, Some(url)) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                found.at("url", format!("{url} is neither http nor https: put a program such as curl here"));
            }
            (None, Some(url)) if !url.username().is_empty() || url.password().is_some() => {
                found.at("url", "it holds a password, which would not be sent: put a program here");
            }
            _ => {}
        }
        if self.ca.is_some() && !self.speaks_tls() {
            found.at("ca", "it is for a `url` of https");
        }
        for (key, value, most) in
            [("tries", self.tries as usize, 100), ("parallel", self.parallel, 100), ("queue", self.queue, 1_000_000)]
        {
            if value == 0 || value > most {
                found.at(key, format!("{value} is not from 1 to {most}"));
            }
        }
        if self.timeout.is_zero() {
            found.at("timeout", "0 leaves no time for anything");
        }
    }
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_tries() -> u32 {
    3
}

fn default_parallel() -> usize {
    1
}

fn default_queue() -> usize {
    1000
}
