//! Beginning and ending TLS.

use port21_proto::server::{Outcome, TlsError, TlsMode, TlsSettings};

use crate::play::{expect, reply, shake, with_tls};

/// AUTH TLS and its older names are answered with 234, and then TLS begins. What was sent ahead is not read.
#[test]
fn auth_tls() {
    for name in ["TLS", "TLS-C", "SSL", "TLS-P", "tls"] {
        let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
        expect(&mut b, &[(&format!("AUTH {name}"), &[234])]);
        shake(&mut b);
        expect(&mut b, &[("NOOP", &[200])]);
    }
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    assert_eq!(b.session.handle_input(b.now, b"AUTH TLS\r\nUSER root\r\n"), b"AUTH TLS\r\n".len());
}

/// A handshake that fails ends the connection: nobody knows what state it is in.
#[test]
fn a_failed_handshake() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    b.codes("AUTH TLS");
    let op = b.only();
    b.answer(op, Outcome::Secured(Err(TlsError::Handshake("no cipher".into()))));
    assert!(b.closed);
}

/// Where the server demands TLS, USER in clear is refused.
#[test]
fn demanded() {
    let mut b = with_tls(TlsMode::Require, TlsSettings::default());
    expect(&mut b, &[("USER root", &[530]), ("PASS x", &[530]), ("AUTH TLS", &[234])]);
    shake(&mut b);
    expect(&mut b, &[("USER root", &[331])]);
}

/// FEAT tells of AUTH, PBSZ and PROT (section 6).
#[test]
fn features() {
    let lines = reply(&mut with_tls(TlsMode::Require, TlsSettings::default()), "FEAT");
    assert!([" AUTH TLS", " PBSZ", " PROT"].iter().all(|want| lines.iter().any(|line| line == want)), "{lines:?}");
}
