//! The ways to a data connection: EPSV, PASV, PORT, EPRT, and from one to the other.

use std::net::SocketAddr;

use crate::addr;
use crate::command::{Command, Epsv};
use crate::reply::{CodeClass, Reply};
use crate::time::Time;

use super::action::{Action, Answer, DataMode, Outcome};
use super::ahead::Prepared;
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};
use super::transfer::{Data, Moving, Step};

/// What has been learned of a server's ways: what does not work is not tried again where there is another way. It
/// outlives a session: see [`Settings::learned`](super::Settings::learned).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    epsv_broken: bool,
    pasv_broken: bool,
    port_broken: bool,
    wants_pret: bool,
    pub(super) mlsd_broken: bool,
    /// Its replies have come out of step with commands that were sent ahead.
    pub(super) one_at_a_time: bool,
    /// It has answered commands that were sent ahead.
    pub(super) in_step: bool,
    /// It refuses to be asked for the next data connection behind a RETR.
    pub(super) no_asking_ahead: bool,
}

impl Learned {
    /// Whether the server was seen to lose commands that are sent before those ahead of them are answered.
    pub fn is_one_at_a_time(&self) -> bool {
        self.one_at_a_time
    }

    /// The server was seen to answer in another order than it was asked in: nothing more is sent ahead.
    pub fn lose_order(&mut self) {
        self.one_at_a_time = true;
    }

    /// Adds what another session with the server has learned that this one must not forget: what is sent ahead would be lost.
    pub fn heed(&mut self, other: Learned) {
        self.one_at_a_time |= other.one_at_a_time;
        self.no_asking_ahead |= other.no_asking_ahead;
    }

    /// Whether EPSV is tried, whatever was learned.
    pub(super) fn set_extended(&mut self, on: bool) {
        self.epsv_broken = !on;
    }
}

impl Moving {
    /// Begins with the way that is to be tried first.
    pub(super) fn open(&mut self, core: &mut Core, now: Time) -> Flow {
        match self.request.mode {
            DataMode::Passive => {
                self.passive(core, now, Err(SessionError::Data { phase: Phase::DataOpen, why: String::new() }))
            }
            DataMode::Active => {
                core.prepared = None;
                self.step = Step::Listening;
                self.op = Some(core.begin(Action::Listen));
                core.no_deadline();
                Flow::Wait
            }
        }
    }

    /// Tries the next way to a passive connection; `error` is how the last one failed.
    fn passive(&mut self, core: &mut Core, now: Time, error: Result<Answer, SessionError>) -> Flow {
        match core.prepared.filter(|prepared| prepared.is_fresh(now)) {
            Some(Prepared::Asked { .. }) => {
                self.step = Step::Prepared;
                core.expect_next(now, Phase::DataOpen);
                return Flow::Wait;
            }
            Some(Prepared::Ready { extended, to, .. }) => {
                core.prepared = None;
                self.prepared = true;
                return self.connect(core, now, to, extended);
            }
            None => core.prepared = None,
        }
        if core.wants_pret() && !std::mem::replace(&mut self.announced, true) {
            self.step = Step::Pret;
            let mut line = b"PRET ".to_vec();
            self.command.encode(&mut line);
            core.send_line(now, Phase::DataOpen, line.trim_ascii_end());
            return Flow::Wait;
        }
        match self.next_passive(core) {
            Some((step, command)) => {
                self.step = step;
                core.send(now, Phase::DataOpen, &command);
                Flow::Wait
            }
            None => self.done(core, error),
        }
    }

    /// The next way to a passive connection, which is tried then.
    pub(super) fn next_passive(&mut self, core: &Core) -> Option<(Step, Command)> {
        // RFC 2428 section 3: EPSV serves both families and tells no address, which NAT could have spoilt. PASV is IPv4.
        let ipv4 = addr::canonical(core.settings.peer).is_ipv4();
        let listed = core.features.as_ref().is_none_or(|f| f.lines().is_empty() || f.has("EPSV"));
        let pasv = ipv4 && !self.tried_pasv;
        let epsv = !self.tried_epsv && core.prefers_epsv();
        if epsv && (listed || !pasv || core.learned.pasv_broken) {
            self.tried_epsv = true;
            Some((Step::Epsv, Command::Epsv(Epsv::Same)))
        } else if pasv {
            self.tried_pasv = true;
            Some((Step::Pasv, Command::Pasv))
        } else {
            None
        }
    }

    fn connect(&mut self, core: &mut Core, now: Time, to: SocketAddr, extended: bool) -> Flow {
        self.step = Step::Connecting { extended };
        self.is_extended = extended;
        self.op = Some(core.begin(Action::Connect(to)));
        core.look_after(now, core.settings.limits.data_open);
        Flow::Wait
    }

    /// What was asked for ahead was answered.
    pub(super) fn channel_prepared(&mut self, core: &mut Core, now: Time) -> Flow {
        match self.step {
            Step::Prepared => self.open(core, now),
            Step::Running => self.advance(core, now),
            _ => Flow::Wait,
        }
    }

