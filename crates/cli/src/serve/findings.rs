//! What is wrong with what the settings name on this machine: certificates and keys, the user to become, the name to advertise.
//!
//! What stands against a start is a mistake; what a server would start with all the same, to somebody's grief, is warned about.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use port21_server::tls::{Authorities, CertificateError, Certificates, Files, OwnFiles, Pair};
use tokio::time::timeout;

use super::report::{drops_that_are_none, mode_of};
use super::{advertise, tls};
use crate::config::Config;
use crate::config::mistake::Mistake;
use crate::config::tls::ClientCertificates;
use crate::exit::{Exit, Fault, sentences, tell};
use crate::helper::Helper;
use crate::sandbox;
use crate::users::overlap::overlaps;

/// How long `config check` waits for a name server.
const LOOK_UP: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

/// `config check`: the text, the accounts, and what both name on this machine, as far as the user who asks can see it. Warnings
/// go to standard error.
///
/// # Errors
/// All that is wrong, each in one sentence with the file, the line and the key: exit code 2.
pub(crate) fn check(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    let Findings { mut mistakes, mut warnings } = of_tls(&config, &(Arc::new(OwnFiles) as Arc<dyn Files>));
    mistakes.extend(sandbox::unknown_user(&config));
    warnings.extend(of_advertise(&config)?);
    mistakes.sort_by_key(|mistake| config.line(mistake.key().unwrap_or_default()));
    warnings.sort_by_key(|mistake| config.line(mistake.key().unwrap_or_default()));
    let mut warnings: Vec<String> = warnings.into_iter().map(|warning| config.tell(warning)).collect();
    warnings.extend(overlaps(&config, |file| std::fs::read_to_string(file)));
    warnings.extend(drops_that_are_none(&config, mode_of));
    warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
    let mut faults: Vec<String> = mistakes.into_iter().map(|mistake| config.tell(mistake)).collect();
    if let Err(error) = config.check_accounts() {
        faults.extend(sentences(&error));
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::each(Exit::Usage, faults).into()) }
}

/// Of all that TLS needs: files that cannot be read or used, keys that are not of their certificate, certificates that are not
/// of their host; those out of their time are warned about. It waits for the files.
pub(super) fn of_tls(config: &Config, files: &Arc<dyn Files>) -> Findings {
    let mut found = Findings::default();
    if !tls::is_spoken(config) {
        return found;
    }
    let mut read = BTreeMap::new();
    for (key, pair) in tls::pairs(config) {
        // The server makes its own where there is none.
        if key == "tls.self-signed" && (files.changed(&pair.chain).is_none() || files.changed(&pair.key).is_none()) {
            continue;
        }
        match Certificates::read_by(vec![pair.clone()], files.clone()) {
            Ok(certificate) => drop(read.insert(key, certificate)),
            Err(error) => {
                found.mistakes.push(Mistake::of_key(format!("{key}.{}", side(&error, &pair)), in_words(&error)))
            }
        }
    }
    let now = SystemTime::now();
    for (key, certificate) in &read {
        let overdue = tls::overdue(certificate, now);
        found.warnings.extend(overdue.into_iter().map(|text| Mistake::of_key(format!("{key}.chain"), text)));
    }
    let is_known = |name: &str| read.values().any(|certificate| certificate.knows(name));
    // Of one that cannot be read nobody knows.
    let is_read =
        |mistake: &Mistake| mistake.key().is_some_and(|key| read.contains_key(key.trim_end_matches(".chain")));
    found.mistakes.extend(tls::strange_to_hosts(config, is_known).filter(is_read));
    let authorities = config.tls.client_authorities.as_ref();
    if let Some(file) = authorities.filter(|_| config.tls.client_certificates != ClientCertificates::None)
        && let Err(error) = Authorities::read_by(file, files.clone())
    {
        found.mistakes.push(Mistake::of_key("tls.client-authorities", in_words(&error)));
    }
    found
}

/// That the name of `advertise` cannot be looked up from here.
fn of_advertise(config: &Config) -> anyhow::Result<Option<Mistake>> {
    let Some(host) = &config.passive.advertise else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let helper = Helper::default();
    let found = runtime.block_on(async { timeout(LOOK_UP, advertise::resolve(host, &helper)).await });
    // A name server that hangs holds a thread: it is not waited for.
    runtime.shutdown_background();
    let error = match found {
        Ok(Ok(_)) => return Ok(None),
        Ok(Err(error)) => error,
        Err(_) => anyhow::anyhow!("cannot resolve {host}: no answer within {} s", LOOK_UP.as_secs()),
    };
    Ok(Some(advertise::not_found(&error)))
}

/// The setting that is to blame.
fn side(error: &CertificateError, pair: &Pair) -> &'static str {
    match error {
        CertificateError::Read { file, .. } | CertificateError::Pem { file, .. } if *file != pair.chain => "key",
        CertificateError::Mismatch { .. } => "key",
        _ => "chain",
    }
}

