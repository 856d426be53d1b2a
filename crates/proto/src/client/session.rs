//! The session: replies are matched to commands, and jobs to their users.

use std::time::Duration;

use crate::event::EventKind;
use crate::line::{Line, LineDecoder, MAX_REPLY_LINE};
use crate::op::OpId;
use crate::parameters::Protection;
use crate::reply::{MAX_REPLY_BYTES, Reply, ReplyDecoder, ReplyError};
use crate::time::Time;

use super::abort::Abort;
use super::action::{Answer, DataState, JobId, Outcome, Output, Request, Settings};
use super::ahead::fits;
use super::channel::Learned;
use super::core::{Core, DeadlineKind, Flow};
use super::error::{Phase, SessionError};
use super::features::Features;
use super::job::Job;
use super::tls::Securing;

/// How much that brings nothing is passed over between two final replies before the server is given up: lines that are no
/// reply, replies that nobody asked for, 1yz replies.
const MAX_JUNK: u32 = 100;

/// How many bytes of refused Telnet options are sent in a session: no server proposes so many, and one that reads nothing
/// must not make them pile up.
const MAX_TELNET: usize = 1024;

/// How many bytes may come until they have made a reply: the longest one, with the codes and ends of its lines, and blank lines
/// and Telnet commands beside it. A line without an end makes none.
const MAX_UNDECIDED: usize = 2 * MAX_REPLY_BYTES;

/// So long nothing follows a line that may end a reply, though with another code than the reply has begun with: then it does.
const OTHER_END: Duration = Duration::from_secs(3);

/// The client's side of one control connection, without the connection.
///
/// It begins when the control connection stands, with the job [`JobId::GREETING`]. Jobs are done one after the other:
/// [`ClientSession::start`] one when the last is over. Inputs are given to the `handle_` methods; then all outputs are
/// taken with [`ClientSession::poll_output`], up to [`Output::Wait`].
///
/// Replies are matched to commands by their order alone, in a queue: so several commands can be under way at once, and
/// a job that was given up leaves its commands in the queue, where their replies still find them.
#[derive(Debug)]
pub struct ClientSession {
    core: Core,
    job: Option<(JobId, Job)>,
    next_job: u64,
    lines: LineDecoder,
    replies: ReplyDecoder,
    /// When the reply that has begun is over, although its code has not come again.
    other_end: Option<Time>,
    junk: u32,
    /// Bytes that came since the last reply.
    undecided: usize,
    /// Bytes of Telnet options that were refused.
    telnet: usize,
}

impl ClientSession {
    /// A session whose control connection stands since `now`; the server speaks first.
    pub fn new(now: Time, settings: Settings) -> ClientSession {
        let mut core = Core::new(settings);
        let job = if settings.implicit_tls {
            Job::Securing(Securing::before_greeting(&mut core, now))
        } else {
            core.expect_greeting(now);
            Job::Greeting
        };
        ClientSession {
            core,
            job: Some((JobId::GREETING, job)),
            next_job: 1,
            lines: LineDecoder::new(MAX_REPLY_LINE),
            replies: ReplyDecoder::default(),
            other_end: None,
            junk: 0,
            undecided: 0,
            telnet: 0,
        }
    }

    /// Begins a job. Its [`Output::Done`] comes at some time, always; at once where the session has ended, or is busy.
    pub fn start(&mut self, now: Time, request: Request) -> JobId {
        self.begin(|core| Job::begin(core, now, request))
    }

    /// Stops what runs: a transfer by ABOR, anything else by waiting for its replies. The job that is stopped has no
    /// [`Output::Done`] any more; this one's is [`Answer::Aborted`], or an error where the session could not be brought
    /// in order: it has ended then.
    pub fn abort(&mut self, now: Time) -> JobId {
        let stopped = self.job.take().map(|(_, job)| job);
        self.core.deadline = None;
        self.begin(|core| Abort::begin(core, now, stopped))
    }