    /// Takes the reply to EPSV, PASV, PORT or EPRT.
    pub(super) fn channel_reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        let ok = reply.code().is_completion();
        let refused = |phase, reply| Err(SessionError::Refused { phase, verb: front.verb, reply });
        match self.step {
            Step::Epsv | Step::Pasv => match core.passive_address(now, &reply) {
                Some(to) => self.connect(core, now, to, self.step == Step::Epsv),
                None if says_pret(&reply) && !self.announced => {
                    core.learned.wants_pret = true;
                    (self.tried_epsv, self.tried_pasv) = (false, false);
                    self.passive(core, now, refused(Phase::DataOpen, reply))
                }
                None => {
                    let learned = &mut core.learned;
                    let broken =
                        if self.step == Step::Epsv { &mut learned.epsv_broken } else { &mut learned.pasv_broken };
                    // 4yz: it may well go the next time.
                    *broken |= reply.code().class() != CodeClass::Transient;
                    let error = if ok { Err(bad_address(&reply)) } else { refused(Phase::DataOpen, reply) };
                    self.passive(core, now, error)
                }
            },
            // Whatever it says: what follows will show.
            Step::Pret => {
                self.passive(core, now, Err(SessionError::Data { phase: Phase::DataOpen, why: String::new() }))
            }
            Step::Port(_) if ok => self.rest(core, now),
            Step::Eprt if ok => {
                // It was tried because PORT does not go, or never would.
                core.learned.port_broken = true;
                self.rest(core, now)
            }
            Step::Port(addr) if reply.code().is_error() => {
                self.step = Step::Eprt;
                core.send(now, Phase::DataOpen, &Command::Eprt(addr));
                Flow::Wait
            }
            Step::Port(_) | Step::Eprt => self.done(core, refused(Phase::DataOpen, reply)),
            _ => Flow::Wait,
        }
    }

    /// Takes what became of connecting or listening.
    pub(super) fn channel_outcome(&mut self, core: &mut Core, now: Time, outcome: Outcome) -> Flow {
        match (self.step, outcome) {
            (Step::Connecting { extended }, Outcome::Connected(Ok(()))) => {
                self.data = Data::Open;
                // EPSV was tried first and led nowhere, PASV does: no more EPSV. And the other way round.
                if !self.prepared && self.tried_epsv && self.tried_pasv {
                    core.learned.epsv_broken = !extended;
                    core.learned.pasv_broken = extended;
                }
                self.rest(core, now)
            }
            (Step::Connecting { .. }, Outcome::Connected(Err(why))) => {
                self.release(core);
                self.prepared = false;
                self.passive(core, now, Err(SessionError::Data { phase: Phase::DataOpen, why }))
            }
            (Step::Listening, Outcome::Listening(Ok(addr))) => {
                match addr::canonical(addr) {
                    SocketAddr::V4(v4) if !core.learned.port_broken => {
                        self.step = Step::Port(addr);
                        core.send(now, Phase::DataOpen, &Command::Port(v4));
                    }
                    _ => {
                        self.step = Step::Eprt;
                        core.send(now, Phase::DataOpen, &Command::Eprt(addr));
                    }
                }
                Flow::Wait
            }
            (Step::Listening, Outcome::Listening(Err(why))) => {
                self.done(core, Err(SessionError::Data { phase: Phase::DataOpen, why }))
            }
            _ => Flow::Wait,
        }
    }

    /// The passive connection has not come to stand in time.
    pub(super) fn never_connected(&mut self, core: &mut Core, now: Time) -> Flow {
        self.release(core);
        self.prepared = false;
        let after = core.settings.limits.data_open;
        let what = "no data connection".to_owned();
        self.passive(core, now, Err(SessionError::Timeout { phase: Phase::DataOpen, what, after }))
    }
}

impl Core {
    /// drftpd must know what will move before it can say where.
    pub(super) fn wants_pret(&self) -> bool {
        self.learned.wants_pret || self.features.as_ref().is_some_and(|f| f.has("PRET"))
    }

    /// Whether EPSV is what leads to a data connection, as far as is known.
    pub(super) fn prefers_epsv(&self) -> bool {
        !(self.learned.epsv_broken && addr::canonical(self.settings.peer).is_ipv4())
    }

    /// The reply to what was asked for ahead has come.
    pub(super) fn channel_prepared(&mut self, now: Time, reply: &Reply) {
        self.learned.no_asking_ahead |= reply.code().is_error();
        if let Some(Prepared::Asked { extended, since }) = self.prepared.take() {
            let to = self.passive_address(now, reply);
            self.prepared = to.map(|to| Prepared::Ready { extended, to, since });
        }
    }

    /// Where the server's reply to EPSV or PASV says to connect to.
    fn passive_address(&mut self, now: Time, reply: &Reply) -> Option<SocketAddr> {
        if !reply.code().is_completion() {
            return None;
        }
        // The scope stays, where the address is link-local.
        let mut to = self.settings.peer;
        if reply.code() != 227
            && let Ok(port) = addr::parse_epsv(reply.text())
        {
            to.set_port(port);
            return Some(to);
        }
        let told = addr::parse_pasv(reply.text()).ok().filter(|told| told.port() != 0)?;
        let own = to.ip().to_canonical();
        if own.is_unspecified() {
            self.note(now, || format!("the server names {}, the address that the proxy knows is used", told.ip()));
        } else if *told.ip() != own {
            // A server behind NAT does not know its own address, and a hostile one would have us connect to a third.
            self.note(now, || format!("the server names {}, its own address {own} is used", told.ip()));
        }
        to.set_port(told.port());
        Some(to)
    }
}

/// `You need to use a client supporting PRET (PRE Transfer) to use PASV`.
fn says_pret(reply: &Reply) -> bool {
    reply.code().is_error() && reply.text().windows(4).any(|part| part == b"PRET")
}

fn bad_address(reply: &Reply) -> SessionError {
    SessionError::Protocol { phase: Phase::DataOpen, why: format!("no address to connect to in the reply {reply}") }
}
