//! The certificates of the server, from the settings to their renewal.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use port21_server::TlsMode;
use port21_server::tls::{
    Authorities, CertificateError, Certificates, ClientCertificates, Files, OwnFiles, Pair, SessionReuse, TlsSettings,
    self_signed,
};
use tokio::time::MissedTickBehavior;

use super::findings;
use super::running::Running;
use crate::config::mistake::Mistake;
use crate::config::tls::{ClientCertificates as Asked, Minimum, SessionReuse as Reuse};
use crate::config::{Certificate, Config};
use crate::exit::{Exit, Fault};
use crate::helper::Helper;

/// How often it is looked whether a certificate was renewed.
const LOOK: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a certificate is warned about, each day.
const WARN_AHEAD: Duration = DAY.saturating_mul(14);

/// What TLS needs, read from its files; nothing where no place speaks it. A self-signed pair is made where none is named.
///
/// It waits for the files: it is not for tasks.
///
/// # Errors
/// A `CertificateError`, most often; `CertificateError::Make` where the pair cannot be made.
pub(crate) fn open(config: &Config, reach: Reach) -> anyhow::Result<Option<TlsSettings>> {
    if !is_spoken(config) {
        return Ok(None);
    }
    let made = match config.certificates.is_empty() {
        true => Some(self_signed::keep(config.tls.self_signed_directory()?, &config.settings().session.host)?),
        false => None,
    };
    read(config, made, Arc::new(reach)).map(Some)
}

/// What [`open`] would give, for who only wants to know.
pub(super) struct Expected {
    pub(super) settings: TlsSettings,
    /// Where a self-signed pair would be made, as there is none yet: then the first certificate is one that nobody will see.
    pub(super) to_be_made: Option<PathBuf>,
}

/// As [`open`], without making anything.
///
/// # Errors
/// As [`open`], but that the pair cannot be made.
pub(super) fn expect(config: &Config) -> anyhow::Result<Option<Expected>> {
    if !is_spoken(config) {
        return Ok(None);
    }
    if !config.certificates.is_empty() {
        let settings = read(config, None, Arc::new(OwnFiles))?;
        return Ok(Some(Expected { settings, to_be_made: None }));
    }
    let dir = config.tls.self_signed_directory()?;
    let pair = self_signed::pair(&dir);
    let (files, to_be_made): (Arc<dyn Files>, _) = match pair.chain.exists() && pair.key.exists() {
        true => (Arc::new(OwnFiles), None),
        false => {
            let made = self_signed::make(&config.settings().session.host)?;
            (Arc::new(Imagined { pair: pair.clone(), made }), Some(dir))
        }
    };
    Ok(Some(Expected { settings: read(config, Some(pair), files)?, to_be_made }))
}

pub(super) fn is_spoken(config: &Config) -> bool {
    config.listen.iter().any(|listen| config.tls_at(listen) != TlsMode::Off)
}

/// Reads all that is named. `own`: the pair of a server for which none is.
fn read(config: &Config, own: Option<Pair>, files: Arc<dyn Files>) -> anyhow::Result<TlsSettings> {
    read_all(config, own, files.clone()).map_err(|error| located(config, error, &files))
}

/// What is wrong with files that cannot be used, each with its key and line.
pub(super) fn located(config: &Config, error: CertificateError, files: &Arc<dyn Files>) -> anyhow::Error {
    let mistakes = findings::of_tls(config, files).mistakes;
    if mistakes.is_empty() {
        // They can be by now, or it is something else.
        return error.into();
    }
    Fault::each(Exit::Local, mistakes.into_iter().map(|mistake| config.tell(mistake)).collect()).into()
}

fn read_all(config: &Config, own: Option<Pair>, files: Arc<dyn Files>) -> Result<TlsSettings, CertificateError> {
    let named = config.certificates.iter().chain(config.host_certificates()).map(pair);
    let pairs = own.into_iter().chain(named).collect();
    let mut settings = TlsSettings::new(Arc::new(Certificates::read_by(pairs, files.clone())?));
    settings.only_tls13 = config.tls.minimum == Minimum::Tls13;
    settings.reuse = match config.tls.session_reuse {
        Reuse::Require => SessionReuse::Require,
        Reuse::Prefer => SessionReuse::Prefer,
        Reuse::Off => SessionReuse::Off,
    };
    if let Some(file) = &config.tls.client_authorities {
        settings.client_certificates = match config.tls.client_certificates {
            Asked::None => ClientCertificates::None,
            Asked::Request => ClientCertificates::Request(Authorities::read_by(file, files)?),
            Asked::Require => ClientCertificates::Require(Authorities::read_by(file, files)?),
        };
    }
    Ok(settings)
}

