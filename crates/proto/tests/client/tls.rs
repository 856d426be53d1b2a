//! AUTH, CCC and PROT; data connections under TLS: RFC 2228, RFC 4217.

use port21_proto::client::{Output, Settings};
use port21_proto::parameters::Protection;

use crate::play::{Play, from_start, settings, transcript, with_settings};

/// A session that is under TLS.
const UNDER_TLS: &str = "
    ? tls
    C: AUTH TLS
    S: 234 go
    do #0 start tls
    > secured #0
    done reply 234 go";

/// And has sent PBSZ and PROT with its first transfer.
const PROTECTED: &str = "
    ? get a
    C: PBSZ 0
    S: 200 ok
    C: PROT P
    S: 200 ok
    C: EPSV
    S: 229 ok (|||5000|)
    do #1 connect 192.0.2.1:5000
    > connected #1
    C: RETR a
    do #2 secure #1
    S: 550 none
    release #2
    error RETR: the server answered 550 none
    ? get f
    C: EPSV
    S: 229 ok (|||5000|)
    do #3 connect 192.0.2.1:5000
    > connected #3";

fn under_tls(script: &str) {
    transcript(&format!("{UNDER_TLS}{script}"));
}

fn protected(script: &str) {
    under_tls(&format!("{PROTECTED}{script}"));
}

#[test]
fn tls_comes_by_auth() {
    transcript("? tls\n C: AUTH TLS\n S: 234 go\n do #0 start tls\n > secured #0\n done reply 234 go");
    // RFC 2228's 334 from those who mean 234.
    transcript("? tls\n C: AUTH TLS\n S: 334 go\n do #0 start tls\n > secured #0\n done reply 334 go");
    transcript(
        "? tls
        C: AUTH TLS
        S: 504 what?
        C: AUTH SSL
        S: 234 go
        do #0 start tls
        > secured #0
        done reply 234 go",
    );
}

#[test]
fn a_refusal_is_no_clear_text() {
    transcript("? tls\n C: AUTH TLS\n S: 534 never\n error AUTH: the server answered 534 never");
    transcript(
        "? tls\n C: AUTH TLS\n S: 500 what?\n C: AUTH SSL\n S: 500 what?\n error AUTH: the server answered 500 what?",
    );
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? tls\n S: 234 go\n > insecure #0");
    assert!(play.log.ends_with("do #0 start tls\n> insecure #0\nerror TLS: a wrong name\nclose\n"), "{}", play.log);
    assert!(play.session.is_closed() && !play.session.is_secure());
}

#[test]
fn nothing_may_stand_where_tls_begins() {
    for injected in [&b"234 go\r\n230 in\r\n"[..], b"234 go\r\n\x16"] {
        let mut play = Play::new(settings());
        play.run("S: 220 hi\n ? tls");
        let taken = play.session.handle_input(play.now, injected);
        assert_eq!(taken, 8);
        play.drain();
        let bytes = injected.len() - 8;
        let why =
            format!("error TLS: {bytes} bytes stand where TLS was to begin: someone may have put them there\nclose\n");
        assert!(play.log.ends_with(&why), "{}", play.log);
    }
    // And none of it later.
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? tls\n S: 234 go\n S: 230 in");
    assert!(play.session.is_closed());
}

#[test]
fn implicit_tls_comes_before_the_greeting() {
    let implicit = Settings { implicit_tls: true, ..settings() };
    let mut play = Play::new(implicit);
    play.drain();
    play.run("> secured #0\n S: 220 hi\n ? get a\n S: 200 ok");
    assert_eq!(
        play.log,
        "do #0 start tls\n> secured #0\nS: 220 hi\ndone reply 220 hi\n? get a\nC: PBSZ 0\nS: 200 ok\nC: PROT P\n"
    );
    for (what, error) in [
        ("> after 15", "error TLS: TLS does not stand within 15s\n"),
        ("> eof", "error TLS: the server closed the control connection\n"),
        ("> insecure #0", "error TLS: a wrong name\n"),
        ("S: 220 hi", "bytes stand where TLS was to begin: someone may have put them there\n"),
        ("> secured #0\n > after 60", "error greeting: no greeting within 60s\n"),
    ] {
        let mut play = Play::new(implicit);
        play.drain();
        play.run(what);
        assert!(play.log.ends_with(&format!("{error}close\n")), "{what}: {}", play.log);
    }
}

