//! Accounts that a program of the operator's knows.
//!
//! Each login is one run of it: a JSON object in, with what was tried, and one out, with what the account is. Whatever goes
//! wrong with that lets nobody in. Nothing of the answer's values is logged, nor of what was tried but the name: a program
//! that is not well may answer with the password that it was given.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, anyhow, bail, ensure};
use port21_proto::server::LoginError;
use port21_proto::text::Shown;
use port21_server::storage::BoxFuture;
use port21_server::{Account, Attempt, Authenticator};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::account::Common;
use crate::config::accounts::entry::Entry;
use crate::config::authenticator::{Authenticator as Settings, Topic};
use crate::exit::sentence;
use crate::helper::{Ended, Helper};

/// The most accounts whose homes are kept open, and whose counts of quotas are kept, for their next login: each holds a
/// descriptor.
const KEPT: usize = 256;

/// Asks a program who may log in.
pub(crate) struct External {
    settings: Settings,
    /// The site that it decides for; nothing: the one to begin with.
    site: Option<String>,
    /// Who runs it: behind the sandbox the server itself cannot.
    helper: Helper,
    turns: Semaphore,
    accounts: Arc<Accounts>,
}

/// The accounts that were answered last.
struct Accounts {
    common: Common,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By name; each with the number of its last login.
    by_name: HashMap<String, (u64, Entry, Account)>,
    logins: u64,
}

/// What the program is told.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Question<'a> {
    user: &'a str,
    password: &'a str,
    peer: IpAddr,
    tls: bool,
    /// The name of a `[[host]]`; null for `[site]`.
    site: Option<&'a str>,
    /// Of the host that the client meant, by SNI.
    server_name: Option<&'a str>,
    certificate: Option<Certificate<'a>>,
}

/// The client's, verified by an authority that the configuration names.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Certificate<'a> {
    fingerprint: &'a str,
    common_name: Option<&'a str>,
    names: &'a [String],
}

impl External {
    /// Nothing is run yet.
    pub(crate) fn new(settings: Settings, site: Option<String>, helper: Helper, common: Common) -> External {
        let turns = Semaphore::new(settings.at_once);
        External { settings, site, helper, turns, accounts: Arc::new(Accounts { common, kept: Mutex::default() }) }
    }

    async fn judge(&self, attempt: Attempt<'_>) -> Result<Account, LoginError> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        // JSON has text and nothing else: who sends other bytes has no account here.
        let (Some(user), Some(password)) = (text(attempt.user), text(attempt.password.expose())) else {
            return Err(LoginError::Refused);
        };
        let entry = Entry { name: user.to_owned(), ..Entry::default() };
        if entry.mistake().is_some() {
            return Err(LoginError::Refused);
        }
        let answer = match timeout(self.settings.timeout, self.ask(user, password, attempt)).await {
            Ok(Ok(ended)) => self.read(entry, &ended),
            Ok(Err(error)) => Err(anyhow!(error).context("it could not be run")),
            Err(_) => Err(anyhow!("it took longer than its `timeout`")),
        };
        let entry = match answer {
            Ok(Some(entry)) => entry,
            Ok(None) => return Err(LoginError::Refused),
            Err(failure) => {
                tracing::error!(account = %Shown(attempt.user), "the authenticator: {failure:#}");
                return Err(LoginError::Unavailable);
            }
        };
        Common::record(&entry).admit(true, &attempt)?;
        let accounts = Arc::clone(&self.accounts);
        // It opens a home, and may make it.
        tokio::task::spawn_blocking(move || accounts.open(entry)).await.unwrap_or(Err(LoginError::Unavailable))
    }

    /// Dropped, the program is killed.
    async fn ask(&self, user: &str, password: &str, attempt: Attempt<'_>) -> io::Result<Ended> {
        let certificate = attempt.tls.and_then(|tls| tls.certificate.as_ref());
        let question = Question {
            user,
            password,
            peer: attempt.peer,
            tls: attempt.tls.is_some(),
            site: self.site.as_deref(),
            server_name: attempt.tls.and_then(|tls| tls.server_name.as_deref()),
            certificate: certificate.map(|shown| Certificate {
                fingerprint: &shown.fingerprint,
                common_name: shown.common_name.as_deref(),
                names: &shown.names,
            }),
        };
        let question = serde_json::to_string(&question)? + "\n";
        // It is never closed.
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        self.helper.run(&self.settings.program, &question, true).await
    }

