//! The control connection's socket.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use port21_proto::event::Closing;
use port21_proto::server::{OpId, Secured, TlsError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::tls::engine::Engine;

/// How much is read at a time. The buffer is on the stack while it is used: sessions that wait hold none.
const READ: usize = 4096;

/// How long the client may take to end its side after this one was ended.
const LINGER: Duration = Duration::from_secs(2);

/// At most this many bytes are thrown away meanwhile.
const MAX_LINGER: usize = 256 * 1024;

/// A connection that is silent for so long is probed. Common NATs keep one for five minutes or more, some for two.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The time to take replies grows by a second for every so many bytes of them: the slowest lines that people use are
/// faster, and a client that takes a byte a minute holds no session for ever.
const SLOWEST: u64 = 256;

/// A control connection: bytes out in one write each time that the session waits, bytes in when there are some.
pub(crate) struct Control {
    stream: TcpStream,
    out: Vec<u8>,
    tls: Option<Box<Tls>>,
    write_timeout: Duration,
    /// Something could not be sent. Nothing more is tried: it would only fail again.
    is_lost: bool,
}

/// TLS on the connection.
struct Tls {
    engine: Engine,
    state: TlsState,
    /// The operation that changes it, while one does.
    op: Option<OpId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TlsState {
    Handshake,
    Standing,
    /// close_notify was sent, and the client's is waited for.
    Ending,
    Broken,
}

/// What a read has made of TLS.
#[derive(Debug)]
pub(crate) enum Switched {
    /// The handshake is done.
    Secured(Secured),
    /// It failed.
    Failed(TlsError),
    /// The connection goes on in clear.
    Cleared,
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
        Ok(Control { stream, out: Vec::new(), tls: None, write_timeout, is_lost: false })
    }

    /// Begins TLS: the client speaks next. All that is to be sent in clear was sent.
    pub(crate) fn start_tls(&mut self, op: OpId, engine: Engine) {
        self.tls = Some(Box::new(Tls { engine, state: TlsState::Handshake, op: Some(op) }));
    }

    /// Ends TLS behind all that was sent. Where the client has ended its side already: what came behind that in clear.
    pub(crate) fn stop_tls(&mut self, op: OpId) -> Option<Vec<u8>> {
        let tls = self.tls.as_mut()?;
        tls.op = Some(op);
        tls.state = if tls.engine.send_end().is_ok() { TlsState::Ending } else { TlsState::Broken };
        if !tls.engine.is_ended() {
            return None;
        }
        let behind = tls.engine.behind_the_end().to_vec();
        self.clear();
        Some(behind)
    }

    /// The operation that is changing how the connection is protected, if one is.
    pub(crate) fn changes(&self) -> Option<OpId> {
        self.tls.as_ref()?.op
    }

    /// Whether the client has ended its side of TLS: nothing more is to be read, unless it is in clear from there on.
    pub(crate) fn is_ended_under_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.state == TlsState::Standing && tls.engine.is_ended())
    }

    /// From here on in clear: behind the close_notify that may still have to be sent.
    fn clear(&mut self) {
        if let Some(tls) = self.tls.take() {
            self.queue(tls.engine.outgoing().to_vec());
        }
    }

    /// The engine of TLS, where it is spoken.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.tls.as_ref().map(|tls| &tls.engine)
    }

    /// Puts bytes behind those that are to be sent.
    pub(crate) fn queue(&mut self, bytes: Vec<u8>) {
        if self.out.is_empty() {
            self.out = bytes;
        } else {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// Sends what was queued, as far as the client takes it at once: whether that was all of it, as it mostly is.
    ///
    /// # Errors
    /// Once: what was queued is then gone, and so is whatever is queued later, without another error.
    pub(crate) fn flush_now(&mut self) -> io::Result<bool> {
        if self.is_lost {
            self.give_up();
            return Ok(true);
        }
        let sent = self.send_queued();
        if sent.is_err() {
            self.give_up();
        }
        sent
    }

    fn send_queued(&mut self) -> io::Result<bool> {
        // Taken out, so that a session that waits afterwards holds no buffer.
        let mut out = std::mem::take(&mut self.out);
        let Some(tls) = &mut self.tls else {
            let sent = send_some(&self.stream, &out)?;
            if sent < out.len() {
                out.drain(..sent);
                self.out = out;
            }
            return Ok(self.out.is_empty());
        };
        if tls.state == TlsState::Standing && !out.is_empty() {
            tls.engine.send(&out).map_err(io::Error::other)?;
        }
        let sent = send_some(&self.stream, tls.engine.outgoing())?;
        tls.engine.sent(sent);
        tls.engine.rest();
        Ok(tls.engine.outgoing().is_empty())
    }

    /// Nothing of what was queued will be sent.
    fn give_up(&mut self) {
        self.is_lost = true;
        self.out = Vec::new();
        if let Some(tls) = &mut self.tls {
            tls.engine.sent(usize::MAX);
            tls.engine.rest();
        }
    }

    /// Sends all that was queued.
    ///
    /// # Errors
    /// As [`Control::flush_now`]; and where the client does not take it in time: see [`SLOWEST`].
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let mut patience = None;
        while !self.flush_now()? {
            let unsent = self.tls.as_ref().map_or(self.out.len(), |tls| tls.engine.outgoing().len());
            let patience = *patience.get_or_insert_with(|| Patience::new(self.write_timeout, unsent));
            let writable = timeout_at(patience.until(), self.stream.writable()).await;
            if !matches!(writable, Ok(Ok(()))) {
                self.give_up();
                writable??;
            }
        }
        Ok(())
    }

    /// Waits until there may be something to read. (Polled, for `readable` would make each session larger by 150 bytes.)
    pub(crate) async fn readable(&self) {
        // An error is found by the read that follows.
        let _ = poll_fn(|cx| self.stream.poll_read_ready(cx)).await;
    }

    /// Reads what has come, and gives it to `take`; and what it has made of TLS, where that was about to change. What
    /// TLS itself wants to be sent is sent by the next [`Control::flush`].
    pub(crate) fn read(&mut self, take: impl FnOnce(&[u8])) -> (Read, Option<(OpId, Switched)>) {
        self.read_with(take, |stream, buffer| stream.try_read(buffer))
    }

    /// As [`Control::read`], but asks the system itself and not what the runtime has heard from it, which may be older.
    pub(crate) fn read_now(&mut self, take: impl FnOnce(&[u8])) -> (Read, Option<(OpId, Switched)>) {
        self.read_with(take, |stream, buffer| match rustix::net::recv(stream, buffer, RecvFlags::DONTWAIT) {
            Ok((_, read)) => Ok(read),
            Err(error) => Err(error.into()),
        })
    }

    fn read_with(
        &mut self,
        take: impl FnOnce(&[u8]),
        read: impl FnOnce(&TcpStream, &mut [u8]) -> io::Result<usize>,
    ) -> (Read, Option<(OpId, Switched)>) {
        let Some(tls) = &mut self.tls else {
            let mut buffer = [0; READ];
            let found = found(read(&self.stream, &mut buffer));
            if let Read::Some(read) = found {
                take(buffer.get(..read).unwrap_or_default());
            }
            return (found, None);
        };
        let found = found(read(&self.stream, tls.engine.room(READ)));
        let (found, switched) = match found {
            Read::Some(bytes) => {
                let mut plain = Vec::new();
                let (found, switched) = tls.received(bytes, &mut plain);
                if !plain.is_empty() {
                    take(&plain);
                }
                (found, switched)
            }
            Read::Nothing => (found, None),
            Read::End | Read::Broken => (found, tls.lost()),
        };
        tls.engine.rest();
        if matches!(switched, Some((_, Switched::Cleared))) {
            self.clear();
        }
        (found, switched)
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
    pub(crate) fn send_last(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        // It fits, or the client has left so much unread that it will not read this either.
        match &mut self.tls {
            None => drop(rustix::net::send(&self.stream, line.as_bytes(), SendFlags::DONTWAIT)),
            Some(tls) if tls.state == TlsState::Standing => {
                if tls.engine.send(line.as_bytes()).is_ok() {
                    tls.end_now(&self.stream);
                }
            }
            // In the middle of a handshake nothing can be said.
            Some(_) => {}
        }
    }

    /// Ends this side, then waits a little for the client to end its own: bytes that arrive at a socket that nobody reads
    /// make the system send a RST, and that may destroy the last reply before the client has read it. How the client
    /// has ended its side, if it has.
    pub(crate) async fn close(&mut self) -> Option<Closing> {
        if let Some(tls) = &mut self.tls
            && tls.state == TlsState::Standing
        {
            tls.end_now(&self.stream);
        }
        if rustix::net::shutdown(&self.stream, Shutdown::Write).is_err() {
            return Some(Closing::Reset);
        }
        let drain = async {
            let mut left = MAX_LINGER;
            loop {
                self.readable().await;
                // Whatever it is, in clear or not.
                match found(self.stream.try_read(&mut [0; READ])) {
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

impl Tls {
    /// So many bytes of ciphertext have come.
    fn received(&mut self, bytes: usize, plain: &mut Vec<u8>) -> (Read, Option<(OpId, Switched)>) {
        let result = self.engine.received(bytes, |record| plain.extend_from_slice(record));
        let was = self.state;
        let (read, switched) = match (result, was) {
            // The alert is still to be sent.
            (Err(error), TlsState::Handshake) => (Read::Some(bytes), Some(Switched::Failed(error))),
            (Err(error), _) => (Read::Broken, Some(Switched::Failed(error))),
            (Ok(()), TlsState::Handshake) if !self.engine.is_handshaking() => {
                (Read::Some(bytes), Some(Switched::Secured(self.secured())))
            }
            (Ok(()), TlsState::Ending) if self.engine.is_ended() => {
                // RFC 4217 section 12: what follows came in clear, and goes on from there.
                plain.extend_from_slice(self.engine.behind_the_end());
                (Read::Some(bytes), Some(Switched::Cleared))
            }
            (Ok(()), _) => return (Read::Some(bytes), None),
        };
        self.state = if matches!(switched, Some(Switched::Secured(_))) { TlsState::Standing } else { TlsState::Broken };
        (read, self.op.take().zip(switched))
    }

    fn secured(&self) -> Secured {
        let certificate = self.engine.peer_certificate().is_some();
        Secured { description: self.engine.description(), certificate }
    }

    /// The connection has ended, or is broken.
    fn lost(&mut self) -> Option<(OpId, Switched)> {
        self.state = TlsState::Broken;
        Some((self.op.take()?, Switched::Failed(TlsError::Truncated)))
    }

    fn end_now(&mut self, stream: &TcpStream) {
        if self.engine.send_end().is_ok()
            && let Ok(sent) = rustix::net::send(stream, self.engine.outgoing(), SendFlags::DONTWAIT)
        {
            self.engine.sent(sent);
        }
    }
}

/// How long a client is waited for that takes no more for the moment.
#[derive(Clone, Copy)]
struct Patience {
    for_some: Duration,
    for_all: Instant,
}

impl Patience {
    /// For so many bytes.
    fn new(for_some: Duration, bytes: usize) -> Patience {
        let for_all = Instant::now() + for_some.saturating_add(Duration::from_secs(bytes as u64 / SLOWEST));
        Patience { for_some, for_all }
    }

    fn until(self) -> Instant {
        self.for_all.min(Instant::now() + self.for_some)
    }
}

/// Sends what is taken without waiting: how much that was.
fn send_some(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes.len() - rest.len())
}

fn found(read: io::Result<usize>) -> Read {
    match read {
        Ok(0) => Read::End,
        Ok(read) => Read::Some(read),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Read::Nothing,
        Err(_) => Read::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::*;

    /// A control connection that holds little on its way, and the client's end.
    async fn narrow() -> (Control, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
        let server = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        SockRef::from(&server).set_send_buffer_size(4096).unwrap();
        let (client, _) = listener.accept().await.unwrap();
        (Control::new(server, Duration::from_secs(60)).unwrap(), client)
    }

    /// Whether so many bytes are sent to a client that takes up to `most` every so often. Its clock stands still while it
    /// waits for what the system has on its way, which may take its time.
    async fn sends(bytes: usize, most: usize, every: Duration) -> bool {
        let (mut control, client) = narrow().await;
        control.queue(vec![b'x'; bytes]);
        let takes = async {
            let mut buffer = vec![0; most];
            loop {
                sleep(every).await;
                let until = std::time::Instant::now() + Duration::from_secs(30);
                loop {
                    match client.try_read(&mut buffer) {
                        Ok(0) => std::future::pending().await,
                        Ok(_) => break,
                        Err(_) => assert!(std::time::Instant::now() < until, "nothing comes"),
                    }
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::select! {
            sent = control.flush() => sent.is_ok(),
            () = takes => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_little_now_and_then_is_not_waited_for_for_ever() {
        assert!(!sends(1_000_000, 4096, Duration::from_secs(50)).await);
        assert!(!sends(1_000_000, 1, Duration::from_secs(60)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_is_no_fault() {
        assert!(sends(1_000_000, 4096, Duration::from_secs(5)).await);
    }
}
