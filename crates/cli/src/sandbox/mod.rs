//! What the server can still do once it serves: little more than serving.
//!
//! The process that talks to strangers gives up what it does not need before it hears the first of them: root and all
//! capabilities but the one that active mode's source port takes, every file but those it serves and keeps, every system
//! call that a file server has no use for. `SECURITY.md` says against what.
//!
//! All of this is a property of threads, and is inherited by threads that begin later. So it happens in `main`, on the
//! only thread that there is, after the listeners are bound and before the runtime is built.
//!
//! | module | what it is |
//! |---|---|
//! | [`places`] | which files and directories the server needs |
//! | [`steering`] | which of its own settings, keys and programs it could change there, and must not |
//! | [`linux`] | the steps, in their order |
//! | [`identity`] | user, groups, capabilities |
//! | [`files`] | Landlock |
//! | [`calls`] | seccomp |

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod files;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod identity;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "elsewhere.rs"]
mod linux;
mod places;
mod steering;

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, bail};

pub(crate) use self::linux::keep_from_programs;
use self::linux::{Identity, Steps};
use self::places::{Access, Grant};
use crate::config::Config;
use crate::config::mistake::Mistake;
use crate::config::sandbox::Mode;
use crate::exit::{Exit, Fault};

/// The sandbox of a server that has bound its listeners, before it is closed.
pub(crate) struct Sandbox {
    mode: Mode,
    steps: Option<Steps>,
    grants: Vec<Grant>,
    /// What steers the server and is within its own reach.
    steering: Vec<String>,
    passive_ports: Option<RangeInclusive<u16>>,
}

/// The sandbox of a server that serves, as far as a new configuration may run into it.
#[derive(Clone, Debug)]
pub(crate) struct Confined {
    /// Nothing where there is no sandbox.
    grants: Option<Vec<Grant>>,
    mode: Mode,
    /// The only ones that there can be, where that is so.
    passive_ports: Option<RangeInclusive<u16>>,
}

/// What the sandbox of this process lets through: there is one, as it is closed for good.
static CLOSED: OnceLock<Vec<Grant>> = OnceLock::new();

/// Whether a directory can be served from behind the sandbox of this process, if it has one.
///
/// # Errors
/// Where it is outside, or `write` is wanted and it can only be read: then nothing in it could be opened in that way.
pub(crate) fn check_home(home: &Path, write: bool) -> anyhow::Result<()> {
    let Some(grants) = CLOSED.get() else { return Ok(()) };
    let path = home.canonicalize().with_context(|| format!("cannot serve {}", home.display()))?;
    let why = match () {
        () if !places::covers(grants, &path, Access::Read) => "is outside of the sandbox",
        () if write && !places::covers(grants, &path, Access::Write) => "can only be read from within the sandbox",
        () => return Ok(()),
    };
    bail!(Fault::new(Exit::Local, format!("{} {why}: restart needed", path.display())));
}

impl Confined {
    /// Whether there is a sandbox.
    pub(crate) fn is_on(&self) -> bool {
        self.grants.is_some()
    }

    /// What a configuration asks for that was given up, in one sentence each.
    pub(crate) fn forbids(&self, config: &Config) -> Vec<String> {
        let Some(grants) = &self.grants else { return Vec::new() };
        let mut forbidden = match places::needed(config) {
            Ok(needed) => {
                let outside = needed.iter().filter(|grant| !places::covers(grants, &grant.path, grant.access));
                outside
                    .map(|grant| format!("{} is outside of the sandbox: restart needed", grant.path.display()))
                    .collect()
            }
            Err(error) => vec![format!("{error:#}")],
        };
        let wanted = &config.passive.ports;
        if self.passive_ports.as_ref().is_some_and(|may| !may.contains(wanted.start()) || !may.contains(wanted.end())) {
            forbidden.push("`passive.ports` has ports that are outside of the sandbox: restart needed".to_owned());
        }
        let steering = steering::within_reach(config, grants);
        match self.mode {
            Mode::Require => forbidden.extend(steering.into_iter().map(required)),
            _ => steering.iter().for_each(|told| tracing::warn!("sandbox: {told}")),
        }
        forbidden
    }
}

