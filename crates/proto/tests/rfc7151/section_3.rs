//! HOST.

use std::sync::Arc;

use port21_proto::server::{Action, SessionSettings, SiteId, TlsMode, TlsSettings};

use crate::bench::{Bench, settings};
use crate::play::{expect, reply, shake, with_tls};

fn with_sites(mut b: Bench) -> Bench {
    let second = SessionSettings { greeting: "The second".into(), host: "second.example".into(), ..settings() };
    b.sites.insert(b"second.example".to_vec(), (SiteId(1), Arc::new(second)));
    b
}

/// HOST with a name that is there is answered with 220 and that site's greeting, whose words then hold; with one that is
/// not, with 504, and nothing changes.
#[test]
fn chooses_a_site() {
    let mut b = with_sites(Bench::new());
    expect(&mut b, &[("HOST nosuch.example", &[504])]);
    assert_eq!(reply(&mut b, "HOST Second.Example"), ["220 The second"]);
    expect(&mut b, &[("HOST nosuch.example", &[504])]);
    assert_eq!(reply(&mut b, "USER ftp\r\nPASS x")[1], "230-Welcome to second.example");
    assert_eq!(reply(&mut b, "QUIT"), ["221 Thank you for visiting second.example."]);
}

/// The login is that of the site.
#[test]
fn logins_are_of_the_site() {
    for (line, site) in [("NOOP", SiteId::DEFAULT), ("HOST second.example", SiteId(1))] {
        let mut b = with_sites(Bench::new());
        b.codes(&format!("{line}\r\nUSER ann"));
        b.hold_all = true;
        b.say("PASS x\r\n");
        assert!(matches!(&b.held[&b.only()], Action::Authenticate { site: s, .. } if *s == site), "{line}");
    }
}

/// HOST comes before USER, and may be given again until then: after USER it is 503.
#[test]
fn before_user() {
    let mut b = with_sites(Bench::new());
    expect(&mut b, &[("HOST second.example", &[220]), ("HOST second.example", &[220]), ("USER root", &[331])]);
    expect(&mut b, &[("HOST second.example", &[503]), ("PASS secret", &[230]), ("HOST second.example", &[503])]);
}

/// REIN takes it back: the greeting is that of the first site, and HOST may be given again.
#[test]
fn rein() {
    let mut b = with_sites(Bench::new());
    expect(&mut b, &[("HOST second.example", &[220]), ("USER root\r\nPASS secret", &[331, 230])]);
    assert_eq!(reply(&mut b, "REIN"), ["220 ANY-DOMAIN.COM FTP Service"]);
    expect(&mut b, &[("HOST second.example", &[220])]);
}

/// AUTH does not take it back: the name has chosen the certificate.
#[test]
fn auth_keeps_it() {
    let mut b = with_sites(with_tls(TlsMode::Offer, TlsSettings::default()));
    expect(&mut b, &[("HOST second.example", &[220])]);
    b.say("AUTH TLS\r\n");
    shake(&mut b);
    assert_eq!(reply(&mut b, "QUIT"), ["221 Thank you for visiting second.example."]);
}

/// The name in a TLS handshake chooses the site as well, and REIN goes back to that; HOST has the last word.
#[test]
fn sni_chooses_too() {
    let mut b = with_sites(with_tls(TlsMode::Offer, TlsSettings::default()));
    let (second, settings) = b.sites[&b"second.example"[..]].clone();
    b.say("AUTH TLS\r\n");
    b.session.handle_site(second, settings);
    shake(&mut b);
    assert_eq!(reply(&mut b, "REIN")[0], "220 The second");

    let third =
        SessionSettings { greeting: "The third".into(), host: "third.example".into(), ..crate::bench::settings() };
    let mut b = with_sites(with_tls(TlsMode::Offer, TlsSettings::default()));
    expect(&mut b, &[("HOST second.example", &[220])]);
    b.say("AUTH TLS\r\n");
    b.session.handle_site(SiteId(2), Arc::new(third));
    shake(&mut b);
    assert_eq!(reply(&mut b, "QUIT"), ["221 Thank you for visiting second.example."]);
}

/// The argument is a host name, an IPv4 address, or an IPv6 address in brackets; anything else is 501.
#[test]
fn names() {
    let mut b = Bench::new();
    expect(
        &mut b,
        &[
            ("HOST", &[501]),
            ("HOST a b", &[501]),
            ("HOST ftp.example:21", &[501]),
            ("HOST 2001:db8::1", &[501]),
            ("HOST [2001:db8::1]", &[504]),
            ("HOST 192.0.2.1", &[504]),
        ],
    );
}

/// FEAT lists it (section 3.4).
#[test]
fn feat() {
    assert!(reply(&mut Bench::new(), "FEAT").contains(&" HOST".to_owned()));
}
