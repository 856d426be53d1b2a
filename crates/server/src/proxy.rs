//! Whoever connects by way of a proxy: its header (PROXY protocol, versions 1 and 2) tells who that is.
//!
//! A connection from a trusted network begins with a header, and no other does. So who may be anybody is decided by the
//! address from which a connection really comes, never by what it says; and it holds for control and data connections
//! alike, so that the peer of a data connection is compared with the client and not with the proxy, which is the same for
//! all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::addr::canonical;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::network::Network;

/// A proxy says who is behind it at once: it sends the header with the first segment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest header that is taken. Addresses need 52 bytes; the rest is what proxies tell beside them: names, and of TLS
/// some hundred bytes.
const MAX_HEADER: usize = 4096;

/// So much is looked at in one go.
const LOOK: usize = 512;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client's, canonical.
    pub(crate) peer: SocketAddr,
    /// Where the client has connected to, as far as it knows, canonical.
    pub(crate) server: SocketAddr,
    /// This machine's end of the socket, canonical.
    pub(crate) local: SocketAddr,
}

/// The networks whose headers are believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Arc<[Network]>);

/// Why a proxy's connection is dropped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("it did not begin with a header of the PROXY protocol: is that switched on there?")]
    NoHeader,
    #[error("its PROXY header is longer than {MAX_HEADER} bytes")]
    TooLong,
    #[error("its PROXY header is not about TCP")]
    NotTcp,
    #[error("its PROXY header did not come within {} s", PATIENCE.as_secs())]
    TooSlow,
    #[error("too many connections of proxies wait for their header")]
    TooMany,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Proxies {
    pub(crate) fn new(networks: &[Network]) -> Proxies {
        Proxies(networks.into())
    }

    /// Whether a connection from there begins with a header.
    pub(crate) fn contains(&self, from: SocketAddr) -> bool {
        self.0.iter().any(|network| network.contains(from.ip()))
    }
}

impl Ends {
    /// The ends of a connection without a proxy, with its own end as the system tells it.
    ///
    /// # Errors
    /// Where the connection is gone already.
    pub(crate) fn direct(local: io::Result<SocketAddr>, from: SocketAddr) -> io::Result<Ends> {
        let local = canonical(local?);
        Ok(Ends { peer: canonical(from), server: local, local })
    }

    /// Takes the header from a proxy's connection, and not a byte of what is behind it: there TLS may begin. A proxy that
    /// speaks for itself (LOCAL, as when it looks whether the server is well) or cannot tell for whom (UNKNOWN) is the
    /// peer itself.
    pub(crate) async fn behind_proxy(stream: &TcpStream, proxy: SocketAddr) -> Result<Ends, ProxyError> {
        let own = Ends::direct(stream.local_addr(), proxy)?;
        let told = timeout(PATIENCE, read_header(stream)).await.map_err(|_| ProxyError::TooSlow)??;
        Ok(match told {
            Some((peer, server)) => Ends { peer: canonical(peer), server: canonical(server), ..own },
            None => own,
        })
    }
}

