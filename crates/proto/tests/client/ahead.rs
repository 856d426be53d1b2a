//! Commands that are sent ahead of the replies to those before them, and servers that cannot take that.

use port21_proto::client::Settings;
use proptest::prelude::*;

use crate::play::{Play, settings, with_settings};

fn ahead(script: &str) {
    with_settings(Settings { send_ahead: true, ..settings() }, script);
}

/// Plays a session that ends out of step, and the next one with what it has learned.
fn then_one_at_a_time(script: &str, next: &str) {
    let ahead = Settings { send_ahead: true, ..settings() };
    let mut play = Play::new(ahead);
    play.run("S: 220 hi");
    play.log.clear();
    play.run(script);
    crate::play::compare(&play.log, script);
    let learned = play.session.learned();
    assert!(learned.is_one_at_a_time());
    with_settings(Settings { learned, ..ahead }, next);
}

#[test]
fn the_type_goes_with_what_needs_it() {
    ahead(
        "? size f
        C: TYPE I
        C: SIZE f
        S: 200 ok
        S: 213 5
        done reply 213 5
        ? size g
        C: SIZE g
        S: 550 no
        error SIZE: the server answered 550 no",
    );
    // Without its type a size is none.
    ahead(
        "? size f
        C: TYPE I
        C: SIZE f
        S: 504 no
        S: 213 5
        error TYPE: the server answered 504 no",
    );
}

#[test]
fn a_login_is_one_round_trip_where_it_is_known() {
    ahead(
        "? login ann secret image
        C: USER ann
        C: PASS secret
        C: TYPE I
        S: 331 password?
        S: 230 in
        S: 200 ok
        done logged in 230 in
        ? size f
        C: SIZE f
        S: 213 5
        done reply 213 5",
    );
    // With the way to the first transfer's data.
    ahead(
        "? login ann secret image passive
        C: USER ann
        C: PASS secret
        C: TYPE I
        C: EPSV
        S: 331 password?
        S: 230 in
        S: 200 ok
        done logged in 230 in
        S: 229 ok (|||5000|)
        ? get f image
        do #0 connect 192.0.2.1:5000",
    );
    ahead(
        "? login ann wrong image passive
        C: USER ann
        C: PASS wrong
        C: TYPE I
        C: EPSV
        S: 331 password?
        S: 530 wrong
        > eof
        error PASS: the server answered 530 wrong
        close",
    );
    // In without a password: what is said to it means nothing.
    for reply in ["230 in already", "503 who are you?", "202 not needed"] {
        ahead(&format!(
            "? login ann secret
            C: USER ann
            C: PASS secret
            S: 230 in
            S: {reply}
            done logged in 230 in"
        ));
    }
    ahead(
        "? login ann secret
        C: USER ann
        C: PASS secret
        S: 530 no
        S: 503 USER first
        error USER: the server answered 530 no",
    );
    ahead(
        "? login ann wrong image
        C: USER ann
        C: PASS wrong
        C: TYPE I
        S: 331 password?
        S: 530 wrong
        S: 530 log in first
        error PASS: the server answered 530 wrong",
    );
    ahead(
        "? login ann secret
        C: USER ann
        C: PASS secret
        S: 332 account?
        S: 503 no
        done account 332 account?",
    );
}

#[test]
fn a_login_that_is_not_taken_at_once_is_done_step_by_step() {
    then_one_at_a_time(
        "? login ann secret
        C: USER ann
        C: PASS secret
        S: 331 password?
        S: 503 USER first
        C: USER ann
        S: 331 password?
        C: PASS secret
        S: 230 in
        done logged in 230 in",
        "? login ann secret image
        C: USER ann
        S: 331 password?
        C: PASS secret
        S: 230 in
        done logged in 230 in",
    );
}

#[test]
fn a_new_name_waits_for_the_name() {
    ahead(
        "? rename a b
        C: RNFR a
        S: 350 ready
        C: RNTO b
        S: 250 done
        done reply 250 done
        ? rename a b
        C: RNFR a
        S: 550 no a
        error RNFR: the server answered 550 no a",
    );
}

#[test]
fn what_is_probed_for() {
    ahead(
        "? probe
        C: FEAT
        S: 211-Features:
        S:  UTF8
        S:  CLNT
        S:  MLST type;size;modify*;
        S: 211 End
        C: CLNT port21
        C: OPTS UTF8 ON
        C: OPTS MLST type;size;modify;
        S: 200 noted
        S: 500 no
        S: 200 ok
        done probed",
    );
}

