//! The certificates of the server, from the settings to their renewal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use port21_server::TlsMode;
use port21_server::tls::settings::Authorities;
use port21_server::tls::{
    CertificateError, Certificates, ClientCertificates, Files, OwnFiles, Pair, SessionReuse, TlsSettings, self_signed,
};
use tokio::time::MissedTickBehavior;

use super::running::Running;
use crate::config::tls::{ClientCertificates as Asked, Minimum, SessionReuse as Reuse};
use crate::config::{Certificate, Config};
use crate::exit::{Exit, Fault};
use crate::helper::Helper;

/// How often it is looked whether a certificate was renewed.
const LOOK: Duration = Duration::from_secs(60);

/// What TLS needs, read from its files; nothing where no place speaks it. A self-signed pair is made where none is named.
///
/// It waits for the files: it is not for tasks.
pub(crate) fn open(config: &Config, reach: Reach) -> anyhow::Result<Option<TlsSettings>> {
    if config.listen.iter().all(|listen| config.tls_at(listen) == TlsMode::Off) {
        return Ok(None);
    }
    let unusable = |error: CertificateError| Fault::new(Exit::Local, error.to_string());
    let mut pairs = if config.certificates.is_empty() {
        vec![self_signed::keep(self_signed_directory(config)?, &config.settings().session.host).map_err(unusable)?]
    } else {
        config.certificates.iter().map(pair).collect()
    };
    pairs.extend(of_hosts(config).map(pair));
    let mut settings =
        TlsSettings::new(Arc::new(Certificates::read_by(pairs, Arc::new(reach.clone())).map_err(unusable)?));
    settings.only_tls13 = config.tls.minimum == Minimum::Tls13;
    settings.reuse = match config.tls.session_reuse {
        Reuse::Require => SessionReuse::Require,
        Reuse::Prefer => SessionReuse::Prefer,
        Reuse::Off => SessionReuse::Off,
    };
    if let Some(file) = &config.tls.client_authorities {
        settings.client_certificates = match config.tls.client_certificates {
            Asked::None => ClientCertificates::None,
            Asked::Request => ClientCertificates::Request(Authorities::read_by(file, &reach).map_err(unusable)?),
            Asked::Require => ClientCertificates::Require(Authorities::read_by(file, &reach).map_err(unusable)?),
        };
    }
    Ok(Some(settings))
}

/// Those of the hosts, which follow those of the server.
pub(super) fn of_hosts(config: &Config) -> impl Iterator<Item = &Certificate> {
    config.hosts.iter().filter_map(|host| host.certificate.as_ref())
}

/// Whether the certificate of each host that has one is for it: another would never be shown.
///
/// # Errors
/// Where it is not.
pub(super) fn check_hosts(config: &Config, certificates: &Certificates) -> anyhow::Result<()> {
    let with_certificate = config.hosts.iter().filter_map(|host| Some((host.name(), host.certificate.as_ref()?)));
    let strange = with_certificate.filter(|(name, _)| !certificates.knows(name));
    let faults: Vec<String> = strange
        .map(|(name, pair)| format!("`host.certificate`: {} is not for {name}: name one that is", pair.chain.display()))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Fault::each(Exit::Local, faults).into()) }
}

fn pair(certificate: &Certificate) -> Pair {
    Pair { chain: certificate.chain.clone(), key: certificate.key.clone() }
}

/// The files that [`open`] reads.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let named = config.certificates.iter().chain(of_hosts(config));
    let mut files: Vec<PathBuf> = named.flat_map(|pair| [pair.chain.clone(), pair.key.clone()]).collect();
    if config.certificates.is_empty()
        && let Ok(dir) = self_signed_directory(config)
    {
        let Pair { chain, key } = self_signed::pair(dir);
        files.extend([chain, key]);
    }
    files.extend(config.tls.client_authorities.clone());
    files
}

/// How certificates are reached: with the rights of the server at first, then by the helper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach(Arc<OnceLock<Helper>>);

impl Reach {
    /// From now on by the helper.
    pub(super) fn goes_by(&self, helper: Helper) {
        // It is said once, at the start.
        let _ = self.0.set(helper);
    }
}

impl Files for Reach {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        match self.0.get() {
            Some(helper) => helper.read_and_wait(file).map(String::into_bytes),
            None => OwnFiles.read(file),
        }
    }

    fn changed(&self, file: &Path) -> Option<SystemTime> {
        match self.0.get() {
            Some(helper) => Some(helper.look_and_wait(file).ok()?.modified()),
            None => OwnFiles.changed(file),
        }
    }
}

/// The files and fingerprints, a line each: what a client can be told to trust, and what a user compares who is asked
/// whether to.
pub(super) fn fingerprints(config: &Config, certificates: &Certificates) -> String {
    let kind = |at| if at == 0 && config.certificates.is_empty() { "Self-signed certificate" } else { "Certificate" };
    let each = certificates.fingerprints().into_iter().enumerate();
    each.map(|(at, (file, fingerprint))| {
        format!("{} {}, SHA-256 fingerprint {fingerprint}\n", kind(at), file.display())
    })
    .collect()
}

/// Reads certificates again whose files have changed, beside serving. One that cannot be used is told, and the one before
/// stays.
pub(super) async fn renew(running: Arc<Running>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // As it is now: a reload may have named others.
        let Some(tls) = running.tls() else { continue };
        match tokio::task::spawn_blocking(move || tls.certificates.reload_if_changed()).await {
            Ok(Ok(true)) => tracing::info!("new certificates"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "certificates have changed and cannot be used: the old ones stay"),
            // The runtime ends.
            Err(_) => return,
        }
    }
}

fn self_signed_directory(config: &Config) -> anyhow::Result<PathBuf> {
    config.tls.self_signed.clone().map_or_else(state_directory, Ok)
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
