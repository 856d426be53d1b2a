//! AUTH and its barrier, implicit TLS, CCC, REIN, ALPN, old clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::event::EventKind;
use port21_server::account::guard::GuardSettings;
use port21_server::{Settings, TlsMode};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use super::client::{Secure, TlsClient, VERSIONS, begin, shake};
use crate::site::{Raw, Site};

fn permitting_ccc() -> Settings {
    let mut settings = Site::settings();
    settings.session.tls.allow_ccc = true;
    settings
}

fn impatient() -> Settings {
    let mut settings = Site::settings();
    settings.session.tls.handshake_timeout = Duration::from_millis(200);
    settings
}

#[test]
fn what_comes_in_clear_behind_auth_is_thrown_away() {
    for (_, version) in VERSIONS {
        let secure = Secure::new(TlsMode::Offer);
        secure.site.write("file", "stays");
        let mut raw = secure.site.connect();
        raw.send("AUTH TLS\r\nUSER user\r\nPASS secret\r\nDELE file\r\nNOOP\r\n");
        raw.expect(234);
        let mut client = TlsClient::over(raw, Arc::new(secure.client_config(version)));
        // Nobody has said USER, and the first reply under TLS is to the first command under TLS.
        client.command("PASS secret", 503);
        client.command("PWD", 530);
        assert_eq!(secure.site.read("file"), b"stays");
    }
}

#[test]
fn a_login_in_clear_is_forgotten() {
    let secure = Secure::new(TlsMode::Offer);
    let mut raw = secure.site.login();
    raw.command("AUTH TLS", 234);
    let mut client = TlsClient::over(raw, Arc::new(secure.client_config(&TLS13)));
    client.command("PWD", 530);
    assert!(secure.site.handle.sessions().iter().all(|session| session.account.is_none()));
    client.log_in();
    client.command("PWD", 257);
    assert!(client.command("STAT", 211).contains("TLS 1.3"));
}

#[test]
fn required_means_that_no_password_comes_in_clear() {
    let secure = Secure::new(TlsMode::Require);
    let mut raw = secure.site.connect();
    raw.command("USER user", 530);
    raw.command("PASS secret", 530);
    raw.command("USER anonymous", 530);
    assert!(raw.command("FEAT", 211).contains(" AUTH TLS\r\n"));
}

#[test]
fn several_listeners_each_with_its_own_mode() {
    // A server without a certificate cannot listen with TLS, and says so.
    let accounts = Arc::new(port21_server::FirstOf::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let mut server = port21_server::Server::builder(accounts.clone()).build();
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    assert!(
        server
            .listen(port21_server::Listen::from(addr).with_tls(TlsMode::Implicit))
            .unwrap_err()
            .to_string()
            .contains("no certificate")
    );

    let secure = Secure::new(TlsMode::Off);
    let tls = port21_server::tls::TlsSettings::new(secure.certificates.clone());
    let mut server = port21_server::Server::builder(accounts).tls(tls).unwrap().build();
    let [clear, offer, implicit] = [TlsMode::Off, TlsMode::Offer, TlsMode::Implicit]
        .map(|mode| server.listen(port21_server::Listen::from(addr).with_tls(mode)).unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(server.run(async { drop(stopped.await) })));
        Raw::connect(clear).command("AUTH TLS", 502);
        Raw::connect(offer).command("AUTH TLS", 234);
        TlsClient::implicit(implicit, secure.client_config(&TLS13)).command("NOOP", 200);
        drop(stop);
    });
}

/// The header comes before TLS, and the ClientHello right behind it.
#[test]
fn tls_begins_behind_the_header_of_a_proxy() {
    let settings = Settings { proxies: vec!["127.0.0.1".parse().unwrap()], ..Site::settings() };
    for (_, version) in VERSIONS {
        let secure = Secure::with(TlsMode::Implicit, settings.clone(), |_| {});
        let mut socket = TcpStream::connect(secure.site.addr).unwrap();
        socket.write_all(b"PROXY TCP4 203.0.113.7 198.51.100.1 1025 990\r\n").unwrap();
        let mut client = begin(&Arc::new(secure.client_config(version)), "localhost", socket);
        shake(&mut client).unwrap();
        let mut greeting = [0; 4];
        client.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"220 ");
        drop(client);
    }
}

