//! What is tried, in order. Each step is bounded, and what does not depend on one that failed is tried all the same.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use port21_client::{Builder, Client, DataMode, Error, Features, Listed, Phase, Reply, TlsMode, TlsSettings, Upload};
use port21_proto::addr;
use port21_proto::listing::EntryKind;
use port21_proto::text::Shown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::cause::{self, Scene};
use super::log::Log;
use super::report::{Cause, Check, Outcome, Report, Side};
use crate::args::client::DoctorArgs;
use crate::exit::{Exit, client_sentence};
use crate::remote::{self, Place};
use crate::units::show_size;

/// How long each step may take, where nothing is said.
const LIMIT: Duration = Duration::from_secs(10);
/// So many entries of a listing are read, and so many bytes of a file.
const MAX_ENTRIES: usize = 10_000;
const MAX_BYTES: u64 = 1 << 20;

pub(super) struct Walk<'a> {
    place: &'a Place,
    args: &'a DoctorArgs,
    log: &'a Log,
    settings: Builder,
    limit: Duration,
    report: Report,
}

/// What is to be listed, and read.
struct Aim {
    directory: Vec<u8>,
    file: Option<Vec<u8>>,
}

type Tell<'t> = dyn FnMut(&str) -> anyhow::Result<()> + 't;

