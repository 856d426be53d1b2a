//! Commands that are sent ahead of the replies to those before them, and how it is noticed that a server cannot take that.
//!
//! A server reads its control connection as a stream (RFC 959 section 3.4), so nothing forbids it; but a client that waits is all
//! that some of them have ever seen. Those throw away what has come early, or take a segment for a line. Their replies then
//! come out of step: [`SessionError::OutOfStep`](super::SessionError::OutOfStep) ends the session, and nothing that was read in
//! it from there on is believed. What is sent ahead is therefore such that it can be done again, or such that a wrong
//! order does no harm; never a password that was not asked for before, never anything across a change of TLS, and no
//! upload behind a REST.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::command::Command;
use crate::parameters::Direction;
use crate::reply::{Code, CodeClass, Reply};
use crate::time::Time;
use crate::verb::Verb;

use super::action::Answer;
use super::core::{Core, Pending};
use super::error::{Phase, SessionError};

/// So long the reply to a command that was sent ahead may come behind the one before it: then it was thrown away. A lone
/// command has [`Limits::reply`](super::Limits::reply), and so have those that would do harm when they are done twice.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// No more commands than these are under way at once: a server that reads none of them must not make them pile up.
const MOST: usize = 32;

/// A passive port that was asked for ahead is used for so long: servers close those that nobody comes to.
const FRESH: Duration = Duration::from_secs(10);

/// A way to a data connection that was asked for ahead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prepared {
    /// EPSV, or PASV, was sent then.
    Asked { extended: bool, since: Time },
    /// It was asked for then, and leads to here.
    Ready { extended: bool, to: SocketAddr, since: Time },
}

impl Prepared {
    /// What is older may belong to another session by now.
    pub(super) fn is_fresh(&self, now: Time) -> bool {
        let (Prepared::Asked { since, .. } | Prepared::Ready { since, .. }) = self;
        now.since(*since) < FRESH
    }
}

/// Whether the reply can be one to this command, among others that it may belong to: by the codes that RFC 959 section 5.4, RFC
/// 2428 and RFC 3659 give to some commands alone. Refusals (4yz, 5yz) can be the reply to anything.
pub(super) fn fits(verb: &str, code: Code) -> bool {
    let one_of = |verbs: &[&str]| verbs.contains(&verb);
    let moves = Verb::from_name(verb.as_bytes()).and_then(Verb::moves).is_some();
    match (code.number(), code.class()) {
        (_, CodeClass::Preliminary) => moves,
        (426, _) => moves || verb == "ABOR",
        (_, CodeClass::Transient | CodeClass::Permanent) => true,
        (225 | 226, _) => moves || verb == "ABOR",
        (211, _) => one_of(&["FEAT", "STAT"]),
        (221, _) => verb == "QUIT",
        (227 | 229, _) => one_of(&["EPSV", "PASV"]),
        (230 | 331 | 332, _) => one_of(&["USER", "PASS", "ACCT"]),
        (234 | 334, _) => verb == "AUTH",
        (257, _) => one_of(&["MKD", "PWD"]),
        (350, _) => one_of(&["REST", "RNFR"]),
        // What these have to tell stands in a reply of their own.
        _ => !one_of(&["EPSV", "PASV", "SIZE", "MDTM", "FEAT"]) || code == 213 && one_of(&["SIZE", "MDTM"]),
    }
}

/// Whether the command may be done a second time: nothing is lost, and the answer is the same.
pub(super) fn is_harmless(verb: &str) -> bool {
    let harmless =
        ["USER", "PASS", "TYPE", "PBSZ", "PROT", "EPSV", "PASV", "REST", "SIZE", "MDTM", "FEAT", "CLNT", "OPTS"];
    harmless.contains(&verb) || matches!(Verb::from_name(verb.as_bytes()).and_then(Verb::moves), Some(Direction::Down))
}

/// `500` and `503`: what is said of a line that was put together from two, or of one whose predecessor is forgotten.
pub(super) fn is_suspicious(reply: &Reply) -> bool {
    matches!(reply.code().number(), 500 | 503)
}

impl Core {
    /// Whether commands may be sent before those ahead of them are answered.
    pub(super) fn may_send_ahead(&self) -> bool {
        self.settings.send_ahead && !self.learned.one_at_a_time && !self.closed()
    }

