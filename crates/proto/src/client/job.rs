//! The jobs that move no data: login, commands, probing, QUIT.

use std::collections::VecDeque;

use crate::command::{Command, CommandError, Opts, Text};
use crate::parameters::{Protection, Representation};
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::Verb;

use super::abort::Abort;
use super::action::{Answer, Request};
use super::ahead::{Run, Unit, is_harmless};
use super::core::{Core, Flow, Pending};
use super::error::{Phase, SessionError};
use super::features::Features;
use super::login::{LogIn, login_step};
use super::tls::Securing;
use super::transfer::Moving;

/// What a session is doing.
#[derive(Debug)]
pub(super) enum Job {
    /// The server is to speak first.
    Greeting,
    /// TLS begins or ends on the control connection.
    Securing(Securing),
    /// PBSZ was sent, or PROT with this level.
    Protecting(Option<Protection>),
    /// USER, PASS or ACCT was sent.
    Login,
    /// It cannot begin before what was asked for ahead is answered.
    Held(Option<Request>),
    /// USER and PASS.
    LogIn(Box<LogIn>),
    /// Commands that move no data.
    Run(Box<Run>),
    /// A line was sent; the type that the server then has, if it is a TYPE that it takes.
    Raw(Option<Representation>),
    /// TYPE was sent.
    Representation(Representation),
    /// FEAT was sent, then these.
    Probe(VecDeque<Command>),
    /// A transfer.
    Transfer(Box<Moving>),
    /// A transfer with another server was sent; whether it has begun.
    Elsewhere(bool),
    /// ABOR.
    Abort(Abort),
    /// QUIT was sent, and this is the server's farewell.
    Quit(Option<Reply>),
}

impl Job {
    pub(super) fn begin(core: &mut Core, now: Time, request: Request) -> (Job, Flow) {
        if core.awaits_channel() && request.is_barrier() {
            core.expect_next(now, Phase::Command);
            return (Job::Held(Some(request)), Flow::Wait);
        }
        if request.changes_all() {
            core.prepared = None;
        }
        let job = match request {
            Request::Login { user, password, representation, passive } => {
                Job::LogIn(Box::new(LogIn::begin(core, now, user, password, representation, passive)))
            }
            Request::User(name) => {
                core.doubt_form();
                core.send(now, Phase::Login, &Command::User(name));
                Job::Login
            }
            Request::Pass(secret) => {
                core.send(now, Phase::Login, &Command::Pass(secret));
                Job::Login
            }
            Request::Acct(secret) => {
                let mut line = [b"ACCT ", secret.expose()].concat();
                core.send_line(now, Phase::Login, &line);
                line.fill(0);
                Job::Login
            }
            Request::Command(command, representation) => {
                let units = with_type(core, representation).chain([Unit::from([command])]).collect();
                Job::Run(Box::new(Run::begin(core, now, units, false)))
            }
            Request::Batch(commands, representation) => {
                let commands = commands.into_iter().map(|command| Unit::from([command]));
                let units: Vec<Unit> = with_type(core, representation).chain(commands).collect();
                if units.is_empty() {
                    let nothing = Flow::Done(Ok(Answer::Replies(Vec::new())));
                    return (Job::Run(Box::new(Run::begin(core, now, units, true))), nothing);
                }
                Job::Run(Box::new(Run::begin(core, now, units, true)))
            }
            Request::Rename(from, to) => {
                let units = vec![Unit::from([Command::Rnfr(from), Command::Rnto(to)])];
                Job::Run(Box::new(Run::begin(core, now, units, false)))
            }
            Request::StartTls => return Securing::begin(core, now),
            Request::StopTls => return Securing::stop(core, now),
            Request::Protect => return Job::protect(core, now),
            Request::Raw(line) => {
                core.send_line(now, Phase::Command, line.as_bytes());
                Job::raw(core, &line)
            }
            Request::Representation(representation) if core.representation == Some(representation) => {
                return (Job::Representation(representation), Flow::Done(Ok(Answer::Representation(None))));
            }
            Request::Representation(representation) => {
                core.send(now, Phase::Command, &Command::Type(representation));
                Job::Representation(representation)
            }
            Request::Probe => {
                core.send(now, Phase::Command, &Command::Feat);
                Job::Probe(VecDeque::new())
            }
            Request::Transfer(request) => {
                let (moving, flow) = Moving::begin(core, now, request);
                return (Job::Transfer(Box::new(moving)), flow);
            }
            Request::Elsewhere(command) => {
                core.send(now, Phase::Command, &command);
                Job::Elsewhere(false)
            }
            Request::Quit => {
                core.send(now, Phase::Command, &Command::Quit);
                let what = "the server has not ended the session".to_owned();
                core.expect(now, core.settings.limits.quit, Phase::Command, what);
                Job::Quit(None)
            }
        };
        (job, Flow::Wait)
    }

