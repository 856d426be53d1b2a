//! EPRT.

use crate::bench::{Bench, settings};
use crate::play::{expect, reply};

/// EPRT names protocol, address and port between delimiters, any printable one.
#[test]
fn forms() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("EPRT |1|192.0.2.1|6275|", &[200]),
            ("EPRT !1!192.0.2.1!6275!", &[200]),
            ("EPRT |1|192.0.2.1|6275", &[501]),
            ("EPRT |1|192.0.2.1|0|", &[501]),
            ("EPRT |1|192.0.2.1|70000|", &[501]),
            ("EPRT |1|x|6275|", &[501]),
            ("EPRT", &[501]),
        ],
    );
}

/// A protocol that is not there is refused with 522 and those that are, in parentheses.
#[test]
fn other_protocols() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(reply(&mut b, "EPRT |3|x|1|"), ["522 Network protocol not supported, use (1,2)"]);
    assert_eq!(reply(&mut b, "EPRT |2|2001:db8::1|6275|"), ["522 Network protocol not supported, use (1)"]);
    let mut b = Bench::with(settings(), "[2001:db8::1]:1175".parse().unwrap());
    b.codes("USER ftp\r\nPASS x");
    assert_eq!(b.codes("EPRT |2|2001:db8::1|6275|"), [200]);
    assert_eq!(reply(&mut b, "EPRT |1|192.0.2.1|6275|"), ["522 Network protocol not supported, use (2)"]);
}