#[test]
fn what_was_told_in_clear_text_is_asked_again() {
    transcript(
        "? probe
        C: FEAT
        S: 211-Features:
        S:  MLST type*;
        S: 211 End
        done probed
        ? tls
        C: AUTH TLS
        S: 234 go
        do #0 start tls
        > secured #0
        done reply 234 go
        ? entries
        C: PBSZ 0
        S: 200 ok
        C: PROT P
        S: 200 ok
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: LIST
        do #2 secure #1",
    );
}

#[test]
fn a_server_without_private_data_is_not_given_any() {
    under_tls(
        "
        ? get a
        C: PBSZ 0
        S: 503 what for?
        C: PROT P
        S: 536 never
        error PROT: the server answered 536 never
        ? get a
        C: PROT P",
    );
}

#[test]
fn data_in_clear_text_where_that_is_wanted() {
    with_settings(
        Settings { protection: Protection::Clear, ..settings() },
        "? tls
        C: AUTH TLS
        S: 234 go
        do #0 start tls
        > secured #0
        done reply 234 go
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: RETR f
        S: 150 go
        started #1 RETR: 150 go",
    );
    // It can be changed under way, either way.
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? tls\n S: 234 go\n > secured #0\n ? get f\n S: 200 ok\n S: 200 ok\n S: 425 no\n S: 425 no");
    play.session.set_protection(Protection::Clear);
    play.log.clear();
    play.run("? get f\n S: 200 ok");
    assert_eq!(play.log, "? get f\nC: PROT C\nS: 200 ok\nC: EPSV\n");
}

#[test]
fn a_download_begins_once_tls_stands() {
    protected(
        "
        C: RETR f
        do #4 secure #3
        S: 150 go
        > secured #4
        started #4 RETR: 150 go
        > ended #4
        S: 226 done
        release #4
        done transferred 226 done",
    );
    // A server that does its part of TLS before it says 150.
    protected("\n C: RETR f\n do #4 secure #3\n > secured #4\n S: 150 go\n started #4 RETR: 150 go");
    // No 150, and an end that is told before TLS stands.
    protected(
        "
        C: RETR f
        do #4 secure #3
        S: 226 done
        > secured #4
        started #4 RETR: nothing
        > ended #4
        release #4
        done transferred 226 done",
    );
}

#[test]
fn whether_the_server_has_begun() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? tls\n S: 234 go\n > secured #0\n ? get f\n S: 200 ok\n S: 200 ok\n S: 229 ok (|||5000|)");
    play.run("> connected #1");
    assert!(play.session.is_secure() && !play.session.has_begun());
    play.run("S: 150 go");
    assert!(play.session.has_begun());
    play.run("> secured #2\n > ended #2\n S: 226 ok");
    assert!(!play.session.has_begun());
}

#[test]
fn tls_on_data_that_does_not_come_to_stand() {
    // What the server says of it is told.
    protected(
        "
        C: RETR f
        do #4 secure #3
        S: 150 go
        > insecure #4
        S: 522 session reuse required
        release #4
        error RETR: the server answered 522 session reuse required",
    );
    // Where it says nothing, or all is well with it, that is said here.
    protected(
        "
        C: RETR f
        do #4 secure #3
        S: 150 go
        > insecure #4
        > after 10
        release #4
        error opening the data connection: a wrong name",
    );
    protected(
        "
        C: RETR f
        do #4 secure #3
        S: 150 go
        > insecure #4
        S: 226 done
        release #4
        error opening the data connection: a wrong name",
    );
    for reply in ["150 go", "226 done"] {
        protected(&format!(
            "
            C: RETR f
            do #4 secure #3
            S: {reply}
            > after 20
            release #4
            error opening the data connection: no TLS on the data connection within 20s"
        ));
    }
}

