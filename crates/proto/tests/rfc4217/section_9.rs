//! PBSZ and PROT.

use port21_proto::server::{Action, Protection, TlsMode, TlsSettings};

use crate::play::{expect, reply, shake, with_tls};

/// PBSZ must come before PROT; its reply says `PBSZ=0`, the only size that there is.
#[test]
fn pbsz_is_zero() {
    let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
    b.codes("AUTH TLS");
    shake(&mut b);
    expect(&mut b, &[("PROT P", &[503])]);
    assert_eq!(reply(&mut b, "PBSZ 4096"), ["200 PBSZ=0"]);
    expect(&mut b, &[("PROT P", &[200])]);
}

/// PROT P protects data connections, PROT C does not; both are before a login too; S and E are 536.
#[test]
fn prot_holds_for_data_connections() {
    for (level, protection) in [("C", Protection::Clear), ("P", Protection::Private)] {
        let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
        b.codes("AUTH TLS");
        shake(&mut b);
        expect(
            &mut b,
            &[("PBSZ 0", &[200]), (&format!("PROT {level}"), &[200]), ("PROT S", &[536]), ("PROT E", &[536])],
        );
        expect(&mut b, &[("USER root\r\nPASS secret\r\nEPSV\r\nRETR readme.txt", &[331, 230, 229, 150])]);
        assert!(matches!(&b.held[&b.only()], Action::Transfer { protection: p, .. } if *p == protection));
    }
}

/// A port that was to be private serves for nothing in clear: its client may have begun TLS as soon as it had connected.
/// One that was in clear serves for what is private from then on.
#[test]
fn prot_c_lets_go_of_a_private_port() {
    for (level, then, code) in [("P", "C", 425), ("C", "P", 150), ("P", "P", 150)] {
        let mut b = with_tls(TlsMode::Offer, TlsSettings::default());
        b.codes("AUTH TLS");
        shake(&mut b);
        expect(&mut b, &[("PBSZ 0", &[200]), (&format!("PROT {level}"), &[200])]);
        expect(&mut b, &[("USER root\r\nPASS secret\r\nEPSV", &[331, 230, 229])]);
        expect(&mut b, &[(&format!("PROT {then}"), &[200]), ("RETR readme.txt", &[code])]);
    }
}
