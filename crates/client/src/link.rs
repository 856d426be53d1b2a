//! A session and its connections: what the session asks for is done, and what happens is told to it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use port21_proto::Time;
use port21_proto::client::{
    Action, Answer, ClientSession, DataState, JobId, Limits, Outcome, Output, Phase, Request, SessionError, Settings,
    Started, TransferRequest,
};
use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::op::OpId;
use port21_proto::parameters::Direction;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use crate::builder::Builder;
use crate::connect;
use crate::control::Control;
use crate::data::DataConnection;
use crate::dns;
use crate::error::Error;
use crate::sink::Recorder;

/// A session, its control connection, and its data connection.
///
/// All of its state is in here and none in the futures that wait for it: they may be dropped at any point.
pub(crate) struct Link {
    session: ClientSession,
    control: Control,
    recorder: Recorder,
    local: SocketAddr,
    peer: SocketAddr,
    active_ports: Arc<[u16]>,
    /// Where among the active ports the next one is.
    next_active: usize,
    data: Data,
    /// Which way the bytes of the transfer go.
    direction: Direction,
    /// The data connection of a download has ended in order, and without a byte.
    came_empty: bool,
    bind_data: bool,
    /// What the session has given out and nobody has taken yet.
    started: Option<(JobId, Started)>,
    done: Option<(JobId, Result<Answer, SessionError>)>,
    timer: Option<(Time, Pin<Box<Sleep>>)>,
}

/// The one data connection, and how it comes to stand.
enum Data {
    None,
    Connecting(OpId, ConnectionId, Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Listening(OpId, TcpListener),
    Accepting(OpId, TcpListener),
    Open(OpId, DataConnection, Use),
}

/// What a data connection is used for at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The transfer has not begun: its first byte would be the sign.
    Awaiting,
    /// A stream reads or writes it.
    Stream,
    /// What comes is thrown away: an upload has ended, or a download is being stopped.
    Discard,
}

impl Link {
    /// Resolves, connects, and waits for the greeting.
    pub(crate) async fn open(
        settings: &Builder,
        recorder: Recorder,
        id: ConnectionId,
    ) -> Result<(Link, Answer), Error> {
        let addresses = dns::resolve(settings, &recorder).await?;
        let stream = connect::control(settings, &addresses, &recorder, id).await?;
        let transport =
            |source| Error::Transport { phase: Phase::Connect, what: "the control connection".to_owned(), source };
        let local = stream.local_addr().map_err(transport)?;
        let peer = stream.peer_addr().map_err(transport)?;
        let t = settings.timeouts;
        let session_settings = Settings {
            peer,
            limits: Limits {
                greeting: t.greeting,
                reply: t.reply,
                data_open: t.data_open,
                final_reply: t.final_reply,
                abort: t.abort,
                quit: t.quit,
            },
            events: recorder.is_on().then_some(id),
        };
        let mut link = Link {
            session: ClientSession::new(recorder.now(), session_settings),
            control: Control::new(stream, id, recorder.clone()),
            recorder,
            local,
            peer,
            active_ports: settings.active_ports.clone(),
            next_active: 0,
            data: Data::None,
            direction: Direction::Down,
            came_empty: false,
            bind_data: settings.bind_ip.is_some(),
            started: None,
            done: None,
            timer: None,
        };
        let greeting = link.finish(JobId::GREETING).await?;
        Ok((link, greeting))
    }

