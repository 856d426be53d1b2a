//! AUTH, PBSZ, PROT, CCC: what is protected, and when that changes (RFC 4217).

use super::action::{Action, DataChannel, Secured};
use super::error::TlsError;
use super::outcome::Pending;
use super::session::{Running, ServerSession};
use super::settings::TlsMode;
use super::wording::{self, say};
use crate::command::{Command, Mechanism};
use crate::event::{ConnectionId, EventKind};
use crate::parameters::Protection;
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

/// What a session knows of TLS.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    /// What stands on the control connection now.
    control: Option<Box<Secured>>,
    /// Whether the login that there is, or will be, has TLS: CCC leaves it so.
    agreed: bool,
    /// PBSZ was given.
    sized: bool,
    /// PROT.
    pub(super) protection: Protection,
}

impl Tls {
    pub(super) fn new(mode: TlsMode) -> Tls {
        Tls { mode, control: None, agreed: false, sized: false, protection: Protection::Clear }
    }
}

impl ServerSession {
    /// What TLS has against the command.
    pub(super) fn tls_gate(&self, command: &Command) -> Option<Reply> {
        let verb = command.verb();
        if self.hides(verb) {
            return Some(wording::command_error(&crate::command::CommandError::Unknown));
        }
        let in_clear = self.tls.mode == TlsMode::Require && self.tls.control.is_none();
        (in_clear && matches!(verb, Verb::User | Verb::Pass)).then(wording::needs_tls)
    }

    /// Whether the verb is one that this session does not have.
    pub(super) fn hides(&self, verb: Verb) -> bool {
        self.tls.mode == TlsMode::Off && verb.is_about_tls()
    }

    /// Whether the verb is offered, in FEAT and HELP (RFC 4217 section 6: of TLS only what there is). Behind implicit TLS
    /// there is nothing left to be asked for by AUTH.
    pub(super) fn offers(&self, verb: Verb) -> bool {
        match verb {
            Verb::Auth => matches!(self.tls.mode, TlsMode::Offer | TlsMode::Require),
            Verb::Ccc => self.settings.tls.allow_ccc && !self.hides(verb),
            verb => !self.hides(verb),
        }
    }

    /// Whether the client has shown a certificate, and this connection is still protected by it.
    pub(super) fn has_certificate(&self) -> bool {
        self.tls.control.as_ref().is_some_and(|secured| secured.certificate)
    }

    /// Whether nothing behind the verb may be looked at before it was done, as it may change what protects that.
    pub(super) fn bars(&self, verb: Verb) -> bool {
        match verb {
            Verb::Auth => self.tls.mode != TlsMode::Off,
            Verb::Ccc | Verb::Rein => self.tls.control.is_some(),
            _ => false,
        }
    }

    /// Whether the control connection's protection is being changed.
    pub(super) fn tls_changes(&self) -> bool {
        let pending = match &self.running {
            Some(Running::Single { pending, .. }) => pending,
            _ => return false,
        };
        matches!(pending, Pending::StartTls { .. } | Pending::StopTls { .. })
    }

    pub(super) fn begin_implicit_tls(&mut self, now: Time) {
        // As clients of implicit TLS take for granted.
        self.start_single(
            Action::StartTls { site: self.site },
            Pending::StartTls { since: now, protection: Protection::Private },
        );
    }

    /// RFC 2228 section 3, RFC 4217 section 4.
    pub(super) fn auth(&mut self, now: Time, mechanism: Mechanism) -> Option<Reply> {
        if self.tls.control.is_some() {
            return Some(say(503, "TLS protects this connection already."));
        }
        self.reply(now, say(234, "Begin the TLS handshake."));
        let protection = match mechanism {
            Mechanism::Tls => Protection::Clear,
            Mechanism::Ssl => Protection::Private,
        };
        self.start_single(Action::StartTls { site: self.site }, Pending::StartTls { since: now, protection });
        None
    }

