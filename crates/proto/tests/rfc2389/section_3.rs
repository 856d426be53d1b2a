//! FEAT.

use port21_proto::server::{TlsMode, TlsSettings};

use crate::bench::Bench;
use crate::play::{reply, with_tls};

/// FEAT is answered with 211; each feature stands on a line of its own behind exactly one space, with nothing behind it.
#[test]
fn one_feature_a_line() {
    let lines = reply(&mut Bench::new(), "FEAT");
    let features = &lines[1..lines.len() - 1];
    assert!(lines[0].starts_with("211-") && lines[lines.len() - 1].starts_with("211 "));
    assert!(features.iter().all(|line| line.starts_with(' ') && !line.starts_with("  ") && !line.ends_with(' ')));
    let mut once = features.to_vec();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), features.len(), "no feature twice");
}

/// Every extension that is there is listed, and no other.
#[test]
fn all_and_no_other() {
    let lines = reply(&mut Bench::new(), "FEAT");
    let features: Vec<&str> = lines[1..lines.len() - 1].iter().map(|line| line.trim_start()).collect();
    assert_eq!(
        features,
        [
            "AVBL",
            "CLNT",
            "COMB",
            "CSID",
            "DSIZ",
            "EPRT",
            "EPSV",
            "HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32",
            "HOST",
            "LANG EN*",
            "MD5",
            "MDTM",
            "MFF Modify;UNIX.mode;",
            "MFMT",
            "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;",
            "MODE Z",
            "PASV",
            "RANG STREAM",
            "REST STREAM",
            "RMDA",
            "SIZE",
            "TVFS",
            "UTF8",
            "XCRC",
            "XMD5",
            "XSHA",
            "XSHA1",
            "XSHA256",
            "XSHA512",
        ]
    );
}

/// What is offered by setting is listed where it is offered.
#[test]
fn by_setting() {
    let lines = reply(&mut with_tls(TlsMode::Offer, TlsSettings::default()), "FEAT");
    for feature in [" AUTH TLS", " PBSZ", " PROT"] {
        assert!(lines.iter().any(|line| line == feature), "{feature}: {lines:?}");
    }
}