    fn begin(&mut self, begin: impl FnOnce(&mut Core) -> (Job, Flow)) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        let error = if self.job.is_some() { Some(SessionError::Busy) } else { self.core.ended.clone() };
        if let Some(error) = error {
            self.core.outputs.push_back(Output::Done(id, Err(error)));
            return id;
        }
        self.core.job = id;
        let (job, flow) = begin(&mut self.core);
        self.job = Some((id, job));
        self.flow(flow);
        id
    }

    /// Takes bytes from the control connection; how many were taken. Fewer than given: the session has ended.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        let mut rest = input;
        while !rest.is_empty() && !self.core.closed() {
            if self.core.tls.is_changing() {
                // What comes before TLS and is taken for what was said under TLS would be an attacker's way in.
                self.give_up(format!(
                    "{} bytes stand where TLS was to begin: someone may have put them there",
                    rest.len()
                ));
                break;
            }
            let (read, line) = self.lines.feed(rest);
            rest = rest.get(read..).unwrap_or_default();
            self.undecided = self.undecided.saturating_add(read);
            if self.undecided > MAX_UNDECIDED {
                self.too_much(format!(
                    "{} bytes came from the server and are no reply yet: it does not end",
                    self.undecided
                ));
                break;
            }
            let Some(line) = line else { break };
            let (line, overlong) = match line {
                Line::Whole(line) => (line, false),
                Line::Overlong(head) => (head, true),
            };
            if overlong {
                let why = format!("a line of more than {MAX_REPLY_LINE} bytes: its end is thrown away");
                self.core.malformed(now, line, why);
            }
            match self.replies.line(line) {
                Ok(Some(reply)) => {
                    self.undecided = 0;
                    self.reply(now, reply);
                }
                Ok(None) => {}
                Err(error) => {
                    let line = line.to_vec();
                    self.no_reply(now, &line, &error);
                }
            }
        }
        self.other_end = self.replies.other_end().then(|| now + OTHER_END);
        let answers = self.lines.take_answers();
        self.telnet = self.telnet.saturating_add(answers.len());
        if !answers.is_empty() && self.telnet <= MAX_TELNET && !self.core.closed() {
            self.core.outputs.push_back(Output::Send(answers));
        }
        input.len() - rest.len()
    }

    /// The server has ended its side of the control connection, or the connection broke.
    pub fn handle_eof(&mut self, now: Time) {
        if self.core.closed() {
            return;
        }
        if let Some((_, Job::Quit(farewell))) = &mut self.job {
            let farewell = farewell.take();
            self.core.close(SessionError::Closed { phase: Phase::Command });
            return self.flow(Flow::Done(Ok(Answer::Ended(farewell))));
        }
        let phase = self.phase();
        if let Some(refusal) = self.refusal() {
            self.core.close(SessionError::Closed { phase });
            return self.flow(Flow::Done(Err(refusal)));
        }
        let error = if self.core.is_in_run() && !self.core.learned.in_step && !self.is_aborting() {
            self.core.lose_step(now, phase, "it closed the connection when several came at once".to_owned())
        } else {
            let error = SessionError::Closed { phase };
            self.core.close(error.clone());
            error
        };
        self.flow(Flow::Done(Err(error)));
    }

    /// The moment of the last [`Output::Wait`] has come; too early is no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.other_end.take_if(|at| *at <= now).is_some()
            && let Some(reply) = self.replies.take_other_end()
        {
            self.core.note(now, || {
                format!("a reply of several lines ends with another code than it has begun with: {reply}")
            });
            return self.reply(now, reply);
        }
        let Some(deadline) = self.core.deadline.take_if(|d| d.at <= now) else { return };
        let error = match deadline.kind {
            DeadlineKind::Look => return self.drive(|job, core| job.look(core, now)),
            DeadlineKind::Fail(SessionError::OutOfStep { phase, why }) => {
                let error = self.core.lose_step(now, phase, why);
                return self.flow(Flow::Done(Err(error)));
            }
            DeadlineKind::Fail(error) => error,
        };
        if let Some((_, Job::Transfer(transfer))) = &mut self.job
            && transfer.is_running()
        {
            // The reply may still come, and ABOR may help: the session has not ended.
            transfer.release(&mut self.core);
        } else {
            self.core.close(error.clone());
            if let Some((_, Job::Quit(farewell @ Some(_)))) = &mut self.job {
                let farewell = farewell.take();
                return self.flow(Flow::Done(Ok(Answer::Ended(farewell))));
            }
        }
        self.flow(Flow::Done(Err(error)));
    }

    /// An operation has come to its end. Outcomes of operations that were released are passed over.
    pub fn handle_outcome(&mut self, now: Time, op: OpId, outcome: Outcome) {
        self.drive(|job, core| match job {
            Job::Transfer(transfer) => transfer.outcome(core, now, op, outcome),
            Job::Securing(securing) => match securing.outcome(core, now, op, outcome) {
                Ok(flow) => flow,
                Err(greeting) => {
                    *job = greeting;
                    Flow::Wait
                }
            },
            _ => Flow::Wait,
        });
    }

    /// Something has happened on the data connection that the operation holds.
    pub fn handle_data(&mut self, now: Time, op: OpId, state: DataState) {
        self.drive(|job, core| match job {
            Job::Transfer(transfer) => transfer.data(core, now, op, state),
            _ => Flow::Wait,
        });
    }

    /// What is to be done next; see [`Output`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.core.outputs.pop_front() {
            return output;
        }
        if self.core.closed() && !std::mem::replace(&mut self.core.close_given, true) {
            return Output::Close;
        }
        let deadline = self.core.deadline.as_ref().map_or(Time::MAX, |d| d.at);
        Output::Wait(self.other_end.map_or(deadline, |at| at.min(deadline)))
    }

    /// Whether a job may be started: none runs, and no reply is owed.
    pub fn is_idle(&self) -> bool {
        self.job.is_none() && self.core.pending.iter().all(|pending| pending.prepares)
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.core.closed()
    }

    /// What the server has answered to FEAT: none where it has refused it; nothing where it was not asked yet.
    pub fn features(&self) -> Option<&Features> {
        self.core.features.as_ref()
    }

    /// Whether the control connection is under TLS.
    pub fn is_secure(&self) -> bool {
        self.core.tls.is_on()
    }

    /// Whether data connections are, or are about to be, under TLS.
    pub fn protects_data(&self) -> bool {
        let wanted = self.core.settings.protection == Protection::Private;
        if self.core.tls.is_on() { wanted } else { self.core.tls.protects_data() }
    }

    /// What data connections are to be from now on; see [`Settings::protection`].
    pub fn set_protection(&mut self, protection: Protection) {
        self.core.settings.protection = protection;
    }

    /// Whether the server has begun, by a 1yz reply, the transfer that runs.
    pub fn has_begun(&self) -> bool {
        matches!(&self.job, Some((_, Job::Transfer(moving))) if moving.is_marked())
    }

    /// What was learned of the server, for the next session with it.
    pub fn learned(&self) -> Learned {
        self.core.learned
    }

    /// Goes by what another session with the same server has learned meanwhile; see [`Learned::heed`].
    pub fn heed(&mut self, learned: Learned) {
        self.core.learned.heed(learned);
    }

    /// Why the job fails, whatever is still said to what was sent behind it.
    fn refusal(&mut self) -> Option<SessionError> {
        self.job.as_mut().and_then(|(_, job)| job.refusal())
    }

    fn is_aborting(&self) -> bool {
        matches!(self.job, Some((_, Job::Abort(_))))
    }

    /// Whether EPSV is tried where there is PASV as well, whatever was learned so far. Over IPv6 it always is.
    pub fn set_extended(&mut self, on: bool) {
        self.core.learned.set_extended(on);
    }

    fn phase(&self) -> Phase {
        self.job.as_ref().map_or(Phase::Command, |(_, job)| job.phase())
    }

    fn drive(&mut self, step: impl FnOnce(&mut Job, &mut Core) -> Flow) {
        if let Some((_, job)) = &mut self.job {
            let flow = step(job, &mut self.core);
            self.flow(flow);
        }
    }

    fn flow(&mut self, flow: Flow) {
        if let Flow::Done(result) = flow
            && let Some((id, _)) = self.job.take()
        {
            self.core.deadline = None;
            self.core.outputs.push_back(Output::Done(id, result));
        }
    }

    fn reply(&mut self, now: Time, reply: Reply) {
        self.core.event(now, |connection| EventKind::Reply {
            connection,
            code: reply.code(),
            lines: reply.lines().to_vec(),
        });
        // RFC 959 section 4.2.2: 421 may be the reply to any command, and comes without one too.
        if reply.code() == 421 {
            let error = SessionError::ServiceClosing { phase: self.phase(), reply: reply.clone() };
            self.core.close(error.clone());
            let quits = matches!(self.job, Some((_, Job::Quit(_))));
            let error = self.refusal().unwrap_or(error);
            return self.flow(Flow::Done(if quits { Ok(Answer::Ended(Some(reply))) } else { Err(error) }));
        }
        let mut front = match self.core.addressee(&reply) {
            Ok(front) => front,
            Err(what) => {
                self.core.note(now, || format!("the server sent {what}: {reply}"));
                return self.junk(|| format!("the server sends replies without end: {reply}"));
            }
        };
        let in_run = self.core.is_in_run() && !self.is_aborting();
        if in_run && !fits(front.verb, reply.code()) {
            let error = self.core.lose_step(now, self.phase(), format!("{} was answered {reply}", front.verb));
            return self.flow(Flow::Done(Err(error)));
        }
        if reply.code().is_preliminary() {
            self.junk(|| format!("the server begins {} without end: {reply}", front.verb));
        } else {
            self.core.learned.in_step |= in_run && front.ahead;
            front.ahead = in_run;
            self.junk = 0;
            self.core.pending.pop_front();
            self.core.last_final = front.transfer.then(|| reply.clone());
        }
        if front.prepares && !self.is_aborting() {
            if !reply.code().is_preliminary() {
                self.core.channel_prepared(now, &reply);
                self.drive(|job, core| job.channel_prepared(core, now));
            }
            return;
        }
        // What a job that was given up has left in the queue finds no one, unless it is being cleared up after.
        let stranger = self.job.as_ref().is_none_or(|(id, job)| *id != front.owner && !matches!(job, Job::Abort(_)));
        if !stranger {
            self.drive(|job, core| job.reply(core, now, front, reply));
        }
    }

    /// A line that is no reply. Between replies such lines are passed over, up to a limit; in place of the greeting it
    /// is plain that this is no FTP server.
    fn no_reply(&mut self, now: Time, line: &[u8], error: &ReplyError) {
        self.core.malformed(now, line, error.to_string());
        if matches!(error, ReplyError::TooLong) {
            self.too_much(error.to_string());
        } else if matches!(self.job, Some((_, Job::Greeting))) {
            self.give_up(format!("this is no FTP server: {error}"));
        } else {
            self.junk(|| error.to_string());
        }
    }

    /// The server has sent what brings nothing.
    fn junk(&mut self, why: impl FnOnce() -> String) {
        self.junk += 1;
        if self.junk > MAX_JUNK {
            self.too_much(why());
        }
    }

    /// The server says more than anybody has to listen to, and would again.
    fn too_much(&mut self, why: String) {
        self.end(SessionError::TooMuch { phase: self.phase(), why });
    }

    /// The server does not keep to the protocol, and nothing more is expected of it.
    fn give_up(&mut self, why: String) {
        self.end(SessionError::Protocol { phase: self.phase(), why });
    }

    fn end(&mut self, error: SessionError) {
        self.core.close(error.clone());
        self.flow(Flow::Done(Err(error)));
    }
}
