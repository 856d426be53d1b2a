//! The jobs that move data: REST, the command itself, and the end of both connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::command::{Command, Listing};
use crate::op::OpId;
use crate::parameters::{Direction, Protection, Representation};
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

use super::action::{Action, Answer, DataMode, DataState, Outcome, Started, Transfer, TransferRequest};
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};
use super::prelude::wrapped;

/// A server that sends no 1yz reply to an upload waits for its bytes: after so long they go.
const UPLOAD_GRACE: Duration = Duration::from_secs(10);

/// How long a data connection may still come after the server has said that all is done.
const LATE_CONNECTION: Duration = Duration::from_secs(2);

/// How long the server may explain a broken data connection.
const EXPLANATION: Duration = Duration::from_secs(10);

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) command: Command,
    pub(super) request: TransferRequest,
    pub(super) step: Step,
    /// The ways to a passive connection that were tried, in this transfer.
    pub(super) tried_epsv: bool,
    pub(super) tried_pasv: bool,
    /// The connection that is being opened was asked for by the transfer before.
    pub(super) prepared: bool,
    /// What was sent behind `step`, and is not answered either.
    pub(super) behind: VecDeque<Step>,
    /// What was refused as a line is that has lost its predecessor: it is sent again alone.
    pub(super) doubtful: Option<Step>,
    /// The transfer is refused, once all that was sent ahead is answered.
    pub(super) refusal: Option<SessionError>,
    /// No more is sent ahead in this transfer.
    pub(super) alone: bool,
    /// REST was sent together with the command, and is not answered.
    pub(super) rest_owed: bool,
    /// It is EPSV that has led to the connection.
    pub(super) is_extended: bool,
    /// PRET was sent ahead of the passive connection.
    pub(super) announced: bool,
    /// The operation that connects, listens or accepts, and then holds the connection.
    pub(super) op: Option<OpId>,
    pub(super) data: Data,
    mark: Option<Reply>,
    last: Option<Reply>,
    /// When the command itself was sent, when its first 1yz reply came, and when the data ended.
    pub(super) sent: Time,
    marked: Time,
    settled: Time,
    started: bool,
    /// The data connection broke before TLS stood on it.
    insecure: bool,
    /// The wait for a 1yz reply to an upload, or for a late connection, is over.
    grace_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// PBSZ was sent.
    Pbsz,
    /// PROT was sent.
    Prot(Protection),
    /// TYPE was sent.
    Representation(Representation),
    /// What the transfer before has asked for is not answered yet.
    Prepared,
    /// EPSV was sent.
    Epsv,
    /// PASV was sent.
    Pasv,
    /// A passive connection is being opened, to where EPSV, or PASV, has led.
    Connecting { extended: bool },
    /// A port is being opened to listen on.
    Listening,
    /// PRET was sent.
    Pret,
    /// PORT was sent.
    Port(SocketAddr),
    /// EPRT was sent.
    Eprt,
    /// REST was sent.
    Rest,
    /// The command itself was sent.
    Running,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// There is no connection yet.
    None,
    /// It stands, and TLS is being set up on it.
    Securing,
    /// It stands.
    Open,
    /// It stands, and the server has sent something on it.
    Begun,
    Ended,
    Broken(String),
}

impl Moving {
    pub(super) fn begin(core: &mut Core, now: Time, request: TransferRequest) -> (Moving, Flow) {
        let mut moving = Moving {
            command: command(core, &request.what),
            step: Step::Running,
            tried_epsv: false,
            tried_pasv: false,
            prepared: false,
            behind: VecDeque::new(),
            doubtful: None,
            refusal: None,
            alone: false,
            rest_owed: false,
            is_extended: false,
            announced: false,
            op: None,
            data: Data::None,
            mark: None,
            last: None,
            sent: now,
            marked: now,
            settled: now,
            started: false,
            insecure: false,
            grace_over: false,
            request,
        };
        let flow = moving.prepare(core, now);
        (moving, flow)
    }

    /// Whether the server has said 1yz.
    pub(super) fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether the command itself was sent, so that the server may be busy with it.
    pub(super) fn is_running(&self) -> bool {
        self.step == Step::Running
    }

