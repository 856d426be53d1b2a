//! A data connection under TLS: the server is the TLS server, whoever has connected to whom (RFC 4217 section 7).

use std::io;
use std::time::Duration;

use port21_proto::server::TlsError;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::time::timeout;

use super::binding::{Binding, DataEngine, Proof};
use super::engine::Engine;
use crate::data::socket::Socket;

/// How much ciphertext is read at a time during the handshake: a client's part of it is rarely more.
const HANDSHAKE_READ: usize = 4096;

/// So much is encrypted at a time: large writes, and yet little of the caches is gone through between two of them.
const PIECE: usize = 256 * 1024;

/// More than tickets: so much of what is to be sent is held back during an upload.
const HELD: usize = 32 * 1024;

/// And so much is kept of what the client does not take.
const MAX_HELD: usize = 64 * 1024;

/// TLS that stands on a data connection.
pub(crate) struct DataTls {
    engine: Engine,
    /// Plaintext that came and was not asked for yet.
    early: Vec<u8>,
    proof: Proof,
}

impl DataTls {
    /// Waits for the client's handshake, and for no longer than `patience`. It must show that it is the client of the
    /// control connection.
    pub(crate) async fn accept(stream: &Socket, binding: &Binding, patience: Duration) -> Result<DataTls, TlsError> {
        let mut data = binding.data()?;
        let mut early = Vec::new();
        let shaken = timeout(patience, shake(stream, binding, &mut data, &mut early)).await;
        if let Err(error) = shaken.unwrap_or(Err(TlsError::TimedOut(patience))) {
            // The alert, where there is one.
            flush_now(stream, &mut data.engine);
            return Err(error);
        }
        let admitted = binding.admit(&data);
        let mut engine = data.engine;
        // The client should not take a refusal for a broken network. Best effort: the reply on the control connection
        // tells all.
        if admitted.is_err() && engine.send_end().is_ok() {
            flush_now(stream, &mut engine);
        }
        admitted.map(|proof| DataTls { engine, early, proof })
    }

    /// Whether it was let in though it does not resume the session of its control connection, and that is to be told.
    pub(crate) fn is_unproven(&self) -> bool {
        self.proof == Proof::Missed
    }

    /// Sends the tickets now. The client must not have been told yet that it may send: what it has read by then, or has at
    /// hand, does no harm when it closes.
    pub(crate) fn send_tickets(&mut self, stream: &Socket) {
        // They fit into a connection on which little was sent yet; what does not goes later.
        flush_now(stream, &mut self.engine);
    }