/// What is wrong, and what to do where the error itself does not say.
fn in_words(error: &CertificateError) -> String {
    match error {
        CertificateError::Read { error: why, .. } if why.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("{error}: let the user of the server read it, and ask as that user")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair that is good between the beginnings of these years.
    fn make(dir: &Path, name: &str, from: i32, until: i32) {
        let mut params = rcgen::CertificateParams::new(vec![format!("{name}.example")]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// What is found of a file that ends so: the lines, without the directory.
    fn told(dir: &Path, text: &str) -> (Vec<String>, Vec<String>) {
        let file = dir.join("f");
        let text = format!("site.root = \"/\"\nanonymous.enabled = true\ntls.mode = \"offer\"\n{text}");
        std::fs::write(&file, text.replace("DIR", dir.to_str().unwrap())).unwrap();
        let config = Config::read(&file).unwrap();
        let found = of_tls(&config, &(Arc::new(OwnFiles) as Arc<dyn Files>));
        let lines = |all: Vec<Mistake>| -> Vec<String> {
            all.into_iter().map(|one| config.tell(one).replace(&format!("{}/", dir.display()), "")).collect()
        };
        (lines(found.mistakes), lines(found.warnings))
    }

    fn pair(chain: &str, key: &str) -> String {
        format!("[[certificate]]\nchain = \"DIR/{chain}\"\nkey = \"DIR/{key}\"\n")
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_told_with_key_and_line() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), "a", 2020, 2199);
        make(dir.path(), "b", 2020, 2199);
        std::fs::write(dir.path().join("empty"), "").unwrap();
        let mistakes = |text: &str| told(dir.path(), text).0;
        assert_eq!(mistakes(&(pair("a.pem", "a.key") + &pair("b.pem", "b.key"))), Vec::<String>::new());
        for (chain, key, start) in [
            ("no.pem", "a.key", "f:8: `certificate.chain`: cannot read no.pem: No such file"),
            ("a.pem", "no.key", "f:9: `certificate.key`: cannot read no.key: No such file"),
            ("empty", "a.key", "f:8: `certificate.chain`: empty has no certificate in it"),
            ("a.pem", "empty", "f:9: `certificate.key`: empty: no private key"),
            ("a.pem", "b.key", "f:9: `certificate.key`: the key in b.key is not that of the certificate in a.pem"),
        ] {
            let found = mistakes(&(pair("b.pem", "b.key") + &pair(chain, key)));
            assert!(found.len() == 1 && found[0].starts_with(start), "{found:?}, not {start}");
        }
        // All of them at once.
        assert_eq!(mistakes(&(pair("no.pem", "a.key") + &pair("a.pem", "no.key"))).len(), 2);
        // Where nobody speaks TLS they are not asked for.
        let off = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = \"off\"\n";
        assert_eq!(mistakes(&(off.to_owned() + &pair("no.pem", "a.key"))), Vec::<String>::new());
    }

    #[test]
    fn times_are_warned_about_with_key_and_line() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), "a", 2020, 2021);
        make(dir.path(), "b", 2198, 2199);
        let (mistakes, warnings) = told(dir.path(), &(pair("a.pem", "a.key") + &pair("b.pem", "b.key")));
        assert!(mistakes.is_empty() && warnings.len() == 2, "{mistakes:?} {warnings:?}");
        assert!(warnings[0].starts_with("f:5: `certificate.chain`: the certificate a.pem has expired on 2021-01-01"));
        assert!(warnings[1].starts_with("f:8: `certificate.chain`: the certificate b.pem is good from 2198-01-01"));
    }

    #[test]
    fn hosts_and_authorities_are_looked_at_too() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), "a", 2020, 2199);
        let host = "[[host]]\nnames = [\"HOST.example\"]\nroot = \"/\"\nanonymous.enabled = true\n\
                    certificate = { chain = \"DIR/a.pem\", key = \"DIR/a.key\" }\n";
        let mistakes = |text: &str| told(dir.path(), text).0;
        let all = |name: &str| pair("a.pem", "a.key") + &host.replace("HOST", name);
        assert_eq!(mistakes(&all("a")), Vec::<String>::new());
        assert_eq!(
            mistakes(&all("b")),
            ["f:11: `host.certificate.chain`: a.pem is not for b.example: name one that is"]
        );
        let found = mistakes(&all("b").replace("a.key\" }", "no.key\" }"));
        assert!(found.len() == 1 && found[0].starts_with("f:11: `host.certificate.key`: cannot read"), "{found:?}");
        let authorities = "client-certificates = \"require\"\nclient-authorities = \"DIR/no.pem\"\n";
        let authorities = authorities.replace("client", "tls.client");
        let found = mistakes(&(authorities + &pair("a.pem", "a.key")));
        assert!(
            found.len() == 1 && found[0].starts_with("f:5: `tls.client-authorities`: cannot read no.pem"),
            "{found:?}"
        );
    }

    #[test]
    fn a_user_whom_this_machine_does_not_have_is_told() {
        let of = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            sandbox::unknown_user(&config).map(|mistake| mistake.to_string())
        };
        assert_eq!(of(""), None);
        assert_eq!(of("sandbox.user = \"root\""), None);
        let told = of("sandbox.user = \"no such\"").unwrap();
        assert!(told.starts_with("`sandbox.user`: this machine has no user no such"), "{told}");
        let told = of("sandbox = { user = \"root\", group = \"no such\" }").unwrap();
        assert!(told.starts_with("`sandbox.group`: this machine has no group"), "{told}");
    }
}