/// The client's address and the one that it has connected to, where the header tells them.
async fn read_header(stream: &TcpStream) -> Result<Option<(SocketAddr, SocketAddr)>, ProxyError> {
    let mut header = Vec::new();
    loop {
        let taken = header.len();
        peek(stream, &mut header).await?;
        if header.len() == taken {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let parsed = parse(&header)?;
        let length = parsed.as_ref().map_or(header.len(), |header| header.length);
        // What was looked at is there: this does not wait. All of it is the header's, where that has not ended.
        discard(stream, length.saturating_sub(taken))?;
        match parsed {
            Some(Header { told, .. }) => return Ok(told),
            None if header.len() >= MAX_HEADER => return Err(ProxyError::TooLong),
            None => {}
        }
    }
}

struct Header {
    told: Option<(SocketAddr, SocketAddr)>,
    length: usize,
}

/// Nothing where the header has not ended.
fn parse(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    // Nobody who speaks something else is waited for.
    let begins_as = |all: &[u8]| bytes.iter().zip(all).all(|(a, b)| a == b);
    if !begins_as(b"PROXY ") && !begins_as(b"\r\n\r\n\0\r\nQUIT\n") {
        return Err(ProxyError::NoHeader);
    }
    match ProxyHeader::parse(bytes, ParseConfig { include_tlvs: false, ..ParseConfig::default() }) {
        Ok((header, length)) => match header.proxied_address() {
            Some(address) if address.protocol != Protocol::Stream => Err(ProxyError::NotTcp),
            address => Ok(Some(Header { told: address.map(|a| (a.source, a.destination)), length })),
        },
        // All that it has announced is there, and it is too little for the addresses that it is to have.
        Err(proxy_header::Error::BufferTooShort)
            if binary_length(bytes).is_some_and(|length| bytes.len() >= length) =>
        {
            Err(ProxyError::NoHeader)
        }
        Err(proxy_header::Error::BufferTooShort) => Ok(None),
        Err(_) => Err(ProxyError::NoHeader),
    }
}

/// How long a header of version 2 says that it is, with its first 16 bytes.
fn binary_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(12..16)? {
        [version, _, high, low] if version >> 4 == 2 => Some(16 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// Waits for bytes and appends them, without taking them from the connection.
async fn peek(stream: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; LOOK];
    let look = || Ok(rustix::net::recv(stream, &mut buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)?);
    let (_, seen) = stream.async_io(Interest::READABLE, look).await?;
    bytes.extend_from_slice(buffer.get(..seen).unwrap_or_default());
    Ok(())
}

fn discard(stream: &TcpStream, length: usize) -> io::Result<()> {
    let mut buffer = [0; LOOK];
    rustix::net::recv(stream, buffer.get_mut(..length).unwrap_or_default(), RecvFlags::DONTWAIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    async fn pair() -> (TcpStream, TcpStream, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        (stream, proxy, from)
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn v1(client: &str, server: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        ProxyHeader::with_address(ProxiedAddress::stream(addr(client), addr(server))).encode_v1(&mut bytes).unwrap();
        bytes
    }

    fn v2(client: &str, server: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut header = ProxyHeader::with_address(ProxiedAddress::stream(addr(client), addr(server)));
        header.append_tlv(proxy_header::Tlv::Authority("ftp.example.org".into()));
        header.encode_v2(&mut bytes).unwrap();
        bytes
    }

    /// What is taken from a connection on which these segments come, and what is left for whoever reads next.
    async fn arrive(segments: impl Iterator<Item = &[u8]>) -> (Result<Ends, ProxyError>, Vec<u8>) {
        let (mut stream, mut proxy, from) = pair().await;
        let send = async {
            for segment in segments {
                // A connection that was dropped takes no more.
                let _ = proxy.write_all(segment).await;
                tokio::task::yield_now().await;
            }
            drop(proxy);
        };
        let (ends, ()) = tokio::join!(Ends::behind_proxy(&stream, from), send);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        (ends, rest)
    }

    async fn arrive_at_once(bytes: &[u8]) -> Result<Ends, ProxyError> {
        arrive(std::iter::once(bytes)).await.0
    }

    #[tokio::test]
    async fn the_client_is_whom_the_header_names() {
        for (client, server) in [("192.0.2.7:1025", "198.51.100.1:21"), ("[2001:db8::7]:1025", "[2001:db8::1]:21")] {
            for header in [v1(client, server), v2(client, server)] {
                let ends = arrive_at_once(&header).await.unwrap();
                assert_eq!((ends.peer, ends.server), (addr(client), addr(server)));
                assert!(ends.local.ip().is_loopback());
            }
        }
        let mapped = arrive_at_once(&v2("[::ffff:192.0.2.7]:1025", "[::ffff:192.0.2.1]:21")).await.unwrap();
        assert_eq!((mapped.peer, mapped.server), (addr("192.0.2.7:1025"), addr("192.0.2.1:21")));
    }

    #[tokio::test]
    async fn a_proxy_that_names_nobody_is_the_client_itself() {
        let local = [V2, b"\x20\x00\x00\x00"].concat();
        let local_with_addresses = [V2, b"\x20\x11\x00\x0c", &[9; 12]].concat();
        let unspecified = [V2, b"\x21\x00\x00\x03abc"].concat();
        let unix = [V2, b"\x21\x31\x00\xd8", &[b'/'; 216]].concat();
        let unknown = b"PROXY UNKNOWN\r\n".to_vec();
        let unknown_with_more = b"PROXY UNKNOWN ffff::1 ffff::1 1 2\r\n".to_vec();
        for header in [local, local_with_addresses, unspecified, unix, unknown, unknown_with_more] {
            let ends = arrive_at_once(&header).await.unwrap();
            assert!(ends.peer.ip().is_loopback() && ends.server == ends.local, "{ends:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bytes in [
            &b"USER ftp\r\n"[..],
            b"\x16\x03\x01\x02\x00",
            b"PROXX",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 99999 21\r\n",
            b"PROXY TCP4 ::1 ::1 1 21\r\n",
            b"PROXY TCP9 192.0.2.7 192.0.2.1 1 21\r\n",
            &[V2, b"\x21\x11\x00\x04abcdUSER ftp\r\n"].concat(),
            &[V2, b"\x11\x11\x00\x0c", &[0; 12]].concat(),
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
        ] {
            let refused = arrive_at_once(bytes).await;
            assert!(matches!(refused, Err(ProxyError::NoHeader)), "{refused:?} {bytes:?}");
        }
        let datagram = [V2, b"\x21\x12\x00\x0c", &[1; 12]].concat();
        assert!(matches!(arrive_at_once(&datagram).await, Err(ProxyError::NotTcp)));
        let endless = [V2, b"\x21\x11\xff\xff", &[1; 66_000]].concat();
        assert!(matches!(arrive_at_once(&endless).await, Err(ProxyError::TooLong)));
        assert!(matches!(arrive_at_once(b"PROXY TC").await, Err(ProxyError::Io(_))));
    }

    /// A proxy whose header has come whole, and says too little, is not waited for.
    #[tokio::test]
    async fn addresses_that_do_not_fit_into_what_was_announced_are_refused_at_once() {
        for (family, length) in [(0x11, 0), (0x11, 4), (0x11, 11), (0x21, 12), (0x21, 35), (0x31, 215)] {
            let (stream, mut proxy, from) = pair().await;
            let header = [V2, &[0x21, family, 0, length], &vec![0; length.into()]].concat();
            proxy.write_all(&header).await.unwrap();
            // It stays open.
            let refused = Ends::behind_proxy(&stream, from).await;
            assert!(matches!(refused, Err(ProxyError::NoHeader)), "{refused:?} {family:x} {length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        for begun in [&b""[..], b"PROXY TCP4", V2] {
            let (stream, mut proxy, from) = pair().await;
            proxy.write_all(begun).await.unwrap();
            let refused = Ends::behind_proxy(&stream, from).await;
            assert!(matches!(refused, Err(ProxyError::TooSlow)), "{refused:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Also where TLS begins right behind it.
        #[test]
        fn not_a_byte_behind_the_header_is_taken(binary in any::<bool>(), rest: Vec<u8>, cut in 1usize..60) {
            let (client, server) = ("192.0.2.7:1025", "198.51.100.1:21");
            let bytes = [if binary { v2(client, server) } else { v1(client, server) }, rest.clone()].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (ends, left) = runtime.block_on(arrive(bytes.chunks(cut)));
            prop_assert_eq!(ends.unwrap().peer, addr(client));
            prop_assert_eq!(left, rest);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, binary in any::<bool>()) {
            let head = if binary { V2 } else { b"PROXY " };
            let _ = (parse(&bytes), parse(&[head, &bytes].concat()));
        }
    }
}
