//! One connection under TLS, between the bytes of its socket and its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustls::pki_types::CertificateDer;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, HandshakeKind, InvalidMessage, ProtocolVersion};

use crate::buffer::Buffer;
use crate::side::{Fault, Side};

/// A record is no larger (RFC 8446 section 5.2), and a handshake message is not let grow beyond this.
const MAX_UNREAD: usize = 80 * 1024;

/// What a record adds to what is in it, at most.
const RECORD_EXTRA: usize = 5 + 256;

/// The most that is in a record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// One connection under TLS.
///
/// Bytes of the peer go into [`Engine::room`] and then through [`Engine::received`]; what is for the peer is in
/// [`Engine::outgoing`] until it was [`Engine::sent`]. Whatever is called, look there: a handshake, an answer, an alert.
///
/// What it holds of what has come is bounded: 80 KiB beyond the room that its user asks for. What is for the peer is not: a
/// peer that asks (for new keys, say) and never reads is for its user to give up.
pub struct Engine<S: Side> {
    side: S,
    incoming: Buffer,
    outgoing: Buffer,
    /// The peer has said that it sends no more.
    ended: bool,
    /// This end has.
    said_end: bool,
    /// Nothing is asked of rustls any more.
    failed: bool,
}

impl<S: Side> Engine<S> {
    /// Where this end begins the handshake, its first bytes are there to be sent.
    ///
    /// # Errors
    /// Where rustls cannot begin.
    pub fn new(side: S) -> Result<Engine<S>, S::Error> {
        let (incoming, outgoing) = (Buffer::default(), Buffer::default());
        let mut engine = Engine { side, incoming, outgoing, ended: false, said_end: false, failed: false };
        let begun = engine.process(&mut |_| {}, |_, _| Ok(()));
        begun.map_err(|fault| engine.side.error(fault))?;
        Ok(engine)
    }

