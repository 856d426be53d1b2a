//! TLS of which this is the server: what it makes of the clients that come, and the words for what goes wrong.

use std::sync::Arc;

use port21_proto::server::TlsError;
use port21_tls::{Fault, Side};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::UnbufferedStatus;
use rustls::{CertificateError, CommonState, Error, PeerIncompatible, ServerConfig};

const TOO_OLD: &str = "the client speaks neither TLS 1.2 nor 1.3, and TLS 1.0 and 1.1 are broken";

/// RFC 8446 section 6: a fatal alert, protocol_version.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

/// One connection under TLS, of which this is the server.
pub(crate) type Engine = port21_tls::Engine<ServerSide>;

/// See [`Engine`].
pub(crate) struct ServerSide(UnbufferedServerConnection);

impl ServerSide {
    pub(super) fn engine(config: Arc<ServerConfig>) -> Result<Engine, TlsError> {
        let connection =
            UnbufferedServerConnection::new(config).map_err(|error| TlsError::Handshake(error.to_string()))?;
        Engine::new(ServerSide(connection))
    }
}

impl Side for ServerSide {
    type Data = ServerConnectionData;
    type Error = TlsError;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.0.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        &self.0
    }

    fn error(&self, fault: Fault) -> TlsError {
        let words = match fault {
            Fault::Tls(error) => self.words(&error),
            Fault::Refused => TOO_OLD.into(),
            Fault::Endless => return TlsError::Broken("a record without an end".into()),
            Fault::Ended => return TlsError::Broken("nothing can be sent any more".into()),
            _ => "it has failed before".into(),
        };
        if self.0.is_handshaking() { TlsError::Handshake(words) } else { TlsError::Broken(words) }
    }

    /// rustls would say of the past that it lacks an extension, which tells nobody what is wrong.
    fn refusal(&self, incoming: &[u8]) -> Option<&'static [u8]> {
        is_of_the_past(incoming).then_some(&PROTOCOL_VERSION)
    }
}

impl ServerSide {
    fn words(&self, error: &Error) -> String {
        match error {
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled) => {
                TOO_OLD.into()
            }
            Error::NoApplicationProtocol => {
                "the client means another protocol than FTP (ALPN): maybe a web page that was led here".into()
            }
            Error::AlertReceived(alert) => format!("the client ended it: {alert:?}"),
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::NoCertificatesPresented => {
                "the client has no certificate, and `client-certificates` is \"require\": give it one, or take \"request\"".into()
            }
            Error::InvalidMessage(_) if self.0.is_handshaking() => "what the client sends is not TLS".into(),
            error => error.to_string(),
        }
    }
}

/// What is wrong with a client's certificate, and what to do about it.
fn of_certificate(error: &CertificateError) -> String {
    use CertificateError as Wrong;
    let words = match error {
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "it has expired: the client needs a new one, unless the clock of this machine is wrong"
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "it is not valid yet: look at the clocks of this machine and of the one that it was made on"
        }
        Wrong::UnknownIssuer => {
            "it is of no authority in the file of `client-authorities`: add its authority there, or give the client one of those"
        }
        Wrong::BadSignature => {
            "it is not signed by the authority that it names: `client-authorities` has another one of that name"
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "it is not meant for clients: its extended key usage has to name clientAuth"
        }
        // RFC 5280 section 4.1.2.1: without extensions nothing says what a certificate is for.
        Wrong::Other(other) if other.0.downcast_ref() == Some(&webpki::Error::UnsupportedCertVersion) => {
            "it is of X.509 version 1 or 2, and only version 3 says what it is for: make it anew with an extension, \
             extendedKeyUsage=clientAuth (docs/operating.md, Certificates)"
        }
        error => return format!("the client's certificate is refused: {error}"),
    };
    format!("the client's certificate is refused: {words}")
}

