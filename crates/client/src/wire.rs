//! A connection as the session sees it: its own bytes, in clear text or under TLS.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::connect::Stream;
use crate::tls::TlsError;
use crate::tls::engine::Engine;

/// At least so much ciphertext is read at a time: a whole record.
const MIN_READ: usize = 17 * 1024;

/// And at most, for readers with larger buffers: many records with one call of the system.
const MAX_READ: usize = 256 * 1024;

/// So much is encrypted at a time: large writes, and yet little of the caches is gone through between two of them.
const PIECE: usize = 128 * 1024;

/// A server that asks for answers (new keys) and takes none is given up when so much of them has piled up.
const MAX_ANSWERS: usize = 64 * 1024;

/// A connection, in clear text or under TLS.
pub(crate) struct Wire {
    stream: Stream,
    tls: Option<Box<Engine>>,
    /// Plaintext that was decrypted, or came behind the end of TLS, and was not asked for yet.
    ready: Vec<u8>,
    given: usize,
    /// This side's close_notify is on its way.
    end_sent: bool,
    /// The connection ended without close_notify.
    truncated: bool,
    /// Both sides may send urgent data: ABOR, and replies to it.
    urgent: bool,
}

impl Wire {
    pub(crate) fn new(stream: Stream, urgent: bool) -> Wire {
        Wire { stream, tls: None, ready: Vec::new(), given: 0, end_sent: false, truncated: false, urgent }
    }

    pub(crate) fn tls(&self) -> Option<&Engine> {
        self.tls.as_deref()
    }

    /// How it is protected, in words: the version, the cipher suite, and whether a session was resumed.
    pub(crate) fn protection(&self) -> String {
        let Some(engine) = &self.tls else { return String::new() };
        let resumed = if engine.is_resumed() { ", the session resumed" } else { "" };
        format!("{}{resumed}", engine.description())
    }

    /// Whether the connection ended without close_notify, and so maybe not where the other side meant it to.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Begins TLS; then [`Wire::poll_handshake`].
    pub(crate) fn begin_tls(&mut self, engine: Engine) {
        self.tls = Some(Box::new(engine));
        self.end_sent = false;
    }

