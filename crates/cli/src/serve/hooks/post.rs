//! An HTTP POST, as small as it can be: one request a connection, of the answer only the status.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::{Position, Url};

use super::tls;
use crate::helper::Helper;

/// A status line is read so far.
const MAX_STATUS: u64 = 1024;

/// Posts a JSON object; `ca` are the authorities that are believed, or else those of the system. There is no time limit: drop it.
///
/// # Errors
/// In words; also where the answer is not 2xx.
pub(super) async fn post(url: &Url, ca: Option<&Path>, json: &[u8], helper: &Helper) -> Result<(), String> {
    let host = url.host_str().ok_or("the URL has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = connect(bare, port, helper).await.map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => exchange(tls::begin(stream, bare, ca, helper).await?, url, json).await,
        _ => exchange(stream, url, json).await,
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, url: &Url, json: &[u8]) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: port21\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        json.len()
    );
    stream.write_all(&[head.as_bytes(), json].concat()).await.map_err(told)?;
    stream.flush().await.map_err(told)?;
    let mut status = String::new();
    BufReader::new(stream.take(MAX_STATUS)).read_line(&mut status).await.map_err(told)?;
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
        Some(code) => Err(format!("the answer is {}", code.escape_debug())),
        None => Err("the answer is no HTTP".to_owned()),
    }
}

/// The first of the host's addresses that takes the connection.
async fn connect(host: &str, port: u16, helper: &Helper) -> io::Result<TcpStream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => helper.resolve(host).await?,
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
