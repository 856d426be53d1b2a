//! One control connection and its data connections: a session of the one may be resumed by the others, and by nobody else.
//!
//! Each control connection has a [`ServerConfig`] of its own. For clients that keep tickets (TLS 1.3, and most under 1.2)
//! its ticketer is that of the server, with the number of the control connection sealed into every ticket: what another
//! has got is taken for no ticket at all. For clients that keep session ids (TLS 1.2) it has a small store of its own. So
//! a handshake that resumes a session proves that it is the client of this control connection.
//!
//! It does so only as long as nobody else can get such a session. Whoever connects to a data port and does a full
//! handshake is refused, but is given tickets, as TLS has it, before that can be. So each ticket has the number of its
//! connection sealed in too, and is good for nothing unless that connection has itself resumed a session. And a data
//! connection never adds to the store.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureScheme};

use port21_proto::server::TlsError;

use super::certificates::Certificates;
use super::engine::{Engine, ServerSide};
use super::peer::{ClientCertificate, TlsPeer};
use super::settings::SessionReuse;

/// A control connection has one session; a client that wants another has its reasons.
const MAX_SESSIONS: usize = 4;

/// The tickets of so many data connections are good, of the last ones: clients use the newest, or one of the last few.
const MAX_RESUMED: usize = 64;

/// What a control connection and its data connections have in common.
#[derive(Debug)]
pub(crate) struct Binding {
    config: ServerConfig,
    tickets: Tickets,
    store: Arc<Store>,
    resolver: Arc<Resolver>,
    reuse: SessionReuse,
    /// Once the control connection stands: the certificate of its client, if it has one.
    client: OnceLock<Option<CertificateDer<'static>>>,
}

impl Binding {
    pub(super) fn new(
        config: &ServerConfig,
        tickets: &Arc<dyn ProducesTickets>,
        certificates: &Arc<Certificates>,
        reuse: SessionReuse,
        number: u64,
        host: Option<&str>,
    ) -> Arc<Binding> {
        let resolver = Arc::new(Resolver {
            certificates: certificates.clone(),
            host: host.map(str::to_owned),
            server_name: OnceLock::new(),
            is_openssl: OnceLock::new(),
        });
        let mut config = config.clone();
        config.cert_resolver = resolver.clone();
        let tickets = Tickets { tickets: tickets.clone(), number, known: Arc::default() };
        Arc::new(Binding { config, tickets, store: Arc::default(), resolver, reuse, client: OnceLock::new() })
    }

    /// The control connection, which is about to begin.
    pub(crate) fn control(&self) -> Result<Engine, TlsError> {
        let mut config = self.config.clone();
        config.session_storage = self.store.clone();
        config.ticketer = Arc::new(self.tickets.of(CONTROL));
        ServerSide::engine(config.into())
    }

    /// A data connection that is about to begin.
    pub(super) fn data(&self) -> Result<DataEngine, TlsError> {
        let connection = self.tickets.next();
        let mut config = self.config.clone();
        config.session_storage = Arc::new(ReadOnly(self.store.clone()));
        config.ticketer = Arc::new(self.tickets.of(connection));
        Ok(DataEngine { engine: ServerSide::engine(config.into())?, connection })
    }

    /// Whether the client needs its tickets before the transfer: before it sends, where that is an upload, and before it
    /// learns that there is none. Where it has begun TLS by then the reply may be kept back until they have left.
    ///
    /// OpenSSL resumes a session of TLS 1.3 once, and without the ticket of one upload has none for the next. Its programs
    /// read little during an upload: curl looks once, just before it closes. Tickets that come behind that look do worse
    /// than come late: a system whose program has closed a connection says RST to them, and throws away what of the file
    /// it has not sent yet. But curl begins TLS as soon as it has connected, before its STOR is answered, and sends nothing
    /// before that: tickets that leave ahead of 150 are there when it looks.
    ///
    /// It also ends a data connection unused: it begins TLS, asks for SIZE, and closes as soon as it has read that there is
    /// no such file, or that it has all of it. So its tickets leave with the end of the handshake, and that ends before the
    /// reply to a command that opens nothing.
    ///
    /// Nobody else has to be kept waiting. GnuTLS resumes a session as often as it likes; programs in Go never read during
    /// an upload, and a ticket must not reach them before its end; who waits for 150 before it begins TLS (ftplib) uses the
    /// tickets of the control connection.
    pub(crate) fn wants_tickets_early(&self) -> bool {
        self.resolver.is_openssl.get().copied().unwrap_or(false)
    }

