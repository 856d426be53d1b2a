//! Who a client's certificate says it is.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// What TLS tells of the client at the other end of a control connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPeer {
    /// The name of the host that the client meant to reach (SNI), where it gave one. Whether it is this one was not
    /// checked.
    pub server_name: Option<String>,
    /// The client's certificate, verified to be of an authority that is believed; where it was asked for and had one.
    pub certificate: Option<ClientCertificate>,
}

/// A verified certificate of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The SHA-256 fingerprint, as `openssl x509 -fingerprint -sha256` writes it: `AB:CD:...`.
    pub fingerprint: String,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The subject's alternative names: DNS names, mail addresses and URIs, as they are written.
    pub names: Vec<String>,
}

impl ClientCertificate {
    /// Reads a certificate that was verified. One that cannot be read any further has its fingerprint for all that.
    pub(super) fn read(leaf: &[u8]) -> ClientCertificate {
        let mut certificate =
            ClientCertificate { fingerprint: fingerprint(leaf), common_name: None, names: Vec::new() };
        if let Ok((_, parsed)) = parse_x509_certificate(leaf) {
            let mut common = parsed.subject().iter_common_name();
            certificate.common_name = common.next().and_then(|name| name.as_str().ok()).map(str::to_owned);
            if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
                certificate.names.extend(alternative.value.general_names.iter().filter_map(|name| match name {
                    GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                        Some((*name).to_owned())
                    }
                    _ => None,
                }));
            }
        }
        certificate
    }
}

/// The SHA-256 fingerprint of a certificate, in capitals with colons.
pub(super) fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::with_capacity(95);
    for byte in digest(&SHA256, certificate).as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fingerprint() {
        let mut params = rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "robot 7");
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let read = ClientCertificate::read(made.der());
        assert_eq!(read.common_name.as_deref(), Some("robot 7"));
        assert_eq!(read.names, ["robot.example"]);
        assert_eq!(read.fingerprint.len(), 95);
        assert_eq!(fingerprint(b"abc")[..11], *"BA:78:16:BF", "FIPS 180-2, appendix B.1");
    }

    #[test]
    fn what_is_no_certificate_has_a_fingerprint_only() {
        let read = ClientCertificate::read(b"abc");
        assert_eq!((read.common_name, read.names), (None, Vec::new()));
    }
}
