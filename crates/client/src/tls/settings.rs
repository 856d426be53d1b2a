//! Who is believed, and what this side shows of itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;

/// Whether a session is under TLS, and from when on. It is never given up for clear text because the server would have it
/// so: whoever stands between could say that too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// In clear text: passwords and files can be read and changed by all who the packets pass.
    #[default]
    Off,
    /// From AUTH TLS on, which follows the greeting (RFC 4217). A server that refuses is an error.
    Explicit,
    /// From the first byte on, on a port of its own: `ftps://`, 990.
    Implicit,
}

/// A version of TLS. Older ones are broken, and not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The settings of TLS: who the server must be, and who this side is.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Whose certificates are believed. Default: those of the authorities that this system knows, where there are no pins;
    /// none, where there are: then a pin is enough, and neither the name nor the issuer is looked at.
    pub authorities: Authorities,
    /// The server must be one of these. Beside [`Authorities::These`] a server must please both.
    pub pins: Vec<Pin>,
    /// Whether any server is believed. It protects from those who listen, and not from those who take the server's place:
    /// they get the password. Default no.
    pub insecure: bool,
    /// What is shown to a server that asks for a client's certificate. Default nothing.
    pub identity: Option<Identity>,
    /// Whether each connection begins a TLS session of its own, and resumes none. Default no: many servers refuse data
    /// connections that do not resume the control connection's session. To find out whether one does.
    pub no_resumption: bool,
    /// The one version to be spoken. Default: 1.3 where the server has it, else 1.2.
    pub only: Option<TlsVersion>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Authorities {
    /// The authorities that this system knows; see [`TlsSettings::authorities`].
    #[default]
    System,
    /// These, and no others. A certificate that no authority has signed may be among them: it is then believed itself,
    /// for the names in it.
    These(Arc<[CertificateDer<'static>]>),
}

/// What the server must be known by: the key in its certificate, or the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// The SHA-256 of the public key (SubjectPublicKeyInfo), `sha256//BASE64`, as curl has it: stays when the server
    /// renews its certificate and keeps its key.
    Key([u8; 32]),
    /// The SHA-256 of the certificate in hexadecimal digits, with colons or without: the fingerprint that servers,
    /// browsers and `openssl x509 -fingerprint -sha256` show.
    Certificate([u8; 32]),
}

/// A certificate of this side, and its key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Why settings of TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in a file is of no use.
    #[error("{}: {why}", file.display())]
    Content {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A text is no pin.
    #[error("no pin: write sha256//BASE64 (of the public key) or 64 hexadecimal digits (of the certificate)")]
    Pin,
}

impl Authorities {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// Where the file cannot be read, or has none in it.
    pub fn read(file: impl AsRef<Path>) -> Result<Authorities, TlsSettingsError> {
        Ok(Authorities::These(certificates(file.as_ref())?.into()))
    }
}

impl Identity {
    /// A certificate with those that lead to its authority behind it, and its key: PEM files, which may be one.
    ///
    /// # Errors
    /// Where a file cannot be read, or has no certificate or no key in it that can be used.
    pub fn read(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Identity, TlsSettingsError> {
        let file = key.as_ref();
        let chain = certificates(chain.as_ref())?;
        let pem = read(file)?;
        let content = |why: &str| TlsSettingsError::Content { file: file.into(), why: why.to_owned() };
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| match contains(&pem, b"ENCRYPTED") {
            true => content("the key is encrypted: take the passphrase off with `openssl pkey -in FILE -out OTHER`"),
            false => content("no private key is in it"),
        })?;
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| content("a key of an unknown kind"))?;
        Ok(Identity { chain, key: Arc::new(key) })
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Pin {
    /// The pin of the key in a certificate; nothing where that cannot be read.
    pub(crate) fn of_key(certificate: &CertificateDer<'_>) -> Option<Pin> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        sha256(&parsed.subject_public_key_info()).map(Pin::Key)
    }

    /// The pin of a certificate.
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Pin> {
        sha256(certificate).map(Pin::Certificate)
    }

    pub(super) fn is_of(&self, certificate: &CertificateDer<'_>) -> bool {
        let own = match self {
            Pin::Key(_) => Pin::of_key(certificate),
            Pin::Certificate(_) => Pin::of_certificate(certificate),
        };
        own.as_ref() == Some(self)
    }
}

impl FromStr for Pin {
    type Err = TlsSettingsError;

    fn from_str(text: &str) -> Result<Pin, TlsSettingsError> {
        let text = text.trim();
        if let Some(encoded) = text.strip_prefix("sha256//") {
            let decoded = STANDARD.decode(encoded).map_err(|_| TlsSettingsError::Pin)?;
            return decoded.try_into().map(Pin::Key).map_err(|_| TlsSettingsError::Pin);
        }
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()
            .ok_or(TlsSettingsError::Pin)?;
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |all, digit| (all << 4) | *digit as u8)).collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 64 => Ok(Pin::Certificate(bytes)),
            _ => Err(TlsSettingsError::Pin),
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Key(bytes) => write!(f, "sha256//{}", STANDARD.encode(bytes)),
            Pin::Certificate(bytes) => {
                let mut colon = "";
                bytes.iter().try_for_each(|byte| write!(f, "{}{byte:02X}", std::mem::replace(&mut colon, ":")))
            }
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSettingsError> {
    let pem = read(file)?;
    let content = |why: String| TlsSettingsError::Content { file: file.into(), why };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(content("no certificate is in it (PEM is wanted)".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(content(error.to_string())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsSettingsError> {
    std::fs::read(file).map_err(|source| TlsSettingsError::Read { file: file.into(), source })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, bytes).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_and_written() {
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let certificate = made.cert.der();
        for pin in [Pin::of_key(certificate).unwrap(), Pin::of_certificate(certificate).unwrap()] {
            assert!(pin.is_of(certificate));
            assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin);
        }
        let fingerprint = Pin::of_certificate(certificate).unwrap().to_string();
        assert_eq!(fingerprint.len(), 95);
        assert!(fingerprint.replace(':', "").to_lowercase().parse::<Pin>().unwrap().is_of(certificate));
        let key = Pin::of_key(certificate).unwrap().to_string();
        assert!(key.starts_with("sha256//"));
        // RFC 6234's digest of "abc", in the two ways of writing one.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(abc.parse::<Pin>().unwrap(), Pin::Certificate(sha256(b"abc").unwrap()));
        assert_eq!(
            Pin::Key(sha256(b"abc").unwrap()).to_string(),
            "sha256//ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        for bad in
            ["", "sha256//", "sha256//AAAA", "sha1//AAAA", "ab", &abc[1..], &format!("{abc}0"), &format!("{abc}00")]
        {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_of_identities() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let chain = file("chain", &made.cert.pem());
        let key = file("key", &made.signing_key.serialize_pem());
        let both = file("both", &(made.cert.pem() + &made.signing_key.serialize_pem()));
        let locked =
            file("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        assert!(Identity::read(&chain, &key).is_ok() && Identity::read(&both, &both).is_ok());
        let error = |chain: &Path, key: &Path| Identity::read(chain, key).unwrap_err().to_string();
        assert!(error(&key, &key).contains("no certificate is in it"));
        assert!(error(&chain, &chain).contains("no private key is in it"));
        assert!(error(&chain, &locked).contains("is encrypted"));
        assert!(error(&chain, &dir.path().join("none")).contains("none: "));
        assert!(Authorities::read(&chain).is_ok() && Authorities::read(&key).is_err());
        assert!(!format!("{:?}", Identity::read(&chain, &key)).contains("key"));
    }
}
