//! A session and its connections: what the session asks for is done, and what happens is told to it.

//!
//! | module | what it is |
//! |---|---|
//! | `open` | from settings to a session that stands |
//! | `channel` | its data connection |
//! | `reuse` | servers that demand that data connections resume the TLS session |

mod channel;
pub(crate) mod open;
mod reuse;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::Time;
use port21_proto::client::{
    Action, Answer, ClientSession, DataState, JobId, Learned, Outcome, Output, Phase, Request, SessionError, Started,
    TransferRequest,
};
use port21_proto::command::Command;
use port21_proto::op::OpId;
use port21_proto::parameters::{Direction, Protection};
use tokio::time::{Instant, Sleep};

use self::channel::{Data, Use};
use self::reuse::{Demand, Reuse};
use crate::builder::Buffers;
use crate::connect::{Connector, Destination};
use crate::control::Control;
use crate::data::DataConnection;
use crate::error::Error;
use crate::sink::Recorder;
use crate::tls::engine::Engine;
use crate::tls::{Tls, TlsError, TlsVersion};

/// A session, its control connection, and its data connection.
///
/// All of its state is in here and none in the futures that wait for it: they may be dropped at any point.
pub(crate) struct Link {
    session: ClientSession,
    control: Control,
    recorder: Recorder,
    connector: Arc<dyn Connector>,
    /// Where the control connection leads, and data connections with other ports.
    to: Destination,
    local: SocketAddr,
    peer: SocketAddr,
    /// Where TLS is wanted.
    tls: Option<Tls>,
    /// TLS begins (or ends) on the control connection.
    changing: Option<(OpId, Change)>,
    /// Why TLS does not stand, in more than words.
    tls_failure: Option<TlsError>,
    known: Known,
    sends_ahead: bool,
    reuse: Reuse,
    active_ports: Arc<[u16]>,
    /// Where among the active ports the next one is.
    next_active: usize,
    data: Data,
    /// Which way the bytes of the transfer go.
    direction: Direction,
    /// The data connection of a download has ended in order, and without a byte.
    came_empty: bool,
    bind_data: bool,
    buffers: Buffers,
    /// What the session has given out and nobody has taken yet.
    started: Option<(JobId, Started)>,
    done: Option<(JobId, Result<Answer, SessionError>)>,
    timer: Option<(Time, Pin<Box<Sleep>>)>,
    /// The shortest time from a command to its answer.
    round_trip: Option<Duration>,
}

/// What is known of a server, beyond one session with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    learned: Learned,
    /// Later versions of TLS do not work well with it.
    at_most: Option<TlsVersion>,
    demand: Demand,
    /// It has asked the user of the settings for a password, protected as the settings have it, and has taken it.
    pub(crate) asks_password: bool,
}

impl Known {
    /// Adds what another session with the server knows by now.
    pub(crate) fn join(&mut self, mut other: Known) {
        other.learned.heed(self.learned);
        other.asks_password |= self.asks_password;
        *self = other;
    }
}

#[derive(Clone, Copy)]
enum Change {
    Begin,
    End,
}

impl Link {
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

    /// TLS on the control connection, while it stands.
    pub(crate) fn tls(&self) -> Option<&Engine> {
        self.control.tls()
    }

    /// What is known of the server, for the next session with it.
    pub(crate) fn known(&self) -> Known {
        Known { learned: self.session.learned(), ..self.known }
    }

    /// The server answers in another order than it is asked in: nothing more is sent ahead.
    pub(crate) fn lose_order(&mut self) {
        let mut learned = self.session.learned();
        learned.lose_order();
        self.session.heed(learned);
    }

    /// Goes by what other sessions with the server have learned of it.
    pub(crate) fn heed(&mut self, known: Known) {
        self.session.heed(known.learned);
    }

    /// The server has asked the user of the settings for a password, and taken it.
    pub(crate) fn asked_password(&mut self) {
        self.known.asks_password = true;
    }

    /// Whether commands may be under way together.
    pub(crate) fn sends_ahead(&self) -> bool {
        self.sends_ahead && !self.session.learned().is_one_at_a_time()
    }

    /// Whether the server cannot connect back: there is a proxy, and which.
    pub(crate) fn proxy(&self) -> Option<String> {
        self.connector.proxy()
    }

    /// Whether data connections are to be under TLS from now on.
    pub(crate) fn protect_data(&mut self, private: bool) {
        self.session.set_protection(if private { Protection::Private } else { Protection::Clear });
    }

    /// Whether EPSV is tried from now on where there is PASV as well.
    pub(crate) fn set_extended(&mut self, on: bool) {
        self.session.set_extended(on);
    }

