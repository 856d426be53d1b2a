//! The control connection's bytes: what is to be sent, in order, and what has come.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use port21_proto::event::{Closing, ConnectionId, End, EventKind};
use socket2::SockRef;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::sink::Recorder;

/// The control connection. Its socket is gone once it was closed.
pub(crate) struct Control {
    stream: Option<TcpStream>,
    id: ConnectionId,
    recorder: Recorder,
    out: VecDeque<Segment>,
    input: Box<[u8]>,
    server_ended: bool,
}

struct Segment {
    bytes: Vec<u8>,
    written: usize,
    /// The last byte is sent as urgent data.
    urgent: bool,
}

impl Control {
    pub(crate) fn new(stream: TcpStream, id: ConnectionId, recorder: Recorder) -> Control {
        let input = vec![0; 16 * 1024].into_boxed_slice();
        Control { stream: Some(stream), id, recorder, out: VecDeque::new(), input, server_ended: false }
    }

    /// Sends these bytes behind all others.
    pub(crate) fn send(&mut self, bytes: Vec<u8>, urgent: bool) {
        self.out.push_back(Segment { bytes, written: 0, urgent });
    }

    /// Writes what is to be sent, as far as the connection takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        while let Some(segment) = self.out.front_mut() {
            let rest = segment.bytes.get(segment.written..).unwrap_or_default();
            let written = if segment.urgent {
                ready!(stream.poll_write_ready(cx))?;
                let sent = stream.try_io(Interest::WRITABLE, || SockRef::from(&*stream).send_out_of_band(rest));
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    sent => sent?,
                }
            } else {
                ready!(Pin::new(&mut *stream).poll_write(cx, rest))?
            };
            segment.written += written;
            if segment.written >= segment.bytes.len() {
                // It may hold a password.
                segment.bytes.fill(0);
                self.out.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once: bytes, or nothing at the server's end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Some(stream) = &self.stream else { return Poll::Ready(Ok(&[])) };
        // Not `poll_read`: a read that ends at the mark of urgent data is short, though there is more, and tokio takes
        // a short read for the last one until something else comes.
        let result = loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break result,
            }
        };
        let read = *result.as_ref().unwrap_or(&0);
        if read == 0 && !std::mem::replace(&mut self.server_ended, true) {
            let how = if result.is_ok() { Closing::Fin } else { Closing::Reset };
            self.recorder.emit(|| EventKind::Closed { connection: self.id, by: End::Server, how });
        }
        result?;
        Poll::Ready(Ok(self.input.get(..read).unwrap_or_default()))
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        if self.stream.take().is_some() {
            self.recorder.emit(|| EventKind::Closed { connection: self.id, by: End::Client, how: Closing::Fin });
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.close();
    }
}
