//! A server that does what a test says, line by line.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use port21_client::{Builder, Client, Clock, EventSink, Timeouts};
use port21_proto::SessionEvent;
use port21_proto::event::EventKind;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listening server.
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) addr: SocketAddr,
}

/// A control connection that was accepted.
pub(crate) struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    ip: IpAddr,
}

impl Server {
    pub(crate) async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Server { listener, addr }
    }

    /// Settings of a client of this server, quick to give up.
    pub(crate) fn client(&self) -> Builder {
        let quick = Duration::from_secs(20);
        let timeouts = Timeouts { reply: quick, greeting: quick, final_reply: quick, ..Timeouts::default() };
        Client::builder().host("127.0.0.1").port(self.addr.port()).probe(false).timeouts(timeouts)
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        SockRef::from(&stream).set_out_of_band_inline(true).unwrap();
        let ip = stream.local_addr().unwrap().ip();
        Peer { stream, input: Vec::new(), ip }
    }

    /// Accepts, greets, and takes the login.
    pub(crate) async fn login(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.say("220 hi").await;
        peer.hear("USER anonymous").await;
        peer.say("230 in").await;
        peer
    }
}

impl Peer {
    pub(crate) async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.input.windows(2).position(|w| w == b"\r\n") {
                let rest = self.input.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.truncate(end);
                return line;
            }
            assert!(self.fill().await > 0, "the client has ended: {:?}", self.input);
        }
    }

    /// Reads on past the mark of urgent data, which tokio's own `read` stops at.
    async fn fill(&mut self) -> usize {
        loop {
            self.stream.readable().await.unwrap();
            let mut buffer = [0; 4096];
            match self.stream.try_read(&mut buffer) {
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    return read;
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    }

    pub(crate) async fn hear(&mut self, wanted: &str) {
        assert_eq!(String::from_utf8_lossy(&self.line().await), wanted);
    }

    /// Hears one command and answers.
    pub(crate) async fn answer(&mut self, wanted: &str, reply: &str) {
        self.hear(wanted).await;
        self.say(reply).await;
    }

    /// Offers a passive connection, and takes it.
    pub(crate) async fn passive(&mut self) -> TcpStream {
        let listener = TcpListener::bind((self.ip, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.answer("EPSV", &format!("229 ok (|||{port}|)")).await;
        listener.accept().await.unwrap().0
    }

    /// As [`Peer::passive`], by PASV.
    pub(crate) async fn pasv(&mut self) -> TcpStream {
        let listener = TcpListener::bind((self.ip, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.answer("PASV", &format!("227 ok (127,0,0,1,{},{})", port >> 8, port & 255)).await;
        listener.accept().await.unwrap().0
    }

    /// Answers EPSV; who comes is to be accepted there.
    pub(crate) async fn offer(&mut self) -> TcpListener {
        let listener = TcpListener::bind((self.ip, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.say(&format!("229 ok (|||{port}|)")).await;
        listener
    }

    /// Takes PORT; where it leads to.
    pub(crate) async fn port(&mut self) -> SocketAddr {
        let line = self.line().await;
        let to = port21_proto::addr::parse_port(line.strip_prefix(b"PORT ").unwrap()).unwrap();
        self.say("200 PORT command successful.").await;
        to.into()
    }

    /// Waits for the client's end.
    pub(crate) async fn ended(&mut self) {
        assert_eq!(self.fill().await, 0, "{:?}", self.input);
    }

    /// Takes QUIT, and closes first.
    pub(crate) async fn quit(mut self) {
        self.answer("QUIT", "221 bye").await;
        self.stream.shutdown().await.unwrap();
        self.ended().await;
    }
}

/// Closes a data connection as a careful server does: it ends its side, and reads to the client's end.
pub(crate) async fn close(mut data: TcpStream) {
    data.shutdown().await.unwrap();
    assert_eq!(data.read(&mut [0; 9]).await.unwrap(), 0);
}

/// Events, collected.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<SessionEvent>>>);

impl Log {
    pub(crate) fn attach(&self, builder: Builder) -> Builder {
        builder.sink(Arc::new(self.clone()), Clock::start())
    }

    pub(crate) fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().iter().map(|event| event.kind.clone()).collect()
    }

    /// The events, a line each.
    pub(crate) fn story(&self) -> Vec<String> {
        let line = |kind: &EventKind| match kind {
            EventKind::Opening(c) => format!("opening {} {:?} by {:?}", c.id.0, c.purpose, c.opener),
            EventKind::Opened(c) => format!("opened {} {:?} by {:?}", c.id.0, c.purpose, c.opener),
            EventKind::OpenFailed { connection, why } => format!("open failed {}: {why}", connection.0),
            EventKind::Closed { connection, by, how } => format!("closed {} by {by:?} {how:?}", connection.0),
            EventKind::Data { connection, from, bytes, .. } => format!("data {} from {from:?} {bytes}", connection.0),
            EventKind::Command { verb, argument, .. } => {
                format!("{verb} {}", String::from_utf8_lossy(argument)).trim_end().to_owned()
            }
            EventKind::Reply { code, .. } => code.to_string(),
            EventKind::Note { text, .. } => format!("note {text}"),
            other => format!("{other:?}"),
        };
        self.kinds().iter().map(line).collect()
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.story().iter().any(|line| line.contains(part))
    }
}

impl EventSink for Log {
    fn event(&self, event: SessionEvent) {
        self.0.lock().unwrap().push(event);
    }
}
