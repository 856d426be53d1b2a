//! TLS (RFC 4217): certificates, sessions that belong together, and the connections that speak it.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | what an operator sets |
//! | [`certificates`] | the server's certificates: read, chosen by name, replaced while it runs |
//! | [`files`] | how their files are reached |
//! | [`self_signed`] | a pair for who has none |
//! | `peer` | who a client's certificate says it is |
//! | `binding` | one control connection and its data connections: no session of another is resumed |
//! | `engine` | `port21_tls`'s engine as a server's, with the words for what goes wrong |
//! | `data` | a data connection under TLS |
//! | `handshake` | how it comes to that, whenever its client begins |

mod binding;
pub mod certificates;
pub(crate) mod data;
pub(crate) mod engine;
pub mod files;
pub(crate) mod handshake;
mod peer;
pub mod self_signed;
pub mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};

pub(crate) use self::binding::Binding;
pub use self::certificates::{CertificateError, Certificates, Pair};
pub use self::files::{Files, OwnFiles};
pub use self::peer::{ClientCertificate, TlsPeer};
pub use self::settings::{ClientCertificates, SessionReuse, TlsSettings};

/// ALPN (RFC 7301): who offers protocols without one of these means another server, and must not be served by this one.
/// `ftp-data` is what FileZilla says on data connections.
const PROTOCOLS: [&[u8]; 2] = [b"ftp", b"ftp-data"];

/// TLS as all listeners of a server share it.
#[derive(Debug)]
pub(crate) struct Tls {
    config: ServerConfig,
    tickets: Arc<dyn ProducesTickets>,
    certificates: Arc<Certificates>,
    pub(crate) reuse: SessionReuse,
    /// How many sessions there were.
    sessions: AtomicU64,
}

impl Tls {
    /// # Errors
    /// Where the settings do not go together, or this machine has no randomness.
    pub(crate) fn new(settings: TlsSettings) -> Result<Tls, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let versions: &[_] = if settings.only_tls13 { &[&TLS13] } else { &[&TLS12, &TLS13] };
        let builder = builder.with_protocol_versions(versions)?;
        let certificates = settings.certificates;
        let builder = match settings.client_certificates {
            ClientCertificates::None => builder.with_no_client_auth(),
            ClientCertificates::Request(roots) | ClientCertificates::Require(roots) if roots.is_empty() => {
                return Err(rustls::Error::General(
                    "client certificates are asked for, and no authority is named".into(),
                ));
            }
            ClientCertificates::Request(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.0, provider).allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build().map_err(as_error)?)
            }
            ClientCertificates::Require(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.0, provider);
                builder.with_client_cert_verifier(verifier.build().map_err(as_error)?)
            }
        };
        let mut config = builder.with_cert_resolver(certificates.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let tickets = aws_lc_rs::Ticketer::new()?;
        Ok(Tls { config, tickets, certificates, reuse: settings.reuse, sessions: AtomicU64::new(0) })
    }

    /// What a control connection needs that begins TLS. `host` is the name that the client has given by other means than
    /// SNI (HOST, RFC 7151): it chooses the certificate where there is no SNI.
    pub(crate) fn bind(&self, host: Option<&str>) -> Arc<Binding> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        Binding::new(&self.config, &self.tickets, &self.certificates, self.reuse, number, host)
    }
}

fn as_error(error: rustls::server::VerifierBuilderError) -> rustls::Error {
    rustls::Error::General(error.to_string())
}
