//! AUTH, CCC and PROT: from clear text to TLS and back (RFC 2228, RFC 4217).

use crate::command::{Command, Mechanism};
use crate::op::OpId;
use crate::parameters::Protection;
use crate::reply::Reply;
use crate::time::Time;

use super::action::{Action, Answer, Outcome};
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};
use super::job::Job;

/// How far TLS is on the control connection, and what was agreed for data connections.
#[derive(Debug, Default)]
pub(super) struct Tls {
    state: State,
    /// PBSZ was sent since TLS stands.
    pub(super) pbsz: bool,
    /// The protection that the server has now; nothing where that is not known.
    pub(super) prot: Option<Protection>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Clear,
    /// The driver is at it, and no byte may be taken for a reply.
    Changing,
    On,
    /// CCC has ended it on the control connection. Data connections stay as they were agreed.
    Ended,
}

impl Tls {
    pub(super) fn is_changing(&self) -> bool {
        self.state == State::Changing
    }

    pub(super) fn is_on(&self) -> bool {
        self.state == State::On
    }

    /// Whether data connections are under TLS.
    pub(super) fn protects_data(&self) -> bool {
        self.state != State::Clear && self.prot == Some(Protection::Private)
    }
}

impl Core {
    /// The level that PROT has yet to set.
    pub(super) fn protection_to_set(&self) -> Option<Protection> {
        let wanted = self.settings.protection;
        // Behind CCC nothing more is agreed: what is then said can be anyone's.
        (self.tls.is_on() && self.tls.prot != Some(wanted)).then_some(wanted)
    }

    /// TLS stands on the control connection.
    fn secured(&mut self, prot: Option<Protection>) {
        self.tls = Tls { state: State::On, pbsz: false, prot };
        // What was said in clear text may have been anyone's.
        self.features = None;
    }
}

/// The job that begins or ends TLS.
#[derive(Debug)]
pub(super) struct Securing {
    way: Way,
    op: Option<OpId>,
    reply: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// TLS is there before the greeting.
    Implicit,
    /// AUTH was sent.
    Auth(Mechanism),
    /// CCC was sent.
    Ccc,
}

impl Securing {
    /// With `ftps://` TLS comes first of all.
    pub(super) fn before_greeting(core: &mut Core, now: Time) -> Securing {
        let mut securing = Securing { way: Way::Implicit, op: None, reply: None };
        securing.change(core, now, Action::StartTls);
        securing
    }

    pub(super) fn begin(core: &mut Core, now: Time) -> (Job, Flow) {
        core.send(now, Phase::Tls, &Command::Auth(Mechanism::Tls));
        (Job::Securing(Securing { way: Way::Auth(Mechanism::Tls), op: None, reply: None }), Flow::Wait)
    }

    pub(super) fn stop(core: &mut Core, now: Time) -> (Job, Flow) {
        core.send(now, Phase::Tls, &Command::Ccc);
        (Job::Securing(Securing { way: Way::Ccc, op: None, reply: None }), Flow::Wait)
    }

    pub(super) fn reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        let code = reply.code();
        match self.way {
            _ if code.is_preliminary() => Flow::Wait,
            // RFC 2228 section 3: 234; some servers say 334, which asks for more, and then begin.
            Way::Auth(_) if code.is_completion() || code == 334 => {
                self.reply = Some(reply);
                self.change(core, now, Action::StartTls);
                Flow::Wait
            }
            // Servers of before RFC 4217 know another name for it.
            Way::Auth(Mechanism::Tls) if matches!(code.number(), 500 | 501 | 502 | 504) => {
                self.way = Way::Auth(Mechanism::Ssl);
                core.send(now, Phase::Tls, &Command::Auth(Mechanism::Ssl));
                Flow::Wait
            }
            Way::Ccc if code.is_completion() => {
                self.reply = Some(reply);
                self.change(core, now, Action::StopTls);
                Flow::Wait
            }
            _ => Flow::Done(Err(SessionError::Refused { phase: Phase::Tls, verb: front.verb, reply })),
        }
    }

    /// Takes what became of it; where the server has yet to speak first, the job is to be that.
    pub(super) fn outcome(&mut self, core: &mut Core, now: Time, op: OpId, outcome: Outcome) -> Result<Flow, Job> {
        let result = match outcome {
            Outcome::Secured(result) if self.op == Some(op) => result,
            _ => return Ok(Flow::Wait),
        };
        if let Err(why) = result {
            let error = SessionError::Tls { phase: Phase::Tls, why };
            core.close(error.clone());
            return Ok(Flow::Done(Err(error)));
        }
        match self.way {
            Way::Ccc => core.tls.state = State::Ended,
            // RFC 4217 section 9: data is in clear text until PROT. Servers with implicit TLS differ.
            Way::Auth(_) => core.secured(Some(Protection::Clear)),
            Way::Implicit => core.secured(None),
        }
        match self.reply.take() {
            Some(reply) => Ok(Flow::Done(Ok(Answer::Reply(reply)))),
            None => {
                core.expect_greeting(now);
                Err(Job::Greeting)
            }
        }
    }

    /// From here to the outcome nothing is sent, and nothing that comes is a reply.
    fn change(&mut self, core: &mut Core, now: Time, action: Action) {
        core.tls.state = State::Changing;
        self.op = Some(core.begin(action));
        core.expect(now, core.settings.limits.tls, Phase::Tls, "TLS does not stand".to_owned());
    }
}
