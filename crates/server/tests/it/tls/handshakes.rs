//! When a data connection's handshake is done: as soon as its client begins it, and nobody is held up meanwhile.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use port21_server::TlsMode;
use rustls::version::TLS13;

use super::client::{Secure, Stream, TlsClient, VERSIONS, as_openssl, begin, finish, forgetful, shake};
use crate::site::{Site, noise};

/// curl begins as soon as it has connected, and looks at nothing else before it is through.
#[test]
fn is_done_before_any_command_where_the_client_wants_it() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let bytes = noise(100_000);
        let mut client = secure.login(secure.client_config(supported));
        for _ in 0..3 {
            let mut data = shaken(&mut client);
            client.command("STOR file", 150);
            data.write_all(&bytes).unwrap();
            finish(data);
            client.expect(226);
            let mut data = shaken(&mut client);
            client.command("SIZE file", 213);
            client.command("RETR file", 150);
            let mut got = Vec::new();
            data.read_to_end(&mut got).unwrap();
            finish(data);
            client.expect(226);
            assert!(got == bytes);
            let mut data = shaken(&mut client);
            client.command("NLST", 150);
            let mut names = String::new();
            data.read_to_string(&mut names).unwrap();
            finish(data);
            client.expect(226);
            assert_eq!(names, "file\r\n");
        }
        // One that is not used is let go of.
        let _unused = client.passive();
        assert_eq!(client.fetch("RETR file"), bytes);
    }
}

/// A data connection under TLS for which nothing was asked yet.
fn shaken(client: &mut TlsClient) -> Stream {
    let mut data = begun(client);
    shake(&mut data).unwrap();
    data
}

/// One over which the client has said its first words, and waits.
fn begun(client: &mut TlsClient) -> Stream {
    let socket = client.passive();
    let mut data = begin(&client.config, "localhost", socket);
    data.conn.write_tls(&mut data.sock).unwrap();
    data
}

/// Whoever is refused learns it when and as it always did: by the reply to its command.
#[test]
fn that_fails_early_is_told_in_its_turn() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "for the client alone");
        let mut client = secure.login(forgetful(secure.client_config(supported)));
        for command in ["RETR file", "STOR new", "LIST"] {
            let mut data = shaken(&mut client);
            client.command("NOOP", 200);
            client.command(command, 150);
            assert!(client.expect(522).contains("session-reuse"));
            let mut got = Vec::new();
            let _ = data.read_to_end(&mut got);
            assert!(got.is_empty(), "{got:?}");
        }
        let mut data = client.passive();
        data.write_all(b"what is not TLS").unwrap();
        client.command("RETR file", 150);
        client.expect(522);
        // Nor does it matter that the client is gone.
        drop(client.passive());
        client.command("RETR file", 150);
        client.expect(522);
        assert_eq!(secure.site.names(), ["file"]);
    }
}

/// A client that begins and does not go on keeps nobody waiting, not even where its tickets are to go ahead of 150.
#[test]
fn that_does_not_go_on_holds_nothing_up() {
    let secure = Secure::new(TlsMode::Require);
    secure.site.write("file", "the old one");
    for openssl in [false, true] {
        // Each ticket is used once, and an unfinished handshake brings none.
        let login = || secure.login(if openssl { as_openssl(&secure, &TLS13) } else { secure.client_config(&TLS13) });
        let mut client = login();
        let _data = begun(&mut client);
        client.command("NOOP", 200);
        client.command("RETR file", 150);
        client.command("NOOP", 200);
        client.command("STAT", 211);
        client.send("ABOR\r\n");
        client.expect(426);
        client.expect(226);
        let mut client = login();
        let _data = begun(&mut client);
        client.send("STOR file\r\nABOR\r\n");
        // Aborted before or behind its 150.
        let code = client.reply().0;
        assert!(code == 150 || code == 426, "{code}");
        if code == 150 {
            client.expect(426);
        }
        client.expect(226);
        client.store("STOR new", b"bytes");
        assert_eq!(secure.site.read("file"), b"the old one");
    }
}