    /// Encrypts and sends all of `bytes`.
    pub(crate) async fn send(&mut self, stream: &Socket, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            self.engine.send(piece).map_err(io::Error::other)?;
            flush(stream, &mut self.engine).await?;
        }
        Ok(())
    }

    /// Sends close_notify: whoever gets it knows that it has all. How many bytes went out for that, of which the last ones
    /// are no bytes of the file; an error only where none could.
    pub(crate) async fn send_end(&mut self, stream: &Socket) -> io::Result<usize> {
        self.engine.send_end().map_err(io::Error::other)?;
        let bytes = self.engine.outgoing().len();
        match flush(stream, &mut self.engine).await {
            Err(error) if self.engine.outgoing().len() == bytes => Err(error),
            _ => Ok(bytes - self.engine.outgoing().len()),
        }
    }

    /// As [`DataTls::send_end`], for who has sent nothing but that: it fits, or nobody waits for it.
    pub(crate) fn send_end_now(&mut self, stream: &Socket) {
        if self.engine.send_end().is_ok() {
            flush_now(stream, &mut self.engine);
        }
    }

    /// Waits for bytes and appends them: how many; 0 where the client has ended its side with close_notify. Whatever
    /// becomes of the connection behind that, all has come.
    pub(crate) async fn receive(&mut self, stream: &Socket, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            if let Some(received) = self.early_or_end(buffer) {
                return Ok(received);
            }
            let room = room_in(buffer);
            let read = stream.once(Interest::READABLE, || receive_some(stream, &mut self.engine, room)).await?;
            if let Some(received) = self.decrypt(stream, read, buffer)? {
                return Ok(received);
            }
        }
    }

    /// As [`DataTls::receive`], without waiting: [`io::ErrorKind::WouldBlock`] where nothing is there.
    pub(crate) fn receive_now(&mut self, stream: &Socket, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            if let Some(received) = self.early_or_end(buffer) {
                return Ok(received);
            }
            let read = receive_some(stream, &mut self.engine, room_in(buffer))?;
            if let Some(received) = self.decrypt(stream, read, buffer)? {
                return Ok(received);
            }
        }
    }

    fn early_or_end(&mut self, buffer: &mut Vec<u8>) -> Option<usize> {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            buffer.extend_from_slice(&early);
            return Some(early.len());
        }
        self.engine.is_ended().then_some(0)
    }

    /// What `read` bytes have brought: nothing where that is no plaintext yet.
    fn decrypt(&mut self, stream: &Socket, read: usize, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if read == 0 {
            // Half a record is never the end of a file, not even for who does without close_notify.
            let error = match self.engine.is_within_record() {
                true => TlsError::Broken("the connection ended within a record".into()),
                false => TlsError::Truncated,
            };
            return Err(io::Error::other(error));
        }
        let before = buffer.len();
        let result = self.engine.received(read, |record| buffer.extend_from_slice(record));
        if let Err(error) = result {
            // The alert.
            flush_now(stream, &mut self.engine);
            return Err(io::Error::other(error));
        }
        // What the client asks for during an upload, new keys, is answered now and then, as far as it takes answers: that it
        // does not is no reason to stop reading, until it has asked too often.
        if self.engine.outgoing().len() > HELD {
            flush_now(stream, &mut self.engine);
            if self.engine.outgoing().len() > MAX_HELD {
                return Err(io::Error::other(TlsError::Broken("the client asks and does not read the answers".into())));
            }
        }
        let received = buffer.len() - before;
        Ok((received > 0 || self.engine.is_ended()).then_some(received))
    }
}

async fn shake(stream: &Socket, binding: &Binding, data: &mut DataEngine, early: &mut Vec<u8>) -> Result<(), TlsError> {
    let broken = |error: io::Error| TlsError::Handshake(error.to_string());
    while data.engine.is_handshaking() {
        let engine = &mut data.engine;
        let read = stream.once(Interest::READABLE, || receive_some(stream, engine, HANDSHAKE_READ));
        match read.await.map_err(broken)? {
            0 => return Err(TlsError::Handshake("the client ended the connection".into())),
            read => engine.received(read, |record| early.extend_from_slice(record))?,
        }
        binding.honour(data);
        let engine = &mut data.engine;
        // Behind a handshake of TLS 1.3 there are only tickets left to be sent. They wait for what is sent next: a
        // client that uploads and closes without ever reading (those in Go are such) would be answered by its own system
        // with a RST, which throws away what of the file is still on its way.
        if engine.is_handshaking() || !engine.is_tls13() {
            flush(stream, engine).await.map_err(broken)?;
        }
    }
    Ok(())
}

fn receive_some(stream: &Socket, engine: &mut Engine, bytes: usize) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(stream, engine.room(bytes), RecvFlags::DONTWAIT)?;
    Ok(read)
}

async fn flush(stream: &Socket, engine: &mut Engine) -> io::Result<()> {
    while !engine.outgoing().is_empty() {
        let write = || Ok(rustix::net::send(stream, engine.outgoing(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?);
        let sent = stream.once(Interest::WRITABLE, write).await?;
        engine.sent(sent);
    }
    Ok(())
}

/// Sends what fits.
fn flush_now(stream: &Socket, engine: &mut Engine) {
    if !engine.outgoing().is_empty()
        && let Ok(sent) = rustix::net::send(stream, engine.outgoing(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    {
        engine.sent(sent);
    }
}

/// Plaintext is no longer than its ciphertext.
fn room_in(buffer: &Vec<u8>) -> usize {
    (buffer.capacity() - buffer.len()).max(HANDSHAKE_READ)
}
