//! Input to commands, one at a time and in their order; time, and the end.

use std::net::SocketAddr;
use std::sync::Arc;

use super::action::{Action, DataChannel, Outcome, Output, SiteId, UploadEof};
use super::login::Login;
use super::outcome::Pending;
use super::pace::Pace;
use super::queue::{Outputs, Queue};
use super::settings::{SessionSettings, TlsMode};
use super::sizes::SizesTold;
use super::tls::Tls;
use super::transfer::Transfer;
use super::wording;
use crate::addr;
use crate::command::{Command, CommandError};
use crate::event::{ConnectionId, End, EventKind, SessionEvent};
use crate::line::{Line, LineDecoder};
use crate::listing::FactSet;
use crate::op::OpId;
use crate::parameters::{Algorithm, Direction, Mode, Representation};
use crate::path::FtpPath;
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::{During, Verb};

/// How hard MODE Z compresses unless OPTS says else: zlib's own default, beyond which time grows much faster than what is
/// saved.
pub(super) const DEFAULT_LEVEL: u8 = 6;

/// The server's side of one control connection.
///
/// Every method takes `now`; after each call, drain [`ServerSession::poll_output`].
#[derive(Debug)]
pub struct ServerSession {
    pub(super) settings: Arc<SessionSettings>,
    /// The site to begin with, and again after REIN.
    pub(super) first_site: (SiteId, Arc<SessionSettings>),
    pub(super) site: SiteId,
    /// The client's end of the control connection, canonical.
    pub(super) peer: SocketAddr,
    /// Whether the client has come by IPv6 (and not by IPv4 mapped into it).
    pub(super) ipv6: bool,
    decoder: LineDecoder,
    queue: Queue,
    pub(super) running: Option<Running>,
    outputs: Outputs,
    last_op: u64,

    pub(super) login: Login,
    pub(super) failed_logins: u32,
    pub(super) cwd: FtpPath,
    pub(super) representation: Representation,
    pub(super) mode: Mode,
    /// How hard MODE Z compresses.
    pub(super) level: u8,
    pub(super) facts: FactSet,
    pub(super) algorithm: Algorithm,
    pub(super) data: Option<DataChannel>,
    pub(super) epsv_all: bool,
    pub(super) tls: Tls,
    /// REST, until a transfer or a listing, or ABOR.
    pub(super) restart: u64,
    /// RANG, until a transfer or a digest, or ABOR: the first byte, and the first that is not wanted any more.
    pub(super) range: Option<(u64, u64)>,
    /// ALLO, until the same.
    pub(super) announced: Option<u64>,
    /// RNFR, until the next command.
    pub(super) rename_from: Option<FtpPath>,
    pub(super) sizes_told: SizesTold,

    last_activity: Time,
    pace: Pace,
    /// No command was read yet: an HTTP request here is a cross-protocol attack or a lost browser.
    fresh: bool,
    ending: Ending,
}

/// The one command that is being done.
#[derive(Debug)]
pub(super) enum Running {
    /// A single operation whose outcome makes the reply.
    Single { op: OpId, pending: Pending },
    /// A transfer, in one of its stages.
    Transfer(Box<Transfer>),
}

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Not near.
    No,
    /// The server goes down, or the account is another one: the running transfer is the last thing that is done.
    Shutdown(Farewell),
    /// The client has said all that it will say: what is in the queue is the rest.
    PeerDone,
    /// [`Output::Close`] was given out.
    Closed,
}

/// What the client is told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    ServerEnds,
    AccountChanged,
}

