//! What the configuration names: all that the helper does for the server.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::args::serve::ServeArgs;
use crate::config::Config;

/// Programs, files and hosts of one configuration. A further setting that names one has a line in [`Named::by`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Each with its arguments.
    pub(super) programs: Vec<Vec<String>>,
    pub(super) files: Vec<PathBuf>,
    pub(super) hosts: Vec<String>,
}

impl Named {
    pub(super) fn by(args: &ServeArgs, config: &Config) -> Named {
        let urls = config.hooks.iter().filter_map(|hook| hook.url.as_ref()?.host_str().map(str::to_owned));
        let is_name = |host: &String| host.parse::<IpAddr>().is_err();
        let of_hosts = config.hosts.iter().filter_map(|host| host.authenticator.as_ref());
        let authenticators = config.authenticator.iter().chain(of_hosts).map(|authenticator| &authenticator.program);
        Named {
            programs: config
                .hooks
                .iter()
                .map(|hook| &hook.program)
                .chain(authenticators)
                .filter(|program| !program.is_empty())
                .cloned()
                .collect(),
            files: args
                .config
                .clone()
                .into_iter()
                .chain(config.accounts.file.clone())
                .chain(config.hosts.iter().filter_map(|host| host.accounts.file.clone()))
                .chain(config.tls_files())
                .chain(config.hooks.iter().filter_map(|hook| hook.ca.clone()))
                .collect(),
            hosts: config.passive.advertise.clone().into_iter().chain(urls).filter(is_name).collect(),
        }
    }
}

/// What is named at this moment.
#[derive(Debug)]
pub(super) struct Names {
    /// By the configuration that is in force.
    in_force: Named,
    /// By the one that was read last, which the server may take or refuse.
    newest: Named,
    /// The programs of the one before, and until when they may be run.
    leaving: Option<(Vec<Vec<String>>, Instant)>,
}

/// How long hooks of an earlier configuration may go on.
const LEAVING: Duration = Duration::from_secs(600);

impl Names {
    pub(super) fn new(named: Named) -> Names {
        Names { in_force: named.clone(), newest: named, leaving: None }
    }

    pub(super) fn has_read(&mut self, named: Named) {
        self.newest = named;
    }

    pub(super) fn adopt(&mut self) {
        let before = std::mem::replace(&mut self.in_force, self.newest.clone());
        self.leaving = Some((before.programs, Instant::now() + LEAVING));
    }

    pub(super) fn program(&self, program: &[String]) -> bool {
        let leaving = self.leaving.iter().filter(|(_, until)| Instant::now() < *until).map(|(programs, _)| programs);
        self.either().map(|named| &named.programs).chain(leaving).flatten().any(|one| one == program)
    }

    pub(super) fn file(&self, path: &Path) -> bool {
        // As it is written: `Path` would take `a/./b` for `a/b`.
        self.either().any(|named| named.files.iter().any(|one| one.as_os_str() == path.as_os_str()))
    }

    /// Whether it is a program, with whichever arguments: it may be looked at, and not read.
    pub(super) fn is_run(&self, path: &Path) -> bool {
        let mut programs = self.either().flat_map(|named| &named.programs);
        programs.any(|program| program.first().is_some_and(|name| Path::new(name).as_os_str() == path.as_os_str()))
    }

    pub(super) fn host(&self, host: &str) -> bool {
        self.either().any(|named| named.hosts.iter().any(|one| one == host))
    }

    fn either(&self) -> impl Iterator<Item = &Named> {
        [&self.in_force, &self.newest].into_iter()
    }
}
