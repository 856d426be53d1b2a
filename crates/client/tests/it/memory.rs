//! A network in memory, on a virtual clock, with one server that does what a test says: what takes its time takes none.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use port21_client::{BoxFuture, Builder, Client, Connector, Destination, Dial, IpFamily, Stream, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::common::Log;

/// The server.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How many bytes are under way on a connection.
const PIPE: usize = 16 * 1024;

/// What is behind each port; nothing where connections to it are never answered.
type Ports = Arc<Mutex<HashMap<u16, Option<UnboundedSender<DuplexStream>>>>>;

/// The network, and the server's control port.
pub(crate) struct Net {
    ports: Ports,
    control: UnboundedReceiver<DuplexStream>,
    ip: Ipv4Addr,
    pub(crate) log: Log,
}

/// A control connection that was accepted.
pub(crate) struct Peer {
    stream: Wire,
    input: Vec<u8>,
    ports: Ports,
}

/// The server's end of a connection.
pub(crate) enum Wire {
    Clear(DuplexStream),
    Tls(Box<TlsStream<DuplexStream>>),
}

/// A port for a data connection.
pub(crate) struct Port {
    pub(crate) number: u16,
    accepted: UnboundedReceiver<DuplexStream>,
}

impl Net {
    pub(crate) fn new() -> Net {
        Net::at(SERVER)
    }

    /// As [`Net::new`], with the server at another address.
    pub(crate) fn at(ip: Ipv4Addr) -> Net {
        let ports = Ports::default();
        let control = listen(&ports, 21);
        Net { ports, control, ip, log: Log::default() }
    }

    /// Settings of a client of the server, which asks for nothing that the test does not ask for.
    pub(crate) fn client(&self) -> Builder {
        let builder = Client::builder().host(self.ip.to_string()).ip_family(IpFamily::V4).probe(false);
        self.log.attach(builder.connector(Arc::new(Wires(self.ports.clone(), self.ip))))
    }

    pub(crate) async fn accept(&mut self) -> Peer {
        let stream = self.control.recv().await.unwrap();
        Peer { stream: Wire::Clear(stream), input: Vec::new(), ports: self.ports.clone() }
    }

    /// Accepts, greets, and takes the login.
    pub(crate) async fn login(&mut self) -> Peer {
        let mut peer = self.accept().await;
        peer.say("220 hi").await;
        peer.answer("USER anonymous", "230 in").await;
        peer
    }
}

impl Peer {
    pub(crate) async fn say(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends these bytes at once.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.try_raw(bytes).await.unwrap();
    }

    /// As [`Peer::raw`], where nobody may listen any more.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Begins TLS, of which this is the server.
    pub(crate) async fn start_tls(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        assert!(self.input.is_empty());
        let clear = std::mem::replace(&mut self.stream, Wire::Clear(tokio::io::duplex(1).0));
        let Wire::Clear(clear) = clear else { panic!("TLS in TLS") };
        self.stream = Wire::Tls(Box::new(TlsAcceptor::from(config.clone()).accept(clear).await?));
        Ok(())
    }