    /// Whether the oldest command that is not answered was sent with others.
    pub(super) fn is_in_run(&self) -> bool {
        self.pending.front().is_some_and(|front| front.ahead) || self.pending.get(1).is_some_and(|next| next.ahead)
    }

    /// Whether a reply is owed to the job that runs.
    pub(super) fn owes(&self) -> bool {
        self.pending.iter().any(|pending| pending.owner == self.job && !pending.prepares)
    }

    /// The reply to the oldest command is expected from now on.
    pub(super) fn expect_next(&mut self, now: Time, phase: Phase) {
        let Some(front) = self.pending.front().copied() else { return };
        let limit = self.settings.limits.reply;
        if front.ahead {
            let after = if is_harmless(front.verb) { PATIENCE.min(limit) } else { limit };
            let why = format!("{} was sent ahead, and has no reply within {after:?}", front.verb);
            self.fail_after(now, after, SessionError::OutOfStep { phase, why });
        } else {
            self.expect(now, limit, phase, format!("no reply to {}", front.verb));
        }
    }

    /// The server has lost its place among the commands: what it says from now on cannot be believed.
    pub(super) fn lose_step(&mut self, now: Time, phase: Phase, why: String) -> SessionError {
        self.note(now, || format!("the server cannot take several commands at once: {why}"));
        self.learned.one_at_a_time = true;
        let error = SessionError::OutOfStep { phase, why };
        self.close(error.clone());
        error
    }

    /// Whether the way to the next data connection can be asked for before it is known what will move.
    pub(super) fn may_prepare_channel(&self) -> bool {
        self.may_send_ahead() && !self.learned.no_asking_ahead && !self.wants_pret()
    }

    /// Asks for the way to the next data connection behind the command that was sent last.
    pub(super) fn prepare_channel(&mut self, now: Time, extended: bool) {
        let command = if extended { Command::Epsv(crate::command::Epsv::Same) } else { Command::Pasv };
        let deadline = self.deadline.take();
        self.send(now, Phase::DataOpen, &command);
        self.deadline = deadline;
        if let Some(last) = self.pending.back_mut() {
            last.prepares = true;
        }
        self.prepared = Some(Prepared::Asked { extended, since: now });
    }

    /// Whether the command is to be sent again alone, because its reply may be that of a server that takes no two at once.
    pub(super) fn is_doubtful(&self, front: Pending, reply: &Reply) -> bool {
        front.ahead && is_suspicious(reply) && !self.honest.contains(&front.verb)
    }

    /// A command that was doubtful was sent again alone: where it is taken now the server takes one at a time.
    pub(super) fn compare(&mut self, verb: &'static str, alone: &Reply) {
        if !is_suspicious(alone) {
            self.learned.one_at_a_time = true;
        } else if !self.honest.contains(&verb) {
            self.honest.push(verb);
        }
    }

    /// Whether the reply to what was asked for ahead is still to come.
    pub(super) fn awaits_channel(&self) -> bool {
        self.pending.iter().any(|pending| pending.prepares)
    }
}

/// A unit of a [`Run`]: a command, or several of which each waits for the one before. A RNTO is never sent ahead: a server that has
/// refused its RNFR may have another in mind, and one that answers as it gets ready (libunftp does) refuses it.
pub(super) type Unit = VecDeque<Command>;

/// Units that are sent one behind the other, and answered by one reply each: the first that refuses, or the last.
///
/// A unit that is answered by 500 or 503 in the midst of others is asked again alone. If it is answered otherwise then, no more is
/// sent ahead.
#[derive(Debug)]
pub(super) struct Run {
    units: Vec<Unit>,
    answers: Vec<Option<(&'static str, Reply)>>,
    /// The units that were sent and not answered, oldest first.
    sent: VecDeque<usize>,
    /// The next unit that is to be sent.
    next: usize,
    /// Those that are to be asked again alone.
    doubtful: VecDeque<usize>,
    /// The one that is asked alone, and which of its commands is next.
    alone: Option<(usize, usize)>,
    /// All replies are the answer, and a refusal ends nothing.
    pub(super) all: bool,
}

impl Run {
    pub(super) fn begin(core: &mut Core, now: Time, units: Vec<Unit>, all: bool) -> Run {
        let answers = units.iter().map(|_| None).collect();
        let mut run =
            Run { units, answers, sent: VecDeque::new(), next: 0, doubtful: VecDeque::new(), alone: None, all };
        run.fill(core, now);
        run
    }

