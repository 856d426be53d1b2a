//! Who may log in: guests, the users of the configuration, the accounts that `port21 user` keeps, and those that a program
//! knows.

use std::sync::Arc;

use port21_proto::verb::Permissions;
use port21_server::account::password::Passwords;
use port21_server::account::records::ByRecord;
use port21_server::account::{Anonymous, FirstOf, Users};
use port21_server::storage::QuotaLimits;
use port21_server::storage::rules::Rules;
use port21_server::{Account, Authenticator};

use crate::config::Config;
use crate::exit::{Exit, Fault};
use crate::helper::Helper;
use crate::users::account::{Common, Files, rates};
use crate::users::external::External;
use crate::users::watched::{Shared, Watched, Watches};

/// Opens the directories of all accounts of a site. It waits for files: it is not for tasks. `passwords` are checked for all
/// sites together, as what that takes is bounded; `watches` looks at files of accounts.
///
/// # Errors
/// Where one cannot be opened.
pub(super) fn open(
    config: &Config,
    helper: &Helper,
    passwords: &Arc<Passwords>,
    watches: &Watches,
) -> anyhow::Result<FirstOf> {
    let common = Common::new(config);
    let uploads = Arc::new(config.uploads.policy());
    let mut all: Vec<Arc<dyn Authenticator>> = Vec::new();
    // First, as their password is not looked at: nothing is hashed for them.
    if config.anonymous.enabled {
        let guests = &config.anonymous;
        let account = Account {
            max_sessions: guests.max_sessions,
            rates: rates(guests.rate_down, guests.rate_up),
            session_rates: rates(guests.session_rate_down, guests.session_rate_up),
            uploads: uploads.clone(),
            ..common.account("anonymous", Files::of_guests(guests))?
        };
        all.push(Arc::new(Anonymous::new(account)));
    }
    let mut users = Users::default();
    for user in &config.users {
        let write = user.write.unwrap_or(config.accounts.write);
        let permissions = if write { Permissions::ALL } else { Permissions::READ_ONLY };
        let files = Files {
            home: user.home.as_deref(),
            owner: Some(&user.name),
            rules: Rules::new(permissions, Vec::new()),
            limits: QuotaLimits::default(),
            umask: user.umask.map(|umask| umask.0.0),
        };
        users.add(user.password.clone(), Account { uploads: uploads.clone(), ..common.account(&user.name, files)? });
    }
    if !users.is_empty() {
        all.push(Arc::new(users));
    }
    if let Some(file) = &config.accounts.file {
        let watched = Watched::open(file.clone(), config.host().map(str::to_owned), helper.clone(), common)?;
        if !watched.is_there() && watches.knew(config.host(), file) {
            let gone = format!("{} is gone: put it back, or leave an empty file to let nobody in", file.display());
            return Err(Fault::new(Exit::Local, gone).into());
        }
        all.push(Arc::new(ByRecord::new(Arc::new(Shared::new(watched, watches)), passwords.clone())));
    }
    // Last: it is told the password of whoever nobody else knows.
    if let Some(authenticator) = &config.authenticator {
        let site = config.host().map(str::to_owned);
        all.push(Arc::new(External::new(authenticator.clone(), site, helper.clone(), Common::new(config))));
    }
    Ok(FirstOf::new(all))
}

#[cfg(test)]
mod tests {
    use port21_proto::Secret;
    use port21_proto::server::LoginError;
    use port21_server::Attempt;

    use super::*;
    use crate::config::{self, Site, User};

    async fn login(accounts: &FirstOf, user: &str, password: &str) -> Result<Account, LoginError> {
        let password = Secret::new(password);
        accounts
            .login(Attempt { user: user.as_bytes(), password: &password, peer: [127, 0, 0, 1].into(), tls: None })
            .await
    }

    #[tokio::test]
    async fn who_gets_in_and_what_they_may() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("alice")).unwrap();
        let user = |name: &str, home: Option<&str>, write| User {
            name: name.to_owned(),
            password: Secret::new("secret"),
            home: home.map(str::to_owned),
            write,
            umask: None,
        };
        let config = Config {
            site: Site { root: Some(dir.path().to_owned()), ..Site::default() },
            anonymous: config::Anonymous { enabled: true, ..config::Anonymous::default() },
            accounts: config::Accounts { write: true, file: None },
            users: vec![user("alice", Some("/alice"), None), user("bob", None, Some(false))],
            ..Config::default()
        };
        let accounts =
            open(&config, &Helper::default(), &Arc::new(config.logins.passwords()), &Watches::default()).unwrap();
        assert_eq!(login(&accounts, "alice", "secret").await.map(|a| a.permissions), Ok(Permissions::ALL));
        assert_eq!(login(&accounts, "bob", "secret").await.map(|a| a.permissions), Ok(Permissions::READ_ONLY));
        // Writing is never for guests.
        let guest = login(&accounts, "ftp", "guest@any-domain.com").await.map(|a| (a.anonymous, a.permissions));
        assert_eq!(guest, Ok((true, Permissions::READ_ONLY)));
        for (user, password) in [("alice", "Secret"), ("alice", ""), ("carol", "secret"), ("", "")] {
            assert_eq!(login(&accounts, user, password).await.err(), Some(LoginError::Refused), "{user}");
        }
    }
}
