//! The server's certificates: read from files, chosen by name, replaced while the server runs.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::files::{Files, OwnFiles};
use super::peer::fingerprint;

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate and those that lead to its authority, in this order, as PEM.
    pub chain: PathBuf,
    /// Its private key, as PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted. It may be in the same file.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is there, and what is in it cannot be used.
    #[error("{}: {why}", file.display())]
    Pem {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no certificate in the file.
    #[error("{} has no certificate in it: it must be PEM, with lines that say BEGIN CERTIFICATE", .0.display())]
    Empty(PathBuf),
    /// The key is not that of the certificate.
    #[error("the key in {} is not that of the certificate in {}", key.display(), chain.display())]
    Mismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A pair could not be made or kept.
    #[error("cannot make a certificate: {0}")]
    Make(String),
    /// No pair was given.
    #[error("no certificate was given")]
    None,
}

/// The certificates of a server. The first is for clients that name no host, and for names that none is for.
#[derive(Debug)]
pub struct Certificates {
    pairs: Vec<Pair>,
    files: Arc<dyn Files>,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    all: Arc<[Named]>,
    /// When the files were last changed, as far as is known.
    changed: Vec<Option<SystemTime>>,
}

#[derive(Debug)]
struct Named {
    key: Arc<CertifiedKey>,
    /// In lower case; `*.` stands for one label.
    names: Vec<String>,
    valid: Range<SystemTime>,
}

impl Certificates {
    /// Reads all pairs.
    ///
    /// # Errors
    /// [`CertificateError`] names the file.
    pub fn read(pairs: Vec<Pair>) -> Result<Certificates, CertificateError> {
        Certificates::read_by(pairs, Arc::new(OwnFiles))
    }

    /// As [`Certificates::read`], now and at each reload by `files`.
    ///
    /// # Errors
    /// [`CertificateError`] names the file.
    pub fn read_by(pairs: Vec<Pair>, files: Arc<dyn Files>) -> Result<Certificates, CertificateError> {
        let loaded = RwLock::new(load(&pairs, &*files)?);
        Ok(Certificates { pairs, files, loaded })
    }

    /// Reads all files again: from now on new connections get what is in them. Where one of them cannot be used all stay
    /// as they are. Connections that stand keep their certificate.
    ///
    /// # Errors
    /// [`CertificateError`] names the file.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let loaded = load(&self.pairs, &*self.files)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// As [`Certificates::reload`], where a file has changed since it was last read: whether one had. This looks at the
    /// files' times and costs little otherwise.
    ///
    /// # Errors
    /// [`CertificateError`] names the file. It is tried again at the next call.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).changed.clone();
        // A file that is out of reach, in the middle of being replaced or behind a sandbox, has not changed yet.
        let has_changed = |(now, then): (&Option<SystemTime>, &Option<SystemTime>)| now.is_some() && now != then;
        if !changed(&self.pairs, &*self.files).iter().zip(&known).any(has_changed) {
            return Ok(false);
        }
        self.reload()?;
        Ok(true)
    }

    /// The file of each certificate, and its SHA-256 fingerprint as `openssl x509 -fingerprint -sha256` writes it.
    pub fn fingerprints(&self) -> Vec<(&Path, String)> {
        let all = self.all();
        let leaves = self.pairs.iter().zip(all.iter());
        leaves.filter_map(|(pair, named)| Some((&*pair.chain, fingerprint(named.key.cert.first()?)))).collect()
    }

    /// The file of each certificate, and from when until when it is believed (RFC 5280 section 4.1.2.5).
    pub fn validity(&self) -> Vec<(&Path, Range<SystemTime>)> {
        let all = self.all();
        self.pairs.iter().zip(all.iter()).map(|(pair, named)| (&*pair.chain, named.valid.clone())).collect()
    }

    /// Whether one of the certificates is for this name, and not only the first for want of another.
    pub fn knows(&self, name: &str) -> bool {
        self.all().iter().any(|named| named.is_for(name))
    }

    /// The certificate for a name; without one, or where none is for it, the first.
    pub(super) fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let all = self.all();
        let named = name.and_then(|name| all.iter().find(|named| named.is_for(name)));
        named.or(all.first()).map(|named| named.key.clone())
    }

    fn all(&self) -> Arc<[Named]> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl Named {
    fn is_for(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.names.iter().any(|pattern| match pattern.strip_prefix("*.") {
            // RFC 6125 section 6.4.3: one label, and no part of one.
            Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => pattern.eq_ignore_ascii_case(name),
        })
    }
}

fn load(pairs: &[Pair], files: &dyn Files) -> Result<Loaded, CertificateError> {
    // Before they are read: what changes meanwhile is found to have changed at the next look.
    let changed = changed(pairs, files);
    let all: Vec<Named> = pairs.iter().map(|pair| load_pair(pair, files)).collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err(CertificateError::None);
    }
    Ok(Loaded { all: all.into(), changed })
}

fn load_pair(pair: &Pair, files: &dyn Files) -> Result<Named, CertificateError> {
    let read = |file: &Path| files.read(file).map_err(|error| CertificateError::Read { file: file.into(), error });
    let pem = |file: &Path, why: String| CertificateError::Pem { file: file.into(), why };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(&pair.chain)?)
        .collect::<Result<_, _>>()
        .map_err(|error| pem(&pair.chain, error.to_string()))?;
    let leaf = chain.first().ok_or_else(|| CertificateError::Empty(pair.chain.clone()))?;
    let (_, facts) = parse_x509_certificate(leaf).map_err(|error| pem(&pair.chain, error.to_string()))?;
    let (names, valid) = (names(&facts), valid(&facts));
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)?)
        .map_err(|error| pem(&pair.key, format!("no private key that can be used: {error}")))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CertificateError::Mismatch { chain: pair.chain.clone(), key: pair.key.clone() }
        }
        error => pem(&pair.key, error.to_string()),
    })?;
    Ok(Named { key: Arc::new(key), names, valid })
}

