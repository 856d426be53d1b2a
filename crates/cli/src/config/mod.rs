//! The server's configuration: its file (TOML), its defaults, and what the command line says over it.
//!
//! A section of the file is a file here, and its part of the documented default stands beside it (`limits.rs`,
//! `limits.toml`). A further key is a field of the section's struct, its line in [`Default`], its `check` where a type
//! cannot tell all, its line in `apply`, and its key in the `.toml` with meaning, cost, default and danger.
//!
//! | module | what it is |
//! |---|---|
//! | [`site`], [`zone`] | what is served, the greeting, the zone of listings' times |
//! | [`host`] | further sites, by name |
//! | [`listen`] | where |
//! | [`anonymous`], [`accounts`] | for whom; the file of accounts |
//! | [`home`] | directories within what is served |
//! | [`authenticator`] | a program that says who may log in |
//! | [`logins`] | what failed logins lead to |
//! | [`uploads`] | how uploads become files |
//! | [`passive`] | data connections in passive mode |
//! | [`tls`] | whether connections are protected, and with what |
//! | [`proxy`] | proxies in front of the server |
//! | [`timeouts`], [`limits`] | how long, how much |
//! | [`record`] | recordings of sessions |
//! | [`sandbox`] | what the server gives up before it serves |
//! | [`control`], [`log`], [`metrics`], [`hooks`] | what an operator asks, reads, measures and is told |
//! | [`mistake`] | what is wrong in a file, with line and key |

pub(crate) mod accounts;
pub(crate) mod anonymous;
pub(crate) mod authenticator;
pub(crate) mod control;
pub(crate) mod home;
pub(crate) mod hooks;
pub(crate) mod host;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod logins;
pub(crate) mod metrics;
pub(crate) mod mistake;
pub(crate) mod passive;
pub(crate) mod proxy;
pub(crate) mod record;
pub(crate) mod sandbox;
pub(crate) mod site;
pub(crate) mod timeouts;
pub(crate) mod tls;
pub(crate) mod uploads;
pub(crate) mod zone;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use port21_proto::text::Shown;
use port21_server::storage::CommitMode;
use port21_server::{Settings, TlsMode};
use serde::{Deserialize, Deserializer};

pub(crate) use self::accounts::{Accounts, User};
pub(crate) use self::anonymous::Anonymous;
pub(crate) use self::authenticator::Authenticator;
pub(crate) use self::control::Control;
pub(crate) use self::hooks::Hook;
pub(crate) use self::host::Host;
pub(crate) use self::limits::Limits;
pub(crate) use self::listen::Listen;
pub(crate) use self::log::Log;
pub(crate) use self::logins::Logins;
pub(crate) use self::metrics::Metrics;
use self::mistake::{Document, Found, Lines, Mistake};
pub(crate) use self::passive::Passive;
pub(crate) use self::proxy::Proxy;
pub(crate) use self::record::Record;
pub(crate) use self::sandbox::Sandbox;
pub(crate) use self::site::Site;
pub(crate) use self::timeouts::Timeouts;
pub(crate) use self::tls::{Certificate, Tls};
pub(crate) use self::uploads::Uploads;
use crate::args::serve::ServeArgs;
use crate::config::accounts::file::UserFile;
use crate::exit::{Exit, Fault};

/// The default as a file, with every setting explained.
pub(crate) const DEFAULT_FILE: &str = concat!(
    include_str!("head.toml"),
    include_str!("site.toml"),
    include_str!("listen.toml"),
    include_str!("tls.toml"),
    include_str!("anonymous.toml"),
    include_str!("accounts.toml"),
    include_str!("authenticator.toml"),
    include_str!("host.toml"),
    include_str!("logins.toml"),
    include_str!("uploads.toml"),
    include_str!("passive.toml"),
    include_str!("proxy.toml"),
    include_str!("timeouts.toml"),
    include_str!("limits.toml"),
    include_str!("record.toml"),
    include_str!("sandbox.toml"),
    include_str!("log.toml"),
    include_str!("control.toml"),
    include_str!("metrics.toml"),
    include_str!("hooks.toml"),
);

