//! New commands of the security extensions.

use port21_proto::server::{TlsMode, TlsSettings};

use crate::bench::Bench;
use crate::play::{expect, shake, with_tls};

/// AUTH with a mechanism that is not there: 504; without one: 501; with one that begins: 234.
#[test]
fn auth() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    expect(&mut b, &[("AUTH GSSAPI", &[504]), ("AUTH KERBEROS_V4", &[504]), ("AUTH", &[501]), ("AUTH TLS", &[234])]);
    shake(&mut b);
    expect(&mut b, &[("AUTH TLS", &[503])]);
}

/// AUTH resets what was told before it: the login must begin anew.
#[test]
fn auth_forgets_the_login() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230]), ("AUTH TLS", &[234])]);
    shake(&mut b);
    expect(&mut b, &[("PWD", &[530]), ("PASS secret", &[503])]);
}

/// PBSZ before AUTH, and PROT before PBSZ: 503; a level that is not known: 504; one that the mechanism has not: 536.
#[test]
fn pbsz_and_prot() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    expect(&mut b, &[("PBSZ 0", &[503]), ("PROT P", &[503]), ("AUTH TLS", &[234])]);
    shake(&mut b);
    expect(&mut b, &[("PROT P", &[503]), ("PBSZ x", &[501]), ("PBSZ 0", &[200])]);
    expect(&mut b, &[("PROT P", &[200]), ("PROT X", &[504]), ("PROT S", &[536]), ("PROT E", &[536])]);
}

/// CCC in clear: 533; where it is not permitted: 534; by somebody who has not logged in: 530.
#[test]
fn ccc() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230]), ("CCC", &[533]), ("AUTH TLS", &[234])]);
    shake(&mut b);
    expect(&mut b, &[("CCC", &[530]), ("USER root\r\nPASS secret", &[331, 230]), ("CCC", &[534])]);
}

/// Without any mechanism its commands are 502, as all that is not there.
#[test]
fn without_tls() {
    expect(&mut Bench::new(), &[("AUTH TLS", &[502]), ("PBSZ 0", &[502]), ("PROT P", &[502]), ("CCC", &[502])]);
}
