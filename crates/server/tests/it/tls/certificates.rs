//! The server's certificates by name and anew; the client's.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::sync::Arc;

use port21_server::TlsMode;
use port21_server::tls::{Authorities, Certificates, ClientCertificates, SessionReuse};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use super::client::{Secure, TlsClient, VERSIONS, begin, make_pair, shake};
use crate::site::Site;

/// The certificate that a server shows to who asks for this name.
fn shown(secure: &Secure, name: &str) -> CertificateDer<'static> {
    let mut stream = begin(&Arc::new(anybody::config()), name, TcpStream::connect(secure.site.addr).unwrap());
    shake(&mut stream).unwrap();
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (one, first) = make_pair(dir.path(), &["one.example"]);
    let (two, second) = make_pair(dir.path(), &["second.example"]);
    let secure = Secure::with(TlsMode::Implicit, Site::settings(), |tls| {
        tls.certificates = Arc::new(Certificates::read(vec![one, two]).unwrap());
    });
    assert_eq!(shown(&secure, "one.example"), first);
    assert_eq!(shown(&secure, "second.example"), second);
    assert_eq!(shown(&secure, "three.example"), first);
}

#[test]
fn the_name_that_is_asked_for_chooses_the_site() {
    let mut settings = Site::settings();
    settings.names = vec!["first.example".into()];
    let secure = Secure::with(TlsMode::Implicit, settings, |_| ());
    for (name, greeting) in [
        ("second.example", "220 The second site\r\n"),
        ("first.example", "220 FTP Service\r\n"),
        ("other.example", "220 FTP Service\r\n"),
    ] {
        let socket = TcpStream::connect(secure.site.addr).unwrap();
        let mut control = BufReader::new(begin(&Arc::new(anybody::config()), name, socket));
        let mut line = String::new();
        control.read_line(&mut line).unwrap();
        assert_eq!(line, greeting, "{name}");
    }
}

#[test]
fn the_host_that_was_named_chooses_the_certificate_where_tls_names_none() {
    let dir = tempfile::tempdir().unwrap();
    let (one, first) = make_pair(dir.path(), &["one.example"]);
    let (two, second) = make_pair(dir.path(), &["second.example"]);
    let mut settings = Site::settings();
    settings.names = vec!["one.example".into()];
    let secure = Secure::with(TlsMode::Offer, settings, |tls| {
        tls.certificates = Arc::new(Certificates::read(vec![one, two]).unwrap());
    });
    // Without SNI.
    let mut config = anybody::config();
    config.enable_sni = false;
    let config = Arc::new(config);
    let shown = |before: &str| {
        let mut raw = secure.site.connect();
        if !before.is_empty() {
            raw.command(before, 220);
        }
        raw.command("AUTH TLS", 234);
        let client = TlsClient::over(raw, config.clone());
        client.control.conn.peer_certificates().unwrap()[0].clone().into_owned()
    };
    assert_eq!(shown(""), first);
    assert_eq!(shown("HOST one.example"), first);
    assert_eq!(shown("HOST second.example"), second);
}

#[test]
fn a_new_certificate_is_shown_from_its_reload_on_and_sessions_go_on() {
    let secure = Secure::new(TlsMode::Implicit);
    let mut client = TlsClient::implicit(secure.site.addr, secure.client_config(&TLS13));
    client.log_in();
    let before = shown(&secure, "localhost");
    assert_eq!(before, secure.certificate);
    let (pair, after) = make_pair(secure.pair.chain.parent().unwrap(), &["localhost"]);
    assert_eq!(pair, secure.pair);
    secure.certificates.reload().unwrap();
    assert_eq!(shown(&secure, "localhost"), after);
    // The session resumes what it had.
    client.store("STOR file", b"bytes");
    assert_eq!(client.fetch("RETR file"), b"bytes");
}

/// An authority, and what it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, dir: tempfile::tempdir().unwrap() }
    }

    fn trusted(&self) -> Authorities {
        let file = self.dir.path().join("ca.pem");
        std::fs::write(&file, self.issuer.pem()).unwrap();
        Authorities::read(file).unwrap()
    }

    /// A site that asks its clients for certificates of this authority.
    fn asked_for(&self) -> Secure {
        Secure::with(TlsMode::Offer, Site::settings(), |tls| {
            tls.client_certificates = ClientCertificates::Request(self.trusted());
        })
    }

    fn config(&self, secure: &Secure, version: &'static rustls::SupportedProtocolVersion, name: &str) -> ClientConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(secure.trust())
            .with_client_auth_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap()
    }
}