impl<'a> Walk<'a> {
    pub(super) fn new(place: &'a Place, args: &'a DoctorArgs, log: &'a Log) -> anyhow::Result<Walk<'a>> {
        let mut settings = remote::builder(&args.connect, place)?;
        let limit = args.connect.timeout.unwrap_or(LIMIT);
        settings = settings.timeouts(remote::timeouts(limit));
        settings = settings.credentials(remote::credentials(place, &args.connect)?);
        Ok(Walk { place, args, log, settings, limit, report: Report::default() })
    }

    /// Tries all of it; each row is told as soon as it is known.
    pub(super) async fn all(mut self, tell: &mut Tell<'_>) -> anyhow::Result<Report> {
        if !self.addresses(tell).await? {
            return Ok(self.report);
        }
        let Some((mut client, scene)) = self.session(tell).await? else { return Ok(self.report) };
        let arranged = self.data_ports(&mut client, &scene, tell).await?;
        let mut demanded = false;
        if arranged {
            demanded = self.transfers(&mut client, &scene, tell).await?;
        } else {
            for step in ["listing", "download"].into_iter().chain(self.args.write.then_some("upload")) {
                self.add(Check::new(step, Outcome::NotTried, None, "no data connection comes to stand"), tell)?;
            }
        }
        let _ = client.quit().await;
        self.security(&scene, demanded, tell).await?;
        Ok(self.report)
    }

    /// The name, and each of its addresses.
    async fn addresses(&mut self, tell: &mut Tell<'_>) -> anyhow::Result<bool> {
        let host = self.place.target.host.clone();
        let settings = self.log.beside(&self.settings);
        let (took, addresses) = self.timed(settings.addresses()).await;
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(error) => {
                let cause = cause::resolving(&error, &host);
                self.failed("resolve", took, &error, cause, tell)?;
                return Ok(false);
            }
        };
        let found = match addresses.as_slice() {
            [] => "the proxy looks it up".to_owned(),
            [only] if only.to_string() == host => "it is an address".to_owned(),
            all => format!("{host} is at {}", all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")),
        };
        self.add(Check::new("resolve", Outcome::Passed, Some(took), found), tell)?;
        let mut attempts = JoinSet::new();
        for (at, address) in addresses.iter().copied().enumerate() {
            let settings = self.log.beside(&self.settings);
            attempts.spawn(async move { (at, address, settings.reach(address).await) });
        }
        let began = Instant::now();
        let mut results = Vec::new();
        while let Some(done) = attempts.join_next().await {
            let (at, address, result) = done?;
            results.push((at, address, began.elapsed(), result));
        }
        results.sort_by_key(|(at, ..)| *at);
        let none = !results.is_empty() && results.iter().all(|(.., result)| result.is_err());
        for (_, address, elapsed, result) in results {
            let to = SocketAddr::new(address, self.place.target.port);
            let check = match result {
                Ok(took) => Check::new("connect", Outcome::Passed, Some(took), to.to_string()),
                Err(error) => {
                    let outcome = if none { Outcome::Failed(Exit::Connect) } else { Outcome::Noticed };
                    let cause = cause::connecting(&error, to);
                    Check::new("connect", outcome, Some(elapsed), client_sentence(&error)).because(cause)
                }
            };
            self.add(check, tell)?;
        }
        Ok(!none)
    }

    /// From the control connection to a user who is logged in.
    async fn session(&mut self, tell: &mut Tell<'_>) -> anyhow::Result<Option<(Client, Scene)>> {
        let target = &self.place.target;
        let user = self.settings.credentials_of().user.clone();
        let mut scene = Scene {
            port: target.port,
            peer: SocketAddr::from(([0, 0, 0, 0], target.port)),
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
            secure: false,
            guest: remote::is_guest(&user),
        };
        let settings = self.log.main(&self.settings);
        let (took, client) = self.timed(settings.connect()).await;
        let mut client = match client {
            Ok(client) => client,
            Err(error) => {
                let greeting = self.log.greeting().filter(|_| error.phase() == Some(Phase::Tls));
                let greeted = greeting.as_ref().map(|(after, _)| *after).unwrap_or_default();
                if let Some((after, words)) = greeting {
                    self.add(Check::new("greeting", Outcome::Passed, Some(after), words), tell)?;
                }
                let step = match error.phase() {
                    Some(Phase::Tls) => "TLS",
                    Some(Phase::Connect | Phase::Resolve) => "connect",
                    _ => "greeting",
                };
                let cause = cause::beginning(&error, &scene);
                self.failed(step, took.saturating_sub(greeted), &error, cause, tell)?;
                return Ok(None);
            }
        };
        (scene.peer, scene.local, scene.secure) = (client.peer_addr(), client.local_addr(), client.is_secure());
        let greeted = self.log.greeting().map_or(took, |(after, _)| after);
        self.add(Check::new("greeting", Outcome::Passed, Some(greeted), said(client.greeting())), tell)?;
        if let Some(protection) = client.protection() {
            let pins = client.server_pins();
            let fingerprint =
                pins.as_ref().map(|(certificate, _)| format!(", certificate {certificate}")).unwrap_or_default();
            let outcome = if self.args.connect.insecure { Outcome::Noticed } else { Outcome::Passed };
            let mut check =
                Check::new("TLS", outcome, Some(took.saturating_sub(greeted)), format!("{protection}{fingerprint}"));
            if let (true, Some((_, pin))) = (self.args.connect.insecure, pins) {
                check = check.because(Cause {
                    side: Side::Client,
                    text: "it was not checked who the server is (--insecure): anybody could take its place".to_owned(),
                    advice: format!(
                        "where this is the key that its operator tells, trust it and no other: --pin {pin}"
                    ),
                });
            }
            self.add(check, tell)?;
        }
        let (took, features) = self.timed(client.quote("FEAT")).await;
        let (outcome, found) = match &features {
            Ok(reply) if reply.code().number() == 211 => {
                let features = Features::read(reply);
                let names: Vec<String> =
                    features.lines().iter().map(|line| Shown(first_word(line)).to_string()).take(30).collect();
                (Outcome::Passed, if names.is_empty() { "none".to_owned() } else { names.join(" ") })
            }
            Ok(reply) => (Outcome::Passed, format!("none before the login: {}", said(reply))),
            Err(error) => (Outcome::Failed(Exit::of_client(error)), client_sentence(error)),
        };
        self.add(Check::new("FEAT", outcome, Some(took), found), tell)?;
        let credentials = self.settings.credentials_of().clone();
        let (took, login) = self.timed(client.login(&credentials)).await;
        match login {
            Ok(reply) => {
                let found = format!("{} as {}", said(&reply), Shown(user.as_bytes()));
                self.add(Check::new("login", Outcome::Passed, Some(took), found), tell)?;
                Ok(Some((client, scene)))
            }
            Err(error) => {
                let cause = cause::login(&error, &scene);
                self.failed("login", took, &error, cause, tell)?;
                Ok(None)
            }
        }
    }

    /// Who can connect to whom for data. Whether the mode that transfers will use works.
    async fn data_ports(&mut self, client: &mut Client, scene: &Scene, tell: &mut Tell<'_>) -> anyhow::Result<bool> {
        let is_active = self.args.connect.active;
        if scene.secure {
            // Some servers give out no port before they know whether it is to be under TLS.
            for command in ["PBSZ 0", "PROT P"] {
                let _ = self.timed(client.quote(command)).await;
            }
        }
        let epsv = self.passive_port("EPSV", client, scene, tell).await?;
        let pasv = match scene.peer.ip().to_canonical() {
            IpAddr::V4(_) => self.passive_port("PASV", client, scene, tell).await?,
            IpAddr::V6(_) => {
                self.add(Check::new("PASV", Outcome::NotTried, None, "it names addresses of IPv4 alone"), tell)?;
                None
            }
        };
        // EPSV is what is used, and PASV where the server has no EPSV.
        let passive = epsv.or(pasv).unwrap_or(false);
        if self.settings.is_indirect() {
            self.add(Check::new("PORT", Outcome::NotTried, None, "nobody can connect back through a proxy"), tell)?;
            return Ok(passive);
        }
        client.set_mode(DataMode::Active);
        let step = if scene.peer.ip().to_canonical().is_ipv4() { "PORT" } else { "EPRT" };
        let directory = self.place.path().to_vec();
        let (took, listed) = self.timed(listed(client, &directory)).await;
        client.set_mode(if is_active { DataMode::Active } else { DataMode::Passive });
        let works = match listed {
            Ok(_) => Ok(()),
            // The way stood: what the listing led to is another step's.
            Err(error) if !is_of_the_way(&error) => Ok(()),
            Err(error) => Err(error),
        };
        let told = self.log.last_port().and_then(|argument| {
            addr::parse_port(&argument).map(SocketAddr::from).or_else(|_| addr::parse_eprt(&argument)).ok()
        });
        match &works {
            Ok(()) => {
                let found = told.map_or_else(String::new, |told| format!("the server connects to {told}"));
                self.add(Check::new(step, Outcome::Passed, Some(took), found), tell)?;
            }
            Err(error) => {
                let outcome = if is_active { Outcome::Failed(Exit::of_client(error)) } else { Outcome::Noticed };
                let cause = cause::active(error, scene, told);
                self.add(Check::new(step, outcome, Some(took), client_sentence(error)).because(cause), tell)?;
            }
        }
        Ok(if is_active { works.is_ok() } else { passive })
    }

    /// Asks for a passive port, and connects to it. Whether that works; nothing where the server has no such command.
    async fn passive_port(
        &mut self,
        verb: &'static str,
        client: &mut Client,
        scene: &Scene,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<Option<bool>> {
        let needed = !self.args.connect.active;
        let bad = |exit: Exit| if needed { Outcome::Failed(exit) } else { Outcome::Noticed };
        let began = Instant::now();
        let (took, reply) = self.timed(client.quote(verb)).await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let cause = cause::transfer(&error, scene, None);
                let check = Check::new(verb, bad(Exit::of_client(&error)), Some(took), client_sentence(&error));
                self.add(check.because(cause), tell)?;
                return Ok(Some(false));
            }
        };
        let code = reply.code().number();
        let named = match (verb, code) {
            ("EPSV", 229) => addr::parse_epsv(reply.text()).map(|port| SocketAddr::new(scene.peer.ip(), port)),
            ("PASV", 227) => addr::parse_pasv(reply.text()).map(SocketAddr::from),
            (_, 500..=504) => {
                let check =
                    Check::new(verb, Outcome::Passed, Some(took), format!("the server has none: {}", said(&reply)));
                self.add(check, tell)?;
                return Ok(None);
            }
            _ => {
                let check = Check::new(verb, bad(Exit::Refused), Some(took), said(&reply));
                self.add(check.because(cause::no_passive_port(code)), tell)?;
                return Ok(Some(false));
            }
        };
        let Ok(named) = named else {
            let cause = Cause {
                side: Side::Server,
                text: "no port can be read in its reply".to_owned(),
                advice: "look for something between that changes replies".to_owned(),
            };
            let check = Check::new(verb, bad(Exit::Refused), Some(took), said(&reply));
            self.add(check.because(cause), tell)?;
            return Ok(Some(false));
        };
        // As transfers do: the server's own address, whatever it says.
        let to = SocketAddr::new(scene.peer.ip(), named.port());
        let foreign = named.ip() != to.ip().to_canonical() && verb == "PASV";
        let (_, reached) = self.timed(client.reach(to)).await;
        let found = match foreign {
            true => format!("port {} at {}, which is not where the server is ({})", named.port(), named.ip(), to.ip()),
            false => format!("port {}", named.port()),
        };
        let works = reached.is_ok();
        let check = match reached {
            Ok(_) if foreign => Check::new(verb, Outcome::Noticed, Some(began.elapsed()), found)
                .because(cause::foreign_address(named.ip(), scene)),
            Ok(_) => Check::new(verb, Outcome::Passed, Some(began.elapsed()), found),
            Err(error) => {
                let mut cause = cause::passive(&error, scene, to);
                if foreign {
                    let address = cause::foreign_address(named.ip(), scene);
                    cause = Cause {
                        side: address.side,
                        text: format!("{}. Nor is the port answered there: {}", address.text, cause.text),
                        advice: format!("{}. {}", address.advice, cause.advice),
                    };
                }
                let found = format!("{found}: {}", client_sentence(&error));
                Check::new(verb, bad(Exit::Connect), Some(began.elapsed()), found).because(cause)
            }
        };
        self.add(check, tell)?;
        Ok(Some(works))
    }