    /// Takes a final reply; the answers, once all are there.
    pub(super) fn reply(
        &mut self,
        core: &mut Core,
        now: Time,
        front: Pending,
        reply: Reply,
    ) -> Option<Vec<(&'static str, Reply)>> {
        let verb = front.verb;
        let refused = reply.code().is_error() || (reply.code().class() == CodeClass::Intermediate && verb != "RNFR");
        if let Some((unit, at)) = self.alone {
            let more = self.units.get(unit).is_some_and(|unit| at < unit.len());
            if more && !refused {
                self.send_alone(core, now, unit, at);
                return None;
            }
            self.alone = None;
            if self.answers.get(unit).is_some_and(Option::is_some) {
                core.compare(verb, &reply);
            }
            self.keep(core, unit, verb, reply);
        } else if let Some(unit) = self.sent.pop_front() {
            // What was meant for another type is to be asked again as well.
            let typeless = self.doubtful.front().is_some_and(|first| self.is_type(*first));
            if typeless || core.is_doubtful(front, &reply) {
                self.doubtful.push_back(unit);
            }
            self.keep(core, unit, verb, reply);
        }
        self.fill(core, now);
        if !self.sent.is_empty() || self.alone.is_some() {
            core.expect_next(now, Phase::Command);
            return None;
        }
        Some(std::mem::take(&mut self.answers).into_iter().flatten().collect())
    }

    /// What the job has brought.
    pub(super) fn answer(&self, answers: Vec<(&'static str, Reply)>) -> Result<Answer, SessionError> {
        if self.all {
            // The reply to a TYPE before them is not one of theirs.
            let typed = usize::from(self.is_type(0));
            return Ok(Answer::Replies(answers.into_iter().skip(typed).map(|(_, reply)| reply).collect()));
        }
        let last = answers.len().saturating_sub(1);
        let mut answers = answers.into_iter().enumerate();
        match answers.find(|(at, (_, reply))| *at == last || !reply.code().is_completion()) {
            Some((_, (_, reply))) if reply.code().is_completion() => Ok(Answer::Reply(reply)),
            Some((_, (verb, reply))) => Err(SessionError::Refused { phase: Phase::Command, verb, reply }),
            None => Err(SessionError::Closed { phase: Phase::Command }),
        }
    }

    fn is_type(&self, unit: usize) -> bool {
        matches!(self.units.get(unit).and_then(VecDeque::front), Some(Command::Type(_)))
    }

    fn keep(&mut self, core: &mut Core, unit: usize, verb: &'static str, reply: Reply) {
        if let Some(Command::Type(representation)) = self.units.get(unit).and_then(VecDeque::front)
            && reply.code().is_completion()
        {
            core.representation = Some(*representation);
        }
        if let Some(answer) = self.answers.get_mut(unit) {
            *answer = Some((verb, reply));
        }
    }

    /// Sends as much as may be under way.
    fn fill(&mut self, core: &mut Core, now: Time) {
        if self.alone.is_some() {
            return;
        }
        if let Some(unit) = self.doubtful.front().copied() {
            if self.sent.is_empty() {
                self.doubtful.pop_front();
                self.send_alone(core, now, unit, 0);
            }
            return;
        }
        while let Some(unit) = self.units.get(self.next) {
            // What is first of all changes what the others mean: without it they are not sent.
            let failed = self.refusal().is_some();
            if !self.all && failed {
                return;
            }
            if !core.may_send_ahead() || unit.len() > 1 {
                if self.sent.is_empty() {
                    let unit = self.next;
                    self.next += 1;
                    self.send_alone(core, now, unit, 0);
                }
                return;
            }
            if self.sent.len() >= MOST {
                return;
            }
            if let Some(command) = unit.front() {
                core.send(now, Phase::Command, command);
                self.sent.push_back(self.next);
            }
            self.next += 1;
        }
    }

    fn send_alone(&mut self, core: &mut Core, now: Time, unit: usize, at: usize) {
        if let Some(command) = self.units.get(unit).and_then(|unit| unit.get(at)) {
            core.send(now, Phase::Command, command);
            self.alone = Some((unit, at + 1));
        }
    }

    fn refusal(&self) -> Option<&Reply> {
        self.answers.iter().flatten().map(|(_, reply)| reply).find(|reply| !reply.code().is_completion())
    }
}
