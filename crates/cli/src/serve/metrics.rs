//! Figures for Prometheus and a check for supervisors: `GET /metrics`, `GET /health`, one request a connection.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use port21_server::{Direction, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::running::Running;

/// So many are answered at a time. For one more, the one that has had the most time is let go: who asks is answered within
/// moments, and whoever connects and says nothing keeps nobody out.
const AT_ONCE: usize = 64;

/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest head of a request.
const MAX_HEAD: usize = 8 * 1024;

/// The pause after an error of accept, which is most often that the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener.
pub(super) struct Metrics {
    listener: TcpListener,
}

impl Metrics {
    /// Listens, before there is a runtime.
    ///
    /// # Errors
    /// Where that cannot be.
    pub(super) fn listen(addr: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
        let at = || format!("`metrics.listen`: {addr}");
        let listener = std::net::TcpListener::bind(addr).with_context(at)?;
        listener.set_nonblocking(true).with_context(at)?;
        if !addr.ip().to_canonical().is_loopback() {
            warn!(%addr, "the metrics can be read from other machines, without a password");
        }
        Ok(listener)
    }

    /// Over a socket that listens; call it within a tokio runtime.
    ///
    /// # Errors
    /// Where the runtime cannot watch it.
    pub(super) fn new(listener: std::net::TcpListener) -> anyhow::Result<Metrics> {
        Ok(Metrics { listener: TcpListener::from_std(listener).context("the metrics' socket")? })
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers for as long as it is not dropped. `ending`: whether the server is about to end.
    pub(super) async fn serve(self, running: Arc<Running>, ending: Arc<AtomicBool>) {
        let mut answers: VecDeque<JoinHandle<()>> = VecDeque::new();
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    answers.retain(|answer| !answer.is_finished());
                    if answers.len() >= AT_ONCE
                        && let Some(oldest) = answers.pop_front()
                    {
                        oldest.abort();
                    }
                    answers.push_back(tokio::spawn(attend(stream, from, running.clone(), ending.clone())));
                }
                Err(error) => {
                    warn!(%error, "the metrics' socket");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn attend(stream: TcpStream, from: SocketAddr, running: Arc<Running>, ending: Arc<AtomicBool>) {
    match timeout(PATIENCE, answer(stream, &running, &ending)).await {
        Ok(Ok(())) => debug!(%from, "answered for the metrics"),
        Ok(Err(error)) => debug!(%from, %error, "the metrics"),
        Err(_) => debug!(%from, "whoever asks for the metrics takes too long"),
    }
}

async fn answer(mut stream: TcpStream, running: &Running, ending: &AtomicBool) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !ends(&head) && head.len() < MAX_HEAD {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await? {
            0 => break,
            read => head.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    let wrong = if ending.load(Ordering::Relaxed) { Some("ending") } else { running.wrong() };
    let (status, kind, body) = respond(&head, || figures(running), wrong);
    let body_sent: &str = if head.starts_with(b"HEAD ") { "" } else { &body };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{body_sent}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Whoever sends more than was asked for gets its answer for all that: a RST would destroy it.
    let mut rest = [0; 1024];
    for _ in 0..64 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The status, the kind of what is answered, and that. `wrong`: why the server is not healthy, if so.
fn respond(head: &[u8], figures: impl FnOnce() -> String, wrong: Option<&str>) -> (&'static str, &'static str, String) {
    let line = head.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let [method, target, version] = words.as_slice() else {
        return ("400 Bad Request", TEXT, "this is no HTTP request\n".to_owned());
    };
    if !ends(head) || !version.starts_with(b"HTTP/1.") {
        return ("400 Bad Request", TEXT, "this is no HTTP request that is read here\n".to_owned());
    }
    if !matches!(*method, b"GET" | b"HEAD") {
        return ("405 Method Not Allowed", TEXT, "only GET\n".to_owned());
    }
    match target.split(|&b| b == b'?').next().unwrap_or_default() {
        b"/metrics" => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", figures()),
        b"/health" => match wrong {
            Some(wrong) => ("503 Service Unavailable", TEXT, format!("{wrong}\n")),
            None => ("200 OK", TEXT, "ok\n".to_owned()),
        },
        _ => ("404 Not Found", TEXT, "there are /metrics and /health\n".to_owned()),
    }
}

fn figures(running: &Running) -> String {
    let counts = running.handle.counts();
    let hooks = running.hooks().counts();
    let (reloads, failed_reloads) = running.reloads();
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let mut page = Page::default();
    page.one("port21_build_info", "gauge", "The release; always 1.", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("port21_uptime_seconds", "gauge", "Since the server's start.", &[], running.started.elapsed().as_secs());
    let helper = u64::from(running.helper().wrong().is_none());
    page.one(
        "port21_helper_up",
        "gauge",
        "0 while the helper process does not answer, and once it is gone: then the server must be restarted.",
        &[],
        helper,
    );
    page.one("port21_sessions", "gauge", "Sessions at this moment.", &[], counts.sessions as u64);
    page.one("port21_transfers", "gauge", "Transfers at this moment.", &[], counts.transfers as u64);
    page.one("port21_connections_total", "counter", "Connections that were let in.", &[], counts.connections);
    let logins = [("ok", counts.logins), ("failed", counts.failed_logins)];
    page.each("port21_logins_total", "counter", "Logins, by what came of them.", "result", &logins);
    page.head("port21_finished_transfers_total", "counter", "Transfers that have ended.");
    for direction in Direction::ALL {
        let of_it = counts.by_direction[direction as usize];
        for (result, count) in [("whole", of_it.whole), ("broken", of_it.broken)] {
            let labels = [("direction", direction.name()), ("result", result)];
            page.sample("port21_finished_transfers_total", &labels, count);
        }
    }
    let bytes = Direction::ALL.map(|direction| (direction.name(), counts.by_direction[direction as usize].bytes));
    page.each("port21_bytes_total", "counter", "Bytes over data connections.", "direction", &bytes);
    let refusals: Vec<_> = Refusal::ALL.iter().map(|why| why.name()).zip(counts.refusals).collect();
    page.each("port21_refusals_total", "counter", "Who was turned away, and why.", "reason", &refusals);
    page.one(
        "port21_data_not_resumed_total",
        "counter",
        "Data connections let in by session-reuse = \"prefer\" though they resume no TLS session.",
        &[],
        counts.not_resumed,
    );
    let bans = running.handle.guard().bans().len() as u64;
    page.one("port21_bans", "gauge", "Bans that stand at this moment.", &[], bans);
    page.one("port21_passive_ports_in_use", "gauge", "Ports for data connections.", &[], counts.passive_in_use as u64);
    if let Some(ports) = counts.passive_ports {
        page.one("port21_passive_ports", "gauge", "How many of them there are.", &[], ports as u64);
    }
    if let Some(tls) = running.tls() {
        page.head("port21_certificate_not_after_seconds", "gauge", "Until when a certificate is good, since 1970.");
        for (file, valid) in tls.certificates.validity() {
            let until = valid.end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            page.sample("port21_certificate_not_after_seconds", &[("file", &file.display().to_string())], until);
        }
    }
    let reloads = [("ok", reloads), ("refused", failed_reloads)];
    page.each("port21_reloads_total", "counter", "Reloads of the configuration.", "result", &reloads);
    let messages = [("delivered", of(&hooks.delivered)), ("dropped", of(&hooks.dropped))];
    page.each("port21_hook_messages_total", "counter", "Messages to hooks.", "result", &messages);
    page.0
}

/// The text format of Prometheus (exposition format 0.0.4).
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes all that is written.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.head(name, kind, help);
        self.sample(name, labels, value);
    }

    fn each(&mut self, name: &str, kind: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, kind, help);
        values.iter().for_each(|(value, count)| self.sample(name, &[(label, value)], *count));
    }
}

/// The value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_their_answers() {
        let status = |head: &str, wrong| respond(head.as_bytes(), || "figures".into(), wrong).0;
        for (head, want) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"),
            ("HEAD /health HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("GET /metrics HTTP/1.1\r\n", "400 Bad Request"),
            ("GET /metrics\r\n\r\n", "400 Bad Request"),
            ("USER x\r\n\r\n", "400 Bad Request"),
            ("", "400 Bad Request"),
        ] {
            assert_eq!(status(head, None), want, "{head}");
        }
        assert_eq!(status("GET /health HTTP/1.1\r\n\r\n", Some("ending")), "503 Service Unavailable");
    }

    #[test]
    fn samples_as_prometheus_reads_them() {
        let mut page = Page::default();
        page.each("x_total", "counter", "What it is.", "why", &[("a", 1), ("b", u64::MAX)]);
        page.one("y", "gauge", "Y.", &[("z", "a\\b\"c\nd")], 0);
        let want = "# HELP x_total What it is.\n# TYPE x_total counter\nx_total{why=\"a\"} 1\n\
                    x_total{why=\"b\"} 18446744073709551615\n# HELP y Y.\n# TYPE y gauge\ny{z=\"a\\\\b\\\"c\\nd\"} 0\n";
        assert_eq!(page.0, want);
    }
}
