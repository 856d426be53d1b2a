//! `port21 serve`: the server, from its settings to its end.
//!
//! | module | what it is |
//! |---|---|
//! | [`running`] | the server that runs, and how it takes a new configuration |
//! | `accounts` | who may log in, and what they may do |
//! | `tls` | certificates |
//! | [`advertise`] | the address that PASV tells behind NAT |
//! | [`report`], [`exposure`] | what is said at the start; `serve --check` |
//! | [`socket`], [`metrics`] | what can be asked: by `port21 status`, `reload`, `kick`; by Prometheus |
//! | [`findings`] | what is wrong with what the settings name on this machine; `config check` |
//! | [`systemd`] | what systemd is told and hands over |
//! | [`log`], [`xferlog`], [`lines`] | what is written down, and the thread that writes it |
//! | `budget` | how much may wait for that |
//! | `leftovers` | what interrupted uploads have left is removed in time |
//! | [`bans`] | bans that outlast the server |
//! | [`hooks`] | programs and URLs that are told what happened |
//! | `recorder`, `shelf` | `--record`: a recording a session; how much is kept of them |

mod accounts;
mod advertise;
mod bans;
mod budget;
mod exposure;
pub(crate) mod findings;
mod hooks;
mod leftovers;
mod lines;
mod log;
mod metrics;
mod recorder;
mod report;
mod running;
mod shelf;
mod socket;
mod systemd;
pub(crate) mod tls;
mod xferlog;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use port21_server::tls::TlsSettings;
use port21_server::{Listen, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::hooks::Hooks;
use self::log::Log;
use self::metrics::Metrics;
use self::recorder::Recorder;
use self::running::{Beside, Running};
use self::socket::Socket;
use self::systemd::{Notifier, Passed};
use self::xferlog::Xferlog;
use crate::args::serve::ServeArgs;
use crate::config::Config;
use crate::config::sandbox::Mode;
use crate::exit::{Exit, Fault};
use crate::helper::{self, Helper};
use crate::sandbox::{self, Confined, Sandbox, service_user};
use crate::users::overlap::overlaps;
use crate::users::watched::Watches;

/// How long hooks may go on when the server has ended.
const HOOKS_END: Duration = Duration::from_secs(10);

/// How often the line in `systemctl status` is written anew.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or ^C. `level`: how much is logged, where the flags say so.
pub(crate) fn run(args: ServeArgs, level: Option<&str>) -> anyhow::Result<Exit> {
    let config = Config::with_flags(&args)?;
    if args.check {
        // What is asked beforehand is told to whoever asks, and makes no file.
        let _log = Log::new(&crate::config::Log { file: None, ..config.log.clone() }, level);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.context("cannot start the runtime")?.block_on(report::check(&config));
    }
    let log = Log::new(&config.log, level);
    let lines = log.lines();
    // Root makes the file for whom the server would have become.
    let owner = service_user(&config).ok().flatten();
    let done = begin(args, config, log);
    if let Err(error) = &done {
        Log::failed(&lines, error, owner);
    }
    done
}

/// Begins to serve by a configuration, to the end.
fn begin(args: ServeArgs, config: Config, log: Log) -> anyhow::Result<Exit> {
    if !args.user.is_empty() {
        tracing::warn!("--user: every user of this machine can see the password, as `ps` shows it; use --config");
    }
    if config.accounts.write && !config.has_accounts() {
        tracing::warn!("--write changes nothing: guests never write, and there is no --user");
    }
    if let Some(mistake) = sandbox::unknown_user(&config) {
        return Err(Fault::usage(config.tell(mistake)).into());
    }
    let notifier = Notifier::from_environment();
    // The helper is started before there is anything that it ought not to have: what systemd passes is taken first.
    let passed = Passed::from_environment()?;
    let helper = (config.sandbox.mode != Mode::Off).then(helper::Started::new).transpose()?;
    // What the sandbox would take away: sockets, the time zone.
    let zone = TimeZone::system();
    let sockets = listen(&config, passed)?;
    let metrics = config.metrics.listen.map(Metrics::listen).transpose()?;
    // Now with the rights that there are now, later by the helper.
    let reach = tls::Reach::default();
    let tls = tls::open(&config, reach.clone())?;
    Hooks::prepare(&config.hooks);
    report::programs_that_do_not_run(&config, report::mode_of).iter().for_each(|told| tracing::warn!("{told}"));
    report::drops_that_are_none(&config, report::mode_of).iter().for_each(|told| tracing::warn!("{told}"));
    overlaps(&config, |file| std::fs::read_to_string(file)).iter().for_each(|told| tracing::warn!("{told}"));
    // The modes of users' files are said by their accounts alone, and all others by what makes them. What was made until
    // now, and what the helper runs, has that which the server was started with.
    rustix::process::umask(rustix::fs::Mode::empty());
    // The sandbox is for every thread: it is closed before a second one begins. Behind it a runtime could not look any
    // more how many are worth it.
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let confined = Sandbox::new(&config, &addresses(&sockets)?)?.close()?;
    log.begin()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let start = Start { args, config, log, notifier, helper, zone, sockets, metrics, reach, tls, confined };
    // On a thread of the runtime: each connection would be handed over to one otherwise.
    let done = runtime.block_on(async { tokio::spawn(serve(start)).await });
    // A file system that hangs may hold a thread: it is not waited for.
    runtime.shutdown_background();
    done.unwrap_or_else(|lost| Err(lost).context("the server broke off"))
}

/// All that was looked up and opened before the sandbox was closed.
struct Start {
    args: ServeArgs,
    config: Config,
    log: Log,
    notifier: Notifier,
    helper: Option<helper::Started>,
    zone: TimeZone,
    sockets: Vec<(Listen, TcpListener)>,
    metrics: Option<TcpListener>,
    reach: tls::Reach,
    tls: Option<TlsSettings>,
    confined: Confined,
}

async fn serve(start: Start) -> anyhow::Result<Exit> {
    let Start { args, config, log, notifier, helper, zone, sockets, metrics, reach, tls, confined } = start;
    let helper = helper.map(helper::Started::connect).transpose()?.unwrap_or_default();
    reach.goes_by(helper.clone());
    let limit = port21_server::raise_descriptor_limit();
    tracing::debug!(?limit, "file descriptors");
    let recorder = config.record.directory.as_deref();
    let recorder = recorder.map(|dir| Recorder::start(dir, &config.record)).transpose()?;
    let xferlog = config.log.xferlog.as_deref().map(|file| Xferlog::begin(file, zone)).transpose()?;
    let hooks = Arc::new(Hooks::start(&config.hooks, &helper));
    let ending_helper = helper.clone();
    let beside = Beside {
        recorder,
        xferlog: xferlog.map(Arc::new),
        log,
        notifier,
        confined,
        helper,
        reach,
        watches: Watches::default(),
    };
    let built = running::builder(&config, tls.clone(), &beside, &hooks, None).await;
    let mut server = built.inspect_err(|_| ending_helper.ending())?.build();
    let mut bound = Vec::new();
    for (place, socket) in sockets {
        let addr = server.adopt(place, socket).map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
        bound.push((addr, place.tls));
    }
    let bans = config.logins.bans_file().map(|file| bans::Kept::open(&file, &server.handle())).transpose()?;
    let bans = bans.map(Arc::new);
    let socket = config.control.socket.as_deref().map(Socket::open).transpose()?;
    let metrics = metrics.map(Metrics::new).transpose()?;
    let (first, second) = signals()?;
    let hang_up = signal(SignalKind::hangup()).context("cannot wait for signals")?;

    report::announce(&config, &bound, tls.as_ref().map(|tls| &*tls.certificates))?;
    if let Some(addr) = metrics.as_ref().and_then(Metrics::addr) {
        tracing::info!("metrics at http://{addr}/metrics");
    }
    let watches = beside.watches.clone();
    let running = Arc::new(Running::new(args, config, tls, &server, hooks, beside));
    let ending = Arc::new(AtomicBool::new(false));
    // All that ends with the server.
    let mut beside = JoinSet::new();
    beside.spawn(watches.keep());
    beside.spawn(leftovers::collect(running.clone()));
    beside.spawn(advertise::keep_looking_up(running.clone()));
    beside.spawn(tls::renew(running.clone()));
    beside.spawn(reload_on(hang_up, running.clone()));
    beside.spawn(tell_systemd(running.clone()));
    if let Some(bans) = &bans {
        beside.spawn(bans.clone().keep(server.handle()));
    }
    if let Some(socket) = socket {
        beside.spawn(socket.serve(running.clone()));
    }
    if let Some(metrics) = metrics {
        beside.spawn(metrics.serve(running.clone(), ending.clone()));
    }
    running.notifier().ready(&running.status_line());
    let shutdown = async {
        first.await;
        ending.store(true, Ordering::Relaxed);
        ending_helper.ending();
        running.notifier().stopping();
    };
    tokio::select! {
        () = server.run(shutdown) => {}
        () = second => tracing::warn!("a second signal: cutting off what is left"),
    }
    running.hooks().finish(HOOKS_END).await;
    // The last that hold what is to be written to its end.
    beside.shutdown().await;
    if let Some(bans) = bans {
        bans.write(&running.handle);
    }
    Ok(Exit::Done)
}

/// Listens at all places, at those sockets that systemd has opened and at its own. Clients that connect wait until the
/// server runs.
fn listen(config: &Config, mut passed: Passed) -> anyhow::Result<Vec<(Listen, TcpListener)>> {
    let (mut sockets, mut own) = (Vec::new(), Vec::new());
    for place in &config.listen {
        match passed.take(place) {
            Some(socket) => sockets.push((config.place(place), socket)),
            None => own.push(config.place(place)),
        }
    }
    passed.none_left()?;
    let opened = port21_server::listen_ahead(&own, config.settings().backlog)
        .map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
    sockets.extend(own.into_iter().zip(opened));
    Ok(sockets)
}

fn addresses(sockets: &[(Listen, TcpListener)]) -> anyhow::Result<Vec<SocketAddr>> {
    let bound: Result<_, _> = sockets.iter().map(|(_, socket)| socket.local_addr()).collect();
    bound.context("cannot ask a listener for its address")
}

/// Reloads at each SIGHUP. What comes of it is logged.
async fn reload_on(mut hang_up: tokio::signal::unix::Signal, running: Arc<Running>) {
    while hang_up.recv().await.is_some() {
        drop(running.reload().await);
    }
}

/// Tells systemd that the server lives, and how it is.
async fn tell_systemd(running: Arc<Running>) {
    let alive = systemd::watchdog();
    let mut every = tokio::time::interval(alive.unwrap_or(STATUS_EVERY).min(STATUS_EVERY));
    loop {
        every.tick().await;
        let alive = if alive.is_some() { "WATCHDOG=1\n" } else { "" };
        running.notifier().tell(&format!("{alive}STATUS={}", running.status_line()));
    }
}

/// A server with these settings that listens nowhere yet, and that nobody watches.
pub(crate) async fn server(config: &Config) -> anyhow::Result<Server> {
    Ok(running::plain_builder(config, None, (&Helper::default(), &Watches::default()), None).await?.build())
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
