//! TLS in a server's own way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use port21_client::{Builder, Client, Error, Phase, Pin, TlsError, TlsMode, TlsSettings, TlsVersion, Upload};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{DEFAULT_VERSIONS, HandshakeKind, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::memory::{Net, Peer, fetch};

/// How a server does TLS: on the control connection, and on data connections.
pub(crate) struct House {
    control: Arc<ServerConfig>,
    data: Arc<ServerConfig>,
}

/// A configuration with a certificate of its own, and how many tickets it gives with each handshake.
fn config(tickets: usize) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new(vec!["ftp.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let chain = vec![CertificateDer::from(made.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(DEFAULT_VERSIONS).unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.ticketer = Ticketer::new().unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = tickets;
    config
}

impl House {
    /// So many tickets with each handshake, on either connection.
    pub(crate) fn new(control: usize, data: usize) -> House {
        let first = config(control);
        let mut second = first.clone();
        second.send_tls13_tickets = data;
        House { control: Arc::new(first), data: Arc::new(second) }
    }

    pub(crate) async fn login(&self, net: &mut Net) -> Peer {
        let mut peer = net.accept().await;
        peer.say("220 hi").await;
        peer.answer("AUTH TLS", "234 go").await;
        peer.start_tls(&self.control).await.unwrap();
        peer.answer("USER anonymous", "230 in").await;
        peer
    }

    /// As [`House::login`], and agrees on the protection of data and its form.
    async fn ready(&self, net: &mut Net) -> Peer {
        let mut peer = self.login(net).await;
        self.protect(&mut peer).await;
        peer.answer("TYPE I", "200 ok").await;
        peer
    }

    pub(crate) async fn protect(&self, peer: &mut Peer) {
        peer.answer("PBSZ 0", "200 ok").await;
        peer.answer("PROT P", "200 ok").await;
    }

    async fn secure(&self, data: DuplexStream) -> io::Result<TlsStream<DuplexStream>> {
        TlsAcceptor::from(self.data.clone()).accept(data).await
    }

    /// Takes EPSV and the command, answers it, and does its part of TLS.
    async fn data(&self, peer: &mut Peer, command: &str, reply: &str) -> TlsStream<DuplexStream> {
        let data = peer.passive().await;
        peer.answer(command, reply).await;
        self.secure(data).await.unwrap()
    }

    /// Takes one transfer from EPSV on; where its data connection has resumed no session it is refused. Whether it was taken.
    async fn strict(&self, peer: &mut Peer, command: &str) -> bool {
        let mut data = self.data(peer, command, "150 go").await;
        let resumed = data.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        if !resumed {
            data.shutdown().await.unwrap();
            drop(data);
            peer.say("425 Unable to build data connection: TLS session of data connection not resumed").await;
        } else if command.starts_with("STOR") {
            assert_eq!(read(&mut data).await.unwrap(), b"bytes");
            let _ = data.shutdown().await;
            peer.say("226 done").await;
        } else {
            give(data, b"bytes").await;
            peer.say("226 done").await;
        }
        resumed
    }
}

/// Sends these bytes, and the end of TLS.
async fn give(mut data: TlsStream<DuplexStream>, bytes: &[u8]) {
    data.write_all(bytes).await.unwrap();
    data.shutdown().await.unwrap();
}

/// Sends these bytes, and hangs up without the end of TLS.
async fn cut(mut data: TlsStream<DuplexStream>, bytes: &[u8]) {
    data.write_all(bytes).await.unwrap();
    data.flush().await.unwrap();
    data.into_inner().0.shutdown().await.unwrap();
}

/// Reads to the end of TLS: an end of the connection without it is an error.
async fn read(data: &mut TlsStream<DuplexStream>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).await.map(|_| bytes)
}

pub(crate) fn client(net: &Net) -> Builder {
    net.client().tls(TlsMode::Explicit).tls_settings(TlsSettings { insecure: true, ..TlsSettings::default() })
}

async fn send(client: &mut Client) -> Result<(), Error> {
    let mut stream = client.upload("f", Upload::Whole).await?;
    stream.write_all(b"bytes").await.map_err(|error| error.downcast::<Error>().unwrap())?;
    stream.finish().await.map(drop)
}

/// How many data connections were under TLS, resumed or not.
fn resumed(net: &Net, wanted: bool) -> usize {
    let lines = net.log.story().into_iter().filter(|line| line.contains("the data connection is protected"));
    lines.filter(|line| line.contains("resumed") == wanted).count()
}

