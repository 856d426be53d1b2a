//! What is tried, in order. Each step is bounded, and what does not depend on one that failed is tried all the same.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use port21_client::{Builder, Client, Error, Features, Phase, Reply};
use port21_proto::text::Shown;
use tokio::task::JoinSet;

use super::cause::{self, Scene};
use super::log::Log;
use super::report::{Cause, Check, Outcome, Report, Side};
use crate::args::client::DoctorArgs;
use crate::exit::{Exit, client_sentence};
use crate::netrc::is_guest;
use crate::place::Place;
use crate::remote;

/// How long each step may take, where nothing is said.
const LIMIT: Duration = Duration::from_secs(10);
pub(super) struct Walk<'a> {
    pub(super) place: &'a Place,
    pub(super) args: &'a DoctorArgs,
    pub(super) log: &'a Log,
    pub(super) settings: Builder,
    limit: Duration,
    report: Report,
}

pub(super) type Tell<'t> = dyn FnMut(&str) -> anyhow::Result<()> + 't;

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
            guest: is_guest(&user),
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

    pub(super) fn add(&mut self, check: Check, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let told = tell(&check.row());
        self.report.checks.push(check);
        told
    }

    pub(super) fn failed(
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
    pub(super) async fn timed<T>(&self, step: impl Future<Output = Result<T, Error>>) -> (Duration, Result<T, Error>) {
        let (began, after) = (Instant::now(), self.limit * 4);
        let result = tokio::time::timeout(after, step).await.unwrap_or_else(|_| {
            Err(Error::Timeout { phase: Phase::Command, what: "it is not over".to_owned(), after })
        });
        (began.elapsed(), result)
    }
}

/// A reply in one line: its code, and its first or only line.
pub(super) fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code(), Shown(reply.text().trim_ascii()))
}

fn first_word(line: &[u8]) -> &[u8] {
    line.trim_ascii().split(|b| *b == b' ').next().unwrap_or_default()
}
