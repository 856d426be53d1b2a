//! One session: the machine of [`port21_proto::server`], its control connection, and its operations.
//!
//! One task owns all of it. Operations run in tasks of their own and come back with their outcome, so the session can
//! always answer: while a transfer runs, while it stalls, while a disk is slow.
//!
//! | module | what it is |
//! |---|---|
//! | [`control`] | the control connection's socket |
//! | [`work`] | which operations run, what is held for later ones, how each is stopped |
//! | [`kind`] | what kind an operation is of, and what becomes of one that does not come to its end |
//! | [`perform`] | how each operation is done |
//! | [`digest`], [`combine`], [`tree`] | those that take long without a transfer |
//! | [`fault`] | which of many files stood in the way |
//! | [`log`] | what an operator reads |

mod combine;
mod control;
mod digest;
mod fault;
mod kind;
mod log;
mod perform;
mod tree;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;

use port21_proto::Time;
use port21_proto::event::{Closing, Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::server::{Action, OpId, Outcome, Output, ServerSession, SiteId, TlsError, TlsMode};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use crate::account::standing::Why;
use crate::events::Events;
use crate::limits::Place;
use crate::proxy::Ends;
use crate::registry::Seat;
use crate::shared::{Notice, Shared};
use control::{Control, Read, Switched};
use kind::Kind;
use log::Log;
use perform::Performer;
use work::{Happened, Work};

/// At most this much of what has come is handed in before an upload is given its name: a client that sends faster than
/// it is read is surely there.
const MAX_LOOK: usize = 64 * 1024;

/// A session and all that belongs to it.
pub(crate) struct Session {
    machine: ServerSession,
    control: Control,
    /// Read, but not taken by the machine yet.
    pending: Vec<u8>,
    /// The client sends nothing more.
    ended: bool,
    /// The account is another one now, and the machine knows.
    changed: bool,
    work: Work,
    shared: Arc<Shared>,
    events: Option<Arc<Events>>,
    place: Arc<Place>,
    seat: Seat,
    shutdown: watch::Receiver<Notice>,
}

impl Session {
    /// A session over a connection that was let in. Nothing happens before [`Session::run`].
    ///
    /// # Errors
    /// Where the connection is gone already.
    pub(crate) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        ends: Ends,
        tls: TlsMode,
        place: Place,
        shutdown: watch::Receiver<Notice>,
    ) -> std::io::Result<Session> {
        let Ends { peer, server, .. } = ends;
        let control = Control::new(stream, shared.settings.write_timeout)?;
        let now = shared.clock.now();
        let events = shared.watch(place.number(), peer, server, now);
        if let Some(events) = &events {
            events.tell_at(now, EventKind::Opened(control_connection(peer, server)));
        }
        let settings = shared.sites.session(SiteId::DEFAULT, events.is_some()).unwrap_or_default();
        let machine = ServerSession::new(settings, tls, peer, now);
        let number = place.number();
        let seat = shared.registry.enter(number, (peer, server), now, place.call());
        let log = Log::new(number, peer, shared.clone());
        let work = Work::new(Performer { shared: shared.clone(), number, ends, events: events.clone(), log });
        let place = Arc::new(place);
        Ok(Session {
            machine,
            control,
            pending: Vec::new(),
            ended: false,
            changed: false,
            work,
            shared,
            events,
            place,
            seat,
            shutdown,
        })
    }

    /// Serves the client to the end. (Were it to take `self`, its future would have room for that twice.)
    pub(crate) async fn run(&mut self) {
        self.work.log().connected();
        let call = self.seat.call();
        // The deadline mostly moves away, command by command: the timer is only set where it comes nearer, and looks
        // again when it has run out.
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        let mut armed = Time::MAX;
        loop {
            let deadline = tokio::select! {
                biased;
                () = call.wanted_at_once() => return Box::pin(self.leave()).await,
                deadline = self.perform() => deadline,
            };
            // The end is on the heap, as all that is rare: the task of a session that waits stays small.
            let Some(deadline) = deadline else { return Box::pin(self.close()).await };
            if self.hand_in_pending() || self.end_without_asking() || self.end_as_changed() {
                continue;
            }
            // Neither a client that never stops sending nor a storage that is always ready keeps a thread for itself.
            consume_budget().await;
            if deadline < armed
                && let Some(instant) = self.shared.clock.instant(deadline)
            {
                timer.as_mut().reset(instant);
                armed = deadline;
            }
            self.work.rest();
            let reads = self.reads();
            tokio::select! {
                biased;
                () = call.wanted() => {
                    if call.why() != Some(Why::Changed) {
                        return Box::pin(self.leave()).await;
                    }
                }
                happened = self.work.next(), if self.work.is_busy() => self.happened(happened),
                () = self.control.readable(), if reads => {
                    self.read();
                }
                Ok(()) = self.shutdown.changed() => {
                    if *self.shutdown.borrow_and_update() == Notice::Over {
                        return Box::pin(self.cut_off("421 The server has shut down.")).await;
                    }
                    self.machine.handle_shutdown(self.shared.clock.now());
                }
                () = &mut timer, if armed < Time::MAX => {
                    armed = Time::MAX;
                    let now = self.hand_in_progress();
                    self.machine.handle_timeout(now);
                }
            }
        }
    }

    /// Does what the machine gives out, until it waits: until when, or nothing once it has closed.
    async fn perform(&mut self) -> Option<Time> {
        loop {
            match self.machine.poll_output() {
                Output::Send(bytes) => self.control.queue(bytes),
                Output::Event(event) => {
                    if let Some(events) = &self.events {
                        events.pass(event);
                    }
                }
                Output::Cancel(op) => self.work.cancel(op),
                // On the heap, as the session mostly waits.
                Output::Release(op) => Box::pin(self.work.release(op)).await,
                Output::Denied(verb, about) => self.work.log().denied(verb, &about),
                Output::LoggedOut => {
                    self.work.log_out();
                    self.place.logged_out();
                }
                // The client reads 150 before it sees the data connection, and 234 before TLS. A client that takes no more
                // for the moment is waited for on the heap, too.
                Output::Do(op, action) => match self.flush_now() {
                    Some(_) => self.begin(op, action),
                    None => {
                        Box::pin(async {
                            self.flush().await;
                            self.begin(op, action);
                        })
                        .await;
                    }
                },
                Output::Wait(deadline) => {
                    let sent = match self.flush_now() {
                        Some(sent) => sent,
                        None => Box::pin(self.flush()).await,
                    };
                    if sent {
                        return Some(deadline);
                    }
                }
                Output::Close => {
                    Box::pin(self.flush()).await;
                    return None;
                }
            }
        }
    }

    fn begin(&mut self, op: OpId, action: Action) {
        match action {
            // Whom would it be with? Nothing is read any more.
            Action::StartTls { .. } | Action::StopTls if self.ended => {
                self.switched(op, Switched::Failed(TlsError::Truncated));
            }
            Action::StartTls { site } => self.start_tls(op, site),
            Action::StopTls => {
                if let Some(behind) = self.control.stop_tls(op) {
                    self.pending.extend(behind);
                    self.switched(op, Switched::Cleared);
                }
            }
            action => self.work.start(op, action),
        }
    }

    /// Sends what is queued; where that fails the machine is told, and has more to give out.
    async fn flush(&mut self) -> bool {
        let sent = self.control.flush().await;
        self.was_sent(sent.is_ok())
    }

    /// As [`Session::flush`], where the client takes it all at once.
    fn flush_now(&mut self) -> Option<bool> {
        match self.control.flush_now() {
            Ok(false) => None,
            sent => Some(self.was_sent(sent.is_ok())),
        }
    }

    fn was_sent(&mut self, sent: bool) -> bool {
        if !sent {
            self.end(Closing::Reset);
        }
        sent
    }

    /// The client speaks TLS next. What it has sent ahead came in clear, and could be anybody's: it is never looked at.
    fn start_tls(&mut self, op: OpId, site: SiteId) {
        self.pending = Vec::new();
        let binding = self.shared.tls.as_ref().map(|tls| tls.bind(self.shared.sites.name(site)));
        let engine = binding.as_ref().map(|binding| binding.control());
        match (binding, engine) {
            (Some(binding), Some(Ok(engine))) => {
                self.work.bind(binding);
                self.control.start_tls(op, engine);
            }
            (_, engine) => {
                let error = engine.and_then(Result::err).unwrap_or(TlsError::Handshake("no certificate".into()));
                self.switched(op, Switched::Failed(error));
            }
        }
    }

    /// TLS on the control connection has begun, or ended, or neither.
    fn switched(&mut self, op: OpId, switched: Switched) {
        let outcome = match switched {
            Switched::Secured(secured) => {
                self.work.log().secured(&secured.description);
                self.work.secured(self.control.engine());
                self.enter_named_site();
                Outcome::Secured(Ok(secured))
            }
            Switched::Failed(error) => {
                self.work.log().not_secured(&error);
                Outcome::Secured(Err(error))
            }
            Switched::Cleared => {
                self.work.log().cleared();
                self.work.secured(None);
                Outcome::Cleared(Ok(()))
            }
        };
        self.machine.handle_outcome(self.shared.clock.now(), op, outcome);
    }

    /// The name that the client has given in its handshake chooses a site, as HOST does. One that is nobody's chooses
    /// none: clients give the name by which they have found this machine, whatever that is.
    fn enter_named_site(&mut self) {
        let Some(name) = self.work.tls_server_name() else { return };
        if let Some(site) = self.shared.sites.find(name.as_bytes())
            && let Some(settings) = self.shared.sites.session(site, self.events.is_some())
        {
            self.machine.handle_site(site, settings);
        }
    }

    fn happened(&mut self, happened: Happened) {
        match happened {
            Happened::Connected(op) => self.machine.handle_connected(self.shared.clock.now(), op),
            Happened::Ended { op, kind, stood, outcome } => {
                if stood {
                    self.machine.handle_connected(self.shared.clock.now(), op);
                }
                if kind == Kind::Sync {
                    self.look_again();
                }
                if let Outcome::Login(Ok(_)) = &outcome {
                    self.place.logged_in();
                }
                self.machine.handle_outcome(self.shared.clock.now(), op, outcome);
            }
        }
    }

    /// Whether anything is read from the client now: not while the machine takes nothing, so that a client that sends
    /// ahead is slowed down.
    fn reads(&self) -> bool {
        !self.ended
            && !self.control.is_ended_under_tls()
            && (self.control.changes().is_some() || self.pending.is_empty() && self.machine.takes_input())
    }

    /// A client that ends TLS without having asked for it (CCC, REIN) is going; what follows in clear is nobody's. Where
    /// it has asked, that may still have to wait for its turn.
    fn end_without_asking(&mut self) -> bool {
        let ends = self.control.is_ended_under_tls() && self.pending.is_empty() && self.machine.takes_input();
        if ends && !self.ended {
            self.end(Closing::Fin);
            return true;
        }
        false
    }

    /// Hands in what has come: whether that was anything.
    fn read(&mut self) -> bool {
        let now = self.hand_in_progress();
        let (machine, pending) = (&mut self.machine, &mut self.pending);
        let (read, switched) = self.control.read(|bytes| hand_in(machine, pending, now, bytes));
        if let Some((op, switched)) = switched {
            self.switched(op, switched);
        }
        self.was_read(read)
    }

    /// Before an upload is given its name: is the client still there? Whoever is killed also ends the data connection in
    /// order. What the runtime has heard may be older than that, so the system itself is asked.
    fn look_again(&mut self) {
        let now = self.hand_in_progress();
        let mut looked = 0;
        while self.reads() && looked < MAX_LOOK {
            let (machine, pending) = (&mut self.machine, &mut self.pending);
            // Nothing changes how this connection is protected while an upload runs.
            let (read, _) = self.control.read_now(|bytes| hand_in(machine, pending, now, bytes));
            if let Read::Some(bytes) = read {
                looked += bytes;
            }
            if !self.was_read(read) {
                break;
            }
        }
        // There may be an end behind bytes that the machine does not take yet.
        if !self.ended && self.control.is_ended() {
            self.end(Closing::Fin);
        }
    }

    fn was_read(&mut self, read: Read) -> bool {
        match read {
            Read::Some(_) => {
                self.seat.heard(self.shared.clock.now());
                return true;
            }
            Read::Nothing => {}
            Read::End => self.end(Closing::Fin),
            Read::Broken => self.end(Closing::Reset),
        }
        false
    }

    /// Hands in what was read earlier than it could be taken: whether any of it was taken.
    fn hand_in_pending(&mut self) -> bool {
        if self.pending.is_empty() || !self.machine.takes_input() {
            return false;
        }
        let now = self.hand_in_progress();
        let bytes = std::mem::take(&mut self.pending);
        hand_in(&mut self.machine, &mut self.pending, now, &bytes);
        true
    }

    /// Hands in how far the transfers have come: STAT tells it, and a transfer that stalls is one where it stands still.
    fn hand_in_progress(&mut self) -> Time {
        let now = self.shared.clock.now();
        for (op, bytes) in self.work.progress() {
            self.machine.handle_progress(now, op, bytes);
        }
        now
    }

    /// The client sends nothing more.
    fn end(&mut self, how: Closing) {
        if !std::mem::replace(&mut self.ended, true) {
            self.tell_closed(End::Client, how);
            let now = self.hand_in_progress();
            self.machine.handle_eof(now);
            if let Some(op) = self.control.changes() {
                self.switched(op, Switched::Failed(TlsError::Truncated));
            }
        }
    }

    fn tell_closed(&self, by: End, how: Closing) {
        if let Some(events) = &self.events {
            events.tell(EventKind::Closed { connection: ConnectionId::CONTROL, by, how });
        }
    }

    /// An account that is another one now is to be logged in to again, once what runs has ended.
    fn end_as_changed(&mut self) -> bool {
        let changed = !self.changed && self.seat.called() == Some(Why::Changed);
        if changed {
            self.changed = true;
            self.tell_why(Why::Changed);
            let now = self.hand_in_progress();
            self.machine.handle_account_changed(now);
        }
        changed
    }

    /// Is wanted to leave at once: by the operator, by the loss of its account, or by another connection.
    async fn leave(&mut self) {
        let why = self.seat.called();
        why.into_iter().for_each(|why| self.tell_why(why));
        match why {
            Some(Why::Kicked) => self.cut_off("421 The operator has ended this session.").await,
            Some(Why::Revoked) => {
                self.work.spoil();
                self.cut_off("421 This login is not valid any more.").await;
            }
            // A place is given away by those alone who have no account yet.
            Some(Why::Changed) | None => self.turn_out(),
        }
    }

    fn tell_why(&self, why: Why) {
        let note = self.work.log().called(why);
        if let Some(events) = &self.events {
            events.note(Some(ConnectionId::CONTROL), note.into());
        }
    }

    /// Gives its place to another connection.
    fn turn_out(&mut self) {
        let text = "421 Too many connections, and this one has not logged in.";
        self.work.log().turned_out();
        if let Some(events) = &self.events {
            events.note(Some(ConnectionId::CONTROL), "closed before its login, to make room for others".into());
        }
        self.tell_closed(End::Server, Closing::Fin);
        self.control.send_last(text);
    }

    /// Ends whatever runs: an upload that was not complete never happened.
    async fn cut_off(&mut self, why: &str) {
        self.work.end().await;
        self.work.log().disconnected();
        self.tell_closed(End::Server, Closing::Fin);
        self.control.send_last(why);
    }

    async fn close(&mut self) {
        // Every operation and data connection ends before the control connection does.
        self.work.end().await;
        self.work.log().disconnected();
        self.tell_closed(End::Server, Closing::Fin);
        if self.ended {
            return;
        }
        let how = tokio::select! {
            biased;
            // Whoever lingers makes room as well.
            () = self.place.wanted() => None,
            how = self.control.close() => how,
        };
        if let Some(how) = how {
            self.tell_closed(End::Client, how);
        }
    }
}

/// Hands bytes to the machine; what it does not take is kept.
fn hand_in(machine: &mut ServerSession, pending: &mut Vec<u8>, now: Time, bytes: &[u8]) {
    let taken = machine.handle_input(now, bytes);
    pending.extend_from_slice(bytes.get(taken..).unwrap_or_default());
}

fn control_connection(client: SocketAddr, server: SocketAddr) -> Connection {
    Connection {
        id: ConnectionId::CONTROL,
        purpose: Purpose::Control,
        opener: End::Client,
        client: Some(client),
        server: Some(server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of sessions wait most of the time: what is rare belongs on the heap.
    #[test]
    fn a_session_is_small() {
        fn size<F: Future>(_: impl FnOnce(Session) -> F) -> usize {
            size_of::<F>()
        }
        let task = size(|mut session| async move { session.run().await });
        assert!(task <= 1500, "{task} bytes");
    }
}