    pub(super) fn phase(&self) -> Phase {
        match self {
            Job::Greeting => Phase::Greeting,
            Job::Securing(_) | Job::Protecting(_) => Phase::Tls,
            Job::Login | Job::LogIn(_) => Phase::Login,
            Job::Transfer(moving) => moving.phase(),
            Job::Elsewhere(true) => Phase::Transfer,
            _ => Phase::Command,
        }
    }

    /// Takes a reply to the command `front`.
    pub(super) fn reply(&mut self, core: &mut Core, now: Time, front: Pending, reply: Reply) -> Flow {
        match self {
            Job::Transfer(moving) => return moving.reply(core, now, front, reply),
            Job::Abort(abort) => return abort.reply(core, now, front, reply),
            Job::Securing(securing) => return securing.reply(core, now, front, reply),
            _ => {}
        }
        if reply.code().is_preliminary() {
            // The server is at it: as long again.
            let limits = core.settings.limits;
            let (after, phase) = match self {
                Job::Greeting => (limits.greeting, Phase::Greeting),
                Job::Quit(_) => return Flow::Wait,
                Job::Elsewhere(begun) => {
                    *begun = true;
                    core.no_deadline();
                    return Flow::Wait;
                }
                _ => (limits.reply, self.phase()),
            };
            core.expect(now, after, phase, format!("no final reply to {}", front.verb));
            return Flow::Wait;
        }
        let ok = reply.code().is_completion();
        let refused = |phase, reply| Flow::Done(Err(SessionError::Refused { phase, verb: front.verb, reply }));
        match self {
            Job::Greeting if ok => Flow::Done(Ok(Answer::Reply(reply))),
            Job::Greeting => {
                let error = SessionError::Refused { phase: Phase::Greeting, verb: front.verb, reply };
                core.close(error.clone());
                Flow::Done(Err(error))
            }
            Job::Login => match login_step(front.verb, reply) {
                Ok(step) => Flow::Done(Ok(Answer::Login(step))),
                Err(reply) => refused(Phase::Login, reply),
            },
            Job::LogIn(log_in) => log_in.reply(core, now, front, reply),
            Job::Run(run) => match run.reply(core, now, front, reply) {
                Some(answers) => Flow::Done(run.answer(answers)),
                None => Flow::Wait,
            },
            Job::Protecting(None) => {
                // Who refuses it may take PROT all the same: it says nothing under TLS.
                core.tls.pbsz = true;
                let (job, flow) = Job::protect(core, now);
                *self = job;
                flow
            }
            Job::Protecting(Some(level)) if ok => {
                core.tls.prot = Some(*level);
                Flow::Done(Ok(Answer::Protected))
            }
            Job::Protecting(Some(_)) => refused(Phase::Tls, reply),
            Job::Raw(representation) => {
                if let Some(representation) = representation.filter(|_| ok) {
                    core.representation = Some(representation);
                }
                Flow::Done(Ok(Answer::Reply(reply)))
            }
            Job::Representation(representation) if ok => {
                core.representation = Some(*representation);
                Flow::Done(Ok(Answer::Representation(Some(reply))))
            }
            Job::Probe(rest) => {
                if front.verb == Verb::Feat.name() {
                    let features = if ok { Features::read(&reply) } else { Features::default() };
                    rest.extend(options(&features, core.settings.utf8));
                    core.features = Some(features);
                }
                // What OPTS is refused stays as it is, and listings are read all the same.
                while (!core.owes() || core.may_send_ahead())
                    && let Some(command) = rest.pop_front()
                {
                    core.send(now, Phase::Command, &command);
                }
                if core.owes() {
                    core.expect_next(now, Phase::Command);
                    return Flow::Wait;
                }
                Flow::Done(Ok(Answer::Probed))
            }
            Job::Quit(farewell) => {
                *farewell = Some(reply);
                Flow::Wait
            }
            Job::Elsewhere(_) if ok => Flow::Done(Ok(Answer::Transferred(reply))),
            Job::Elsewhere(_) => refused(self.phase(), reply),
            Job::Representation(_) => refused(Phase::Command, reply),
            Job::Transfer(_) | Job::Abort(_) | Job::Securing(_) | Job::Held(_) => Flow::Wait,
        }
    }

