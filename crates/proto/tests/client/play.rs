//! Transcripts of sessions on a virtual clock.
//!
//! A transcript is a text: the lines that begin with `S:` (the server), `?` (the user) and `>` (the driver, the clock)
//! are put in, and every other line must come out, in that place.

use std::fmt::Write as _;
use std::time::Duration;

use port21_proto::client::{
    Action, Answer, ClientSession, DataMode, DataState, Learned, Limits, LoginStep, Outcome, Output, Request, Settings,
    Transfer, TransferRequest,
};
use port21_proto::command::{Command, Listing, Text};
use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::op::OpId;
use port21_proto::parameters::{Protection, Representation};
use port21_proto::{PathArg, Reply, Secret, Time};

pub(crate) fn settings() -> Settings {
    let secs = Duration::from_secs;
    Settings {
        peer: "192.0.2.1:21".parse().unwrap(),
        implicit_tls: false,
        protection: Protection::Private,
        send_ahead: false,
        learned: Learned::default(),
        utf8: true,
        limits: Limits {
            greeting: secs(60),
            reply: secs(60),
            tls: secs(15),
            data_open: secs(20),
            final_reply: secs(300),
            abort: secs(10),
            quit: secs(10),
        },
        events: Some(ConnectionId::CONTROL),
    }
}

/// A session and what has happened in it.
pub(crate) struct Play {
    pub(crate) session: ClientSession,
    pub(crate) now: Time,
    pub(crate) log: String,
}

impl Play {
    pub(crate) fn new(settings: Settings) -> Play {
        Play { session: ClientSession::new(Time::ZERO, settings), now: Time::ZERO, log: String::new() }
    }

    pub(crate) fn run(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(line) = line.strip_prefix("S: ") {
                writeln!(self.log, "S: {line}").unwrap();
                self.session.handle_input(self.now, format!("{line}\r\n").as_bytes());
            } else if let Some(line) = line.strip_prefix("? ") {
                writeln!(self.log, "? {line}").unwrap();
                self.ask(line);
            } else if let Some(line) = line.strip_prefix("> ") {
                writeln!(self.log, "> {line}").unwrap();
                self.happen(line);
            }
            self.drain();
        }
    }

    pub(crate) fn ask(&mut self, line: &str) {
        let path = |s: &str| PathArg::new(s).unwrap();
        let text = |s: &str| Text::new(s).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let mode = if words.contains(&"active") { DataMode::Active } else { DataMode::Passive };
        let representation = match () {
            () if words.contains(&"image") => Some(Representation::Image),
            () if words.contains(&"ascii") => Some(Representation::Ascii),
            () => None,
        };
        let from = words.iter().find_map(|w| w.strip_prefix('@')).map_or(0, |n| n.parse().unwrap());
        let more = words.contains(&"more");
        let transfer = |what| Request::Transfer(TransferRequest { what, mode, representation, from, more });
        let request = match words.as_slice() {
            ["abort"] => {
                self.session.abort(self.now);
                return;
            }
            ["user", name] => Request::User(text(name)),
            ["pass", word] => Request::Pass(Secret::new(*word)),
            ["acct", word] => Request::Acct(Secret::new(*word)),
            ["login", name, word, ..] => {
                let passive = words.contains(&"passive");
                Request::Login { user: text(name), password: Secret::new(*word), representation, passive }
            }
            ["sizes", of @ ..] => {
                let commands = of.iter().map(|of| Command::Size(path(of))).collect();
                Request::Batch(commands, Some(Representation::Image))
            }
            ["delete", names @ ..] => {
                Request::Batch(names.iter().map(|name| Command::Dele(path(name))).collect(), None)
            }
            ["cwd", to] => Request::Command(Command::Cwd(path(to)), None),
            ["size", of] => Request::Command(Command::Size(path(of)), Some(Representation::Image)),
            ["rename", from, to] => Request::Rename(path(from), path(to)),
            ["type", "a"] => Request::Representation(Representation::Ascii),
            ["raw", ..] => Request::Raw(text(&line[4..])),
            ["tls"] => Request::StartTls,
            ["elsewhere", name] => Request::Elsewhere(Command::Retr(path(name))),
            ["protect"] => Request::Protect,
            ["ccc"] => Request::StopTls,
            ["probe"] => Request::Probe,
            ["quit"] => Request::Quit,
            ["get", name, ..] => transfer(Transfer::Command(Command::Retr(path(name)))),
            ["put", name, ..] => transfer(Transfer::Command(Command::Stor(path(name)))),
            ["list", ..] => transfer(Transfer::Command(Command::List(Listing::default()))),
            ["entries", ..] => transfer(Transfer::Entries(None)),
            _ => panic!("? {line}"),
        };
        self.session.start(self.now, request);
    }

    pub(crate) fn happen(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let op = |s: &str| OpId(s.trim_start_matches('#').parse().unwrap());
        let (s, now) = (&mut self.session, self.now);
        match words.as_slice() {
            ["eof"] => s.handle_eof(now),
            ["connected", n] => s.handle_outcome(now, op(n), Outcome::Connected(Ok(()))),
            ["refused", n] => s.handle_outcome(now, op(n), Outcome::Connected(Err("refused".into()))),
            ["secured", n] => s.handle_outcome(now, op(n), Outcome::Secured(Ok(()))),
            ["insecure", n] => s.handle_outcome(now, op(n), Outcome::Secured(Err("a wrong name".into()))),
            ["listening", n, at] => s.handle_outcome(now, op(n), Outcome::Listening(Ok(at.parse().unwrap()))),
            ["begun", n] => s.handle_data(now, op(n), DataState::Begun),
            ["ended", n] => s.handle_data(now, op(n), DataState::Ended),
            ["broken", n] => s.handle_data(now, op(n), DataState::Broken("reset".into())),
            ["after", secs] => {
                self.now = now + Duration::from_secs(secs.parse().unwrap());
                s.handle_timeout(self.now);
            }
            _ => panic!("> {line}"),
        }
    }

    pub(crate) fn drain(&mut self) {
        loop {
            let out = &mut self.log;
            match self.session.poll_output() {
                Output::Wait(_) => return,
                Output::Send(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                    // Telnet's answers have no end of a line.
                    write!(out, "C: {text}{}", if text.ends_with('\n') { "" } else { "\n" })
                }
                Output::SendUrgent(bytes) => writeln!(out, "urgent {bytes:x?}"),
                Output::Do(op, Action::Connect(to)) => writeln!(out, "do #{} connect {to}", op.0),
                Output::Do(op, Action::Listen) => writeln!(out, "do #{} listen", op.0),
                Output::Do(op, Action::Accept(on)) => writeln!(out, "do #{} accept #{}", op.0, on.0),
                Output::Do(op, Action::StartTls) => writeln!(out, "do #{} start tls", op.0),
                Output::Do(op, Action::StopTls) => writeln!(out, "do #{} stop tls", op.0),
                Output::Do(op, Action::Secure(what)) => writeln!(out, "do #{} secure #{}", op.0, what.0),
                Output::Release(op) => writeln!(out, "release #{}", op.0),
                Output::Started(_, s) => {
                    let mark = s.mark.map_or("nothing".to_owned(), |mark| mark.to_string());
                    writeln!(out, "started #{} {}: {mark}", s.data.0, s.verb)
                }
                Output::Done(_, Ok(answer)) => writeln!(out, "done {}", shown(&answer)),
                Output::Done(_, Err(error)) => writeln!(out, "error {error}"),
                Output::Close => writeln!(out, "close"),
                Output::Event(event) => match event.kind {
                    EventKind::Note { text, .. } => writeln!(out, "note {text}"),
                    EventKind::Malformed { why, .. } => writeln!(out, "malformed {why}"),
                    _ => Ok(()),
                },
            }
            .unwrap();
        }
    }
}

