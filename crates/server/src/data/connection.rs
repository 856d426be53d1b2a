//! A data connection of a transfer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use port21_io::{Pipe, ROOM};
use port21_proto::Time;
use port21_proto::event::{Closing, ConnectionId, End, EventKind};
use port21_proto::server::{TlsError, TransferError};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::time::sleep;

use crate::data::meter::{Meter, unacknowledged};
use crate::data::socket::Socket;
use crate::events::Events;
use crate::tls::data::DataTls;

/// At most this many stray bytes of a peer that should only read are thrown away while the end is waited for.
const MAX_STRAY: usize = 64 * 1024;

/// How much of an upload that was ended is read at a time.
const DISCARD: usize = 64 * 1024;

/// A data connection and what is told of it. Dropped, it is closed.
pub(crate) struct DataConnection {
    stream: Arc<Socket>,
    tls: Option<Box<DataTls>>,
    meter: Arc<Meter>,
    tap: Option<Tap>,
}

impl DataConnection {
    /// Takes over a connection that stands, and TLS where that is on it.
    pub(crate) fn new(
        stream: Arc<Socket>,
        tls: Option<Box<DataTls>>,
        meter: Arc<Meter>,
        tap: Option<Tap>,
    ) -> DataConnection {
        DataConnection { stream, tls, meter, tap }
    }

    /// Whether the bytes must pass through this process to be encrypted.
    pub(crate) fn is_protected(&self) -> bool {
        self.tls.is_some()
    }

    /// From now on this side sends.
    pub(crate) fn sends(&mut self) {
        self.meter.watch(&self.stream);
        self.flows(End::Server);
    }

    /// From now on the client sends.
    pub(crate) fn receives(&mut self) {
        self.flows(End::Client);
    }

    pub(crate) fn stream(&self) -> &Socket {
        &self.stream
    }