    /// Why the job fails, where that is known before all is answered that was sent ahead.
    pub(super) fn refusal(&mut self) -> Option<SessionError> {
        match self {
            Job::LogIn(log_in) => log_in.refusal(),
            Job::Transfer(moving) => moving.refusal(),
            _ => None,
        }
    }

    /// What was asked for ahead was answered.
    pub(super) fn channel_prepared(&mut self, core: &mut Core, now: Time) -> Flow {
        match self {
            Job::Transfer(moving) => moving.channel_prepared(core, now),
            Job::Held(request) => match request.take() {
                Some(request) => {
                    let (job, flow) = Job::begin(core, now, request);
                    *self = job;
                    flow
                }
                None => Flow::Wait,
            },
            _ => Flow::Wait,
        }
    }

    /// The time has come to look again.
    pub(super) fn look(&mut self, core: &mut Core, now: Time) -> Flow {
        match self {
            Job::Transfer(moving) => moving.look(core, now),
            Job::Abort(abort) => abort.look(core, now),
            _ => Flow::Wait,
        }
    }

    /// RFC 4217 section 9: PBSZ must come before PROT.
    fn protect(core: &mut Core, now: Time) -> (Job, Flow) {
        let Some(level) = core.protection_to_set() else {
            return (Job::Protecting(None), Flow::Done(Ok(Answer::Protected)));
        };
        if core.tls.pbsz {
            core.send(now, Phase::Tls, &Command::Prot(level));
            (Job::Protecting(Some(level)), Flow::Wait)
        } else {
            core.send(now, Phase::Tls, &Command::Pbsz(0));
            (Job::Protecting(None), Flow::Wait)
        }
    }

    /// A line that may change what the session believes of the server.
    fn raw(core: &mut Core, line: &Text) -> Job {
        let command = Command::parse(line.as_bytes());
        match &command {
            Ok(Command::User(_)) => core.doubt_form(),
            Ok(Command::Rest(_)) => core.rest_lingers = true,
            Ok(Command::Rein) => (core.features, core.tls.prot) = (None, None),
            // What the server then has is not kept in mind, but set again when it matters.
            Ok(Command::Prot(_) | Command::Pbsz(_)) => core.tls.prot = None,
            _ => {}
        }
        let verb = command.as_ref().map_or_else(CommandError::verb, |command| Some(command.verb()));
        if matches!(verb, Some(Verb::Type | Verb::Rein)) {
            core.representation = None;
        }
        match command {
            Ok(Command::Type(representation)) => Job::Raw(Some(representation)),
            Ok(Command::Rein) => Job::Raw(Some(Representation::Ascii)),
            _ => Job::Raw(None),
        }
    }
}

impl Request {
    /// Whether all that was sent before is to be answered first: where the replies come out of step it must not have been done,
    /// or bytes behind a 234 would be taken for a stranger's.
    fn is_barrier(&self) -> bool {
        match self {
            Request::Command(command, _) => !is_harmless(command.verb().name()),
            Request::Batch(commands, _) => !commands.iter().all(|command| is_harmless(command.verb().name())),
            Request::Rename(..) => true,
            _ => self.changes_all(),
        }
    }

    /// Whether a way to a data connection that was asked for before may be of no use behind it.
    fn changes_all(&self) -> bool {
        match self {
            Request::User(_) | Request::Pass(_) | Request::Acct(_) | Request::Login { .. } => true,
            Request::StartTls | Request::StopTls | Request::Protect | Request::Raw(_) | Request::Elsewhere(_) => true,
            Request::Command(..) | Request::Batch(..) | Request::Rename(..) | Request::Representation(_) => false,
            Request::Probe | Request::Transfer(_) | Request::Quit => false,
        }
    }
}

/// TYPE, where the server has another one.
fn with_type(core: &Core, representation: Option<Representation>) -> impl Iterator<Item = Unit> + use<> {
    let wanted = representation.filter(|representation| core.representation != Some(*representation));
    wanted.into_iter().map(|representation| Unit::from([Command::Type(representation)]))
}

/// What is set once the server has told what it has. Some servers send names in UTF-8 only after OPTS UTF8, and some take that
/// only from a client that has named itself.
fn options(features: &Features, utf8: bool) -> Vec<Command> {
    let on = features.has("UTF8").then_some(Command::Opts(Opts::Utf8(utf8)));
    let name =
        on.as_ref().filter(|_| utf8 && features.has("CLNT")).and_then(|_| Text::new("port21").ok().map(Command::Clnt));
    let facts = features.facts_to_ask_for().map(|facts| Command::Opts(Opts::Mlst(facts)));
    name.into_iter().chain(on).chain(facts).collect()
}
