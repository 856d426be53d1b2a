//! TLS, against port21's own server: which demands that each data connection resumes the session of its control connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use port21_client::{
    Authorities, Builder, Client, DataMode, Error, GetOptions, Identity, Phase, PutOptions, TlsError, TlsMode,
    TlsSettings, TlsVersion,
};
use port21_proto::Secret;
use port21_proto::verb::Permissions;
use port21_server::tls::Authorities as ServerAuthorities;
use port21_server::tls::{Certificates, ClientCertificates, Pair, SessionReuse, TlsSettings as ServerTls};
use port21_server::{Account, Listen, LocalSettings, Server, Settings, TlsMode as ServerMode, Users};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::Log;

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// A server under TLS with one user, and what its clients can trust.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    root: TempDir,
    keys: TempDir,
}

impl Site {
    pub(crate) fn start(mode: ServerMode) -> Site {
        Site::with(mode, |keys| signed(keys, "localhost", None), |_, _| {})
    }

    fn with(
        mode: ServerMode,
        pair: impl FnOnce(&TempDir) -> Pair,
        change: impl FnOnce(&mut ServerTls, &TempDir),
    ) -> Site {
        let (root, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut tls = ServerTls::new(Arc::new(Certificates::read(vec![pair(&keys)]).unwrap()));
        change(&mut tls, &keys);
        let account = Account::local("joe", root.path(), Permissions::ALL, LocalSettings::default()).unwrap();
        let mut users = Users::default();
        users.add(Secret::new("opensesame"), account);
        let mut settings = Settings { passive_ports: None, ..Settings::default() };
        settings.session.tls.allow_ccc = true;
        let mut server = Server::builder(Arc::new(users)).settings(settings).tls(tls).unwrap().build();
        let addr = server.listen(Listen::from(SocketAddr::from(([127, 0, 0, 1], 0))).with_tls(mode)).unwrap();
        tokio::spawn(server.run(std::future::pending()));
        Site { addr, root, keys }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.keys.path().join(name)
    }

    /// Settings that trust the site.
    pub(crate) fn trust(&self) -> TlsSettings {
        let authorities = Authorities::read(self.file("ca.pem")).unwrap();
        TlsSettings { authorities, ..TlsSettings::default() }
    }

    fn client(&self, mode: TlsMode, settings: TlsSettings) -> Builder {
        let url = format!("ftp://joe:opensesame@localhost:{}/", self.addr.port());
        let target = port21_client::Target::parse(&url).unwrap();
        Client::builder().target(&target).tls(mode).tls_settings(settings)
    }
}

/// A pair for `name`, signed by the authority that is in `keys`, or is made there.
fn signed(keys: &TempDir, name: &str, expired: Option<(i32, u8, u8)>) -> Pair {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if let Some((year, month, day)) = expired {
        params.not_after = rcgen::date_time_ymd(year, month, day);
    }
    let made = params.signed_by(&key, &ca).unwrap();
    let write = |file: &str, text: String| {
        let path = keys.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("ca.pem", ca.pem());
    Pair { chain: write("chain.pem", made.pem()), key: write("key.pem", key.serialize_pem()) }
}

/// What `openssl req -x509` makes: it has signed itself, and says that it is an authority.
fn self_signed(keys: &TempDir) -> Pair {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pair = Pair { chain: keys.path().join("ca.pem"), key: keys.path().join("key.pem") };
    std::fs::write(&pair.chain, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&pair.key, key.serialize_pem()).unwrap();
    pair
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 13 + i / 257) as u8).collect()
}

