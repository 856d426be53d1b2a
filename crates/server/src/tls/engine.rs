//! TLS without a socket: ciphertext in, plaintext out, and the other way round.
//!
//! rustls's unbuffered interface leaves the buffers here: a control connection that waits holds none, a data connection
//! reads into one that is as large as it likes, and what follows close_notify stays where it is, untouched.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use port21_proto::server::{Secured, TlsError};
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, HandshakeKind, InvalidMessage, PeerIncompatible, ProtocolVersion, ServerConfig};

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
    /// This side has.
    said_end: bool,
    /// Nothing is asked of rustls any more.
    failed: bool,
}

impl Engine {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedServerConnection::new(config).map_err(|error| TlsError::Handshake(error.to_string()))?;
        let (incoming, outgoing) = (Buffer::default(), Buffer::default());
        Ok(Engine { connection, incoming, outgoing, ended: false, said_end: false, failed: false })
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
        let is_last = self.said_end && !self.ended;
        let result = if is_last { self.process_last(plain) } else { self.process(plain, |_, _| None) };
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
        let said = self.write(2 * RECORD_EXTRA, |traffic, room| traffic.queue_close_notify(room));
        self.said_end |= said.is_ok();
        said
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
        if self.said_end {
            return Err(TlsError::Broken("nothing can be sent any more".into()));
        }
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

    /// Goes through what comes behind the close_notify of this side, before the client's own.
    ///
    /// rustls answers whatever is wrong there with a fatal alert, as it does before (RFC 8446 section 6.1 has none behind
    /// close_notify), and holds, where it is built with debug assertions, that it has never said its last word twice. A
    /// client that goes on in clear without having ended TLS, as some do behind CCC, or a record that was tampered with, must
    /// not be the panic of a session. So what is no record is not handed in, and of a panic no more comes than of an error.
    fn process_last(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        if !is_record(self.incoming.bytes()) {
            self.failed = true;
            return Err(InvalidMessage::InvalidContentType.into());
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.process(plain, |_, _| None)));
        // That alert would not be the client's to understand.
        let result = result.unwrap_or(Err(Error::DecryptError));
        self.failed |= result.is_err();
        result
    }

    /// Goes through all that has come; where bytes may be sent, `write` is asked for some, and told of its failure.
    fn process(
        &mut self,
        plain: &mut Vec<u8>,
        mut write: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut Buffer) -> Option<String>,
    ) -> Result<(), Error> {
        if self.failed {
            return Err(Error::General("it has failed before".into()));
        }
        let result = self.process_all(plain, &mut write);
        // What goes wrong is answered once. What is left of it would be gone through again, and answered again.
        if result.is_err() {
            self.failed = true;
            self.encode_alert();
        }
        result
    }

    fn process_all(
        &mut self,
        plain: &mut Vec<u8>,
        write: &mut dyn FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut Buffer) -> Option<String>,
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

/// Whether these may be the first bytes of a record (RFC 8446 section 5.1): of alert, handshake or data, in any version.
fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [21..=23] | [21..=23, 3, ..])
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

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

    use super::*;

    /// A server and a client that have shaken hands.
    fn pair(version: &'static SupportedProtocolVersion) -> (Engine, ClientConnection) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let mut engine = Engine::new(server.into()).unwrap();
        let mut client = ClientConnection::new(client.into(), "localhost".try_into().unwrap()).unwrap();
        while engine.is_handshaking() || client.is_handshaking() {
            let records = written(&mut client);
            receive(&mut engine, &records).unwrap();
            let mut sent = engine.outgoing();
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets().unwrap();
            engine.sent(usize::MAX / 2);
        }
        (engine, client)
    }

    fn written(client: &mut ClientConnection) -> Vec<u8> {
        let mut records = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut records).unwrap();
        }
        records
    }

    fn receive(engine: &mut Engine, bytes: &[u8]) -> Result<Vec<u8>, TlsError> {
        engine.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        let mut plain = Vec::new();
        engine.received(bytes.len(), &mut plain).map(|()| plain)
    }

    /// Bytes in clear, and a record that was tampered with.
    fn junk(client: &mut ClientConnection) -> [Vec<u8>; 2] {
        std::io::Write::write_all(&mut client.writer(), b"PWD\r\n").unwrap();
        let mut record = written(client);
        *record.last_mut().unwrap() ^= 1;
        [b"PWD\r\n".to_vec(), record]
    }

    #[test]
    fn junk_behind_the_last_word_is_an_error_and_is_not_answered() {
        for version in [&TLS12, &TLS13] {
            for which in [0, 1] {
                let (mut engine, mut client) = pair(version);
                engine.send_end().unwrap();
                let said = engine.outgoing().to_vec();
                for _ in 0..2 {
                    let junk = &junk(&mut client)[which];
                    assert!(matches!(receive(&mut engine, junk), Err(TlsError::Broken(_))));
                    assert!(engine.send(b"221 Bye.").is_err() && engine.send_end().is_err());
                }
                assert!(engine.outgoing() == said || !cfg!(debug_assertions), "{version:?}");
            }
        }
    }

    #[test]
    fn junk_is_answered_once() {
        for version in [&TLS12, &TLS13] {
            for which in [0, 1] {
                let (mut engine, mut client) = pair(version);
                let wrong = junk(&mut client);
                assert!(receive(&mut engine, &wrong[which]).is_err());
                let said = engine.outgoing().to_vec();
                assert!(!said.is_empty());
                for wrong in wrong {
                    assert!(receive(&mut engine, &wrong).is_err());
                    assert!(engine.send(b"221 Bye.").is_err() && engine.send_end().is_err());
                }
                assert_eq!(engine.outgoing(), said);
            }
        }
    }

    #[test]
    fn what_comes_in_order_behind_the_last_word_is_read() {
        for version in [&TLS12, &TLS13] {
            let (mut engine, mut client) = pair(version);
            engine.send_end().unwrap();
            std::io::Write::write_all(&mut client.writer(), b"PWD\r\n").unwrap();
            client.send_close_notify();
            let records = written(&mut client);
            // In any segments.
            let mut plain = Vec::new();
            for byte in records.iter().chain(b"in clear") {
                plain.extend(receive(&mut engine, &[*byte]).unwrap());
            }
            assert_eq!(plain, b"PWD\r\n");
            assert!(engine.is_ended());
            assert_eq!(engine.behind_the_end(), b"in clear");
        }
    }
}
