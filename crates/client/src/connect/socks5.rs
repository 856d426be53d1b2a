//! Through a SOCKS5 proxy (RFC 1928), with a user name and a password where it wants them (RFC 1929).

use std::io;
use std::net::SocketAddr;

use port21_proto::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Destination, Stream};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks the proxy on the other side of `stream` to connect to `to`. What then flows is the server's: not a byte of it is
/// read here.
pub(super) async fn negotiate(
    stream: &mut Stream,
    to: &Destination,
    login: Option<&(String, Secret)>,
) -> io::Result<()> {
    let methods: &[u8] = if login.is_some() { &[NO_AUTHENTICATION, USER_AND_PASSWORD] } else { &[NO_AUTHENTICATION] };
    let mut hello = vec![VERSION, methods.len() as u8];
    hello.extend_from_slice(methods);
    stream.write_all(&hello).await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(error("what is there is no SOCKS5 proxy"));
    }
    match (method, login) {
        (NO_AUTHENTICATION, _) => {}
        (USER_AND_PASSWORD, Some((user, password))) => log_in(stream, user, password).await?,
        (NONE_ACCEPTABLE, Some(_)) => return Err(error("the proxy wants another login than a name and a password")),
        (NONE_ACCEPTABLE, None) => return Err(error("the proxy wants a login: give it in its URL")),
        _ => return Err(error("the proxy wants a login that was not offered")),
    }
    stream.write_all(&request(to)?).await?;
    let [version, code, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(error("the proxy's answer is not SOCKS5"));
    }
    if code != 0 {
        return Err(error(&format!("the proxy answered: {}", words(code))));
    }
    // The address that the proxy connects from: of no use, but it stands before the server's bytes.
    match kind {
        IPV4 => read::<6>(stream).await.map(drop),
        IPV6 => read::<18>(stream).await.map(drop),
        NAME => {
            let [length] = read(stream).await?;
            let mut rest = vec![0; usize::from(length) + 2];
            stream.read_exact(&mut rest).await.map(drop).map_err(cut)
        }
        _ => Err(error("the proxy's answer is not SOCKS5")),
    }
}

/// RFC 1929.
async fn log_in(stream: &mut Stream, user: &str, password: &Secret) -> io::Result<()> {
    let mut bytes = vec![1];
    for part in [user.as_bytes(), password.expose()] {
        let length = u8::try_from(part.len()).ok().filter(|length| *length > 0);
        bytes.push(length.ok_or_else(|| error("SOCKS5 takes names and passwords of 1 to 255 bytes"))?);
        bytes.extend_from_slice(part);
    }
    let sent = stream.write_all(&bytes).await;
    bytes.fill(0);
    sent?;
    match read(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(error("the proxy refuses this name and password")),
    }
}

fn request(to: &Destination) -> io::Result<Vec<u8>> {
    let mut bytes = vec![VERSION, CONNECT, 0];
    let port = match to {
        Destination::Address(SocketAddr::V4(addr)) => {
            bytes.push(IPV4);
            bytes.extend_from_slice(&addr.ip().octets());
            addr.port()
        }
        Destination::Address(SocketAddr::V6(addr)) => {
            bytes.push(IPV6);
            bytes.extend_from_slice(&addr.ip().octets());
            addr.port()
        }
        Destination::Name(name, port) => {
            let length = u8::try_from(name.len()).map_err(|_| error("SOCKS5 takes host names of up to 255 bytes"))?;
            bytes.extend_from_slice(&[NAME, length]);
            bytes.extend_from_slice(name.as_bytes());
            *port
        }
    };
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}

async fn read<const N: usize>(stream: &mut Stream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(cut)?;
    Ok(bytes)
}

fn cut(cause: io::Error) -> io::Error {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => error("the proxy ended the connection"),
        _ => cause,
    }
}

fn error(words: &str) -> io::Error {
    io::Error::other(words.to_owned())
}

/// RFC 1928 section 6.
fn words(code: u8) -> String {
    match code {
        1 => "general failure".to_owned(),
        2 => "not allowed by its rules".to_owned(),
        3 => "the network cannot be reached".to_owned(),
        4 => "the host cannot be reached".to_owned(),
        5 => "refused".to_owned(),
        6 => "the time to live has expired".to_owned(),
        7 => "it does not make connections".to_owned(),
        8 => "it does not take this kind of address".to_owned(),
        other => format!("error {other}"),
    }
}
