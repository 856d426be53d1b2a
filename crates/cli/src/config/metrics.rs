//! `[metrics]`: figures for Prometheus, and a check for supervisors.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The keys of the section; `metrics.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Metrics {
    #[serde(deserialize_with = "deserialize_listen")]
    pub(crate) listen: Option<SocketAddr>,
}

/// All addresses at once would be no good default for what has no password: it is not to be had by leaving the address out.
fn deserialize_listen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("`{text}` is no address with a port: write one, such as 127.0.0.1:9121")))
}
