//! An HTTP POST, as small as it can be: one request a connection, of the answer only the status.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::{Position, Url};

/// A status line is read so far.
const MAX_STATUS: u64 = 1024;

/// Posts a JSON object. There is no time limit: drop it.
///
/// # Errors
/// In words; also where the answer is not 2xx.
pub(super) async fn post(url: &Url, json: &[u8]) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let host = url.host_str().ok_or("the URL has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((bare, url.port_or_known_default().unwrap_or(80))).await.map_err(told)?;
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: port21\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        json.len()
    );
    stream.write_all(&[head.as_bytes(), json].concat()).await.map_err(told)?;
    let mut status = String::new();
    BufReader::new(stream.take(MAX_STATUS)).read_line(&mut status).await.map_err(told)?;
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
        Some(code) => Err(format!("the answer is {}", code.escape_debug())),
        None => Err("the answer is no HTTP".to_owned()),
    }
}
