//! `[sandbox]`: what the server gives up before it serves.

use clap::ValueEnum;
use serde::Deserialize;

use super::mistake::Found;

/// The keys of the section; `sandbox.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Sandbox {
    pub(crate) mode: Mode,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
}

/// How much of the sandbox there has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// None: the server keeps all rights that it was started with.
    Off,
    /// As much as this system can; what it cannot is warned about.
    #[default]
    Try,
    /// All of it, or the server does not start.
    Require,
}

impl Sandbox {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.group.is_some() && self.user.is_none() {
            found.at("group", "it goes with a `user`: name that too");
        }
        if self.user.is_some() && self.mode == Mode::Off {
            found.at("user", "nobody becomes that user while `mode` is \"off\": take \"try\", or leave it out");
        }
    }
}