    /// The account that was answered; nothing where the login is refused.
    fn read(&self, entry: Entry, ended: &Ended) -> anyhow::Result<Option<Entry>> {
        ensure!(ended.status().success(), "it has ended with {}", ended.status());
        let answer: Option<Map<String, Value>> = serde_json::from_str(ended.output()).ok();
        let mut answer = answer.context("its answer is no JSON object, or longer than 64 KiB")?;
        match answer.remove("login") {
            Some(Value::Bool(true)) => {}
            // What else it says of somebody who is refused is of no use.
            Some(Value::Bool(false)) => return Ok(None),
            _ => bail!("its answer has no `login` that is true or false"),
        }
        let malformed = |key: &str| anyhow!("`{key}` of its answer is not of the form that it has in users.toml");
        for (key, value) in &answer {
            let Some(topic) = Topic::of(key) else {
                bail!(
                    "its answer has `{}`, which is no setting of an account",
                    Shown(key.get(..64).unwrap_or(key).as_bytes())
                );
            };
            let may = self.settings.may_answer.contains(&topic);
            ensure!(may, "its answer has `{key}`, which `may-answer` does not let it decide");
            // Each by itself: what serde says of it would quote it.
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            serde_json::from_value::<Entry>(alone).map_err(|_| malformed(key))?;
        }
        let answered: Entry = serde_json::from_value(Value::Object(answer)).map_err(|_| malformed("all"))?;
        let entry = Entry { name: entry.name, ..answered };
        entry.mistake().map_or(Ok(Some(entry)), |(key, _)| Err(malformed(key)))
    }
}

impl Authenticator for External {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(self.judge(attempt))
    }
}

impl Accounts {
    /// The account of an answer: that of the last time, where the answer is the same.
    fn open(&self, entry: Entry) -> Result<Account, LoginError> {
        {
            let mut kept = self.lock();
            kept.logins += 1;
            let now = kept.logins;
            if let Some((last, known, account)) = kept.by_name.get_mut(&entry.name)
                && *known == entry
            {
                *last = now;
                return Ok(account.clone());
            }
        }
        let account = self.common.open(&entry).map_err(|error| {
            tracing::error!(account = %entry.name, "{}", sentence(&error));
            LoginError::Unavailable
        })?;
        self.lock().keep(entry, account.clone());
        Ok(account)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole at every step.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Where there is no room, whoever has not logged in for longest goes. Their sessions go on.
    fn keep(&mut self, entry: Entry, account: Account) {
        if self.by_name.len() >= KEPT && !self.by_name.contains_key(&entry.name) {
            let oldest = self.by_name.iter().min_by_key(|(_, (last, ..))| *last).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.by_name.remove(&name));
        }
        self.by_name.insert(entry.name.clone(), (self.logins, entry, account));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use port21_proto::Secret;
    use port21_proto::verb::Permissions;
    use port21_server::tls::TlsPeer;

    use super::*;
    use crate::config::{Config, Site};

    /// An authenticator whose program is a shell with this script.
    fn external(root: &std::path::Path, script: &str, more: &str) -> External {
        let program = ["/bin/sh", "-c", script];
        let settings: Settings = toml::from_str(&format!("program = {program:?}\n{more}")).unwrap();
        let config = Config { site: Site { root: Some(root.to_owned()), ..Site::default() }, ..Config::default() };
        External::new(settings, Some("a.example".to_owned()), Helper::default(), Common::new(&config))
    }

    async fn login(to: &External, user: &[u8], password: &str, tls: Option<&TlsPeer>) -> Result<Account, LoginError> {
        let password = Secret::new(password);
        to.login(Attempt { user, password: &password, peer: [127, 0, 0, 1].into(), tls }).await
    }

    async fn answered(script: &str, more: &str) -> Result<Account, LoginError> {
        let dir = tempfile::tempdir().unwrap();
        login(&external(dir.path(), script, more), b"ann", "secret", None).await
    }

    #[tokio::test]
    async fn it_is_told_what_was_tried_and_says_what_the_account_is() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!(
            "cat > {}; echo '{{\"login\": true, \"home\": \"/ann\", \"permissions\": [\"list\", \"read\"], \
             \"rate-down\": \"1MiB\", \"max-sessions\": 3, \"quota\": \"1GiB\", \"shared\": true}}'",
            seen.display()
        );
        let to = external(dir.path(), &script, "");
        let account = login(&to, b"ann", "sec\"ret'; $(x)", None).await.unwrap();
        assert_eq!((account.name.as_str(), account.max_sessions), ("ann", Some(3)));
        assert_eq!(account.rates.down.map(std::num::NonZeroU64::get), Some(1024 * 1024));
        assert_ne!(account.permissions, Permissions::ALL);
        assert!(dir.path().join("ann").is_dir(), "its home is made");
        let told: Value = serde_json::from_str(&std::fs::read_to_string(seen).unwrap()).unwrap();
        let want = serde_json::json!({
            "user": "ann", "password": "sec\"ret'; $(x)", "peer": "127.0.0.1", "tls": false,
            "site": "a.example", "server-name": null, "certificate": null,
        });
        assert_eq!(told, want);
        // The next login has the same files, and the same count of them.
        let again = login(&to, b"ann", "x", None).await.unwrap();
        assert!(Arc::ptr_eq(&account.storage, &again.storage));
    }

