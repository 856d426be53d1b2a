//! The bytes of a download on their way into a local file: written where they are received, by a thread that does both; those
//! that TLS, the ASCII type, a rate or a digest has to see first are handed to one that writes.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use port21_io::Buffer;
#[cfg(target_os = "linux")]
use port21_io::{Pipe, ROOM};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use tokio::io::ReadBuf;
use tokio::task::spawn_blocking;

use crate::digest::Hasher;
use crate::disk::{CHUNK, Writer};
use crate::download::DownloadStream;
use crate::error::Error;
use crate::file::Progress;
use crate::rate::{Rate, pay};
use crate::sending::Failure;

/// A server that sends nothing for so long gives the thread back.
const IDLE: Duration = Duration::from_millis(10);

/// And so does one that goes on sending: between two turns its control connection is looked at, and progress is told.
const TURN: Duration = Duration::from_millis(100);

/// So many bytes of one turn are worth a pipe.
const MANY: usize = 1024 * 1024;

/// How a file is received, and how much of it.
pub(crate) struct Receiving<'a> {
    /// The byte of the file that is next.
    pub(crate) from: u64,
    /// How many it has, where that is known.
    pub(crate) total: Option<u64>,
    /// With the first byte beyond so many it is over.
    pub(crate) limit: u64,
    pub(crate) rate: Option<&'a Rate>,
    pub(crate) progress: &'a mut (dyn FnMut(Progress) + Send),
}

impl Receiving<'_> {
    /// Writes what comes to where the file stands, up to the end, or a little beyond the limit. Where there is a hasher it
    /// sees all of that, and is given back. What came before a failure is written as well.
    pub(crate) async fn receive(
        &mut self,
        stream: &mut DownloadStream<'_>,
        file: File,
        hasher: Option<Hasher>,
    ) -> Result<Option<Hasher>, Failure> {
        let is_plain = hasher.is_none() && self.rate.is_none();
        match stream.socket().filter(|_| is_plain) {
            Some(socket) => self.receive_by_socket(stream, socket, file).await.map(|()| None),
            None => self.receive_by_stream(stream, file, hasher).await,
        }
    }

    async fn receive_by_stream(
        &mut self,
        stream: &mut DownloadStream<'_>,
        file: File,
        hasher: Option<Hasher>,
    ) -> Result<Option<Hasher>, Failure> {
        let mut writer = Writer::new(file, hasher);
        let at_once = self.rate.map_or(usize::MAX, Rate::at_once);
        let ended = loop {
            let mut chunk = writer.buffer().await;
            let room = chunk.buffer.len().min(at_once);
            let mut buf = ReadBuf::new(chunk.buffer.get_mut(..room).unwrap_or_default());
            let read = poll_fn(|cx| poll_chunk(stream, cx, &mut buf)).await;
            chunk.len = buf.filled().len();
            let (len, end) = (chunk.len, chunk.len == 0);
            if !end && !writer.write(chunk).await {
                break Ok(());
            }
            if self.has_come(stream) {
                break Ok(());
            }
            match read {
                Ok(()) if !end => pay(self.rate, len).await,
                result => break result,
            }
        };
        let hasher = writer.finish().await.map_err(Failure::Local)?;
        ended.map(|()| hasher).map_err(Failure::Session)
    }

    async fn receive_by_socket(
        &mut self,
        stream: &mut DownloadStream<'_>,
        socket: OwnedFd,
        file: File,
    ) -> Result<(), Failure> {
        let stop = Stop::default();
        let way = Way::Buffer(Buffer::new(CHUNK));
        let mut pump = Pump { socket, file, way, may_pipe: true, stop: stop.0.clone() };
        while poll_fn(|cx| stream.poll_first(cx)).await.map_err(Failure::Session)? {
            let most = self.limit.saturating_sub(self.from + stream.received()).saturating_add(1);
            let run = spawn_blocking(move || {
                let turn = pump.turn(most);
                (pump, turn)
            });
            let turn;
            (pump, turn) = run.await.map_err(|panic| Failure::Local(io::Error::other(panic)))?;
            turn.written.map_err(Failure::Local)?;
            stream.has_received(turn.bytes, turn.received).await.map_err(Failure::Session)?;
            if self.has_come(stream) {
                break;
            }
        }
        Ok(())
    }

    /// Tells how much has come; whether it is too much.
    fn has_come(&mut self, stream: &DownloadStream<'_>) -> bool {
        let done = self.from + stream.received();
        (self.progress)(Progress { done, total: self.total });
        done > self.limit
    }
}