#[tokio::test]
async fn files_and_listings_both_ways_in_both_versions() {
    for (server, mode) in [(ServerMode::Require, TlsMode::Explicit), (ServerMode::Implicit, TlsMode::Implicit)] {
        let site = Site::start(server);
        let local = tempfile::tempdir().unwrap();
        let (up, back) = (local.path().join("up"), local.path().join("back"));
        std::fs::write(&up, bytes(3_000_001)).unwrap();
        for only in VERSIONS {
            for data in [DataMode::Passive, DataMode::Active] {
                let log = Log::default();
                let settings = TlsSettings { only: Some(only), ..site.trust() };
                let builder = log.attach(site.client(mode, settings)).mode(data);
                let mut client = builder.open().await.unwrap();
                assert!(client.is_secure());
                client.put_file(&up, "f", &PutOptions::default(), &mut |_| {}).await.unwrap();
                client.get_file("f", &back, &GetOptions::default(), &mut |_| {}).await.unwrap();
                assert!(std::fs::read(site.root.path().join("f")).unwrap() == bytes(3_000_001));
                assert!(std::fs::read(&back).unwrap() == bytes(3_000_001));
                assert!(client.list("").await.unwrap().next().await.is_some());
                client.remove("f").await.unwrap();
                assert!(client.list("").await.unwrap().next().await.is_none());
                client.quit().await.unwrap();
                let version = if only == TlsVersion::Tls12 { "TLS 1.2" } else { "TLS 1.3" };
                assert!(log.has(&format!("note the control connection is protected: {version}")));
                let data = log.story().into_iter().filter(|line| line.contains("the data connection is protected"));
                assert!(
                    data.clone().all(|line| line.contains("the session resumed")),
                    "{:?}",
                    data.collect::<Vec<_>>()
                );
                // One control connection served all.
                assert_eq!(log.story().iter().filter(|line| *line == "220").count(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_uploads_on_one_control_connection() {
    let site = Site::start(ServerMode::Require);
    for only in VERSIONS {
        let log = Log::default();
        let mut client = log
            .attach(site.client(TlsMode::Explicit, TlsSettings { only: Some(only), ..site.trust() }))
            .open()
            .await
            .unwrap();
        for n in 0..100 {
            let mut stream = client.upload("f", Default::default()).await.unwrap();
            stream.write_all(format!("{n}").as_bytes()).await.unwrap();
            stream.finish().await.unwrap();
            // What is refused must not use the last ticket up.
            assert!(client.download("none", 0).await.is_err());
        }
        assert_eq!(std::fs::read(site.root.path().join("f")).unwrap(), b"99");
        client.quit().await.unwrap();
        assert_eq!(log.story().iter().filter(|line| *line == "220").count(), 1);
        assert!(!log.has("522"));
    }
}

#[tokio::test]
async fn a_transfer_is_stopped_under_tls() {
    let site = Site::start(ServerMode::Require);
    std::fs::write(site.root.path().join("big"), bytes(30_000_000)).unwrap();
    std::fs::write(site.root.path().join("old"), "the old one").unwrap();
    let mut client = site.client(TlsMode::Explicit, site.trust()).open().await.unwrap();
    let mut stream = client.download("big", 0).await.unwrap();
    stream.read_exact(&mut [0; 5000]).await.unwrap();
    stream.abort().await.unwrap();
    let mut stream = client.upload("old", Default::default()).await.unwrap();
    stream.write_all(&bytes(300_000)).await.unwrap();
    drop(stream);
    assert_eq!(client.size("old").await.unwrap(), 11);
    client.quit().await.unwrap();
    assert_eq!(std::fs::read_to_string(site.root.path().join("old")).unwrap(), "the old one");
}

#[tokio::test]
async fn the_control_connection_can_be_clear_again() {
    let site = Site::start(ServerMode::Require);
    std::fs::write(site.root.path().join("f"), bytes(100_000)).unwrap();
    for only in VERSIONS {
        let log = Log::default();
        let settings = TlsSettings { only: Some(only), ..site.trust() };
        let mut client = log.attach(site.client(TlsMode::Explicit, settings)).open().await.unwrap();
        // What data connections are to be is agreed under TLS, or never.
        assert!(client.list("").await.unwrap().next().await.is_some());
        client.clear_control().await.unwrap();
        assert!(!client.is_secure());
        client.noop().await.unwrap();
        let mut whole = Vec::new();
        let mut stream = client.download("f", 0).await.unwrap();
        stream.read_to_end(&mut whole).await.unwrap();
        stream.finish().await.unwrap();
        assert!(whole == bytes(100_000));
        assert!(matches!(client.clear_control().await, Err(Error::Usage(_))));
        client.quit().await.unwrap();
        assert_eq!(log.story().iter().filter(|line| line.contains("the data connection is protected")).count(), 2);
        assert!(log.has("note the control connection is in clear text again"));
    }
}

#[tokio::test]
async fn data_in_clear_text_where_that_is_wanted() {
    let site = Site::start(ServerMode::Offer);
    std::fs::write(site.root.path().join("f"), "12345").unwrap();
    let log = Log::default();
    let mut client = log.attach(site.client(TlsMode::Explicit, site.trust())).protect_data(false).open().await.unwrap();
    client.download("f", 0).await.unwrap().finish().await.unwrap();
    assert!(!log.has("PROT") && !log.has("the data connection is protected"));
    client.set_protect_data(true);
    client.download("f", 0).await.unwrap().finish().await.unwrap();
    assert!(log.has("PROT P") && log.has("the data connection is protected"));
    client.set_protect_data(false);
    client.download("f", 0).await.unwrap().finish().await.unwrap();
    assert!(log.has("PROT C"));
    client.quit().await.unwrap();
    assert_eq!(log.story().iter().filter(|line| line.contains("the data connection is protected")).count(), 1);
}

#[tokio::test]
async fn who_is_not_believed() {
    let site = Site::start(ServerMode::Require);
    let mistrusted = |error: Error| {
        assert_eq!(error.phase(), Some(Phase::Tls), "{error}");
        let Error::Tls { why, .. } = error else { panic!("{error}") };
        assert!(!why.to_string().contains("opensesame"));
        why
    };
    // Nobody that the system knows has signed it.
    let error = site.client(TlsMode::Explicit, TlsSettings::default()).open().await.unwrap_err();
    let (fingerprint, pin) = match mistrusted(error) {
        TlsError::UnknownIssuer { fingerprint, pin } => (fingerprint, pin),
        // A system without any authorities.
        TlsError::NoAuthorities { .. } => return,
        other => panic!("{other}"),
    };
    // What the error tells is what can be pinned.
    for pin in [fingerprint, pin] {
        for only in VERSIONS {
            let settings = TlsSettings { only: Some(only), pins: vec![pin.clone()], ..TlsSettings::default() };
            site.client(TlsMode::Explicit, settings).open().await.unwrap().quit().await.unwrap();
        }
    }
    let other = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let settings = TlsSettings { pins: vec![other.parse().unwrap()], ..site.trust() };
    let error = site.client(TlsMode::Explicit, settings).open().await.unwrap_err();
    assert!(matches!(mistrusted(error), TlsError::OtherPin { .. }));
    // The right authority, another name.
    let error = site.client(TlsMode::Explicit, site.trust()).host("127.0.0.1").open().await.unwrap_err();
    let TlsError::WrongName { wanted, names, .. } = mistrusted(error) else { panic!() };
    assert_eq!((wanted.as_str(), names.as_slice()), ("127.0.0.1", &["localhost".to_owned()][..]));
    // Whoever wants it so.
    let settings = TlsSettings { insecure: true, ..TlsSettings::default() };
    site.client(TlsMode::Explicit, settings).host("127.0.0.1").open().await.unwrap().quit().await.unwrap();

    let expired = Site::with(ServerMode::Require, |keys| signed(keys, "localhost", Some((2020, 1, 2))), |_, _| {});
    let error = expired.client(TlsMode::Explicit, expired.trust()).open().await.unwrap_err();
    assert_eq!(mistrusted(error), TlsError::Date { why: "has expired on 2020-01-02".to_owned() });
}

#[tokio::test]
async fn a_certificate_that_has_signed_itself_can_be_named() {
    let site = Site::with(ServerMode::Require, self_signed, |_, _| {});
    site.client(TlsMode::Explicit, site.trust()).open().await.unwrap().quit().await.unwrap();
    let error = site.client(TlsMode::Explicit, site.trust()).host("127.0.0.1").open().await.unwrap_err();
    assert!(matches!(error, Error::Tls { why: TlsError::WrongName { .. }, .. }), "{error}");
    let other = Site::with(ServerMode::Require, self_signed, |_, _| {});
    let error = site.client(TlsMode::Explicit, other.trust()).open().await.unwrap_err();
    assert!(matches!(error, Error::Tls { why: TlsError::UnknownIssuer { .. }, .. }), "{error}");
}

#[tokio::test]
async fn clear_text_is_never_taken_for_tls() {
    // A server without TLS: nothing is sent but AUTH.
    let site = Site::start(ServerMode::Off);
    let log = Log::default();
    let error = log.attach(site.client(TlsMode::Explicit, site.trust())).open().await.unwrap_err();
    assert!(matches!(&error, Error::Refused { phase: Phase::Tls, verb: "AUTH", .. }), "{error}");
    assert!(!log.has("USER"));
    // One that speaks first, in clear text.
    let error = site.client(TlsMode::Implicit, site.trust()).open().await.unwrap_err();
    assert!(matches!(error, Error::Tls { phase: Phase::Tls, why: TlsError::NotTls }), "{error}");
}

#[tokio::test]
async fn certificates_of_clients() {
    let required = |tls: &mut ServerTls, keys: &TempDir| {
        let authorities = ServerAuthorities::read(keys.path().join("ca.pem")).unwrap();
        tls.client_certificates = ClientCertificates::Require(authorities);
    };
    let site = Site::with(ServerMode::Require, |keys| signed(keys, "localhost", None), required);
    for only in VERSIONS {
        let settings = TlsSettings { only: Some(only), ..site.trust() };
        let error = site.client(TlsMode::Explicit, settings.clone()).open().await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. } | Error::Closed { .. }), "{error}");
        let identity = Some(Identity::read(site.file("chain.pem"), site.file("key.pem")).unwrap());
        let mut client = site.client(TlsMode::Explicit, TlsSettings { identity, ..settings }).open().await.unwrap();
        assert!(client.list("").await.unwrap().next().await.is_none());
        client.quit().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_demands_nothing() {
    let site =
        Site::with(ServerMode::Require, |keys| signed(keys, "localhost", None), |tls, _| tls.reuse = SessionReuse::Off);
    let mut client = site.client(TlsMode::Explicit, site.trust()).open().await.unwrap();
    for _ in 0..3 {
        assert!(client.list("").await.unwrap().next().await.is_none());
    }
    client.quit().await.unwrap();
}

#[tokio::test]
async fn a_session_is_begun_anew_under_tls() {
    let site = Site::start(ServerMode::Require);
    let mut client = site.client(TlsMode::Explicit, site.trust()).open().await.unwrap();
    client.mkdir("d").await.unwrap();
    client.cwd("d").await.unwrap();
    client.reconnect().await.unwrap();
    assert!(client.is_secure());
    assert_eq!(client.pwd().await.unwrap(), b"/d");
    assert!(client.list("").await.unwrap().next().await.is_none());
    assert!(client.quote("AUTH TLS").await.is_err() && client.quote("CCC").await.is_err());
    client.quit().await.unwrap();
}