    /// How large the buffers of data connections are from now on.
    pub(crate) fn set_buffers(&mut self, buffers: Buffers) {
        self.buffers = buffers;
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
        let began = Instant::now();
        // Not everything needs to be asked.
        let is_measured =
            matches!(request, Request::Command(..) | Request::User(_) | Request::Pass(_) | Request::Login { .. });
        let job = self.start(request);
        let answer = self.finish(job).await?;
        if is_measured {
            let took = began.elapsed();
            self.round_trip = Some(self.round_trip.map_or(took, |shortest| shortest.min(took)));
        }
        Ok(answer)
    }

    /// The shortest time from a command to its answer so far.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
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
                Poll::Ready(result.map_err(|error| self.explain(error)))
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
        self.tls_failure = None;
        self.reuse.begin();
        let job = self.start(Request::Transfer(request));
        poll_fn(|cx| self.poll(cx, |link| link.started.is_some() || matches!(&link.done, Some((id, _)) if *id == job)))
            .await;
        let Some((_, started)) = self.started.take() else { return Ok((job, Err(self.finish(job).await?))) };
        if let Data::Open(_, _, usage) = &mut self.data {
            *usage = Use::Stream;
        }
        self.hear_verdict(job).await;
        if matches!(&self.done, Some((id, Err(_))) if *id == job) {
            self.finish(job).await?;
        }
        Ok((job, Ok(started)))
    }

    /// Whether the download that has begun has ended as well, with nothing to read. Its connection may be gone already:
    /// a server's 150 and 226 can come as one.
    pub(crate) fn came_empty(&self) -> bool {
        self.came_empty
    }

    /// Waits for the server to end the session; how it did.
    pub(crate) async fn ended(&mut self) -> Error {
        poll_fn(|cx| self.poll(cx, |link| !link.is_open())).await;
        // The session knows.
        let ended = self.run(Request::Command(Command::Noop, None)).await;
        ended.err().unwrap_or(Error::Closed { phase: Phase::Command })
    }

    /// Closes the connections.
    pub(crate) fn close(&mut self) {
        self.release_data();
        self.control.close();
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
            if self.changing.is_some() {
                // No byte is the session's until it is done.
                if self.poll_change(cx) || self.poll_timer(cx, next) {
                    continue;
                }
                return Poll::Pending;
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
                Output::Do(op, Action::Accept(_)) => self.accept(op),
                Output::Do(op, Action::Secure(_)) => self.secure(op),
                Output::Do(op, Action::StartTls) => self.changing = Some((op, Change::Begin)),
                Output::Do(op, Action::StopTls) => self.changing = Some((op, Change::End)),
                Output::Release(op) => self.release(op),
                Output::Started(job, started) => self.started = Some((job, started)),
                Output::Done(job, result) => self.done = Some((job, result)),
                Output::Event(event) => self.recorder.pass(event),
                Output::Close => {
                    self.changing = None;
                    self.release_data();
                    self.control.close();
                }
                Output::Wait(until) => return until,
            }
        }
    }

    /// Gets on with the beginning or end of TLS on the control connection; whether it is over.
    fn poll_change(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((op, change)) = self.changing else { return false };
        let tls = self.tls.as_ref();
        let none = || TlsError::Other("no TLS is set up".to_owned());
        let result = match change {
            Change::Begin => self.control.poll_begin_tls(cx, || tls.ok_or_else(none)?.engine()),
            Change::End => self.control.poll_end_tls(cx),
        };
        let Poll::Ready(result) = result else { return false };
        self.changing = None;
        let outcome = Outcome::Secured(result.as_ref().map(drop).map_err(ToString::to_string));
        self.tls_failure = result.err();
        self.session.handle_outcome(self.recorder.now(), op, outcome);
        true
    }

    /// What the driver knows more of an error than the session.
    fn explain(&mut self, error: SessionError) -> Error {
        let why = self.tls_failure.take();
        match (error, why) {
            (SessionError::Tls { phase, .. }, Some(why)) => Error::Tls { phase, why },
            // The server says that TLS has failed, and this side knows why.
            (SessionError::Refused { phase: phase @ Phase::DataOpen, .. }, Some(why)) if why.is_distrust() => {
                Error::Tls { phase, why }
            }
            (error, _) => error.into(),
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

    fn poll_timer(&mut self, cx: &mut Context<'_>, until: Time) -> bool {
        if until == Time::MAX {
            self.timer = None;
            return false;
        }
        let timer = match &mut self.timer {
            Some((at, timer)) if *at == until => timer,
            slot => {
                let Some(instant) = self.recorder.clock().instant(until) else { return false };
                let sleep = Box::pin(tokio::time::sleep_until(instant));
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