impl Sandbox {
    /// Looks up and opens what the sandbox is made of, with the rights that the process has now. `bound` is where it
    /// listens.
    ///
    /// # Errors
    /// Where the configuration names a user or a place that is not there.
    pub(crate) fn new(config: &Config, bound: &[SocketAddr]) -> anyhow::Result<Sandbox> {
        let mode = config.sandbox.mode;
        if mode == Mode::Off {
            return Ok(Sandbox { mode, steps: None, grants: Vec::new(), steering: Vec::new(), passive_ports: None });
        }
        let identity = Identity::wanted(&config.sandbox)?;
        places::make_own(config, identity.as_ref())?;
        let grants = places::needed(config)?;
        let steps = Steps::new(config, identity, bound, &grants);
        let passive_ports = steps.keep_low_ports().then(|| config.passive.ports.clone());
        let steering = steering::within_reach(config, &grants);
        Ok(Sandbox { mode, steps: Some(steps), grants, steering, passive_ports })
    }

    /// What [`Sandbox::close`] would bring about for a server that listens there. Nothing is made.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub(crate) fn expect(config: &Config, bound: &[SocketAddr]) -> anyhow::Result<Safeguards> {
        if config.sandbox.mode == Mode::Off {
            let mut off = Safeguards::default();
            off.lacks("it is off: set `mode` in [sandbox]");
            return Ok(off);
        }
        let identity = Identity::wanted(&config.sandbox)?;
        let grants = places::needed(config)?;
        let mut safeguards = Steps::new(config, identity, bound, &grants).expect();
        safeguards.lacks.extend(steering::within_reach(config, &grants));
        Ok(safeguards)
    }

    /// Gives everything else up, for good, and logs what was given up. To be called while there is one thread.
    ///
    /// # Errors
    /// Where `require` asks for more than this system can.
    pub(crate) fn close(self) -> anyhow::Result<Confined> {
        let Some(steps) = self.steps else {
            tracing::warn!("no sandbox: the server keeps all rights that it was started with");
            return Ok(Confined { grants: None, mode: self.mode, passive_ports: None });
        };
        let mut safeguards = steps.enforce()?;
        safeguards.lacks.extend(self.steering);
        if self.mode == Mode::Require && !safeguards.lacks.is_empty() {
            bail!(Fault::each(Exit::Local, safeguards.lacks.into_iter().map(required).collect()));
        }
        tracing::info!("sandbox: {safeguards}");
        for lack in &safeguards.lacks {
            tracing::warn!("sandbox: {lack}");
        }
        // It is closed once in a process.
        let _ = CLOSED.set(self.grants.clone());
        Ok(Confined { grants: Some(self.grants), mode: self.mode, passive_ports: self.passive_ports })
    }
}

/// What stands against a start where all of the sandbox is asked for.
pub(crate) fn required(lack: String) -> String {
    format!("`sandbox.mode` is \"require\": {lack}")
}

/// Whom a server of this configuration becomes, by numbers; nobody where it stays who it is.
///
/// # Errors
/// Where the configuration names somebody who is not there.
pub(crate) fn service_user(config: &Config) -> anyhow::Result<Option<(u32, u32)>> {
    if config.sandbox.mode == Mode::Off {
        return Ok(None);
    }
    Ok(Identity::wanted(&config.sandbox)?.map(|identity| identity.numbers()))
}

/// What is wrong with whom the server is to become: somebody whom this machine does not have.
pub(crate) fn unknown_user(config: &Config) -> Option<Mistake> {
    let unknown = (config.sandbox.mode != Mode::Off).then(|| Identity::unknown(&config.sandbox)).flatten();
    unknown.map(|(key, text)| Mistake::of_key(key, text))
}

/// What keeps a server from doing more than serving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Safeguards {
    /// In the order in which they came to be.
    pub(crate) has: Vec<String>,
    /// What there could be, and what to do for it.
    pub(crate) lacks: Vec<String>,
}

impl Safeguards {
    fn has(&mut self, what: impl Into<String>) {
        self.has.push(what.into());
    }

    fn lacks(&mut self, what: impl Into<String>) {
        self.lacks.push(what.into());
    }
}

impl fmt::Display for Safeguards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.has.join("; "))
    }
}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;