#[test]
fn that_is_begun_early_has_its_time_too() {
    let mut settings = Site::settings();
    settings.session.tls.handshake_timeout = Duration::from_millis(300);
    let secure = Secure::with(TlsMode::Require, settings, |_| {});
    let mut client = secure.login(secure.client_config(&TLS13));
    let mut data = begun(&mut client);
    // The server has spoken; its alert and the end of the connection would be next.
    data.sock.read_exact(&mut [0; 5]).unwrap();
    client.command("RETR absent", 550);
    let _data = begun(&mut client);
    client.command("LIST", 150);
    assert!(client.expect(522).contains("handshake"));
    client.command("NOOP", 200);
}

/// A port in clear serves for what is private from then on, and never the other way round.
#[test]
fn prot_between_epsv_and_the_transfer() {
    let secure = Secure::new(TlsMode::Offer);
    secure.site.write("file", "private");
    let mut client = secure.connect(secure.client_config(&TLS13));
    client.log_in();
    client.command("PBSZ 0", 200);
    let data = client.passive();
    client.command("PROT P", 200);
    client.command("RETR file", 150);
    let mut data = begin(&client.config, "localhost", data);
    let mut got = Vec::new();
    data.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"private");
    finish(data);
    client.expect(226);
    let _data = client.passive();
    client.command("PROT C", 200);
    client.command("STOR new", 425);
    let mut data = client.passive();
    client.command("STOR new", 150);
    data.write_all(b"\x16\x03\x01 in clear").unwrap();
    drop(data);
    client.expect(226);
    assert_eq!(secure.site.read("new"), b"\x16\x03\x01 in clear");
}

/// OpenSSL uses a ticket of TLS 1.3 once. curl begins TLS before its STOR is answered, sends behind 150, and looks for the
/// next ticket just before it closes: it must be there by 150, and nothing may come later.
#[test]
fn openssl_has_its_tickets_before_it_sends() {
    let secure = Secure::new(TlsMode::Require);
    let mut client = secure.login(as_openssl(&secure, &TLS13));
    let bytes = noise(1_000_000);
    for _ in 0..20 {
        let socket = client.passive();
        let mut data = begin(&client.config, "localhost", socket);
        data.conn.write_tls(&mut data.sock).unwrap();
        client.send("STOR file\r\n");
        shake(&mut data).unwrap();
        client.expect(150);
        data.sock.set_nonblocking(true).unwrap();
        while data.conn.tls13_tickets_received() == 0 {
            assert_ne!(data.conn.read_tls(&mut data.sock).expect("tickets that are there"), 0);
            data.conn.process_new_packets().unwrap();
        }
        while data.conn.read_tls(&mut data.sock).is_ok() {
            data.conn.process_new_packets().unwrap();
        }
        data.sock.set_nonblocking(false).unwrap();
        data.write_all(&bytes).unwrap();
        data.conn.send_close_notify();
        data.flush().unwrap();
        drop(data);
        client.expect(226);
        assert!(secure.site.read("file") == bytes);
    }
    // Who is another's client is refused as ever, and who waits for 150 waits for nothing.
    let socket = client.passive();
    let mut data = begin(&Arc::new(forgetful(secure.client_config(&TLS13))), "localhost", socket);
    data.conn.write_tls(&mut data.sock).unwrap();
    client.send("STOR file\r\n");
    let _ = shake(&mut data);
    client.expect(150);
    client.expect(522);
    client.store("STOR file", b"bytes");
}