    /// The control connection stands: who is at its other end.
    pub(crate) fn control_stands(&self, engine: &Engine) -> TlsPeer {
        let leaf = engine.peer_certificate();
        let certificate = leaf.map(|leaf| ClientCertificate::read(leaf));
        // There is one handshake on it.
        let _ = self.client.set(leaf.map(|leaf| leaf.clone().into_owned()));
        TlsPeer { server_name: self.resolver.server_name.get().cloned(), certificate }
    }

    /// A handshake goes on. Where it resumes a session, the tickets of this connection are good from now on: they hold that
    /// same session, so whoever cannot use it gains nothing by them.
    ///
    /// It must not wait for the end of the handshake. Under TLS 1.2 the client has its ticket before it sends its last
    /// message, and uses it the next time, even where its command was refused and the connection given up in between.
    pub(super) fn honour(&self, DataEngine { engine, connection }: &DataEngine) {
        if engine.is_resumed() {
            self.tickets.honour(*connection);
        }
    }

    /// A data connection stands: is it the client's?
    pub(super) fn admit(&self, DataEngine { engine, .. }: &DataEngine) -> Result<Proof, TlsError> {
        // A session that is resumed brings its certificate with it. One that is not must bring the same.
        let client = self.client.get().and_then(Option::as_ref);
        if client.is_some() && client != engine.peer_certificate() {
            return Err(TlsError::OtherClient);
        }
        if engine.is_resumed() {
            return Ok(Proof::Shown);
        }
        match self.reuse {
            SessionReuse::Require => Err(TlsError::NotResumed),
            SessionReuse::Prefer => Ok(Proof::Missed),
            SessionReuse::Off => Ok(Proof::NotWanted),
        }
    }
}

/// Whether a data connection that was let in has shown that it is the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Shown,
    Missed,
    NotWanted,
}

/// A data connection whose handshake is still to come, and its number.
pub(super) struct DataEngine {
    pub(super) engine: Engine,
    connection: u64,
}

/// Chooses the certificate, and keeps the name that the client has asked for.
#[derive(Debug)]
struct Resolver {
    certificates: Arc<Certificates>,
    host: Option<String>,
    server_name: OnceLock<String>,
    is_openssl: OnceLock<bool>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        // The control connection comes first, and is the one that counts.
        if let Some(name) = name {
            let _ = self.server_name.set(name.to_owned());
        }
        let _ = self.is_openssl.set(is_openssl(hello.signature_schemes()));
        self.certificates.choose(name.or(self.host.as_deref()))
    }
}

/// Whether a client is OpenSSL, by the signatures that it takes: those of Edwards curves, the two in a row. GnuTLS has them
/// apart; Go, rustls, BoringSSL and the systems' own have not heard of Ed448. Who is mistaken for another loses speed or
/// the resumption of a session, and no safety.
fn is_openssl(schemes: &[SignatureScheme]) -> bool {
    schemes.windows(2).any(|two| two == [SignatureScheme::ED25519, SignatureScheme::ED448])
}

/// The number of a control connection among its own connections.
const CONTROL: u64 = 0;

/// The server's tickets, as far as they are of one control connection.
#[derive(Clone)]
struct Tickets {
    tickets: Arc<dyn ProducesTickets>,
    /// The control connection's, among all of the server.
    number: u64,
    known: Arc<Mutex<Known>>,
}

/// Which data connections there were.
#[derive(Debug, Default)]
struct Known {
    last: u64,
    /// The last ones that resumed a session.
    resumed: VecDeque<u64>,
}

/// The tickets that one connection gives and takes.
struct Ticketer {
    of: Tickets,
    /// 0 is the control connection.
    connection: u64,
}

impl Tickets {
    fn of(&self, connection: u64) -> Ticketer {
        Ticketer { of: self.clone(), connection }
    }

    fn next(&self) -> u64 {
        let mut known = lock(&self.known);
        known.last += 1;
        known.last
    }