impl ServerSession {
    /// A session with the client at `peer`, which begins with the greeting; under [`TlsMode::Implicit`] with TLS.
    pub fn new(settings: Arc<SessionSettings>, tls: TlsMode, peer: SocketAddr, now: Time) -> ServerSession {
        let peer = addr::canonical(peer);
        let mut session = ServerSession {
            decoder: LineDecoder::new(settings.max_line),
            peer,
            ipv6: peer.is_ipv6(),
            queue: Queue::default(),
            running: None,
            outputs: Outputs::default(),
            last_op: 0,
            login: Login::Out { user: None, since: now },
            failed_logins: 0,
            cwd: FtpPath::root(),
            representation: Representation::default(),
            mode: Mode::default(),
            level: DEFAULT_LEVEL,
            facts: FactSet::default(),
            algorithm: Algorithm::Sha256,
            data: None,
            epsv_all: false,
            tls: Tls::new(tls),
            restart: 0,
            range: None,
            announced: None,
            rename_from: None,
            sizes_told: SizesTold::default(),
            last_activity: now,
            pace: Pace::default(),
            fresh: true,
            ending: Ending::No,
            first_site: (SiteId::DEFAULT, settings.clone()),
            site: SiteId::DEFAULT,
            settings,
        };
        if tls == TlsMode::Implicit {
            session.begin_implicit_tls(now);
        } else {
            session.greet(now);
        }
        session
    }

