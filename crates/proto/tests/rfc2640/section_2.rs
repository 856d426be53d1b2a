//! Names in UTF-8.

use crate::bench::Bench;
use crate::play::{asked, expect, reply};

/// UTF8 is a feature; names go through in both directions without being looked at, also such as are no UTF-8.
#[test]
fn names_are_bytes() {
    let mut b = Bench::logged_in("root");
    assert!(reply(&mut b, "FEAT").contains(&" UTF8".to_owned()));
    assert_eq!(reply(&mut b, "MKD größe 日本"), ["257 \"/größe 日本\" directory created."]);
    b.hold_all = true;
    b.take();
    b.feed(b"DELE \xe4\xf6\xfc\xff\xff\r\n");
    assert!(b.take()[0].contains(r"/\xe4\xf6\xfc\xff"));
    assert!(asked(&mut Bench::logged_in("root"), "DELE größe")[0].contains("größe"));
}

/// Servers in use are told OPTS UTF8 ON before the login: 200. There is nothing that could be switched off.
#[test]
fn opts() {
    expect(&mut Bench::new(), &[("OPTS UTF8 ON", &[200]), ("OPTS UTF8 OFF", &[501])]);
}