#[test]
fn uploads_wait_for_tls() {
    let start = PROTECTED.replace("get f", "put f");
    under_tls(&format!(
        "{start}
        C: STOR f
        do #4 secure #3
        S: 150 go
        > secured #4
        started #4 STOR: 150 go
        > ended #4
        S: 226 done
        release #4
        done transferred 226 done"
    ));
    under_tls(&format!(
        "{start}
        C: STOR f
        do #4 secure #3
        S: 226 done
        release #4
        error transfer: the server answered 226 done before the upload's end"
    ));
}

#[test]
fn active_data_connections_are_under_tls_as_well() {
    under_tls(
        "
        ? get f active
        C: PBSZ 0
        S: 200 ok
        C: PROT P
        S: 200 ok
        do #1 listen
        > listening #1 192.0.2.7:5001
        C: PORT 192,0,2,7,19,137
        S: 200 ok
        C: RETR f
        do #2 accept #1
        S: 150 go
        > connected #2
        do #3 secure #2
        > secured #3
        started #3 RETR: 150 go",
    );
}

#[test]
fn ccc_leaves_data_under_tls() {
    under_tls(
        "
        ? list
        C: PBSZ 0
        S: 200 ok
        C: PROT P
        S: 200 ok
        C: EPSV
        S: 425 no
        C: PASV
        S: 425 no
        error PASV: the server answered 425 no
        ? ccc
        C: CCC
        S: 200 ok
        do #1 stop tls
        > secured #1
        done reply 200 ok
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #2 connect 192.0.2.1:5000
        > connected #2
        C: RETR f
        do #3 secure #2",
    );
    under_tls(
        "
        ? ccc
        C: CCC
        S: 534 no
        error CCC: the server answered 534 no
        ? cwd a
        C: CWD a",
    );
}

#[test]
fn what_is_given_up_while_tls_begins_is_over() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? tls\n S: 234 go\n ? abort");
    assert!(play.log.ends_with("error TLS: the server closed the control connection\nclose\n"), "{}", play.log);
    assert!(matches!(play.session.poll_output(), Output::Wait(_)));
}

#[test]
fn the_user_s_own_prot_is_put_right_again() {
    from_start(
        "S: 220 hi
        done reply 220 hi
        ? tls
        C: AUTH TLS
        S: 234 go
        do #0 start tls
        > secured #0
        done reply 234 go
        ? raw PROT C
        C: PROT C
        S: 200 ok
        done reply 200 ok
        ? get f
        C: PBSZ 0
        S: 200 ok
        C: PROT P",
    );
}

#[test]
fn what_was_learned_outlives_the_session() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? get f\n S: 500 no\n S: 227 ok (192,0,2,1,19,136)\n > connected #0\n S: 550 none");
    let learned = play.session.learned();
    with_settings(Settings { learned, ..settings() }, "? get f\n C: PASV");
}

#[test]
fn a_server_whose_address_only_the_proxy_knows() {
    with_settings(
        Settings { peer: "0.0.0.0:21".parse().unwrap(), ..settings() },
        "? get f
        C: EPSV
        S: 500 no
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        note the server names 192.0.2.1, the address that the proxy knows is used
        do #0 connect 0.0.0.0:5000",
    );
}

#[test]
fn data_can_be_protected_before_there_is_any() {
    let protect = "\n ? protect\n C: PBSZ 0\n S: 503 what for?\n C: PROT P\n";
    under_tls(&format!("{protect} S: 200 ok\n done protected\n ? protect\n done protected"));
    under_tls(&format!("{protect} S: 534 never\n error PROT: the server answered 534 never"));
    // In clear text there is nothing to be protected.
    transcript("? protect\n done protected");
}
