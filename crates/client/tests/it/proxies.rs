//! Sessions through proxies, with port21's own server behind them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use port21_client::{Builder, Client, DataMode, Error, Phase, Proxy, Target, TlsMode, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::common::Log;
use crate::own::serve;
use crate::secure::Site;

/// A proxy that leads to 127.0.0.1, whatever it is asked for, and puts that down.
struct Hop {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hop {
    async fn start(kind: &'static str, login: Option<&'static str>) -> Hop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                tokio::spawn(async move {
                    // Clients that are refused go away in the midst of it.
                    let _ = match kind {
                        "http" => http(stream, login, &log).await,
                        "socks" => socks(stream, login, &log).await,
                        other => says(stream, other).await,
                    };
                });
            }
        });
        Hop { addr, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

async fn socks(mut stream: TcpStream, login: Option<&str>, asked: &Asked) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    let wanted = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, wanted]).await?;
    if let Some(login) = login {
        assert_eq!(stream.read_u8().await?, 1);
        let mut user = vec![0; stream.read_u8().await?.into()];
        stream.read_exact(&mut user).await?;
        let mut password = vec![0; stream.read_u8().await?.into()];
        stream.read_exact(&mut password).await?;
        let right = [user, password].join(&b':') == login.as_bytes();
        stream.write_all(&[1, u8::from(!right)]).await?;
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => std::net::Ipv6Addr::from(stream.read_u128().await?).to_string(),
        _ => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
    };
    let port = stream.read_u16().await?;
    asked.lock().unwrap().push(host.clone());
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    };
    // A name for an address: it is thrown away whatever it is.
    stream.write_all(&[5, 0, 0, 3, 2, b'h', b'i', 0, 9]).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

/// No proxy at all.
async fn says(mut stream: TcpStream, words: &str) -> std::io::Result<()> {
    stream.write_all(words.as_bytes()).await?;
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

async fn http(mut stream: TcpStream, login: Option<&str>, asked: &Asked) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    if login.is_some_and(|login| !head.contains(&format!("\r\nProxy-Authorization: Basic {login}\r\n"))) {
        return stream.write_all(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n").await;
    }
    let to = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    assert!(head.contains(&format!("\r\nHost: {to}\r\n")));
    let (host, port) = to.rsplit_once(':').unwrap();
    asked.lock().unwrap().push(host.to_owned());
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await else {
        return stream.write_all(b"HTTP/1.1 403 Not there\r\n\r\n").await;
    };
    // The server's greeting may come in one segment with the answer: not a byte of it must be lost.
    let mut greeting = [0; 3];
    let read = tokio::time::timeout(std::time::Duration::from_millis(50), server.read(&mut greeting)).await;
    let read = read.unwrap_or(Ok(0))?;
    stream.write_all(&[b"HTTP/1.1 200 Connected\r\nVia: me\r\n\r\n", &greeting[..read]].concat()).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

fn builder(addr: SocketAddr, host: &str, proxy: &str) -> Builder {
    let url = format!("ftp://joe:opensesame@{host}:{}/", addr.port());
    Client::builder().target(&Target::parse(&url).unwrap()).proxy(Proxy::parse(proxy).unwrap())
}

async fn there_and_back(client: &mut Client) {
    let bytes: Vec<u8> = (0..500_000u32).map(|n| (n % 251) as u8).collect();
    let mut stream = client.upload("f", Upload::Whole).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.finish().await.unwrap();
    let mut back = Vec::new();
    let mut stream = client.download("f", 0).await.unwrap();
    stream.read_to_end(&mut back).await.unwrap();
    stream.finish().await.unwrap();
    assert!(back == bytes);
    let mut entries = client.list("").await.unwrap();
    assert!(entries.next().await.is_some() && entries.next().await.is_none());
}

#[tokio::test]
async fn control_and_data_go_through_the_proxy() {
    let (server, _root) = serve([127, 0, 0, 1].into());
    for (kind, scheme, host, seen) in [
        ("socks", "socks5", "127.0.0.1", "127.0.0.1"),
        ("socks", "socks5", "localhost", "127.0.0.1"),
        ("socks", "socks5h", "no.such.name", "no.such.name"),
        ("socks", "socks5h", "127.0.0.1", "127.0.0.1"),
        ("http", "http", "no.such.name", "no.such.name"),
        ("http", "http", "127.0.0.1", "127.0.0.1"),
    ] {
        let hop = Hop::start(kind, None).await;
        let log = Log::default();
        let proxy = format!("{scheme}://localhost:{}", hop.addr.port());
        let mut client =
            log.attach(builder(server, host, &proxy).ip_family(port21_client::IpFamily::V4)).open().await.unwrap();
        there_and_back(&mut client).await;
        // ABOR goes without urgent data, of which proxies know nothing.
        let mut stream = client.download("f", 0).await.unwrap();
        stream.read_exact(&mut [0; 9]).await.unwrap();
        stream.abort().await.unwrap();
        client.quit().await.unwrap();
        assert!(log.has("ABOR") && !log.has("502"));
        assert_eq!(hop.asked(), [seen; 5], "{proxy}");
        assert!(log.has(&format!("is connected to through the proxy {proxy}")));
        assert!(!log.has("DnsQuery"));
    }
}

#[tokio::test]
async fn pasv_too_leads_to_the_server_by_its_name() {
    let server = crate::common::Server::start().await;
    let hop = Hop::start("http", None).await;
    let proxy = format!("http://{}", hop.addr);
    let serve = async {
        let mut peer = server.login().await;
        let data = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = data.local_addr().unwrap().port();
        peer.answer("EPSV", "500 what?").await;
        peer.answer("PASV", &format!("227 ok (10,9,8,7,{},{})", port / 256, port % 256)).await;
        let mut data = data.accept().await.unwrap().0;
        peer.answer("LIST", "150 here").await;
        data.write_all(b"-rw-r--r-- 1 a b 5 Jan  1  2020 f\r\n").await.unwrap();
        data.shutdown().await.unwrap();
        peer.say("226 done").await;
        peer.quit().await;
    };
    let play = async {
        let log = Log::default();
        let builder = log.attach(server.client()).host("ftp.example").proxy(Proxy::parse(&proxy).unwrap());
        let mut client = builder.open().await.unwrap();
        assert!(client.list("").await.unwrap().next().await.unwrap().is_ok());
        client.quit().await.unwrap();
        assert!(log.has("note the server names 10.9.8.7, the address that the proxy knows is used"));
    };
    tokio::join!(serve, play);
    assert_eq!(hop.asked(), ["ftp.example", "ftp.example"]);
}

#[tokio::test]
async fn tls_goes_through_as_well() {
    let site = Site::start(port21_server::TlsMode::Require);
    let hop = Hop::start("socks", None).await;
    let proxy = format!("socks5h://{}", hop.addr);
    // The name that the proxy is asked for is the one that the certificate must be for.
    let builder = builder(site.addr, "localhost", &proxy).tls(TlsMode::Explicit);
    let mut client = builder.clone().tls_settings(site.trust()).open().await.unwrap();
    there_and_back(&mut client).await;
    client.quit().await.unwrap();
    assert_eq!(hop.asked(), ["localhost"; 4]);
    let error = builder.host("no.such.name").tls_settings(site.trust()).open().await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Tls), "{error}");
}

