//! `[site]`: what is served, and how the server presents itself.

use std::path::PathBuf;

use port21_proto::server::SessionSettings;
use port21_server::Settings;
use serde::Deserialize;

use super::mistake::Found;

/// The keys of the section; `site.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Site {
    pub(crate) root: Option<PathBuf>,
    pub(crate) greeting: String,
    pub(crate) host_name: Option<String>,
}

impl Default for Site {
    fn default() -> Site {
        Site { root: None, greeting: SessionSettings::default().greeting, host_name: None }
    }
}

impl Site {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if let Some(root) = &self.root
            && !root.is_dir()
        {
            found.at("root", format!("{} is no directory: make it, or name another", root.display()));
        }
        if self.greeting.contains(['\r', '\0']) {
            found.at("greeting", "it holds a CR or NUL");
        }
    }

    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.greeting.clone_from(&self.greeting);
        settings.session.host = self.host_name.clone().unwrap_or_else(machine_name);
    }
}

fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
