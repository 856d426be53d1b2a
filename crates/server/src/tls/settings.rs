//! What an operator sets of TLS.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::certificates::{CertificateError, Certificates};
use super::files::{Files, OwnFiles};

/// The settings of TLS, for all listeners of a server. Whether TLS is offered, demanded or there from the first byte on
/// is a place's own: see [`Listen::with_tls`](crate::Listen::with_tls).
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The server's certificates and keys.
    pub certificates: Arc<Certificates>,
    /// Whether clients are asked for a certificate. Default not.
    pub client_certificates: ClientCertificates,
    /// Whether a data connection must show that it belongs to its control connection. Default
    /// [`SessionReuse::Require`].
    pub reuse: SessionReuse,
    /// Whether TLS 1.2 is refused. Default no: devices and older clients have nothing newer, and with the cipher suites
    /// that are left in it (AEAD, forward secrecy) nothing is known against it.
    pub only_tls13: bool,
}

impl TlsSettings {
    /// The defaults with these certificates.
    pub fn new(certificates: Arc<Certificates>) -> TlsSettings {
        TlsSettings {
            certificates,
            client_certificates: ClientCertificates::None,
            reuse: SessionReuse::default(),
            only_tls13: false,
        }
    }
}

/// Whether the TLS session of a data connection must be that of its control connection, resumed.
///
/// The peer's address is all that an FTP server knows else of who connects to a data port, and whoever shares it (behind
/// a NAT, on a shared host) could take or give the file in the client's stead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionReuse {
    /// It must: else 522. curl, lftp, FileZilla, WinSCP and Python's ftplib (with a little help) do so. The default.
    #[default]
    Require,
    /// It should: where it does not, that is logged.
    Prefer,
    /// It need not be. For clients that cannot, on networks where no stranger shares an address.
    Off,
}

/// Whether clients are asked for a certificate, and whose are believed. The certificate is told to the
/// [`Authenticator`](crate::Authenticator), which decides what it is good for.
#[derive(Clone, Debug, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none. One that is of no authority of these fails the handshake.
    Request(Authorities),
    /// There is no session without one.
    Require(Authorities),
}

/// Certificates of authorities whose clients are believed.
#[derive(Clone, Debug)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

impl Authorities {
    /// The certificates of a PEM file.
    ///
    /// # Errors
    /// Where the file cannot be read, or has none in it. Both name the file.
    pub fn read(file: impl AsRef<std::path::Path>) -> Result<Authorities, CertificateError> {
        Authorities::read_by(file, &OwnFiles)
    }

    /// As [`Authorities::read`], by `files`.
    ///
    /// # Errors
    /// As [`Authorities::read`].
    pub fn read_by(file: impl AsRef<std::path::Path>, files: &dyn Files) -> Result<Authorities, CertificateError> {
        let file = file.as_ref();
        let pem = files.read(file).map_err(|error| CertificateError::Read { file: file.into(), error })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|error| CertificateError::Pem { file: file.into(), why: error.to_string() })?;
            roots
                .add(certificate)
                .map_err(|error| CertificateError::Pem { file: file.into(), why: error.to_string() })?;
        }
        if roots.is_empty() {
            return Err(CertificateError::Empty(file.into()));
        }
        Ok(Authorities(Arc::new(roots)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
