//! USER, PASS, REIN, QUIT: RFC 959 section 4.1.1.

use crate::bench::{Bench, settings};

#[test]
fn a_guest_reads_the_words_of_the_reference() {
    let mut b = Bench::new();
    b.say("USER ftp\r\n");
    b.say("PASS me@example.com\r\n");
    b.say("QUIT\r\n");
    assert_eq!(
        b.take(),
        [
            "S: 220 ANY-DOMAIN.COM FTP Service",
            "C: USER ftp",
            "S: 331 Anonymous access allowed, send identity (e-mail name) as password.",
            "C: PASS me@example.com",
            "S: 230-Welcome to ftp.any-domain.com",
            "S: 230 Anonymous user logged in.",
            "C: QUIT",
            "S: 221 Thank you for visiting ftp.any-domain.com.",
            "* close",
        ]
    );
}

#[test]
fn known_and_unknown_names_get_the_same_answers() {
    let talk = |name: &str| {
        let mut b = Bench::new();
        b.say(&format!("USER {name}\r\nPASS wrong\r\n"));
        b.take().into_iter().filter(|l| l.starts_with('S')).collect::<Vec<_>>()
    };
    assert_eq!(talk("root"), talk("nobody-has-this-name"));
    assert!(talk("root").contains(&"S: 331 Password required".to_owned()));
}

#[test]
fn where_guests_are_not_wanted_their_name_is_like_any_other() {
    let mut b = Bench::with(
        port21_proto::server::SessionSettings { anonymous: false, ..settings() },
        "192.0.2.1:9".parse().unwrap(),
    );
    b.take();
    b.say("USER anonymous\r\n");
    assert_eq!(b.take()[1], "S: 331 Password required");
}

#[test]
fn three_wrong_passwords_end_the_connection() {
    let mut b = Bench::new();
    assert_eq!(b.codes("USER root\r\nPASS x"), [331, 530]);
    assert_eq!(b.codes("USER root\r\nPASS x"), [331, 530]);
    assert_eq!(b.codes("USER root\r\nPASS x"), [331, 421]);
    assert!(b.closed);
}

#[test]
fn order_is_asked_for() {
    let mut b = Bench::new();
    assert_eq!(b.codes("PASS x"), [503]);
    assert_eq!(b.codes("PWD"), [530]);
    assert_eq!(b.codes("RETR readme.txt"), [530]);
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nPASS secret"), [331, 230, 503]);
    assert_eq!(b.codes("RNTO x"), [503]);
    assert_eq!(b.codes("RNFR readme.txt\r\nNOOP\r\nRNTO x"), [350, 200, 503]);
    assert_eq!(b.codes("RNFR readme.txt\r\nRNTO x"), [350, 250]);
}

#[test]
fn answered_before_login() {
    let mut b = Bench::new();
    for line in ["NOOP", "FEAT", "HELP", "SYST", "OPTS UTF8 ON", "TYPE I", "STRU F", "MODE S", "CLNT me"] {
        let codes = b.codes(line);
        assert!(codes.len() == 1 && codes[0] / 100 == 2, "{line}: {codes:?}");
    }
}

#[test]
fn user_and_rein_begin_anew() {
    let mut b = Bench::logged_in("root");
    assert_eq!(b.codes("CWD pub\r\nUSER root\r\nPWD\r\nPASS secret\r\nPWD"), [250, 331, 530, 230, 257]);
    assert_eq!(b.codes("REIN\r\nPWD"), [220, 530]);
    b.say("EPSV\r\nUSER root\r\nPASS secret\r\nEPSV\r\n");
    b.take();
    b.say("USER root\r\n");
    assert!(b.take().contains(&"* release".to_owned()), "the passive port of the old user is let go of");
}

