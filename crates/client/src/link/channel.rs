//! The data connection of a session: opened or awaited, put under TLS, watched until it is used, and let go of.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::client::{DataState, JobId, Outcome};
use port21_proto::event::{Closing, Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::op::OpId;
use port21_proto::parameters::Direction;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::Link;
use crate::builder::Buffers;
use crate::connect::{Destination, Dial, Stream, plain, tcp};
use crate::data::DataConnection;

/// How long TLS waits for a server's 1yz where the last session that can be resumed would be lost by a refusal. Some servers
/// do their part of TLS first.
const MARK_GRACE: Duration = Duration::from_secs(2);

/// The one data connection, and how it comes to stand.
pub(super) enum Data {
    None,
    Connecting(OpId, ConnectionId, Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>),
    Listening(OpId, TcpListener),
    Accepting(OpId, TcpListener),
    Open(OpId, DataConnection, Use),
}

/// What a data connection is used for at the moment.
pub(super) enum Use {
    /// TLS is to begin, at the latest at this moment.
    Unsecured(Pin<Box<Sleep>>),
    /// TLS is being set up.
    Securing,
    /// The transfer has not begun: its first byte would be the sign.
    Awaiting,
    /// A stream reads or writes it.
    Stream,
    /// What comes is thrown away: an upload has ended, or a download is being stopped.
    Discard,
}

impl Link {
    pub(super) fn connect(&mut self, op: OpId, to: SocketAddr) {
        let id = self.recorder.name();
        let local = self.bind_data.then(|| SocketAddr::new(self.local.ip(), 0));
        let to = self.to.with_port(to.port());
        let connection =
            move |client, server| Connection { id, purpose: Purpose::Data, opener: End::Client, client, server };
        let (recorder, connector, buffers) = (self.recorder.clone(), self.connector.clone(), self.buffers);
        // How long it may take the session says.
        let attempt = async move {
            let server = to.address();
            recorder.emit(|| EventKind::Opening(connection(None, server)));
            let result = connector.connect(Dial { to, purpose: Purpose::Data, local }).await;
            if let Some(stream) = result.as_ref().ok().and_then(Stream::as_tcp) {
                set_buffers(stream, buffers);
            }
            match &result {
                Ok(stream) => recorder.emit(|| {
                    EventKind::Opened(connection(stream.local_addr().ok(), server.or(stream.peer_addr().ok())))
                }),
                Err(error) => recorder.emit(|| EventKind::OpenFailed { connection: id, why: plain(error) }),
            }
            result
        };
        self.data = Data::Connecting(op, id, Box::pin(attempt));
    }

    /// Connects as a data connection does, and closes again.
    pub(crate) async fn reach(&self, address: SocketAddr) -> io::Result<()> {
        let id = self.recorder.name();
        let connection =
            |client| Connection { id, purpose: Purpose::Data, opener: End::Client, client, server: Some(address) };
        let local = self.bind_data.then(|| SocketAddr::new(self.local.ip(), 0));
        self.recorder.emit(|| EventKind::Opening(connection(None)));
        let dial = Dial { to: Destination::Address(address), purpose: Purpose::Data, local };
        match self.connector.connect(dial).await {
            Ok(stream) => {
                self.recorder.emit(|| EventKind::Opened(connection(stream.local_addr().ok())));
                drop(stream);
                self.recorder.emit(|| EventKind::Closed { connection: id, by: End::Client, how: Closing::Fin });
                Ok(())
            }
            Err(error) => {
                self.recorder.emit(|| EventKind::OpenFailed { connection: id, why: plain(&error) });
                Err(error)
            }
        }
    }

    pub(super) fn listen(&mut self, op: OpId) {
        // Each port in its turn, so that one which still lingers is not asked for again at once.
        let count = self.active_ports.len().max(1);
        let mut ports = self.active_ports.to_vec();
        ports.rotate_left(self.next_active % count);
        self.next_active = (self.next_active + 1) % count;
        let listening = tcp::listen(self.local.ip(), &ports).and_then(|l| Ok((l.local_addr()?, l)));
        let outcome = match listening {
            Ok((addr, listener)) => {
                self.data = Data::Listening(op, listener);
                Ok(addr)
            }
            Err(error) => Err(format!("cannot listen for the data connection: {error}")),
        };
        self.session.handle_outcome(self.recorder.now(), op, Outcome::Listening(outcome));
    }

    pub(super) fn accept(&mut self, op: OpId) {
        self.data = match std::mem::replace(&mut self.data, Data::None) {
            Data::Listening(_, listener) => Data::Accepting(op, listener),
            other => other,
        };
    }

    /// TLS is wanted on the data connection. A handshake takes a session that is good once: where it is the last one, it
    /// waits for the server's 1yz, so that it is not lost by a refusal; else a round trip is saved.
    pub(super) fn secure(&mut self, op: OpId) {
        if let Data::Open(held, _, usage) = &mut self.data {
            *held = op;
            *usage = Use::Unsecured(Box::pin(tokio::time::sleep(MARK_GRACE)));
        }
    }

    pub(super) fn release(&mut self, op: OpId) {
        let held = match &self.data {
            Data::None => return,
            Data::Connecting(held, ..) | Data::Listening(held, _) | Data::Accepting(held, _) | Data::Open(held, ..) => {
                *held
            }
        };
        if held == op {
            self.release_data();
        }
    }

    pub(super) fn release_data(&mut self) {
        match std::mem::replace(&mut self.data, Data::None) {
            Data::None => {}
            Data::Connecting(_, connection, _) => {
                self.recorder.emit(|| EventKind::OpenFailed { connection, why: "given up".to_owned() });
            }
            Data::Listening(..) => {}
            Data::Accepting(_, listener) => self.never_came(&listener),
            Data::Open(_, connection, _) => {
                connection.release(self.direction == Direction::Up);
            }
        }
    }

    /// Gets on with the data connection, where no stream does; whether it did. The control connection is read first: the
    /// server's 150 is older than its SYN.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.recorder.now();
        match &mut self.data {
            Data::Connecting(op, id, attempt) => {
                let Poll::Ready(result) = attempt.as_mut().poll(cx) else { return false };
                let (op, id) = (*op, *id);
                let outcome = result.as_ref().map(drop).map_err(plain);
                self.data = match result {
                    Ok(stream) => Data::Open(op, DataConnection::new(stream, id, self.recorder.clone()), Use::Awaiting),
                    Err(_) => Data::None,
                };
                self.session.handle_outcome(now, op, Outcome::Connected(outcome));
                true
            }
            Data::Accepting(op, listener) => {
                let op = *op;
                let Poll::Ready(accepted) = listener.poll_accept(cx) else { return false };
                match accepted {
                    Ok((stream, from)) => self.accepted(op, stream, from),
                    Err(error) => {
                        self.data = Data::None;
                        self.session.handle_outcome(now, op, Outcome::Connected(Err(plain(&error))));
                    }
                }
                true
            }
            Data::Open(_, _, usage @ Use::Unsecured(_)) => {
                let Use::Unsecured(grace) = usage else { return false };
                let spare = self.tls.as_ref().is_none_or(|tls| tls.has_sessions_to_spare() || !tls.has_session());
                let begins = spare || self.session.has_begun() || grace.as_mut().poll(cx).is_ready();
                if begins {
                    *usage = Use::Securing;
                }
                begins
            }
            Data::Open(op, connection, usage @ Use::Securing) => {
                let Some(tls) = &self.tls else { return false };
                let Poll::Ready(result) = connection.poll_secure(cx, tls) else { return false };
                let op = *op;
                *usage = Use::Awaiting;
                self.reuse.secured(connection.is_resumed());
                let outcome = Outcome::Secured(result.as_ref().map(drop).map_err(ToString::to_string));
                self.tls_failure = result.err();
                self.session.handle_outcome(now, op, outcome);
                true
            }
            Data::Open(op, connection, usage @ Use::Awaiting) if self.direction == Direction::Down => {
                let Poll::Ready(first) = connection.poll_first(cx) else { return false };
                *usage = Use::Stream;
                let op = *op;
                self.came_empty = matches!(first, Ok(false));
                let state = match first {
                    Ok(true) => DataState::Begun,
                    Ok(false) => DataState::Ended,
                    Err(error) => DataState::Broken(plain(&error)),
                };
                self.session.handle_data(now, op, state);
                true
            }
            _ => false,
        }
    }

    /// Waits, so long at most, for the first byte of the download that has begun, or its end, which [`Link::came_empty`] tells.
    pub(crate) async fn await_first(&mut self, job: JobId, limit: Duration) {
        if let Data::Open(_, _, usage @ Use::Stream) = &mut self.data {
            *usage = Use::Awaiting;
        }
        let first = poll_fn(|cx| {
            self.poll(cx, |link| {
                let over = matches!(&link.done, Some((id, _)) if *id == job);
                over || !matches!(link.data, Data::Open(_, _, Use::Awaiting))
            })
        });
        let _ = tokio::time::timeout(limit, first).await;
        if let Data::Open(_, _, usage @ Use::Awaiting) = &mut self.data {
            *usage = Use::Stream;
        }
    }

    /// Reads what nobody wants: ends before the server's final reply is read, as they came.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> bool {
        if let Data::Open(_, connection, Use::Discard) = &mut self.data {
            let _ = connection.poll_discard(cx);
        }
        false
    }

    /// Someone has connected to the port: only the server may (RFC 2577 section 3, the other way round).
    fn accepted(&mut self, op: OpId, stream: TcpStream, from: SocketAddr) {
        if from.ip().to_canonical() != self.peer.ip().to_canonical() {
            return self.recorder.emit(|| EventKind::Note {
                connection: None,
                text: format!("{from} is not the server: its data connection was refused"),
            });
        }
        let id = self.recorder.name();
        let connection = Connection {
            id,
            purpose: Purpose::Data,
            opener: End::Server,
            client: stream.local_addr().ok(),
            server: Some(from),
        };
        self.recorder.emit(|| EventKind::Opening(connection.clone()));
        self.recorder.emit(|| EventKind::Opened(connection));
        let outcome = stream.set_nodelay(true).map_err(|e| e.to_string());
        set_buffers(&stream, self.buffers);
        self.data = Data::Open(op, DataConnection::new(stream.into(), id, self.recorder.clone()), Use::Awaiting);
        self.session.handle_outcome(self.recorder.now(), op, Outcome::Connected(outcome));
    }

    /// The server has opened no connection to the port that it was told.
    fn never_came(&self, listener: &TcpListener) {
        if !self.recorder.is_on() {
            return;
        }
        let id = self.recorder.name();
        let client = listener.local_addr().ok();
        let connection = Connection { id, purpose: Purpose::Data, opener: End::Server, client, server: None };
        self.recorder.emit(|| EventKind::Opening(connection));
        self.recorder.emit(|| EventKind::OpenFailed { connection: id, why: "the server has not connected".to_owned() });
    }
}

/// A size that the system does not take leaves the buffer as it was: that is no reason to fail a transfer.
fn set_buffers(stream: &TcpStream, buffers: Buffers) {
    let socket = SockRef::from(stream);
    if let Some(bytes) = buffers.send {
        let _ = socket.set_send_buffer_size(bytes);
    }
    if let Some(bytes) = buffers.receive {
        let _ = socket.set_recv_buffer_size(bytes);
    }
}