#[test]
fn many_commands_are_under_way_at_once_but_not_all() {
    let names: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
    let sent = |range: std::ops::Range<usize>| range.map(|n| format!("C: DELE f{n}\n")).collect::<String>();
    let mut script = format!("? delete {}\n{}", names.join(" "), sent(0..32));
    for n in 0..40 {
        script += "S: 250 gone\n";
        if n + 32 < 40 {
            script += &sent(n + 32..n + 33);
        }
    }
    script += &format!("done replies {}\n", vec!["250 gone"; 40].join(", "));
    ahead(&script);
}

#[test]
fn an_unknown_command_is_asked_again_alone_and_once() {
    ahead(
        "? sizes a b
        C: TYPE I
        C: SIZE a
        C: SIZE b
        S: 200 ok
        S: 500 what?
        S: 500 what?
        C: SIZE a
        S: 500 what?
        C: SIZE b
        S: 500 what?
        done replies 500 what?, 500 what?
        ? sizes a b
        C: SIZE a
        C: SIZE b
        S: 500 what?
        S: 500 what?
        done replies 500 what?, 500 what?",
    );
    // It was the server that has taken two lines for one.
    then_one_at_a_time(
        "? sizes a
        C: TYPE I
        C: SIZE a
        S: 500 what?
        S: 213 5
        C: TYPE I
        S: 200 ok
        C: SIZE a
        S: 213 5
        done replies 213 5",
        "? sizes a
        C: TYPE I
        S: 200 ok
        C: SIZE a
        S: 213 5
        done replies 213 5",
    );
}

#[test]
fn the_type_and_the_way_to_the_data() {
    ahead(
        "? get f image
        C: TYPE I
        C: EPSV
        S: 200 ok
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: RETR f
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done",
    );
    ahead(
        "? get f image
        C: TYPE I
        C: EPSV
        S: 504 no
        S: 229 ok (|||5000|)
        error TYPE: the server answered 504 no",
    );
    // EPSV that is not known is asked once more, and then is not known.
    ahead(
        "? get f image
        C: TYPE I
        C: EPSV
        S: 200 ok
        S: 500 what?
        C: EPSV
        S: 500 what?
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #0 connect 192.0.2.1:5000
        > refused #0
        release #0
        error opening the data connection: refused",
    );
    then_one_at_a_time(
        "? get f image
        C: TYPE I
        C: EPSV
        S: 200 ok
        S: 500 what?
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000",
        "? get f image
        C: TYPE I
        S: 200 ok
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000",
    );
}

#[test]
fn an_offset_goes_with_its_download() {
    let begin = "
        ? get f @5
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: REST 5
        S: 350 ok
        C: RETR f
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        ? get f @5
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: REST 5
        C: RETR f";
    // The first byte is none of the file's before REST is answered.
    ahead(&format!(
        "{begin}
        > begun #1
        S: 350 ok
        started #1 RETR: nothing
        S: 150 go
        > ended #1
        S: 226 done
        release #1
        done transferred 226 done"
    ));
    // What comes is not what was asked for.
    then_one_at_a_time(
        &format!(
            "{begin}
            S: 501 no
            note the server cannot take several commands at once: REST was sent ahead of RETR, and answered 501 no
            error command: the server's replies are out of step with the commands: REST was sent ahead of RETR, and answered 501 no
            close"
        ),
        "? get f @5
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: REST 5
        S: 501 no
        release #0
        error REST: the server answered 501 no",
    );
    // REST was dropped.
    ahead(&format!(
        "{begin}
        S: 150 go
        note the server cannot take several commands at once: REST was answered 150 go
        error command: the server's replies are out of step with the commands: REST was answered 150 go
        close"
    ));
}

#[test]
fn an_offset_never_goes_with_an_upload() {
    ahead(
        "? get f @5
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: REST 5
        S: 350 ok
        C: RETR f
        S: 550 no
        release #0
        error RETR: the server answered 550 no
        ? put f @5
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: REST 5
        S: 350 ok
        C: STOR f",
    );
}

const FIRST_OF_TWO: &str = "
    ? get f more
    C: EPSV
    S: 229 ok (|||5000|)
    do #0 connect 192.0.2.1:5000
    > connected #0
    C: RETR f
    C: EPSV";

