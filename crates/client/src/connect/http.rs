//! Through an HTTP proxy, by CONNECT (RFC 9110 section 9.3.6), with a login (RFC 7617) where it wants one.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use port21_proto::Secret;
use port21_proto::text::Shown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Destination, Stream};

/// No proxy says so much before its blank line.
const MAX_HEAD: usize = 16 * 1024;

/// Asks the proxy on the other side of `stream` to connect to `to`.
pub(super) async fn negotiate(
    stream: &mut Stream,
    to: &Destination,
    login: Option<&(String, Secret)>,
) -> io::Result<()> {
    let authority = match to {
        Destination::Address(SocketAddr::V6(addr)) => format!("[{}]:{}", addr.ip(), addr.port()),
        other => other.to_string(),
    };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some((user, password)) = login {
        let mut pair = [user.as_bytes(), b":", password.expose()].concat();
        request.extend_from_slice(b"Proxy-Authorization: Basic ");
        request.extend_from_slice(STANDARD.encode(&pair).as_bytes());
        request.extend_from_slice(b"\r\n");
        pair.fill(0);
    }
    request.extend_from_slice(b"\r\n");
    let sent = stream.write_all(&request).await;
    request.fill(0);
    sent?;
    let head = head(stream).await?;
    let line = head.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    match status(line) {
        None => Err(error("what is there is no HTTP proxy".to_owned())),
        Some(200..=299) => Ok(()),
        Some(407) if login.is_some() => Err(error("the proxy refuses this name and password (407)".to_owned())),
        Some(407) => Err(error("the proxy wants a login: give it in its URL (407)".to_owned())),
        Some(403 | 405) => {
            let why = "many HTTP proxies allow CONNECT to port 443 and no other";
            Err(error(format!("the proxy answered {}: {why}", said(line))))
        }
        Some(_) => Err(error(format!("the proxy answered {}", said(line)))),
    }
}

/// All up to the blank line, and no byte of what follows: that is the server's. So it is read byte by byte, which costs
/// nothing beside the connection.
async fn head(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD {
            return Err(error("what is there is no HTTP proxy: its answer has no end".to_owned()));
        }
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Err(error("the proxy ended the connection".to_owned()));
        }
        head.extend_from_slice(&byte);
    }
    Ok(head)
}

/// `HTTP/1.1 200 Connection established`
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.split(|&b| b == b' ').filter(|word| !word.is_empty());
    words.next().filter(|version| version.starts_with(b"HTTP/1."))?;
    std::str::from_utf8(words.next()?).ok()?.parse().ok().filter(|code| (100..1000).contains(code))
}

/// The status and its words, without the version: shown, and not too much of it.
fn said(line: &[u8]) -> String {
    let words = line.splitn(2, |&b| b == b' ').nth(1).unwrap_or_default();
    Shown(words.get(..200).unwrap_or(words)).to_string()
}

fn error(words: String) -> io::Error {
    io::Error::other(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407"), Some(407));
        for bad in [&b"220 hi"[..], b"HTTP/1.1", b"HTTP/1.1 abc", b"HTTP/2 200 ok", b""] {
            assert_eq!(status(bad), None);
        }
        assert_eq!(said(b"HTTP/1.1 403 For\x1bbidden"), "403 For\\x1bbidden");
    }
}
