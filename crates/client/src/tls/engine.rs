//! TLS of which this is the client: what it makes of the server's faults.

use std::sync::Arc;

use port21_tls::{Fault, Side};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::UnbufferedStatus;
use rustls::{ClientConfig, CommonState, Error};

use super::failure::TlsError;
use super::verify::Verifier;

/// One connection under TLS, of which this is the client.
pub(crate) type Engine = port21_tls::Engine<ClientSide>;

/// See [`Engine`].
pub(crate) struct ClientSide {
    connection: UnbufferedClientConnection,
    verifier: Arc<Verifier>,
}

impl ClientSide {
    /// The first bytes of the handshake are there to be sent.
    pub(super) fn engine(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        verifier: Arc<Verifier>,
    ) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedClientConnection::new(config, name).map_err(|error| TlsError::Other(error.to_string()))?;
        Engine::new(ClientSide { connection, verifier })
    }
}

impl Side for ClientSide {
    type Data = ClientConnectionData;
    type Error = TlsError;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.connection.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        &self.connection
    }

    fn error(&self, fault: Fault) -> TlsError {
        let verifier = &self.verifier;
        match fault {
            Fault::Tls(error) => {
                let ours = matches!(error, Error::InvalidCertificate(_)).then(|| verifier.take_reason()).flatten();
                let handshaking = self.connection.is_handshaking();
                ours.unwrap_or_else(|| TlsError::of(&error, handshaking, verifier.only, verifier.has_identity))
            }
            Fault::Endless => TlsError::Other("a record without an end".to_owned()),
            Fault::Ended => TlsError::Ended("nothing can be sent any more".to_owned()),
            _ => TlsError::Other("it has failed before".to_owned()),
        }
    }
}
