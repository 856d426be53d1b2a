//! What an operator sets of TLS.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;

use super::authorities::Authorities;
use super::certificates::{CertificateError, Certificates};

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

    /// Whose clients are believed, where clients are asked for a certificate.
    pub fn authorities(&self) -> Option<&Authorities> {
        match &self.client_certificates {
            ClientCertificates::None => None,
            ClientCertificates::Request(authorities) | ClientCertificates::Require(authorities) => Some(authorities),
        }
    }

    /// Reads certificates and authorities again whose files have changed since they were last read: whether any had. The one
    /// is taken whether or not the other can be.
    ///
    /// # Errors
    /// [`CertificateError`] names the file. It is tried again at the next call.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let authorities = self.authorities().map_or(Ok(false), Authorities::reload_if_changed);
        Ok(self.certificates.reload_if_changed()? | authorities?)
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

impl ClientCertificates {
    /// What believes clients' certificates at this moment.
    pub(super) fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        match self {
            ClientCertificates::None => None,
            ClientCertificates::Request(authorities) => Some(authorities.verifiers().asking),
            ClientCertificates::Require(authorities) => Some(authorities.verifiers().demanding),
        }
    }
}
