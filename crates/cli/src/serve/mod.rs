//! `port21 serve`: the server, from its settings to its end.
//!
//! | module | what it is |
//! |---|---|
//! | `accounts` | who may log in, and what they may do |
//! | `tls` | certificates |
//! | `recorder` | `--record`: a recording a session |

mod accounts;
mod recorder;
mod tls;

use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use port21_server::storage::{LocalFs, LocalSettings};
use port21_server::tls::{Certificates, TlsSettings};
use port21_server::{Listen, Server, ServerBuilder, Settings, TlsMode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use self::recorder::Recorder;
use crate::args::serve::{ListenAddr, ServeArgs};
use crate::config::{self, Config};
use crate::exit::{Exit, Fault};
use crate::sandbox::Sandbox;

/// How often left-overs of uploads are looked for.
const COLLECT: Duration = Duration::from_secs(24 * 3600);

/// Serves until SIGTERM or ^C.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Exit> {
    let mut config = Config::with_flags(args)?;
    // Names are looked up before the sandbox is closed: what that reads is none of a file server's business.
    if let Some(host) = &config.passive.advertise {
        config.passive.advertise = Some(resolve(host)?.to_string());
    }
    if !args.user.is_empty() {
        tracing::warn!("--user: every user of this machine can see the password, as `ps` shows it; use --config");
    }
    if config.accounts.write && config.users.is_empty() && !config.accounts.is_kept() {
        tracing::warn!("--write changes nothing: guests never write, and there is no --user");
    }
    let sockets = listen(&config)?;
    // Their files may be out of reach later.
    let tls = tls::open(&config)?;
    // The sandbox is for every thread: it is closed before a second one begins. Behind it a runtime could not look any
    // more how many are worth it.
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Sandbox::new(&config, &addresses(&sockets)?)?.close()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let done = runtime.block_on(serve(&config, sockets, tls));
    // A file system that hangs may hold a thread: it is not waited for.
    runtime.shutdown_background();
    done
}

/// Listens everywhere. Clients that connect wait until the server runs.
fn listen(config: &Config) -> anyhow::Result<Vec<(Listen, TcpListener)>> {
    let place = |listen: &config::Listen| Listen::from(listen.address.0).with_tls(config.tls_at(listen));
    let places: Vec<Listen> = config.listen.iter().map(place).collect();
    let sockets = port21_server::listen_ahead(&places, config.settings().backlog)
        .map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
    Ok(places.into_iter().zip(sockets).collect())
}

fn addresses(sockets: &[(Listen, TcpListener)]) -> anyhow::Result<Vec<SocketAddr>> {
    let bound: Result<_, _> = sockets.iter().map(|(_, socket)| socket.local_addr()).collect();
    bound.context("cannot ask a listener for its address")
}

async fn serve(config: &Config, sockets: Vec<(Listen, TcpListener)>, tls: Option<TlsSettings>) -> anyhow::Result<Exit> {
    let limit = port21_server::raise_descriptor_limit();
    tracing::debug!(?limit, "file descriptors");
    let recorder = config.record.directory.as_deref().map(Recorder::start).transpose()?;
    let certificates = tls.as_ref().map(|tls| tls.certificates.clone());
    let mut builder = builder(config).await?;
    if let Some(tls) = tls {
        builder = builder.tls(tls).map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
    }
    if let Some(recorder) = &recorder {
        builder = builder.events(recorder.sinks());
    }
    let mut server = builder.build();
    let mut bound = Vec::new();
    for (place, socket) in sockets {
        let addr = server.adopt(place, socket).map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
        bound.push((addr, place.tls));
    }
    announce(config, &bound, certificates.as_deref())?;
    if let Some(certificates) = certificates {
        tokio::spawn(tls::renew(certificates));
    }
    tokio::spawn(collect_leftovers(config.root(), config.uploads.files(None)));
    let (first, second) = signals()?;
    tokio::select! {
        () = server.run(first) => {}
        () = second => tracing::warn!("a second signal: cutting off what is left"),
    }
    drop(recorder);
    Ok(Exit::Done)
}

/// Removes what uploads left aside when an earlier server was killed, and parts that were kept for long enough, at once
/// and then daily, beside serving: it reads every directory.
async fn collect_leftovers(root: PathBuf, settings: LocalSettings) {
    let mut daily = tokio::time::interval(COLLECT);
    daily.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        daily.tick().await;
        let collected = match LocalFs::open(&root, settings.clone()) {
            Ok(files) => files.collect_stale().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match collected {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed left-overs of uploads that were not finished"),
            Err(error) => tracing::warn!(%error, "cannot look for left-overs of uploads"),
        }
    }
}

/// A server with these settings that listens nowhere yet.
pub(crate) async fn server(config: &Config) -> anyhow::Result<Server> {
    Ok(builder(config).await?.build())
}