/// All settings of `serve`, a field for each section. The file explains each: see [`DEFAULT_FILE`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    pub(crate) site: Site,
    pub(crate) listen: Vec<Listen>,
    pub(crate) tls: Tls,
    #[serde(rename = "certificate")]
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) anonymous: Anonymous,
    pub(crate) accounts: Accounts,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
    pub(crate) authenticator: Option<Authenticator>,
    #[serde(rename = "host")]
    pub(crate) hosts: Vec<Host>,
    pub(crate) logins: Logins,
    pub(crate) uploads: Uploads,
    pub(crate) passive: Passive,
    pub(crate) proxy: Proxy,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) record: Record,
    pub(crate) sandbox: Sandbox,
    pub(crate) log: Log,
    pub(crate) control: Control,
    pub(crate) metrics: Metrics,
    #[serde(rename = "hook")]
    pub(crate) hooks: Vec<Hook>,
    /// The file that it was read from.
    #[serde(skip)]
    pub(crate) path: Option<PathBuf>,
    /// Whether it is that of a `[[host]]`, of those that [`Config::sites`] gives.
    #[serde(skip)]
    pub(crate) is_host: bool,
    /// Where in the file it is.
    #[serde(skip)]
    pub(crate) lines: Lines,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            site: Site::default(),
            listen: vec![Listen::default()],
            tls: Tls::default(),
            certificates: Vec::new(),
            anonymous: Anonymous::default(),
            accounts: Accounts::default(),
            users: Vec::new(),
            authenticator: None,
            hosts: Vec::new(),
            logins: Logins::default(),
            uploads: Uploads::default(),
            passive: Passive::default(),
            proxy: Proxy::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            record: Record::default(),
            sandbox: Sandbox::default(),
            log: Log::default(),
            control: Control::default(),
            metrics: Metrics::default(),
            hooks: Vec::new(),
            path: None,
            is_host: false,
            lines: Lines::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All that is wrong, each in one sentence with the file, the line and the key: exit code 2.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Config::of_file(path, &text)
    }

    /// What the settings have against the accounts that are kept, of every site: rates that lead to nothing.
    ///
    /// # Errors
    /// Each in one sentence, and what is wrong in the files themselves.
    pub(crate) fn check_accounts(&self) -> anyhow::Result<()> {
        let files: BTreeSet<PathBuf> = self.sites().filter_map(|site| site.accounts.file).collect();
        let mut slow = Vec::new();
        for path in files {
            for entry in UserFile::read(&path)?.users {
                if let Some(key) = entry.rate_below(self.limits.minimum_rate) {
                    let name = Shown(entry.name.as_bytes());
                    slow.push(format!("{}: `{key}` of {name}: {}", path.display(), self.limits.too_slow()));
                }
            }
        }
        if slow.is_empty() { Ok(()) } else { Err(Fault::each(Exit::Usage, slow).into()) }
    }

    fn of_file(path: &Path, text: &str) -> anyhow::Result<Config> {
        let file = path.display().to_string();
        let wrong = |mistakes: Vec<Mistake>| {
            Fault::each(Exit::Usage, mistakes.iter().map(|mistake| mistake.in_file(&file)).collect())
        };
        let mut config = Config { path: Some(path.to_owned()), ..Config::parse(text).map_err(wrong)? };
        config.accounts.beside(path);
        config.hosts.iter_mut().for_each(|host| host.beside(path));
        Ok(config)
    }

    fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
        let document = Document::parse(text)?;
        let (config, mut mistakes) = document.settings::<Config>();
        let checked = config.as_ref().map(Config::check).unwrap_or_default();
        mistakes.extend(checked.into_iter().map(|mistake| document.locate(mistake)));
        mistakes.sort_by_key(Mistake::line);
        match config {
            Some(config) if mistakes.is_empty() => Ok(Config { lines: document.lines(), ..config }),
            _ => Err(mistakes),
        }
    }

    /// What was found out about a setting, in one sentence with the file, the line and the key, as far as it is from there.
    pub(crate) fn tell(&self, mistake: Mistake) -> String {
        let line = mistake.key().and_then(|key| self.lines.of(key));
        match &self.path {
            Some(path) if line.is_some() => mistake.at(line).in_file(&path.display().to_string()),
            _ => mistake.to_string(),
        }
    }

    /// The line that a setting is in; nothing where it is not from a file.
    pub(crate) fn line(&self, key: &str) -> Option<usize> {
        self.lines.of(key)
    }

    /// What the settings of the file and the flags are together. A directory and nothing else is served to anybody, to
    /// read.
    pub(crate) fn with_flags(args: &ServeArgs) -> anyhow::Result<Config> {
        Config::with_flags_and_text(args, None)
    }

    /// As [`Config::with_flags`], where somebody has read the file already.
    pub(crate) fn with_flags_and_text(args: &ServeArgs, text: Option<&str>) -> anyhow::Result<Config> {
        let mut config = match (&args.config, text) {
            (Some(path), Some(text)) => Config::of_file(path, text)?,
            (Some(path), None) => Config::read(path)?,
            (None, _) => Config::default(),
        };
        if let Some(root) = &args.root {
            config.site.root = Some(root.clone());
        }
        if !args.listen.is_empty() {
            config.listen = args.listen.iter().copied().map(Listen::from).collect();
        }
        config.tls.mode = args.tls.unwrap_or(config.tls.mode);
        if let (Some(chain), Some(key)) = (&args.cert, &args.key) {
            config.certificates = vec![Certificate { chain: chain.clone(), key: key.clone() }];
            config.lines.forget("certificate");
        }
        config.anonymous.enabled |= args.anonymous;
        config.accounts.write |= args.write;
        if args.users.is_some() {
            config.accounts.file.clone_from(&args.users);
        }
        config.uploads.commit = args.commit.map_or(config.uploads.commit, CommitMode::from);
        if let Some(ports) = &args.passive_ports {
            config.passive.ports = ports.clone();
        }
        if let Some(networks) = &args.local_networks {
            config.passive.local_networks.clone_from(networks);
        }
        if let Some(greeting) = &args.greeting {
            config.site.greeting.clone_from(greeting);
        }
        if let Some(host) = &args.advertise {
            config.passive.advertise = Some(host.clone());
            config.lines.forget("passive");
        }
        config.sandbox.mode = args.sandbox.unwrap_or(config.sandbox.mode);
        config.record.directory = args.record.clone().or(config.record.directory);
        config.control.socket = args.socket.clone().or(config.control.socket);
        config.site.host_name = args.host_name.clone().or(config.site.host_name);
        for user in &args.user {
            config.users.push(User::from_flag(user)?);
        }
        if !config.anonymous.enabled && config.hosts.is_empty() && !config.has_accounts() {
            if let Some(file) = &args.config {
                bail!(Fault::usage(format!(
                    "nobody could log in: `port21 user add NAME --config {}`, or set `enabled = true` in [anonymous]",
                    file.display()
                )));
            }
            config.anonymous.enabled = true;
        }
        if config.site.root.is_none()
            && let Some(listen) = config.listen.iter().find(|listen| listen.address.is_beyond_loopback())
        {
            bail!(Fault::usage(format!(
                "{} can be reached from other machines: say which directory to serve there, as in `port21 serve DIR \
                 --listen {0}`, or by `root` in the file",
                listen.address.0
            )));
        }
        let mistakes = config.check();
        if !mistakes.is_empty() {
            bail!(Fault::each(Exit::Usage, mistakes.iter().map(ToString::to_string).collect()));
        }
        Ok(config)
    }

    /// Whether there is any account but the guests', or may be.
    pub(crate) fn has_accounts(&self) -> bool {
        !self.users.is_empty() || self.accounts.is_kept() || self.authenticator.is_some()
    }

    /// Whether anybody may log in at this site, or may come to; a file of accounts need not be there yet.
    pub(crate) fn has_anybody(&self) -> bool {
        let named = self.accounts.file.is_some() || self.authenticator.is_some();
        self.anonymous.enabled || !self.users.is_empty() || named
    }

    /// The name of this site, where it is one of `[[host]]`: see [`Config::sites`]. As sessions tell it.
    pub(crate) fn host(&self) -> Option<&str> {
        let name = self.site.names.first().filter(|_| self.is_host)?;
        Some(name.strip_suffix('.').unwrap_or(name))
    }

    /// The directory that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.site.root.clone().unwrap_or_else(|| PathBuf::from("."))
    }

    /// The settings of each site: of the one to begin with, and then of each `[[host]]`.
    pub(crate) fn sites(&self) -> impl Iterator<Item = Config> {
        let first = Config { hosts: Vec::new(), ..self.clone() };
        std::iter::once(first).chain(self.hosts.iter().map(|host| host.config(self)))
    }

    /// The settings of the site that another configuration tells by this [`Config::host`]: the one to begin with, or a
    /// `[[host]]` that has this among its names.
    pub(crate) fn site_now(&self, host: Option<&str>) -> Option<Config> {
        let is = |name: &String, host: &str| name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(host);
        self.sites().find(|site| match (host, site.host()) {
            (None, None) => true,
            (Some(host), Some(_)) => site.site.names.iter().any(|name| is(name, host)),
            _ => false,
        })
    }

    /// What is done about TLS at a place.
    pub(crate) fn tls_at(&self, listen: &Listen) -> TlsMode {
        listen.tls.unwrap_or(self.tls.mode).into()
    }

    /// A place to listen at, as the library takes it.
    pub(crate) fn place(&self, listen: &Listen) -> port21_server::Listen {
        port21_server::Listen::from(listen.address.0).with_tls(self.tls_at(listen))
    }

    /// As the library takes them; `advertise` is not resolved.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        self.site.apply(&mut settings);
        self.anonymous.apply(&mut settings);
        self.logins.apply(&mut settings);
        self.uploads.apply(&mut settings);
        self.passive.apply(&mut settings);
        self.proxy.apply(&mut settings);
        self.timeouts.apply(&mut settings);
        self.tls.apply(&mut settings);
        self.limits.apply(&mut settings);
        settings
    }

    /// What no type can tell: of each section, and of sections together.
    fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut found = Found::new(&mut mistakes);
        self.site.check(&mut found.within("site"));
        self.tls.check(&mut found.within("tls"));
        self.anonymous.check(&mut found.within("anonymous"));
        self.limits.check(&mut found.within("limits"));
        self.timeouts.check(&mut found.within("timeouts"));
        self.limits.check_guests(&self.anonymous, &mut found.within("anonymous"));
        if let Some(authenticator) = &self.authenticator {
            authenticator.check(&mut found.within("authenticator"));
        }
        self.logins.check(&mut found.within("logins"));
        self.sandbox.check(&mut found.within("sandbox"));
        if self.listen.is_empty() {
            found.at("listen", "name an address and port, such as \"127.0.0.1:2121\"");
        }
        accounts::check_users(&self.users, &self.anonymous, &mut found);
        for (at, host) in self.hosts.iter().enumerate() {
            host.check(self, &mut found.nth("host", at));
        }
        host::check_names(self, &mut found);
        self.passive.check(&mut found.within("passive"));
        self.record.check(&mut found.within("record"));
        self.log.check(&mut found.within("log"));
        for (at, listen) in self.listen.iter().enumerate() {
            // Any that is free may be asked for twice.
            if listen.address.0.port() != 0 && self.listen.iter().take(at).any(|other| other.address == listen.address)
            {
                found.nth("listen", at).at("address", format!("{} is named twice", listen.address.0));
            }
            if listen.name.is_some() && self.listen.iter().take(at).any(|other| other.name == listen.name) {
                found.nth("listen", at).at("name", "two places have this name");
            }
        }
        for (at, hook) in self.hooks.iter().enumerate() {
            let mut found = found.nth("hook", at);
            hook.check(&mut found);
        }
        mistakes
    }

    /// What is not as it was, but can only be changed by a restart.
    pub(crate) fn restart_needed(&self, before: &Config) -> Vec<String> {
        let keys = [
            ("record", self.record == before.record),
            ("control.socket", self.control == before.control),
            ("metrics.listen", self.metrics == before.metrics),
            ("log.format", self.log.format == before.log.format),
            ("log.file", self.log.file == before.log.file),
            ("log.xferlog", self.log.xferlog == before.log.xferlog),
            ("logins.keep-bans", self.logins.keep_bans == before.logins.keep_bans),
            ("sandbox", self.sandbox == before.sandbox),
        ];
        let changed = keys.iter().filter(|(_, same)| !same);
        changed.map(|(key, _)| format!("`{key}` has changed: restart needed")).collect()
    }
}

