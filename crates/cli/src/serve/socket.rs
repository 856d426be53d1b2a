//! The local socket of a server that runs: its end of [`crate::control::protocol`].

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use port21_proto::Time;
use port21_proto::text::Shown;
use port21_server::account::guard::{BannedFrom, Tried};
use port21_server::{At, Direction, Refusal, SessionStatus, TransferCounts, Whom};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::running::Running;
use crate::config::Config;
use crate::control::protocol::{
    self, Answer, Ban, Done, MAX_QUESTION, Moved, Question, Request, Session, Status, Transfer,
};
use crate::exit::{Exit, Fault, sentences};

/// So many are answered at a time; others wait.
const AT_ONCE: usize = 16;

/// How long somebody may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause after an error of accept, which is most often that the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The socket; its file is removed when it is dropped.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Which file it is: another server may have put its own there meanwhile.
    inode: Option<u64>,
}

impl Socket {
    /// Listens at this path. What a server that is gone has left there is removed.
    ///
    /// # Errors
    /// Where another server listens there, or something else is in the way.
    pub(super) fn open(path: &Path) -> anyhow::Result<Socket> {
        let at = || format!("cannot listen at {}", path.display());
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                bail!(Fault::usage(format!("`control.socket`: {} is there and is no socket", path.display())));
            }
            if Blocking::connect(path).is_ok() {
                bail!(Fault::new(Exit::Local, format!("another server listens at {}", path.display())));
            }
            std::fs::remove_file(path).with_context(at)?;
        }
        let listener = bind(path).with_context(at)?;
        let inode = std::fs::symlink_metadata(path).ok().map(|file| file.ino());
        Ok(Socket { listener, path: path.to_owned(), inode })
    }

    /// Answers for as long as it is not dropped.
    pub(super) async fn serve(self, running: Arc<Running>) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let running = running.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &running).await {
                            debug!(%error, "the control socket");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "the control socket");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).ok().map(|file| file.ino()) == self.inode {
            // It may be removed already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The file is never there with wider permissions: it gets those that the socket has before it has a name.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // For systems where that is not so.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(16)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

async fn answer(stream: UnixStream, running: &Running) -> anyhow::Result<()> {
    let who = stream.peer_cred()?;
    // The file's permissions say the same; but they may have been changed, and the socket handed on.
    if who.uid() != 0 && who.uid() != rustix::process::geteuid().as_raw() {
        bail!("uid {} may not use it", who.uid());
    }
    let (mut read, mut write) = stream.into_split();
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new((&mut read).take(MAX_QUESTION)).read_line(&mut line)).await??;
    let answer = match question(&line) {
        Ok(question) => done(question, running, who.uid()).await,
        Err(error) => Answer::Errors(vec![error]),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    timeout(PATIENCE, write.write_all(&line)).await??;
    write.shutdown().await?;
    // What is left unread would destroy the answer.
    timeout(PATIENCE, tokio::io::copy(&mut read.take(MAX_QUESTION), &mut tokio::io::sink())).await??;
    Ok(())
}

fn question(line: &str) -> Result<Question, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let version: Version = serde_json::from_str(line).map_err(|error| format!("this is no question: {error}"))?;
    if version.version != protocol::VERSION {
        return Err(format!(
            "the server speaks version {} of the control protocol, not {}: use the port21 that it was started from",
            protocol::VERSION,
            version.version
        ));
    }
    let request: Request = serde_json::from_str(line).map_err(|error| format!("this is no question: {error}"))?;
    Ok(request.question)
}