/// The names that a certificate is for; the common name only where there is no other (RFC 6125 section 6.4.4).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    if names.is_empty() {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    names
}

fn valid(certificate: &X509Certificate<'_>) -> Range<SystemTime> {
    let valid = certificate.validity();
    // What began before 1970 has begun.
    let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default());
    at(valid.not_before.timestamp())..at(valid.not_after.timestamp())
}

fn changed(pairs: &[Pair], files: &dyn Files) -> Vec<Option<SystemTime>> {
    pairs.iter().flat_map(|pair| [&pair.chain, &pair.key]).map(|file| files.changed(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(dir: &Path, names: &[&str]) -> Pair {
        let made = rcgen::generate_simple_self_signed(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()).unwrap();
        let pair = Pair { chain: dir.join(names[0].replace('*', "x")), key: dir.join(format!("{}.key", names.len())) };
        std::fs::write(&pair.chain, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    #[test]
    fn a_certificate_is_chosen_by_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let first = pair(dir.path(), &["a.example"]);
        let second = pair(dir.path(), &["*.b.example", "b.example"]);
        let both = Certificates::read(vec![first, second]).unwrap();
        let which = |name: Option<&str>| {
            let leaf = both.choose(name).unwrap().cert[0].clone();
            both.fingerprints().iter().position(|(_, known)| *known == fingerprint(&leaf)).unwrap()
        };
        assert_eq!([Some("a.example"), Some("other"), None].map(which), [0; 3]);
        assert_eq!([Some("b.example"), Some("B.Example."), Some("ftp.b.example")].map(which), [1; 3]);
        assert_eq!([Some("x.ftp.b.example"), Some("xb.example")].map(which), [0; 2]);
        assert!(both.knows("b.example") && !both.knows("other"));
    }

    #[test]
    fn files_are_read_again_when_they_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let one = pair(dir.path(), &["a.example"]);
        let certificates = Certificates::read(vec![one.clone()]).unwrap();
        let before = certificates.fingerprints();
        // As rcgen has it where nothing else is said: from 1975 to 4096.
        let (file, valid) = certificates.validity().remove(0);
        let of = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!((file, of(valid.start), of(valid.end)), (&*one.chain, 157_766_400, 67_090_118_400));
        assert!(!certificates.reload_if_changed().unwrap());
        assert_eq!(pair(dir.path(), &["a.example"]), one);
        let later = SystemTime::now() + Duration::from_secs(5);
        std::fs::File::options().write(true).open(&one.chain).unwrap().set_modified(later).unwrap();
        assert!(certificates.reload_if_changed().unwrap());
        let after = certificates.fingerprints();
        assert_ne!(after, before);
        std::fs::write(&one.key, "no key").unwrap();
        assert!(matches!(certificates.reload(), Err(CertificateError::Pem { file, .. }) if file == one.key));
        assert_eq!(certificates.fingerprints(), after, "what cannot be used replaces nothing");
    }

    /// Files that this process cannot reach, but somebody else can.
    #[derive(Debug)]
    struct Elsewhere(PathBuf);

    impl Files for Elsewhere {
        fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
            OwnFiles.read(&self.0.join(file))
        }

        fn changed(&self, file: &Path) -> Option<SystemTime> {
            OwnFiles.changed(&self.0.join(file))
        }
    }

    #[test]
    fn files_are_reached_by_whoever_can() {
        let dir = tempfile::tempdir().unwrap();
        let one = pair(dir.path(), &["a.example"]);
        let name = |file: &Path| PathBuf::from(file.file_name().unwrap());
        let named = Pair { chain: name(&one.chain), key: name(&one.key) };
        assert!(Certificates::read(vec![named.clone()]).is_err());
        let certificates = Certificates::read_by(vec![named], Arc::new(Elsewhere(dir.path().to_owned()))).unwrap();
        pair(dir.path(), &["a.example"]);
        let later = SystemTime::now() + Duration::from_secs(5);
        std::fs::File::options().write(true).open(&one.key).unwrap().set_modified(later).unwrap();
        let before = certificates.fingerprints();
        assert!(certificates.reload_if_changed().unwrap());
        assert_ne!(certificates.fingerprints(), before);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (pair(dir.path(), &["a.example"]), pair(dir.path(), &["b.example", "c.example"]));
        let mixed = Pair { chain: one.chain.clone(), key: two.key };
        assert!(matches!(Certificates::read(vec![mixed]), Err(CertificateError::Mismatch { .. })));
        let none = Pair { chain: one.key.clone(), key: one.key.clone() };
        assert!(matches!(Certificates::read(vec![none]), Err(CertificateError::Empty(file)) if file == one.key));
        let nowhere = Pair { chain: "/nowhere".into(), key: one.key };
        assert!(Certificates::read(vec![nowhere]).unwrap_err().to_string().contains("/nowhere"));
        assert!(matches!(Certificates::read(Vec::new()), Err(CertificateError::None)));
    }
}