    /// Counts bytes that were sent or received.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.meter.add(bytes as u64);
        if let Some(tap) = &mut self.tap {
            tap.moved(bytes as u64);
        }
    }

    /// Waits until something may be moved, and tells how much of `wanted` bytes.
    pub(crate) async fn may_move(&self, wanted: usize) -> usize {
        self.meter.pace().ready().await;
        self.meter.pace().slice(wanted)
    }

    /// How many bytes may be moved at a time, at most `wanted`.
    pub(crate) fn slice(&self, wanted: usize) -> usize {
        self.meter.pace().slice(wanted)
    }

    /// Sends all of `bytes`, at the transfer's pace.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), TransferError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.may_move(bytes.len()).await.min(bytes.len()));
            self.send_now(now).await?;
            bytes = later;
        }
        Ok(())
    }

    async fn send_now(&mut self, mut bytes: &[u8]) -> Result<(), TransferError> {
        if let Some(tls) = &mut self.tls {
            let sent = tls.send(&self.stream, bytes).await;
            sent.map_err(|error| self.broke(error))?;
            self.count(bytes.len());
            return Ok(());
        }
        while !bytes.is_empty() {
            let stream = &*self.stream;
            let write = || Ok(rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?);
            let sent = stream.once(Interest::WRITABLE, write).await;
            let sent = sent.map_err(|error| self.broke(error))?;
            self.count(sent);
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for bytes of the client and appends them to `buffer`, up to its capacity: how many; 0 where the client has
    /// ended its side in order: under TLS with close_notify, and an end without it is the error of [`TlsError::Truncated`],
    /// with all that came before it appended.
    pub(crate) async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.meter.pace().ready().await;
        if let Some(tls) = &mut self.tls {
            let received = tls.receive(&self.stream, buffer).await?;
            self.count(received);
            return Ok(received);
        }
        let stream = &*self.stream;
        let read = || Ok(rustix::net::recv(stream, spare_capacity(buffer), RecvFlags::DONTWAIT)?);
        let (_, received) = stream.once(Interest::READABLE, read).await?;
        self.count(received);
        Ok(received)
    }

    /// As [`DataConnection::receive`], from a thread that may block: [`io::ErrorKind::WouldBlock`] where nothing comes
    /// for as long as `patience`.
    pub(crate) fn receive_now(&mut self, buffer: &mut Vec<u8>, patience: Duration) -> io::Result<usize> {
        self.patiently(patience, |stream, tls| match tls {
            None => Ok(rustix::net::recv(stream, spare_capacity(buffer), RecvFlags::DONTWAIT)?.1),
            Some(tls) => tls.receive_now(stream, buffer),
        })
    }

    /// As [`DataConnection::receive_now`], into a pipe. Not under TLS.
    #[cfg(target_os = "linux")]
    pub(super) fn receive_through(&mut self, pipe: &Pipe, patience: Duration) -> io::Result<usize> {
        let most = self.slice(ROOM);
        self.patiently(patience, |stream, _| pipe.take_from(stream, most))
    }

    fn patiently(
        &mut self,
        patience: Duration,
        mut receive: impl FnMut(&Socket, Option<&mut DataTls>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        // A wait for its pace is no reason to keep a thread.
        if !self.meter.pace().is_ready() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Whoever waits here is not the runtime.
        self.stream.forget();
        let mut waited = false;
        loop {
            // Not by the runtime's leave: it does not know yet of what has come since it was here.
            match receive(&self.stream, self.tls.as_deref_mut()) {
                Ok(received) => {
                    self.count(received);
                    return Ok(received);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {
                    let mut fds = [PollFd::new(&*self.stream, PollFlags::IN)];
                    // What interrupts it or goes wrong with it, the next look will show.
                    let _ = poll(&mut fds, Timespec::try_from(patience).ok().as_ref());
                    waited = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The client has ended its side; so does this one.
    pub(crate) fn received_all(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_end_now(&self.stream);
        }
        if let Some(tap) = &mut self.tap {
            tap.closed(End::Client, Closing::Fin);
            tap.closed(End::Server, Closing::Fin);
        }
    }

    /// Tells a client that may still be sending that no more is wanted: close_notify, and FIN. What it has sent and still
    /// sends is left to [`DataConnection::discard`]. Nothing is waited for.
    pub(crate) fn end_early(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_end_now(&self.stream);
        }
        // A connection that broke meanwhile says so when it is read.
        let _ = self.shut_down();
    }

    /// Reads what still comes, at the transfer's pace, and throws it away until the client has ended its side.
    pub(crate) async fn discard(mut self: Box<Self>) {
        let mut buffer = vec![0; DISCARD];
        loop {
            let most = self.may_move(DISCARD).await;
            let room = buffer.get_mut(..most).unwrap_or_default();
            let read = || Ok(rustix::net::recv(&*self.stream, &mut *room, RecvFlags::DONTWAIT)?.1);
            match self.stream.once(Interest::READABLE, read).await {
                Ok(0) => break,
                Ok(read) => self.meter.pace().spend(read as u64),
                Err(_) => return,
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.closed(End::Client, Closing::Fin);
        }
    }

    /// Whether it was let in though nothing shows that it is the client's.
    pub(crate) fn is_unproven(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_unproven())
    }

    /// Ends this side in order, once all was sent, and waits until the client has it all.
    ///
    /// The client has it all when it has answered with its own FIN, and most do so within one round trip. Some close only
    /// once they have read the final reply, so that waiting for the FIN alone would wait for ever: for them it is enough
    /// that their system has acknowledged every byte. There is no event for that, hence the looks at growing intervals,
    /// which the others never come to. A reply that claims success is then true, and costs no stall.
    pub(crate) async fn finish(mut self) -> Result<(), TransferError> {
        let Some(tls) = &mut self.tls else { return self.end().await };
        let sent = tls.send_end(&self.stream).await;
        let behind = *sent.as_ref().unwrap_or(&0);
        let ended = match sent {
            Ok(_) => self.end().await,
            Err(error) => Err(self.broke(error)),
        };
        // Who knows how long the file is may close as soon as it has all of it (lftp does), and meets close_notify with a
        // RST. The file is whole where all before that was acknowledged.
        match unacknowledged(&self.stream) {
            Some(bytes) if ended.is_err() && usize::try_from(bytes).is_ok_and(|bytes| bytes <= behind + 1) => Ok(()),
            _ => ended,
        }
    }

    /// Sends FIN, and waits for the end.
    async fn end(&mut self) -> Result<(), TransferError> {
        self.shut_down()?;
        if self.has_all_now() {
            return Ok(());
        }
        let stream = self.stream.clone();
        let ended = until_peer_ends(&stream);
        tokio::pin!(ended);
        let mut pause = Duration::from_millis(1);
        loop {
            tokio::select! {
                biased;
                end = &mut ended => {
                    if let Err(error) = end {
                        return Err(self.broke(error));
                    }
                    if let Some(tap) = &mut self.tap {
                        tap.closed(End::Client, Closing::Fin);
                    }
                    // A client may have ended its side long before it has all: then it is waited on for the rest.
                    break;
                }
                () = sleep(pause) => match self.is_acknowledged() {
                    Some(true) => return Ok(()),
                    // Where the system does not tell, a client gets this long to end its side.
                    None if pause >= Duration::from_millis(8) => return Ok(()),
                    _ => pause = longer(pause),
                },
            }
        }
        while self.is_acknowledged() == Some(false) {
            sleep(pause).await;
            if let Ok(Err(error)) | Err(error) = socket_error(&self.stream) {
                return Err(self.broke(error.into()));
            }
            pause = longer(pause);
        }
        Ok(())
    }

    /// Whether the client has it all as soon as it was sent: one on this machine or next to it has. Where somebody is told of
    /// this connection, its end is waited for, to be told too; and where the client has sent something, which would make the
    /// system answer with a RST.
    fn has_all_now(&self) -> bool {
        let is_silent = || {
            let looked = rustix::net::recv(&*self.stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
            matches!(looked, Ok((_, 0)) | Err(Errno::WOULDBLOCK))
        };
        self.tap.is_none() && self.is_acknowledged() == Some(true) && is_silent()
    }

    /// Whether the client's system has every byte, where this one tells. Not whether it has the FIN: systems delay the
    /// acknowledgement of one that nothing follows (by 40 ms on Linux), and repeating it is left to this one.
    fn is_acknowledged(&self) -> Option<bool> {
        unacknowledged(&self.stream).map(|bytes| bytes <= 1)
    }

    fn shut_down(&mut self) -> Result<(), TransferError> {
        rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write).map_err(|e| broken(e.into()))?;
        if let Some(tap) = &mut self.tap {
            tap.closed(End::Server, Closing::Fin);
        }
        Ok(())
    }

    /// The error of a connection that broke, which is told as the client's doing where it is.
    pub(super) fn broke(&mut self, error: io::Error) -> TransferError {
        // Behind a FIN a RST makes a broken pipe.
        let reset = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        if let Some(tap) = self.tap.as_mut().filter(|_| reset) {
            tap.closed(End::Client, Closing::Reset);
        }
        broken(error)
    }

    fn flows(&mut self, from: End) {
        if let Some(tap) = &mut self.tap {
            tap.from = from;
        }
    }
}

/// The error of a connection that broke.
fn broken(error: io::Error) -> TransferError {
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) {
        return TransferError::Tls(error.clone());
    }
    TransferError::Broken(error.to_string())
}

/// Up to a quarter of a second: rarely enough to cost nothing, and often enough to be no stall on a line where the rest of
/// the file takes seconds.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(Duration::from_millis(250))
}

/// Reads until the peer's FIN. What comes before is not looked at, but for its amount: it could go on for ever.
pub(super) async fn until_peer_ends(stream: &Socket) -> io::Result<()> {
    let mut stray = 0;
    loop {
        match stream.once(Interest::READABLE, || discard(stream)).await? {
            0 => return Ok(()),
            read => stray += read,
        }
        if stray > MAX_STRAY {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client sends where it should only read"));
        }
    }
}

/// A function of its own, so that its buffer is on the stack and not in every transfer's future.
fn discard(stream: &Socket) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, &mut [0; 1024], RecvFlags::DONTWAIT)?.1)
}

