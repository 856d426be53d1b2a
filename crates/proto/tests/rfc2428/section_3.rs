//! EPSV.

use crate::bench::{Bench, settings};
use crate::play::{asked, expect, reply};

/// EPSV is answered with 229 and the port alone, as `(|||port|)`.
#[test]
fn reply_form() {
    let text = reply(&mut Bench::logged_in("ftp"), "EPSV").remove(0);
    let port = port21_proto::addr::parse_epsv(text.as_bytes()).unwrap();
    assert_eq!(text, format!("229 Entering Extended Passive Mode (|||{port}|)"));
}

/// EPSV leaves the address to the server; PASV has room for one of IPv4 alone.
#[test]
fn the_address_is_the_servers() {
    assert_eq!(asked(&mut Bench::logged_in("ftp"), "EPSV"), ["Listen { ipv4: false, protection: Clear }"]);
    assert_eq!(asked(&mut Bench::logged_in("ftp"), "PASV"), ["Listen { ipv4: true, protection: Clear }"]);
}

/// With a protocol the other one is refused with 522; one that is not there too.
#[test]
fn with_a_protocol() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("EPSV 1", &[229]), ("EPSV 2", &[522]), ("EPSV 3", &[522]), ("EPSV x", &[501])]);
    let mut b = Bench::with(settings(), "[2001:db8::1]:1175".parse().unwrap());
    expect(&mut b, &[("USER ftp\r\nPASS x", &[331, 230]), ("EPSV 2", &[229]), ("EPSV 1", &[522]), ("EPSV", &[229])]);
}