/// `by`: the user of this machine who asks.
async fn done(question: Question, running: &Running, by: u32) -> Answer {
    let done = match question {
        Question::Status => Done::Status(Box::new(status(running))),
        Question::Reload => match running.reload().await {
            Ok(changed) => Done::Reloaded { changed },
            Err(error) => return Answer::Errors(sentences(&error)),
        },
        Question::Kick { session, user, address, host } => {
            let at = match sites(running, host.as_deref()) {
                Ok(sites) if host.is_some() => sites.into_iter().next().flatten().map_or(At::First, At::Named),
                Ok(_) => At::Every,
                Err(error) => return Answer::Errors(vec![error]),
            };
            let (told_user, told_address) = (told(user.as_deref()), address.map(|address| address.to_string()));
            let account = user.map(|name| Whom::Account { name, at });
            let whom = [session.map(Whom::Session), account, address.map(Whom::Address)];
            let Ok([whom]) = <[Whom; 1]>::try_from(whom.into_iter().flatten().collect::<Vec<_>>()) else {
                return Answer::Errors(vec!["name a session, a user or an address".to_owned()]);
            };
            let sessions = running.handle.kick(&whom);
            info!(
                by_uid = by,
                session,
                user = told_user,
                host = told(host.as_deref()),
                address = told_address,
                sessions,
                "ending sessions"
            );
            Done::Kicked { sessions }
        }
        Question::Unban { user, address, host } => {
            let guard = running.handle.guard();
            let sites = match sites(running, host.as_deref()) {
                Ok(sites) => sites,
                Err(error) => return Answer::Errors(vec![error]),
            };
            let lifted = match (&user, address) {
                (Some(user), None) => sites.iter().fold(false, |any, site| {
                    guard.lift_account(Tried { site: site.as_deref(), user: user.as_bytes() }) | any
                }),
                (None, Some(address)) => guard.lift(address),
                _ => return Answer::Errors(vec!["name a user or an address".to_owned()]),
            };
            info!(
                by_uid = by,
                user = told(user.as_deref()),
                host = told(host.as_deref()),
                address = address.map(|address| address.to_string()),
                lifted,
                "lifting bans"
            );
            Done::Unbanned { lifted }
        }
    };
    Answer::Done(Box::new(done))
}

/// What somebody has typed, as a log may have it.
fn told(text: Option<&str>) -> Option<String> {
    text.map(|text| Shown(text.as_bytes()).to_string())
}

/// The site that is named, or all of them, as sessions tell them: none for the one to begin with.
fn sites(running: &Running, host: Option<&str>) -> Result<Vec<Option<String>>, String> {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let is_named = |site: &Config| match host {
        Some("-") => !site.is_host,
        Some(host) => site.site.names.iter().any(|name| plain(name) == plain(host)),
        None => true,
    };
    let sites: Vec<_> = running.config().sites().filter(is_named).map(|site| site.host().map(str::to_owned)).collect();
    match host {
        Some(host) if sites.is_empty() => Err(format!("there is no site {}", Shown(host.as_bytes()))),
        _ => Ok(sites),
    }
}

fn status(running: &Running) -> Status {
    let (counts, now) = (running.handle.counts(), running.handle.now());
    let moved = |direction: Direction| {
        let TransferCounts { whole, broken, bytes } = counts.by_direction[direction as usize];
        Moved { whole, broken, bytes }
    };
    let refusals = Refusal::ALL.iter().zip(counts.refusals).filter(|(_, count)| *count > 0);
    let (reloads, failed_reloads) = running.reloads();
    Status {
        release: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: running.started.elapsed().as_secs(),
        listening: running.listening(),
        sessions: running.handle.sessions().iter().map(|session| session_status(session, now)).collect(),
        bans: running.handle.guard().bans().into_iter().map(ban).collect(),
        connections: counts.connections,
        logins: counts.logins,
        failed_logins: counts.failed_logins,
        downloads: moved(Direction::Down),
        uploads: moved(Direction::Up),
        listings: moved(Direction::List),
        refusals: refusals.map(|(why, count)| (why.name().to_owned(), count)).collect(),
        passive_ports_in_use: counts.passive_in_use,
        passive_ports: counts.passive_ports,
        reloads,
        failed_reloads,
        warnings: running.warnings(),
        hook_messages_dropped: running.hooks().counts().dropped.load(std::sync::atomic::Ordering::Relaxed),
    }
}

fn ban(ban: port21_server::account::guard::Ban) -> Ban {
    let shown = |from: &BannedFrom| Shown(from.user.get(..64).unwrap_or(&from.user)).to_string();
    Ban {
        address: Some(ban.address),
        user: ban.from.as_ref().map(shown),
        host: ban.from.and_then(|from| from.site),
        failures: ban.failures,
        seconds_left: ban.left.as_secs_f64(),
    }
}

fn session_status(session: &SessionStatus, now: Time) -> Session {
    let transfer = session.transfer.as_ref().map(|transfer| {
        let seconds = now.since(transfer.began).as_secs_f64();
        Transfer {
            what: transfer.direction.name().to_owned(),
            path: transfer.path.to_string(),
            bytes: transfer.bytes,
            seconds,
            bytes_per_second: if seconds > 0.0 { transfer.bytes as f64 / seconds } else { 0.0 },
        }
    });
    Session {
        number: session.number,
        peer: Some(session.peer),
        local: Some(session.local),
        user: session.account.as_ref().map(|account| Shown(account.as_bytes()).to_string()),
        host: session.site.as_deref().map(str::to_owned),
        anonymous: session.anonymous,
        seconds: now.since(session.since).as_secs_f64(),
        silent_seconds: now.since(session.heard).as_secs_f64(),
        transfer,
    }
}