/// A pair as if it were in its files.
struct Imagined {
    pair: Pair,
    made: self_signed::Made,
}

impl fmt::Debug for Imagined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Imagined")
    }
}

impl Files for Imagined {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        match file {
            file if file == self.pair.chain => Ok(self.made.chain.clone().into_bytes()),
            file if file == self.pair.key => Ok(self.made.key.expose().to_vec()),
            file => OwnFiles.read(file),
        }
    }

    fn changed(&self, file: &Path) -> Option<SystemTime> {
        OwnFiles.changed(file)
    }
}

/// Whether the certificate of each host that has one is for it: another would never be shown.
///
/// # Errors
/// Where it is not.
pub(super) fn check_hosts(config: &Config, certificates: &Certificates) -> anyhow::Result<()> {
    let faults: Vec<String> =
        strange_to_hosts(config, |name| certificates.knows(name)).map(|mistake| config.tell(mistake)).collect();
    if faults.is_empty() { Ok(()) } else { Err(Fault::each(Exit::Local, faults).into()) }
}

/// The certificates of hosts whose name none of them `knows`.
pub(super) fn strange_to_hosts(config: &Config, knows: impl Fn(&str) -> bool) -> impl Iterator<Item = Mistake> {
    let with_certificate =
        config.hosts.iter().enumerate().filter_map(|(at, host)| Some((at, host.name(), host.certificate.as_ref()?)));
    with_certificate.filter(move |(_, name, _)| !knows(name)).map(|(at, name, pair)| {
        let text = format!("{} is not for {name}: name one that is", pair.chain.display());
        Mistake::of_key(format!("host[{at}].certificate.chain"), text)
    })
}

/// The settings that the pairs are named by, in the order of [`Certificates::validity`], and what they name. Without any there
/// is a pair that the server has made.
pub(super) fn pairs(config: &Config) -> Vec<(String, Pair)> {
    let own = config.tls.self_signed_directory().ok().filter(|_| config.certificates.is_empty());
    let own = own.map(|dir| ("tls.self-signed".to_owned(), self_signed::pair(dir)));
    let named = config.certificates.iter().enumerate().map(|(at, named)| (format!("certificate[{at}]"), pair(named)));
    let hosts = config.hosts.iter().enumerate();
    let of_hosts =
        hosts.filter_map(|(at, host)| Some((format!("host[{at}].certificate"), pair(host.certificate.as_ref()?))));
    own.into_iter().chain(named).chain(of_hosts).collect()
}