#[test]
fn a_handshake_that_never_comes_is_not_waited_for() {
    for mode in [TlsMode::Offer, TlsMode::Implicit] {
        let secure = Secure::with(mode, impatient(), |_| {});
        let mut raw = Raw::silent(secure.site.addr);
        if mode == TlsMode::Offer {
            raw.expect(220);
            raw.command("AUTH TLS", 234);
        }
        assert_eq!(raw.into_end(), (true, Vec::new()));
    }
}

#[test]
fn what_is_not_tls_ends_the_connection() {
    let secure = Secure::new(TlsMode::Implicit);
    let mut raw = Raw::silent(secure.site.addr);
    raw.send("USER user\r\nPASS secret\r\n");
    let (_, told) = raw.into_end();
    assert_eq!(told.first(), Some(&21), "an alert, and not a word in clear: {told:?}");
    secure.site.wait_for(|kind| matches!(kind, EventKind::TlsFailed { text, .. } if text.contains("not TLS")));
}

/// A ClientHello of TLS 1.1, as a device of 2010 sends it: TLS_RSA_WITH_AES_128_CBC_SHA and no extension.
#[test]
fn a_client_of_tls_1_1_is_told_so() {
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x00, 0x2f, 1, 0]);
    let mut record = vec![22, 0x03, 0x01, 0, u8::try_from(hello.len() + 4).unwrap(), 1, 0, 0];
    record.push(u8::try_from(hello.len()).unwrap());
    record.extend(hello);

    let secure = Secure::new(TlsMode::Require);
    let mut raw = secure.site.connect();
    raw.command("AUTH TLS", 234);
    raw.send(record);
    let (_, told) = raw.into_end();
    // RFC 5246 section 7.2.2: alert, fatal, protocol_version.
    assert_eq!((told.first(), &told[told.len() - 2..]), (Some(&21), &[2, 70][..]), "{told:?}");
    secure.site.wait_for(|kind| matches!(kind, EventKind::TlsFailed { text, .. } if text.contains("TLS 1.0 and 1.1")));
}

#[test]
fn another_protocol_than_ftp_is_not_served() {
    for (_, version) in VERSIONS {
        let secure = Secure::new(TlsMode::Implicit);
        let asking_for = |protocols: &[&[u8]]| {
            let mut config: ClientConfig = secure.client_config(version);
            config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            let socket = TcpStream::connect(secure.site.addr).unwrap();
            shake(&mut begin(&Arc::new(config), "localhost", socket))
        };
        asking_for(&[]).unwrap();
        asking_for(&[b"h2", b"ftp"]).unwrap();
        let error = asking_for(&[b"h2", b"http/1.1"]).unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
        secure.site.wait_for(|kind| matches!(kind, EventKind::TlsFailed { text, .. } if text.contains("ALPN")));
    }
}

#[test]
fn a_browser_that_says_nothing_of_its_protocol_is_dropped_too() {
    let secure = Secure::new(TlsMode::Implicit);
    let mut client = TlsClient::implicit(secure.site.addr, secure.client_config(&TLS13));
    client.send("POST / HTTP/1.1\r\nUSER user\r\nPASS secret\r\n");
    let mut rest = Vec::new();
    client.control.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn ccc_goes_on_in_clear_without_losing_a_byte() {
    for (_, version) in VERSIONS {
        let secure = Secure::with(TlsMode::Offer, permitting_ccc(), |_| {});
        secure.site.write("file", "private");
        let mut client = secure.connect(secure.client_config(version));
        client.command("CCC", 530);
        client.log_in();
        client.protect_data();
        // All in one segment: a command that is still protected, the end of TLS, and commands in clear behind it.
        client.control.conn.writer().write_all(b"CCC\r\nNOOP\r\n").unwrap();
        client.control.conn.send_close_notify();
        let mut bytes = Vec::new();
        client.control.conn.write_tls(&mut bytes).unwrap();
        bytes.extend(b"PWD\r\nPROT C\r\n");
        client.control.sock.write_all(&bytes).unwrap();
        assert!(client.last_words().starts_with("200 "));
        let TlsClient { control, config } = client;
        let mut raw = Raw::over(control.sock);
        raw.expect(200);
        raw.expect(257);
        raw.expect(503);
        // The data connection is private as before, and still bound to the session that was.
        let data = raw.passive();
        raw.command("RETR file", 150);
        let mut data = begin(&config, "localhost", data);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"private");
        drop(data);
        raw.expect(226);
        raw.command("AUTH TLS", 234);
        TlsClient::over(raw, config).command("PWD", 530);
    }
}