    /// A listing, a file, and a file there and away again. Whether TLS sessions are resumed on data connections.
    async fn transfers(&mut self, client: &mut Client, scene: &Scene, tell: &mut Tell<'_>) -> anyhow::Result<bool> {
        let aim = self.aim(client).await;
        let (took, result) = self.timed(listed(client, &aim.directory)).await;
        let mut first_file = None;
        match result {
            Ok(Listing { entries, unreadable, whole, file }) => {
                first_file = file;
                let mut found = format!("{entries} {}", if entries == 1 { "entry" } else { "entries" });
                if !whole {
                    found += ", and more: the rest was not read";
                }
                let check = match unreadable {
                    0 => Check::new("listing", Outcome::Passed, Some(took), found),
                    n => Check::new(
                        "listing",
                        Outcome::Noticed,
                        Some(took),
                        format!("{found}, {n} lines cannot be read"),
                    )
                    .because(Cause {
                        side: Side::Server,
                        text: "the listing has lines in a form that is not known".to_owned(),
                        advice: "report them: port21 ls --parse reads a saved listing".to_owned(),
                    }),
                };
                self.add(check, tell)?;
            }
            Err(error) => {
                let cause = cause::transfer(&error, scene, client.data_resumed());
                self.failed("listing", took, &error, cause, tell)?;
            }
        }
        let resumed = client.data_resumed();
        if let Some(resumed) = resumed {
            let (outcome, found) = match resumed {
                true => (Outcome::Passed, "data connections resume the session of the control connection"),
                false => (
                    Outcome::Noticed,
                    "the server lets no data connection resume the session: each costs a whole handshake",
                ),
            };
            self.add(Check::new("TLS on data", outcome, None, found), tell)?;
        }
        let file = aim.file.or_else(|| first_file.map(|name| remote::join(&aim.directory, &name)));
        match file {
            None => self
                .add(Check::new("download", Outcome::NotTried, None, "there is no file: name one in the URL"), tell)?,
            Some(path) => self.download(client, scene, &path, tell).await?,
        }
        if self.args.write {
            self.upload(client, scene, &aim.directory, tell).await?;
        } else {
            self.add(Check::new("upload", Outcome::NotTried, None, "only with --write"), tell)?;
        }
        Ok(resumed == Some(true))
    }