/// A value that is written as text.
fn deserialize_from_str<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// A list of values that are written as text.
fn deserialize_each<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod keys;

#[cfg(test)]
mod tests {
    use super::*;

    /// The file without what names a directory that is not on every machine.
    fn default_file() -> String {
        DEFAULT_FILE.replace("/srv/ftp", "/").replace("/srv/customer", "/")
    }

    #[test]
    fn the_default_file_is_the_default() {
        let file = Config::parse(&default_file()).unwrap();
        let lines = file.lines.clone();
        let mut want = Config { listen: vec![Listen::at(":21".parse().unwrap())], lines, ..Config::default() };
        want.site.root = Some("/".into());
        want.control.socket = Some("/run/port21/control.sock".into());
        assert_eq!(file, want);
    }

    #[test]
    fn the_settings_without_a_default_parse_too() {
        let text: String = default_file()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            // A hook is a program or a URL.
            .filter(|line: &String| !line.starts_with("url = ") && !line.starts_with("ca = "))
            .collect();
        let config = Config::parse(&text).unwrap();
        assert_eq!(
            config.authenticator,
            toml::from_str("program = ['/usr/local/libexec/port21-login', '--realm', 'staff']").ok()
        );
        assert_eq!((config.users.len(), config.hosts.len()), (1, 1));
        assert!(config.passive.advertise.is_some() && config.record.directory.is_some());
        assert!(config.metrics.listen.is_some() && config.hooks.len() == 1);
        assert_eq!(Config::default().restart_needed(&config).len(), 7);
    }