/// OpenSSL again, where nothing comes of a data connection: curl begins TLS, asks for the size, and looks at the connection no
/// more once it has read that there is no such file, or that it has all of it.
#[test]
fn openssl_has_its_tickets_before_it_reads_that_there_is_no_transfer() {
    let secure = Secure::new(TlsMode::Offer);
    secure.site.write("file", "bytes");
    let mut client = secure.login(as_openssl(&secure, &TLS13));
    client.protect_data();
    let nothing = [
        ("SIZE file", 213),
        ("SIZE missing", 550),
        ("MDTM missing", 550),
        ("MLST file", 250),
        ("RETR missing", 550),
        ("LIST missing", 550),
        ("STOR missing/file", 550),
        ("RETR", 501),
        ("EPSV", 229),
        ("PROT C", 200),
    ];
    for (line, code) in nothing.into_iter().cycle().take(10 * nothing.len()) {
        let socket = client.passive();
        let mut data = begin(&client.config, "localhost", socket);
        data.conn.write_tls(&mut data.sock).unwrap();
        if code == 501 {
            // What is wrong by itself keeps its port, and has no operation to wait with.
            client.send("SIZE missing\r\n");
        }
        client.send(format!("{line}\r\n"));
        shake(&mut data).unwrap();
        if code == 501 {
            client.expect(550);
        }
        client.expect(code);
        data.sock.set_nonblocking(true).unwrap();
        while data.conn.tls13_tickets_received() == 0 {
            let read = data.conn.read_tls(&mut data.sock).unwrap_or_else(|error| panic!("{line}: no tickets: {error}"));
            assert_ne!(read, 0, "{line}");
            data.conn.process_new_packets().unwrap();
        }
        drop(data);
        client.command("PROT P", 200);
    }
    assert_eq!(client.fetch("RETR file"), b"bytes");
}

/// Who begins and does not go on has the reply all the same.
#[test]
fn an_unfinished_handshake_keeps_no_refusal_back_for_long() {
    let secure = Secure::new(TlsMode::Require);
    for line in ["SIZE missing", "RETR missing"] {
        let mut client = secure.login(as_openssl(&secure, &TLS13));
        let _data = begun(&mut client);
        client.command(line, 550);
        client.command("NOOP", 200);
    }
}

/// All others must find nothing that comes unasked: they may close at any time, without having read.
#[test]
fn others_get_nothing_while_they_send() {
    let secure = Secure::new(TlsMode::Require);
    let mut client = secure.login(secure.client_config(&TLS13));
    let socket = client.passive();
    let mut data = begin(&client.config, "localhost", socket);
    data.conn.write_tls(&mut data.sock).unwrap();
    client.command("STOR file", 150);
    shake(&mut data).unwrap();
    data.write_all(&[1; 1000]).unwrap();
    // Once the server has read it, it has sent what it sends during an upload.
    while !client.command("STAT", 211).contains("1000 bytes transferred") {}
    data.sock.set_nonblocking(true).unwrap();
    assert_eq!(data.sock.peek(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    data.sock.set_nonblocking(false).unwrap();
    finish(data);
    client.expect(226);
}

#[test]
fn a_handshake_that_never_comes_is_not_waited_for() {
    let mut settings = Site::settings();
    settings.session.tls.handshake_timeout = Duration::from_millis(300);
    let secure = Secure::with(TlsMode::Require, settings, |_| {});
    let mut client = secure.login(secure.client_config(&TLS13));
    // Passive, and active, where the server has connected and waits all the same.
    let _data = client.passive();
    client.command("LIST", 150);
    assert!(client.expect(522).contains("handshake"));
    let listener = client.active();
    client.command("LIST", 150);
    let _data = listener.accept().unwrap();
    client.expect(522);
    client.command("NOOP", 200);
}

#[test]
fn what_is_not_tls_is_refused() {
    let secure = Secure::new(TlsMode::Require);
    let mut client = secure.login(secure.client_config(&TLS13));
    let mut data = client.passive();
    client.command("STOR file", 150);
    data.write_all(b"bytes in clear, of a client that has forgotten what it said").unwrap();
    client.expect(522);
    assert!(secure.site.names().is_empty());
}
