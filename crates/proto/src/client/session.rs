//! The session: replies are matched to commands, and jobs to their users.

use std::collections::VecDeque;
use std::time::Duration;

use crate::command::Command;
use crate::event::{ConnectionId, End, EventKind, SessionEvent};
use crate::line::{Line, LineDecoder, MAX_REPLY_LINE, write_line};
use crate::op::OpId;
use crate::parameters::Form;
use crate::reply::{Reply, ReplyDecoder, ReplyError};
use crate::time::Time;
use crate::verb::Verb;

use super::abort::Abort;
use super::action::{Action, Answer, DataState, JobId, Outcome, Output, Request, Settings, Started};
use super::channel::Memory;
use super::error::{Phase, SessionError};
use super::features::Features;
use super::job::Job;

/// How much that brings nothing is passed over between two final replies before the server is given up: lines that are no
/// reply, replies that nobody asked for, 1yz replies.
const MAX_JUNK: u32 = 100;

/// How many bytes of refused Telnet options are sent in a session: no server proposes so many, and one that reads nothing
/// must not make them pile up.
const MAX_TELNET: usize = 1024;

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
    junk: u32,
    /// Bytes of Telnet options that were refused.
    telnet: usize,
}

/// What all jobs share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: Settings,
    outputs: VecDeque<Output>,
    /// The job that runs.
    job: JobId,
    /// Commands whose final reply has not come, oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// When something is to happen of itself.
    deadline: Option<Deadline>,
    next_op: u64,
    /// The form that the server has now; nothing where that is not known.
    pub(super) form: Option<Form>,
    pub(super) features: Option<Features>,
    pub(super) memory: Memory,
    /// The last final reply of a transfer: some servers send it twice.
    last_final: Option<Reply>,
    /// Why nothing more can be done, once that is so.
    ended: Option<SessionError>,
    /// [`Output::Close`] was given out.
    close_given: bool,
}

/// A command whose final reply has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Its verb, or a word for it.
    pub(super) verb: &'static str,
    /// Whether it moves data.
    pub(super) transfer: bool,
    /// The job that has sent it.
    owner: JobId,
}

#[derive(Debug)]
struct Deadline {
    at: Time,
    kind: DeadlineKind,
}

#[derive(Debug)]
enum DeadlineKind {
    /// The job has failed.
    Fail(SessionError),
    /// The job looks again.
    Look,
}

/// Whether a job goes on.
#[derive(Debug)]
#[must_use]
pub(super) enum Flow {
    Wait,
    Done(Result<Answer, SessionError>),
}

