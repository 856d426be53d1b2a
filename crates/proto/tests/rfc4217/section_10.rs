//! Data connections.

use port21_proto::server::{TlsError, TlsMode, TlsSettings, TransferError};

use crate::bench::Bench;
use crate::play::{expect, shake, with_tls};

fn protected() -> Bench {
    let mut b = with_tls(TlsMode::Require, TlsSettings::default());
    b.codes("AUTH TLS");
    shake(&mut b);
    expect(&mut b, &[("USER root\r\nPASS secret", &[331, 230]), ("PBSZ 0", &[200]), ("EPSV", &[229])]);
    b
}

/// A transfer in clear where protection is demanded: 521, and no 1yz before it.
#[test]
fn refused_in_clear() {
    expect(&mut protected(), &[("RETR readme.txt", &[521]), ("LIST", &[521]), ("STOR x", &[521])]);
}

/// TLS on the data connection that fails: 522.
#[test]
fn a_failed_handshake() {
    for error in [TlsError::Handshake("no cipher".into()), TlsError::NotResumed, TlsError::OtherClient] {
        let mut b = protected();
        expect(&mut b, &[("PROT P", &[200]), ("RETR readme.txt", &[150])]);
        b.fail(TransferError::Tls(error));
        assert_eq!(b.reply_codes(), [522]);
    }
}

/// A data connection that ends without close_notify is not known to be whole: 426.
#[test]
fn without_close_notify() {
    let mut b = protected();
    expect(&mut b, &[("PROT P", &[200]), ("STOR x", &[150])]);
    b.fail(TransferError::Tls(TlsError::Truncated));
    assert_eq!(b.reply_codes(), [426]);
}
