//! From a URL and the flags to a session: where, who, how.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use port21_client::{
    Authorities, Builder, Client, Credentials, DataMode, Identity, IpFamily, Secret, Timeouts, TlsMode, TlsSettings,
    TlsSettingsError,
};
use port21_proto::text::Shown;

use crate::args::client::ConnectArgs;
use crate::exit::{Exit, Fault};
use crate::netrc::is_guest;
use crate::place::Place;
use crate::record::{Recording, SessionLog};
use crate::{netrc, prompt, proxy};

/// The session of a command that works through its URLs: kept for as long as they name the same server and user.
pub(crate) struct Remote<'a> {
    args: &'a ConnectArgs,
    recording: Recording,
    current: Option<(Place, Client, SessionLog)>,
}

impl<'a> Remote<'a> {
    /// Nothing is connected yet.
    pub(crate) fn new(args: &'a ConnectArgs, recording: Recording) -> Remote<'a> {
        Remote { args, recording, current: None }
    }

    /// A session for the place, logged in; `action` is what the user wants there, for the recording.
    pub(crate) async fn session(&mut self, place: &Place, action: &str) -> anyhow::Result<&mut Client> {
        match &self.current {
            Some((at, client, log)) if at.is_same_session(place) && client.is_connected() => log.user(action),
            _ => {
                self.end().await;
                let credentials = credentials(place, self.args)?;
                let log = self.recording.session();
                log.user(action);
                let client = self.connect(place, &log, credentials).await?;
                self.current = Some((place.clone(), client, log));
            }
        }
        match &mut self.current {
            Some((_, client, _)) => Ok(client),
            None => bail!("no session"),
        }
    }

    /// The settings of sessions for the place, for work that opens its own. The session that was used last is ended: the
    /// server may admit just one.
    pub(crate) async fn settings(&mut self, place: &Place, action: &str) -> anyhow::Result<Builder> {
        let credentials = match self.current.take() {
            Some((at, client, log)) if at.is_same_session(place) => {
                let credentials = client.settings().credentials_of().clone();
                self.current = Some((at, client, log));
                credentials
            }
            other => {
                self.current = other;
                credentials(place, self.args)?
            }
        };
        self.end().await;
        let log = self.recording.session();
        log.user(action);
        self.settings_for(place, &log, credentials)
    }

    /// Whether what happens is recorded.
    pub(crate) fn is_recorded(&self) -> bool {
        self.args.trace.is_some()
    }

    /// Says farewell to the server. What was asked for has been done: a server that is gone by now changes nothing.
    pub(crate) async fn end(&mut self) {
        if let Some((_, client, _)) = self.current.take()
            && let Err(error) = client.quit().await
        {
            tracing::debug!("QUIT: {error}");
        }
    }

    fn settings_for(&self, place: &Place, log: &SessionLog, credentials: Credentials) -> anyhow::Result<Builder> {
        let mut builder = builder(self.args, place)?.credentials(credentials);
        if log.is_on() {
            let log = log.clone();
            let clock = log.clock();
            builder = builder.sink(Arc::new(move |event| log.write(&event)), clock);
        }
        Ok(builder)
    }

    async fn connect(&self, place: &Place, log: &SessionLog, credentials: Credentials) -> anyhow::Result<Client> {
        let builder = self.settings_for(place, log, credentials)?;
        let retry = self.args.retry.unwrap_or(0);
        for attempt in 0.. {
            match builder.open().await {
                Ok(client) => return Ok(client),
                Err(error) if attempt < retry && Exit::of_client(&error) == Exit::Connect => {
                    pause(attempt, &error.to_string()).await;
                }
                Err(error) => return Err(error).with_context(|| place.to_string()),
            }
        }
        bail!("no attempt was made")
    }
}

/// Waits before a further attempt: a second, then twice as long each time, half a minute at most.
pub(crate) async fn pause(attempt: u32, why: &str) {
    let wait = Duration::from_secs(1 << attempt.min(5)).min(Duration::from_secs(30));
    tracing::warn!("{why}; trying again in {} s", wait.as_secs());
    tokio::time::sleep(wait).await;
}

/// All that the flags say of a session.
pub(crate) fn builder(args: &ConnectArgs, place: &Place) -> anyhow::Result<Builder> {
    let mut builder = Client::builder().target(&place.target).max_entries(args.max_entries);
    if args.active {
        builder = builder.mode(DataMode::Active);
    }
    if let Some(server) = args.dns {
        builder = builder.dns(server).dns_local_port(args.dns_port.unwrap_or(0));
    }
    if let Some(timeout) = args.timeout {
        if timeout.is_zero() {
            bail!(Fault::usage("--timeout: 0 leaves no time for anything"));
        }
        builder = builder.timeouts(timeouts(timeout));
    }
    if let Some(ip) = args.bind {
        builder = builder.bind_ip(ip);
    }
    if let Some(ports) = &args.active_ports {
        builder = builder.active_ports(ports.clone());
    }
    if let Some(charset) = args.charset {
        builder = builder.charset(charset);
    }
    builder = secure(builder, args, place)?;
    if let Some(proxy) = proxy::find(args.proxy.as_deref(), place)? {
        if args.active {
            bail!(Fault::usage(format!(
                "--active: the server cannot connect back through {proxy}; --proxy none goes without"
            )));
        }
        builder = builder.proxy(proxy);
    }
    let family = match (args.ipv4, args.ipv6, args.bind) {
        (true, ..) | (_, _, Some(IpAddr::V4(_))) => IpFamily::V4,
        (_, true, _) | (_, _, Some(IpAddr::V6(_))) => IpFamily::V6,
        _ => IpFamily::Any,
    };
    Ok(builder.control_port(args.control_port.unwrap_or(0)).ip_family(family).probe(!args.no_probe))
}

/// What the flags say of TLS.
fn secure(mut builder: Builder, args: &ConnectArgs, place: &Place) -> anyhow::Result<Builder> {
    if args.tls && place.target.tls == TlsMode::Off {
        builder = builder.tls(TlsMode::Explicit);
    }
    if !args.tls && place.target.tls == TlsMode::Off {
        let given = [
            ("--cacert", args.cacert.is_some()),
            ("--pin", !args.pin.is_empty()),
            ("--insecure", args.insecure),
            ("--client-cert", args.client_cert.is_some()),
            ("--tls-version", args.tls_version.is_some()),
        ];
        // Whoever says whom to trust does not mean clear text.
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            bail!(Fault::usage(format!(
                "{flag}: {place} is in clear text: add --tls, or write ftps:// (implicit TLS)"
            )));
        }
        return Ok(builder);
    }
    let local = |flag: &str, error: TlsSettingsError| Fault::new(Exit::Local, format!("{flag}: {error}"));
    let mut settings = TlsSettings::default();
    if let Some(file) = &args.cacert {
        settings.authorities = Authorities::read(file).map_err(|error| local("--cacert", error))?;
    }
    if let Some(chain) = &args.client_cert {
        let key = args.client_key.as_ref().unwrap_or(chain);
        settings.identity = Some(Identity::read(chain, key).map_err(|error| local("--client-cert", error))?);
    }
    if args.insecure {
        tracing::warn!("--insecure: it is not checked who {} is", place.target.host);
    }
    settings.pins.clone_from(&args.pin);
    (settings.insecure, settings.only) = (args.insecure, args.tls_version);
    Ok(builder.tls_settings(settings))
}