    /// Room for so many bytes of ciphertext from the peer; then [`Engine::received`].
    pub fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.incoming.room(bytes)
    }

    /// So many bytes were put into the room: what they bring is given to `plain`, record by record, and is nowhere else.
    ///
    /// # Errors
    /// What was given to `plain` before is good all the same. The peer is told of it: in [`Engine::outgoing`] there is an
    /// alert then, once, unless this end's close_notify went before it (RFC 8446 section 6.1: nothing comes behind that).
    pub fn received(&mut self, bytes: usize, mut plain: impl FnMut(&[u8])) -> Result<(), S::Error> {
        self.incoming.filled(bytes);
        self.take_in(&mut plain).map_err(|fault| self.side.error(fault))
    }

    /// Encrypts bytes to be sent.
    ///
    /// # Errors
    /// [`Fault::Ended`] before the handshake is done and behind [`Engine::send_end`].
    pub fn send(&mut self, plain: &[u8]) -> Result<(), S::Error> {
        let records = plain.len().div_ceil(RECORD) + 1;
        let room = plain.len() + records * RECORD_EXTRA;
        self.write(room, |traffic, room| traffic.encrypt(plain, room)).map_err(|fault| self.side.error(fault))
    }

    /// Says that nothing more will be sent: close_notify (RFC 8446 section 6.1). The peer may go on.
    ///
    /// # Errors
    /// As [`Engine::send`].
    pub fn send_end(&mut self) -> Result<(), S::Error> {
        let said = self.write(2 * RECORD_EXTRA, |traffic, room| traffic.queue_close_notify(room));
        self.said_end |= said.is_ok();
        said.map_err(|fault| self.side.error(fault))
    }

    /// What is to be sent to the peer; then [`Engine::sent`].
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.bytes()
    }

    /// So many bytes of it were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.outgoing.take(bytes);
    }

    /// Gives back what the buffers hold, where nothing is in them: for a connection that is going to wait.
    pub fn rest(&mut self) {
        self.incoming.rest();
        self.outgoing.rest();
    }

    /// Whether the handshake is still to be done.
    pub fn is_handshaking(&self) -> bool {
        self.side.state().is_handshaking()
    }

    /// Whether the peer has ended its side in order: close_notify.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the rest of a record is still to come: where the connection ends now, it was cut.
    pub fn is_within_record(&self) -> bool {
        !self.incoming.bytes().is_empty()
    }

    /// What came behind the peer's close_notify.
    pub fn behind_the_end(&self) -> &[u8] {
        self.incoming.bytes()
    }

    /// Whether TLS 1.3 is spoken.
    pub fn is_tls13(&self) -> bool {
        self.side.state().protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Whether the session of another connection was resumed (RFC 8446 section 2.2, RFC 5246 section 7.3). It is known
    /// before the handshake is done.
    pub fn is_resumed(&self) -> bool {
        self.side.state().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The peer's own certificate, where it has shown one.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.side.state().peer_certificates().and_then(<[_]>::first)
    }

    /// The version and the cipher suite, in words. Only once the handshake is done.
    pub fn description(&self) -> String {
        let version = if self.is_tls13() { "TLS 1.3" } else { "TLS 1.2" };
        let suite = self.side.state().negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str()).unwrap_or("an unnamed cipher suite");
        format!("{version}, {suite}")
    }

    fn take_in(&mut self, plain: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        if self.failed {
            return Err(Fault::Failed);
        }
        if self.is_handshaking()
            && let Some(alert) = self.side.refusal(self.incoming.bytes())
        {
            self.failed = true;
            self.outgoing.put(alert);
            return Err(Fault::Refused);
        }
        let is_last = self.said_end && !self.ended;
        if is_last { self.process_last(plain) } else { self.process(plain, |_, _| Ok(())) }?;
        if !self.ended && self.incoming.bytes().len() > MAX_UNREAD {
            self.failed = true;
            return Err(Fault::Endless);
        }
        Ok(())
    }

    fn write(
        &mut self,
        room: usize,
        mut write: impl FnMut(&mut WriteTraffic<'_, S::Data>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Fault> {
        if self.said_end {
            return Err(Fault::Ended);
        }
        if self.failed {
            return Err(Fault::Failed);
        }
        let mut wrote = false;
        self.process(&mut |_| {}, |traffic, outgoing| {
            if std::mem::replace(&mut wrote, true) {
                return Ok(());
            }
            let mut size = room;
            loop {
                match write(traffic, outgoing.room(size)) {
                    Ok(written) => {
                        outgoing.filled(written);
                        return Ok(());
                    }
                    Err(EncryptError::InsufficientSize(more)) if more.required_size > size => size = more.required_size,
                    Err(error) => return Err(Error::General(error.to_string())),
                }
            }
        })?;
        if wrote { Ok(()) } else { Err(Fault::Ended) }
    }

    /// Goes through what comes behind the close_notify of this end, before the peer's own.
    ///
    /// rustls answers whatever is wrong there with a fatal alert, as it does before (RFC 8446 section 6.1 has none behind
    /// close_notify), and holds, where it is built with debug assertions, that it has never said its last word twice. A peer
    /// that goes on in clear without having ended TLS, as some do behind CCC, or a record that was tampered with, must not
    /// be the panic of a session. So what is no record is not handed in, and of a panic no more comes than of an error.
    fn process_last(&mut self, plain: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        if !is_record(self.incoming.bytes()) {
            self.failed = true;
            return Err(Fault::Tls(InvalidMessage::InvalidContentType.into()));
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.process(plain, |_, _| Ok(()))));
        // That alert would not be the peer's to understand.
        let result = result.unwrap_or(Err(Fault::Tls(Error::DecryptError)));
        self.failed |= result.is_err();
        result
    }

    /// Goes through all that has come; where bytes may be sent, `write` is asked for some.
    fn process(
        &mut self,
        plain: &mut impl FnMut(&[u8]),
        write: impl FnMut(&mut WriteTraffic<'_, S::Data>, &mut Buffer) -> Result<(), Error>,
    ) -> Result<(), Fault> {
        let result = self.process_all(plain, write);
        // What goes wrong is answered once. What is left of it would be gone through again, and answered again.
        if result.is_err() {
            self.failed = true;
            self.encode_alert();
        }
        result.map_err(Fault::Tls)
    }

    fn process_all(
        &mut self,
        plain: &mut impl FnMut(&[u8]),
        mut write: impl FnMut(&mut WriteTraffic<'_, S::Data>, &mut Buffer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let UnbufferedStatus { mut discard, state } = self.side.process(self.incoming.bytes_mut());
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
                    write(&mut traffic, &mut self.outgoing)
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
        while self.side.state().wants_write() {
            let UnbufferedStatus { state, .. } = self.side.process(self.incoming.bytes_mut());
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { return };
            if encode(data, &mut self.outgoing).is_err() {
                return;
            }
        }
    }
}

/// Whether these may be the first bytes of a record (RFC 8446 section 5.1): of alert, handshake or data, in any version.
fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [21..=23] | [21..=23, 3, ..])
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Buffer) -> Result<(), Error> {
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
