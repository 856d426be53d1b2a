//! USER and PASS as one.

use crate::command::{Command, Text};
use crate::parameters::Representation;
use crate::reply::Reply;
use crate::secret::Secret;
use crate::time::Time;

use super::action::{Answer, LoginStep};
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};

/// A login that waits for nothing, and is done again step by step where the server cannot take that.
#[derive(Debug)]
pub(super) struct LogIn {
    user: Text,
    password: Secret,
    representation: Option<Representation>,
    user_reply: Option<Reply>,
    password_reply: Option<Reply>,
    /// It is done a second time.
    again: bool,
}

impl LogIn {
    pub(super) fn begin(
        core: &mut Core,
        now: Time,
        user: Text,
        password: Secret,
        representation: Option<Representation>,
        passive: bool,
    ) -> LogIn {
        core.doubt_form();
        let log_in = LogIn { user, password, representation, user_reply: None, password_reply: None, again: false };
        core.send(now, Phase::Login, &Command::User(log_in.user.clone()));
        if core.may_send_ahead() {
            core.send(now, Phase::Login, &Command::Pass(log_in.password.clone()));
            if let Some(representation) = representation {
                core.send(now, Phase::Login, &Command::Type(representation));
            }
            // Under TLS PROT comes first, and whether it is to be asked for is not known yet.
            if passive && core.may_prepare_channel() && !core.tls.is_on() {
                core.prepare_channel(now, core.prefers_epsv());
            }
        }
        log_in
    }

    pub(super) fn reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        let doubtful = core.is_doubtful(front, &reply);
        match front.verb {
            "USER" => self.user_reply = Some(reply),
            // To a user who is in already, or not to come in at all, it says nothing.
            "PASS" => self.password_reply = Some(reply).filter(|_| self.wants_password()),
            _ if reply.code().is_completion() => core.representation = self.representation,
            _ => {}
        }
        if doubtful && front.verb != "TYPE" && (front.verb == "USER" || self.password_reply.is_some()) {
            self.again = true;
        }
        if core.owes() {
            core.expect_next(now, Phase::Login);
            return Flow::Wait;
        }
        if std::mem::take(&mut self.again) {
            // Which one it did not like is not known: from the beginning, and one at a time.
            core.learned.one_at_a_time = true;
            (self.user_reply, self.password_reply) = (None, None);
            core.send(now, Phase::Login, &Command::User(self.user.clone()));
            return Flow::Wait;
        }
        if self.wants_password() && self.password_reply.is_none() {
            core.send(now, Phase::Login, &Command::Pass(self.password.clone()));
            return Flow::Wait;
        }
        Flow::Done(self.verdict())
    }

    /// Why it fails, once that is certain.
    pub(super) fn refusal(&mut self) -> Option<SessionError> {
        let refused = |reply: &Option<Reply>| reply.as_ref().is_some_and(|reply| reply.code().is_error());
        (refused(&self.user_reply) || refused(&self.password_reply)).then(|| self.verdict().err()).flatten()
    }

    fn wants_password(&self) -> bool {
        self.user_reply.as_ref().is_some_and(|reply| reply.code().is_intermediate() && reply.code() != 332)
    }

    fn verdict(&mut self) -> Result<Answer, SessionError> {
        let (verb, last) = match (self.user_reply.take(), self.password_reply.take()) {
            (_, Some(reply)) => ("PASS", reply),
            (Some(reply), None) => ("USER", reply),
            (None, None) => return Err(SessionError::Closed { phase: Phase::Login }),
        };
        let step =
            login_step(verb, last).map_err(|reply| SessionError::Refused { phase: Phase::Login, verb, reply })?;
        Ok(Answer::Login(step))
    }
}

/// What a login reply asks for next (RFC 959 section 5.4: USER 230 331 332, PASS 230 202 332, ACCT 230 202).
pub(super) fn login_step(verb: &'static str, reply: Reply) -> Result<LoginStep, Reply> {
    let code = reply.code();
    if code.is_completion() {
        Ok(LoginStep::Done(reply))
    } else if code == 332 || (code.is_intermediate() && verb == "PASS") {
        Ok(LoginStep::Account(reply))
    } else if code.is_intermediate() && verb == "USER" {
        Ok(LoginStep::Password(reply))
    } else {
        Err(reply)
    }
}
