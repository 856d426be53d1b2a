//! TLS of which this is the server: what it makes of the clients that come, and the words for what goes wrong.

use std::sync::Arc;

use port21_proto::server::TlsError;
use port21_tls::{Fault, Side};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::UnbufferedStatus;
use rustls::{CommonState, Error, PeerIncompatible, ServerConfig};

const TOO_OLD: &str = "the client speaks neither TLS 1.2 nor 1.3, and TLS 1.0 and 1.1 are broken";

/// RFC 8446 section 6: a fatal alert, protocol_version.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

/// One connection under TLS, of which this is the server.
pub(crate) type Engine = port21_tls::Engine<ServerSide>;

/// See [`Engine`].
pub(crate) struct ServerSide(UnbufferedServerConnection);

impl ServerSide {
    pub(super) fn engine(config: Arc<ServerConfig>) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedServerConnection::new(config).map_err(|error| TlsError::Handshake(error.to_string()))?;
        Engine::new(ServerSide(connection))
    }
}

impl Side for ServerSide {
    type Data = ServerConnectionData;
    type Error = TlsError;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.0.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        &self.0
    }

    fn error(&self, fault: Fault) -> TlsError {
        let words = match fault {
            Fault::Tls(error) => self.words(&error),
            Fault::Refused => TOO_OLD.into(),
            Fault::Endless => return TlsError::Broken("a record without an end".into()),
            Fault::Ended => return TlsError::Broken("nothing can be sent any more".into()),
            _ => "it has failed before".into(),
        };
        if self.0.is_handshaking() { TlsError::Handshake(words) } else { TlsError::Broken(words) }
    }

    /// rustls would say of the past that it lacks an extension, which tells nobody what is wrong.
    fn refusal(&self, incoming: &[u8]) -> Option<&'static [u8]> {
        is_of_the_past(incoming).then_some(&PROTOCOL_VERSION)
    }
}

impl ServerSide {
    fn words(&self, error: &Error) -> String {
        match error {
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled) => {
                TOO_OLD.into()
            }
            Error::NoApplicationProtocol => {
                "the client means another protocol than FTP (ALPN): maybe a web page that was led here".into()
            }
            Error::AlertReceived(alert) => format!("the client ended it: {alert:?}"),
            Error::InvalidMessage(_) if self.0.is_handshaking() => "what the client sends is not TLS".into(),
            error => error.to_string(),
        }
    }
}

/// Whether these are the first bytes of a ClientHello of a version before TLS 1.2 (RFC 8446 section 4.1.2: later ones
/// all say that they are 1.2).
fn is_of_the_past(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, _, _, _, 1, _, _, _, major, minor, ..] => (*major, *minor) < (3, 3),
        _ => false,
    }
}
