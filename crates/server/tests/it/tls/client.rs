//! A client that speaks FTP over TLS, and makes mistakes when it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use port21_server::tls::{Certificates, Pair, TlsSettings};
use port21_server::{Settings, Storage, TlsMode};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned};
use tempfile::TempDir;

use crate::site::{PATIENCE, Raw, Site};

/// A site with TLS, and what its clients have to trust.
pub(crate) struct Secure {
    pub(crate) site: Site,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) pair: Pair,
    _dir: TempDir,
}

impl Secure {
    pub(crate) fn new(mode: TlsMode) -> Secure {
        Secure::with(mode, Site::settings(), |_| {})
    }

    pub(crate) fn with(mode: TlsMode, settings: Settings, change: impl FnOnce(&mut TlsSettings)) -> Secure {
        Secure::over(mode, settings, change, |files| files)
    }

    /// `wrap` may put something between the sessions and the files.
    pub(crate) fn over(
        mode: TlsMode,
        settings: Settings,
        change: impl FnOnce(&mut TlsSettings),
        wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>,
    ) -> Secure {
        let dir = tempfile::tempdir().unwrap();
        let (pair, certificate) = make_pair(dir.path(), &["localhost"]);
        let certificates = Arc::new(Certificates::read(vec![pair.clone()]).unwrap());
        let mut tls = TlsSettings::new(certificates.clone());
        change(&mut tls);
        Secure { site: Site::secure(mode, tls, settings, wrap), certificate, certificates, pair, _dir: dir }
    }

    pub(crate) fn trust(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    /// The settings of a client that trusts the site. Each call makes one with a memory of its own.
    pub(crate) fn client_config(&self, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.trust())
            .with_no_client_auth()
    }

    /// A client that has said AUTH TLS.
    pub(crate) fn connect(&self, config: ClientConfig) -> TlsClient {
        let mut raw = self.site.connect();
        raw.command("AUTH TLS", 234);
        TlsClient::over(raw, Arc::new(config))
    }

    /// A client that is logged in, with private data connections.
    pub(crate) fn login(&self, config: ClientConfig) -> TlsClient {
        self.login_as("user", config)
    }

    pub(crate) fn login_as(&self, user: &str, config: ClientConfig) -> TlsClient {
        let mut client = self.connect(config);
        client.command(&format!("USER {user}"), 331);
        client.command("PASS secret", 230);
        client.protect_data();
        client.command("TYPE I", 200);
        client
    }
}

/// Both versions, with a name for messages.
pub(crate) const VERSIONS: [(&str, &rustls::SupportedProtocolVersion); 2] = [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)];

/// A certificate for these names, in `dir`.
pub(crate) fn make_pair(dir: &Path, names: &[&str]) -> (Pair, CertificateDer<'static>) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let pair = Pair { chain: dir.join(format!("{}.pem", names[0])), key: dir.join(format!("{}.key", names[0])) };
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&pair.chain, made.cert.pem()).unwrap();
    std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
    (pair, made.cert.der().clone())
}

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Begins TLS on a connection; the handshake comes with the first bytes.
pub(crate) fn begin(config: &Arc<ClientConfig>, name: &str, socket: TcpStream) -> Stream {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket)
}

/// Does the handshake.
pub(crate) fn shake(stream: &mut Stream) -> std::io::Result<()> {
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(())
}

/// A control connection under TLS.
pub(crate) struct TlsClient {
    pub(crate) control: Stream,
    pub(crate) config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Does the handshake on a connection whose other side waits for it.
    pub(crate) fn over(raw: Raw, config: Arc<ClientConfig>) -> TlsClient {
        let mut control = begin(&config, "localhost", raw.into_socket());
        shake(&mut control).unwrap();
        TlsClient { control, config }
    }

    pub(crate) fn implicit(addr: SocketAddr, config: ClientConfig) -> TlsClient {
        let config = Arc::new(config);
        let mut client = TlsClient { control: begin(&config, "localhost", TcpStream::connect(addr).unwrap()), config };
        client.expect(220);
        client
    }

    pub(crate) fn log_in(&mut self) {
        self.command("USER user", 331);
        self.command("PASS secret", 230);
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.control.write_all(bytes.as_ref()).unwrap();
        self.control.flush().unwrap();
    }

