//! Whether the server is who it should be.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::verify_server_name,
};

use super::failure::TlsError;
use super::settings::{Authorities, Pin, TlsSettings};

/// Verifies certificates by authorities, by pins, by both, or not at all. Signatures it verifies always.
#[derive(Debug)]
pub(super) struct Verifier {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that are believed themselves.
    itself: Arc<[CertificateDer<'static>]>,
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
    /// Why the last one that was not believed was not.
    why: Mutex<Option<TlsError>>,
    /// For the words of errors.
    pub(super) only: bool,
    pub(super) has_identity: bool,
}

impl Verifier {
    pub(super) fn new(settings: &TlsSettings, provider: Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
        let mut itself: Arc<[CertificateDer<'static>]> = Arc::from([]);
        let roots = match &settings.authorities {
            _ if settings.insecure => None,
            Authorities::System if !settings.pins.is_empty() => None,
            Authorities::System => Some(system_roots()?),
            Authorities::These(certificates) => {
                itself = certificates.clone();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates.iter().cloned());
                Some(roots)
            }
        };
        let authorities = match roots {
            Some(roots) if roots.is_empty() => {
                return Err(TlsError::NoAuthorities { why: "none of the certificates can be used".to_owned() });
            }
            Some(roots) => {
                let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
                Some(built.map_err(|error| TlsError::Other(error.to_string()))?)
            }
            None => None,
        };
        let pins = if settings.insecure { Vec::new() } else { settings.pins.clone() };
        let (only, has_identity) = (settings.only.is_some(), settings.identity.is_some());
        Ok(Verifier { authorities, itself, pins, provider, why: Mutex::default(), only, has_identity })
    }

    /// Why a certificate was not believed, once.
    pub(super) fn take_reason(&self) -> Option<TlsError> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(authorities) = &self.authorities else { return Ok(()) };
        match authorities.verify_server_cert(leaf, between, name, ocsp, now) {
            Ok(_) => Ok(()),
            // A certificate that has signed itself says mostly that it is an authority, and cannot be a server's then. Its
            // dates were looked at before that.
            Err(error) if is_authority(&error) && self.itself.iter().any(|known| known == leaf) => {
                verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
            }
            Err(error) => Err(error),
        }
    }

    fn refuse(&self, error: &Error, leaf: &CertificateDer<'_>, name: &ServerName<'_>) {
        let (Some(pin), Some(fingerprint)) = (pin(leaf), Pin::of_certificate(leaf)) else { return };
        let why = match error {
            Error::InvalidCertificate(error) => {
                let error = if is_authority_itself(error) { &CertificateError::UnknownIssuer } else { error };
                TlsError::of_certificate(error, &name.to_str(), pin, fingerprint)
            }
            other => TlsError::Certificate { why: other.to_string() },
        };
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pins.is_empty() && !self.pins.iter().any(|pin| pin.is_of(leaf)) {
            if let (Some(pin), Some(fingerprint)) = (pin(leaf), Pin::of_certificate(leaf)) {
                let why = TlsError::OtherPin { fingerprint, pin };
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            }
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        self.check(leaf, between, name, ocsp, now).inspect_err(|error| self.refuse(error, leaf, name))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The pin to tell of: of the key, or where that cannot be read of the certificate.
fn pin(leaf: &CertificateDer<'_>) -> Option<Pin> {
    Pin::of_key(leaf).or_else(|| Pin::of_certificate(leaf))
}

fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(error) if is_authority_itself(error))
}

/// What webpki says of a server's certificate that claims to be an authority's.
fn is_authority_itself(error: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(error)) = error else { return false };
    error.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Those of the system, read anew for each session: they are renewed while programs run, and reading them takes less than a
/// round trip.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
        return Err(TlsError::NoAuthorities { why });
    }
    Ok(roots)
}