#[tokio::test]
async fn logins_at_the_proxy() {
    let (server, _root) = serve([127, 0, 0, 1].into());
    for (kind, scheme, login) in [("socks", "socks5", "me:s3cret"), ("http", "http", "bWU6czNjcmV0")] {
        let hop = Hop::start(kind, Some(login)).await;
        let url = |who: &str| format!("{scheme}://{who}{}", hop.addr);
        builder(server, "127.0.0.1", &url("me:s3cret@")).open().await.unwrap().quit().await.unwrap();
        for (who, words) in [("", "the proxy wants a login"), ("me:wr0ng@", "the proxy refuses this name and password")]
        {
            let error = builder(server, "127.0.0.1", &url(who)).open().await.unwrap_err();
            assert_eq!(error.phase(), Some(Phase::Connect));
            let said = format!("{error} {error:?}");
            assert!(said.contains(words) && !said.contains("wr0ng"), "{said}");
        }
    }
}

#[tokio::test]
async fn what_proxies_refuse() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (kind, scheme, words) in [
        ("socks", "socks5", "the proxy answered: refused"),
        ("http", "http", "the proxy answered 403 Not there: many HTTP proxies allow CONNECT to port 443 and no other"),
        ("HTTP/1.1 400 Bad\r\n\r\n", "socks5", "what is there is no SOCKS5 proxy"),
        ("", "socks5", "the proxy ended the connection"),
        ("220 hi\r\n\r\n", "http", "what is there is no HTTP proxy"),
        ("HTTP/1.1 200 ok\r\n", "http", "the proxy ended the connection"),
    ] {
        let hop = Hop::start(kind, None).await;
        let error = builder(closed, "127.0.0.1", &format!("{scheme}://{}", hop.addr)).open().await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1: {closed}: ")), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = builder(closed, "127.0.0.1", &format!("socks5://{closed}")).open().await.unwrap_err();
    assert!(error.to_string().contains(&format!("the proxy socks5://{closed} cannot be reached: refused")), "{error}");
}

#[tokio::test]
async fn no_server_connects_back_through_a_proxy() {
    let (server, _root) = serve([127, 0, 0, 1].into());
    let hop = Hop::start("socks", None).await;
    let builder = builder(server, "127.0.0.1", &format!("socks5://{}", hop.addr)).mode(DataMode::Active);
    let mut client = builder.open().await.unwrap();
    let error = client.list("").await.unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("active mode cannot go through a proxy"));
    client.set_mode(DataMode::Passive);
    assert!(client.list("").await.unwrap().next().await.is_none());
    client.quit().await.unwrap();
}
