//! TLS without a socket: ciphertext in, plaintext out, and the other way round.
//!
//! rustls's unbuffered interface leaves the buffers here: a control connection that waits holds none, a data connection
//! reads into one that is as large as it likes, and what follows close_notify stays where it is, untouched.

use std::sync::Arc;

use port21_proto::server::{Secured, TlsError};
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, HandshakeKind, PeerIncompatible, ProtocolVersion, ServerConfig};

/// A record is no larger (RFC 8446 section 5.2), and a handshake message is not let grow beyond this.
const MAX_UNREAD: usize = 80 * 1024;

/// What a record adds to what is in it, at most.
const RECORD_EXTRA: usize = 5 + 256;

/// The most that is in a record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

const TOO_OLD: &str = "the client speaks neither TLS 1.2 nor 1.3, and TLS 1.0 and 1.1 are broken";

/// RFC 8446 section 6: a fatal alert, protocol_version.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

/// One connection under TLS, of which this is the server.
pub(crate) struct Engine {
    connection: UnbufferedServerConnection,
    incoming: Buffer,
    outgoing: Buffer,
    /// The client has said that it sends no more.
    ended: bool,
}

impl Engine {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedServerConnection::new(config).map_err(|error| TlsError::Handshake(error.to_string()))?;
        Ok(Engine { connection, incoming: Buffer::default(), outgoing: Buffer::default(), ended: false })
    }

    /// Room for so many bytes of ciphertext from the client; then [`Engine::received`].
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.incoming.room(bytes)
    }

    /// So many bytes were put into the room: what they bring is appended to `plain`. What is to be sent meanwhile is in
    /// [`Engine::outgoing`], also after an error, which is told to the client too.
    pub(crate) fn received(&mut self, bytes: usize, plain: &mut Vec<u8>) -> Result<(), TlsError> {
        self.incoming.filled(bytes);
        if self.is_handshaking() && is_of_the_past(self.incoming.bytes()) {
            self.outgoing.put(&PROTOCOL_VERSION);
            return Err(TlsError::Handshake(TOO_OLD.into()));
        }
        let result = self.process(plain, |_, _| None);
        if result.is_err() {
            self.encode_alert();
        }
        match result {
            Ok(()) if !self.ended && self.incoming.bytes().len() > MAX_UNREAD => {
                Err(TlsError::Broken("a record without an end".into()))
            }
            result => result.map_err(|error| self.tell(&error)),
        }
    }

    /// Encrypts bytes to be sent. Only once the handshake is done.
    pub(crate) fn send(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        let records = plain.len().div_ceil(RECORD) + 1;
        self.write(plain.len() + records * RECORD_EXTRA, |traffic, room| traffic.encrypt(plain, room))
    }

    /// Says that nothing more will be sent.
    pub(crate) fn send_end(&mut self) -> Result<(), TlsError> {
        self.write(2 * RECORD_EXTRA, |traffic, room| traffic.queue_close_notify(room))
    }

    /// What is to be sent to the client; then [`Engine::sent`].
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outgoing.bytes()
    }

    /// So many bytes of it were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.outgoing.take(bytes);
    }

    /// Gives back what the buffers hold, where nothing is in them.
    pub(crate) fn rest(&mut self) {
        self.incoming.rest();
        self.outgoing.rest();
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Whether the client has ended its side in order: close_notify.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the rest of a record is still to come.
    pub(super) fn is_within_record(&self) -> bool {
        !self.incoming.bytes().is_empty()
    }

    /// What came behind close_notify.
    pub(crate) fn behind_the_end(&self) -> &[u8] {
        self.incoming.bytes()
    }

    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.connection.handshake_kind()
    }

    pub(super) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificates().and_then(<[_]>::first)
    }

    pub(crate) fn description(&self) -> Secured {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        let suite = self.connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str()).unwrap_or("an unnamed cipher suite");
        Secured { description: format!("{version}, {suite}"), certificate: self.client_certificate().is_some() }
    }

    fn write(
        &mut self,
        room: usize,
        mut write: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsError> {
        let mut stray = Vec::new();
        let mut wrote = false;
        let result = self.process(&mut stray, |traffic, outgoing| {
            if std::mem::replace(&mut wrote, true) {
                return None;
            }
            let mut size = room;
            loop {
                match write(traffic, outgoing.room(size)) {
                    Ok(written) => {
                        outgoing.filled(written);
                        return None;
                    }
                    Err(EncryptError::InsufficientSize(more)) if more.required_size > size => size = more.required_size,
                    Err(error) => return Some(error.to_string()),
                }
            }
        });
        match result {
            Ok(()) if wrote => Ok(()),
            Ok(()) => Err(TlsError::Broken("nothing can be sent any more".into())),
            Err(error) => Err(self.tell(&error)),
        }
    }

    /// Goes through all that has come; where bytes may be sent, `write` is asked for some, and told of its failure.
    fn process(
        &mut self,
        plain: &mut Vec<u8>,
        mut write: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut Buffer) -> Option<String>,
    ) -> Result<(), Error> {
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(self.incoming.bytes_mut());
            let mut goes_on = true;
            let result = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut result = Ok(());
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                plain.extend_from_slice(record.payload);
                            }
                            Err(error) => result = Err(error),
                        }
                    }
                    result
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                // It is in the buffer, and what follows it goes behind it.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(())
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    Ok(())
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    goes_on = false;
                    write(&mut traffic, &mut self.outgoing).map_or(Ok(()), |error| Err(Error::General(error)))
                }
                Ok(_) => {
                    goes_on = false;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            self.incoming.take(discard);
            result?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// After an error: what is to be said of it. Nothing else is gone through any more.
    fn encode_alert(&mut self) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(self.incoming.bytes_mut());
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { return };
            if encode(data, &mut self.outgoing).is_err() {
                return;
            }
        }
    }

    fn tell(&self, error: &Error) -> TlsError {
        let words = match error {
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled) => {
                TOO_OLD.into()
            }
            Error::NoApplicationProtocol => {
                "the client means another protocol than FTP (ALPN): maybe a web page that was led here".into()
            }
            Error::AlertReceived(alert) => format!("the client ended it: {alert:?}"),
            Error::InvalidMessage(_) if self.is_handshaking() => "what the client sends is not TLS".into(),
            error => error.to_string(),
        };
        if self.is_handshaking() { TlsError::Handshake(words) } else { TlsError::Broken(words) }
    }
}

/// Whether these are the first bytes of a ClientHello of a version before TLS 1.2 (RFC 8446 section 4.1.2: later ones
/// all say that they are 1.2). rustls would say of it that it lacks an extension, which tells nobody what is wrong.
fn is_of_the_past(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, _, _, _, 1, _, _, _, major, minor, ..] => (*major, *minor) < (3, 3),
        _ => false,
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut Buffer) -> Result<(), Error> {
    let mut size = RECORD_EXTRA;
    loop {
        match data.encode(outgoing.room(size)) {
            Ok(written) => {
                outgoing.filled(written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(more)) if more.required_size > size => size = more.required_size,
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}

/// Bytes that are put in at its end and taken out at its beginning. It never shrinks by itself.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// So many bytes to be written to, behind those that are there.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() < self.end + bytes {
            self.bytes.resize(self.end + bytes, 0);
        }
        self.bytes.get_mut(self.end..self.end + bytes).unwrap_or_default()
    }

    /// So many of them were written.
    fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.bytes.len());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    fn rest(&mut self) {
        if self.start == self.end {
            *self = Buffer::default();
        }
    }
}
