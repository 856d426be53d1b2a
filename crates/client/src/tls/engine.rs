//! TLS without a socket: ciphertext in, plaintext out, and the other way round.
//!
//! rustls's unbuffered interface leaves the buffers here: what follows close_notify stays where it is, untouched, and
//! plaintext goes from the buffer that it was decrypted in to where its reader wants it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{ClientConfig, Error, HandshakeKind, InvalidMessage, ProtocolVersion};

use super::failure::TlsError;
use super::verify::Verifier;

/// A record is no larger (RFC 8446 section 5.2), and a handshake message is not let grow beyond this.
const MAX_UNREAD: usize = 80 * 1024;

/// What a record adds to what is in it, at most.
const RECORD_EXTRA: usize = 5 + 256;

/// The most that is in a record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// One connection under TLS, of which this is the client.
pub(crate) struct Engine {
    connection: UnbufferedClientConnection,
    verifier: Arc<Verifier>,
    incoming: Buffer,
    outgoing: Buffer,
    /// The server has said that it sends no more.
    ended: bool,
    /// This side has.
    said_end: bool,
    /// Nothing is asked of rustls any more.
    failed: bool,
}

impl Engine {
    /// The first bytes of the handshake are there to be sent.
    pub(super) fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        verifier: Arc<Verifier>,
    ) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedClientConnection::new(config, name).map_err(|error| TlsError::Other(error.to_string()))?;
        let (incoming, outgoing) = (Buffer::default(), Buffer::default());
        let mut engine =
            Engine { connection, verifier, incoming, outgoing, ended: false, said_end: false, failed: false };
        let begun = engine.process(&mut |_| {}, |_, _| None);
        begun.map_err(|error| engine.tell(&error))?;
        Ok(engine)
    }

    /// Room for so many bytes of ciphertext from the server; then [`Engine::received`].
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.incoming.room(bytes)
    }

    /// So many bytes were put into the room: what they bring is given to `plain`, piece by piece. What is to be sent
    /// meanwhile is in [`Engine::outgoing`], also after an error, which is told to the server too.
    pub(crate) fn received(&mut self, bytes: usize, plain: &mut dyn FnMut(&[u8])) -> Result<(), TlsError> {
        self.incoming.filled(bytes);
        let is_last = self.said_end && !self.ended;
        let result = if is_last { self.process_last(plain) } else { self.process(plain, |_, _| None) };
        match result {
            Ok(()) if !self.ended && self.incoming.bytes().len() > MAX_UNREAD => {
                Err(TlsError::Other("a record without an end".to_owned()))
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

    /// What is to be sent to the server; then [`Engine::sent`].
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outgoing.bytes()
    }

    /// So many bytes of it were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.outgoing.take(bytes);
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the server has ended its side in order: close_notify.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the rest of a record is still to come.
    pub(crate) fn is_within_record(&self) -> bool {
        !self.incoming.bytes().is_empty()
    }

    /// What came behind close_notify.
    pub(crate) fn behind_the_end(&self) -> &[u8] {
        self.incoming.bytes()
    }

    /// Whether the session of another connection was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// The version, the cipher suite, and whether a session was resumed, in words.
    pub(crate) fn description(&self) -> String {
        let version = if self.is_tls13() { "TLS 1.3" } else { "TLS 1.2" };
        let suite = self.connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str()).unwrap_or("an unnamed cipher suite");
        let resumed = if self.is_resumed() { ", the session resumed" } else { "" };
        format!("{version}, {suite}{resumed}")
    }

    fn write(
        &mut self,
        room: usize,
        mut write: impl FnMut(&mut WriteTraffic<'_, ClientConnectionData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsError> {
        if self.said_end {
            return Err(TlsError::Ended("nothing can be sent any more".to_owned()));
        }
        let mut wrote = false;
        let result = self.process(&mut |_| {}, |traffic, outgoing| {
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
            Ok(()) => Err(TlsError::Ended("nothing can be sent any more".to_owned())),
            Err(error) => Err(self.tell(&error)),
        }
    }

    /// Goes through what comes behind the close_notify of this side, before the server's own. rustls would answer what is
    /// wrong there with an alert, and holds by a debug assertion that it never has to: as in the server's engine, what is no
    /// record is not handed in, and of a panic no more comes than of an error.
    fn process_last(&mut self, plain: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if !is_record(self.incoming.bytes()) {
            self.failed = true;
            return Err(InvalidMessage::InvalidContentType.into());
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.process(plain, |_, _| None)));
        let result = result.unwrap_or(Err(Error::DecryptError));
        self.failed |= result.is_err();
        result
    }

    /// Goes through all that has come; where bytes may be sent, `write` is asked for some, and told of its failure.
    fn process(
        &mut self,
        plain: &mut dyn FnMut(&[u8]),
        mut write: impl FnMut(&mut WriteTraffic<'_, ClientConnectionData>, &mut Buffer) -> Option<String>,
    ) -> Result<(), Error> {
        if self.failed {
            return Err(Error::General("it has failed before".to_owned()));
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
        plain: &mut dyn FnMut(&[u8]),
        write: &mut dyn FnMut(&mut WriteTraffic<'_, ClientConnectionData>, &mut Buffer) -> Option<String>,
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
                                plain(record.payload);
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
        let verifier = &self.verifier;
        let ours = matches!(error, Error::InvalidCertificate(_)).then(|| verifier.take_reason()).flatten();
        ours.unwrap_or_else(|| TlsError::of(error, self.is_handshaking(), verifier.only, verifier.has_identity))
    }
}

/// Whether these may be the first bytes of a record (RFC 8446 section 5.1): of alert, handshake or data, in any version.
fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [21..=23] | [21..=23, 3, ..])
}

fn encode(mut data: EncodeTlsData<'_, ClientConnectionData>, outgoing: &mut Buffer) -> Result<(), Error> {
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

/// Bytes that are put in at its end and taken out at its beginning.
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

    fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::super::{Tls, TlsSettings, TlsVersion};
    use super::*;

    /// A client and a server that have shaken hands.
    fn pair(version: TlsVersion) -> (Engine, ServerConnection) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let settings = TlsSettings { insecure: true, only: Some(version), ..TlsSettings::default() };
        let mut engine = Tls::new(&settings, "localhost", None).unwrap().engine().unwrap();
        let mut server = ServerConnection::new(server.into()).unwrap();
        while engine.is_handshaking() || server.is_handshaking() {
            let mut sent = engine.outgoing();
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets().unwrap();
            engine.sent(usize::MAX / 2);
            let records = written(&mut server);
            receive(&mut engine, &records).unwrap();
        }
        (engine, server)
    }

    fn written(server: &mut ServerConnection) -> Vec<u8> {
        let mut records = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut records).unwrap();
        }
        records
    }

    fn receive(engine: &mut Engine, bytes: &[u8]) -> Result<Vec<u8>, TlsError> {
        engine.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        let mut plain = Vec::new();
        engine.received(bytes.len(), &mut |bytes| plain.extend_from_slice(bytes)).map(|()| plain)
    }

    #[test]
    fn junk_behind_the_last_word_is_an_error() {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            for in_clear in [true, false] {
                let (mut engine, mut server) = pair(version);
                engine.send_end().unwrap();
                std::io::Write::write_all(&mut server.writer(), b"226 Done.").unwrap();
                let mut junk = if in_clear { b"226 Done.\r\n".to_vec() } else { written(&mut server) };
                *junk.last_mut().unwrap() ^= 1;
                for _ in 0..2 {
                    assert!(receive(&mut engine, &junk).is_err());
                    assert!(engine.send(b"more").is_err() && engine.send_end().is_err());
                }
            }
        }
    }

    #[test]
    fn what_comes_in_order_behind_the_last_word_is_read() {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let (mut engine, mut server) = pair(version);
            engine.send_end().unwrap();
            std::io::Write::write_all(&mut server.writer(), b"226 Done.").unwrap();
            server.send_close_notify();
            let records = written(&mut server);
            let mut plain = Vec::new();
            for byte in records.iter().chain(b"in clear") {
                plain.extend(receive(&mut engine, &[*byte]).unwrap());
            }
            assert_eq!(plain, b"226 Done.");
            assert!(engine.is_ended());
            assert_eq!(engine.behind_the_end(), b"in clear");
        }
    }
}