    /// Takes bytes of the control connection and says how many it took. Where it took fewer than all, too many commands
    /// wait, or too many replies: keep the rest, stop reading, and hand it in again once
    /// [`ServerSession::takes_input`], which it may after an outcome, or once all outputs were taken.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        let mut taken = 0;
        while self.takes_input() {
            let rest = input.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let (read, line) = self.decoder.feed(rest);
            taken += read;
            let Some(line) = line else { break };
            let foreign = std::mem::take(&mut self.fresh) && is_foreign(line);
            let (event, command) = match line {
                Line::Whole(line) => {
                    let event = self.settings.events.then(|| EventKind::command(ConnectionId::CONTROL, line));
                    (event, Command::parse(line))
                }
                Line::Overlong(head) => {
                    let event = self.settings.events.then(|| overlong_event(head));
                    (event, Err(CommandError::TooLong))
                }
            };
            self.event(now, event);
            if foreign {
                self.close();
                break;
            }
            self.last_activity = now;
            self.pace.command(now, &self.settings);
            let verb = command.as_ref().map_or_else(CommandError::verb, |command| Some(command.verb()));
            let is_abort = command.is_ok() && verb.is_some_and(|verb| verb.facts().during == During::Abort);
            let aborts = is_abort && self.abort_ahead();
            self.queue.push(command, verb, aborts);
            self.advance(now);
        }
        let answers = self.decoder.take_answers();
        if !answers.is_empty() && self.ending != Ending::Closed {
            self.outputs.send(answers);
        }
        taken
    }

    /// Whether more input would be taken now. Nothing is behind a command that changes how the control connection is
    /// protected, until that is done: what follows it comes, or should come, under the new protection.
    pub fn takes_input(&self) -> bool {
        let open = matches!(self.ending, Ending::No | Ending::Shutdown(_));
        let barred = self.tls_changes() || self.queue.last_verb().is_some_and(|verb| self.bars(verb));
        open && !barred
            && !self.pace.is_paused()
            && self.queue.len() < self.settings.max_queued
            && !self.outputs.is_full()
    }

    /// The client has ended its side of the control connection, or the connection broke. Uploads end here: whoever is
    /// killed in the middle of one also ends its connections in order, and half a file must not stand for a whole one
    /// (unless the account is [lenient](super::UploadEof::Lenient) about that).
    /// So do downloads, but for a client that has sent QUIT and only has nothing more to say. Other commands that were
    /// sent are still done.
    pub fn handle_eof(&mut self, now: Time) {
        if !matches!(self.ending, Ending::No | Ending::Shutdown(_)) {
            return;
        }
        let quits = self.queue.has(Verb::Quit);
        let ends = |verb: Verb| match verb.moves() {
            Some(Direction::Up) => true,
            Some(Direction::Down) => !quits,
            None => verb.only_reads_much() && !quits,
        };
        self.queue.abort(ends);
        if !self.outlives_control() {
            self.abort_running(ends);
        }
        if self.ending == Ending::No {
            self.ending = Ending::PeerDone;
        }
        self.advance(now);
    }

    /// The server is going down: a running transfer may end (the driver sets the limit) or be aborted, nothing else is
    /// begun.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.end_behind_what_runs(now, Farewell::ServerEnds);
    }

    /// The account of this session is another one now: a running transfer may end or be aborted, nothing else is begun, and
    /// the client is told to log in again.
    pub fn handle_account_changed(&mut self, now: Time) {
        self.end_behind_what_runs(now, Farewell::AccountChanged);
    }

    fn end_behind_what_runs(&mut self, now: Time, farewell: Farewell) {
        if self.ending != Ending::Closed {
            self.ending = Ending::Shutdown(farewell);
            self.advance(now);
        }
    }

    /// Takes the outcome of an operation; each has exactly one. One that is not waited for is no error.
    pub fn handle_outcome(&mut self, now: Time, op: OpId, outcome: Outcome) {
        if self.ending == Ending::Closed {
            return;
        }
        self.last_activity = now;
        match self.running.take() {
            Some(Running::Single { op: waited, pending }) if waited == op => self.conclude(now, op, pending, outcome),
            Some(Running::Transfer(transfer)) if transfer.waits_for(op) => {
                self.transfer_outcome(now, *transfer, outcome);
            }
            other => self.running = other,
        }
        self.advance(now);
    }

    /// The data connection of a running [`Action::Transfer`] stands.
    pub fn handle_connected(&mut self, now: Time, op: OpId) {
        if let Some(transfer) = self.transfer_mut(op) {
            transfer.connected(now);
        }
    }

    /// A running [`Action::Transfer`] has carried so many bytes over its data connection since it began. STAT tells them, and
    /// one that does not grow for [`SessionSettings::stall_timeout`] has stalled.
    pub fn handle_progress(&mut self, now: Time, op: OpId, bytes: u64) {
        if let Some(transfer) = self.transfer_mut(op) {
            transfer.progress(now, bytes);
        }
    }

    /// The moment of the last [`Output::Wait`] has come. Calling it earlier does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        self.pace.handle_timeout(now);
        if now < self.deadline() {
            return;
        }
        if let Some(Running::Transfer(transfer)) = &mut self.running {
            if let Some(op) = transfer.expire(now, &self.settings) {
                self.outputs.push(Output::Cancel(op));
            }
            return;
        }
        // RFC 4217 section 10.1: in what state the connection is then, nobody knows.
        if self.tls_changes() {
            return self.close();
        }
        let reply = match self.login {
            Login::Out { since, .. } if now >= since + self.settings.login_timeout => {
                wording::login_timeout(&self.settings)
            }
            _ => wording::idle_timeout(&self.settings),
        };
        self.reply(now, reply);
        self.close();
    }

    /// The next thing to do. [`Output::Wait`] says that there is none until something is handed in; after
    /// [`Output::Close`] that is for ever.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    /// When [`ServerSession::handle_timeout`] is due.
    fn deadline(&self) -> Time {
        if self.ending == Ending::Closed { Time::MAX } else { self.patience().min(self.pace.deadline()) }
    }

    /// How long what is waited for is waited for.
    fn patience(&self) -> Time {
        let settings = &self.settings;
        match (&self.running, &self.login) {
            (Some(Running::Transfer(transfer)), _) => transfer.deadline(settings),
            (Some(Running::Single { pending, .. }), _) => match pending {
                Pending::StartTls { since, .. } | Pending::StopTls { since } => *since + settings.tls.handshake_timeout,
                _ => Time::MAX,
            },
            (None, Login::Out { since, .. }) => {
                (*since + settings.login_timeout).min(self.last_activity + settings.idle_timeout)
            }
            (None, Login::In { .. }) => self.last_activity + settings.idle_timeout,
        }
    }

    /// Does what can be done now: the queue from its head, in order, one command at a time. While a transfer runs, only
    /// NOOP and STAT are answered, and only from the head.
    fn advance(&mut self, now: Time) {
        while self.ending != Ending::Closed {
            if let Ending::Shutdown(farewell) = self.ending
                && self.running.is_none()
            {
                let reply = match farewell {
                    Farewell::ServerEnds => wording::shutting_down(),
                    Farewell::AccountChanged => wording::account_changed(),
                };
                self.reply(now, reply);
                return self.close();
            }
            let next = match &self.running {
                None => self.queue.pop(),
                Some(_) if self.is_moving() => self.queue.pop_overtaking(),
                Some(_) => None,
            };
            let Some(next) = next else { break };
            self.last_activity = now;
            // RNFR holds only for the command right behind it (RFC 959 section 4.1.3).
            let rename_from = self.rename_from.take();
            if next.verb.is_some() {
                self.pace.makes_sense();
            }
            match next.command {
                Ok(Command::Abor) => self.answer_abort(now, next.aborts),
                Ok(command) if next.aborted => self.skip(now, command.verb()),
                Ok(command) => self.run(now, command, rename_from),
                Err(CommandError::Unknown | CommandError::TooLong) if self.pace.is_nonsense(&self.settings) => {
                    self.reply(now, wording::nonsense());
                    return self.close();
                }
                Err(error) => {
                    // draft-bryan-ftp-range-08 section 3: a range that is none leaves the whole file.
                    if next.verb == Some(Verb::Rang) {
                        (self.restart, self.range) = (0, None);
                    }
                    let known = !next.verb.is_some_and(|verb| self.hides(verb));
                    let reply = wording::command_error(if known { &error } else { &CommandError::Unknown });
                    self.reply(now, reply);
                }
            }
            // RFC 3659 section 5.3: REST is for the next transfer alone, and so is ALLO. One that was refused, for whatever
            // reason, has used them up: a client that did not reckon with it would get a file without its beginning.
            if next.verb.is_some_and(|verb| verb.moves().is_some() || verb == Verb::Abor) {
                (self.restart, self.range, self.announced) = (0, None, None);
            }
            if next.verb == Some(Verb::Hash) {
                self.range = None;
            }
            // And so is the data channel: clients in use (curl, lftp, ncftp, FileZilla, ftplib) open another for the next
            // try, and many have connected to this one already, which they close when they have read the refusal. Kept, as
            // vsftpd does, the port would hold a connection that is dead, and be taken until its time is over.
            if next.verb.is_some_and(|verb| verb.moves().is_some()) {
                self.drop_data_channel();
            }
        }
        if self.ending == Ending::PeerDone && self.running.is_none() {
            self.close();
        }
    }

    /// Aborts the running transfer, or what else may take long, and marks those that wait; whether there was any.
    fn abort_ahead(&mut self) -> bool {
        let waited = self.queue.abort(Verb::is_long);
        self.abort_running(Verb::is_long) || waited
    }

    /// Aborts the running transfer or its like, if it is to end; whether there was one.
    fn abort_running(&mut self, ends: impl Fn(Verb) -> bool) -> bool {
        let stopped = match &mut self.running {
            Some(Running::Transfer(transfer)) if ends(transfer.verb()) => transfer.abort(),
            Some(Running::Single { op, pending }) if pending.long_verb().is_some_and(ends) => Some(*op),
            _ => return false,
        };
        if let Some(op) = stopped {
            self.outputs.push(Output::Cancel(op));
        }
        true
    }

    fn is_moving(&self) -> bool {
        matches!(&self.running, Some(Running::Transfer(transfer)) if transfer.has_begun())
    }

    /// Whether what runs goes on though the control connection has ended.
    fn outlives_control(&self) -> bool {
        let lenient = matches!(&self.login, Login::In { grant, .. } if grant.upload_eof == UploadEof::Lenient);
        let uploads = |transfer: &Transfer| transfer.direction() == Direction::Up && transfer.has_begun();
        lenient && matches!(&self.running, Some(Running::Transfer(transfer)) if uploads(transfer))
    }

    fn transfer_mut(&mut self, op: OpId) -> Option<&mut Transfer> {
        match &mut self.running {
            Some(Running::Transfer(transfer)) if transfer.waits_for(op) => Some(transfer),
            _ => None,
        }
    }

    /// Asks the driver for an operation.
    pub(super) fn start(&mut self, action: Action) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.outputs.push(Output::Do(op, action));
        op
    }

    /// Asks for an operation whose outcome makes the reply to the running command.
    pub(super) fn start_single(&mut self, action: Action, pending: Pending) {
        let op = self.start(action);
        self.running = Some(Running::Single { op, pending });
    }

    pub(super) fn release(&mut self, op: OpId) {
        self.outputs.push(Output::Release(op));
    }

    pub(super) fn tell_denied(&mut self, verb: Verb, about: Vec<u8>) {
        self.outputs.push(Output::Denied(verb, about));
    }

    pub(super) fn tell_logout(&mut self) {
        self.outputs.push(Output::LoggedOut);
    }

    /// Forgets the offered data channel; a listening port is let go of.
    pub(super) fn drop_data_channel(&mut self) {
        if let Some(DataChannel::Passive(op)) = self.data.take() {
            self.release(op);
        }
    }

    pub(super) fn greet(&mut self, now: Time) {
        let greeting = wording::greeting(&self.settings);
        self.reply(now, greeting);
    }

    /// What comes next comes from somebody new, as far as is known: a browser may be it again.
    pub(super) fn begin_afresh(&mut self) {
        self.fresh = true;
    }

    pub(super) fn reply(&mut self, now: Time, reply: Reply) {
        let mut bytes = Vec::with_capacity(64);
        reply.encode(&mut bytes);
        self.outputs.send(bytes);
        let event = self.settings.events.then(|| EventKind::Reply {
            connection: ConnectionId::CONTROL,
            code: reply.code(),
            lines: reply.lines().to_vec(),
        });
        self.event(now, event);
    }

    pub(super) fn close(&mut self) {
        if self.ending != Ending::Closed {
            self.ending = Ending::Closed;
            self.running = None;
            self.outputs.push(Output::Close);
        }
    }

    pub(super) fn event(&mut self, now: Time, kind: Option<EventKind>) {
        if let Some(kind) = kind {
            self.outputs.push(Output::Event(SessionEvent { at: now, kind }));
        }
    }
}

/// A browser tricked into talking to an FTP server sends a request line first; nothing of it is run. Nor of what follows the
/// header of a proxy that is none of ours: it would be done in the name of the proxy.
fn is_foreign(line: Line<'_>) -> bool {
    let (Line::Whole(line) | Line::Overlong(line)) = line;
    let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let words: [&[u8]; 10] =
        [b"PROXY", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];
    line.get(..end).is_some_and(|verb| words.contains(&verb))
}

fn overlong_event(head: &[u8]) -> EventKind {
    // The head may begin with PASS: what is shown of it goes through the same mask.
    let EventKind::Command { verb, argument, .. } = EventKind::command(ConnectionId::CONTROL, head) else {
        return EventKind::Note { connection: Some(ConnectionId::CONTROL), text: "an overlong command".into() };
    };
    let mut shown = verb.into_bytes();
    shown.push(b' ');
    shown.extend_from_slice(&argument);
    shown.truncate(200);
    EventKind::Malformed {
        connection: ConnectionId::CONTROL,
        from: End::Client,
        head: shown,
        why: "longer than the limit of a command line; thrown away".into(),
    }
}