#[test]
fn ccc_is_not_permitted_unless_it_is() {
    let secure = Secure::new(TlsMode::Offer);
    let mut client = secure.login(secure.client_config(&TLS13));
    client.command("CCC", 534);
    assert!(!client.command("FEAT", 211).contains("CCC"));
}

#[test]
fn rein_is_answered_under_tls_and_ends_it() {
    let secure = Secure::new(TlsMode::Require);
    let mut client = secure.login(secure.client_config(&TLS12));
    client.command("REIN", 220);
    assert_eq!(client.control.read(&mut [0]).unwrap(), 0);
    client.control.conn.send_close_notify();
    client.control.flush().unwrap();
    let mut raw = Raw::over(client.control.sock);
    raw.command("USER user", 530);
    raw.command("AUTH TLS", 234);
    TlsClient::over(raw, client.config).log_in();
}

/// Replies that cannot be sent any more are no reason to try for ever: that would take a thread from everybody else.
#[test]
fn who_resets_the_connection_before_the_replies_holds_nobody_up() {
    for (_, version) in VERSIONS {
        let mut settings = Site::settings();
        settings.guard =
            GuardSettings { delay: Duration::from_millis(10), address_failures: 0, ..GuardSettings::default() };
        let secure = Secure::with(TlsMode::Require, settings, |_| {});
        for _ in 0..2 {
            let mut client = secure.connect(secure.client_config(version));
            // The reply to a login takes its time, and there is more to be said behind it.
            client.send("USER a\r\nPASS b\r\nUSER a\r\nPASS c\r\n");
            socket2::SockRef::from(&client.control.sock).set_linger(Some(Duration::ZERO)).unwrap();
        }
        while secure.site.handle.counts().sessions > 0 {
            std::thread::yield_now();
        }
    }
}

/// Nobody is left to end TLS with: the session ends at once, and not when the time of a handshake is over.
#[test]
fn who_asks_for_the_end_of_tls_and_breaks_is_not_waited_for() {
    for (_, version) in VERSIONS {
        let mut settings = Site::settings();
        settings.session.tls.handshake_timeout = Duration::from_secs(3600);
        let secure = Secure::with(TlsMode::Require, settings, |_| {});
        let mut client = secure.login(secure.client_config(version));
        client.send("REIN\r\n");
        client.control.sock.write_all(b"no record of TLS, whatever else it may be").unwrap();
        client.control.sock.shutdown(std::net::Shutdown::Both).unwrap();
        while secure.site.handle.counts().sessions > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_command_cut_into_records_and_segments_is_one_command() {
    for (_, version) in VERSIONS {
        let secure = Secure::new(TlsMode::Offer);
        let mut client = secure.connect(secure.client_config(version));
        let mut bytes = Vec::new();
        for byte in b"NOOP\r\nNOOP\r\n" {
            client.control.conn.writer().write_all(&[*byte]).unwrap();
            while client.control.conn.wants_write() {
                client.control.conn.write_tls(&mut bytes).unwrap();
            }
        }
        client.control.sock.set_nodelay(true).unwrap();
        for piece in bytes.chunks(7) {
            client.control.sock.write_all(piece).unwrap();
        }
        client.expect(200);
        client.expect(200);
        client.command("QUIT", 221);
        assert_eq!(client.control.read(&mut [0]).unwrap(), 0, "close_notify");
    }
}
