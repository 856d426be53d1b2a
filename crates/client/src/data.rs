//! One data connection, counted and told of.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use port21_proto::Time;
use port21_proto::event::{Closing, ConnectionId, End, EventKind, TlsFailure};
use tokio::io::ReadBuf;

use crate::connect::Stream;
use crate::sink::Recorder;
use crate::tls::engine::Engine;
use crate::tls::{Tls, TlsError};
use crate::wire::Wire;

/// A data connection. Its socket is gone once both sides have ended; what is left counts.
pub(crate) struct DataConnection {
    wire: Option<Wire>,
    id: ConnectionId,
    recorder: Recorder,
    received: Run,
    sent: Run,
    /// The server has ended its side.
    server_ended: bool,
    /// This side has ended.
    client_ended: bool,
}

/// Bytes in one direction.
#[derive(Default)]
struct Run {
    bytes: u64,
    since: Option<Time>,
    last: Time,
}

impl Run {
    fn add(&mut self, bytes: usize, recorder: &Recorder) {
        self.bytes += bytes as u64;
        self.is_there(recorder);
    }

    /// Bytes are there, counted or not yet.
    fn is_there(&mut self, recorder: &Recorder) {
        if recorder.is_on() {
            self.last = recorder.now();
            self.since.get_or_insert(self.last);
        }
    }

    fn tell(&mut self, connection: ConnectionId, from: End, recorder: &Recorder) {
        if let Some(since) = self.since.take().filter(|_| self.bytes > 0) {
            let kind = EventKind::Data { connection, from, since, bytes: self.bytes, segments: None };
            recorder.pass(port21_proto::SessionEvent { at: self.last, kind });
        }
    }
}

impl DataConnection {
    pub(crate) fn new(stream: Stream, id: ConnectionId, recorder: Recorder) -> DataConnection {
        DataConnection {
            wire: Some(Wire::new(stream, false)),
            id,
            recorder,
            received: Run::default(),
            sent: Run::default(),
            server_ended: false,
            client_ended: false,
        }
    }

    /// Sets TLS up; the engine is made by the first call.
    pub(crate) fn poll_secure(&mut self, cx: &mut Context<'_>, tls: &Tls) -> Poll<Result<(), TlsError>> {
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(Err(TlsError::Ended("the connection is closed".to_owned())));
        };
        if wire.tls().is_none() {
            wire.begin_tls(tls.engine()?);
        }
        if let Err(error) = ready!(wire.poll_handshake(cx)) {
            self.tls_failed(TlsFailure::Handshake, &error);
            return Poll::Ready(Err(error));
        }
        let protection = wire.protection();
        let text = || format!("the data connection is protected: {protection}");
        self.recorder.emit(|| EventKind::Note { connection: Some(self.id), text: text() });
        Poll::Ready(Ok(()))
    }

    /// Whether it is under TLS, and has resumed the control connection's session; nothing in clear text.
    pub(crate) fn is_resumed(&self) -> Option<bool> {
        self.wire.as_ref().and_then(Wire::tls).map(Engine::is_resumed)
    }

    /// Waits for the first byte, which stays, or for the end; whether it is a byte.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(false)) };
        match ready!(wire.poll_first(cx)) {
            Ok(false) => {}
            Ok(true) => {
                self.received.is_there(&self.recorder);
                return Poll::Ready(Ok(true));
            }
            Err(error) => {
                self.reset_by_server();
                return Poll::Ready(Err(error));
            }
        }
        self.poll_read(cx, &mut ReadBuf::new(&mut [0])).map_ok(|_| false)
    }

    /// Reads; at the end nothing is filled, and this side ends as well: some servers wait for that before they give
    /// their final reply. Whether the end, if it is one, may not be where the server meant it to be.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(false)) };
        let before = buf.filled().len();
        if let Err(error) = ready!(wire.poll_read(cx, buf)) {
            self.reset_by_server();
            return Poll::Ready(Err(error));
        }
        let truncated = wire.is_truncated();
        let read = buf.filled().len() - before;
        if read > 0 {
            self.received.add(read, &self.recorder);
        } else if buf.remaining() > 0 {
            self.received.tell(self.id, End::Server, &self.recorder);
            self.server_ended = true;
            if truncated {
                self.tls_failed(TlsFailure::Truncated, &TlsError::Truncated);
            }
            self.ended(End::Server, Closing::Fin);
            self.close();
        }
        Poll::Ready(Ok(truncated))
    }

    /// The socket, for a thread that receives what comes by it, in clear text: [`DataConnection::has_received`] tells of that.
    pub(crate) fn socket(&self) -> Option<io::Result<OwnedFd>> {
        self.wire.as_ref().and_then(Wire::socket).map(|socket| socket.try_clone_to_owned())
    }

    /// So many bytes were received by way of the socket itself, and then it broke, or not.
    pub(crate) fn has_received(&mut self, bytes: usize, is_broken: bool) {
        if bytes > 0 {
            self.received.add(bytes, &self.recorder);
        }
        if is_broken {
            self.reset_by_server();
        }
    }

    fn tls_failed(&self, why: TlsFailure, error: &TlsError) {
        let text = || error.to_string();
        self.recorder.emit(|| EventKind::TlsFailed { connection: self.id, why, text: text() });
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match ready!(wire.poll_write(cx, bytes)) {
            Ok(written) => {
                self.sent.add(written, &self.recorder);
                Poll::Ready(Ok(written))
            }
            Err(error) => {
                self.reset_by_server();
                Poll::Ready(Err(error))
            }
        }
    }

    /// Ends this side: close_notify, where there is TLS, and a FIN.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(())) };
        if !self.client_ended {
            ready!(wire.poll_shutdown(cx))?;
            self.sent.tell(self.id, End::Client, &self.recorder);
            self.client_ended = true;
            self.ended(End::Client, Closing::Fin);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what comes and throws it away, until nothing more is there or to come. After an upload under TLS that brings
    /// the tickets for the next connections.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0u8; 16 * 1024];
        while self.wire.is_some() {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(self.poll_read(cx, &mut buf)) {
                Ok(_) if !buf.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }

    /// The transfer is over, or given up: an upload that has not ended is reset, so that the server cannot take the part
    /// that it has for the whole.
    pub(crate) fn release(mut self, upload: bool) {
        self.received.tell(self.id, End::Server, &self.recorder);
        self.sent.tell(self.id, End::Client, &self.recorder);
        if upload && !self.client_ended {
            self.client_ended = true;
            if let Some(wire) = self.wire.take() {
                wire.reset();
                self.ended(End::Client, Closing::Reset);
            }
            return;
        }
        self.close();
    }

    fn close(&mut self) {
        if let Some(mut wire) = self.wire.take()
            && !self.client_ended
        {
            // A download that is given up is not told so: it has no end.
            if self.server_ended {
                wire.say_end();
            }
            self.client_ended = true;
            // Closing while the server still sends answers it with a RST.
            self.ended(End::Client, if self.server_ended { Closing::Fin } else { Closing::Reset });
        }
    }

    fn reset_by_server(&mut self) {
        self.received.tell(self.id, End::Server, &self.recorder);
        self.sent.tell(self.id, End::Client, &self.recorder);
        if !self.server_ended {
            self.server_ended = true;
            self.ended(End::Server, Closing::Reset);
        }
        self.wire = None;
    }

    fn ended(&self, by: End, how: Closing) {
        self.recorder.emit(|| EventKind::Closed { connection: self.id, by, how });
    }
}
