//! AUTH, PBSZ, PROT, CCC, REIN: RFC 2228 and RFC 4217.

use std::time::Duration;

use port21_proto::SessionEvent;
use port21_proto::event::EventKind;
use port21_proto::server::{
    Action, Outcome, Output, Protection, Secured, SessionSettings, TlsError, TlsMode, TlsSettings, TransferError,
};
use proptest::prelude::*;

use crate::bench::{Bench, settings};

fn under(mode: TlsMode) -> Bench {
    with(mode, TlsSettings::default())
}

fn with(mode: TlsMode, tls: TlsSettings) -> Bench {
    let mut b = Bench::under(mode, SessionSettings { tls, ..settings() }, "192.0.2.1:1175".parse().unwrap());
    b.take();
    b
}

/// The handshake that is waited for ends well.
fn shake(b: &mut Bench) {
    let op = b.only();
    assert!(matches!(b.held[&op], Action::StartTls { .. }));
    b.answer(op, Outcome::Secured(Ok(Secured { description: "TLS 1.3".into(), certificate: false })));
}

/// A session that has TLS and is logged in; the transcript begins behind it.
fn protected(mode: TlsMode, tls: TlsSettings) -> Bench {
    let mut b = with(mode, tls);
    b.say("AUTH TLS\r\n");
    shake(&mut b);
    b.say("USER root\r\nPASS secret\r\n");
    assert!(b.take().iter().any(|line| line.starts_with("S: 230 ")));
    b
}

fn ccc() -> TlsSettings {
    TlsSettings { allow_ccc: true, ..TlsSettings::default() }
}