impl ClientSession {
    /// A session whose control connection stands since `now`; the server speaks first.
    pub fn new(now: Time, settings: Settings) -> ClientSession {
        let mut core = Core {
            settings,
            outputs: VecDeque::new(),
            job: JobId::GREETING,
            pending: VecDeque::from([Pending { verb: "greeting", transfer: false, owner: JobId::GREETING }]),
            deadline: None,
            next_op: 0,
            form: Some(Form::Ascii),
            features: None,
            memory: Memory::default(),
            last_final: None,
            ended: None,
            close_given: false,
        };
        core.expect(now, settings.limits.greeting, Phase::Greeting, "no greeting".to_owned());
        ClientSession {
            core,
            job: Some((JobId::GREETING, Job::Greeting)),
            next_job: 1,
            lines: LineDecoder::new(MAX_REPLY_LINE),
            replies: ReplyDecoder::default(),
            junk: 0,
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
            let (read, line) = self.lines.feed(rest);
            rest = rest.get(read..).unwrap_or_default();
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
                Ok(Some(reply)) => self.reply(now, reply),
                Ok(None) => {}
                Err(error) => {
                    let line = line.to_vec();
                    self.no_reply(now, &line, &error);
                }
            }
        }
        let answers = self.lines.take_answers();
        self.telnet = self.telnet.saturating_add(answers.len());
        if !answers.is_empty() && self.telnet <= MAX_TELNET && !self.core.closed() {
            self.core.outputs.push_back(Output::Send(answers));
        }
        input.len() - rest.len()
    }

    /// The server has ended its side of the control connection, or the connection broke.
    pub fn handle_eof(&mut self, _now: Time) {
        if self.core.closed() {
            return;
        }
        if let Some((_, Job::Quit(farewell))) = &mut self.job {
            let farewell = farewell.take();
            self.core.close(SessionError::Closed { phase: Phase::Command });
            return self.flow(Flow::Done(Ok(Answer::Ended(farewell))));
        }
        let error = SessionError::Closed { phase: self.phase() };
        self.core.close(error.clone());
        self.flow(Flow::Done(Err(error)));
    }

    /// The moment of the last [`Output::Wait`] has come; too early is no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        let Some(deadline) = self.core.deadline.take_if(|d| d.at <= now) else { return };
        let error = match deadline.kind {
            DeadlineKind::Look => return self.drive(|job, core| job.look(core, now)),
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
        Output::Wait(self.core.deadline.as_ref().map_or(Time::MAX, |d| d.at))
    }

    /// Whether a job may be started: none runs, and no reply is owed.
    pub fn is_idle(&self) -> bool {
        self.job.is_none() && self.core.pending.is_empty()
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.core.closed()
    }

    /// What the server has answered to FEAT: none where it has refused it; nothing where it was not asked yet.
    pub fn features(&self) -> Option<&Features> {
        self.core.features.as_ref()
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
            return self.flow(Flow::Done(if quits { Ok(Answer::Ended(Some(reply))) } else { Err(error) }));
        }
        let front = match self.core.addressee(&reply) {
            Ok(front) => front,
            Err(what) => {
                self.core.note(now, || format!("the server sent {what}: {reply}"));
                return self.junk(|| format!("the server sends replies without end: {reply}"));
            }
        };
        if reply.code().is_preliminary() {
            self.junk(|| format!("the server begins {} without end: {reply}", front.verb));
        } else {
            self.junk = 0;
            self.core.pending.pop_front();
            self.core.last_final = front.transfer.then(|| reply.clone());
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
        if matches!(self.job, Some((_, Job::Greeting))) {
            self.give_up(format!("this is no FTP server: {error}"));
        } else if matches!(error, ReplyError::TooLong) {
            self.give_up(error.to_string());
        } else {
            self.junk(|| error.to_string());
        }
    }

    /// The server has sent what brings nothing.
    fn junk(&mut self, why: impl FnOnce() -> String) {
        self.junk += 1;
        if self.junk > MAX_JUNK {
            self.give_up(why());
        }
    }

    /// The server does not keep to the protocol, and nothing more is expected of it.
    fn give_up(&mut self, why: String) {
        let error = SessionError::Protocol { phase: self.phase(), why };
        self.core.close(error.clone());
        self.flow(Flow::Done(Err(error)));
    }
}

