//! TLS (RFC 4217), of which this side is the client on every connection.
//!
//! | module | what it is |
//! |---|---|
//! | `settings` | [`TlsSettings`]: who is believed, and what this side shows of itself |
//! | `verify` | whether the server is who it should be: authorities, pins |
//! | `sessions` | what a control connection and its data connections remember together |
//! | `engine` | `port21_tls`'s engine as a client's, with the verifier's reasons |
//! | `failure` | [`TlsError`]: what went wrong, and what can be done |

pub(crate) mod engine;
pub(crate) mod failure;
mod sessions;
pub(crate) mod settings;
mod verify;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};

use self::engine::{ClientSide, Engine};
pub use self::failure::TlsError;
use self::sessions::Sessions;
pub use self::settings::{Authorities, Identity, Pin, TlsMode, TlsSettings, TlsSettingsError, TlsVersion};
use self::verify::Verifier;

/// What one control connection and its data connections have in common: one configuration, one memory of sessions, one name
/// of the server. So data connections resume the control connection's session, and no other's.
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    sessions: Arc<Sessions>,
    verifier: Arc<Verifier>,
    name: ServerName<'static>,
}

impl Tls {
    /// `at_most` is what was learned of the server: that it does not work well with later versions.
    pub(crate) fn new(settings: &TlsSettings, host: &str, at_most: Option<TlsVersion>) -> Result<Tls, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name { host: host.to_owned() })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier::new(settings, provider.clone())?);
        let versions: &[_] = match (settings.only, at_most) {
            (Some(TlsVersion::Tls12), _) | (None, Some(TlsVersion::Tls12)) => &[&TLS12],
            (Some(TlsVersion::Tls13), _) => &[&TLS13],
            (None, _) => &[&TLS13, &TLS12],
        };
        let failed = |error: rustls::Error| TlsError::Other(error.to_string());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(failed)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier.clone());
        let mut config = match &settings.identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key()).map_err(failed)?,
            None => builder.with_no_client_auth(),
        };
        let sessions = Arc::new(Sessions::default());
        config.resumption =
            if settings.no_resumption { Resumption::disabled() } else { Resumption::store(sessions.clone()) };
        Ok(Tls { config: Arc::new(config), sessions, verifier, name })
    }

    /// TLS for a connection that is about to begin it.
    pub(crate) fn engine(&self) -> Result<Engine, TlsError> {
        ClientSide::engine(self.config.clone(), self.name.clone(), self.verifier.clone())
    }

    /// Whether one more handshake can resume a session, and a further one behind it: nothing is lost where this one is given
    /// up.
    pub(crate) fn has_sessions_to_spare(&self) -> bool {
        self.sessions.is_plentiful()
    }

    /// Whether the next handshake can resume a session.
    pub(crate) fn has_session(&self) -> bool {
        self.sessions.has_one()
    }
}
