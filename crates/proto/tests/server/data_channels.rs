//! PORT, EPRT, PASV, EPSV: RFC 959, 2428, 2577.

use std::net::SocketAddr;

use port21_proto::server::{Action, DataChannel};

use crate::bench::{Bench, settings};

#[test]
fn replies_are_those_that_clients_parse() {
    let mut b = Bench::logged_in("ftp");
    b.say("PASV\r\nEPSV\r\nEPSV 1\r\nPORT 192,0,2,1,19,137\r\nEPRT |1|192.0.2.1|5001|\r\n");
    let got: Vec<String> = b.take().into_iter().filter(|l| l.starts_with('S')).collect();
    assert_eq!(
        got,
        [
            "S: 227 Entering Passive Mode (192,0,2,21,195,81).",
            "S: 229 Entering Extended Passive Mode (|||50002|)",
            "S: 229 Entering Extended Passive Mode (|||50003|)",
            "S: 200 PORT command successful.",
            "S: 200 EPRT command successful.",
        ]
    );
}

#[test]
fn no_bounce() {
    let mut b = Bench::logged_in("ftp");
    for line in [
        "PORT 192,0,2,99,19,137",
        "PORT 127,0,0,1,19,137",
        "PORT 192,0,2,1,0,25",
        "PORT 192,0,2,1,3,255",
        "EPRT |1|192.0.2.99|5001|",
        "EPRT |1|192.0.2.1|1023|",
    ] {
        assert_eq!(b.codes(line), [504], "{line}");
        assert_eq!(b.codes("LIST"), [425], "{line} must leave no channel");
    }
    assert_eq!(b.codes("EPRT |2|::1|5001|"), [522]);
    b.take();
    b.say("PORT 192,0,2,1,0,25\r\nPORT 192,0,2,99,19,137\r\n");
    assert_eq!(
        b.take()[2..],
        [
            "S: 504 PORT refused: ports below 1024 are not connected to.",
            "S: 504 PORT refused: data goes only to 192.0.2.1, where you come from; behind NAT, use EPSV or PASV.",
        ]
    );
}

#[test]
fn the_unspecified_address_is_the_client() {
    for (peer, line, want) in [
        ("[2001:db8::1]:1175", "EPRT |2|::|5001|", "[2001:db8::1]:5001"),
        ("192.0.2.1:1175", "PORT 0,0,0,0,19,137", "192.0.2.1:5001"),
    ] {
        let mut b = Bench::with(settings(), peer.parse().unwrap());
        b.say("USER ftp\r\nPASS x\r\n");
        assert_eq!(b.codes(&line.replace("5001", "80").replace("19,137", "0,80")), [504], "no port below 1024, still");
        assert_eq!(b.codes(&format!("{line}\r\nRETR readme.txt")), [200, 150]);
        let Some(Action::Transfer { data: DataChannel::Active(to), .. }) = b.held.values().next() else {
            panic!("{line}: {:?}", b.held)
        };
        assert_eq!(*to, want.parse().unwrap());
    }
}

#[test]
fn a_refused_port_keeps_the_channel_that_was_there() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("EPSV\r\nPORT 192,0,2,99,19,137\r\nRETR readme.txt"), [229, 504, 150]);
}

#[test]
fn a_mapped_address_is_the_same_client() {
    let mut b = Bench::with(settings(), "[::ffff:192.0.2.1]:1175".parse().unwrap());
    b.say("USER ftp\r\nPASS x\r\n");
    assert_eq!(b.codes("PORT 192,0,2,1,19,137"), [200]);
    assert_eq!(b.codes("EPRT |2|::ffff:192.0.2.1|5001|"), [200]);
    assert_eq!(b.codes("PASV"), [227]);
}

#[test]
fn over_ipv6_only_the_extended_commands_do() {
    let mut b = Bench::with(settings(), "[2001:db8::1]:1175".parse().unwrap());
    b.say("USER ftp\r\nPASS x\r\n");
    assert_eq!(b.codes("EPSV\r\nEPSV 2\r\nEPSV 1"), [229, 229, 522]);
    assert_eq!(b.codes("EPRT |2|2001:db8::1|5001|\r\nEPRT |1|192.0.2.1|5001|"), [200, 522]);
    b.take();
    b.say("PASV\r\n");
    let got = b.take();
    assert!(got[1].starts_with("S: 425 ") && got[1].contains("EPSV"), "{got:?}");
    assert_eq!(b.codes("PORT 192,0,2,1,19,137"), [504]);
}

#[test]
fn epsv_all_is_a_promise() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(
        b.codes("EPSV ALL\r\nPORT 192,0,2,1,19,137\r\nEPRT |1|192.0.2.1|5001|\r\nPASV\r\nEPSV"),
        [200, 503, 503, 503, 229]
    );
}

#[test]
fn a_channel_serves_one_transfer() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("RETR readme.txt"), [425]);
    b.codes("EPSV\r\nRETR readme.txt");
    b.complete(1715);
    assert_eq!(b.codes("RETR readme.txt"), [425]);
}

#[test]
fn a_new_port_lets_go_of_the_old_one() {
    let mut b = Bench::logged_in("ftp");
    b.say("EPSV\r\n");
    b.take();
    b.say("EPSV\r\n");
    assert!(b.take().contains(&"* release".to_owned()));
}

#[test]
fn a_missing_file_is_550_without_a_150_and_lets_go_of_the_port() {
    let mut b = Bench::logged_in("ftp");
    b.say("EPSV\r\n");
    b.take();
    b.say("RETR nosuch\r\n");
    let got = b.take();
    assert!(got.contains(&"* release".to_owned()), "{got:?}");
    assert!(got.contains(&"S: 550 nosuch: No such file or directory.".to_owned()), "{got:?}");
    assert!(!got.iter().any(|l| l.contains("150")));
}

/// Whatever it was refused for, and in active mode too: the next one asks for a channel of its own.
#[test]
fn a_transfer_that_is_refused_has_used_up_its_channel() {
    for offer in ["EPSV", "PORT 192,0,2,1,19,137"] {
        for line in
            ["RETR nosuch", "STOR x", "LIST nosuch", "MLSD nosuch", "RETR", "APPE x", "REST 5\r\nRETR readme.txt"]
        {
            let mut b = Bench::logged_in("ftp");
            let refused = b.codes(&format!("{offer}\r\n{line}"));
            assert!(refused.last().is_some_and(|code| *code >= 500), "{line}: {refused:?}");
            assert!(b.kept.is_empty(), "{offer}, {line}: a port stays open");
            assert_eq!(b.codes("RETR readme.txt"), [425], "{offer}, {line}");
            assert_eq!(b.codes(&format!("{offer}\r\nRETR readme.txt"))[1..], [150], "{offer}, {line}");
        }
    }
}

#[test]
fn a_link_local_client_is_connected_to_by_its_own_link() {
    let mut b = Bench::with(settings(), "[fe80::1%7]:1175".parse().unwrap());
    b.say("USER ftp\r\nPASS x\r\nEPRT |2|fe80::1|5001|\r\nRETR readme.txt\r\n");
    let Some(Action::Transfer { data: DataChannel::Active(SocketAddr::V6(to)), .. }) = b.held.values().next() else {
        panic!("{:?}", b.held)
    };
    assert_eq!((to.port(), to.scope_id()), (5001, 7));
}