fn pair(certificate: &Certificate) -> Pair {
    Pair { chain: certificate.chain.clone(), key: certificate.key.clone() }
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

/// The files, ends and fingerprints, a line each: what a client can be told to trust, and what a user compares who is asked
/// whether to. `to_be_made`: the first one is not there yet.
pub(super) fn shown(config: &Config, certificates: &Certificates, to_be_made: bool) -> String {
    let kind = |at| if at == 0 && config.certificates.is_empty() { "Self-signed certificate" } else { "Certificate" };
    let each = certificates.fingerprints().into_iter().zip(certificates.validity()).enumerate();
    each.map(|(at, ((file, fingerprint), (_, valid)))| match at == 0 && to_be_made {
        true => format!("{} {}: there is none yet, the server makes one\n", kind(at), file.display()),
        false => {
            let until = date(valid.end).map(|date| format!(", until {date}")).unwrap_or_default();
            format!("{} {}{until}, SHA-256 fingerprint {fingerprint}\n", kind(at), file.display())
        }
    })
    .collect()
}

/// What is wrong with the times of certificates, or will be soon: a sentence each.
pub(super) fn overdue(certificates: &Certificates, now: SystemTime) -> Vec<String> {
    overdue_in_order(certificates, now).into_iter().flatten().collect()
}

/// As [`overdue`], a place for each certificate.
fn overdue_in_order(certificates: &Certificates, now: SystemTime) -> Vec<Option<String>> {
    let told = |(file, valid): (&Path, Range<SystemTime>)| {
        let (file, begin, end) = (file.display(), date(valid.start)?, date(valid.end)?);
        if now < valid.start {
            return Some(format!(
                "the certificate {file} is good from {begin} on: is the clock of this machine right?"
            ));
        }
        let Some(left) = valid.end.duration_since(now).ok().filter(|left| !left.is_zero()) else {
            return Some(format!("the certificate {file} has expired on {end}: clients refuse it until it is renewed"));
        };
        // One that is good for some days is renewed every few.
        let ahead = valid.end.duration_since(valid.start).map_or(WARN_AHEAD, |whole| WARN_AHEAD.min(whole / 3));
        let days = left.as_secs() / DAY.as_secs();
        (left < ahead).then(|| format!("the certificate {file} expires on {end}, in {days} days: renew it"))
    };
    certificates.validity().into_iter().map(told).collect()
}

/// Logs what [`overdue`] says, with key and line.
pub(super) fn warn_of_overdue(config: &Config, certificates: &Certificates) {
    let told = overdue_in_order(certificates, SystemTime::now()).into_iter().zip(pairs(config));
    let told = told.filter_map(|(told, (key, _))| Some(Mistake::of_key(format!("{key}.chain"), told?)));
    told.for_each(|mistake| tracing::warn!("{}", config.tell(mistake)));
}

/// None for the end of what has no end (RFC 5280 section 4.1.2.5: the year 9999).
fn date(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Reads certificates, and authorities of clients, again whose files have changed, beside serving. What cannot be used is told,
/// and what was before stays.
pub(super) async fn renew(running: Arc<Running>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned: Option<Instant> = None;
    loop {
        looks.tick().await;
        // As it is now: a reload may have named others.
        let Some(tls) = running.tls() else { continue };
        let certificates = tls.certificates.clone();
        match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
            Ok(Ok(true)) => {
                tracing::info!("took up new certificates");
                warned = None;
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "certificates have changed and cannot be used: the old ones stay"),
            // The runtime ends.
            Err(_) => return,
        }
        if warned.is_none_or(|at| at.elapsed() >= DAY) {
            warn_of_overdue(&running.config(), &certificates);
            warned = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Good from the beginning of one year to that of another.
    fn certificate(dir: &Path, from: i32, until: i32) -> Certificates {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pair = Pair { chain: dir.join("chain.pem"), key: dir.join("key.pem") };
        std::fs::write(&pair.chain, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        Certificates::read(vec![pair]).unwrap()
    }

    #[test]
    fn a_certificate_is_warned_about_before_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let certificates = certificate(dir.path(), 2020, 2021);
        let end = certificates.validity()[0].1.end;
        let at = |time: SystemTime| overdue(&certificates, time).pop().unwrap_or_default();
        assert_eq!(at(end - WARN_AHEAD), "");
        let soon = at(end - WARN_AHEAD + Duration::from_secs(1));
        assert!(soon.ends_with("chain.pem expires on 2021-01-01 00:00 UTC, in 13 days: renew it"), "{soon}");
        assert!(at(end - Duration::from_secs(1)).contains("in 0 days"));
        assert!(at(end).contains("has expired on 2021-01-01") && at(end + DAY).contains("has expired"));
        assert!(at(SystemTime::UNIX_EPOCH).contains("is good from 2020-01-01 00:00 UTC on"));
        assert!(
            shown(&Config::default(), &certificates, false).contains("chain.pem, until 2021-01-01 00:00 UTC, SHA-256")
        );
    }

    #[test]
    fn one_without_an_end_is_not_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let certificates = Certificates::read(vec![self_signed::keep(dir.path(), "a.example").unwrap()]).unwrap();
        assert!(overdue(&certificates, SystemTime::now()).is_empty());
        let shown = shown(&Config::default(), &certificates, false);
        assert!(shown.contains("self-signed.pem, SHA-256 fingerprint "), "{shown}");
    }
}
