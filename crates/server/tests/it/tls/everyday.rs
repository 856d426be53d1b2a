//! What a client does all day, in both versions.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use port21_server::TlsMode;
use rustls::version::TLS13;
use suppaftp::types::FileType;
use suppaftp::{Mode, RustlsConnector, RustlsFtpStream};

use super::client::{Secure, TlsClient, VERSIONS, begin, finish, shake};
use crate::compressed::{deflate, inflate};
use crate::site::noise;

#[test]
fn a_client_that_others_wrote() {
    for (version, supported) in VERSIONS {
        for mode in [Mode::Passive, Mode::ExtendedPassive] {
            let secure = Secure::new(TlsMode::Require);
            let connector = RustlsConnector::from(Arc::new(secure.client_config(supported)));
            let ftp = RustlsFtpStream::connect(secure.site.addr).unwrap();
            let mut ftp = ftp.into_secure(connector, "localhost").unwrap();
            ftp.login("user", "secret").unwrap();
            ftp.set_mode(mode);
            ftp.transfer_type(FileType::Binary).unwrap();
            let bytes = noise(1_000_000);
            for name in ["one", "two"] {
                ftp.put_file(name, &mut Cursor::new(&bytes)).unwrap();
                assert!(secure.site.read(name) == bytes, "{version}");
                assert!(ftp.retr_as_buffer(name).unwrap().into_inner() == bytes, "{version}");
            }
            assert_eq!(ftp.nlst(None).unwrap(), ["one", "two"]);
            ftp.quit().unwrap();
        }
    }
}

#[test]
fn files_of_all_sizes_both_ways() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        for size in [0, 1, 16_383, 16_384, 16_385, 300_000, 3_000_000] {
            let bytes = noise(size);
            client.store("STOR file", &bytes);
            assert!(secure.site.read("file") == bytes, "{version}, {size}");
            assert!(client.fetch("RETR file") == bytes, "{version}, {size}");
        }
        client.command("TYPE A", 200);
        client.store("STOR text", b"one\r\ntwo\r\n");
        assert_eq!(secure.site.read("text"), b"one\ntwo\n");
        assert_eq!(client.fetch("RETR text"), b"one\r\ntwo\r\n");
        assert_eq!(client.fetch("NLST"), b"file\r\ntext\r\n");
    }
}

#[test]
fn compressed_under_tls() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        client.command("MODE Z", 200);
        for bytes in [Vec::new(), noise(100_000), "the same again ".repeat(100_000).into_bytes()] {
            client.store("STOR file", &deflate(&bytes));
            assert!(secure.site.read("file") == bytes, "{version}");
            assert!(inflate(&client.fetch("RETR file")) == bytes, "{version}");
        }
        assert_eq!(inflate(&client.fetch("NLST")), b"file\r\n");
        client.command("MODE S", 200);
        assert_eq!(client.fetch("NLST"), b"file\r\n");
    }
    // TLS ended in order, the stream that it carried did not: whatever the account is content with, that is no whole file.
    for user in ["user", "scanner"] {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login_as(user, secure.client_config(&TLS13));
        client.command("MODE Z", 200);
        let mut data = client.data("STOR file");
        shake(&mut data).unwrap();
        let wire = deflate(&noise(100_000));
        data.write_all(&wire[..wire.len() / 2]).unwrap();
        finish(data);
        client.expect(426);
        assert!(!secure.site.names().iter().any(|name| name == "file"), "{user}");
    }
}

#[test]
fn active_data_connections() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        let bytes = noise(100_000);
        let listener = client.active();
        client.command("STOR file", 150);
        // The server has connected, and is the TLS server for all that.
        let mut data = begin(&client.config, "localhost", listener.accept().unwrap().0);
        data.write_all(&bytes).unwrap();
        finish(data);
        client.expect(226);
        let listener = client.active();
        client.command("RETR file", 150);
        let mut data = begin(&client.config, "localhost", listener.accept().unwrap().0);
        let mut got = Vec::new();
        data.read_to_end(&mut got).unwrap();
        assert!(got == bytes, "{version}");
        drop(data);
        client.expect(226);
    }
}

#[test]
fn hundreds_of_transfers_on_one_control_connection() {
    for (version, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Require);
        let mut client = secure.login(secure.client_config(supported));
        for n in 0u32..200 {
            client.store("STOR file", &n.to_le_bytes());
            assert_eq!(client.fetch("RETR file"), n.to_le_bytes(), "{version}");
        }
    }
}

#[test]
fn implicit_from_the_first_byte_on() {
    for (_, supported) in VERSIONS {
        let secure = Secure::new(TlsMode::Implicit);
        let mut client = TlsClient::implicit(secure.site.addr, secure.client_config(supported));
        client.command("AUTH TLS", 503);
        client.log_in();
        client.command("TYPE I", 200);
        // Data is private without a word.
        client.store("STOR file", b"bytes");
        assert_eq!(client.fetch("RETR file"), b"bytes");
        client.command("QUIT", 221);
    }
}
