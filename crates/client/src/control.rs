//! The control connection's bytes: what is to be sent, in order, and what has come.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use port21_proto::event::{Closing, ConnectionId, End, EventKind, TlsFailure};
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::connect::Stream;
use crate::sink::Recorder;
use crate::tls::TlsError;
use crate::tls::engine::Engine;
use crate::wire::Wire;

/// So long a server that has agreed to CCC may take to end TLS: some never do, and go on in clear text all the same.
const END_GRACE: Duration = Duration::from_secs(3);

/// The control connection. Its socket is gone once it was closed.
pub(crate) struct Control {
    wire: Option<Wire>,
    id: ConnectionId,
    recorder: Recorder,
    out: VecDeque<Segment>,
    input: Box<[u8]>,
    server_ended: bool,
    /// Runs while the server is to end TLS.
    end_grace: Option<Pin<Box<Sleep>>>,
}

struct Segment {
    bytes: Vec<u8>,
    written: usize,
    /// The last byte is sent as urgent data.
    urgent: bool,
}

impl Control {
    /// `urgent`: nothing stands between that would lose urgent data.
    pub(crate) fn new(stream: Stream, id: ConnectionId, recorder: Recorder, urgent: bool) -> Control {
        let input = vec![0; 16 * 1024].into_boxed_slice();
        let wire = Some(Wire::new(stream, urgent));
        Control { wire, id, recorder, out: VecDeque::new(), input, server_ended: false, end_grace: None }
    }

    /// TLS, while it stands.
    pub(crate) fn tls(&self) -> Option<&Engine> {
        self.wire.as_ref().and_then(Wire::tls)
    }

    /// Sends these bytes behind all others.
    pub(crate) fn send(&mut self, bytes: Vec<u8>, urgent: bool) {
        self.out.push_back(Segment { bytes, written: 0, urgent });
    }

    /// Writes what is to be sent, as far as the connection takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(())) };
        while let Some(segment) = self.out.front_mut() {
            let rest = segment.bytes.get(segment.written..).unwrap_or_default();
            segment.written += match segment.urgent {
                true => ready!(wire.poll_write_urgent(cx, rest))?,
                false => ready!(wire.poll_write(cx, rest))?,
            };
            if segment.written >= segment.bytes.len() {
                // It may hold a password.
                segment.bytes.fill(0);
                self.out.pop_front();
            }
        }
        wire.poll_flush(cx)
    }

    /// Begins TLS, once all is sent that is to go before it; the engine is made then.
    pub(crate) fn poll_begin_tls(
        &mut self,
        cx: &mut Context<'_>,
        engine: impl FnOnce() -> Result<Engine, TlsError>,
    ) -> Poll<Result<(), TlsError>> {
        let gone = |error: io::Error| TlsError::Ended(error.to_string());
        if self.wire.as_ref().is_some_and(|wire| wire.tls().is_none()) {
            ready!(self.poll_flush(cx)).map_err(gone)?;
        }
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(Err(TlsError::Ended("the connection is closed".to_owned())));
        };
        if wire.tls().is_none() {
            wire.begin_tls(engine()?);
        }
        if let Err(error) = ready!(wire.poll_handshake(cx)) {
            let text = || error.to_string();
            let why = TlsFailure::Handshake;
            self.recorder.emit(|| EventKind::TlsFailed { connection: self.id, why, text: text() });
            return Poll::Ready(Err(error));
        }
        let protection = wire.protection();
        self.note(|| format!("the control connection is protected: {protection}"));
        Poll::Ready(Ok(()))
    }

    /// Ends TLS, once all is sent that is to go before its end.
    pub(crate) fn poll_end_tls(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        ready!(self.poll_flush(cx)).map_err(|error| TlsError::Ended(error.to_string()))?;
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(())) };
        let ended = wire.poll_end_tls(cx)?.is_ready();
        if !ended {
            let grace = self.end_grace.get_or_insert_with(|| Box::pin(tokio::time::sleep(END_GRACE)));
            ready!(grace.as_mut().poll(cx));
            if !wire.forget_tls() {
                return Poll::Pending;
            }
        }
        self.end_grace = None;
        let how = if ended { "" } else { ", though the server has not ended TLS" };
        self.note(|| format!("the control connection is in clear text again{how}"));
        Poll::Ready(Ok(()))
    }

    /// Reads once: bytes, or nothing at the server's end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(&[])) };
        let mut buf = ReadBuf::new(&mut self.input);
        let result = ready!(wire.poll_read(cx, &mut buf));
        let read = buf.filled().len();
        if read == 0 && !std::mem::replace(&mut self.server_ended, true) {
            let how = if result.is_ok() { Closing::Fin } else { Closing::Reset };
            self.recorder.emit(|| EventKind::Closed { connection: self.id, by: End::Server, how });
        }
        result?;
        Poll::Ready(Ok(self.input.get(..read).unwrap_or_default()))
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        if let Some(mut wire) = self.wire.take() {
            wire.say_end();
            self.recorder.emit(|| EventKind::Closed { connection: self.id, by: End::Client, how: Closing::Fin });
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.wire.is_some()
    }

    /// Whether TLS 1.3 is spoken on it.
    pub(crate) fn is_tls13(&self) -> bool {
        self.wire.as_ref().and_then(Wire::tls).is_some_and(Engine::is_tls13)
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.recorder.emit(|| EventKind::Note { connection: Some(self.id), text: text() });
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.close();
    }
}
