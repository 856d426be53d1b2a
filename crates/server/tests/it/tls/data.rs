//! Data connections: sessions that belong together, ends that are none.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use port21_server::tls::SessionReuse;
use port21_server::{Storage, TlsMode};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::version::{TLS12, TLS13};

use super::client::{Secure, VERSIONS, begin, finish, forgetful, shake};
use crate::site::{Site, noise};
use crate::storages::Capped;

#[test]
fn a_session_that_is_not_resumed_is_refused() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "for the client alone");
        let mut client = secure.login(forgetful(secure.client_config(supported)));
        let mut data = client.data("RETR file");
        let mut got = Vec::new();
        let _ = data.read_to_end(&mut got);
        assert!(got.is_empty(), "{version}: {got:?}");
        assert!(client.expect(522).contains("session-reuse"));
        // Nor is anything taken from it.
        let mut data = client.data("STOR new");
        let _ = data.write_all(b"from a stranger");
        let _ = data.flush();
        client.expect(522);
        assert_eq!(secure.site.names(), ["file"]);
        // The session goes on.
        client.command("NOOP", 200);
    }
}

#[test]
fn a_ticket_of_another_control_connection_is_none() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "for the client alone");
        let mut client = secure.login(secure.client_config(supported));
        // The thief has a session, and tickets, of the same server.
        let mut thief = secure.login(secure.client_config(supported));
        assert_eq!(thief.fetch("RETR file"), b"for the client alone");
        let socket = client.passive();
        client.command("RETR file", 150);
        let mut data = begin(&thief.config, "localhost", socket);
        let mut got = Vec::new();
        let _ = data.read_to_end(&mut got);
        assert!(got.is_empty(), "{version}");
        client.expect(522);
        // What the thief was given by that handshake is good for nothing.
        let socket = client.passive();
        client.command("RETR file", 150);
        let mut data = begin(&thief.config, "localhost", socket);
        let _ = data.read_to_end(&mut got);
        assert!(got.is_empty(), "{version}");
        client.expect(522);
        assert_eq!(client.fetch("RETR file"), b"for the client alone");
    }
}

#[test]
fn what_is_preferred_or_nothing_lets_a_new_session_in() {
    for reuse in [SessionReuse::Prefer, SessionReuse::Off] {
        for (_, supported) in VERSIONS {
            let secure = Secure::with(TlsMode::Require, Site::settings(), |tls| tls.reuse = reuse);
            let mut client = secure.login(forgetful(secure.client_config(supported)));
            client.store("STOR file", b"bytes");
            assert_eq!(client.fetch("RETR file"), b"bytes");
            let want = if reuse == SessionReuse::Prefer { 2 } else { 0 };
            assert_eq!(secure.site.handle.counts().not_resumed, want);
        }
    }
}

#[test]
fn a_client_that_keeps_session_ids_instead_of_tickets() {
    let secure = Secure::new(TlsMode::Require);
    let mut config = secure.client_config(&TLS12);
    config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
    let mut client = secure.login(config);
    for _ in 0..20 {
        client.store("STOR file", b"bytes");
        assert_eq!(client.fetch("RETR file"), b"bytes");
    }
}

/// A FIN alone: whoever cuts a connection can send one.
#[test]
fn an_upload_without_close_notify_is_not_whole() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "the old one");
        let mut client = secure.login(secure.client_config(supported));
        let mut data = client.data("STOR file");
        data.write_all(&noise(100_000)).unwrap();
        data.flush().unwrap();
        data.sock.shutdown(Shutdown::Write).unwrap();
        assert!(client.expect(426).contains("close_notify"), "{version}");
        drop(data);
        assert_eq!(secure.site.read("file"), b"the old one");
    }
}