/// Tells the events of one data connection. Dropped before its end, it tells that too.
pub(crate) struct Tap {
    events: Arc<Events>,
    id: ConnectionId,
    from: End,
    bytes: u64,
    first: Time,
    last: Time,
    /// Nothing further is to be told of its end.
    over: bool,
}

impl Tap {
    /// For a connection of which [`EventKind::Opened`] was told.
    pub(crate) fn new(events: Arc<Events>, id: ConnectionId) -> Tap {
        Tap { events, id, from: End::Server, bytes: 0, first: Time::ZERO, last: Time::ZERO, over: false }
    }

    /// Tells that a connection was accepted.
    pub(crate) fn accepted(events: Arc<Events>, client: SocketAddr, server: SocketAddr) -> Tap {
        let id = events.next_connection();
        let connection = crate::events::data_connection(id, End::Client, client, Some(server));
        events.tell(EventKind::Opened(connection));
        Tap::new(events, id)
    }

    /// The name of the connection in events.
    pub(crate) fn connection(&self) -> ConnectionId {
        self.id
    }

    fn moved(&mut self, bytes: u64) {
        if bytes > 0 {
            self.last = self.events.now();
            if self.bytes == 0 {
                self.first = self.last;
            }
            self.bytes += bytes;
        }
    }

    pub(super) fn closed(&mut self, by: End, how: Closing) {
        self.tell_data();
        // Behind a RST there is nothing left to close.
        self.over |= by == End::Server || how == Closing::Reset;
        self.events.tell(EventKind::Closed { connection: self.id, by, how });
    }

    fn tell_data(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            let kind =
                EventKind::Data { connection: self.id, from: self.from, since: self.first, bytes, segments: None };
            self.events.tell_at(self.last, kind);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.tell_data();
        if !self.over {
            // Bytes of the client that nobody will read make the system answer with a RST.
            let how = if self.from == End::Client { Closing::Reset } else { Closing::Fin };
            self.closed(End::Server, how);
        }
    }
}

/// A data connection over loopback and the client's end of it, for tests.
#[cfg(test)]
pub(crate) async fn loopback() -> (DataConnection, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = Socket::new(listener.accept().await.unwrap().0.into_std().unwrap());
    (DataConnection::new(Arc::new(server), None, Arc::default(), None), client)
}
