//! The authorities whose clients are believed: read from a file, and again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::certificates::CertificateError;
use super::files::{Files, OwnFiles};

/// Certificates of authorities whose clients are believed. Clones are the same: what one reads anew, all have.
///
/// There is no list of certificates that were revoked. To believe an authority no more, take it out of the file: whoever begins
/// TLS from then on is measured by what is in it.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    file: PathBuf,
    files: Arc<dyn Files>,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    verifiers: Verifiers,
    /// When the file was last changed, as far as is known.
    changed: Option<SystemTime>,
}

/// What decides on a client's certificate.
#[derive(Clone, Debug)]
pub(super) struct Verifiers {
    /// A client need not have one.
    pub(super) asking: Arc<dyn ClientCertVerifier>,
    /// It must.
    pub(super) demanding: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// Where the file cannot be read, or has none in it. Both name the file.
    pub fn read(file: impl Into<PathBuf>) -> Result<Authorities, CertificateError> {
        Authorities::read_by(file, Arc::new(OwnFiles))
    }

    /// As [`Authorities::read`], now and at each reload by `files`.
    ///
    /// # Errors
    /// As [`Authorities::read`].
    pub fn read_by(file: impl Into<PathBuf>, files: Arc<dyn Files>) -> Result<Authorities, CertificateError> {
        let file = file.into();
        let loaded = RwLock::new(load(&file, &*files)?);
        Ok(Authorities(Arc::new(Kept { file, files, loaded })))
    }

    /// Reads the file again: from now on those who begin TLS are measured by what is in it. Where it cannot be used all stays
    /// as it is. Sessions that stand go on.
    ///
    /// # Errors
    /// As [`Authorities::read`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        let loaded = load(&self.0.file, &*self.0.files)?;
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// As [`Authorities::reload`], where the file has changed since it was last read: whether it had.
    ///
    /// # Errors
    /// As [`Authorities::read`]. It is tried again at the next call.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let then = self.0.loaded.read().unwrap_or_else(PoisonError::into_inner).changed;
        // A file that is out of reach, in the middle of being replaced, has not changed yet.
        let now = self.0.files.changed(&self.0.file);
        if now.is_none() || now == then {
            return Ok(false);
        }
        self.reload()?;
        Ok(true)
    }

    pub(super) fn verifiers(&self) -> Verifiers {
        self.0.loaded.read().unwrap_or_else(PoisonError::into_inner).verifiers.clone()
    }
}

fn load(file: &Path, files: &dyn Files) -> Result<Loaded, CertificateError> {
    // Before it is read: what changes meanwhile is found to have changed at the next look.
    let changed = files.changed(file);
    let pem = files.read(file).map_err(|error| CertificateError::Read { file: file.into(), error })?;
    let unusable = |why: String| CertificateError::Pem { file: file.into(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(CertificateError::Empty(file.into()));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let built = |error: rustls::server::VerifierBuilderError| unusable(error.to_string());
    let asking = builder.clone().allow_unauthenticated().build().map_err(built)?;
    Ok(Loaded { verifiers: Verifiers { asking, demanding: builder.build().map_err(built)? }, changed })
}