    #[tokio::test]
    async fn whoever_is_refused_gets_one_answer() {
        assert_eq!(answered("echo '{\"login\": false}'", "").await.err(), Some(LoginError::Refused));
        let elsewhere = "echo '{\"login\": true, \"networks\": [\"192.0.2.0/24\"]}'";
        assert_eq!(answered(elsewhere, "").await.err(), Some(LoginError::Refused));
        // Nobody is asked about what is no name.
        let dir = tempfile::tempdir().unwrap();
        let to = external(dir.path(), "echo '{\"login\": true}'", "");
        for name in [&b"\xff"[..], b"", b"a\tb", &[b'a'; 256]] {
            assert_eq!(login(&to, name, "secret", None).await.err(), Some(LoginError::Refused));
        }
        let tls = external(dir.path(), "echo '{\"login\": true, \"tls-required\": true}'", "");
        assert_eq!(login(&tls, b"ann", "secret", None).await.err(), Some(LoginError::NeedsTls));
        assert!(login(&tls, b"ann", "secret", Some(&TlsPeer::default())).await.is_ok());
    }

    #[tokio::test]
    async fn whatever_goes_wrong_lets_nobody_in() {
        for (script, more) in [
            ("echo '{\"login\": true}'; exit 1", ""),
            ("echo '{\"login\": true}'; kill -9 $$", ""),
            ("", ""),
            ("echo true", ""),
            ("echo '{\"login\": true'", ""),
            ("echo '{\"login\": true} {}'", ""),
            ("echo '{\"login\": \"true\"}'", ""),
            ("echo '{\"home\": \"/\"}'", ""),
            ("echo '{\"login\": true, \"name\": \"bob\"}'", ""),
            ("echo '{\"login\": true, \"certificates\": []}'", ""),
            ("echo '{\"login\": true, \"quota\": 5}'", ""),
            ("echo '{\"login\": true, \"home\": \"../..\"}'", ""),
            ("echo '{\"login\": true, \"rate-up\": \"5\"}'", ""),
            ("echo '{\"login\": true, \"home\": \"/a\"}'", "may-answer = [\"quota\"]\n"),
            // More than is read: it is cut off, and no JSON then.
            ("printf '{\"login\": true, \"home\": \"'; head -c 100000 /dev/zero | tr '\\0' a; echo '\"}'", ""),
            ("exec sleep 1000", "timeout = \"50ms\"\n"),
        ] {
            assert_eq!(answered(script, more).await.err(), Some(LoginError::Unavailable), "{script}");
        }
        let dir = tempfile::tempdir().unwrap();
        let mut to = external(dir.path(), "", "");
        to.settings.program = vec!["/nowhere/at/all".to_owned()];
        assert_eq!(login(&to, b"ann", "secret", None).await.err(), Some(LoginError::Unavailable));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_turn_does_not_wait_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut to = external(dir.path(), "echo '{\"login\": true}'", "at-once = 1\n");
        let turn = to.turns.try_acquire().unwrap();
        turn.forget();
        to.settings.timeout = Duration::from_millis(10);
        assert_eq!(login(&to, b"ann", "secret", None).await.err(), Some(LoginError::Unavailable));
        to.turns.add_permits(1);
        to.settings.timeout = Duration::from_secs(30);
        assert!(login(&to, b"ann", "secret", None).await.is_ok());
    }

    #[tokio::test]
    async fn only_so_many_homes_are_kept_open() {
        let dir = tempfile::tempdir().unwrap();
        let accounts = external(dir.path(), "", "").accounts;
        let entry = |n: usize| Entry { name: format!("user{n}"), ..Entry::default() };
        let first = accounts.open(entry(0)).unwrap();
        for n in 1..KEPT {
            accounts.open(entry(n)).unwrap();
        }
        // The first was here last.
        assert!(Arc::ptr_eq(&first.storage, &accounts.open(entry(0)).unwrap().storage));
        accounts.open(entry(KEPT)).unwrap();
        let kept = accounts.lock();
        assert_eq!(kept.by_name.len(), KEPT);
        assert!(kept.by_name.contains_key("user0") && !kept.by_name.contains_key("user1"));
    }
}