/// proftpd: a session must be resumed, tickets of TLS 1.3 are good once, and data connections bring no new ones.
#[tokio::test(start_paused = true)]
async fn the_tickets_run_out() {
    for command in ["RETR f", "STOR f"] {
        let mut net = Net::new();
        let builder = client(&net);
        let house = House::new(2, 0);
        let serve = async {
            let mut peer = house.ready(&mut net).await;
            for _ in 0..2 {
                assert!(house.strict(&mut peer, command).await);
            }
            // There is no ticket left, and the client does not know yet that one is wanted.
            assert!(!house.strict(&mut peer, command).await);
            // In a new session, of TLS 1.2, there is no end to it; and what follows goes there at once.
            for _ in 0..2 {
                let mut peer = house.ready(&mut net).await;
                for _ in 0..20 {
                    assert!(house.strict(&mut peer, command).await);
                }
                peer.say("421 bye").await;
            }
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            for n in 0..42 {
                match command {
                    "RETR f" => assert_eq!(fetch(&mut client, "f").await, b"bytes"),
                    _ => send(&mut client).await.unwrap(),
                }
                if n == 21 {
                    client.idle(Duration::from_secs(60)).await;
                    client.reconnect().await.unwrap();
                }
            }
        };
        tokio::join!(serve, play);
        assert_eq!((resumed(&net, true), resumed(&net, false)), (42, 1));
    }
}