#[test]
fn the_next_way_is_asked_for_behind_a_download() {
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        ? get g
        S: 229 ok (|||5001|)
        do #1 connect 192.0.2.1:5001
        > connected #1
        C: RETR g
        S: 550 no
        release #1
        error RETR: the server answered 550 no"
    ));
    // A refusal of the file is one, and the way stands.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 550 no
        S: 229 ok (|||5001|)
        release #0
        error RETR: the server answered 550 no
        ? get g
        do #1 connect 192.0.2.1:5001"
    ));
    // It leads nowhere: asked for anew, and nothing is held against EPSV.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 550 no
        S: 229 ok (|||5001|)
        release #0
        error RETR: the server answered 550 no
        ? get g
        do #1 connect 192.0.2.1:5001
        > refused #1
        release #1
        C: EPSV
        S: 229 ok (|||5002|)
        do #2 connect 192.0.2.1:5002
        > connected #2
        C: RETR g"
    ));
    // Too old.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 550 no
        S: 229 ok (|||5001|)
        release #0
        error RETR: the server answered 550 no
        > after 11
        ? get g
        C: EPSV"
    ));
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        > after 11
        ? get g
        C: EPSV
        S: 229 ok (|||5001|)
        S: 229 ok (|||5002|)
        do #1 connect 192.0.2.1:5002"
    ));
    // Refused behind a download, it is not asked for there again.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        S: 450 not now
        ? get g more
        C: EPSV
        S: 229 ok (|||5001|)
        do #1 connect 192.0.2.1:5001
        > connected #1
        C: RETR g"
    ));
}

#[test]
fn a_server_that_looks_at_its_input_while_it_sends() {
    // 450 is the reply to EPSV, and 226 shows it.
    then_one_at_a_time(
        &format!(
            "{FIRST_OF_TWO}
            S: 150 go
            started #0 RETR: 150 go
            S: 450 a transfer is in progress
            S: 226 done
            note the server cannot take several commands at once: EPSV was answered 226 done
            error transfer: the server's replies are out of step with the commands: EPSV was answered 226 done
            close"
        ),
        "? get f more
        C: EPSV
        S: 229 ok (|||5000|)
        do #0 connect 192.0.2.1:5000
        > connected #0
        C: RETR f",
    );
    // EPSV has ended the transfer.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 229 ok (|||5001|)
        note the server cannot take several commands at once: RETR was answered 229 ok (|||5001|)
        error final reply: the server's replies are out of step with the commands: RETR was answered 229 ok (|||5001|)
        close"
    ));
}

#[test]
fn what_must_not_be_done_twice_waits() {
    // Were the replies out of step, nobody would know which file is gone.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        ? delete g
        S: 229 ok (|||5001|)
        C: DELE g
        S: 250 gone
        done replies 250 gone
        ? size g
        C: TYPE I
        C: SIZE g
        S: 200 ok
        S: 213 1
        done reply 213 1
        ? get g
        do #1 connect 192.0.2.1:5001"
    ));
    // A change of TLS most of all.
    ahead(&format!(
        "{FIRST_OF_TWO}
        S: 550 no
        > after 1
        S: 229 ok (|||5001|)
        release #0
        error RETR: the server answered 550 no
        ? tls
        C: AUTH TLS
        S: 234 go
        do #1 start tls"
    ));
}

#[test]
fn input_that_came_early_is_thrown_away() {
    then_one_at_a_time(
        "? size f
        C: TYPE I
        C: SIZE f
        S: 200 ok
        > after 5
        note the server cannot take several commands at once: SIZE was sent ahead, and has no reply within 5s
        error command: the server's replies are out of step with the commands: SIZE was sent ahead, and has no reply within 5s
        close",
        "? size f
        C: TYPE I
        S: 200 ok
        C: SIZE f
        S: 213 5
        done reply 213 5",
    );
    // A lone command has its time.
    ahead(
        "? cwd d
        C: CWD d
        > after 59
        S: 250 ok
        done reply 250 ok",
    );
    // And so has one that must not be done twice.
    ahead(
        "? delete a b
        C: DELE a
        C: DELE b
        S: 250 gone
        > after 59
        S: 250 gone
        done replies 250 gone, 250 gone",
    );
}

#[test]
fn a_connection_that_ends_over_two_commands() {
    then_one_at_a_time(
        "? size f
        C: TYPE I
        C: SIZE f
        > eof
        note the server cannot take several commands at once: it closed the connection when several came at once
        error command: the server's replies are out of step with the commands: it closed the connection when several came at once
        close",
        "? size f
        C: TYPE I",
    );
    // A server that has taken several before has other reasons.
    ahead(
        "? size f
        C: TYPE I
        C: SIZE f
        S: 200 ok
        S: 213 5
        done reply 213 5
        ? sizes a b
        C: SIZE a
        C: SIZE b
        > eof
        error command: the server closed the control connection
        close",
    );
}