    /// Reads to the client's end of TLS, and goes on in clear text; with a word of the end of its own, or without.
    pub(crate) async fn end_tls(&mut self, in_order: bool) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        let tls = std::mem::replace(&mut self.stream, Wire::Clear(tokio::io::duplex(1).0));
        let Wire::Tls(mut tls) = tls else { panic!("no TLS") };
        if in_order {
            // The record alone, and not the connection's end.
            tls.get_mut().1.send_close_notify();
            tls.flush().await.unwrap();
        }
        self.stream = Wire::Clear(tls.into_inner().0);
    }

    pub(crate) async fn line(&mut self) -> String {
        let line = self.maybe_line().await;
        line.unwrap_or_else(|| panic!("the client has ended: {:?}", self.input))
    }

    /// A line, or nothing at the client's end.
    pub(crate) async fn maybe_line(&mut self) -> Option<String> {
        self.maybe_bytes().await.map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    /// A line as it is.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        self.maybe_bytes().await.unwrap()
    }

    /// All lines that have come by now, one at least; nothing at the client's end.
    pub(crate) async fn segment(&mut self) -> Option<Vec<String>> {
        let mut lines = vec![self.maybe_line().await?];
        // The clock stands still while anybody has anything to do.
        while let Ok(line) = tokio::time::timeout(Duration::from_millis(1), self.maybe_line()).await {
            match line {
                Some(line) => lines.push(line),
                None => break,
            }
        }
        Some(lines)
    }

    async fn maybe_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|w| w == b"\r\n") {
                let rest = self.input.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.truncate(end);
                return Some(line);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(read) if read > 0 => self.input.extend_from_slice(&buffer[..read]),
                _ => return None,
            }
        }
    }

    pub(crate) async fn hear(&mut self, wanted: &str) {
        assert_eq!(self.line().await, wanted);
    }

    /// Hears one command and answers.
    pub(crate) async fn answer(&mut self, wanted: &str, reply: &str) {
        self.hear(wanted).await;
        self.say(reply).await;
    }

    /// Opens a port for a data connection.
    pub(crate) fn port(&self) -> Port {
        let number = (5000..).find(|port| !self.ports.lock().unwrap().contains_key(port)).unwrap();
        Port { number, accepted: listen(&self.ports, number) }
    }

    /// A port behind a firewall that says nothing.
    pub(crate) fn filtered_port(&self) -> u16 {
        let port = self.port();
        self.ports.lock().unwrap().insert(port.number, None);
        port.number
    }

    /// Offers a passive connection, and takes it.
    pub(crate) async fn passive(&mut self) -> DuplexStream {
        let mut port = self.port();
        self.answer("EPSV", &format!("229 ok (|||{}|)", port.number)).await;
        port.accept().await
    }

    /// Sends a file or a listing, from EPSV to 226.
    pub(crate) async fn send(&mut self, command: &str, bytes: &[u8]) {
        let data = self.passive().await;
        self.answer(command, "150 go").await;
        give(data, bytes).await;
        self.say("226 done").await;
    }

    /// Waits for the client's end.
    pub(crate) async fn ended(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty() && self.input.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    /// Takes QUIT, and closes.
    pub(crate) async fn quit(mut self) {
        self.answer("QUIT", "221 bye").await;
    }
}

impl Port {
    pub(crate) async fn accept(&mut self) -> DuplexStream {
        self.accepted.recv().await.unwrap()
    }

    /// As a 227 has it.
    pub(crate) fn tuple(&self) -> String {
        format!("{},{}", self.number >> 8, self.number & 255)
    }
}

/// Sends these bytes, and ends in order: then reads to the client's end.
pub(crate) async fn give(mut data: DuplexStream, bytes: &[u8]) {
    data.write_all(bytes).await.unwrap();
    data.shutdown().await.unwrap();
    assert_eq!(data.read(&mut [0; 9]).await.unwrap(), 0);
}

/// Reads to the client's end.
pub(crate) async fn take(data: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// The whole of a file.
pub(crate) async fn fetch(client: &mut Client, name: &str) -> Vec<u8> {
    let mut stream = client.download(name, 0).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    stream.finish().await.unwrap();
    bytes
}

fn listen(ports: &Ports, number: u16) -> UnboundedReceiver<DuplexStream> {
    let (opened, accepted) = unbounded_channel();
    ports.lock().unwrap().insert(number, Some(opened));
    accepted
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Wire::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Wire::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Wire::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Wire::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

struct Wires(Ports, Ipv4Addr);

impl Connector for Wires {
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let Destination::Address(to) = dial.to else { panic!("{}", dial.to) };
            // Nobody else is ever to be connected to.
            assert_eq!(to.ip(), self.1);
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let port = self.0.lock().unwrap().get(&to.port()).cloned();
            match port {
                Some(None) => std::future::pending().await,
                Some(Some(port)) if port.send(theirs).is_ok() => {}
                _ => return Err(io::ErrorKind::ConnectionRefused.into()),
            }
            Ok(Stream::Other(Box::new(Pipe { ours, to })))
        })
    }
}

/// One end of a connection in memory.
pub(crate) struct Pipe {
    pub(crate) ours: DuplexStream,
    pub(crate) to: SocketAddr,
}

impl Transport for Pipe {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([198, 51, 100, 7], 1175)))
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.to)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ours).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.ours).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ours).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ours).poll_shutdown(cx)
    }
}
