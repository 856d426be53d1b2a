//! `[site]`: what is served, and how the server presents itself.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use port21_proto::server::SessionSettings;
use port21_server::Settings;
use serde::Deserialize;

use super::mistake::Found;
use super::zone::ListZone;

/// The keys of the section; `site.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Site {
    /// By which HOST and SNI ask for it.
    pub(crate) names: Vec<String>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) greeting: String,
    pub(crate) host_name: Option<String>,
    pub(crate) list_time_zone: ListZone,
}

impl Default for Site {
    fn default() -> Site {
        Site {
            names: Vec::new(),
            root: None,
            greeting: SessionSettings::default().greeting,
            host_name: None,
            list_time_zone: ListZone::default(),
        }
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
        if let Some(name) = self.names.iter().find(|name| !can_be_asked_for(name)) {
            found.at("names", format!("`{name}` is neither a host name nor an address as in 192.0.2.1, [2001:db8::1]"));
        }
    }

    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.names.clone_from(&self.names);
        settings.session.greeting.clone_from(&self.greeting);
        settings.session.list_zone = self.list_time_zone.0.clone();
        settings.session.host = self.host_name.clone().unwrap_or_else(machine_name);
    }
}

/// Whether HOST can say this name: no patterns, no port.
fn can_be_asked_for(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.strip_suffix('.').unwrap_or(name).split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }),
    }
}

fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