/// Whether these are the first bytes of a ClientHello of a version before TLS 1.2 (RFC 8446 section 4.1.2: later ones
/// all say that they are 1.2).
fn is_of_the_past(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, _, _, _, 1, _, _, _, major, minor, ..] => (*major, *minor) < (3, 3),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
    use rustls::client::ResolvesClientCert;
    use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme};

    use super::*;

    /// Shows a certificate whatever it is.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesClientCert for Shows {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn issuer() -> Issuer {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Our clients");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// What the server says of a client with this certificate, and of one that has none.
    fn words(trusted: &Issuer, certificate: Option<(CertificateDer<'static>, &KeyPair)>) -> String {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let server = server.with_client_cert_verifier(clients);
        let server = server.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots);
        let client = match certificate {
            Some((certificate, key)) => {
                let key = any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap();
                client.with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(vec![certificate], key)))))
            }
            None => client.with_no_client_auth(),
        };
        let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
        let mut server = ServerSide::engine(Arc::new(server)).unwrap();
        for _ in 0..8 {
            let mut said = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut said).unwrap();
            }
            server.room(said.len())[..said.len()].copy_from_slice(&said);
            if let Err(error) = server.received(said.len(), |_| {}) {
                let TlsError::Handshake(words) = error else { panic!("{error:?}") };
                return words;
            }
            let answer = server.outgoing().to_vec();
            client.read_tls(&mut answer.as_slice()).unwrap();
            client.process_new_packets().unwrap();
            server.sent(answer.len());
            if !client.is_handshaking() && !server.is_handshaking() {
                return "let in".to_owned();
            }
        }
        panic!("it comes to no end");
    }

    /// The first element of DER (X.690 section 8.1) and what follows it: its tag, its content, all of it, the rest.
    fn element(der: &[u8]) -> (u8, &[u8], &[u8], &[u8]) {
        let (head, length) = match der[1] {
            length @ 0..=0x7f => (2, usize::from(length)),
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
            _ => panic!("a certificate of 64 KiB"),
        };
        (der[0], &der[head..head + length], &der[..head + length], &der[head + length..])
    }

    fn sequence(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        // The shortest way to say it is the only one.
        let head = match length {
            [0, length @ 0..=0x7f] => vec![0x30, length],
            [0, length] => vec![0x30, 0x81, length],
            [high, low] => vec![0x30, 0x82, high, low],
        };
        [head.as_slice(), content].concat()
    }

    /// A certificate as it was before there were extensions: without them, and without its version (RFC 5280 section 4.1). The
    /// signature is not that of it any more: nobody comes to look at it.
    fn of_version_1(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
        let (_, all, ..) = element(certificate);
        let (_, mut signed, _, signature) = element(all);
        let mut kept = Vec::new();
        while !signed.is_empty() {
            let (tag, _, whole, rest) = element(signed);
            if !matches!(tag, 0xa0 | 0xa3) {
                kept.extend_from_slice(whole);
            }
            signed = rest;
        }
        sequence(&[sequence(&kept).as_slice(), signature].concat()).into()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_of_a_client_is_said_in_plain_words() {
        let (trusted, other) = (issuer(), issuer());
        let key = KeyPair::generate().unwrap();
        let made = |issuer: &Issuer, change: &dyn Fn(&mut CertificateParams)| {
            let mut params = CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
            change(&mut params);
            params.signed_by(&key, issuer).unwrap().der().clone()
        };
        let good = made(&trusted, &|_| {});
        let told = |certificate| words(&trusted, Some((certificate, &key)));
        assert_eq!(told(good.clone()), "let in");
        let old = told(of_version_1(&good));
        assert!(old.contains("X.509 version 1") && old.contains("extendedKeyUsage=clientAuth"), "{old}");
        let of_another = told(made(&other, &|_| {}));
        assert!(of_another.contains("another one of that name"), "{of_another}");
        let stranger = told(rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.der().clone());
        assert!(stranger.contains("it is of no authority in the file of `client-authorities`"), "{stranger}");
        let expired = told(made(&trusted, &|params| params.not_after = rcgen::date_time_ymd(2021, 1, 1)));
        assert!(expired.contains("it has expired"), "{expired}");
        let early = told(made(&trusted, &|params| params.not_before = rcgen::date_time_ymd(2999, 1, 1)));
        assert!(early.contains("it is not valid yet"), "{early}");
        let purpose = told(made(&trusted, &|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }));
        assert!(purpose.contains("clientAuth"), "{purpose}");
        let none = words(&trusted, None);
        assert!(none.contains("`client-certificates`"), "{none}");
    }
}
