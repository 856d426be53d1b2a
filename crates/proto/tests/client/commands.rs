//! Greeting, login, and the commands that move no data: RFC 959 sections 4.1.1 and 5.4.

use port21_proto::Time;
use port21_proto::client::{ClientSession, Output, Request, SessionError};

use crate::play::{PASSIVE, Play, from_start, settings, transcript};

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
        done representation nothing
        ? get readme.txt active ascii
        do #2 listen
        > listening #2 192.0.2.9:5002
        C: PORT 192,0,2,9,19,138
        S: 200 PORT command successful.
        C: RETR readme.txt
        do #3 accept #2
        S: 150 Opening ASCII mode data connection for readme.txt(1715 bytes).
        > connected #3
        started #3 RETR: 150 Opening ASCII mode data connection for readme.txt(1715 bytes).
        > ended #3
        S: 226 Transfer complete.
        release #3
        done transferred 226 Transfer complete.
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
fn telnet_options_are_not_refused_for_ever() {
    let mut play = Play::new(settings());
    let mut sent = 0;
    for _ in 0..10_000 {
        play.session.handle_input(Time::ZERO, b"\xff\xfd\x01\xff\xfb\x03");
        while let Output::Send(bytes) = play.session.poll_output() {
            sent += bytes.len();
        }
    }
    assert!((6..=1024).contains(&sent), "{sent}");
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
fn quit_is_done_when_the_server_ends_the_session_in_its_own_words() {
    transcript("? quit\n C: QUIT\n S: 421 timed out just now\n done ended 421 timed out just now\n close");
}

#[test]
fn a_second_greeting_is_no_login() {
    from_start(
        "S: 220 ProFTPD
        done reply 220 ProFTPD
        ? user x
        C: USER x
        S: 220 Welcome to our server
        note the server sent a second greeting: 220 Welcome to our server
        S: 331 password
        done password 331 password",
    );
}

#[test]
fn a_new_login_may_have_another_form() {
    let type_i = "? size a\n C: TYPE I\n S: 200 ok\n C: SIZE a\n S: 213 5\n done reply 213 5";
    let again = "? user x\n C: USER x\n S: 230 in\n done logged in 230 in";
    transcript(&format!("{type_i}\n {again}\n ? size a\n C: TYPE I\n S: 200 ok\n C: SIZE a"));
    transcript(&format!("{type_i}\n ? raw USER x\n C: USER x\n S: 230 in\n done reply 230 in\n ? size a\n C: TYPE I"));
    transcript(&format!("{type_i}\n ? raw TYPE E\n C: TYPE E\n S: 200 ok\n done reply 200 ok\n ? size a\n C: TYPE I"));
    transcript(&format!("{again}\n ? type a\n done representation nothing"));
}

#[test]
fn a_server_that_only_talks_is_given_up() {
    let long = "x".repeat(100_000);
    for (job, line) in
        [("? cwd a", "150 soon"), ("? cwd a", "junk"), ("", "200 what?"), ("", "junk"), ("? cwd a", &long), ("", &long)]
    {
        let mut play = Play::new(settings());
        play.run(&format!("S: 220 hi\n {job}"));
        let mut lines = 0;
        while !play.session.is_closed() && lines < 10_000 {
            play.run(&format!("S: {line}"));
            lines += 1;
        }
        assert!(play.session.is_closed() && lines < 1000, "{job:?} {lines}");
        let next = play.session.start(play.now, Request::Probe);
        let done = std::iter::from_fn(|| match play.session.poll_output() {
            Output::Wait(_) => None,
            output => Some(output),
        });
        let too_much = |o: Output| matches!(o, Output::Done(id, Err(SessionError::TooMuch { .. })) if id == next);
        assert!(done.into_iter().any(too_much), "{job:?}");
    }
}

/// However a line without end is cut, and however many blank lines come: it is no reply, and is not waited for.
#[test]
fn what_never_becomes_a_reply_is_given_up() {
    for bytes in [&b"a"[..], b"\r\n", b"\xff\xf1", b"\xff\xfa\x01"] {
        for at_once in [1 << 10, 1 << 20, 4 << 20] {
            let mut session = ClientSession::new(Time::ZERO, settings());
            session.handle_input(Time::ZERO, b"220 hi\r\n");
            let piece = bytes.repeat(at_once / bytes.len());
            let pieces = (0..10_000).take_while(|_| {
                session.handle_input(Time::ZERO, &piece);
                !session.is_closed()
            });
            let came = pieces.count() * piece.len();
            assert!(session.is_closed() && came <= 2 << 20, "{bytes:?} {came}");
        }
    }
}

#[test]
fn a_server_that_says_too_much_now_and_then_is_not() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi");
    for _ in 0..200 {
        play.run("? cwd a\n S: junk\n S: 150 soon\n S: 250 ok\n S: 250 ok");
    }
    assert!(!play.session.is_closed());
}

#[test]
fn blank_lines_are_no_reply() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? cwd a");
    for _ in 0..60 {
        play.session.handle_input(play.now, b"\r\n\r\n\r\n");
        play.run("> after 1");
    }
    assert!(play.log.contains("error command: no reply to CWD within 60s"), "{}", play.log);
}

#[test]
fn a_reply_of_several_lines_may_end_with_another_code() {
    // RFC 959 section 4.2 first: as long as more comes it is text.
    from_start(
        "S: 220-Hello
        S: 230 users today
        S: 220 ready
        done reply 220 ready",
    );
    // Nothing more comes.
    from_start(
        "S: 220-Hello
        S: 230 users today
        > after 2
        S: more
        > after 2
        S: 221 ready
        > after 3
        note a reply of several lines ends with another code than it has begun with: 221 ready
        done reply 221 ready
        ? cwd a
        C: CWD a
        S: 250 ok
        done reply 250 ok",
    );
}

#[test]
fn names_in_utf_8_may_need_the_client_s_own() {
    transcript(
        "? probe
        C: FEAT
        S: 211-x
        S:  CLNT
        S:  UTF8
        S: 211 End
        C: CLNT port21
        S: 200 welcome
        C: OPTS UTF8 ON
        S: 501 always on
        done probed",
    );
}