    pub(super) fn phase(&self) -> Phase {
        match (&self.step, &self.data) {
            (Step::Pbsz | Step::Prot(_), _) => Phase::Tls,
            (Step::Representation(_), _) => Phase::Command,
            (Step::Running, _) if self.rest_owed || !self.started && self.mark.is_none() => Phase::Command,
            (Step::Running, Data::Ended) => Phase::FinalReply,
            (Step::Running, _) if self.insecure => Phase::DataOpen,
            (Step::Running, Data::Open | Data::Begun | Data::Broken(_)) => Phase::Transfer,
            _ => Phase::DataOpen,
        }
    }

    /// Why it fails, where something that was sent ahead is not answered yet.
    pub(super) fn refusal(&mut self) -> Option<SessionError> {
        self.refusal.take()
    }

    /// Lets go of the data connection, or of what was to become one.
    pub(super) fn release(&mut self, core: &mut Core) {
        if let Some(op) = self.op.take() {
            core.release(op);
        }
        self.data = Data::None;
    }

    /// The operation that holds the data connection, taken out.
    pub(super) fn take_op(&mut self) -> Option<OpId> {
        self.op.take()
    }

    pub(super) fn reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        if reply.code().is_preliminary() && self.step != Step::Running {
            return Flow::Wait;
        }
        let ok = reply.code().is_completion();
        let refused = |phase, reply| Err(SessionError::Refused { phase, verb: front.verb, reply });
        if self.doubtful.take_if(|step| *step == self.step).is_some() {
            core.compare(front.verb, &reply);
        } else if core.is_doubtful(front, &reply) && !matches!(self.step, Step::Rest | Step::Running) {
            self.doubtful = self.doubtful.or(Some(self.step));
            return self.next_step(core, now);
        }
        if self.rest_owed {
            return self.rest_reply(core, now, reply);
        }
        match self.step {
            Step::Pbsz => {
                // Who refuses it may take PROT all the same: it says nothing under TLS.
                core.tls.pbsz = true;
                self.next_step(core, now)
            }
            Step::Prot(level) if ok => {
                core.tls.prot = Some(level);
                self.next_step(core, now)
            }
            Step::Representation(representation) if ok => {
                core.representation = Some(representation);
                self.next_step(core, now)
            }
            Step::Prot(_) | Step::Representation(_) => {
                let phase = self.phase();
                self.refusal = self.refusal.take().or(Some(SessionError::Refused { phase, verb: front.verb, reply }));
                self.next_step(core, now)
            }
            // What was sent ahead of it decides.
            Step::Epsv | Step::Pasv if self.refusal.is_some() || self.doubtful.is_some() => self.next_step(core, now),
            // RFC 959 has 350 here; some servers send a 2yz.
            Step::Rest if !reply.code().is_error() => match wrapped(self.request.from, &reply) {
                Some(heard) => self.wrapped(core, &heard),
                None => {
                    core.has_rest |= self.request.from > 0;
                    self.run(core, now)
                }
            },
            Step::Rest if self.request.from == 0 => self.run(core, now),
            Step::Rest => {
                core.rest_lingers = false;
                self.done(core, refused(Phase::Command, reply))
            }
            Step::Running => {
                if reply.code().is_preliminary() {
                    // The first one counts: whoever says it again and again gets no more time.
                    if self.mark.is_none() {
                        self.marked = now;
                        self.mark = Some(reply);
                    }
                } else {
                    self.last = Some(reply);
                }
                self.advance(core, now)
            }
            _ => self.channel_reply(core, now, front, reply),
        }
    }

    pub(super) fn outcome(&mut self, core: &mut Core, now: Time, op: OpId, outcome: Outcome) -> Flow {
        if self.op != Some(op) {
            return Flow::Wait;
        }
        match (self.step, outcome) {
            (Step::Running, Outcome::Connected(Ok(()))) => {
                self.data = Data::Open;
                self.secure(core);
                self.advance(core, now)
            }
            (Step::Running, Outcome::Secured(result)) => {
                self.data = match result {
                    Ok(()) => Data::Open,
                    // The server may have more to say of it.
                    Err(why) => Data::Broken(why),
                };
                self.insecure = matches!(self.data, Data::Broken(_));
                self.settled = now;
                self.advance(core, now)
            }
            (Step::Running, Outcome::Connected(Err(why))) => {
                self.done(core, Err(SessionError::Data { phase: Phase::DataOpen, why }))
            }
            (_, outcome) => self.channel_outcome(core, now, outcome),
        }
    }

    pub(super) fn data(&mut self, core: &mut Core, now: Time, op: OpId, state: DataState) -> Flow {
        if self.op != Some(op) || matches!(self.data, Data::None | Data::Ended | Data::Broken(_)) {
            return Flow::Wait;
        }
        self.data = match state {
            DataState::Begun => Data::Begun,
            DataState::Ended => Data::Ended,
            DataState::Broken(why) => Data::Broken(why),
        };
        self.settled = now;
        self.advance(core, now)
    }

    pub(super) fn look(&mut self, core: &mut Core, now: Time) -> Flow {
        if matches!(self.step, Step::Connecting { .. }) {
            return self.never_connected(core, now);
        }
        self.grace_over = true;
        self.advance(core, now)
    }

    pub(super) fn run(&mut self, core: &mut Core, now: Time) -> Flow {
        core.rest_lingers &= self.request.from > 0;
        self.step = Step::Running;
        self.sent = now;
        core.send(now, Phase::Command, &self.command);
        if self.asks_ahead(core) {
            core.prepare_channel(now, self.is_extended);
        }
        if self.request.mode == DataMode::Active {
            self.op = self.op.map(|listening| core.begin(Action::Accept(listening)));
        }
        self.secure(core);
        self.advance(core, now)
    }

    /// The data connection stands, and the command was sent: TLS, where it was agreed upon.
    fn secure(&mut self, core: &mut Core) {
        if self.data == Data::Open && core.tls.protects_data() {
            self.op = self.op.map(|connection| core.begin(Action::Secure(connection)));
            self.data = Data::Securing;
        }
    }

    /// The data connection broke.
    fn broken(&self, why: &str) -> SessionError {
        let why = why.to_owned();
        match self.insecure {
            true => SessionError::Tls { phase: Phase::DataOpen, why },
            false => SessionError::Data { phase: Phase::Transfer, why },
        }
    }

    /// Looks at both connections: whether the transfer has begun, is over, or is overdue.
    pub(super) fn advance(&mut self, core: &mut Core, now: Time) -> Flow {
        if let Some(last) = self.last.take_if(|last| !last.code().is_completion()) {
            return self.failed(core, now, last);
        }
        let sign = match self.data {
            Data::None | Data::Securing => false,
            _ if self.rest_owed => false,
            _ if self.insecure => false,
            Data::Begun => true,
            // A connection that ends without a byte may as well be one that a refusal follows.
            Data::Open | Data::Ended | Data::Broken(_) => {
                self.mark.is_some() || self.last.is_some() || (self.is_upload() && self.grace_over)
            }
        };
        if !self.started
            && sign
            && let Some(data) = self.op
        {
            self.started = true;
            core.started(Started { data, verb: self.command.verb(), mark: self.mark.clone() });
        }
        match self.last.take() {
            Some(last) => self.concluded(core, now, last),
            None => {
                self.overdue(core);
                Flow::Wait
            }
        }
    }

    /// Sets when what is awaited is overdue: the server has yet to give its final reply.
    fn overdue(&self, core: &mut Core) {
        let limits = core.settings.limits;
        let verb = self.command.verb();
        match &self.data {
            Data::Ended => {
                core.expect(self.settled, limits.final_reply, Phase::FinalReply, format!("no final reply to {verb}"));
            }
            Data::Broken(why) => {
                core.fail_after(self.settled, EXPLANATION.min(limits.reply), self.broken(why));
            }
            // How long the bytes may take is for the driver to say, who sees them.
            _ if self.started => core.no_deadline(),
            _ if self.mark.is_none() && self.is_upload() && !self.grace_over => {
                core.look_after(self.sent, UPLOAD_GRACE);
            }
            _ if self.mark.is_none() => {
                core.expect(self.sent, limits.reply, Phase::Command, format!("no reply to {verb}"));
            }
            Data::Securing => {
                let what = "no TLS on the data connection".to_owned();
                core.expect(self.marked, limits.data_open, Phase::DataOpen, what);
            }
            _ => {
                let what = "the server has opened no data connection".to_owned();
                core.expect(self.marked, limits.data_open, Phase::DataOpen, what);
            }
        }
    }

    /// The server says that all went well.
    fn concluded(&mut self, core: &mut Core, now: Time, last: Reply) -> Flow {
        match &self.data {
            Data::Ended => self.done(core, Ok(Answer::Transferred(last))),
            // Whatever the server believes: not all bytes have arrived.
            Data::Broken(why) => {
                let error = self.broken(why);
                self.done(core, Err(error))
            }
            Data::None if self.grace_over && self.is_listing() => self.done(core, Ok(Answer::Transferred(last))),
            Data::None if self.grace_over => {
                let why = format!("the server answered {last}, but there was no data connection");
                self.done(core, Err(SessionError::Protocol { phase: Phase::DataOpen, why }))
            }
            // Some servers open none for an empty listing; with others it is on its way.
            Data::None => {
                self.last = Some(last);
                core.look_after(now, LATE_CONNECTION);
                Flow::Wait
            }
            Data::Securing | Data::Open | Data::Begun if self.is_upload() => {
                let why = format!("the server answered {last} before the upload's end");
                self.done(core, Err(SessionError::Protocol { phase: Phase::Transfer, why }))
            }
            Data::Securing => {
                let what = "no TLS on the data connection".to_owned();
                core.expect(now, core.settings.limits.data_open, Phase::DataOpen, what);
                self.last = Some(last);
                Flow::Wait
            }
            Data::Open | Data::Begun => {
                self.last = Some(last);
                core.no_deadline();
                Flow::Wait
            }
        }
    }

    /// The server has answered, and not that it is done.
    fn failed(&mut self, core: &mut Core, now: Time, last: Reply) -> Flow {
        if core.awaits_channel() {
            // This may be the reply to what was sent behind the command: the next one will show it.
            self.last = Some(last);
            core.expect_next(now, self.phase());
            return Flow::Wait;
        }
        let code = last.code();
        if let (Transfer::Entries(path), Verb::Mlsd, false) = (&self.request.what, self.command.verb(), self.started)
            && is_unknown(&last)
        {
            // RFC 3659 section 7.2.1: 501 is also for what is no directory.
            core.learned.mlsd_broken |= code != 501;
            self.command = Command::List(Listing::of(path.clone()));
            self.release(core);
            (self.tried_epsv, self.tried_pasv, self.announced, self.mark) = (false, false, false, None);
            return self.open(core, now);
        }
        if !self.started && self.is_listing() && is_empty_listing(&last) {
            return self.done(core, Ok(Answer::Transferred(last)));
        }
        // 425: no data connection (RFC 959 section 4.2.2).
        let phase = if code == 425 && !self.started { Phase::DataOpen } else { self.phase() };
        let verb = self.command.verb().name();
        self.done(core, Err(SessionError::Refused { phase, verb, reply: last }))
    }

    pub(super) fn done(&mut self, core: &mut Core, result: Result<Answer, SessionError>) -> Flow {
        self.release(core);
        Flow::Done(result)
    }

    fn is_upload(&self) -> bool {
        self.command.verb().moves() == Some(Direction::Up)
    }

    fn is_listing(&self) -> bool {
        matches!(self.command, Command::List(_) | Command::Nlst(_) | Command::Mlsd(_))
    }
}

fn command(core: &Core, what: &Transfer) -> Command {
    match what {
        Transfer::Command(command) => command.clone(),
        Transfer::Entries(path) => {
            // RFC 3659 section 7.8: MLST in FEAT stands for MLSD as well.
            let mlsd = core.features.as_ref().is_some_and(|f| f.has("MLST") || f.has("MLSD"));
            if mlsd && !core.learned.mlsd_broken {
                Command::Mlsd(path.clone())
            } else {
                Command::List(Listing::of(path.clone()))
            }
        }
    }
}

/// The verb is not known, or not with these parameters.
fn is_unknown(reply: &Reply) -> bool {
    matches!(reply.code().number(), 500 | 501 | 502 | 504)
}

/// Servers that answer so for a directory with nothing in it, in place of an empty listing.
fn is_empty_listing(reply: &Reply) -> bool {
    let text = reply.text().to_ascii_lowercase();
    let says = |what: &[u8]| text.windows(what.len()).any(|part| part == what);
    matches!(reply.code().number(), 450 | 550)
        && (says(b"no files") || says(b"directory is empty") || says(b"empty directory"))
}
