//! `[logins]`: what failed logins lead to, and what a login may cost.

use std::path::PathBuf;
use std::time::Duration;

use port21_server::account::guard::GuardSettings;
use port21_server::account::password::Passwords;
use port21_server::{Network, Settings};
use serde::Deserialize;

use super::deserialize_each;
use super::mistake::Found;
use crate::units::deserialize_duration;

/// The keys of the section; `logins.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Logins {
    pub(crate) tries: u32,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) delay: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) max_delay: Duration,
    pub(crate) address_failures: u32,
    pub(crate) account_failures: u32,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) window: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) ban: Duration,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) exempt: Vec<Network>,
    pub(crate) keep_bans: Option<PathBuf>,
    pub(crate) hashes_at_a_time: Option<usize>,
    pub(crate) hashes_waiting: usize,
}

impl Default for Logins {
    fn default() -> Logins {
        let (server, guard) = (Settings::default(), GuardSettings::default());
        Logins {
            tries: server.session.login_tries,
            delay: guard.delay,
            max_delay: guard.max_delay,
            address_failures: guard.address_failures,
            account_failures: guard.account_failures,
            window: guard.window,
            ban: guard.ban,
            exempt: guard.exempt,
            keep_bans: None,
            hashes_at_a_time: None,
            hashes_waiting: 256,
        }
    }
}

impl Logins {
    pub(super) fn apply(&self, settings: &mut Settings) {
        settings.session.login_tries = self.tries;
        settings.guard = GuardSettings {
            address_failures: self.address_failures,
            account_failures: self.account_failures,
            window: self.window,
            ban: self.ban,
            delay: self.delay,
            max_delay: self.max_delay,
            exempt: self.exempt.clone(),
        };
    }

    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.tries == 0 {
            found.at("tries", "with 0 nobody could log in: 3 is usual");
        }
        if let Some(file) = self.keep_bans.as_ref().filter(|file| file.file_name().is_none() || file.is_dir()) {
            found.at("keep-bans", format!("{} is no file: name one in a directory of its own", file.display()));
        }
        if self.hashes_at_a_time == Some(0) {
            found.at("hashes-at-a-time", "with 0 no account could log in: leave it out, or write 1 or more");
        }
    }

    /// The file that bans are kept in: the one that is named, or one in the service's own directory, where systemd has
    /// made one. There it has a directory for itself, as the server may write in it, and the key of the self-signed
    /// certificate is beside that.
    pub(crate) fn bans_file(&self) -> Option<PathBuf> {
        let own = || {
            let dirs = std::env::var_os("STATE_DIRECTORY")?;
            let dir = std::env::split_paths(&dirs).next().filter(|dir| dir.is_absolute())?;
            Some(dir.join("bans/bans.json"))
        };
        self.keep_bans.clone().or_else(own)
    }

    /// What checks passwords.
    pub(crate) fn passwords(&self) -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords::new(self.hashes_at_a_time.unwrap_or(cores.div_ceil(2)), self.hashes_waiting)
    }
}
