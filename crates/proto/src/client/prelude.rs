//! What goes before a transfer's command: PBSZ, PROT and TYPE, and REST; one behind the other, or waited for.

use std::collections::VecDeque;

use crate::command::Command;
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

use super::action::DataMode;
use super::core::{Core, Flow};
use super::error::{Phase, SessionError};
use super::transfer::{Moving, Step};

impl Moving {
    /// What has to be set before there can be a data connection.
    pub(super) fn prepare(&mut self, core: &mut Core, now: Time) -> Flow {
        let mut steps = VecDeque::new();
        if let Some(level) = core.protection_to_set() {
            // RFC 4217 section 9: PBSZ must come before PROT.
            if !core.tls.pbsz {
                steps.push_back((Step::Pbsz, Phase::Tls, Command::Pbsz(0)));
            }
            steps.push_back((Step::Prot(level), Phase::Tls, Command::Prot(level)));
            // What was opened before may not be what it is to be now.
            core.prepared = None;
        }
        if let Some(representation) =
            self.request.representation.filter(|representation| core.representation != Some(*representation))
        {
            steps.push_back((Step::Representation(representation), Phase::Command, Command::Type(representation)));
        }
        let Some((step, phase, command)) = steps.pop_front() else { return self.open(core, now) };
        self.step = step;
        core.send(now, phase, &command);
        if self.alone || !core.may_send_ahead() {
            return Flow::Wait;
        }
        for (step, phase, command) in steps {
            core.send(now, phase, &command);
            self.behind.push_back(step);
        }
        if self.request.mode == DataMode::Passive
            && core.prepared.is_none()
            && !core.wants_pret()
            && let Some((step, command)) = self.next_passive(core)
        {
            core.send(now, Phase::DataOpen, &command);
            self.behind.push_back(step);
        }
        Flow::Wait
    }

    /// A step was answered: goes on to the one that was sent behind it, or to what follows when there is none.
    pub(super) fn next_step(&mut self, core: &mut Core, now: Time) -> Flow {
        if let Some(step) = self.behind.pop_front() {
            self.step = step;
            core.expect_next(now, self.phase());
            return Flow::Wait;
        }
        if self.doubtful.is_some() {
            self.alone = true;
            (self.tried_epsv, self.tried_pasv) = (false, false);
            return self.prepare(core, now);
        }
        match self.refusal.take() {
            Some(error) => self.done(core, Err(error)),
            None => self.prepare(core, now),
        }
    }

    /// REST last of all before the command: some servers forget it over a PASV.
    pub(super) fn rest(&mut self, core: &mut Core, now: Time) -> Flow {
        if self.request.from == 0 && !core.rest_lingers {
            return self.run(core, now);
        }
        self.step = Step::Rest;
        core.rest_lingers = self.request.from > 0;
        core.send(now, Phase::Command, &Command::Rest(self.request.from));
        // Never an upload: where REST is refused it would take the file's beginning away.
        let known = self.request.from == 0 || core.has_rest || core.features.as_ref().is_some_and(|f| f.has("REST"));
        if known && self.command.verb() == Verb::Retr && !self.alone && core.may_send_ahead() {
            self.rest_owed = true;
            return self.run(core, now);
        }
        Flow::Wait
    }

    /// The reply to a REST with which the command itself was sent.
    pub(super) fn rest_reply(&mut self, core: &mut Core, now: Time, reply: Reply) -> Flow {
        if reply.code().is_error() && self.request.from > 0 {
            // Bytes are on their way, and not those that were asked for.
            let why = format!("REST was sent ahead of RETR, and answered {reply}");
            return Flow::Done(Err(core.lose_step(now, Phase::Command, why)));
        }
        if let Some(heard) = wrapped(self.request.from, &reply) {
            return self.wrapped(core, &heard);
        }
        self.rest_owed = false;
        self.sent = now;
        self.advance(core, now)
    }

    pub(super) fn wrapped(&mut self, core: &mut Core, heard: &str) -> Flow {
        let why = format!("REST {} was taken for {heard}: the server counts no further than it can", self.request.from);
        self.done(core, Err(SessionError::Protocol { phase: Phase::Command, why }))
    }

    /// Whether the way to the next transfer's data connection is asked for behind the command. Not behind an upload, whose bytes
    /// would wait for it in some servers.
    pub(super) fn asks_ahead(&self, core: &Core) -> bool {
        let way = self.request.more && self.request.mode == DataMode::Passive && self.command.verb() == Verb::Retr;
        way && !self.alone && core.may_prepare_channel()
    }
}

/// What a server has made of an offset that is too large for its numbers, by what its 350 says: `Restarting at 5` to REST
/// 4294967301. Nothing would be noticed before the file is spoilt.
pub(super) fn wrapped(from: u64, reply: &Reply) -> Option<String> {
    let low = u32::try_from(from & u64::from(u32::MAX)).unwrap_or_default();
    let text = String::from_utf8_lossy(reply.text());
    let numbers = || text.split(|c: char| !c.is_ascii_digit() && c != '-').filter(|word| !word.is_empty());
    if from <= i32::MAX.unsigned_abs().into() || numbers().any(|n| n == from.to_string()) {
        return None;
    }
    let made = [low.to_string(), low.cast_signed().to_string(), i32::MAX.to_string(), u32::MAX.to_string()];
    numbers().find(|n| made.iter().any(|m| m == n)).map(str::to_owned)
}
