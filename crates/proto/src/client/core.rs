//! What all jobs of a session share: what is to be given out, what replies are owed, and when something is overdue.

use std::collections::VecDeque;
use std::time::Duration;

use crate::command::Command;
use crate::event::{ConnectionId, End, EventKind, SessionEvent};
use crate::line::{Line, LineDecoder, write_line};
use crate::op::OpId;
use crate::parameters::Representation;
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

use super::action::{Action, Answer, JobId, Output, Settings, Started};
use super::ahead::Prepared;
use super::channel::Learned;
use super::error::{Phase, SessionError};
use super::features::Features;
use super::tls::Tls;

/// What all jobs share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) outputs: VecDeque<Output>,
    /// The job that runs.
    pub(super) job: JobId,
    /// Commands whose final reply has not come, oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// When something is to happen of itself.
    pub(super) deadline: Option<Deadline>,
    next_op: u64,
    /// The type that the server has now; nothing where that is not known.
    pub(super) representation: Option<Representation>,
    pub(super) features: Option<Features>,
    pub(super) learned: Learned,
    pub(super) tls: Tls,
    /// A REST was sent, and none with 0 after it. RFC 3659 section 5.3: the next command uses it up; some servers keep it
    /// beyond one that they refuse, and some until there is another one.
    pub(super) rest_lingers: bool,
    /// The way to the next data connection, where it was asked for ahead.
    pub(super) prepared: Option<Prepared>,
    /// Verbs that the server refuses by 500 or 503 alone as well.
    pub(super) honest: Vec<&'static str>,
    /// The server has taken a REST, or tells that it has it.
    pub(super) has_rest: bool,
    /// The last final reply of a transfer: some servers send it twice.
    pub(super) last_final: Option<Reply>,
    /// Why nothing more can be done, once that is so.
    pub(super) ended: Option<SessionError>,
    /// [`Output::Close`] was given out.
    pub(super) close_given: bool,
}

/// A command whose final reply has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Its verb, or a word for it.
    pub(super) verb: &'static str,
    /// Whether it moves data.
    pub(super) transfer: bool,
    /// The job that has sent it.
    pub(super) owner: JobId,
    /// It was sent before the one ahead of it was answered.
    pub(super) ahead: bool,
    /// It asks for the way to the next data connection; no job waits for it, unless that is wanted by then.
    pub(super) prepares: bool,
}

#[derive(Debug)]
pub(super) struct Deadline {
    pub(super) at: Time,
    pub(super) kind: DeadlineKind,
}

#[derive(Debug)]
pub(super) enum DeadlineKind {
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

impl Core {
    pub(super) fn new(settings: Settings) -> Core {
        Core {
            settings,
            outputs: VecDeque::new(),
            job: JobId::GREETING,
            pending: VecDeque::from([Pending {
                verb: "greeting",
                transfer: false,
                owner: JobId::GREETING,
                ahead: false,
                prepares: false,
            }]),
            deadline: None,
            next_op: 0,
            representation: Some(Representation::Ascii),
            features: None,
            learned: settings.learned,
            tls: Tls::default(),
            rest_lingers: false,
            prepared: None,
            honest: Vec::new(),
            has_rest: false,
            last_final: None,
            ended: None,
            close_given: false,
        }
    }

    /// Which command the reply answers; or, where it answers none, what it is.
    pub(super) fn addressee(&mut self, reply: &Reply) -> Result<Pending, &'static str> {
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
        let ahead = !self.pending.is_empty();
        self.pending.push_back(Pending { verb, transfer, owner: self.job, ahead, prepares: false });
        self.expect_next(now, phase);
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

    pub(super) fn expect_greeting(&mut self, now: Time) {
        self.expect(now, self.settings.limits.greeting, Phase::Greeting, "no greeting".to_owned());
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
        self.prepared = None;
        self.pending.clear();
    }

    pub(super) fn closed(&self) -> bool {
        self.ended.is_some()
    }

    /// Another login: RFC 959 section 4.1.1 leaves TYPE as it is, but some servers go back to ASCII.
    pub(super) fn doubt_form(&mut self) {
        self.representation = self.representation.filter(|representation| *representation == Representation::Ascii);
    }

    pub(super) fn note(&mut self, now: Time, text: impl FnOnce() -> String) {
        self.event(now, |connection| EventKind::Note { connection: Some(connection), text: text() });
    }

    pub(super) fn malformed(&mut self, now: Time, line: &[u8], why: String) {
        self.event(now, |connection| EventKind::Malformed {
            connection,
            from: End::Server,
            head: line.get(..line.len().min(200)).unwrap_or_default().to_vec(),
            why,
        });
    }

    pub(super) fn event(&mut self, at: Time, kind: impl FnOnce(ConnectionId) -> EventKind) {
        if let Some(connection) = self.settings.events {
            self.outputs.push_back(Output::Event(SessionEvent { at, kind: kind(connection) }));
        }
    }
}
