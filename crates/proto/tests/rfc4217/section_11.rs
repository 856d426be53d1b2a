//! REIN and CCC (sections 11 and 12).

use port21_proto::server::{Outcome, TlsMode, TlsSettings};

use crate::play::{expect, shake, with_tls};

/// REIN ends TLS behind its reply; AUTH may come again.
#[test]
fn rein() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    b.codes("AUTH TLS");
    shake(&mut b);
    expect(&mut b, &[("REIN", &[220])]);
    let op = b.only();
    b.answer(op, Outcome::Cleared(Ok(())));
    expect(&mut b, &[("PBSZ 0", &[503]), ("AUTH TLS", &[234])]);
}

/// CCC, where it is permitted, only behind a login; data stays as protected as it was.
#[test]
fn ccc() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings { allow_ccc: true, ..TlsSettings::default() });
    b.codes("AUTH TLS");
    shake(&mut b);
    expect(&mut b, &[("CCC", &[530]), ("USER root\r\nPASS secret", &[331, 230]), ("CCC", &[200])]);
    let op = b.only();
    b.answer(op, Outcome::Cleared(Ok(())));
    expect(&mut b, &[("NOOP", &[200]), ("PROT C", &[503])]);
}
