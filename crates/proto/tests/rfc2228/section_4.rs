//! Login authorization.

use port21_proto::server::{Outcome, Secured, TlsMode, TlsSettings};

use crate::bench::Bench;
use crate::play::{expect, reply, with_tls};

/// A session whose client has shown a certificate, or has not.
fn shown(certificate: bool) -> Bench {
    let settings = TlsSettings { allow_ccc: true, ..TlsSettings::default() };
    let mut b = with_tls(TlsMode::Offer, settings);
    b.codes("AUTH TLS");
    let op = b.only();
    b.answer(op, Outcome::Secured(Ok(Secured { description: "TLS 1.3".into(), certificate })));
    b
}

/// USER of a client whose certificate is enough: 232, and everything may follow; a PASS that comes all the same is
/// superfluous: 202.
#[test]
fn user_with_a_certificate() {
    let mut b = shown(true);
    assert_eq!(reply(&mut b, "USER robot"), ["232 User robot logged in by certificate."]);
    expect(&mut b, &[("PWD", &[257]), ("PASS x", &[202]), ("PWD", &[257])]);
    // All of it sent ahead.
    expect(&mut shown(true), &[("USER robot\r\nPASS x\r\nPWD", &[232, 202, 257])]);
}

/// Of anybody else it asks for a password as always: without a certificate, for a name that it is not enough for, or once
/// TLS has ended.
#[test]
fn user_with_a_password() {
    expect(&mut shown(false), &[("USER robot", &[331]), ("PASS x", &[530])]);
    let mut b = shown(true);
    expect(&mut b, &[("USER nobody", &[331]), ("PWD", &[530]), ("PASS x", &[530])]);
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230]), ("PASS x", &[503]), ("CCC", &[200])]);
    let op = b.only();
    b.answer(op, Outcome::Cleared(Ok(())));
    expect(&mut b, &[("USER robot", &[331])]);
}

/// A name that the certificate is not enough for is no failed login, however often it is given.
#[test]
fn a_certificate_that_is_not_enough_is_no_failed_login() {
    let mut b = shown(true);
    for _ in 0..20 {
        expect(&mut b, &[("USER nobody", &[331])]);
    }
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230])]);
}