/// The driver hears of it before the client does, and once.
#[test]
fn whoever_logs_out_is_logged_out_at_once() {
    let told = |lines: &str| {
        let mut b = Bench::logged_in("root");
        b.say(&format!("{lines}\r\n"));
        b.take().into_iter().filter(|line| !line.starts_with("C:")).collect::<Vec<_>>()
    };
    assert_eq!(told("USER ftp")[0], "* logged out");
    assert_eq!(told("REIN")[0], "* logged out");
    let times = |lines: &str| told(lines).iter().filter(|line| *line == "* logged out").count();
    assert_eq!(times("USER ftp\r\nUSER root\r\nREIN\r\nREIN"), 1);
    assert_eq!(times("USER ftp\r\nPASS x\r\nREIN"), 2);
    assert_eq!((times("PASS x"), times("HOST x"), times("QUIT")), (0, 0, 0));
    // Nothing that a new login could stand in the way of is left of the old one.
    assert_eq!(told("EPSV\r\nUSER ftp")[1..], ["* logged out", "* release", told("USER ftp")[1].as_str()]);
}

#[test]
fn a_guest_may_only_read() {
    let mut b = Bench::logged_in("ftp");
    b.codes("PASV");
    for line in [
        "STOR x",
        "APPE x",
        "STOU",
        "DELE readme.txt",
        "MKD x",
        "RMD pub",
        "RNFR readme.txt",
        "SITE CHMOD 600 readme.txt",
        "MFMT 20050502210700 readme.txt",
    ] {
        assert_eq!(b.codes(line), [550], "{line}");
    }
    assert_eq!(b.codes("SIZE readme.txt\r\nMDTM readme.txt\r\nMLST readme.txt"), [213, 213, 250]);
}

#[test]
fn an_http_request_is_dropped_unread() {
    let mut b = Bench::new();
    b.take();
    b.feed(b"POST / HTTP/1.1\r\nUSER root\r\nPASS secret\r\n");
    assert_eq!(b.take(), ["* close"]);
}

#[test]
fn a_login_that_succeeds_gives_no_new_tries_for_others() {
    let mut b = Bench::new();
    assert_eq!(b.codes("USER root\r\nPASS x\r\nUSER root\r\nPASS x"), [331, 530, 331, 530]);
    assert_eq!(b.codes("USER ftp\r\nPASS x"), [331, 230]);
    assert_eq!(b.codes("USER root\r\nPASS x"), [331, 421]);
    assert!(b.closed);
}

#[test]
fn user_leaves_the_transfer_parameters_as_they_are_and_rein_does_not() {
    let transfer = |before: &str| {
        let mut b = Bench::new();
        b.say(&format!("{before}\r\nUSER ftp\r\nPASS x\r\nEPSV\r\nRETR readme.txt\r\n"));
        b.take().into_iter().find(|line| line.starts_with("S: 150")).unwrap()
    };
    assert!(transfer("TYPE I").contains("BINARY"), "RFC 959 section 4.1.1, USER");
    assert!(transfer("USER ftp\r\nPASS x\r\nTYPE I").contains("BINARY"));
    assert!(transfer("TYPE I\r\nREIN").contains("ASCII"));
    let mut b = Bench::logged_in("ftp");
    assert_eq!(b.codes("EPSV ALL\r\nUSER ftp\r\nPASS x\r\nPASV"), [200, 331, 230, 503]);
    assert_eq!(b.codes("REIN\r\nUSER ftp\r\nPASS x\r\nPASV"), [220, 331, 230, 227]);
}

#[test]
fn the_header_of_a_proxy_that_is_not_trusted_is_dropped_unread() {
    let mut b = Bench::new();
    b.take();
    b.say("PROXY TCP4 10.0.0.1 192.0.2.21 1025 21\r\nUSER root\r\nPASS secret\r\n");
    assert!(b.closed);
    assert!(b.reply_codes().is_empty());
    // The binary one ends in a QUIT of its own.
    let mut b = Bench::new();
    b.feed(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\0\0\x01\x0a\0\0\x02\x04\x01\0\x15USER root\r\n");
    assert!(b.closed);
    assert!(b.reply_codes().iter().all(|code| [220, 221, 500, 501, 502].contains(code)));
}

#[test]
fn an_http_request_with_an_endless_address_is_dropped_unread() {
    let mut b = Bench::new();
    b.take();
    b.feed(&[b"GET /", "x".repeat(10_000).as_bytes(), b"\r\nUSER root\r\nPASS secret\r\n"].concat());
    assert_eq!(b.take(), ["* close"]);
}