fn shown(answer: &Answer) -> String {
    let maybe = |reply: &Option<Reply>| reply.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    match answer {
        Answer::Reply(reply) => format!("reply {reply}"),
        Answer::Replies(replies) => {
            format!("replies {}", replies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Answer::Login(LoginStep::Done(reply)) => format!("logged in {reply}"),
        Answer::Login(LoginStep::Password(reply)) => format!("password {reply}"),
        Answer::Login(LoginStep::Account(reply)) => format!("account {reply}"),
        Answer::Representation(reply) => format!("representation {}", maybe(reply)),
        Answer::Protected => "protected".to_owned(),
        Answer::Probed => "probed".to_owned(),
        Answer::Transferred(reply) => format!("transferred {reply}"),
        Answer::Aborted => "aborted".to_owned(),
        Answer::Ended(reply) => format!("ended {}", maybe(reply)),
    }
}

/// Plays a transcript from the connection on.
pub(crate) fn from_start(script: &str) {
    let mut play = Play::new(settings());
    play.run(script);
    compare(&play.log, script);
}

/// Plays a transcript of a session that is logged in.
pub(crate) fn transcript(script: &str) {
    with_settings(settings(), script);
}

pub(crate) fn with_settings(settings: Settings, script: &str) {
    let mut play = Play::new(settings);
    play.run("S: 220 hi");
    play.log.clear();
    play.run(script);
    compare(&play.log, script);
}

pub(crate) fn compare(log: &str, script: &str) {
    let wanted: String = script.lines().map(str::trim).filter(|l| !l.is_empty()).flat_map(|l| [l, "\n"]).collect();
    assert!(log == wanted, "--- wanted\n{wanted}--- played\n{log}");
}

/// What precedes a passive transfer: in the tests below operation 0 is its data connection.
pub(crate) const PASSIVE: &str = "
    C: EPSV
    S: 229 ok (|||5000|)
    do #0 connect 192.0.2.1:5000
    > connected #0";
