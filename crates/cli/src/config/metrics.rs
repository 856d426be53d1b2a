//! `[metrics]`: figures for Prometheus, and a check for supervisors.

use std::net::SocketAddr;

use serde::Deserialize;

/// The keys of the section; `metrics.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Metrics {
    pub(crate) listen: Option<SocketAddr>,
}