/// The same time for each phase.
pub(crate) fn timeouts(each: Duration) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        resolve: each,
        connect: each,
        tls: each,
        greeting: each,
        reply: each,
        data_open: each,
        stall: each,
        final_reply: each,
        abort: each.min(default.abort),
        quit: each.min(default.quit),
    }
}

/// Who logs in: as the URL says, or --user, or ~/.netrc, or a guest. A password that is not there yet is looked for in
/// PORT21_PASSWORD, in ~/.netrc, and asked for on the terminal.
pub(crate) fn credentials(place: &Place, args: &ConnectArgs) -> anyhow::Result<Credentials> {
    let known = place.target.credentials.clone();
    let user = known.as_ref().map(|c| c.user.clone()).or_else(|| args.user.clone());
    if let Some(credentials) = known
        && !credentials.password.expose().is_empty()
    {
        return Ok(credentials);
    }
    let entry = netrc::look_up(args.netrc_file.as_deref(), &place.target.host, user.as_deref())?;
    let Some(user) = user.or_else(|| entry.as_ref().and_then(|entry| entry.user.clone())) else {
        return Ok(Credentials::anonymous());
    };
    let password = match password_from_environment().or_else(|| entry.and_then(|entry| entry.password)) {
        Some(password) => password,
        None if is_guest(&user) => Credentials::anonymous().password,
        None if prompt::is_possible() => {
            prompt::secret(&format!("Password for {} at {}: ", Shown(user.as_bytes()), place.target.host))?
        }
        None => bail!(Fault::new(
            Exit::Login,
            format!(
                "{place}: no password for {}: set PORT21_PASSWORD, or put it into ~/.netrc",
                Shown(user.as_bytes())
            )
        )),
    };
    Ok(Credentials { user, password, account: None })
}

/// The password that the environment holds.
pub(crate) fn password_from_environment() -> Option<Secret> {
    use std::os::unix::ffi::OsStringExt as _;
    std::env::var_os("PORT21_PASSWORD").map(|password| Secret::new(password.into_vec()))
}
