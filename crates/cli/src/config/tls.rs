//! `[tls]` and `[[certificate]]`: whether the connections are protected, and with what.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use port21_server::Settings;
use port21_server::tls::{Pair, self_signed};
use serde::Deserialize;

use super::Config;
use super::mistake::Found;
use crate::args::serve::Tls as Mode;
use crate::exit::Fault;
use crate::units::deserialize_duration;

/// The keys of the section; `tls.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Tls {
    pub(crate) mode: Mode,
    pub(crate) minimum: Minimum,
    pub(crate) session_reuse: SessionReuse,
    pub(crate) protect_data: Option<bool>,
    pub(crate) ccc: bool,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) handshake: Duration,
    pub(crate) client_certificates: ClientCertificates,
    pub(crate) client_authorities: Option<PathBuf>,
    pub(crate) self_signed: Option<PathBuf>,
}

/// The keys of a table `[[certificate]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Minimum {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// As [`port21_server::tls::SessionReuse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionReuse {
    #[default]
    Require,
    Prefer,
    Off,
}

/// As [`port21_server::tls::ClientCertificates`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificates {
    #[default]
    None,
    Request,
    Require,
}

impl Default for Tls {
    fn default() -> Tls {
        let session = Settings::default().session;
        Tls {
            mode: Mode::Off,
            minimum: Minimum::default(),
            session_reuse: SessionReuse::default(),
            protect_data: session.tls.protect_data,
            ccc: session.tls.allow_ccc,
            handshake: session.tls.handshake_timeout,
            client_certificates: ClientCertificates::default(),
            client_authorities: None,
            self_signed: None,
        }
    }
}

impl Tls {
    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.client_certificates != ClientCertificates::None && self.client_authorities.is_none() {
            found.at("client-certificates", "name the file of the authorities that are believed: `client-authorities`");
        }
    }

    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.tls.protect_data = self.protect_data;
        settings.session.tls.allow_ccc = self.ccc;
        settings.session.tls.handshake_timeout = self.handshake;
    }

    /// Where a self-signed pair is kept.
    ///
    /// # Errors
    /// Where none is named and nothing says what is usual.
    pub(crate) fn self_signed_directory(&self) -> anyhow::Result<PathBuf> {
        self.self_signed.clone().map_or_else(state_directory, Ok)
    }
}

impl Config {
    /// The certificates of the hosts, which follow those of the server.
    pub(crate) fn host_certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.hosts.iter().filter_map(|host| host.certificate.as_ref())
    }

    /// All files that TLS is read from, whether it is spoken or not.
    pub(crate) fn tls_files(&self) -> Vec<PathBuf> {
        let named = self.certificates.iter().chain(self.host_certificates());
        let mut files: Vec<PathBuf> = named.flat_map(|pair| [pair.chain.clone(), pair.key.clone()]).collect();
        if self.certificates.is_empty()
            && let Ok(dir) = self.tls.self_signed_directory()
        {
            let Pair { chain, key } = self_signed::pair(dir);
            files.extend([chain, key]);
        }
        files.extend(self.tls.client_authorities.clone());
        files
    }
}

/// Where a server keeps what it makes: as systemd says, or as is usual for the system's and for a user's own.
fn state_directory() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dirs) = variable("STATE_DIRECTORY") {
        return std::env::split_paths(&dirs).next().context("STATE_DIRECTORY names no directory");
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/port21".into());
    }
    let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| Fault::usage("no HOME to keep a certificate in: set `self-signed` in [tls]"))?;
    Ok(state.join("port21"))
}