/// What takes bytes from a socket to a file, in a thread that may block.
struct Pump {
    socket: OwnedFd,
    file: File,
    way: Way,
    /// Whether a pipe may be tried, once many bytes come.
    may_pipe: bool,
    stop: Arc<AtomicBool>,
}

/// How bytes pass.
enum Way {
    /// By a buffer: for few it is cheaper, and every file takes them.
    Buffer(Buffer),
    /// Within the kernel.
    #[cfg(target_os = "linux")]
    Pipe(Pipe),
}

/// What a [`Pump`] has done.
struct Turn {
    bytes: usize,
    /// How that ended: an error is the connection's.
    received: io::Result<()>,
    /// What the file said.
    written: io::Result<()>,
}

impl Pump {
    /// Receives and writes until nothing comes any more, for now or for ever, or there are so many bytes, or time is up.
    fn turn(&mut self, most: u64) -> Turn {
        let until = Instant::now() + TURN;
        let mut turn = Turn { bytes: 0, received: Ok(()), written: Ok(()) };
        while !self.stop.load(Ordering::Relaxed) && (turn.bytes as u64) < most && Instant::now() < until {
            let received = match self.receive() {
                Ok(0) => break,
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.wait() {
                        continue;
                    }
                    break;
                }
                Err(error) => {
                    turn.received = Err(error);
                    break;
                }
            };
            turn.bytes += received;
            turn.written = self.write(received);
            if turn.written.is_err() {
                break;
            }
            self.widen(turn.bytes);
        }
        turn
    }

    fn receive(&mut self) -> io::Result<usize> {
        match &mut self.way {
            Way::Buffer(buffer) => Ok(recv(&self.socket, &mut **buffer, RecvFlags::DONTWAIT)?.1),
            #[cfg(target_os = "linux")]
            Way::Pipe(pipe) => pipe.take_from(&self.socket, ROOM),
        }
    }

    fn write(&mut self, bytes: usize) -> io::Result<()> {
        match &self.way {
            Way::Buffer(buffer) => self.file.write_all(buffer.get(..bytes).unwrap_or_default()),
            #[cfg(target_os = "linux")]
            Way::Pipe(pipe) => {
                let left = pipe.give_to(&self.file, bytes)?;
                if left > 0 {
                    // This file takes none from a pipe.
                    let mut buffer = Buffer::new(left.max(CHUNK));
                    let rest = buffer.get_mut(..left).unwrap_or_default();
                    pipe.read(rest)?;
                    self.file.write_all(rest)?;
                    self.way = Way::Buffer(buffer);
                }
                Ok(())
            }
        }
    }

    /// A file that is not small may do without a buffer.
    fn widen(&mut self, bytes: usize) {
        #[cfg(target_os = "linux")]
        if bytes >= MANY
            && std::mem::take(&mut self.may_pipe)
            && let Some(pipe) = Pipe::new()
        {
            self.way = Way::Pipe(pipe);
        }
    }

    /// Waits a moment for more; whether there is some, or the end.
    fn wait(&self) -> bool {
        let idle = Timespec { tv_sec: 0, tv_nsec: IDLE.subsec_nanos().into() };
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&idle)).is_ok_and(|ready| ready > 0)
    }
}

/// Tells a [`Pump`] to stop, when whoever waits for it is gone.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fills the buffer with what there is, waiting only for its first byte.
fn poll_chunk(stream: &mut DownloadStream<'_>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
    while buf.remaining() > 0 {
        let before = buf.filled().len();
        match stream.poll_bytes(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {}
            Poll::Pending if before > 0 => break,
            result => return result,
        }
    }
    Poll::Ready(Ok(()))
}