    /// Whether the URL names a directory or a file.
    async fn aim(&self, client: &mut Client) -> Aim {
        let path = self.place.path();
        let directory = || Aim { directory: path.to_vec(), file: None };
        if path.is_empty() || self.place.target.path.ends_with(b"/") {
            return directory();
        }
        let file = match self.timed(client.stat(path)).await.1 {
            Ok(entry) => entry.kind == EntryKind::File,
            // It cannot say: a file has a size.
            Err(_) => self.timed(client.size(path)).await.1.is_ok(),
        };
        match path.iter().rposition(|&b| b == b'/') {
            _ if !file => directory(),
            Some(at) => {
                Aim { directory: path.get(..at.max(1)).unwrap_or_default().to_vec(), file: Some(path.to_vec()) }
            }
            None => Aim { directory: Vec::new(), file: Some(path.to_vec()) },
        }
    }

    async fn download(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        path: &[u8],
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let (took, read) = self.timed(read(client, path)).await;
        let name = Shown(path);
        match read {
            Ok((bytes, whole)) => {
                let rest = if whole { "" } else { ", of more: the rest was not asked for" };
                let speed = show_size((bytes as f64 / took.as_secs_f64().max(0.000_001)) as u64);
                let found = format!("{name}: {}{rest}, {speed}/s", show_size(bytes));
                self.add(Check::new("download", Outcome::Passed, Some(took), found), tell)
            }
            Err(error) => {
                let cause = cause::transfer(&error, scene, client.data_resumed());
                self.failed("download", took, &error, cause, tell)
            }
        }
    }