    /// A reply: its code and all of its text.
    pub(crate) fn reply(&mut self) -> (u16, String) {
        let mut text = String::new();
        loop {
            let start = text.len();
            while !text[start..].ends_with('\n') {
                let mut byte = [0];
                self.control.read_exact(&mut byte).expect("no reply");
                text.push(byte[0].into());
            }
            if text.get(..3) == text.get(start..start + 3) && text.get(start + 3..start + 4) == Some(" ") {
                return (text[..3].parse().unwrap(), text);
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, code: u16) -> String {
        let (got, text) = self.reply();
        assert_eq!(got, code, "{text}");
        text
    }

    #[track_caller]
    pub(crate) fn command(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n"));
        self.expect(code)
    }

    /// From now on data connections are private.
    pub(crate) fn protect_data(&mut self) {
        self.command("PBSZ 0", 200);
        self.command("PROT P", 200);
    }

    /// All that comes until the server ends TLS, record by record: what follows in clear is left on the socket.
    pub(crate) fn last_words(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut record = vec![0; 5];
            self.control.sock.read_exact(&mut record).unwrap();
            record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
            self.control.sock.read_exact(&mut record[5..]).unwrap();
            self.control.conn.read_tls(&mut record.as_slice()).unwrap();
            let state = self.control.conn.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.control.conn.reader().read_exact(&mut plain).unwrap();
            text.push_str(std::str::from_utf8(&plain).unwrap());
            if state.peer_has_closed() {
                return text;
            }
        }
    }

    /// A data connection by EPSV, without TLS yet.
    pub(crate) fn passive(&mut self) -> TcpStream {
        let text = self.command("EPSV", 229);
        let port = port21_proto::addr::parse_epsv(text.trim_end().as_bytes()).unwrap();
        let data = TcpStream::connect((self.control.sock.peer_addr().unwrap().ip(), port)).unwrap();
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data
    }

    /// A listener that PORT has named to the server.
    pub(crate) fn active(&mut self) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(addr) = listener.local_addr().unwrap() else { panic!() };
        self.command(&format!("PORT {}", port21_proto::addr::write_port(addr)), 200);
        listener
    }

    /// A data connection under TLS for a command, which was answered 150.
    pub(crate) fn data(&mut self, line: &str) -> Stream {
        let socket = self.passive();
        self.command(line, 150);
        begin(&self.config, "localhost", socket)
    }

    /// What a command brings over a data connection.
    pub(crate) fn fetch(&mut self, line: &str) -> Vec<u8> {
        let mut data = self.data(line);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).expect("close_notify");
        finish(data);
        self.expect(226);
        bytes
    }

    /// Sends `bytes` for a command.
    pub(crate) fn store(&mut self, line: &str, bytes: &[u8]) {
        let mut data = self.data(line);
        shake(&mut data).unwrap();
        data.write_all(bytes).unwrap();
        finish(data);
        self.expect(226);
    }
}

/// Ends a connection in order, and reads the other side to its end: it brings tickets.
pub(crate) fn finish(mut data: Stream) {
    data.conn.send_close_notify();
    data.flush().unwrap();
    // A server that has sent a file and knows that all of it has come may be gone.
    if data.sock.shutdown(std::net::Shutdown::Write).is_ok() {
        let _ = data.read_to_end(&mut Vec::new());
    }
}

/// A client that offers signatures as OpenSSL does: Ed25519 and Ed448 in a row. It could not check the second kind.
pub(crate) fn as_openssl(secure: &Secure, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    let mut provider = default_provider();
    let algorithms = &mut provider.signature_verification_algorithms;
    let mut schemes = algorithms.mapping.to_vec();
    let at = schemes.iter().position(|(scheme, _)| *scheme == SignatureScheme::ED25519).unwrap();
    schemes.insert(at + 1, (SignatureScheme::ED448, &[]));
    // For the rest of the tests: the provider wants it for as long as the program runs.
    algorithms.mapping = schemes.leak();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(secure.trust())
        .with_no_client_auth()
}

/// A client that never resumes a session.
pub(crate) fn forgetful(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}
