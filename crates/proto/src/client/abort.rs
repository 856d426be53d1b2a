//! ABOR, and finding back into step.

use std::time::Duration;

use crate::command::Command;
use crate::op::OpId;
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

use super::action::Answer;
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};
use super::job::Job;

/// Telnet IP, then IAC DM, whose DM is urgent (RFC 959 section 4.1.3, RFC 854): a server that reads nothing but urgent
/// data during a transfer sees the command behind it.
const SYNCH: [u8; 4] = [0xff, 0xf4, 0xff, 0xf2];

/// How long the server may end the data connection itself.
const DATA_GRACE: Duration = Duration::from_secs(1);

/// How long both replies may be apart.
const SECOND_REPLY: Duration = Duration::from_secs(2);

/// A job that stops another one.
///
/// The transfer and ABOR have a reply each (RFC 959 section 5.4): 426 and 226, or 226 and 225 where the transfer was
/// quicker. Some servers send but one of them. Which one is missing cannot be told from the one that comes: so when no
/// second comes for a while, a NOOP is sent, whose 200 is neither.
#[derive(Debug)]
pub(super) struct Abort {
    /// The data connection, until it is let go of.
    data: Option<OpId>,
    since: Time,
    /// How long all of it may take.
    limit: Duration,
    /// NOOP was sent.
    marked: bool,
}

impl Abort {
    pub(super) fn begin(core: &mut Core, now: Time, stopped: Option<Job>) -> (Job, Flow) {
        if core.tls.is_changing() {
            // Neither clear text nor TLS can be spoken now.
            let error = SessionError::Closed { phase: Phase::Tls };
            core.close(error.clone());
            let abort = Abort { data: None, since: now, limit: Duration::ZERO, marked: false };
            return (Job::Abort(abort), Flow::Done(Err(error)));
        }
        let limits = core.settings.limits;
        let stopping = core.pending.iter().any(|p| p.verb == Verb::Abor.name());
        let transfer = core.pending.iter().any(|p| p.transfer);
        let limit = if transfer || stopping { limits.abort } else { limits.reply };
        let mut abort = Abort { data: None, since: now, limit, marked: false };
        // Its reply is waited for as all others are.
        core.prepared = None;
        core.pending.iter_mut().for_each(|pending| pending.prepares = false);
        if core.pending.iter().any(|p| p.verb == Verb::Type.name()) {
            core.representation = None;
        }
        match stopped {
            Some(Job::Transfer(mut moving)) => {
                abort.data = moving.take_op();
                if !moving.is_running() {
                    abort.release(core);
                }
            }
            // It was given up itself: what it has begun goes on.
            Some(Job::Abort(earlier)) => (abort.data, abort.marked) = (earlier.data, earlier.marked),
            _ => {}
        }
        if core.pending.is_empty() {
            abort.release(core);
            return (Job::Abort(abort), Flow::Done(Ok(Answer::Aborted)));
        }
        if transfer && !stopping {
            core.send_urgent(&SYNCH);
            core.send(now, Phase::Command, &Command::Abor);
        }
        abort.wait(core, now);
        (Job::Abort(abort), Flow::Wait)
    }

    pub(super) fn reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        if reply.code().is_preliminary() {
            return Flow::Wait;
        }
        // Whatever has become of the transfer: nothing more flows.
        self.release(core);
        let of_abort = reply.code() == 225 || reply.code() == 226 || reply.code() == 426 || reply.code().is_error();
        if front.verb == "ABOR" && self.marked && !of_abort {
            // This is the reply to NOOP: ABOR never had one.
            core.pending.pop_front();
        }
        if core.pending.is_empty() {
            return Flow::Done(Ok(Answer::Aborted));
        }
        self.wait(core, now);
        Flow::Wait
    }

    pub(super) fn look(&mut self, core: &mut Core, now: Time) -> Flow {
        let after = self.limit;
        if now.since(self.since) >= after {
            self.release(core);
            let what = "the transfer could not be stopped".to_owned();
            let error = SessionError::Timeout { phase: Phase::Transfer, what, after };
            core.close(error.clone());
            return Flow::Done(Err(error));
        }
        if self.data.is_some() {
            self.release(core);
        } else if !self.marked && self.only_abort_pending(core) {
            self.marked = true;
            core.send(now, Phase::Command, &Command::Noop);
        }
        self.wait(core, now);
        Flow::Wait
    }

    fn only_abort_pending(&self, core: &Core) -> bool {
        core.pending.len() == 1 && core.pending.front().is_some_and(|p| p.verb == "ABOR")
    }

    fn wait(&self, core: &mut Core, now: Time) {
        let left = self.limit.saturating_sub(now.since(self.since));
        let next = if self.data.is_some() {
            DATA_GRACE
        } else if !self.marked && self.only_abort_pending(core) {
            SECOND_REPLY
        } else {
            left
        };
        core.look_after(now, next.min(left));
    }

    fn release(&mut self, core: &mut Core) {
        if let Some(op) = self.data.take() {
            core.release(op);
        }
    }
}
