//! The server's configuration: its file (TOML), its defaults, and what the command line says over it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use port21_proto::Secret;
use port21_proto::server::SessionSettings;
use port21_server::storage::CommitMode;
use port21_server::{Network, Settings};
use serde::{Deserialize, Deserializer};

use crate::args::client::parse_ports;
use crate::args::serve::{Commit, ListenAddr, ServeArgs};
use crate::exit::Fault;
use crate::remote::is_guest;
use crate::units::deserialize_duration;

/// The default as a file, with every setting explained.
pub(crate) const DEFAULT_FILE: &str = include_str!("default.toml");

/// All settings of `serve`. The file explains each: see [`DEFAULT_FILE`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) listen: Vec<ListenAddr>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) anonymous: bool,
    pub(crate) write: bool,
    #[serde(deserialize_with = "deserialize_commit")]
    pub(crate) commit: CommitMode,
    #[serde(deserialize_with = "deserialize_ports")]
    pub(crate) passive_ports: RangeInclusive<u16>,
    pub(crate) advertise: Option<String>,
    #[serde(deserialize_with = "deserialize_each")]
    pub(crate) local_networks: Vec<Network>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) greeting: String,
    pub(crate) host_name: Option<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
}

/// The table `[timeouts]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Timeouts {
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) login: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) data_open: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) stall: Duration,
    #[serde(deserialize_with = "deserialize_duration")]
    pub(crate) shutdown: Duration,
}

/// The table `[limits]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
}

/// A table `[[user]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct User {
    pub(crate) name: String,
    #[serde(deserialize_with = "deserialize_secret")]
    pub(crate) password: Secret,
    #[serde(default)]
    pub(crate) home: Option<String>,
    /// As the setting for all users, where it is nothing.
    #[serde(default)]
    pub(crate) write: Option<bool>,
}

impl User {
    /// Reads `NAME:PASSWORD`.
    fn from_flag(text: &Secret) -> Result<User, Fault> {
        let wrong = || Fault::usage("--user: write it as NAME:PASSWORD, neither of them empty");
        let colon = text.expose().iter().position(|&b| b == b':').ok_or_else(wrong)?;
        let (name, password) = text.expose().split_at(colon);
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let password = password.get(1..).filter(|password| !password.is_empty()).ok_or_else(wrong)?;
        Ok(User { name: name.to_owned(), password: Secret::new(password), home: None, write: None })
    }
}

impl Default for Config {
    fn default() -> Config {
        let server = Settings::default();
        Config {
            listen: vec![ListenAddr::DEFAULT],
            root: None,
            anonymous: false,
            write: false,
            commit: server.commit,
            passive_ports: server.passive_ports.unwrap_or(61000..=61999),
            advertise: None,
            local_networks: server.local_networks,
            record: None,
            greeting: server.session.greeting,
            host_name: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            users: Vec::new(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let (server, session) = (Settings::default(), SessionSettings::default());
        Timeouts {
            login: session.login_timeout,
            idle: session.idle_timeout,
            data_open: session.data_open_timeout,
            stall: session.stall_timeout,
            shutdown: server.shutdown_grace,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        let server = Settings::default();
        Limits { connections: server.max_connections, connections_per_address: server.max_connections_per_address }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong in one sentence, with the file, the line and the key: exit code 2.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = Config::parse(&text).map_err(|e| Fault::usage(format!("{}:{e}", path.display())))?;
        config.check().map_err(|wrong| {
            let line = wrong.line_in(&text).map(|line| format!("{line}:")).unwrap_or_default();
            Fault::usage(format!("{}:{line} {wrong}", path.display()))
        })?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Config, Mistake> {
        toml::from_str(text).map_err(|error| Mistake::new(text, &error))
    }

    /// What the settings of the file and the flags are together. A directory and nothing else is served to anybody, to
    /// read.
    pub(crate) fn with_flags(args: &ServeArgs) -> anyhow::Result<Config> {
        let mut config = match &args.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(root) = &args.root {
            config.root = Some(root.clone());
        }
        if !args.listen.is_empty() {
            config.listen.clone_from(&args.listen);
        }
        config.anonymous |= args.anonymous;
        config.write |= args.write;
        config.commit = args.commit.map_or(config.commit, CommitMode::from);
        if let Some(ports) = &args.passive_ports {
            config.passive_ports = ports.clone();
        }
        if let Some(networks) = &args.local_networks {
            config.local_networks.clone_from(networks);
        }
        if let Some(greeting) = &args.greeting {
            config.greeting.clone_from(greeting);
        }
        config.advertise = args.advertise.clone().or(config.advertise);
        config.record = args.record.clone().or(config.record);
        config.host_name = args.host_name.clone().or(config.host_name);
        for user in &args.user {
            config.users.push(User::from_flag(user)?);
        }
        if !config.anonymous && config.users.is_empty() {
            if args.config.is_some() {
                bail!(Fault::usage("nobody could log in: set `anonymous = true` or add a [[user]] to the file"));
            }
            config.anonymous = true;
        }
        if config.root.is_none()
            && let Some(listen) = config.listen.iter().find(|listen| listen.is_beyond_loopback())
        {
            bail!(Fault::usage(format!(
                "{} can be reached from other machines: say which directory to serve there, as in `port21 serve DIR \
                 --listen {0}`, or by `root` in the file",
                listen.0
            )));
        }
        config.check().map_err(|wrong| Fault::usage(wrong.to_string()))?;
        Ok(config)
    }

    /// The directory that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone().unwrap_or_else(|| PathBuf::from("."))
    }

    /// What no type can tell.
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key, text: String| Err(Wrong { key, text });
        if self.listen.is_empty() {
            return wrong("listen", "name an address and port, such as \"127.0.0.1:2121\"".to_owned());
        }
        if let Some(root) = &self.root
            && !root.is_dir()
        {
            return wrong("root", format!("{} is no directory: make it, or name another", root.display()));
        }
        if self.greeting.contains(['\r', '\0']) {
            return wrong("greeting", "it holds a CR or NUL".to_owned());
        }
        for (at, user) in self.users.iter().enumerate() {
            if user.name.is_empty() || user.name.contains(['\r', '\n', '\0']) {
                return wrong("user", "a `name` is empty or holds a line end".to_owned());
            }
            if user.password.expose().is_empty() {
                return wrong("user", format!("the `password` of {} is empty", user.name));
            }
            if self.anonymous && is_guest(&user.name) {
                return wrong("user", format!("{} is a guest's name while `anonymous` is on", user.name));
            }
            if self.users.iter().take(at).any(|other| other.name == user.name) {
                return wrong("user", format!("there are two of the `name` {}", user.name));
            }
        }
        Ok(())
    }
}

/// A setting that cannot be as it is.
#[derive(Debug)]
struct Wrong {
    key: &'static str,
    text: String,
}

impl Wrong {
    /// The line that sets it, from 1, where that can be told: users have many.
    fn line_in(&self, file: &str) -> Option<usize> {
        let sets =
            |line: &str| line.trim_start().strip_prefix(self.key).is_some_and(|l| l.trim_start().starts_with('='));
        file.lines().position(sets).map(|line| line + 1)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.text)
    }
}

/// What is wrong in a file: `LINE: sentence with the key`.
#[derive(Debug)]
struct Mistake {
    line: usize,
    key: Option<String>,
    text: String,
}

impl Mistake {
    fn new(text: &str, error: &toml::de::Error) -> Mistake {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.bytes().take(at).filter(|&b| b == b'\n').count();
        // The error quotes an unknown key itself; for a wrong value the key is looked for in the text before it.
        let key = text.lines().take(line + 1).collect::<Vec<_>>().into_iter().rev().find_map(|line| {
            let (key, _) = line.split_once('=')?;
            (!key.trim_start().starts_with(['#', '"', '\''])).then(|| key.trim().to_owned())
        });
        let text = error.message().lines().next().unwrap_or_default().to_owned();
        let key = key.filter(|key| !text.contains(&format!("`{key}`")));
        Mistake { line: line + 1, key, text }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.text)
    }
}