#[test]
fn what_is_given_up_is_waited_for() {
    ahead(&format!(
        "? size f
        C: TYPE I
        C: SIZE f
        ? abort
        S: 200 ok
        S: 213 5
        done aborted
        {FIRST_OF_TWO}
        ? abort
        urgent [ff, f4, ff, f2]
        C: ABOR
        S: 426 no
        release #0
        S: 229 ok (|||5001|)
        S: 226 aborted
        done aborted
        ? get g
        C: EPSV"
    ));
}

proptest! {
    /// A server that takes all commands in their order is never found out of step, however its replies are cut, and gives the same
    /// answers as to a client that waits.
    #[test]
    fn a_server_in_step(
        asks in proptest::collection::vec(0usize..6, 1..12),
        codes in proptest::collection::vec(prop_oneof![Just(true), Just(false)], 64),
        cut in 1usize..40,
    ) {
        let told = |send_ahead| {
            let mut play = Play::new(Settings { send_ahead, ..settings() });
            play.run("S: 220 hi");
            let (mut at, mut done) = (play.log.len(), 1);
            let mut dice = codes.iter().cycle().copied();
            for &ask in &asks {
                let asked = ["size f", "rename a b", "sizes a b c", "delete a b", "probe", "login ann secret image"][ask];
                play.ask(asked);
                play.drain();
                done += 1;
                // By the command, so that both see the same server.
                for _ in 0..40 {
                    let Some(line) = play.log[at..].lines().find(|line| line.starts_with("C: ")).map(str::to_owned) else { break };
                    at += play.log[at..].find(&line).unwrap() + line.len();
                    let reply = reply_to(&line[3..], dice.next().unwrap());
                    for part in reply.as_bytes().chunks(cut) {
                        play.session.handle_input(play.now, part);
                        play.drain();
                    }
                }
            }
            let ends = play.log.lines().filter(|l| l.starts_with("done ") || l.starts_with("error ")).count();
            (play.session.is_closed(), play.session.learned().is_one_at_a_time(), ends == done)
        };
        prop_assert_eq!(told(true), (false, false, true));
        prop_assert_eq!(told(false), (false, false, true));
    }

    /// Whatever a server does with what was sent ahead, each job has one end, and what is told as done was answered in step.
    #[test]
    fn servers_that_drop_commands(
        drops in proptest::collection::vec(any::<bool>(), 1..12),
        ask in 0usize..4,
    ) {
        let mut play = Play::new(Settings { send_ahead: true, ..settings() });
        play.run("S: 220 hi");
        let at = play.log.len();
        play.ask(["size f", "sizes a b c", "login ann secret image", "delete a b"][ask]);
        play.drain();
        let sent: Vec<String> = play.log[at..].lines().filter_map(|l| l.strip_prefix("C: ")).map(str::to_owned).collect();
        let mut dropped = false;
        for (line, drop) in sent.iter().zip(drops.iter().chain(std::iter::repeat(&false))) {
            if *drop {
                dropped = true;
            } else {
                play.session.handle_input(play.now, reply_to(line, true).as_bytes());
                play.drain();
            }
        }
        for _ in 0..3 {
            play.happen("after 61");
            play.drain();
        }
        let ends: Vec<&str> = play.log[at..].lines().filter(|l| l.starts_with("done ") || l.starts_with("error ")).collect();
        prop_assert_eq!(ends.len(), 1, "{}", play.log);
        prop_assert_eq!(ends[0].starts_with("done "), !dropped, "{}", play.log);
    }
}

/// What a server in order says to a command, well or badly disposed.
fn reply_to(line: &str, well: bool) -> String {
    let verb = line.split(' ').next().unwrap_or_default();
    let reply = match (verb, well) {
        ("SIZE", true) => "213 5",
        ("RNFR", true) => "350 ready",
        ("USER", _) => "331 password?",
        ("PASS", true) => "230 in",
        ("PASS", false) => "530 wrong",
        ("FEAT", true) => "211-Features:\r\n UTF8\r\n CLNT\r\n211 End",
        ("TYPE" | "CLNT" | "OPTS", _) => "200 ok",
        (_, true) => "250 done",
        (_, false) => "550 no",
    };
    format!("{reply}\r\n")
}