/// One that gives tickets on the control connection only, and demands nothing.
#[tokio::test(start_paused = true)]
async fn the_tickets_run_out_and_nobody_minds() {
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(1, 0);
    let serve = async {
        let mut peer = house.ready(&mut net).await;
        for _ in 0..5 {
            give(house.data(&mut peer, "RETR f", "150 go").await, b"bytes").await;
            peer.say("226 done").await;
        }
        for _ in 0..5 {
            let mut data = house.data(&mut peer, "STOR f", "150 go").await;
            assert_eq!(read(&mut data).await.unwrap(), b"bytes");
            drop(data);
            peer.say("226 done").await;
        }
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for _ in 0..5 {
            assert_eq!(fetch(&mut client, "f").await, b"bytes");
        }
        for _ in 0..5 {
            send(&mut client).await.unwrap();
        }
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    assert_eq!((resumed(&net, true), resumed(&net, false)), (1, 9));
}

/// A server whose sessions cannot be resumed at all, though it demands it: tried once more, and no more.
#[tokio::test(start_paused = true)]
async fn what_is_demanded_cannot_be_done() {
    let mut net = Net::new();
    let builder = client(&net);
    let mut house = House::new(0, 0);
    // It cannot read its own tickets: they were made with another key.
    house.data = Arc::new(config(0));
    let serve = async {
        let mut peer = house.ready(&mut net).await;
        assert!(!house.strict(&mut peer, "RETR f").await);
        let mut peer = house.ready(&mut net).await;
        assert!(!house.strict(&mut peer, "RETR f").await);
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let mut bytes = Vec::new();
        let error = async {
            let mut stream = client.download("f", 0).await?;
            stream.read_to_end(&mut bytes).await.map_err(|error| error.downcast::<Error>().unwrap())?;
            stream.finish().await
        };
        let error = error.await.unwrap_err();
        assert_eq!(error.reply().unwrap().code(), 425, "{error}");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// Whole only if the final reply and the size agree.
#[tokio::test(start_paused = true)]
async fn a_download_ends_without_the_end_of_tls() {
    let whole = "150 go (5 bytes)";
    for (begins, ends, size, is_whole) in [
        (whole, "226 done", None, true),
        ("150 go (9 bytes)", "226 done", None, false),
        (whole, "426 cut", None, false),
        ("150 go", "226 done", Some("213 5"), true),
        ("150 go", "226 done", Some("213 9"), false),
        ("150 go", "226 done", Some("550 no"), false),
    ] {
        for only in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let mut net = Net::new();
            let settings = TlsSettings { insecure: true, only: Some(only), ..TlsSettings::default() };
            let builder = client(&net).tls_settings(settings);
            let house = House::new(2, 2);
            let serve = async {
                let mut peer = house.ready(&mut net).await;
                cut(house.data(&mut peer, "RETR f", begins).await, b"bytes").await;
                peer.say(ends).await;
                if let Some(size) = size {
                    peer.answer("SIZE f", size).await;
                }
                peer.quit().await;
            };
            let play = async {
                let mut client = builder.open().await.unwrap();
                let result = client.download("f", 0).await.unwrap().finish().await;
                match result {
                    Ok(_) => assert!(is_whole, "{begins} {ends} {size:?}"),
                    Err(Error::Tls { phase: Phase::Transfer, why: TlsError::Truncated }) => assert!(!is_whole),
                    Err(error) => assert_eq!(error.reply().unwrap().code(), 426, "{error}"),
                }
                client.quit().await.unwrap();
            };
            tokio::join!(serve, play);
        }
    }
}

/// There is no size to agree with: what is missing could be taken for removed.
#[tokio::test(start_paused = true)]
async fn a_listing_ends_without_the_end_of_tls() {
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(2, 2);
    let serve = async {
        let mut peer = house.login(&mut net).await;
        house.protect(&mut peer).await;
        cut(house.data(&mut peer, "NLST", "150 go").await, b"one\r\n").await;
        peer.say("226 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let mut lines = client.nlst("").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        let error = lines.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Tls { why: TlsError::Truncated, .. }), "{error}");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn a_download_ends_within_a_record() {
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(2, 2);
    let serve = async {
        let mut peer = house.ready(&mut net).await;
        let mut data = house.data(&mut peer, "RETR f", "150 go (5 bytes)").await;
        data.write_all(b"bytes").await.unwrap();
        data.flush().await.unwrap();
        // The head of a record, and nothing more.
        let mut raw = data.into_inner().0;
        raw.write_all(&[23, 3, 3, 0, 40, 1, 2, 3]).await.unwrap();
        drop(raw);
        peer.say("226 done").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let error = client.download("f", 0).await.unwrap().finish().await.unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Transfer), "{error}");
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

/// Nobody but the server has its certificate: who has taken its data port has another one.
#[tokio::test(start_paused = true)]
async fn another_certificate_on_the_data_connection() {
    let mut house = House::new(2, 2);
    house.data = Arc::new(config(2));
    for reply in ["425 what was that?", "426 TLS failed", "226 done"] {
        let mut net = Net::new();
        // What the first attempt tells is pinned.
        let pin: Pin = {
            let builder = net.client().tls(TlsMode::Explicit);
            let serve = async {
                let mut peer = net.accept().await;
                peer.say("220 hi").await;
                peer.answer("AUTH TLS", "234 go").await;
                peer.start_tls(&house.control).await.unwrap_err();
            };
            let play = async {
                let settings = TlsSettings { pins: vec!["00".repeat(32).parse().unwrap()], ..TlsSettings::default() };
                match builder.tls_settings(settings).open().await.unwrap_err() {
                    Error::Tls { why: TlsError::OtherPin { pin, .. }, .. } => pin,
                    other => panic!("{other}"),
                }
            };
            tokio::join!(serve, play).1
        };
        let builder = net.client().tls(TlsMode::Explicit);
        let builder = builder.tls_settings(TlsSettings { pins: vec![pin], ..TlsSettings::default() });
        let serve = async {
            let mut peer = house.ready(&mut net).await;
            let data = peer.passive().await;
            peer.answer("RETR f", "150 go").await;
            assert!(house.secure(data).await.is_err());
            peer.say(reply).await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            let error = match client.download("f", 0).await {
                Ok(stream) => stream.finish().await.unwrap_err(),
                Err(error) => error,
            };
            assert!(matches!(&error, Error::Tls { phase: Phase::DataOpen, why: TlsError::OtherPin { .. } }), "{error}");
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}

/// Some do their part of TLS before they say 150, some after it; where one ticket is left the client waits for the 150 first, and
/// then no longer.
#[tokio::test(start_paused = true)]
async fn tls_on_data_comes_before_the_150() {
    for tickets in [0, 1, 2] {
        let mut net = Net::new();
        let builder = client(&net);
        let house = House::new(tickets, 0);
        let serve = async {
            let mut peer = house.ready(&mut net).await;
            let data = peer.passive().await;
            peer.hear("RETR f").await;
            let data = house.secure(data).await.unwrap();
            peer.say("150 go").await;
            give(data, b"bytes").await;
            peer.say("226 done").await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            assert_eq!(fetch(&mut client, "f").await, b"bytes");
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}

/// close_notify, half-close, and reading on to the server's end, which may bring tickets: nothing is lost by a reset.
#[tokio::test(start_paused = true)]
async fn an_upload_ends_in_order() {
    for only in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let mut net = Net::new();
        let settings = TlsSettings { insecure: true, only: Some(only), ..TlsSettings::default() };
        let builder = client(&net).tls_settings(settings);
        let house = House::new(2, 2);
        let serve = async {
            let mut peer = house.ready(&mut net).await;
            let mut data = house.data(&mut peer, "STOR f", "150 go").await;
            assert_eq!(read(&mut data).await.unwrap(), b"bytes");
            // It talks on, and is heard out.
            data.write_all(&[b'x'; 50_000]).await.unwrap();
            data.shutdown().await.unwrap();
            assert!(matches!(data.into_inner().0.read(&mut [0; 9]).await, Ok(0)));
            peer.say("226 done").await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            send(&mut client).await.unwrap();
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}

#[tokio::test(start_paused = true)]
async fn ccc_is_granted_and_tls_not_ended() {
    for ends in [true, false] {
        let mut net = Net::new();
        let builder = client(&net);
        let house = House::new(2, 2);
        let serve = async {
            let mut peer = house.login(&mut net).await;
            peer.answer("CCC", "200 in clear text now").await;
            peer.end_tls(ends).await;
            peer.answer("NOOP", "200 ok").await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            client.clear_control().await.unwrap();
            assert!(!client.is_secure());
            client.noop().await.unwrap();
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
        assert_eq!(net.log.has("though the server has not ended TLS"), !ends);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_uses_the_session_for_a_while() {
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(2, 2);
    let serve = async {
        let mut peer = house.login(&mut net).await;
        for command in ["NOOP", "PWD", "NOOP"] {
            peer.answer(command, "257 \"/\"").await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        peer.say("421 enough").await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let error = client.idle(Duration::from_secs(60)).await;
        assert!(matches!(error, Error::ServiceClosing { .. }), "{error}");
    };
    tokio::join!(serve, play);
}

/// What stands behind the reply to AUTH was put there by someone: it must never be taken for what was said under TLS.
#[tokio::test(start_paused = true)]
async fn something_stands_behind_the_234() {
    for injected in ["220 hi\r\n", "230 in\r\n331 you are\r\n", "\u{16}\u{3}\u{1}"] {
        let mut net = Net::new();
        let builder = client(&net);
        let serve = async {
            let mut peer = net.accept().await;
            peer.say("220 hi").await;
            peer.hear("AUTH TLS").await;
            peer.raw(format!("234 go\r\n{injected}").as_bytes()).await;
            peer.ended().await;
        };
        let play = async {
            let error = builder.open().await.unwrap_err();
            assert!(matches!(&error, Error::Protocol { phase: Phase::Tls, .. }), "{error}");
        };
        tokio::join!(serve, play);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_done_in_clear_text() {
    // AUTH.
    let mut net = Net::new();
    let builder = client(&net);
    let serve = async {
        let mut peer = net.accept().await;
        peer.say("220 hi").await;
        peer.answer("AUTH TLS", "502 what?").await;
        peer.answer("AUTH SSL", "502 what?").await;
        peer.ended().await;
    };
    let play = async {
        let error = builder.open().await.unwrap_err();
        assert!(matches!(&error, Error::Refused { phase: Phase::Tls, .. }), "{error}");
    };
    tokio::join!(serve, play);

    // PROT; and no session is begun anew without TLS.
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(2, 2);
    let serve = async {
        let mut peer = house.login(&mut net).await;
        peer.answer("PBSZ 0", "200 ok").await;
        peer.answer("PROT P", "536 no").await;
        peer.say("421 bye").await;
        let mut peer = net.accept().await;
        peer.say("220 hi").await;
        peer.answer("AUTH TLS", "534 no more").await;
        peer.ended().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let error = client.nlst("").await.unwrap_err();
        assert!(matches!(&error, Error::Refused { phase: Phase::Tls, verb: "PROT", .. }), "{error}");
        client.idle(Duration::from_secs(9)).await;
        let error = client.reconnect().await.unwrap_err();
        assert!(matches!(&error, Error::Refused { phase: Phase::Tls, verb: "AUTH", .. }), "{error}");
    };
    tokio::join!(serve, play);
}

/// pure-ftpd takes MLST for a transfer.
#[tokio::test(start_paused = true)]
async fn mlst_wants_data_to_be_protected() {
    let mut net = Net::new();
    let builder = client(&net);
    let house = House::new(2, 2);
    let serve = async {
        let mut peer = house.login(&mut net).await;
        peer.answer("MLST f", "521 Data connection cannot be opened with this PROT setting.").await;
        house.protect(&mut peer).await;
        peer.answer("MLST f", "250-Begin\r\n type=file;size=5; f\r\n250 End.").await;
        peer.answer("MLST f", "250-Begin\r\n type=file;size=5; f\r\n250 End.").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.stat("f").await.unwrap().size, Some(5));
        }
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}