#[test]
fn a_certificate_is_told_to_who_decides_on_logins() {
    let authority = Authority::new();
    for (_, version) in VERSIONS {
        let secure = authority.asked_for();
        let mut client = secure.connect(authority.config(&secure, version, "robot.example"));
        client.command("USER robot", 331);
        client.command("PASS", 230);
        client.protect_data();
        client.store("STOR file", b"bytes");
        assert_eq!(client.fetch("RETR file"), b"bytes");
        // One of another name, none at all, and no TLS.
        for config in [authority.config(&secure, version, "human.example"), secure.client_config(version)] {
            let mut client = secure.connect(config);
            client.command("USER robot", 331);
            client.command("PASS", 530);
        }
        let mut raw = secure.site.connect();
        raw.command("USER robot", 331);
        assert!(raw.command("PASS", 530).contains("AUTH TLS"));
    }
}

#[test]
fn a_certificate_alone_logs_in_at_user() {
    let authority = Authority::new();
    for (_, version) in VERSIONS {
        let secure = authority.asked_for();
        let mut client = secure.connect(authority.config(&secure, version, "robot.example"));
        client.command("USER signed", 232);
        client.protect_data();
        client.store("STOR file", b"bytes");
        assert_eq!(client.fetch("RETR file"), b"bytes");
        client.command("PASS superfluous", 202);
        // It is enough for its own account alone.
        client.command("USER user", 331);
        client.command("PWD", 530);
        for config in [authority.config(&secure, version, "human.example"), secure.client_config(version)] {
            let mut client = secure.connect(config);
            client.command("USER signed", 331);
            client.command("PASS", 530);
        }
        secure.site.connect().command("USER signed", 331);
    }
}

#[test]
fn where_a_certificate_is_required_there_is_no_session_without() {
    let (authority, another) = (Authority::new(), Authority::new());
    let secure = Secure::with(TlsMode::Implicit, Site::settings(), |tls| {
        tls.client_certificates = ClientCertificates::Require(authority.trusted());
    });
    TlsClient::implicit(secure.site.addr, authority.config(&secure, &TLS13, "robot.example")).command("NOOP", 200);
    for config in [secure.client_config(&TLS12), another.config(&secure, &TLS12, "robot.example")] {
        let mut stream = begin(&Arc::new(config), "localhost", TcpStream::connect(secure.site.addr).unwrap());
        shake(&mut stream).unwrap_err();
    }
}

/// Taking an authority out of the file is how it is believed no more.
#[test]
fn authorities_are_read_again_when_their_file_has_changed() {
    let (authority, another) = (Authority::new(), Authority::new());
    let trusted = authority.trusted();
    for (_, version) in VERSIONS {
        authority.trusted();
        trusted.reload().unwrap();
        let secure = Secure::with(TlsMode::Implicit, Site::settings(), |tls| {
            tls.client_certificates = ClientCertificates::Require(trusted.clone());
        });
        let is_let_in = |authority: &Authority| {
            let config = Arc::new(authority.config(&secure, version, "robot.example"));
            let mut stream = begin(&config, "localhost", TcpStream::connect(secure.site.addr).unwrap());
            // Under TLS 1.3 the client learns it with the first bytes that it reads.
            shake(&mut stream).is_ok() && std::io::Read::read(&mut stream, &mut [0]).is_ok_and(|read| read == 1)
        };
        assert!(is_let_in(&authority) && !is_let_in(&another));
        assert!(!trusted.reload_if_changed().unwrap());
        let mut stands = TlsClient::implicit(secure.site.addr, authority.config(&secure, version, "robot.example"));
        let file = authority.dir.path().join("ca.pem");
        std::fs::write(&file, another.issuer.pem()).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert!(trusted.reload_if_changed().unwrap());
        assert!(!is_let_in(&authority) && is_let_in(&another));
        stands.command("NOOP", 200);
        std::fs::write(&file, "nobody").unwrap();
        assert!(trusted.reload().unwrap_err().to_string().contains("ca.pem"));
        assert!(is_let_in(&another), "what cannot be used replaces nothing");
    }
}

#[test]
fn data_comes_with_the_certificate_of_its_control_connection() {
    let authority = Authority::new();
    for (_, version) in VERSIONS {
        let secure = Secure::with(TlsMode::Require, Site::settings(), |tls| {
            tls.client_certificates = ClientCertificates::Request(authority.trusted());
            tls.reuse = SessionReuse::Off;
        });
        let mut client = secure.login(authority.config(&secure, version, "robot.example"));
        let same = client.config.clone();
        let other = Arc::new(authority.config(&secure, version, "robot.example"));
        let none = Arc::new(secure.client_config(version));
        for (config, code) in [(other, 522), (none, 522), (same, 226)] {
            let socket = client.passive();
            client.command("NLST", 150);
            let mut data = begin(&config, "localhost", socket);
            let _ = std::io::Read::read_to_end(&mut data, &mut Vec::new());
            drop(data);
            client.expect(code);
        }
    }
}

mod anybody {
    //! Believes every certificate.

    use std::sync::Arc;

    use rustls::ClientConfig;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::version::TLS13;
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    pub(super) fn config() -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth()
    }

    #[derive(Debug)]
    struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
