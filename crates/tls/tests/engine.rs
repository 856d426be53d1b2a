//! The engine of either end, under either version, against rustls's own connection of the other end.

use std::io::{Read, Write};
use std::sync::Arc;

use port21_tls::{Engine, Fault, Side};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::UnbufferedStatus;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, CommonState, Connection, Error, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

/// Calls a check for both ends and both versions, each time with what makes a pair that has shaken hands.
macro_rules! everywhere {
    ($check:ident) => {
        for version in [&TLS12, &TLS13] {
            let site = Site::new(version);
            $check(|| site.server());
            $check(|| site.client());
        }
    };
}

#[test]
fn bytes_go_both_ways_in_any_segments() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        let (mut engine, mut peer) = make();
        // Several records, and the last of them not full.
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();

        engine.send(&bytes).unwrap();
        engine.send_end().unwrap();
        assert!(give(&mut engine, &mut peer) == bytes);
        assert_eq!(peer.reader().read(&mut [0]).unwrap(), 0, "close_notify");

        peer.set_buffer_limit(None);
        peer.writer().write_all(&bytes).unwrap();
        peer.send_close_notify();
        let mut read = Vec::new();
        for segment in written(&mut peer).chunks(1009) {
            assert!(!engine.is_ended());
            read.extend(receive(&mut engine, segment).unwrap());
        }
        assert!(read == bytes);
        assert!(engine.is_ended() && !engine.is_within_record());
    }
    everywhere!(check);
}

#[test]
fn a_record_is_not_whole_before_its_last_byte() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        let (mut engine, mut peer) = make();
        peer.writer().write_all(b"226 Done.").unwrap();
        let record = written(&mut peer);
        let (last, most) = record.split_last().unwrap();
        assert_eq!(receive(&mut engine, most).unwrap(), b"");
        assert!(engine.is_within_record());
        engine.rest();
        assert_eq!(receive(&mut engine, &[*last]).unwrap(), b"226 Done.");
        assert!(!engine.is_within_record());
    }
    everywhere!(check);
}

#[test]
fn what_stands_is_told() {
    for (version, name) in [(&TLS12, "TLS 1.2, TLS_ECDHE_"), (&TLS13, "TLS 1.3, TLS13_")] {
        let site = Site::new(version);
        let ((client, _), (server, _)) = (site.client(), site.server());
        assert!(client.description().starts_with(name) && server.description().starts_with(name));
        assert_eq!((client.is_tls13(), server.is_tls13()), (name.contains("1.3"), name.contains("1.3")));
        assert_eq!((client.peer_certificate(), server.peer_certificate()), (Some(&site.certificate), None));
    }
}

#[test]
fn a_session_that_is_resumed_is_known_as_such() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        assert_eq!([make().0.is_resumed(), make().0.is_resumed()], [false, true]);
    }
    for version in [&TLS12, &TLS13] {
        let (one, other) = (Site::new(version), Site::new(version));
        check(|| one.server());
        check(|| other.client());
    }
}

#[test]
fn nothing_is_sent_ahead_of_the_handshake() {
    for version in [&TLS12, &TLS13] {
        let site = Site::new(version);
        let mut server = site.new_server(None);
        assert_eq!((server.send(b"220"), server.send_end()), (Err(Fault::Ended), Err(Fault::Ended)));
        assert_eq!(server.outgoing(), b"");
        let mut client = site.new_client();
        let hello = client.outgoing().to_vec();
        assert_eq!((client.send(b"USER"), client.send_end()), (Err(Fault::Ended), Err(Fault::Ended)));
        assert!(client.outgoing() == hello && !hello.is_empty());
    }
}

#[test]
fn who_is_refused_gets_that_alert_once() {
    let alert: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    let site = Site::new(&TLS13);
    let mut engine = site.new_server(Some(alert));
    assert_eq!(receive(&mut engine, b"GET / HTTP/1.1\r\n"), Err(Fault::Refused));
    assert_eq!(engine.outgoing(), alert);
    assert_eq!(receive(&mut engine, b"\r\n"), Err(Fault::Failed));
    assert_eq!(engine.send(b"220"), Err(Fault::Failed));
    assert_eq!(engine.outgoing(), alert);
}

/// A message of 60,000 bytes, each in a record of its own.
#[test]
fn a_message_without_an_end_is_not_waited_for() {
    fn check<S: Side<Error = Fault>>(mut engine: Engine<S>, kind: u8) {
        let mut came = 0;
        for byte in [kind, 0, 0xea, 0x60].into_iter().chain(std::iter::repeat(0)) {
            came += 6;
            match receive(&mut engine, &[22, 3, 3, 0, 1, byte]) {
                Ok(_) => assert!(came <= 80 * 1024),
                Err(fault) => {
                    assert_eq!(fault, Fault::Endless);
                    break;
                }
            }
        }
        assert_eq!(receive(&mut engine, &[22]), Err(Fault::Failed));
    }
    for version in [&TLS12, &TLS13] {
        let site = Site::new(version);
        check(site.new_server(None), 1);
        check(site.new_client(), 2);
    }
}