#[test]
fn an_upload_is_whole_with_close_notify_whatever_follows() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        // No more than leaves the client's machine at once: that would throw away the rest.
        let bytes = noise(1000);
        let mut data = client.data("STOR file");
        data.write_all(&bytes).unwrap();
        data.conn.send_close_notify();
        data.flush().unwrap();
        // The socket is closed with bytes unread, as many clients do: the server's tickets meet a RST.
        drop(data);
        client.expect(226);
        assert!(secure.site.read("file") == bytes);
    }
}

/// An account that is lenient takes that for the end of a file, for it is all that some devices ever say.
#[test]
fn a_lenient_account_does_without_close_notify() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "the old one");
        let mut client = secure.login_as("scanner", secure.client_config(supported));
        let bytes = noise(100_000);
        let mut data = client.data("STOR file");
        data.write_all(&bytes).unwrap();
        data.flush().unwrap();
        data.sock.shutdown(Shutdown::Write).unwrap();
        client.expect(226);
        assert!(secure.site.read("file") == bytes, "{version}");
        // A record that is cut is no end, nor is one that was tampered with.
        let mut data = client.data("STOR file");
        shake(&mut data).unwrap();
        data.conn.writer().write_all(&[7; 1000]).unwrap();
        let mut record = Vec::new();
        data.conn.write_tls(&mut record).unwrap();
        data.sock.write_all(&record[..record.len() - 1]).unwrap();
        data.sock.shutdown(Shutdown::Write).unwrap();
        client.expect(426);
        assert!(secure.site.read("file") == bytes, "{version}");
    }
}

/// As clients do that were written in Go: all into the socket, and closed, before the server has looked at any of it.
/// Nothing that the server sends on the way may be answered by a RST.
#[test]
fn an_upload_by_a_client_that_never_reads_is_whole() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        let bytes = noise(3_000_000);
        // The control connection has brought two tickets, and this client uses each once.
        for _ in 0..2 {
            let mut data = client.data("STOR file");
            data.write_all(&bytes).unwrap();
            data.conn.send_close_notify();
            data.flush().unwrap();
            assert!(!data.conn.wants_write());
            drop(data);
            client.expect(226);
            assert!(secure.site.read("file") == bytes);
        }
    }
}

/// Who knows how long a file is may close once it has all of it, without waiting for close_notify.
#[test]
fn a_download_is_whole_where_the_client_closes_at_its_last_byte() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let bytes = noise(5000);
        secure.site.write("file", &bytes);
        let mut client = secure.login(secure.client_config(supported));
        for _ in 0..20 {
            let mut data = client.data("RETR file");
            let mut got = vec![0; bytes.len()];
            data.read_exact(&mut got).unwrap();
            drop(data);
            let (code, text) = client.reply();
            assert_eq!(code, 226, "{version}: {text}");
            assert!(got == bytes);
        }
    }
}

/// The client asks for new keys all the time, and what answers it is not read: its file comes all the same.
#[test]
fn new_keys_in_an_upload() {
    let secure = Secure::new(TlsMode::Require);
    let mut client = secure.login(secure.client_config(&TLS13));
    let bytes = noise(2_000_000);
    let mut data = client.data("STOR file");
    for piece in bytes.chunks(1000) {
        data.write_all(piece).unwrap();
        data.conn.refresh_traffic_keys().unwrap();
    }
    finish(data);
    client.expect(226);
    assert!(secure.site.read("file") == bytes);
}

#[test]
fn a_record_that_was_tampered_with_ends_the_upload() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        let mut data = client.data("STOR file");
        shake(&mut data).unwrap();
        data.conn.writer().write_all(&[7; 1000]).unwrap();
        let mut bytes = Vec::new();
        data.conn.write_tls(&mut bytes).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        data.sock.write_all(&bytes).unwrap();
        client.expect(426);
        assert!(secure.site.names().is_empty());
    }
}

#[test]
fn data_in_clear_is_refused_where_tls_is_required() {
    let secure = Secure::new(TlsMode::Require);
    secure.site.write("file", "private");
    let mut client = secure.connect(secure.client_config(&TLS13));
    client.log_in();
    let _data = client.passive();
    client.command("RETR file", 521);
    client.command("LIST", 521);
    client.command("PBSZ 0", 200);
    client.command("PROT C", 534);
    client.command("RETR file", 521);
}

