//! `[accounts]` and `[[user]]`: who may log in by a name of their own.
//!
//! | module | what it is |
//! |---|---|
//! | [`mod@file`] | the file of accounts, `users.toml`: read, locked, written so that a crash leaves the old or the new one |
//! | [`entry`] | one account as that file has it |

pub(crate) mod entry;
pub(crate) mod file;

use std::path::{Path, PathBuf};

use port21_proto::Secret;
use serde::{Deserialize, Deserializer};

use crate::config::Anonymous;
use crate::config::mistake::Found;
use crate::exit::Fault;
use crate::netrc::is_guest;
use crate::text::Text;
use crate::units::Umask;

/// The keys of the section; `accounts.toml` explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Accounts {
    pub(crate) write: bool,
    /// As read from a file it is never nothing: see [`Accounts::beside`].
    pub(crate) file: Option<PathBuf>,
}

/// The keys of a table `[[user]]`.
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
    /// As that of all uploads, where it is nothing.
    #[serde(default)]
    pub(crate) umask: Option<Text<Umask>>,
}

/// The file of accounts where none is named.
const UNNAMED: &str = "users.toml";

impl Accounts {
    /// Whether this is what the file of accounts is without being named: it need not be there.
    pub(crate) fn is_unnamed(file: &Path, config: &Path) -> bool {
        file == config.parent().unwrap_or(Path::new("")).join(UNNAMED)
    }

    /// The file of accounts is in the directory of the configuration, unless it says where.
    pub(super) fn beside(&mut self, config: &Path) {
        let file = self.file.take().unwrap_or_else(|| UNNAMED.into());
        self.file = Some(config.parent().unwrap_or(Path::new("")).join(file));
    }

    /// Whether there is such a file: somebody may be in it.
    pub(crate) fn is_kept(&self) -> bool {
        // One that cannot be looked at is there.
        self.file.as_ref().is_some_and(|file| file.try_exists().unwrap_or(true))
    }
}

impl User {
    /// Reads `NAME:PASSWORD`.
    pub(super) fn from_flag(text: &Secret) -> Result<User, Fault> {
        let wrong = || Fault::usage("--user: write it as NAME:PASSWORD, neither of them empty");
        let colon = text.expose().iter().position(|&b| b == b':').ok_or_else(wrong)?;
        let (name, password) = text.expose().split_at(colon);
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let password = password.get(1..).filter(|password| !password.is_empty()).ok_or_else(wrong)?;
        Ok(User { name: name.to_owned(), password: Secret::new(password), home: None, write: None, umask: None })
    }

    pub(super) fn check(&self, found: &mut Found<'_>) {
        if self.name.is_empty() || self.name.contains(['\r', '\n', '\0']) {
            found.at("name", "it is empty or holds a line end");
        }
        if self.password.expose().is_empty() {
            found.at("password", "it is empty");
        }
    }
}

/// The users of one site, each and all together.
pub(super) fn check_users(users: &[User], guests: &Anonymous, found: &mut Found<'_>) {
    for (at, user) in users.iter().enumerate() {
        let mut found = found.nth("user", at);
        user.check(&mut found);
        if guests.enabled && is_guest(&user.name) {
            found.at("name", format!("{} is a guest's name while [anonymous] is enabled", user.name));
        }
        if users.iter().take(at).any(|other| other.name == user.name) {
            found.at("name", format!("there are two users of the name {}", user.name));
        }
    }
}

fn deserialize_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}