/// Whether the transfer that was asked for is to be protected.
fn is_private(b: &Bench) -> bool {
    match &b.held[&b.only()] {
        Action::Transfer { protection, .. } => *protection == Protection::Private,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_session() {
    let mut b = under(TlsMode::Require);
    b.say("AUTH TLS\r\n");
    shake(&mut b);
    b.say("PBSZ 0\r\nPROT P\r\nUSER root\r\nPASS secret\r\nEPSV\r\nRETR readme.txt\r\n");
    assert!(is_private(&b));
    b.complete(1715);
    b.say("QUIT\r\n");
    assert_eq!(
        b.take(),
        [
            "C: AUTH TLS",
            "S: 234 Begin the TLS handshake.",
            "* start TLS",
            "C: PBSZ 0",
            "C: PROT P",
            "C: USER root",
            "C: PASS secret",
            "C: EPSV",
            "C: RETR readme.txt",
            "S: 200 PBSZ=0",
            "S: 200 Data connections will be protected.",
            "S: 331 Password required",
            "S: 230-Welcome to ftp.any-domain.com",
            "S: 230 User root logged in.",
            "S: 229 Entering Extended Passive Mode (|||50001|)",
            "S: 150 Opening ASCII mode data connection for readme.txt(1715 bytes).",
            "* transfer Down",
            "S: 226 Transfer complete.",
            "C: QUIT",
            "S: 221 Thank you for visiting ftp.any-domain.com.",
            "* close",
        ]
    );
}

#[test]
fn where_there_is_no_tls_its_verbs_are_unknown() {
    let mut b = under(TlsMode::Off);
    for line in ["AUTH TLS", "AUTH GSSAPI", "PBSZ 0", "PROT P", "PROT S", "CCC"] {
        assert_eq!(b.codes(line), [502], "{line}");
    }
    b.say("FEAT\r\n");
    let features = b.take().join("\n");
    for word in ["AUTH", "PBSZ", "PROT", "CCC"] {
        assert!(!features.contains(word), "{word}");
    }
}

#[test]
fn features_are_those_that_are_offered() {
    let lines = |mode, tls| {
        let mut b = with(mode, tls);
        if mode == TlsMode::Implicit {
            shake(&mut b);
        }
        b.take();
        b.say("FEAT\r\n");
        let all = b.take();
        ["AUTH TLS", "PBSZ", "PROT", "CCC"].map(|feature| all.contains(&format!("S:  {feature}")))
    };
    assert_eq!(lines(TlsMode::Offer, TlsSettings::default()), [true, true, true, false]);
    assert_eq!(lines(TlsMode::Require, ccc()), [true; 4]);
    assert_eq!(lines(TlsMode::Implicit, ccc()), [false, true, true, true]);
}

#[test]
fn other_mechanisms_and_levels_are_refused() {
    let mut b = under(TlsMode::Offer);
    for line in ["AUTH GSSAPI", "AUTH KERBEROS_V4"] {
        assert_eq!(b.codes(line), [504], "{line}");
    }
    assert_eq!(b.codes("AUTH"), [501]);
    for line in ["AUTH TLS-C", "auth tls"] {
        let mut b = under(TlsMode::Offer);
        assert_eq!(b.codes(line), [234], "{line}");
        shake(&mut b);
        for (line, code) in [("PROT P", 503), ("PBSZ x", 501), ("PBSZ 0", 200), ("PROT S", 536), ("PROT E", 536)] {
            assert_eq!(b.codes(line), [code], "{line}");
        }
        assert_eq!(b.codes("PROT X\r\nPROT C\r\nPROT P\r\nAUTH TLS"), [504, 200, 200, 503]);
    }
}

#[test]
fn order_is_asked_for() {
    let mut b = under(TlsMode::Offer);
    assert_eq!(b.codes("PBSZ 0\r\nPROT P\r\nCCC"), [503, 503, 530]);
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nCCC"), [331, 230, 533]);
}

#[test]
fn the_older_names_protect_data_at_once() {
    for (mechanism, private) in [("TLS", false), ("TLS-C", false), ("SSL", true), ("TLS-P", true)] {
        let mut b = under(TlsMode::Offer);
        b.say(&format!("AUTH {mechanism}\r\n"));
        shake(&mut b);
        b.say("USER root\r\nPASS secret\r\nEPSV\r\nLIST\r\n");
        assert_eq!(is_private(&b), private, "{mechanism}");
    }
}

#[test]
fn nothing_behind_auth_is_read() {
    let mut b = under(TlsMode::Offer);
    let bytes = b"AUTH TLS\r\nUSER root\r\nPASS secret\r\nDELE readme.txt\r\n";
    assert_eq!(b.session.handle_input(b.now, bytes), b"AUTH TLS\r\n".len());
    assert!(!b.session.takes_input());
    b.say("");
    shake(&mut b);
    assert!(b.session.takes_input());
    assert_eq!(b.codes("PASS secret"), [503], "nobody has said USER");
}

#[test]
fn nothing_behind_auth_is_read_while_that_waits_for_a_transfer() {
    let mut b = protected_by_nothing();
    b.say("EPSV\r\nRETR readme.txt\r\n");
    let bytes = b"AUTH TLS\r\nABOR\r\nDELE readme.txt\r\n";
    assert_eq!(b.session.handle_input(b.now, bytes), b"AUTH TLS\r\n".len());
    assert!(!b.session.takes_input());
    b.take();
    b.complete(1715);
    assert_eq!(b.take(), ["S: 226 Transfer complete.", "S: 234 Begin the TLS handshake.", "* start TLS"]);
}

#[test]
fn nothing_behind_what_ends_tls_is_read_while_that_waits_for_a_transfer() {
    for last in ["CCC\r\n", "REIN\r\n"] {
        let mut b = protected(TlsMode::Offer, ccc());
        b.say("EPSV\r\nRETR readme.txt\r\n");
        let bytes = format!("{last}DELE readme.txt\r\n");
        assert_eq!(b.session.handle_input(b.now, bytes.as_bytes()), last.len(), "{last}");
        assert!(!b.session.takes_input());
        b.complete(1715);
        assert_eq!(b.take().last().unwrap(), "* stop TLS");
    }
}

/// Logged in in clear, where TLS is offered.
fn protected_by_nothing() -> Bench {
    let mut b = under(TlsMode::Offer);
    b.say("USER root\r\nPASS secret\r\n");
    b.take();
    b
}

#[test]
fn what_was_said_before_tls_is_forgotten() {
    let mut b = protected_by_nothing();
    b.say("TYPE I\r\nCWD pub\r\nEPSV\r\nAUTH TLS\r\n");
    b.take();
    shake(&mut b);
    assert_eq!(b.take(), ["* logged out", "* release"], "the login, and the port that was offered in clear");
    assert_eq!(b.codes("PWD"), [530]);
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nEPSV"), [331, 230, 229]);
    b.say("RETR readme.txt\r\n");
    assert!(b.take().iter().any(|line| line.contains("ASCII")));
}

#[test]
fn a_handshake_that_fails_ends_the_connection_without_a_word() {
    let mut b = under(TlsMode::Offer);
    b.say("AUTH TLS\r\n");
    b.take();
    let op = b.only();
    b.answer(op, Outcome::Secured(Err(TlsError::Handshake("no version in common".into()))));
    assert_eq!(b.take(), ["* close"]);
}

#[test]
fn a_handshake_that_never_comes_ends_the_connection() {
    for mode in [TlsMode::Offer, TlsMode::Implicit] {
        let mut b = under(mode);
        if mode == TlsMode::Offer {
            b.say("AUTH TLS\r\n");
        }
        b.take();
        b.pass(Duration::from_secs(29));
        assert!(!b.closed);
        b.pass(Duration::from_secs(1));
        assert_eq!(b.take(), ["* close"]);
    }
}

#[test]
fn required_means_no_login_in_clear() {
    let mut b = under(TlsMode::Require);
    assert_eq!(b.codes("USER root\r\nPASS secret"), [530, 530]);
    assert_eq!(b.codes("USER ftp\r\nPASS me@example.org"), [530, 530]);
    assert_eq!(b.codes("FEAT\r\nNOOP\r\nAUTH TLS"), [211, 200, 234]);
    shake(&mut b);
    assert_eq!(b.codes("USER root\r\nPASS secret"), [331, 230]);
}

#[test]
fn required_means_private_data() {
    let mut b = protected(TlsMode::Require, TlsSettings::default());
    assert_eq!(b.codes("EPSV\r\nRETR readme.txt\r\nLIST\r\nSTOR x"), [229, 521, 521, 521]);
    assert_eq!(b.codes("PBSZ 0\r\nPROT C\r\nPROT P\r\nPROT C"), [200, 534, 200, 534]);
    assert_eq!(b.codes("LIST\r\nEPSV\r\nLIST"), [425, 229, 150]);
    assert!(is_private(&b));
}

#[test]
fn private_data_is_demanded_or_not_by_setting() {
    let demand = |protect| TlsSettings { protect_data: Some(protect), ..TlsSettings::default() };
    let mut b = protected(TlsMode::Require, demand(false));
    assert_eq!(b.codes("EPSV\r\nRETR readme.txt"), [229, 150]);
    let mut b = protected(TlsMode::Offer, demand(true));
    assert_eq!(b.codes("EPSV\r\nRETR readme.txt"), [229, 521]);
    // Who has not asked for TLS at all is let in as before.
    let mut b = with(TlsMode::Offer, demand(true));
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nEPSV\r\nRETR readme.txt"), [331, 230, 229, 150]);
    let mut b = protected(TlsMode::Offer, TlsSettings::default());
    assert_eq!(b.codes("EPSV\r\nRETR readme.txt"), [229, 150]);
}

#[test]
fn implicit_begins_with_tls_and_private_data() {
    let mut b = Bench::under(TlsMode::Implicit, settings(), "192.0.2.1:1175".parse().unwrap());
    assert_eq!(b.take(), ["* start TLS"], "no greeting before it");
    assert!(!b.session.takes_input());
    shake(&mut b);
    assert_eq!(b.take(), ["S: 220 ANY-DOMAIN.COM FTP Service"]);
    assert_eq!(b.codes("AUTH TLS"), [503]);
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nEPSV\r\nLIST"), [331, 230, 229, 150]);
    assert!(is_private(&b));
}

#[test]
fn ccc_is_for_who_is_logged_in_and_where_it_is_permitted() {
    let mut b = protected(TlsMode::Offer, TlsSettings::default());
    assert_eq!(b.codes("CCC"), [534]);
    let mut b = with(TlsMode::Offer, ccc());
    b.say("AUTH TLS\r\n");
    shake(&mut b);
    assert_eq!(b.codes("CCC"), [530], "no password may follow in clear");
}

#[test]
fn behind_ccc_data_stays_private() {
    let mut b = protected(TlsMode::Require, ccc());
    b.say("PBSZ 0\r\nPROT P\r\n");
    b.take();
    let bytes = b"CCC\r\nNOOP\r\n";
    assert_eq!(b.session.handle_input(b.now, bytes), 5, "what follows is read once it is known how it came");
    b.say("");
    assert_eq!(b.take(), ["S: 200 The control connection goes on in clear behind close_notify.", "* stop TLS"]);
    let op = b.only();
    b.answer(op, Outcome::Cleared(Ok(())));
    // Neither may the protection of data be taken off in clear, nor a password be sent.
    assert_eq!(b.codes("NOOP\r\nPROT C\r\nPBSZ 0"), [200, 503, 503]);
    assert_eq!(b.codes("EPSV\r\nLIST"), [229, 150]);
    assert!(is_private(&b));
    b.complete(1);
    assert_eq!(b.codes("USER root"), [530]);
}

#[test]
fn a_client_that_does_not_end_tls_behind_ccc_is_not_waited_for_for_ever() {
    let mut b = protected(TlsMode::Offer, ccc());
    b.say("CCC\r\n");
    b.take();
    b.pass(Duration::from_secs(30));
    assert_eq!(b.take(), ["* close"]);
}

#[test]
fn rein_ends_tls_behind_its_reply() {
    let mut b = protected(TlsMode::Require, TlsSettings::default());
    b.say("PBSZ 0\r\nPROT P\r\n");
    b.take();
    b.say("REIN\r\n");
    assert_eq!(b.take()[1..], ["* logged out", "S: 220 ANY-DOMAIN.COM FTP Service", "* stop TLS"]);
    let op = b.only();
    b.answer(op, Outcome::Cleared(Ok(())));
    assert_eq!(b.codes("USER root\r\nPROT P\r\nAUTH TLS"), [530, 503, 234]);
    shake(&mut b);
    assert_eq!(b.codes("PROT P\r\nUSER root\r\nPASS secret\r\nEPSV\r\nLIST"), [503, 331, 230, 229, 521]);
}

#[test]
fn rein_of_an_implicit_session_keeps_tls() {
    let mut b = under(TlsMode::Implicit);
    shake(&mut b);
    assert_eq!(b.codes("USER root\r\nPASS secret\r\nPBSZ 0\r\nREIN"), [331, 230, 200, 220]);
    assert_eq!(b.codes("PROT P\r\nUSER root\r\nPASS secret\r\nEPSV\r\nLIST"), [503, 331, 230, 229, 150]);
    assert!(is_private(&b));
}

#[test]
fn an_http_request_under_tls_is_dropped_unread() {
    let mut b = under(TlsMode::Offer);
    b.say("AUTH TLS\r\n");
    shake(&mut b);
    b.take();
    b.feed(b"POST / HTTP/1.1\r\nUSER root\r\nPASS secret\r\n");
    assert_eq!(b.take(), ["* close"]);
}

#[test]
fn stat_tells_what_is_protected() {
    let told = |b: &mut Bench| {
        b.take();
        b.say("STAT\r\n");
        b.take().into_iter().find_map(|line| line.strip_prefix("S:  Control connection: ").map(str::to_owned)).unwrap()
    };
    assert_eq!(told(&mut protected_by_nothing()), "in clear; data connections: in clear");
    let mut b = protected(TlsMode::Offer, TlsSettings::default());
    assert_eq!(told(&mut b), "TLS 1.3; data connections: in clear");
    b.say("PBSZ 0\r\nPROT P\r\n");
    assert_eq!(told(&mut b), "TLS 1.3; data connections: protected");
}

#[test]
fn how_a_handshake_ended_is_an_event() {
    let events = |result| {
        let settings = SessionSettings { events: true, ..settings() };
        let mut b = Bench::under(TlsMode::Implicit, settings, "192.0.2.1:1175".parse().unwrap());
        b.session.handle_outcome(b.now, b.only(), Outcome::Secured(result));
        std::iter::from_fn(|| match b.session.poll_output() {
            Output::Wait(_) => None,
            output => Some(output),
        })
        .filter_map(|output| match output {
            Output::Event(SessionEvent { kind: EventKind::Note { text, .. }, .. }) => Some(text),
            Output::Event(SessionEvent { kind: EventKind::TlsFailed { why, text, .. }, .. }) => {
                Some(format!("{why:?}: {text}"))
            }
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    let secured = Secured { description: "TLS 1.3".into(), certificate: false };
    assert_eq!(events(Ok(secured)), ["the control connection is protected: TLS 1.3"]);
    assert_eq!(events(Err(TlsError::Truncated)), ["Truncated: the connection ended without close_notify"]);
}

#[test]
fn what_went_wrong_with_data_is_said() {
    for (error, code, word) in [
        (TlsError::Handshake("bad record".into()), "522", "bad record"),
        (TlsError::TimedOut(Duration::from_secs(30)), "522", "30 s"),
        (TlsError::NotResumed, "522", "session-reuse"),
        (TlsError::OtherClient, "522", "certificate"),
        (TlsError::Truncated, "426", "close_notify"),
    ] {
        let mut b = protected(TlsMode::Offer, TlsSettings::default());
        b.say("EPSV\r\nSTOR x\r\n");
        b.take();
        b.fail(TransferError::Tls(error));
        let log = b.take();
        let reply = log.iter().find(|line| line.starts_with("S: ")).unwrap();
        assert!(reply.contains(code) && reply.contains(word), "{reply}");
        assert!(b.kept.is_empty(), "the upload never happened");
    }
}

/// What may come at a session in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say(&'static str),
    Answer(bool),
    Pass(u64),
    Eof,
}

fn step() -> impl Strategy<Value = Step> {
    let lines = [
        "AUTH TLS",
        "AUTH SSL",
        "PBSZ 0",
        "PROT P",
        "PROT C",
        "CCC",
        "REIN",
        "USER root",
        "PASS secret",
        "EPSV",
        "RETR readme.txt",
        "STOR x",
        "NOOP",
        "ABOR",
        "QUIT",
    ];
    prop_oneof![
        8 => proptest::sample::select(lines.to_vec()).prop_map(Step::Say),
        4 => prop::bool::weighted(0.9).prop_map(Step::Answer),
        1 => (0u64..40).prop_map(Step::Pass),
        1 => Just(Step::Eof),
    ]
}

proptest! {
    /// Whoever knows nothing but the order of events can say when the control connection is protected: no login comes in
    /// clear, no transfer in clear, and the session never hangs.
    #[test]
    fn required_is_required_whatever_comes(steps in proptest::collection::vec(step(), 0..60), ccc in any::<bool>()) {
        let tls = TlsSettings { allow_ccc: ccc, ..TlsSettings::default() };
        let mut b = with(TlsMode::Require, tls);
        let mut protected = false;
        for step in steps {
            if b.closed {
                break;
            }
            match step {
                Step::Say(line) if b.session.takes_input() => b.say(&format!("{line}\r\n")),
                Step::Say(_) => {}
                Step::Answer(well) => {
                    let Some((&op, action)) = b.held.first_key_value() else { continue };
                    match action {
                        Action::StartTls { .. } => {
                            prop_assert!(!protected);
                            protected = well;
                            let result = Ok(Secured { description: "TLS".into(), certificate: false });
                            b.answer(op, Outcome::Secured(if well { result } else { Err(TlsError::Truncated) }));
                        }
                        Action::StopTls => {
                            prop_assert!(protected);
                            protected = false;
                            b.answer(op, Outcome::Cleared(if well { Ok(()) } else { Err(TlsError::Truncated) }));
                        }
                        Action::Transfer { .. } if well => b.complete(1),
                        Action::Transfer { .. } => b.fail(TransferError::Tls(TlsError::Truncated)),
                        _ => b.answer(op, Outcome::Done(Ok(()))),
                    }
                }
                Step::Pass(seconds) => b.pass(Duration::from_secs(seconds)),
                Step::Eof => b.eof(),
            }
            for line in b.take() {
                prop_assert!(protected || !(line.starts_with("S: 331") || line.starts_with("S: 230")), "{}", line);
            }
            for action in b.held.values() {
                if let Action::Transfer { protection, .. } = action {
                    prop_assert_eq!(*protection, Protection::Private);
                }
            }
        }
        if !b.closed && b.held.is_empty() {
            prop_assert!(b.session.takes_input() || b.until < port21_proto::Time::MAX);
        }
    }
}