    /// Waits until TLS stands.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        let broken = |error: io::Error| TlsError::Ended(format!("the connection broke in the handshake: {error}"));
        loop {
            let Some(engine) = &mut self.tls else { return Poll::Ready(Ok(())) };
            ready!(poll_send(&mut self.stream, engine, cx)).map_err(broken)?;
            if !engine.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let mut room = ReadBuf::new(engine.room(MIN_READ));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room)).map_err(broken)?;
            let read = room.filled().len();
            if read == 0 {
                let words = "the server ended the connection in the handshake".to_owned();
                return Poll::Ready(Err(TlsError::Ended(words)));
            }
            let ready = &mut self.ready;
            if let Err(error) = engine.received(read, |plain| ready.extend_from_slice(plain)) {
                // The alert, as far as it goes.
                let _ = poll_send(&mut self.stream, engine, cx);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Ends TLS, and not the connection: what comes behind the server's close_notify is clear text.
    pub(crate) fn poll_end_tls(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        let broken = |error: io::Error| TlsError::Ended(format!("the connection broke at the end of TLS: {error}"));
        loop {
            let Some(engine) = &mut self.tls else { return Poll::Ready(Ok(())) };
            if !std::mem::replace(&mut self.end_sent, true) {
                engine.send_end()?;
            }
            ready!(poll_send(&mut self.stream, engine, cx)).map_err(broken)?;
            if engine.is_ended() {
                self.ready.drain(..self.given);
                self.given = 0;
                self.ready.extend_from_slice(engine.behind_the_end());
                self.tls = None;
                return Poll::Ready(Ok(()));
            }
            let mut room = ReadBuf::new(engine.room(MIN_READ));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room)).map_err(broken)?;
            let read = room.filled().len();
            if read == 0 {
                return Poll::Ready(Err(TlsError::Ended("the server ended the connection with TLS".to_owned())));
            }
            let mut stray = 0;
            engine.received(read, |plain| stray += plain.len())?;
            if stray > 0 {
                return Poll::Ready(Err(TlsError::Other("the server goes on under TLS, which was to end".to_owned())));
            }
        }
    }

    /// Goes on in clear text, although the server has not ended TLS; whether nothing of TLS has come that is not whole.
    pub(crate) fn forget_tls(&mut self) -> bool {
        let between = self.tls.as_ref().is_none_or(|engine| !engine.is_within_record());
        if between {
            self.tls = None;
        }
        between
    }

    /// Reads; nothing is filled at the end of the bytes.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.take_ready(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let Some(engine) = &mut self.tls else {
                return match self.urgent {
                    true => self.stream.poll_read_past_marks(cx, buf),
                    false => Pin::new(&mut self.stream).poll_read(cx, buf),
                };
            };
            if engine.is_ended() || self.truncated {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            let mut room = ReadBuf::new(engine.room(buf.remaining().clamp(MIN_READ, MAX_READ)));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            if read == 0 {
                // Half a record is never the end of a file.
                if engine.is_within_record() {
                    let words = "the connection ended within a TLS record".to_owned();
                    return Poll::Ready(Err(io::Error::other(TlsError::Ended(words))));
                }
                self.truncated = true;
                return Poll::Ready(Ok(()));
            }
            let ready = &mut self.ready;
            let result = engine.received(read, |plain| {
                let fits = plain.len().min(buf.remaining());
                let (head, tail) = plain.split_at_checked(fits).unwrap_or((plain, b""));
                buf.put_slice(head);
                ready.extend_from_slice(tail);
            });
            // Answers (new keys) and alerts, as far as the server takes them.
            let sent = poll_send(&mut self.stream, engine, cx);
            if let Err(error) = result {
                return Poll::Ready(Err(io::Error::other(error)));
            }
            if sent.is_pending() && engine.outgoing().len() > MAX_ANSWERS {
                let words = "the server asks, and does not read the answers".to_owned();
                return Poll::Ready(Err(io::Error::other(TlsError::Other(words))));
            }
            if buf.filled().len() > before || engine.is_ended() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Waits for the first byte, which stays to be read, or for the end; whether it is a byte.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.given < self.ready.len() {
            return Poll::Ready(Ok(true));
        }
        if let (None, Stream::Tcp(stream)) = (&self.tls, &mut self.stream) {
            let mut first = [0];
            return stream.poll_peek(cx, &mut ReadBuf::new(&mut first)).map_ok(|bytes| bytes > 0);
        }
        let mut scratch = vec![0; MIN_READ];
        let mut buf = ReadBuf::new(&mut scratch);
        ready!(self.poll_read(cx, &mut buf))?;
        // What did not fit into the scratch, which is larger than a record, is there already, and comes behind it.
        let tail = self.ready.split_off(0);
        self.ready.extend_from_slice(buf.filled());
        self.ready.extend_from_slice(tail.get(self.given..).unwrap_or_default());
        self.given = 0;
        Poll::Ready(Ok(!self.ready.is_empty()))
    }

    /// The socket, where what comes by it are the bytes themselves, and none of them was taken yet: for a thread that reads it.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.stream {
            Stream::Tcp(stream) if self.tls.is_none() && self.ready.is_empty() => Some(stream.as_fd()),
            _ => None,
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(engine) = &mut self.tls else { return Pin::new(&mut self.stream).poll_write(cx, bytes) };
        ready!(poll_send(&mut self.stream, engine, cx))?;
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        engine.send(piece).map_err(io::Error::other)?;
        // They are taken: what does not go now goes with the next ones.
        match poll_send(&mut self.stream, engine, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(piece.len())),
        }
    }

    /// Waits until all that was written is on its way.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(engine) => poll_send(&mut self.stream, engine, cx),
            None => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    /// Writes the last of `bytes` as urgent data. Under TLS there is none, and proxies lose it: then none of them is written,
    /// and the command behind them goes alone.
    pub(crate) fn poll_write_urgent(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (None, Stream::Tcp(stream), true) = (&self.tls, &self.stream, self.urgent) else {
            return Poll::Ready(Ok(bytes.len()));
        };
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, || SockRef::from(stream).send_out_of_band(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Ends this side: close_notify, where there is TLS, and a FIN. The other side may go on.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(engine) = &mut self.tls {
            if !std::mem::replace(&mut self.end_sent, true) {
                engine.send_end().map_err(io::Error::other)?;
            }
            ready!(poll_send(&mut self.stream, engine, cx))?;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Says close_notify, as far as that goes at once: before a close that nobody waits for.
    pub(crate) fn say_end(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Some(engine) = &mut self.tls
            && !engine.is_handshaking()
            && !std::mem::replace(&mut self.end_sent, true)
            && engine.send_end().is_ok()
        {
            let _ = poll_send(&mut self.stream, engine, &mut cx);
        }
    }

    /// Makes the close that follows a RST.
    pub(crate) fn reset(&self) {
        if let Stream::Tcp(stream) = &self.stream {
            // Nothing can be done where it fails, and the close that follows is then a FIN.
            let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    fn take_ready(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let taken = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..taken).unwrap_or_default());
        self.given += taken;
        if self.given >= self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        taken > 0
    }
}

/// Sends all that the engine has to send.
fn poll_send(stream: &mut Stream, engine: &mut Engine, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !engine.outgoing().is_empty() {
        match ready!(Pin::new(&mut *stream).poll_write(cx, engine.outgoing()))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => engine.sent(written),
        }
    }
    Poll::Ready(Ok(()))
}
