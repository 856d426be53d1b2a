//! The control connection's socket.

use std::io;
use std::time::Duration;

use port21_proto::event::Closing;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much is read at a time. The buffer is on the stack while it is used: sessions that wait hold none.
const READ: usize = 4096;

/// How long the client may take to end its side after this one was ended.
const LINGER: Duration = Duration::from_secs(2);

/// At most this many bytes are thrown away meanwhile.
const MAX_LINGER: usize = 256 * 1024;

/// A connection that is silent for so long is probed. Common NATs keep one for five minutes or more, some for two.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A control connection: bytes out in one write each time that the session waits, bytes in when there are some.
#[derive(Debug)]
pub(crate) struct Control {
    stream: TcpStream,
    out: Vec<u8>,
    write_timeout: Duration,
}

/// What a look at the connection has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Some(usize),
    /// Nothing has come.
    Nothing,
    /// The client has ended its side in order.
    End,
    /// The connection broke.
    Broken,
}

impl Control {
    pub(crate) fn new(stream: TcpStream, write_timeout: Duration) -> io::Result<Control> {
        // Without it a reply waits for the acknowledgement of the one before, which the client may delay by 40 ms.
        stream.set_nodelay(true)?;
        // ABOR comes with urgent data (RFC 959 section 4.1.3): the byte must stay in its place in the stream, or the Telnet
        // DM is lost and what follows is misread.
        SockRef::from(&stream).set_out_of_band_inline(true)?;
        // A client whose machine was switched off never ends its side, and a NAT on the way forgets a connection that
        // is silent while a transfer runs.
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        Ok(Control { stream, out: Vec::new(), write_timeout })
    }

    /// Puts bytes behind those that are to be sent.
    pub(crate) fn queue(&mut self, bytes: Vec<u8>) {
        if self.out.is_empty() {
            self.out = bytes;
        } else {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// Sends all that was queued.
    ///
    /// # Errors
    /// Also where the client takes nothing for the write timeout. What was queued is then gone.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        // Taken out, so that a session that waits afterwards holds no buffer.
        let out = std::mem::take(&mut self.out);
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // On the heap, for it is rare, and every session would have room for it else.
                    Box::pin(timeout(self.write_timeout, self.stream.writable())).await??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until there may be something to read.
    pub(crate) async fn readable(&self) {
        // An error is found by the read that follows.
        let _ = self.stream.readable().await;
    }

    /// Reads what has come, and gives it to `take`.
    pub(crate) fn read(&self, take: impl FnOnce(&[u8])) -> Read {
        Control::read_with(take, |buffer| self.stream.try_read(buffer))
    }

    /// As [`Control::read`], but asks the system itself and not what the runtime has heard from it, which may be older.
    pub(crate) fn read_now(&self, take: impl FnOnce(&[u8])) -> Read {
        Control::read_with(take, |buffer| match rustix::net::recv(&self.stream, buffer, RecvFlags::DONTWAIT) {
            Ok((_, read)) => Ok(read),
            Err(error) => Err(error.into()),
        })
    }

    fn read_with(take: impl FnOnce(&[u8]), read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> Read {
        let mut buffer = [0; READ];
        match read(&mut buffer) {
            Ok(0) => Read::End,
            Ok(read) => {
                take(buffer.get(..read).unwrap_or_default());
                Read::Some(read)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Read::Nothing
            }
            Err(_) => Read::Broken,
        }
    }

    /// Whether the client has ended its side or the connection broke, though there may be bytes before that.
    pub(crate) fn is_ended(&self) -> bool {
        #[cfg(target_os = "linux")]
        let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        #[cfg(not(target_os = "linux"))]
        let ends = PollFlags::HUP | PollFlags::ERR;
        let mut fds = [PollFd::new(&self.stream, ends)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut fds, Some(&now)), Ok(1..))
    }

    /// A last line for a client that nobody waits for.
    pub(crate) fn send_last(&self, line: &str) {
        // It fits, or the client has left so much unread that it will not read this either.
        let _ = rustix::net::send(&self.stream, format!("{line}\r\n").as_bytes(), SendFlags::DONTWAIT);
    }

    /// Ends this side, then waits a little for the client to end its own: bytes that arrive at a socket that nobody reads
    /// make the system send a RST, and that may destroy the last reply before the client has read it. How the client
    /// has ended its side, if it has.
    pub(crate) async fn close(&self) -> Option<Closing> {
        if rustix::net::shutdown(&self.stream, Shutdown::Write).is_err() {
            return Some(Closing::Reset);
        }
        let drain = async {
            let mut left = MAX_LINGER;
            loop {
                self.readable().await;
                match self.read(|_| ()) {
                    Read::Some(read) => left = left.checked_sub(read)?,
                    Read::Nothing => {}
                    Read::End => return Some(Closing::Fin),
                    Read::Broken => return Some(Closing::Reset),
                }
            }
        };
        // Whoever takes longer loses nothing but that care.
        timeout(LINGER, drain).await.ok().flatten()
    }
}
