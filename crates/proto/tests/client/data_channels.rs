//! EPSV, PASV, PORT, EPRT, and the ways from one to the other: RFC 959, RFC 2428.

use port21_proto::client::Settings;

use crate::play::{Play, settings, transcript, with_settings};

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
    let v6 = Settings { peer: "[2001:db8::1]:21".parse().unwrap(), ..settings() };
    with_settings(v6, "? get f\n C: EPSV\n S: 500 no\n error EPSV: the server answered 500 no");
    with_settings(
        v6,
        "? get f active\n do #0 listen\n > listening #0 [2001:db8::9]:5001\n C: EPRT |2|2001:db8::9|5001|",
    );
}

#[test]
fn a_link_local_server_is_connected_to_by_its_own_link() {
    let local = Settings { peer: "[fe80::1%7]:21".parse().unwrap(), ..settings() };
    with_settings(local, "? get f\n C: EPSV\n S: 229 ok (|||5000|)\n do #0 connect [fe80::1%7]:5000");
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
fn a_passing_refusal_is_not_remembered() {
    transcript(
        "? get f
        C: EPSV
        S: 425 no port is free
        C: PASV
        S: 425 no port is free
        error PASV: the server answered 425 no port is free
        ? get f
        C: EPSV",
    );
}

#[test]
fn where_only_epsv_leads_somewhere_it_is_remembered() {
    transcript(
        "? probe
        C: FEAT
        S: 211-x
        S:  SIZE
        S: 211 End
        done probed
        ? get f
        C: PASV
        S: 227 ok (192,0,2,1,19,136)
        do #0 connect 192.0.2.1:5000
        > refused #0
        release #0
        C: EPSV
        S: 229 ok (|||5001|)
        do #1 connect 192.0.2.1:5001
        > connected #1
        C: RETR f
        S: 550 none
        release #1
        error RETR: the server answered 550 none
        ? get f
        C: EPSV",
    );
}

#[test]
fn port_is_given_up_only_where_eprt_does() {
    let refused = |op| {
        format!(
            "? get f active
            do #{op} listen
            > listening #{op} 192.0.2.9:5001
            C: PORT 192,0,2,9,19,137
            S: 500 illegal
            C: EPRT |1|192.0.2.9|5001|
            S: 500 what?
            release #{op}
            error EPRT: the server answered 500 what?\n"
        )
    };
    transcript(&(refused(0) + &refused(1)));
}

#[test]
fn a_server_that_only_says_that_it_begins_is_given_up() {
    let mut play = Play::new(settings());
    play.run("S: 220 hi\n ? get f active\n > listening #0 192.0.2.9:5001\n S: 200 ok");
    for _ in 0..2 {
        play.run("S: 150 go\n > after 10");
    }
    assert!(play.log.contains("the server has opened no data connection within 20s"), "{}", play.log);
}

#[test]
fn some_must_know_what_will_move() {
    let pasv = "C: PASV\n S: 227 ok (192,0,2,1,19,136)\n do #0 connect 192.0.2.1:5000\n > connected #0\n C: RETR f";
    // They say so in FEAT.
    transcript(&format!(
        "? probe
        C: FEAT
        S: 211-x
        S:  PRET
        S: 211 End
        done probed
        ? get f
        C: PRET RETR f
        S: 200 ok
        {pasv}"
    ));
    // Or only then, and it is remembered.
    transcript(&format!(
        "? get f
        C: EPSV
        S: 500 what?
        C: PASV
        S: 530 You need to use a client supporting PRET (PRE Transfer) to use PASV
        C: PRET RETR f
        S: 200 ok
        {pasv}
        S: 550 none
        release #0
        error RETR: the server answered 550 none
        ? list
        C: PRET LIST
        S: 200 ok
        C: PASV"
    ));
}