    async fn upload(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        directory: &[u8],
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let path = remote::join(directory, self.log.file_name().as_bytes());
        let (took, written) = self.timed(written(client, &path)).await;
        let name = Shown(&path).to_string();
        if let Err(error) = written {
            let cause = cause::transfer(&error, scene, client.data_resumed());
            self.failed("upload", took, &error, cause, tell)?;
            // A part of it may be there.
            let _ = self.timed(client.remove(&path)).await;
            return Ok(());
        }
        let (_, size) = self.timed(client.size(&path)).await;
        let check = match size {
            Ok(size) if size != CONTENT.len() as u64 => Check::new(
                "upload",
                Outcome::Failed(Exit::Verification),
                Some(took),
                format!("{name} has {size} bytes there"),
            )
            .because(Cause {
                side: Side::Server,
                text: format!("{} bytes were sent, and another number arrived", CONTENT.len()),
                advice: "look for a filter that changes files, and for a full disk".to_owned(),
            }),
            _ => Check::new("upload", Outcome::Passed, Some(took), format!("{name}: {} bytes", CONTENT.len())),
        };
        self.add(check, tell)?;
        let (took, removed) = self.timed(client.remove(&path)).await;
        let check = match removed {
            Ok(reply) => Check::new("removal", Outcome::Passed, Some(took), said(&reply)),
            Err(error) => Check::new("removal", Outcome::Noticed, Some(took), client_sentence(&error)).because(Cause {
                side: Side::Server,
                text: format!("the account may write and not remove: {name} is left there"),
                advice: "remove it at the server".to_owned(),
            }),
        };
        self.add(check, tell)
    }

    /// What is told of TLS by sessions of its own: whether the server offers it, or demands that sessions are resumed.
    async fn security(&mut self, scene: &Scene, resumed: bool, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        if scene.secure {
            if resumed {
                self.demand(tell).await?;
            }
            return Ok(());
        }
        // It is to be known whether there is TLS, not who speaks it: nothing secret is said.
        let trust = TlsSettings { insecure: true, ..TlsSettings::default() };
        let settings = self.log.beside(&self.settings).tls(TlsMode::Explicit).tls_settings(trust);
        let (took, client) = self.timed(settings.connect()).await;
        let outcome = if scene.guest { Outcome::Passed } else { Outcome::Noticed };
        let check = match client {
            Ok(client) => {
                let found = format!("offered, and not used: {}", client.protection().unwrap_or_default());
                let _ = client.quit().await;
                let check = Check::new("TLS", outcome, Some(took), found);
                if scene.guest { check } else { check.because(in_clear("say --tls, or write the URL as ftpes://")) }
            }
            Err(error) => {
                let check = Check::new("TLS", outcome, Some(took), format!("not offered: {}", client_sentence(&error)));
                let advice = "switch TLS on at the server: ssl_enable=YES (vsftpd), TLSEngine on (proftpd), --tls=1 \
                    (pure-ftpd), tls.mode (port21)";
                if scene.guest { check } else { check.because(in_clear(advice)) }
            }
        };
        self.add(check, tell)
    }

    /// Whether the server demands that data connections resume the TLS session: tried by one that does not.
    async fn demand(&mut self, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let trust = TlsSettings { no_resumption: true, ..self.settings.tls_settings_of().clone() };
        let settings = self.log.beside(&self.settings).tls_settings(trust);
        let directory = self.place.path().to_vec();
        let attempt = async {
            let mut client = settings.open().await?;
            let listed = listed(&mut client, &directory).await;
            let _ = client.quit().await;
            listed
        };
        let (took, listed) = self.timed(attempt).await;
        let check = match listed {
            Ok(_) => Check::new("TLS reuse", Outcome::Passed, Some(took), "not demanded: any data connection is taken"),
            Err(error) if error.reply().is_some() || matches!(error, Error::Tls { .. } | Error::Transport { .. }) => {
                let found = format!("demanded: without it {}", client_sentence(&error));
                Check::new("TLS reuse", Outcome::Noticed, Some(took), found).because(Cause {
                    side: Side::Server,
                    text: "it takes only data connections that resume the TLS session of the control connection, so that nobody \
                        else can take them over. port21 does, as do curl, lftp and FileZilla; clients that do not fail at \
                        their first listing"
                        .to_owned(),
                    advice: "keep it where all clients can; for those that cannot: require_ssl_reuse=NO (vsftpd), TLSOptions \
                        NoSessionReuseRequired (proftpd), tls.session-reuse = \"prefer\" (port21)"
                        .to_owned(),
                })
            }
            Err(error) => Check::new(
                "TLS reuse",
                Outcome::NotTried,
                Some(took),
                format!("it cannot be told: {}", client_sentence(&error)),
            ),
        };
        self.add(check, tell)
    }

