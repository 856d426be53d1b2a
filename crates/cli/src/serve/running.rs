//! A server that runs: what is asked of it, and how it takes a new configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, bail};
use port21_proto::text::Shown;
use port21_server::tls::{Authorities, CertificateError, Files, TlsSettings};
use port21_server::{Activity, At, ListenError, ReloadError, Server, ServerBuilder, ServerHandle, Site, TlsMode, Whom};

use super::hooks::Hooks;
use super::log::Log;
use super::recorder::Recorder;
use super::report::programs_that_do_not_run;
use super::systemd::Notifier;
use super::xferlog::Xferlog;
use super::{accounts, advertise, tls};
use crate::args::serve::ServeArgs;
use crate::config::{Accounts, Config, User};
use crate::exit::{Exit, Fault, sentence};
use crate::helper::Helper;
use crate::sandbox::Confined;
use crate::users::overlap::overlaps;
use crate::users::watched::Watches;

/// A server and all that belongs to it.
pub(super) struct Running {
    pub(super) handle: ServerHandle,
    pub(super) started: Instant,
    args: ServeArgs,
    beside: Beside,
    hooks: Arc<Hooks>,
    state: Mutex<State>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// What stands beside the server and goes on through a reload.
pub(super) struct Beside {
    pub(super) recorder: Option<Recorder>,
    pub(super) xferlog: Option<Arc<Xferlog>>,
    pub(super) log: Log,
    pub(super) notifier: Notifier,
    pub(super) confined: Confined,
    pub(super) helper: Helper,
    /// How certificates are read again.
    pub(super) reach: tls::Reach,
    /// What looks at files of accounts for the sake of those who are logged in.
    pub(super) watches: Watches,
}

struct State {
    config: Config,
    tls: Option<TlsSettings>,
    listening: Vec<SocketAddr>,
    reloads: u64,
    failed_reloads: u64,
}

impl Running {
    pub(super) fn new(
        args: ServeArgs,
        config: Config,
        tls: Option<TlsSettings>,
        server: &Server,
        hooks: Arc<Hooks>,
        beside: Beside,
    ) -> Running {
        let listening = server.local_addrs();
        Running {
            handle: server.handle(),
            started: Instant::now(),
            args,
            beside,
            hooks,
            state: Mutex::new(State { config, tls, listening, reloads: 0, failed_reloads: 0 }),
            reloading: tokio::sync::Mutex::default(),
        }
    }

    /// The configuration that is in force for new sessions.
    pub(super) fn config(&self) -> Config {
        self.lock().config.clone()
    }

    /// What tells systemd.
    pub(super) fn notifier(&self) -> &Notifier {
        &self.beside.notifier
    }

    /// Who does what the server cannot do behind its sandbox.
    pub(super) fn helper(&self) -> &Helper {
        &self.beside.helper
    }

    /// Why the server is not what it ought to be, though it serves: for whoever watches it.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        self.helper().wrong()
    }