#[test]
fn junk_is_answered_once() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        for which in [0, 1] {
            let (mut engine, mut peer) = make();
            let wrong = junk(&mut peer);
            assert!(matches!(receive(&mut engine, &wrong[which]), Err(Fault::Tls(_))));
            let said = engine.outgoing().to_vec();
            assert!(!said.is_empty());
            for wrong in wrong {
                assert_eq!(receive(&mut engine, &wrong), Err(Fault::Failed));
                assert_eq!((engine.send(b"221 Bye."), engine.send_end()), (Err(Fault::Failed), Err(Fault::Failed)));
            }
            assert_eq!(engine.outgoing(), said);
            // It is one that the peer understands.
            let mut said = said.as_slice();
            peer.read_tls(&mut said).unwrap();
            assert!(matches!(peer.process_new_packets(), Err(Error::AlertReceived(_))));
        }
    }
    everywhere!(check);
}

#[test]
fn junk_behind_the_last_word_is_an_error_and_is_not_answered() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        for which in [0, 1] {
            let (mut engine, mut peer) = make();
            engine.send_end().unwrap();
            let said = engine.outgoing().to_vec();
            for is_first in [true, false] {
                let fault = receive(&mut engine, &junk(&mut peer)[which]).unwrap_err();
                assert!(if is_first { matches!(fault, Fault::Tls(_)) } else { fault == Fault::Failed });
                assert_eq!((engine.send(b"221 Bye."), engine.send_end()), (Err(Fault::Ended), Err(Fault::Ended)));
            }
            assert!(engine.outgoing() == said || !cfg!(debug_assertions));
        }
    }
    everywhere!(check);
}

#[test]
fn what_comes_in_order_behind_the_last_word_is_read() {
    fn check<S: Side<Error = Fault>>(make: impl Fn() -> (Engine<S>, Connection)) {
        let (mut engine, mut peer) = make();
        engine.send_end().unwrap();
        peer.writer().write_all(b"PWD\r\n").unwrap();
        peer.send_close_notify();
        // In any segments.
        let mut plain = Vec::new();
        for byte in written(&mut peer).iter().chain(b"in clear") {
            plain.extend(receive(&mut engine, &[*byte]).unwrap());
        }
        assert_eq!(plain, b"PWD\r\n");
        assert!(engine.is_ended());
        assert_eq!(engine.behind_the_end(), b"in clear");
    }
    everywhere!(check);
}

/// A server and those who believe it.
struct Site {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Site {
    fn new(version: &'static SupportedProtocolVersion) -> Site {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        Site { certificate, server: server.into(), client: client.into() }
    }

    /// The engine of a server, and a client.
    fn server(&self) -> (Engine<Server>, Connection) {
        let client = ClientConnection::new(self.client.clone(), "localhost".try_into().unwrap()).unwrap();
        shaken(self.new_server(None), client.into())
    }

    /// The engine of a client, and a server.
    fn client(&self) -> (Engine<Client>, Connection) {
        shaken(self.new_client(), ServerConnection::new(self.server.clone()).unwrap().into())
    }

    fn new_server(&self, refusal: Option<&'static [u8]>) -> Engine<Server> {
        let connection = UnbufferedServerConnection::new(self.server.clone()).unwrap();
        Engine::new(Server { connection, refusal }).unwrap()
    }

    fn new_client(&self) -> Engine<Client> {
        let name = "localhost".try_into().unwrap();
        Engine::new(Client(UnbufferedClientConnection::new(self.client.clone(), name).unwrap())).unwrap()
    }
}

struct Server {
    connection: UnbufferedServerConnection,
    refusal: Option<&'static [u8]>,
}

impl Side for Server {
    type Data = ServerConnectionData;
    type Error = Fault;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.connection.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        &self.connection
    }

    fn error(&self, fault: Fault) -> Fault {
        fault
    }

    fn refusal(&self, _: &[u8]) -> Option<&'static [u8]> {
        self.refusal
    }
}

struct Client(UnbufferedClientConnection);

impl Side for Client {
    type Data = ClientConnectionData;
    type Error = Fault;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.0.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        &self.0
    }

    fn error(&self, fault: Fault) -> Fault {
        fault
    }
}

/// The two, when the handshake is done and tickets are given.
fn shaken<S: Side<Error = Fault>>(mut engine: Engine<S>, mut peer: Connection) -> (Engine<S>, Connection) {
    while engine.is_handshaking() || peer.is_handshaking() {
        give(&mut engine, &mut peer);
        receive(&mut engine, &written(&mut peer)).unwrap();
    }
    give(&mut engine, &mut peer);
    (engine, peer)
}

/// Gives the peer what is for it: what it makes of that.
fn give<S: Side>(engine: &mut Engine<S>, peer: &mut Connection) -> Vec<u8> {
    let mut plain = Vec::new();
    while !engine.outgoing().is_empty() {
        let read = peer.read_tls(&mut engine.outgoing()).unwrap();
        engine.sent(read);
        let came = peer.process_new_packets().unwrap().plaintext_bytes_to_read();
        peer.reader().take(came as u64).read_to_end(&mut plain).unwrap();
    }
    plain
}

fn receive<S: Side>(engine: &mut Engine<S>, bytes: &[u8]) -> Result<Vec<u8>, S::Error> {
    engine.room(bytes.len() + 1)[..bytes.len()].copy_from_slice(bytes);
    let mut plain = Vec::new();
    engine.received(bytes.len(), |record| plain.extend_from_slice(record)).map(|()| plain)
}

fn written(peer: &mut Connection) -> Vec<u8> {
    let mut records = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut records).unwrap();
    }
    records
}

/// Bytes in clear, and a record that was tampered with.
fn junk(peer: &mut Connection) -> [Vec<u8>; 2] {
    peer.writer().write_all(b"PWD\r\n").unwrap();
    let mut record = written(peer);
    *record.last_mut().unwrap() ^= 1;
    [b"PWD\r\n".to_vec(), record]
}