fn deserialize_each<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn deserialize_ports<'de, D: Deserializer<'de>>(from: D) -> Result<RangeInclusive<u16>, D::Error> {
    let text = String::deserialize(from)?;
    parse_ports(&text).map_err(serde::de::Error::custom)
}

fn deserialize_commit<'de, D: Deserializer<'de>>(from: D) -> Result<CommitMode, D::Error> {
    Commit::deserialize(from).map(CommitMode::from)
}

fn deserialize_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_default_file_is_the_default() {
        let file = Config::parse(DEFAULT_FILE).unwrap();
        let listen = vec![":21".parse().unwrap()];
        let want = Config { listen, root: Some("/srv/ftp".into()), anonymous: true, ..Config::default() };
        assert_eq!(file, want);
    }

    #[test]
    fn the_settings_without_a_default_parse_too() {
        let text: String = DEFAULT_FILE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.users.len(), 1);
        assert!(config.advertise.is_some() && config.record.is_some() && config.host_name.is_some());
    }

    #[test]
    fn a_mistake_is_told_with_line_and_key() {
        let text = mistake("anonymous = true\nlisen = [\":21\"]\n");
        assert!(text.starts_with("2: ") && text.contains("`lisen`"), "{text}");
        let text = mistake("\n[timeouts]\nidle = \"soon\"\n");
        assert!(text.starts_with("3: `idle`: `soon` is no duration"), "{text}");
        let text = mistake("write = \"yes\"\n");
        assert!(text.starts_with("1: `write`: "), "{text}");
        let text = mistake("listen = [\n  \"127.0.0.1:21\",\n  \"nowhere\",\n]\n");
        assert!(text.contains("`listen`: `nowhere` is no address"), "{text}");
        let text = mistake("a = = b");
        assert!(text.starts_with("1: "), "{text}");
        let text = mistake("[[user]]\nname = \"a\"\n");
        assert!(text.contains("password"), "{text}");
    }

    #[test]
    fn users_are_checked_and_their_passwords_not_told() {
        let user = |name: &str| format!("[[user]]\nname = \"{name}\"\npassword = \"hunter2\"\n");
        let config = Config::parse(&(user("a") + &user("a"))).unwrap();
        assert!(config.check().unwrap_err().to_string().contains("there are two"));
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(Config::parse(&user("")).unwrap().check().is_err());
        assert!(Config::parse(&("anonymous = true\n".to_owned() + &user("ftp"))).unwrap().check().is_err());
    }
}
