//! What went wrong with TLS, and what can be done.

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::settings::Pin;

/// Why TLS does not stand, or stands no more. Where the server's certificate is not believed, its pins are told: whoever knows by
/// other means that they are the server's may believe it by them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No authority that is believed has signed the certificate.
    #[error(
        "the server's certificate is of no authority that is trusted here. If its SHA-256 fingerprint {fingerprint} is \
        the one that the server's operator tells, trust it by the pin {pin}"
    )]
    UnknownIssuer {
        /// Of the certificate, in hexadecimal digits.
        fingerprint: Pin,
        /// Of its key.
        pin: Pin,
    },
    /// The certificate is for other names.
    #[error("the server's certificate is not for {wanted}, but for {}: connect to one of these names, or trust it by the pin {pin}", list(.names))]
    WrongName {
        /// The name that was connected to.
        wanted: String,
        /// The names in the certificate.
        names: Vec<String>,
        /// Of its key.
        pin: Pin,
    },
    /// The certificate has expired, or is not valid yet.
    #[error("the server's certificate {why}: its operator has to renew it (if this machine's clock is right)")]
    Date {
        /// Which of the two, and when.
        why: String,
    },
    /// The certificate is of no use for another reason.
    #[error("the server's certificate cannot be accepted: {why}")]
    Certificate {
        /// Which.
        why: String,
    },
    /// The server is not the one that was pinned.
    #[error(
        "the server is not the one that was pinned: its pin is {pin}, its certificate's SHA-256 fingerprint {fingerprint}"
    )]
    OtherPin {
        /// Of the certificate, in hexadecimal digits.
        fingerprint: Pin,
        /// Of its key.
        pin: Pin,
    },
    /// The server speaks only what is broken.
    #[error("the server speaks neither TLS 1.2 nor 1.3{}: older versions are broken, and are not spoken", if *.only { ", or not the one that was asked for" } else { "" })]
    TooOld {
        /// One version alone was asked for.
        only: bool,
    },
    /// What the server sends is no TLS.
    #[error(
        "what the server sends is not TLS: is it the right port? ftps:// (implicit TLS) is mostly on 990, AUTH TLS on 21"
    )]
    NotTls,
    /// The server has ended it.
    #[error("the server ended TLS: {why}")]
    Alert {
        /// In its words.
        why: String,
    },
    /// The server wants a certificate of this side.
    #[error("the server wants a client's certificate{}", if *.shown { ", and not this one" } else { "" })]
    ClientCertificate {
        /// One was shown.
        shown: bool,
    },
    /// The connection ended where TLS had not.
    #[error("{0}")]
    Ended(String),
    /// The data ended, and its TLS did not.
    #[error("the data connection ended without TLS's end (close_notify): all of it may not have come")]
    Truncated,
    /// No authorities are known.
    #[error("this system knows no authorities of certificates ({why}): name a file of them, or a pin of the server")]
    NoAuthorities {
        /// Why not.
        why: String,
    },
    /// The host's name cannot stand in a certificate.
    #[error("{host} cannot be a name in a certificate")]
    Name {
        /// The name.
        host: String,
    },
    /// All else.
    #[error("{0}")]
    Other(String),
}

impl TlsError {
    /// Whether this side does not believe the server.
    pub fn is_distrust(&self) -> bool {
        matches!(
            self,
            TlsError::UnknownIssuer { .. }
                | TlsError::WrongName { .. }
                | TlsError::Date { .. }
                | TlsError::Certificate { .. }
                | TlsError::OtherPin { .. }
        )
    }

    /// What rustls says. What is not believed of a certificate the verifier has told already.
    pub(super) fn of(error: &rustls::Error, handshaking: bool, only: bool, identity: bool) -> TlsError {
        match error {
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsError::TooOld { only },
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                TlsError::ClientCertificate { shown: identity }
            }
            rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) if handshaking => TlsError::Alert {
                why: "there is no cipher suite that both sides have (it may also want a client's certificate)"
                    .to_owned(),
            },
            rustls::Error::AlertReceived(alert) => TlsError::Alert { why: format!("{alert:?}") },
            rustls::Error::InvalidMessage(_) if handshaking => TlsError::NotTls,
            other => TlsError::Other(other.to_string()),
        }
    }

    /// What is not believed of a certificate.
    pub(super) fn of_certificate(error: &CertificateError, wanted: &str, pin: Pin, fingerprint: Pin) -> TlsError {
        match error {
            CertificateError::UnknownIssuer => TlsError::UnknownIssuer { fingerprint, pin },
            CertificateError::NotValidForName => {
                TlsError::WrongName { wanted: wanted.to_owned(), names: Vec::new(), pin }
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().map(|name| plain_name(name)).collect();
                TlsError::WrongName { wanted: wanted.to_owned(), names, pin }
            }
            CertificateError::Expired => TlsError::Date { why: "has expired".to_owned() },
            CertificateError::ExpiredContext { not_after, .. } => {
                TlsError::Date { why: format!("has expired{}", day(" on ", not_after.as_secs())) }
            }
            CertificateError::NotValidYet => TlsError::Date { why: "is not valid yet".to_owned() },
            CertificateError::NotValidYetContext { not_before, .. } => {
                TlsError::Date { why: format!("is not valid{}", day(" before ", not_before.as_secs())) }
            }
            other => TlsError::Certificate { why: other.to_string() },
        }
    }
}

/// rustls writes them as `DnsName("a.example")`.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').to_owned()
}

fn day(words: &str, seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map(|at| format!("{words}{}", at.strftime("%Y-%m-%d"))).unwrap_or_default()
}

/// A certificate can have hundreds of names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let head = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len() {
        0 => "no name at all".to_owned(),
        n if n > SHOWN => format!("{head} and {} more", n - SHOWN),
        _ => head,
    }
}
