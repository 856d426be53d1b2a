//! `[[listen]]`: where to listen, a table for each place.

use serde::Deserialize;

use super::deserialize_from_str;
use crate::args::serve::{ListenAddr, ListenArg, Tls};

/// The keys of one table; `listen.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Listen {
    #[serde(deserialize_with = "deserialize_from_str")]
    pub(crate) address: ListenAddr,
    /// As `mode` of `[tls]`, where it is nothing.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

impl Default for Listen {
    fn default() -> Listen {
        Listen::at(ListenAddr::DEFAULT)
    }
}

impl Listen {
    /// A place with nothing but its address.
    pub(crate) fn at(address: ListenAddr) -> Listen {
        Listen { address, tls: None, name: None }
    }
}

impl From<ListenArg> for Listen {
    fn from(ListenArg { address, tls }: ListenArg) -> Listen {
        Listen { address, tls, name: None }
    }
}
