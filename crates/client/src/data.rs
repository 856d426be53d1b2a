//! One data connection, counted and told of.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::{Closing, ConnectionId, End, EventKind};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::sink::Recorder;

/// A data connection. Its socket is gone once both sides have ended; what is left counts.
pub(crate) struct DataConnection {
    stream: Option<TcpStream>,
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
        if recorder.is_on() {
            self.last = recorder.now();
            self.since.get_or_insert(self.last);
        }
    }

    fn tell(&mut self, connection: ConnectionId, from: End, recorder: &Recorder) {
        if let Some(since) = self.since.take() {
            let kind = EventKind::Data { connection, from, since, bytes: self.bytes, segments: None };
            recorder.pass(port21_proto::SessionEvent { at: self.last, kind });
        }
    }
}

impl DataConnection {
    pub(crate) fn new(stream: TcpStream, id: ConnectionId, recorder: Recorder) -> DataConnection {
        DataConnection {
            stream: Some(stream),
            id,
            recorder,
            received: Run::default(),
            sent: Run::default(),
            server_ended: false,
            client_ended: false,
        }
    }

    /// Waits for the first byte, which stays, or for the end; whether it is a byte.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(false)) };
        let mut first = [0];
        match ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut first))) {
            Ok(0) => {}
            Ok(_) => return Poll::Ready(Ok(true)),
            Err(error) => {
                self.reset_by_server();
                return Poll::Ready(Err(error));
            }
        }
        self.poll_read(cx, &mut ReadBuf::new(&mut first)).map_ok(|()| false)
    }

    /// Reads; at the end nothing is filled, and this side ends as well: some servers wait for that before they give
    /// their final reply.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let before = buf.filled().len();
        if let Err(error) = ready!(Pin::new(stream).poll_read(cx, buf)) {
            self.reset_by_server();
            return Poll::Ready(Err(error));
        }
        let read = buf.filled().len() - before;
        if read > 0 {
            self.received.add(read, &self.recorder);
        } else if buf.remaining() > 0 {
            self.received.tell(self.id, End::Server, &self.recorder);
            self.server_ended = true;
            self.ended(End::Server, Closing::Fin);
            self.close();
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match ready!(Pin::new(stream).poll_write(cx, bytes)) {
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

    /// Ends this side: a FIN.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        if !self.client_ended {
            ready!(Pin::new(stream).poll_shutdown(cx))?;
            self.sent.tell(self.id, End::Client, &self.recorder);
            self.client_ended = true;
            self.ended(End::Client, Closing::Fin);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what comes and throws it away, until nothing more is there or to come.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0u8; 16 * 1024];
        while self.stream.is_some() {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(self.poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
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
            if let Some(stream) = &self.stream {
                // Nothing can be done where it fails, and the close that follows is then a FIN.
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
            self.client_ended = true;
            if self.stream.take().is_some() {
                self.ended(End::Client, Closing::Reset);
            }
            return;
        }
        self.close();
    }

    fn close(&mut self) {
        if self.stream.take().is_some() && !self.client_ended {
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
        self.stream = None;
    }

    fn ended(&self, by: End, how: Closing) {
        self.recorder.emit(|| EventKind::Closed { connection: self.id, by, how });
    }
}