    pub(crate) fn session(&self) -> &ClientSession {
        &self.session
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn is_open(&self) -> bool {
        self.control.is_open() && !self.session.is_closed()
    }

    /// Whether nothing is left over from a call that was given up. What the server has sent since is taken in first: a
    /// farewell, or a reply that nobody waits for.
    pub(crate) async fn is_in_order(&mut self) -> bool {
        poll_fn(|cx| {
            let _ = self.poll(cx, |_| false);
            Poll::Ready(())
        })
        .await;
        self.session.is_idle()
    }

    /// Does a job.
    pub(crate) async fn run(&mut self, request: Request) -> Result<Answer, Error> {
        let job = self.start(request);
        self.finish(job).await
    }

    /// Begins a job.
    pub(crate) fn start(&mut self, request: Request) -> JobId {
        (self.started, self.done) = (None, None);
        self.session.start(self.recorder.now(), request)
    }

    /// Stops what runs, and brings the session in order.
    pub(crate) async fn abort(&mut self) -> Result<(), Error> {
        (self.started, self.done) = (None, None);
        if let Data::Open(_, _, usage) = &mut self.data {
            *usage = Use::Discard;
        }
        let job = self.session.abort(self.recorder.now());
        self.finish(job).await.map(drop)
    }

    /// Waits until the job is over.
    pub(crate) async fn finish(&mut self, job: JobId) -> Result<Answer, Error> {
        poll_fn(|cx| self.poll_finish(cx, job)).await
    }

    /// As [`Link::finish`].
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>, job: JobId) -> Poll<Result<Answer, Error>> {
        match self.poll(cx, |link| matches!(&link.done, Some((id, _)) if *id == job)) {
            Poll::Ready(()) => {
                let ended = SessionError::Closed { phase: Phase::Command };
                let result = self.done.take().map_or(Err(ended), |(_, result)| result);
                Poll::Ready(result.map_err(Error::from))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Begins a transfer, and waits until its bytes may flow. Where it is over without any, its answer.
    pub(crate) async fn transfer(
        &mut self,
        request: TransferRequest,
        direction: Direction,
    ) -> Result<(JobId, Result<Started, Answer>), Error> {
        self.direction = direction;
        self.came_empty = false;
        let job = self.start(Request::Transfer(request));
        poll_fn(|cx| self.poll(cx, |link| link.started.is_some() || matches!(&link.done, Some((id, _)) if *id == job)))
            .await;
        match self.started.take() {
            Some((_, started)) => {
                if let Data::Open(_, _, usage) = &mut self.data {
                    *usage = Use::Stream;
                }
                Ok((job, Ok(started)))
            }
            None => Ok((job, Err(self.finish(job).await?))),
        }
    }

    /// Whether the download that has begun has ended as well, with nothing to read. Its connection may be gone already:
    /// a server's 150 and 226 can come as one.
    pub(crate) fn came_empty(&self) -> bool {
        self.came_empty
    }

    /// The data connection, while one stands.
    pub(crate) fn data(&mut self) -> Option<&mut DataConnection> {
        match &mut self.data {
            Data::Open(_, connection, _) => Some(connection),
            _ => None,
        }
    }

    /// Tells the session what has happened on the data connection. After an upload's end what the server still sends on
    /// it is thrown away, up to its own end.
    pub(crate) fn data_is(&mut self, state: DataState) {
        if let Data::Open(op, _, usage) = &mut self.data {
            if state == DataState::Ended {
                *usage = Use::Discard;
            }
            let op = *op;
            self.session.handle_data(self.recorder.now(), op, state);
        }
    }

    /// Does what there is to do, until `enough`, or until there is nothing more to do now.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, enough: impl Fn(&Link) -> bool) -> Poll<()> {
        loop {
            let next = self.take_outputs();
            if enough(self) {
                return Poll::Ready(());
            }
            // Where a step has got on, the session may have something to say to it.
            if self.poll_control_out(cx)
                || self.poll_discard(cx)
                || self.poll_control_in(cx)
                || self.poll_data(cx)
                || self.poll_timer(cx, next)
            {
                continue;
            }
            return Poll::Pending;
        }
    }

    /// Does what the session asks for; when it wants to be called again.
    fn take_outputs(&mut self) -> Time {
        loop {
            match self.session.poll_output() {
                Output::Send(bytes) => self.control.send(bytes, false),
                Output::SendUrgent(bytes) => self.control.send(bytes, true),
                Output::Do(op, Action::Connect(to)) => self.connect(op, to),
                Output::Do(op, Action::Listen) => self.listen(op),
                Output::Do(op, Action::Accept(_)) => {
                    self.data = match std::mem::replace(&mut self.data, Data::None) {
                        Data::Listening(_, listener) => Data::Accepting(op, listener),
                        other => other,
                    };
                }
                Output::Release(op) => self.release(op),
                Output::Started(job, started) => self.started = Some((job, started)),
                Output::Done(job, result) => self.done = Some((job, result)),
                Output::Event(event) => self.recorder.pass(event),
                Output::Close => {
                    self.release_data();
                    self.control.close();
                }
                Output::Wait(until) => return until,
            }
        }
    }

    fn connect(&mut self, op: OpId, to: SocketAddr) {
        let id = self.recorder.name();
        let local = self.bind_data.then(|| SocketAddr::new(self.local.ip(), 0));
        let recorder = self.recorder.clone();
        // How long it may take the session says.
        let attempt = async move { connect::open(id, Purpose::Data, to, local, None, &recorder).await };
        self.data = Data::Connecting(op, id, Box::pin(attempt));
    }

    fn listen(&mut self, op: OpId) {
        // Each port in its turn, so that one which still lingers is not asked for again at once.
        let count = self.active_ports.len().max(1);
        let mut ports = self.active_ports.to_vec();
        ports.rotate_left(self.next_active % count);
        self.next_active = (self.next_active + 1) % count;
        let listening = connect::listen(self.local.ip(), &ports).and_then(|l| Ok((l.local_addr()?, l)));
        let outcome = match listening {
            Ok((addr, listener)) => {
                self.data = Data::Listening(op, listener);
                Ok(addr)
            }
            Err(error) => Err(format!("cannot listen for the data connection: {error}")),
        };
        self.session.handle_outcome(self.recorder.now(), op, Outcome::Listening(outcome));
    }

    fn release(&mut self, op: OpId) {
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

    fn release_data(&mut self) {
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

    fn poll_control_out(&mut self, cx: &mut Context<'_>) -> bool {
        match self.control.poll_flush(cx) {
            Poll::Ready(Err(_)) if !self.session.is_closed() => {
                // What the server has sent before it went away may still be read, and says more.
                while self.poll_control_in(cx) && !self.session.is_closed() {}
                self.session.handle_eof(self.recorder.now());
                true
            }
            _ => false,
        }
    }

    /// Reads the control connection once; whether there was something.
    fn poll_control_in(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.control.is_open() || self.session.is_closed() {
            return false;
        }
        let now = self.recorder.now();
        match self.control.poll_read(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                self.session.handle_input(now, bytes);
            }
            Poll::Ready(_) => self.session.handle_eof(now),
        }
        true
    }

    /// Gets on with the data connection, where no stream does; whether it did. The control connection is read first: the
    /// server's 150 is older than its SYN.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.recorder.now();
        match &mut self.data {
            Data::Connecting(op, id, attempt) => {
                let Poll::Ready(result) = attempt.as_mut().poll(cx) else { return false };
                let (op, id) = (*op, *id);
                let outcome = result.as_ref().map(drop).map_err(connect::plain);
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
                        self.session.handle_outcome(now, op, Outcome::Connected(Err(connect::plain(&error))));
                    }
                }
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
                    Err(error) => DataState::Broken(connect::plain(&error)),
                };
                self.session.handle_data(now, op, state);
                true
            }
            _ => false,
        }
    }

    /// Reads what nobody wants: ends before the server's final reply is read, as they came.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> bool {
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
        self.data = Data::Open(op, DataConnection::new(stream, id, self.recorder.clone()), Use::Awaiting);
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

    fn poll_timer(&mut self, cx: &mut Context<'_>, until: Time) -> bool {
        if until == Time::MAX {
            self.timer = None;
            return false;
        }
        let timer = match &mut self.timer {
            Some((at, timer)) if *at == until => timer,
            slot => {
                let Some(instant) = self.recorder.clock().instant(until) else { return false };
                let sleep = Box::pin(tokio::time::sleep_until(instant.into()));
                &mut slot.insert((until, sleep)).1
            }
        };
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        self.session.handle_timeout(self.recorder.now());
        true
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.release_data();
    }
}