impl Core {
    /// Which command the reply answers; or, where it answers none, what it is.
    fn addressee(&mut self, reply: &Reply) -> Result<Pending, &'static str> {
        let code = reply.code();
        let Some(front) = self.pending.front().copied() else { return Err("a reply that nobody asked for") };
        // RFC 959 section 5.4: no answer to USER, and a login least of all.
        if code == 220 && front.verb == Verb::User.name() {
            return Err("a second greeting");
        }
        let of_transfer = code == 225 || code == 226 || code == 426;
        if of_transfer && !front.transfer && front.verb != Verb::Abor.name() {
            // Once, and no more.
            if self.last_final.take_if(|last| last == reply).is_some() {
                return Err("a transfer's final reply twice");
            }
        }
        Ok(front)
    }

    /// Sends a command and expects its reply in time.
    pub(super) fn send(&mut self, now: Time, phase: Phase, command: &Command) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        self.send_bytes(now, phase, command.verb().name(), bytes);
    }

    /// As [`Core::send`], for a line that is no [`Command`].
    pub(super) fn send_line(&mut self, now: Time, phase: Phase, line: &[u8]) {
        let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        let verb = match line.get(..end).unwrap_or_default() {
            b"ACCT" => "ACCT",
            verb => Verb::from_name(verb).map_or("the command", Verb::name),
        };
        let mut bytes = Vec::new();
        write_line(&mut bytes, line);
        self.send_bytes(now, phase, verb, bytes);
    }

    fn send_bytes(&mut self, now: Time, phase: Phase, verb: &'static str, bytes: Vec<u8>) {
        self.event(now, |connection| {
            let mut decoder = LineDecoder::new(bytes.len());
            let (_, line) = decoder.feed(&bytes);
            let line = line.map_or(&b""[..], |(Line::Whole(line) | Line::Overlong(line))| line);
            EventKind::command(connection, line)
        });
        self.outputs.push_back(Output::Send(bytes));
        let transfer = Verb::from_name(verb.as_bytes()).and_then(Verb::moves).is_some();
        self.pending.push_back(Pending { verb, transfer, owner: self.job });
        self.expect(now, self.settings.limits.reply, phase, format!("no reply to {verb}"));
    }

    pub(super) fn send_urgent(&mut self, bytes: &[u8]) {
        self.outputs.push_back(Output::SendUrgent(bytes.to_vec()));
    }

    /// Begins an operation.
    pub(super) fn begin(&mut self, action: Action) -> OpId {
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.outputs.push_back(Output::Do(op, action));
        op
    }

    pub(super) fn release(&mut self, op: OpId) {
        self.outputs.push_back(Output::Release(op));
    }

    pub(super) fn started(&mut self, started: Started) {
        self.outputs.push_back(Output::Started(self.job, started));
    }

    /// The job fails with a timeout where nothing else happens within `after` from `since`.
    pub(super) fn expect(&mut self, since: Time, after: Duration, phase: Phase, what: String) {
        self.fail_after(since, after, SessionError::Timeout { phase, what, after });
    }

    /// The job fails with this where nothing else happens within `after` from `since`.
    pub(super) fn fail_after(&mut self, since: Time, after: Duration, error: SessionError) {
        self.deadline = Some(Deadline { at: since + after, kind: DeadlineKind::Fail(error) });
    }

    /// The job looks again, `after` from `since`.
    pub(super) fn look_after(&mut self, since: Time, after: Duration) {
        self.deadline = Some(Deadline { at: since + after, kind: DeadlineKind::Look });
    }

    pub(super) fn no_deadline(&mut self) {
        self.deadline = None;
    }

    /// Ends the session.
    pub(super) fn close(&mut self, error: SessionError) {
        self.ended = Some(error);
        self.deadline = None;
        self.pending.clear();
    }

    fn closed(&self) -> bool {
        self.ended.is_some()
    }

    /// Another login: RFC 959 section 4.1.1 leaves TYPE as it is, but some servers go back to ASCII.
    pub(super) fn doubt_form(&mut self) {
        self.form = self.form.filter(|form| *form == Form::Ascii);
    }

    pub(super) fn note(&mut self, now: Time, text: impl FnOnce() -> String) {
        self.event(now, |connection| EventKind::Note { connection: Some(connection), text: text() });
    }

    fn malformed(&mut self, now: Time, line: &[u8], why: String) {
        self.event(now, |connection| EventKind::Malformed {
            connection,
            from: End::Server,
            head: line.get(..line.len().min(200)).unwrap_or_default().to_vec(),
            why,
        });
    }

    fn event(&mut self, at: Time, kind: impl FnOnce(ConnectionId) -> EventKind) {
        if let Some(connection) = self.settings.events {
            self.outputs.push_back(Output::Event(SessionEvent { at, kind: kind(connection) }));
        }
    }
}