    #[test]
    fn rates_that_lead_to_nothing_are_told() {
        let told = |rate: &str, least: &str| {
            let text = format!(
                "[anonymous]\nsession-rate-up = \"{rate}\"\n[limits]\nminimum-rate = {least}\n[[host]]\n\
                 names = [\"a.example\"]\nroot = \"/\"\n\
                 anonymous = {{ enabled = true, rate-down = \"{rate}\" }}\n"
            );
            let mistakes = Config::parse(&text).err().unwrap_or_default();
            mistakes.iter().map(|mistake| mistake.in_file("f")).collect::<Vec<_>>()
        };
        assert_eq!(told("2KiB", "2048"), Vec::<String>::new());
        let mistakes = told("2KiB", "2049");
        assert!(mistakes[0].starts_with("f:2: `anonymous.session-rate-up`: ") && mistakes[0].contains("2049"));
        assert!(mistakes[1].starts_with("f:8: `host.anonymous.rate-down`: "), "{mistakes:?}");
    }

    #[test]
    fn users_are_checked_and_their_passwords_not_told() {
        let user = |name: &str| format!("[[user]]\nname = \"{name}\"\npassword = \"hunter2\"\n");
        let told = |text: &str| format!("{:?}", Config::parse(text));
        assert!(told(&(user("a") + &user("a"))).contains("there are two"));
        assert!(!told(&user("a")).contains("hunter2") && told(&user("a")).starts_with("Ok"));
        assert!(told(&user("")).starts_with("Err"));
        assert!(told(&("[anonymous]\nenabled = true\n".to_owned() + &user("ftp"))).starts_with("Err"));
    }