    /// TLS stands, or does not. What was said before it may have been said by anybody, so it is forgotten: the login, the
    /// directory, TYPE. Where it failed nobody knows what state the connection is in (RFC 4217 section 10.1).
    pub(super) fn secured(&mut self, now: Time, protection: Protection, result: Result<Secured, TlsError>) {
        match result {
            Ok(secured) => {
                self.reinitialise(now);
                self.begin_afresh();
                self.note(now, || format!("the control connection is protected: {}", secured.description));
                let greets = self.tls.mode == TlsMode::Implicit;
                self.tls =
                    Tls { control: Some(Box::new(secured)), agreed: true, protection, ..Tls::new(self.tls.mode) };
                if greets {
                    self.greet(now);
                }
            }
            Err(error) => {
                let failed = self.settings.events.then(|| EventKind::TlsFailed {
                    connection: ConnectionId::CONTROL,
                    why: error.failure(),
                    text: error.to_string(),
                });
                self.event(now, failed);
                self.close();
            }
        }
    }

    /// RFC 4217 section 9: TLS has no blocks whose size could be agreed on.
    pub(super) fn pbsz(&mut self) -> Reply {
        if self.tls.control.is_none() {
            return say(503, "PBSZ needs AUTH TLS before it.");
        }
        self.tls.sized = true;
        say(200, "PBSZ=0")
    }

    /// Not after CCC: what comes in clear must not take the protection from data.
    pub(super) fn prot(&mut self, protection: Protection) -> Reply {
        if self.tls.control.is_none() || !self.tls.sized {
            return say(503, "PROT needs AUTH TLS and PBSZ before it.");
        }
        if protection == Protection::Clear && self.demands_private_data() {
            return say(534, "Data connections must be protected here: PROT P.");
        }
        // Who has connected to a port that was to be private may have begun TLS by now.
        if let (Protection::Private, Protection::Clear, Some(DataChannel::Passive(_))) =
            (self.tls.protection, protection, self.data)
        {
            self.drop_data_channel();
        }
        self.tls.protection = protection;
        match protection {
            Protection::Clear => say(200, "Data connections will be in clear."),
            Protection::Private => say(200, "Data connections will be protected."),
        }
    }

    /// RFC 4217 section 12: only behind a login, so that no password follows in clear. 533 and 534 are what RFC 2228
    /// section 3 has for CCC in clear and CCC that the policy is against.
    pub(super) fn ccc(&mut self, now: Time) -> Option<Reply> {
        if self.tls.control.is_none() {
            return Some(say(533, "The control connection is in clear already."));
        }
        if !self.settings.tls.allow_ccc {
            return Some(say(534, "CCC is not permitted here."));
        }
        self.reply(now, say(200, "The control connection goes on in clear behind close_notify."));
        self.start_single(Action::StopTls, Pending::StopTls { since: now });
        None
    }

    /// RFC 4217 section 11: the reply to REIN goes out protected, and then the session is as it was at its beginning. That
    /// of an implicit one began with TLS.
    pub(super) fn end_tls_for_rein(&mut self, now: Time) {
        if self.tls.mode == TlsMode::Implicit {
            (self.tls.sized, self.tls.protection) = (false, Protection::Private);
            return;
        }
        let was_protected = self.tls.control.is_some();
        self.tls = Tls::new(self.tls.mode);
        if was_protected {
            self.start_single(Action::StopTls, Pending::StopTls { since: now });
        }
    }

    pub(super) fn cleared(&mut self, result: Result<(), TlsError>) {
        match result {
            Ok(()) => self.tls.control = None,
            Err(_) => self.close(),
        }
    }

    /// RFC 4217 section 10.2: 521 before any 1yz. PORT and PASV say nothing of it.
    pub(super) fn refuse_clear_data(&self) -> Option<Reply> {
        (self.tls.protection == Protection::Clear && self.tls.agreed && self.demands_private_data())
            .then(|| say(521, "Data connections must be protected here: send PBSZ 0 and PROT P."))
    }

    /// One line for STAT.
    pub(super) fn tls_status(&self) -> String {
        let control = self.tls.control.as_ref().map_or("in clear", |secured| &secured.description);
        let data = match self.tls.protection {
            Protection::Clear => "in clear",
            Protection::Private => "protected",
        };
        format!("Control connection: {control}; data connections: {data}")
    }

    fn demands_private_data(&self) -> bool {
        let by_mode = matches!(self.tls.mode, TlsMode::Require | TlsMode::Implicit);
        self.settings.tls.protect_data.unwrap_or(by_mode)
    }

    fn note(&mut self, now: Time, text: impl FnOnce() -> String) {
        let note =
            self.settings.events.then(|| EventKind::Note { connection: Some(ConnectionId::CONTROL), text: text() });
        self.event(now, note);
    }
}