#[test]
fn data_in_clear_where_it_is_not() {
    let secure = Secure::new(TlsMode::Offer);
    secure.site.write("file", "public");
    let mut client = secure.connect(secure.client_config(&TLS13));
    client.log_in();
    client.command("PBSZ 0", 200);
    for _ in 0..2 {
        client.command("PROT P", 200);
        assert_eq!(client.fetch("RETR file"), b"public");
        client.command("PROT C", 200);
        let mut data = client.passive();
        client.command("RETR file", 150);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"public");
        drop(data);
        client.expect(226);
    }
}

#[test]
fn abor_ends_a_transfer_under_tls() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let bytes = noise(20_000_000);
        secure.site.write("file", &bytes);
        let mut client = secure.login(secure.client_config(supported));
        let mut data = client.data("RETR file");
        data.read_exact(&mut [0; 1000]).unwrap();
        client.send("ABOR\r\n");
        client.expect(426);
        client.expect(226);
        // What comes next is not the end of the file, and the client can tell: there is no close_notify.
        assert!(data.read_to_end(&mut Vec::new()).is_err());
        // Nor is a handshake waited for longer than the client wants to.
        let _data = client.passive();
        client.command("RETR file", 150);
        client.send("ABOR\r\n");
        client.expect(426);
        client.expect(226);
    }
}

/// curl looks at its data connection first, and has no word for a command that was refused where that is closed.
#[test]
fn the_connection_for_a_command_that_was_refused_is_there_until_the_reply_was_read() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        secure.site.write("file", "bytes");
        let mut client = secure.login(secure.client_config(supported));
        for _ in 0..3 {
            let socket = client.passive();
            client.command("RETR missing", 550);
            let mut data = begin(&client.config, "localhost", socket);
            shake(&mut data).unwrap_or_else(|error| panic!("{version}: {error}"));
            finish(data);
        }
        // And no longer than until the next one: nothing is sent on it, nor is it waited for.
        let mut socket = client.passive();
        client.command("RETR missing", 550);
        client.command("EPSV", 229);
        assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0);
        assert_eq!(client.fetch("RETR file"), b"bytes");
    }
}

/// A client that does not look at the control connection before it has sent all of its file: it can, and then it reads why
/// the file was refused.
#[test]
fn an_upload_over_quota_can_be_sent_to_its_end() {
    for (version, supported) in VERSIONS {
        let secure = Secure::over(
            TlsMode::Require,
            Site::settings(),
            |_| {},
            |files| Arc::new(Capped { files, most: 100_000 }) as Arc<dyn Storage>,
        );
        let mut client = secure.login(secure.client_config(supported));
        for _ in 0..3 {
            let mut data = client.data("STOR file");
            data.write_all(&noise(5_000_000)).unwrap_or_else(|error| panic!("{version}: {error}"));
            data.conn.send_close_notify();
            data.flush().unwrap();
            assert_eq!(data.read_to_end(&mut Vec::new()).unwrap(), 0, "{version}: close_notify");
            client.expect(552);
        }
        assert!(secure.site.names().is_empty());
    }
}

#[test]
fn transfers_sent_ahead_are_answered_in_their_order() {
    let secure = Secure::new(TlsMode::Require);
    secure.site.write("file", "bytes");
    let mut client = secure.login(secure.client_config(&TLS13));
    for _ in 0..3 {
        let socket = client.passive();
        client.send("RETR file\r\nNOOP\r\n");
        client.expect(150);
        let mut data = begin(&Arc::clone(&client.config), "localhost", socket);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        finish(data);
        assert_eq!(bytes, b"bytes");
        let codes = [client.reply().0, client.reply().0];
        assert!(codes == [226, 200] || codes == [200, 226], "{codes:?}");
    }
}