    fn honour(&self, connection: u64) {
        let mut known = lock(&self.known);
        if known.resumed.contains(&connection) {
            return;
        }
        if known.resumed.len() >= MAX_RESUMED {
            known.resumed.pop_front();
        }
        known.resumed.push_back(connection);
    }

    fn is_honoured(&self, connection: u64) -> bool {
        connection == CONTROL || lock(&self.known).resumed.contains(&connection)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        self.of.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.of.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.of.tickets.encrypt(&[&self.of.number.to_be_bytes(), &self.connection.to_be_bytes(), plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.of.tickets.decrypt(cipher)?;
        // What was decrypted was made by this server: nothing is learnt from how long the comparison takes.
        let (connection, plain) = plain.strip_prefix(&self.of.number.to_be_bytes())?.split_first_chunk()?;
        self.of.is_honoured(u64::from_be_bytes(*connection)).then(|| plain.to_vec())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("number", &self.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// The sessions of one control connection by their ids, the newest last.
#[derive(Default)]
struct Store(Mutex<VecDeque<(Vec<u8>, Vec<u8>)>>);

impl StoresServerSessions for Store {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut sessions = lock(&self.0);
        sessions.retain(|(known, _)| *known != key);
        if sessions.len() >= MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back((key, value));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let sessions = lock(&self.0);
        sessions.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut sessions = lock(&self.0);
        let at = sessions.iter().position(|(known, _)| known == key)?;
        sessions.remove(at).map(|(_, value)| value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Store {
    /// Without the sessions, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// The control connection's store, for data connections: what they begin anew is nobody's to resume.
#[derive(Debug)]
struct ReadOnly(Arc<Store>);

impl StoresServerSessions for ReadOnly {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        false
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        false
    }
}

/// What is kept stays true whatever panicked while it was held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_own_control_connection() {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let [one, two] = [1, 2].map(|number| Tickets { tickets: tickets.clone(), number, known: Arc::default() });
        let ticket = one.of(CONTROL).encrypt(b"session").unwrap();
        assert_eq!(one.of(one.next()).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(two.of(CONTROL).decrypt(&ticket), None);
        assert_eq!(one.of(CONTROL).decrypt(b"junk"), None);
    }

    #[test]
    fn a_ticket_of_a_data_connection_is_good_once_that_has_resumed_a_session() {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let tickets = Tickets { tickets, number: 1, known: Arc::default() };
        let (first, second) = (tickets.next(), tickets.next());
        let ticket = tickets.of(first).encrypt(b"session").unwrap();
        assert_eq!(tickets.of(second).decrypt(&ticket), None);
        tickets.honour(second);
        assert_eq!(tickets.of(second).decrypt(&ticket), None);
        tickets.honour(first);
        assert!(tickets.of(second).decrypt(&ticket).is_some());
    }

    #[test]
    fn openssl_is_known_by_what_it_offers() {
        let offered = |schemes: &[u16]| is_openssl(&schemes.iter().map(|&n| n.into()).collect::<Vec<_>>());
        // As seen on the wire. OpenSSL 3.0 (curl 7.88, Python's ftplib), 3.5 with its ML-DSA, and one that only speaks 1.3.
        assert!(offered(&[
            0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501,
            0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602,
        ]));
        assert!(offered(&[0x0905, 0x0906, 0x0904, 0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x081a]));
        assert!(offered(&[0x0403, 0x0807, 0x0808, 0x0804]));
        // GnuTLS 3.7 (lftp 4.9), Go 1.19 (rclone), rustls.
        assert!(!offered(&[
            0x0401, 0x0809, 0x0804, 0x0403, 0x0807, 0x0501, 0x080a, 0x0805, 0x0503, 0x0808, 0x0601, 0x080b, 0x0806,
            0x0603, 0x0201, 0x0203,
        ]));
        assert!(!offered(&[
            0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603, 0x0201, 0x0203,
        ]));
        assert!(!offered(&[0x0503, 0x0403, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401]));
        assert!(!offered(&[]));
    }

    #[test]
    fn few_sessions_are_kept() {
        let store = Store::default();
        for n in 0..10 {
            assert!(store.put(vec![n], vec![n]));
        }
        assert_eq!((store.get(&[5]), store.get(&[6]), store.get(&[9])), (None, Some(vec![6]), Some(vec![9])));
        assert_eq!((store.take(&[9]), store.get(&[9])), (Some(vec![9]), None));
    }
}