    #[test]
    fn what_would_let_nobody_in_or_say_nothing_is_a_mistake() {
        for (text, key) in [
            ("[log]\nlevel = \"warning\"\n", "log.level"),
            ("[log]\nlevel = \"loud,info\"\n", "log.level"),
            ("[record]\nmax-size = \"1000KiB\"\n", "record.max-size"),
            ("[record]\nkeep = \"0s\"\n", "record.keep"),
            ("[limits]\nconnections = 0\n", "limits.connections"),
            ("[limits]\nconnections-per-address = 0\n", "limits.connections-per-address"),
            ("[timeouts]\nlogin = \"0s\"\n", "timeouts.login"),
            ("[timeouts]\nstall = \"0s\"\n", "timeouts.stall"),
            ("[proxy]\ntrusted = [\"10.1.2.3/8\"]\n", "proxy.trusted"),
        ] {
            let mistakes = Config::parse(text).unwrap_err().iter().map(|m| m.in_file("f")).collect::<String>();
            assert!(mistakes.contains(&format!("`{key}`")), "{mistakes}");
        }
        for level in ["warn", "off", "info,port21_server=debug", "port21_server::data=trace"] {
            assert_eq!(Config::parse(&format!("[log]\nlevel = \"{level}\"\n")).unwrap().log.level, level);
        }
    }
}