    fn add(&mut self, check: Check, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let told = tell(&check.row());
        self.report.checks.push(check);
        told
    }

    fn failed(
        &mut self,
        step: &'static str,
        took: Duration,
        error: &Error,
        cause: Cause,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<()> {
        let outcome = Outcome::Failed(Exit::of_client(error));
        self.add(Check::new(step, outcome, Some(took), client_sentence(error)).because(cause), tell)
    }

    /// A step, and how long it took. Its phases have limits of their own; all of them together have one too.
    async fn timed<T>(&self, step: impl Future<Output = Result<T, Error>>) -> (Duration, Result<T, Error>) {
        let (began, after) = (Instant::now(), self.limit * 4);
        let result = tokio::time::timeout(after, step).await.unwrap_or_else(|_| {
            Err(Error::Timeout { phase: Phase::Command, what: "it is not over".to_owned(), after })
        });
        (began.elapsed(), result)
    }
}

fn in_clear(advice: &str) -> Cause {
    Cause {
        side: Side::Client,
        text: "the password and the files go in clear text: all who the packets pass can read them".to_owned(),
        advice: advice.to_owned(),
    }
}

/// What came of a listing.
struct Listing {
    entries: usize,
    unreadable: usize,
    /// There is no more.
    whole: bool,
    /// The first file in it.
    file: Option<Vec<u8>>,
}

async fn listed(client: &mut Client, directory: &[u8]) -> Result<Listing, Error> {
    let mut entries = client.list(directory).await?;
    let mut listing = Listing { entries: 0, unreadable: 0, whole: true, file: None };
    while let Some(listed) = entries.next().await {
        match listed? {
            Listed::Entry(entry) => {
                listing.entries += 1;
                if entry.kind == EntryKind::File && listing.file.is_none() {
                    listing.file = entry.safe_name().map(<[u8]>::to_vec);
                }
            }
            Listed::Unreadable(_) => listing.unreadable += 1,
        }
        if listing.entries + listing.unreadable >= MAX_ENTRIES {
            listing.whole = false;
            break;
        }
    }
    Ok(listing)
}

/// Reads a file, or its beginning: how many bytes, and whether that is all.
async fn read(client: &mut Client, path: &[u8]) -> Result<(u64, bool), Error> {
    let mut stream = client.download(path, 0).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).await.map_err(|error| of_stream(error, "read"))? {
            0 => break,
            _ if stream.received() >= MAX_BYTES => {
                let received = stream.received();
                stream.abort().await?;
                return Ok((received, false));
            }
            _ => {}
        }
    }
    let received = stream.received();
    stream.finish().await?;
    Ok((received, true))
}

/// What is uploaded.
const CONTENT: &[u8; 1024] = &[b'.'; 1024];

async fn written(client: &mut Client, path: &[u8]) -> Result<(), Error> {
    let mut stream = client.upload(path, Upload::Whole).await?;
    stream.write_all(CONTENT).await.map_err(|error| of_stream(error, "write"))?;
    stream.finish().await.map(drop)
}

/// The client's own error in a stream's.
fn of_stream(error: std::io::Error, what: &str) -> Error {
    error.downcast::<Error>().unwrap_or_else(|source| Error::Transport {
        phase: Phase::Transfer,
        what: what.to_owned(),
        source,
    })
}

/// Whether a transfer failed because no data connection came to stand.
fn is_of_the_way(error: &Error) -> bool {
    match error {
        Error::Refused { verb: "PORT" | "EPRT", .. } => true,
        Error::Refused { reply, .. } => matches!(reply.code().number(), 425 | 426),
        Error::Timeout { .. } | Error::Transport { .. } | Error::Closed { .. } | Error::ServiceClosing { .. } => true,
        _ => false,
    }
}

/// A reply in one line: its code, and its first or only line.
fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code(), Shown(reply.text().trim_ascii()))
}

fn first_word(line: &[u8]) -> &[u8] {
    line.trim_ascii().split(|b| *b == b' ').next().unwrap_or_default()
}