async fn builder(config: &Config) -> anyhow::Result<ServerBuilder> {
    let accounts = accounts::open(config)?;
    Ok(Server::builder(Arc::new(accounts)).settings(settings(config)?))
}

/// Ends with the first SIGTERM or ^C, and with the second.
fn signals() -> anyhow::Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let mut term = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let (tell, mut told) = tokio::sync::watch::channel(0u32);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            tell.send_modify(|count| *count += 1);
        }
    });
    let mut again = told.clone();
    // The sender lives as long as the runtime: waiting cannot fail before the process ends.
    let first = async move { drop(told.wait_for(|count| *count >= 1).await) };
    let second = async move { drop(again.wait_for(|count| *count >= 2).await) };
    Ok((first, second))
}

fn settings(config: &Config) -> anyhow::Result<Settings> {
    let advertise = config.passive.advertise.as_deref().map(resolve).transpose()?;
    Ok(Settings { advertise, ..config.settings() })
}

/// The IPv4 address of `advertise`: PASV has room for no other.
fn resolve(host: &str) -> anyhow::Result<Ipv4Addr> {
    let found = (host, 0).to_socket_addrs().with_context(|| format!("`advertise`: cannot resolve {host}"))?;
    let first = found.map(|addr| addr.ip().to_canonical()).find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    match first {
        Some(ip) => Ok(ip),
        None => bail!(Fault::usage(format!("`advertise`: {host} has no IPv4 address, and PASV can tell no other"))),
    }
}

/// Says on standard output what is served, where, and for whom; what else is worth knowing goes to standard error.
fn announce(
    config: &Config,
    bound: &[(SocketAddr, TlsMode)],
    certificates: Option<&Certificates>,
) -> anyhow::Result<()> {
    let root = config.root();
    let root = root.canonicalize().unwrap_or(root);
    let at: Vec<String> = bound.iter().map(|(addr, tls)| address(*addr, *tls)).collect();
    let mut lines = format!("Serving {} at {} for {}.\n", root.display(), at.join(" and "), audience(config));
    lines.extend(certificates.map(|certificates| tls::fingerprints(config, certificates)));
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")?;
    if bound.iter().all(|(addr, _)| !ListenAddr(*addr).is_beyond_loopback()) {
        tracing::info!("only this machine can connect: for all others, add a place to listen, such as --listen :2121");
        return Ok(());
    }
    let ports: Vec<String> = bound.iter().map(|(addr, _)| addr.port().to_string()).collect();
    let (first, last) = (config.passive.ports.start(), config.passive.ports.end());
    let ports = ports.join(", ");
    tracing::info!(
        "a firewall has to let in: nft add rule inet filter input tcp dport {{ {ports}, {first}-{last} }} accept"
    );
    let beyond = |mode| bound.iter().any(|(addr, tls)| ListenAddr(*addr).is_beyond_loopback() && *tls == mode);
    if beyond(TlsMode::Off) {
        tracing::info!("FTP sends names, passwords and files in clear: --tls require protects them");
    } else if beyond(TlsMode::Offer) {
        tracing::info!("clients that do not ask for TLS send names, passwords and files in clear");
    }
    Ok(())
}

fn address(addr: SocketAddr, tls: TlsMode) -> String {
    match tls {
        TlsMode::Off => format!("ftp://{addr}/"),
        TlsMode::Offer => format!("ftp://{addr}/ (TLS offered)"),
        TlsMode::Require => format!("ftp://{addr}/ (TLS required)"),
        TlsMode::Implicit => format!("ftps://{addr}/"),
    }
}

/// `anybody (read-only) and alice (read and write)`.
fn audience(config: &Config) -> String {
    let mut who = Vec::new();
    if config.anonymous.enabled {
        who.push("anybody (read-only)".to_owned());
    }
    for user in &config.users {
        let may = if user.write.unwrap_or(config.accounts.write) { "read and write" } else { "read-only" };
        who.push(format!("{} ({may})", user.name));
    }
    if let Some(file) = config.accounts.file.as_ref().filter(|file| file.exists()) {
        who.push(format!("the accounts in {}", file.display()));
    }
    match who.len() {
        0..=4 => who.join(" and "),
        n => format!("{} and {} more", who[0], n - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Accounts, Anonymous, User};
    use port21_proto::Secret;

    #[test]
    fn for_whom() {
        let user = |name: &str, write| User { name: name.to_owned(), password: Secret::new("x"), home: None, write };
        let users = vec![user("alice", None), user("bob", Some(false))];
        let config = Config {
            anonymous: Anonymous { enabled: true, ..Anonymous::default() },
            accounts: Accounts { write: true, file: None },
            users,
            ..Config::default()
        };
        assert_eq!(audience(&config), "anybody (read-only) and alice (read and write) and bob (read-only)");
    }

    #[test]
    fn an_address_to_advertise() {
        assert_eq!(resolve("192.0.2.7").unwrap(), Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(Exit::of(&resolve("2001:db8::1").unwrap_err()), Exit::Usage);
    }
}
