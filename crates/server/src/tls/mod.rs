//! TLS (RFC 4217): certificates, sessions that belong together, and the connections that speak it.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | what an operator sets |
//! | [`certificates`] | the server's certificates: read, chosen by name, replaced while it runs |
//! | [`authorities`] | whose clients are believed: read, replaced while it runs |
//! | [`files`] | how their files are reached |
//! | [`self_signed`] | a pair for who has none |
//! | `peer` | who a client's certificate says it is |
//! | `binding` | one control connection and its data connections: no session of another is resumed |
//! | `engine` | `port21_tls`'s engine as a server's, with the words for what goes wrong |
//! | `data` | a data connection under TLS |
//! | `handshake` | how it comes to that, whenever its client begins |

pub mod authorities;
mod binding;
pub mod certificates;
pub(crate) mod data;
pub(crate) mod engine;
pub mod files;
pub(crate) mod handshake;
mod peer;
pub mod self_signed;
pub mod settings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs;
use rustls::server::ProducesTickets;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};

pub use self::authorities::Authorities;
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
    base: ConfigBuilder<ServerConfig, WantsVerifier>,
    clients: ClientCertificates,
    built: Mutex<Built>,
    tickets: Arc<dyn ProducesTickets>,
    certificates: Arc<Certificates>,
    pub(crate) reuse: SessionReuse,
    /// How many sessions there were.
    sessions: AtomicU64,
}

/// The configuration for those who begin TLS now. It is kept, as one costs some memory before it is anybody's.
#[derive(Debug)]
struct Built {
    config: ServerConfig,
    /// What it has been built with.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Tls {
    /// # Errors
    /// Where the settings do not go together, or this machine has no randomness.
    pub(crate) fn new(settings: TlsSettings) -> Result<Tls, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let versions: &[_] = if settings.only_tls13 { &[&TLS13] } else { &[&TLS12, &TLS13] };
        let base = builder.with_protocol_versions(versions)?;
        let (certificates, clients) = (settings.certificates, settings.client_certificates);
        let built = Mutex::new(build(&base, clients.verifier(), &certificates));
        let tickets = aws_lc_rs::Ticketer::new()?;
        let (reuse, sessions) = (settings.reuse, AtomicU64::new(0));
        Ok(Tls { base, clients, built, tickets, certificates, reuse, sessions })
    }

    /// What a control connection needs that begins TLS. `host` is the name that the client has given by other means than
    /// SNI (HOST, RFC 7151): it chooses the certificate where there is no SNI.
    pub(crate) fn bind(&self, host: Option<&str>) -> Arc<Binding> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let verifier = self.clients.verifier();
        let is_same = match (&verifier, &built.verifier) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            _ => true,
        };
        if !is_same {
            *built = build(&self.base, verifier, &self.certificates);
        }
        Binding::new(&built.config, &self.tickets, &self.certificates, self.reuse, number, host)
    }
}

fn build(
    base: &ConfigBuilder<ServerConfig, WantsVerifier>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    certificates: &Arc<Certificates>,
) -> Built {
    let base = base.clone();
    let builder = match &verifier {
        Some(verifier) => base.with_client_cert_verifier(verifier.clone()),
        None => base.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates.clone());
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Built { config, verifier }
}