    /// That, and what will be wrong soon, a sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let overdue = self.tls().map(|tls| tls::overdue(&tls.certificates, SystemTime::now()));
        self.wrong().map(str::to_owned).into_iter().chain(overdue.into_iter().flatten()).collect()
    }

    /// Where it listens.
    pub(super) fn listening(&self) -> Vec<SocketAddr> {
        self.lock().listening.clone()
    }

    /// What TLS needs; nothing where no place speaks it.
    pub(super) fn tls(&self) -> Option<TlsSettings> {
        self.lock().tls.clone()
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// How many reloads have succeeded, and how many were refused.
    pub(super) fn reloads(&self) -> (u64, u64) {
        let state = self.lock();
        (state.reloads, state.failed_reloads)
    }

    /// Opens the log files anew: they may have been renamed.
    pub(super) fn reopen_logs(&self) {
        self.beside.log.reopen();
        if let Some(xferlog) = &self.beside.xferlog {
            xferlog.reopen();
        }
    }

    /// Reads the configuration anew and takes it, as a whole or not at all. What has changed, in one sentence.
    ///
    /// # Errors
    /// All that stands against it: then everything is as it was. It is logged here.
    pub(super) async fn reload(&self) -> anyhow::Result<String> {
        let _one_at_a_time = self.reloading.lock().await;
        self.beside.notifier.reloading();
        self.reopen_logs();
        let result = self.take_new().await;
        {
            let mut state = self.lock();
            *(if result.is_ok() { &mut state.reloads } else { &mut state.failed_reloads }) += 1;
        }
        match &result {
            Ok(changed) => tracing::info!("reloaded: {changed}"),
            Err(error) => crate::exit::sentences(error).iter().for_each(|line| tracing::error!("not reloaded: {line}")),
        }
        self.beside.notifier.ready(&self.status_line());
        result
    }

    async fn take_new(&self) -> anyhow::Result<String> {
        let config = self.read_again().await?;
        let before = self.config();
        let mut unchangeable = config.restart_needed(&before);
        unchangeable.extend(self.beside.confined.forbids(&config));
        if !unchangeable.is_empty() {
            bail!(Fault::each(Exit::Usage, unchangeable));
        }
        self.check_accounts_are_there(&config, &before).await?;
        // The same name is looked up anew in its turn.
        let known = self.handle.advertised().filter(|_| config.passive.advertise == before.passive.advertise);
        let tls = self.new_tls(&config, &before).await?;
        let builder = builder(&config, tls.clone(), &self.beside, &self.hooks, known).await?;
        let listen = config.listen.iter().map(|place| config.place(place)).collect();
        let refused = |error: ReloadError| {
            // What the server could still do when it was started it may have given up since.
            let restart = if self.beside.confined.is_on() && is_denied(&error) { "restart needed: " } else { "" };
            Fault::new(Exit::Local, format!("{restart}{error}"))
        };
        let reloaded = self.handle.reload(builder, listen).await.map_err(refused)?;
        self.beside.log.set_level(&config.log)?;
        if config.hooks != before.hooks {
            self.hooks.replace(&config.hooks);
        }
        self.beside
            .watches
            .retire(|host, file| config.site_now(host).is_some_and(|site| site.accounts.file.as_deref() == Some(file)));
        if let Err(error) = self.helper().adopt().await {
            tracing::warn!(%error, "the helper process does not know of the new configuration");
        }
        self.end_sessions_of_those_that_are_gone(&config, &before);
        if let Some(tls) = &tls {
            tls::warn_of_overdue(&config, &tls.certificates);
        }
        let (helper, now) = (self.helper().clone(), config.clone());
        // It waits for the helper.
        let told = move || {
            let mut told = overlaps(&now, |file| helper.read_and_wait(file));
            told.extend(programs_that_do_not_run(&now, |program| Ok(helper.look_and_wait(program)?.mode())));
            told
        };
        let told = tokio::task::spawn_blocking(told).await.unwrap_or_default();
        told.iter().for_each(|told| tracing::warn!("{told}"));
        let mut state = self.lock();
        (state.config, state.tls) = (config, tls);
        state.listening.retain(|addr| !reloaded.closed.contains(addr));
        state.listening.extend(&reloaded.opened);
        let list = |addrs: &[SocketAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut changed = vec!["new sessions have the new settings".to_owned()];
        if !reloaded.opened.is_empty() {
            changed.push(format!("listening at {} too", list(&reloaded.opened)));
        }
        if !reloaded.closed.is_empty() {
            changed.push(format!("no more at {}", list(&reloaded.closed)));
        }
        Ok(changed.join(", "))
    }

    /// A file of accounts that was not named before is there: by one that is not, for its name may be mistyped, everybody would
    /// lose their sessions and be locked out. Where none is named any more that is meant.
    async fn check_accounts_are_there(&self, config: &Config, before: &Config) -> anyhow::Result<()> {
        let known = |host: Option<&str>| before.site_now(host).and_then(|site| site.accounts.file);
        let is_named = |file: &Path| !self.args.config.as_deref().is_some_and(|path| Accounts::is_unnamed(file, path));
        let named = config.sites().filter_map(|site| {
            let file = site.accounts.file.clone().filter(|file| is_named(file))?;
            (known(site.host()).as_ref() != Some(&file)).then_some(file)
        });
        let (named, helper): (Vec<PathBuf>, _) = (named.collect(), self.helper().clone());
        // It waits for the helper. What else is wrong with a file is told where it is read.
        let is_missing = move |file: &PathBuf| {
            helper.look_and_wait(file).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        let look = move || named.into_iter().filter(is_missing).collect::<Vec<_>>();
        let missing = tokio::task::spawn_blocking(look).await.context("a fault of the server, please report it")?;
        let text = |file: &PathBuf| {
            let file = file.display();
            format!("`accounts.file`: there is no {file}: make it, or leave an empty one to let nobody of it in")
        };
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Fault::each(Exit::Local, missing.iter().map(text).collect()).into()),
        }
    }

    /// Ends sessions of each `[[host]]` that is not there any more, and of each `[[user]]` who is not, or has another password.
    fn end_sessions_of_those_that_are_gone(&self, config: &Config, before: &Config) {
        for old in before.sites() {
            let at = old.host().map_or(At::First, |host| At::Named(host.to_owned()));
            let Some(new) = config.site_now(old.host()) else {
                let sessions = self.handle.kick(&Whom::Site(at));
                tracing::info!(host = old.host(), sessions, "ending sessions of a host that was removed");
                continue;
            };
            let stays = |user: &User| {
                let mut users = new.users.iter();
                users.any(|other| (&other.name, &other.password) == (&user.name, &user.password))
            };
            for user in old.users.iter().filter(|user| !stays(user)) {
                let sessions = self.handle.kick(&Whom::Account { name: user.name.clone(), at: at.clone() });
                if sessions > 0 {
                    tracing::info!(user = %Shown(user.name.as_bytes()), sessions, "ending sessions of a user who was removed");
                }
            }
        }
    }

    /// The configuration as its file and the flags are now. The file may be out of reach of the server itself.
    async fn read_again(&self) -> anyhow::Result<Config> {
        let Some(path) = &self.args.config else { return Config::with_flags(&self.args) };
        let text = self.helper().read(path).await.with_context(|| format!("cannot read {}", path.display()))?;
        Config::with_flags_and_text(&self.args, Some(&text))
    }

    /// What TLS needs from now on. Where only the files have changed they are read again: the helper can.
    async fn new_tls(&self, config: &Config, before: &Config) -> anyhow::Result<Option<TlsSettings>> {
        let modes = |config: &Config| config.listen.iter().any(|place| config.tls_at(place) != TlsMode::Off);
        let pairs =
            |config: &Config| (config.certificates.clone(), config.host_certificates().cloned().collect::<Vec<_>>());
        let same = (&config.tls, pairs(config), modes(config)) == (&before.tls, pairs(before), modes(before));
        let known = self.tls().filter(|_| same);
        let (config, reach) = (config.clone(), self.beside.reach.clone());
        let read = move || match (known, same) {
            (Some(known), _) => {
                // Whoever withdraws an authority has to know that it is withdrawn.
                let authorities = known.authorities().map_or(Ok(()), Authorities::reload);
                let read = authorities.and_then(|()| known.reload_if_changed());
                let files: Arc<dyn Files> = Arc::new(reach);
                read.map(|_| Some(known)).map_err(|error| tls::located(&config, error, &files))
            }
            (None, true) => Ok(None),
            (None, false) => tls::open(&config, reach),
        };
        let result = tokio::task::spawn_blocking(read).await.context("a fault of the server, please report it")?;
        result.map_err(|error: anyhow::Error| {
            // A self-signed pair cannot be made any more by a server that has given up writing where it is kept. All else
            // would not be any better after a restart.
            let is_to_be_made = matches!(error.downcast_ref(), Some(CertificateError::Make(_)));
            let restart = if self.beside.confined.is_on() && is_to_be_made { "restart needed: " } else { "" };
            Fault::new(Exit::Local, format!("{restart}{}", sentence(&error))).into()
        })
    }

    /// One line for `systemctl status`.
    pub(super) fn status_line(&self) -> String {
        let counts = self.handle.counts();
        let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let wrong = self.wrong().map(|wrong| format!("; {wrong}")).unwrap_or_default();
        format!("{}, {}{wrong}", many(counts.sessions, "session"), many(counts.transfers, "transfer"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_denied(error: &ReloadError) -> bool {
    match error {
        ReloadError::Listen(ListenError::Privileged(_)) => true,
        ReloadError::Listen(ListenError::Other(_, error)) => error.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    }
}

/// A server by a configuration, with all that watches it. `known`: what `advertise` was last found to be.
///
/// # Errors
/// Where a directory or a name of the configuration is not there.
pub(super) async fn builder(
    config: &Config,
    tls: Option<TlsSettings>,
    beside: &Beside,
    hooks: &Arc<Hooks>,
    known: Option<Ipv4Addr>,
) -> anyhow::Result<ServerBuilder> {
    let mut builder = plain_builder(config, tls, (&beside.helper, &beside.watches), known).await?;
    if let Some(recorder) = &beside.recorder {
        builder = builder.events(recorder.sinks());
    }
    if beside.xferlog.is_some() || !config.hooks.is_empty() {
        let (xferlog, hooks) = (beside.xferlog.clone(), hooks.clone());
        builder = builder.activities(move |activity: &Activity| {
            if let Some(xferlog) = &xferlog {
                xferlog.note(activity);
            }
            hooks.note(activity);
        });
    }
    Ok(builder)
}

/// A server by a configuration that nobody watches.
///
/// # Errors
/// As [`builder`].
pub(super) async fn plain_builder(
    config: &Config,
    tls: Option<TlsSettings>,
    (helper, watches): (&Helper, &Watches),
    known: Option<Ipv4Addr>,
) -> anyhow::Result<ServerBuilder> {
    if let Some(tls) = &tls {
        tls::check_hosts(config, &tls.certificates)?;
    }
    let sites = {
        let (config, helper, watches) = (config.clone(), helper.clone(), watches.clone());
        tokio::task::spawn_blocking(move || open_sites(&config, &helper, &watches))
            .await
            .context("opening the accounts")??
    };
    let advertise = match (&config.passive.advertise, known) {
        (Some(_), Some(known)) => Some(known),
        (Some(host), None) => advertise::at_the_start(config, host, helper).await?,
        (None, _) => None,
    };
    let settings = port21_server::Settings { advertise, ..config.settings() };
    let mut sites = sites.into_iter();
    let first = sites.next().context("a server without a site")?;
    let builder = sites.fold(Server::builder(first.authenticator).settings(settings), ServerBuilder::site);
    match tls {
        Some(tls) => Ok(builder.tls(tls).map_err(|error| Fault::new(Exit::Local, error.to_string()))?),
        None => Ok(builder),
    }
}

/// The site to begin with, and those of each `[[host]]`.
fn open_sites(config: &Config, helper: &Helper, watches: &Watches) -> anyhow::Result<Vec<Site>> {
    let passwords = Arc::new(config.logins.passwords());
    let open = |site: Config| {
        let authenticator = Arc::new(accounts::open(&site, helper, &passwords, watches)?);
        let session = site.settings().session;
        Ok(Site { names: site.site.names, session, authenticator })
    };
    config.sites().map(open).collect()
}
