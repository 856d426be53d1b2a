//! Transcripts of sessions on a virtual clock.
//!
//! A transcript is a text: the lines that begin with `S:` (the server), `?` (the user) and `>` (the driver, the clock)
//! are put in, and every other line must come out, in that place.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::command::{Command, Listing, Text};
use crate::event::EventKind;
use crate::path::PathArg;
use crate::secret::{MASK, Secret};
use crate::server::{Form, OpId};
use crate::time::Time;

fn settings() -> Settings {
    let secs = Duration::from_secs;
    Settings {
        peer: "192.0.2.1".parse().unwrap(),
        limits: Limits {
            greeting: secs(60),
            reply: secs(60),
            data_open: secs(20),
            final_reply: secs(300),
            abort: secs(10),
            quit: secs(10),
        },
        events: Some(crate::event::ConnectionId::CONTROL),
    }
}

struct Play {
    session: ClientSession,
    now: Time,
    log: String,
}

impl Play {
    fn new(settings: Settings) -> Play {
        Play { session: ClientSession::new(Time::ZERO, settings), now: Time::ZERO, log: String::new() }
    }

    fn run(&mut self, script: &str) {
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

    fn ask(&mut self, line: &str) {
        let path = |s: &str| PathArg::new(s).unwrap();
        let text = |s: &str| Text::new(s).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let mode = if words.contains(&"active") { DataMode::Active } else { DataMode::Passive };
        let form = words.contains(&"image").then_some(Form::Image);
        let from = words.iter().find_map(|w| w.strip_prefix('@')).map_or(0, |n| n.parse().unwrap());
        let transfer = |what| Request::Transfer(TransferRequest { what, mode, form, from });
        let request = match words.as_slice() {
            ["abort"] => {
                self.session.abort(self.now);
                return;
            }
            ["user", name] => Request::User(text(name)),
            ["pass", word] => Request::Pass(Secret::new(*word)),
            ["acct", word] => Request::Acct(Secret::new(*word)),
            ["cwd", to] => Request::Command(Command::Cwd(path(to)), None),
            ["size", of] => Request::Command(Command::Size(path(of)), Some(Form::Image)),
            ["rename", from, to] => Request::Rename(path(from), path(to)),
            ["type", "a"] => Request::Form(Form::Ascii),
            ["raw", ..] => Request::Raw(text(&line[4..])),
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

    fn happen(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let op = |s: &str| OpId(s.trim_start_matches('#').parse().unwrap());
        let (s, now) = (&mut self.session, self.now);
        match words.as_slice() {
            ["eof"] => s.handle_eof(now),
            ["connected", n] => s.handle_outcome(now, op(n), Outcome::Connected(Ok(()))),
            ["refused", n] => s.handle_outcome(now, op(n), Outcome::Connected(Err("refused".into()))),
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

    fn drain(&mut self) {
        loop {
            let out = &mut self.log;
            match self.session.poll_output() {
                Output::Wait(_) => return,
                Output::Send(bytes) => write!(out, "C: {}", String::from_utf8_lossy(&bytes).replace("\r\n", "\n")),
                Output::SendUrgent(bytes) => writeln!(out, "urgent {bytes:x?}"),
                Output::Do(op, Action::Connect(to)) => writeln!(out, "do #{} connect {to}", op.0),
                Output::Do(op, Action::Listen) => writeln!(out, "do #{} listen", op.0),
                Output::Do(op, Action::Accept(on)) => writeln!(out, "do #{} accept #{}", op.0, on.0),
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
    let maybe = |reply: &Option<crate::Reply>| reply.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    match answer {
        Answer::Reply(reply) => format!("reply {reply}"),
        Answer::Login(LoginStep::Done(reply)) => format!("logged in {reply}"),
        Answer::Login(LoginStep::Password(reply)) => format!("password {reply}"),
        Answer::Login(LoginStep::Account(reply)) => format!("account {reply}"),
        Answer::Form(reply) => format!("form {}", maybe(reply)),
        Answer::Probed => "probed".to_owned(),
        Answer::Transferred(reply) => format!("transferred {reply}"),
        Answer::Aborted => "aborted".to_owned(),
        Answer::Ended(reply) => format!("ended {}", maybe(reply)),
    }
}

/// Plays a transcript from the connection on.
fn from_start(script: &str) {
    let mut play = Play::new(settings());
    play.run(script);
    compare(&play.log, script);
}

/// Plays a transcript of a session that is logged in.
fn transcript(script: &str) {
    with_settings(settings(), script);
}

fn with_settings(settings: Settings, script: &str) {
    let mut play = Play::new(settings);
    play.run("S: 220 hi");
    play.log.clear();
    play.run(script);
    compare(&play.log, script);
}

fn compare(log: &str, script: &str) {
    let wanted: String = script.lines().map(str::trim).filter(|l| !l.is_empty()).flat_map(|l| [l, "\n"]).collect();
    assert!(log == wanted, "--- wanted\n{wanted}--- played\n{log}");
}

/// What precedes a passive transfer: in the tests below operation 0 is its data connection.
const PASSIVE: &str = "
    C: EPSV
    S: 229 ok (|||5000|)
    do #0 connect 192.0.2.1:5000
    > connected #0";

#[test]
fn the_reference_session() {
    from_start(
        "S: 220 ANY-DOMAIN.COM FTP Service
        done reply 220 ANY-DOMAIN.COM FTP Service
        ? user ftp
        C: USER ftp
        S: 331 send identity (e-mail name) as password.
        done password 331 send identity (e-mail name) as password.
        ? pass me@example.org
        C: PASS me@example.org
        S: 230-Welcome
        S: 230 Anonymous user logged in.
        done logged in 230 Anonymous user logged in.
        ? list active
        do #0 listen
        > listening #0 192.0.2.9:5001
        C: PORT 192,0,2,9,19,137
        S: 200 PORT command successful.
        C: LIST
        do #1 accept #0
        S: 150 Opening ASCII mode data connection for /bin/ls.
        > connected #1
        started #1 LIST: 150 Opening ASCII mode data connection for /bin/ls.
        > ended #1
        S: 226 Transfer complete.
        release #1
        done transferred 226 Transfer complete.
        ? cwd pub
        C: CWD pub
        S: 250 CWD command successful.
        done reply 250 CWD command successful.
        ? type a
        done form nothing
        ? quit
        C: QUIT
        S: 221 Thank you for visiting.
        > eof
        done ended 221 Thank you for visiting.
        close
        ",
    );
}

#[test]
fn greetings() {
    from_start("S: 120 in 2 minutes\n S: 220 now\n done reply 220 now");
    from_start("S: 530 too many\n error greeting: the server answered 530 too many\n close");
    from_start("S: 421 too many\n error the server closed the session: 421 too many\n close");
    from_start("> eof\n error greeting: the server closed the control connection\n close");
    from_start("> after 60\n error greeting: no greeting within 60s\n close");
    from_start(
        "S: SSH-2.0-OpenSSH_9.2
        malformed a reply without a code: SSH-2.0-OpenSSH_9.2
        error greeting: this is no FTP server: a reply without a code: SSH-2.0-OpenSSH_9.2
        close",
    );
}

#[test]
fn logins() {
    transcript("? user x\n C: USER x\n S: 230 in\n done logged in 230 in");
    transcript("? user x\n C: USER x\n S: 332 account\n done account 332 account");
    transcript("? pass x\n C: PASS x\n S: 202 superfluous\n done logged in 202 superfluous");
    transcript("? pass x\n C: PASS x\n S: 332 more\n done account 332 more");
    transcript("? acct x\n C: ACCT x\n S: 230 in\n done logged in 230 in");
    transcript("? pass x\n C: PASS x\n S: 530 no\n error PASS: the server answered 530 no");
    transcript(
        "? user x\n C: USER x\n S: 421 bye\n error the server closed the session: 421 bye\n close
        ? user y\n error the server closed the session: 421 bye",
    );
}

#[test]
fn commands_take_any_completion() {
    transcript("? cwd a\n C: CWD a\n S: 200 fine\n done reply 200 fine");
    transcript("? cwd a\n C: CWD a\n S: 550 no\n error CWD: the server answered 550 no");
    transcript("? size a\n C: TYPE I\n S: 200 ok\n C: SIZE a\n S: 213 5\n done reply 213 5\n ? size a\n C: SIZE a");
    transcript("? size a\n C: TYPE I\n S: 504 no\n error TYPE: the server answered 504 no");
    transcript("? rename a b\n C: RNFR a\n S: 350 ok\n C: RNTO b\n S: 250 ok\n done reply 250 ok");
    transcript("? rename a b\n C: RNFR a\n S: 550 none\n error RNFR: the server answered 550 none");
    transcript("? raw SITE HELP\n C: SITE HELP\n S: 502 no\n done reply 502 no");
    transcript("? raw type i\n C: type i\n S: 200 ok\n done reply 200 ok\n ? size a\n C: SIZE a");
    transcript("? cwd a\n C: CWD a\n ? cwd b\n error the session is busy with another call");
}

#[test]
fn what_does_not_answer_has_failed() {
    transcript("? cwd a\n C: CWD a\n > after 59\n > after 1\n error command: no reply to CWD within 60s\n close");
    transcript(
        "? quit\n C: QUIT\n > after 10\n error command: the server has not ended the session within 10s\n close",
    );
    transcript("? quit\n C: QUIT\n S: 221 bye\n > after 10\n done ended 221 bye\n close");
    transcript("? quit\n C: QUIT\n > eof\n done ended nothing\n close");
    transcript("? user x\n C: USER x\n > eof\n error login: the server closed the control connection\n close");
}

#[test]
fn probing_sets_what_the_server_has() {
    transcript(
        "? probe
        C: FEAT
        S: 211-Features:
        S:  UTF8
        S: 211-MLST type*;size*;modify;
        S: 211 End
        C: OPTS UTF8 ON
        S: 500 no
        C: OPTS MLST type;size;modify;
        S: 200 MLST OPTS type;size;modify;
        done probed
        ? entries
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: MLSD
        ",
    );
    transcript("? probe\n C: FEAT\n S: 502 what?\n done probed\n ? entries\n C: EPSV");
}

#[test]
fn data_and_final_reply_come_in_either_order() {
    for end in ["> ended #0\n S: 226 ok", "S: 226 ok\n > ended #0", "S: 250 ok\n > ended #0"] {
        let last = if end.contains("250") { "250" } else { "226" };
        transcript(&format!(
            "? get f {PASSIVE}
            C: RETR f
            S: 150 Opening (5 bytes)
            started #0 RETR: 150 Opening (5 bytes)
            {end}
            release #0
            done transferred {last} ok"
        ));
    }
}

#[test]
fn a_missing_mark_is_made_up_for_by_the_data() {
    transcript(&format!(
        "? get f {PASSIVE}
        C: RETR f
        > begun #0
        started #0 RETR: nothing
        > ended #0
        S: 226 ok
        release #0
        done transferred 226 ok"
    ));
    transcript(&format!("? get f {PASSIVE}\n C: RETR f\n S: 226 ok\n started #0 RETR: nothing"));
    transcript(&format!("? put f {PASSIVE}\n C: STOR f\n > after 10\n started #0 STOR: nothing"));
}

#[test]
fn refusals_name_their_phase() {
    let refused =
        |after: &str| format!("? get f {PASSIVE}\n C: RETR f\n {after}\n release #0\n error RETR: the server answered");
    transcript(&format!("{} 550 none", refused("S: 550 none")));
    transcript(&format!("{} 425 cannot", refused("S: 425 cannot")));
    let mark = "S: 150 go\n started #0 RETR: 150 go";
    transcript(&format!("{} 426 broken", refused(&format!("{mark}\n S: 426 broken"))));
    transcript(&format!("{} 451 disk", refused(&format!("{mark}\n > ended #0\n S: 451 disk"))));
    for (script, phase) in [
        ("S: 550 none", Phase::Command),
        ("S: 425 cannot", Phase::DataOpen),
        ("S: 150 go\n S: 426 broken", Phase::Transfer),
        ("S: 150 go\n > ended #0\n S: 451 disk", Phase::FinalReply),
    ] {
        let mut play = Play::new(settings());
        play.run(&format!("S: 220 hi\n ? get f {PASSIVE}"));
        let (last, before) = script.rsplit_once('\n').map_or((script, ""), |(before, last)| (last.trim(), before));
        play.run(before);
        play.session.handle_input(play.now, format!("{}\r\n", &last[3..]).as_bytes());
        let error = std::iter::from_fn(|| Some(play.session.poll_output())).find_map(|out| match out {
            Output::Done(_, Err(SessionError::Refused { phase, .. })) => Some(phase),
            _ => None,
        });
        assert_eq!(error, Some(phase), "{script}");
    }
}

#[test]
fn epsv_gives_way_to_pasv_and_is_remembered() {
    transcript(
        "? get f
        C: EPSV
        S: 500 what?
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: RETR f
        S: 550 none
        release #0
        error RETR: the server answered 550 none
        ? get f
        C: PASV",
    );
    transcript("? get f\n C: EPSV\n S: 227 ok 192,0,2,1,19,136\n do #0 connect 192.0.2.1:5000");
    transcript("? get f\n C: EPSV\n S: 500 no\n C: PASV\n S: 502 no\n error PASV: the server answered 502 no");
    transcript(
        "? get f\n C: EPSV\n S: 229 ok\n C: PASV\n S: 227 ok
        error opening the data connection: no address to connect to in the reply 227 ok",
    );
}

#[test]
fn a_passive_port_that_cannot_be_reached_is_asked_for_another_way() {
    transcript(
        "? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > refused #0
        release #0
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #1 connect 192.0.2.1:5000
        > after 20
        release #1
        error opening the data connection: no data connection within 20s
        ? get f
        C: EPSV",
    );
    transcript(
        "? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > refused #0
        release #0
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: RETR f
        S: 550 none
        release #1
        error RETR: the server answered 550 none
        ? get f
        C: PASV",
    );
}

#[test]
fn the_address_of_a_227_is_not_trusted() {
    transcript(
        "? raw NOOP
        C: NOOP
        S: 200 ok
        done reply 200 ok
        ? get f
        C: EPSV
        S: 500 no
        C: PASV
        S: 227 ok (10,0,0,1,19,136)
        note the server names 10.0.0.1, its own address 192.0.2.1 is used
        do #0 connect 192.0.2.1:5000",
    );
}

#[test]
fn ipv6_has_no_pasv_and_no_port() {
    let v6 = Settings { peer: "2001:db8::1".parse().unwrap(), ..settings() };
    with_settings(v6, "? get f\n C: EPSV\n S: 500 no\n error EPSV: the server answered 500 no");
    with_settings(
        v6,
        "? get f active\n do #0 listen\n > listening #0 [2001:db8::9]:5001\n C: EPRT |2|2001:db8::9|5001|",
    );
}

#[test]
fn port_gives_way_to_eprt() {
    transcript(
        "? get f active
        do #0 listen
        > listening #0 192.0.2.9:5001
        C: PORT 192,0,2,9,19,137
        S: 500 what?
        C: EPRT |1|192.0.2.9|5001|
        S: 200 ok
        C: RETR f
        do #1 accept #0",
    );
}

#[test]
fn the_server_opens_no_data_connection() {
    let opened = "? get f active\n do #0 listen\n > listening #0 192.0.2.9:5001\n C: PORT 192,0,2,9,19,137
        S: 200 ok\n C: RETR f\n do #1 accept #0";
    transcript(&format!(
        "{opened}
        S: 150 go
        > after 20
        release #1
        error opening the data connection: the server has opened no data connection within 20s
        ? abort
        urgent [ff, f4, ff, f2]
        C: ABOR
        S: 425 cannot open
        S: 225 nothing runs
        done aborted"
    ));
    transcript(&format!(
        "{opened}
        S: 226 done
        > after 2
        release #1
        error opening the data connection: the server answered 226 done, but there was no data connection"
    ));
}

#[test]
fn offsets_are_sent_last_and_never_ignored() {
    transcript(&format!(
        "? get f @100 image
        C: TYPE I
        S: 200 ok
        {}
        C: REST 100
        S: 350 ok
        C: RETR f",
        PASSIVE.trim()
    ));
    transcript(&format!(
        "? get f @100 {PASSIVE}\n C: REST 100\n S: 502 no\n release #0\n error REST: the server answered 502 no"
    ));
}

#[test]
fn an_offset_that_was_not_used_is_taken_back() {
    transcript(&format!(
        "? get f @100 {PASSIVE}
        C: REST 100
        S: 350 ok
        C: RETR f
        S: 550 none
        release #0
        error RETR: the server answered 550 none
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: REST 0
        S: 501 what?
        C: RETR f"
    ));
}

#[test]
fn uploads_end_before_they_are_done() {
    let started = format!("? put f {PASSIVE}\n C: STOR f\n S: 150 go\n started #0 STOR: 150 go");
    transcript(&format!("{started}\n > ended #0\n S: 226 ok\n release #0\n done transferred 226 ok"));
    transcript(&format!("{started}\n S: 452 full\n release #0\n error STOR: the server answered 452 full"));
    transcript(&format!(
        "{started}\n S: 226 ok\n release #0\n error transfer: the server answered 226 ok before the upload's end"
    ));
    transcript(&format!(
        "{started}\n > broken #0\n S: 552 quota\n release #0\n error STOR: the server answered 552 quota"
    ));
    transcript(&format!("{started}\n > broken #0\n S: 226 ok\n release #0\n error transfer: reset"));
    transcript(&format!("{started}\n > broken #0\n > after 10\n release #0\n error transfer: reset"));
    transcript(&format!(
        "{started}\n > ended #0\n > after 300\n release #0\n error final reply: no final reply to STOR within 300s"
    ));
}

#[test]
fn listings_fall_back_and_may_be_empty() {
    let probed = "? probe\n C: FEAT\n S: 211-x\n S:  EPSV\n S:  MLST type*;size*;modify*;\n S: 211 End\n done probed";
    transcript(&format!(
        "{probed}
        ? entries {PASSIVE}
        C: MLSD
        S: 500 what?
        release #0
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: LIST
        S: 150 go
        started #1 LIST: 150 go"
    ));
    for reply in ["450 No files found", "550 No files found."] {
        transcript(&format!("? list {PASSIVE}\n C: LIST\n S: {reply}\n release #0\n done transferred {reply}"));
    }
}

#[test]
fn replies_that_nobody_asked_for() {
    let got = format!(
        "? get f {PASSIVE}\n C: RETR f\n S: 226 ok\n started #0 RETR: nothing\n > ended #0\n release #0\n done transferred 226 ok"
    );
    transcript(&format!("{got}\n S: 226 ok\n note the server sent a reply that nobody asked for: 226 ok"));
    transcript(&format!(
        "{got}
        ? cwd a
        C: CWD a
        S: 226 ok
        note the server sent a transfer's final reply twice: 226 ok
        S: 250 ok
        done reply 250 ok"
    ));
    transcript("S: 421 idle too long\n close\n ? cwd a\n error the server closed the session: 421 idle too long");
    transcript("? cwd a\n C: CWD a\n S: junk\n malformed a reply without a code: junk\n S: 250 ok\n done reply 250 ok");
}

#[test]
fn aborts() {
    let started = format!(
        "? get f {PASSIVE}\n C: RETR f\n S: 150 go\n started #0 RETR: 150 go\n ? abort\n urgent [ff, f4, ff, f2]\n C: ABOR"
    );
    transcript(&format!("{started}\n S: 426 stopped\n release #0\n S: 226 ok\n done aborted\n ? cwd a\n C: CWD a"));
    transcript(&format!("{started}\n S: 226 was quicker\n release #0\n S: 225 ok\n done aborted"));
    // The server ends the data only when it is made to.
    transcript(&format!("{started}\n > after 1\n release #0\n S: 426 stopped\n S: 226 ok\n done aborted"));
    // One reply for both.
    transcript(&format!("{started}\n S: 226 stopped\n release #0\n > after 2\n C: NOOP\n S: 200 ok\n done aborted"));
    transcript(&format!(
        "{started}\n S: 426 stopped\n release #0\n > after 2\n C: NOOP\n S: 226 late\n S: 200 ok\n done aborted"
    ));
    // None at all.
    transcript(&format!(
        "{started}\n > after 1\n release #0\n > after 9
        error transfer: the transfer could not be stopped within 10s
        close
        ? cwd a
        error transfer: the transfer could not be stopped within 10s"
    ));
}

#[test]
fn what_was_given_up_is_waited_for() {
    transcript("? cwd a\n C: CWD a\n ? abort\n S: 250 ok\n done aborted");
    transcript("? get f\n C: EPSV\n ? abort\n S: 229 ok (|||5000|)\n done aborted");
    transcript("? get f active\n do #0 listen\n ? abort\n release #0\n done aborted");
    transcript("? abort\n done aborted");
}

#[test]
fn secrets_are_masked_in_events() {
    let mut session = ClientSession::new(Time::ZERO, settings());
    session.handle_input(Time::ZERO, b"220 hi\r\n");
    session.start(Time::ZERO, Request::Pass(Secret::new("hunter2")));
    let mut seen = Vec::new();
    loop {
        match session.poll_output() {
            Output::Wait(_) => break,
            Output::Event(event) => seen.push(format!("{event:?}")),
            _ => {}
        }
    }
    assert!(seen.iter().any(|event| event.contains("PASS")));
    assert!(!seen.iter().any(|event| event.contains("hunter2")));
    let EventKind::Command { argument, .. } = EventKind::command(crate::event::ConnectionId(0), b"PASS x") else {
        panic!()
    };
    assert_eq!(argument, MASK.as_bytes());
}

#[test]
fn without_events_none_are_built() {
    let mut play = Play::new(Settings { events: None, ..settings() });
    play.session.handle_input(Time::ZERO, b"220 hi\r\n226 what?\r\n");
    let outputs = std::iter::from_fn(|| match play.session.poll_output() {
        Output::Wait(_) => None,
        out => Some(out),
    });
    assert!(outputs.into_iter().all(|out| !matches!(out, Output::Event(_))));
}

proptest! {
    /// Whatever a server sends, whenever: no panic, and a job's end is told once at most.
    #[test]
    fn hostile_servers(
        chunks in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20),
            "[1-6][0-9]{2}[ -][ -~]{0,12}\r\n".prop_map(String::into_bytes),
            Just(b"229 (|||5000|)\r\n".to_vec()),
            Just(b"227 1,2,3,4,5,6\r\n".to_vec()),
            Just(b"150 go\r\n".to_vec()),
            Just(b"226 ok\r\n".to_vec()),
        ], 0..12),
        asks in proptest::collection::vec(0usize..9, 0..12),
    ) {
        let mut play = Play::new(settings());
        play.run("S: 220 hi");
        for (i, chunk) in chunks.iter().enumerate() {
            let ask = ["get f", "put f", "list active", "cwd a", "abort", "probe", "quit", "rename a b", "entries"];
            if let Some(&n) = asks.get(i) {
                play.ask(ask[n]);
            }
            play.session.handle_input(play.now, chunk);
            play.session.handle_outcome(play.now, OpId(0), Outcome::Connected(Ok(())));
            play.session.handle_data(play.now, OpId(0), DataState::Ended);
            play.happen("after 5");
            play.drain();
        }
        play.session.handle_eof(play.now);
        play.drain();
        prop_assert!(play.session.is_closed());
        prop_assert!(play.log.matches("close\n").count() <= 1);
    }
}
