//! Who may log in: the users of the configuration, and anybody.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use port21_proto::verb::Permissions;
use port21_server::account::{Anonymous, FirstOf, Users};
use port21_server::storage::LocalSettings;
use port21_server::{Account, Authenticator};

use crate::config::Config;
use crate::exit::Fault;

/// Opens the directories of all accounts.
///
/// # Errors
/// Where one cannot be opened.
pub(super) fn open(config: &Config) -> anyhow::Result<FirstOf> {
    let root = config.root();
    let uploads = Arc::new(config.uploads.policy());
    let mut users = Users::default();
    for user in &config.users {
        let home = match &user.home {
            Some(home) => below(&root, Path::new(home))?,
            None => root.clone(),
        };
        let permissions = permissions(user.write.unwrap_or(config.accounts.write));
        let files = config.uploads.files(Some(&user.name));
        let account = Account { uploads: uploads.clone(), ..account(&user.name, &home, permissions, files)? };
        users.add(user.password.clone(), account);
    }
    let mut all: Vec<Arc<dyn Authenticator>> = vec![Arc::new(users)];
    if config.anonymous.enabled {
        let files = config.uploads.files(None);
        all.push(Arc::new(Anonymous::new(account("anonymous", &root, Permissions::READ_ONLY, files)?)));
    }
    Ok(FirstOf::new(all))
}

fn permissions(write: bool) -> Permissions {
    if write { Permissions::ALL } else { Permissions::READ_ONLY }
}

fn account(name: &str, root: &Path, permissions: Permissions, files: LocalSettings) -> anyhow::Result<Account> {
    Account::local(name, root, permissions, files).with_context(|| format!("cannot serve {}", root.display()))
}

/// A user's `home`, which is a path within the root.
fn below(root: &Path, home: &Path) -> anyhow::Result<PathBuf> {
    let mut path = root.to_owned();
    for part in home.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            _ => bail!(Fault::usage(format!("`home`: {} leads out of the root", home.display()))),
        }
    }
    Ok(path)
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
        };
        let config = Config {
            site: Site { root: Some(dir.path().to_owned()), ..Site::default() },
            anonymous: config::Anonymous { enabled: true },
            accounts: config::Accounts { write: true },
            users: vec![user("alice", Some("/alice"), None), user("bob", None, Some(false))],
            ..Config::default()
        };
        let accounts = open(&config).unwrap();
        assert_eq!(login(&accounts, "alice", "secret").await.map(|a| a.permissions), Ok(Permissions::ALL));
        assert_eq!(login(&accounts, "bob", "secret").await.map(|a| a.permissions), Ok(Permissions::READ_ONLY));
        // Writing is never for guests.
        let guest = login(&accounts, "ftp", "guest@any-domain.com").await.map(|a| (a.anonymous, a.permissions));
        assert_eq!(guest, Ok((true, Permissions::READ_ONLY)));
        for (user, password) in [("alice", "Secret"), ("alice", ""), ("carol", "secret"), ("", "")] {
            assert_eq!(login(&accounts, user, password).await.err(), Some(LoginError::Refused), "{user}");
        }
    }

    #[test]
    fn homes_stay_within_the_root() {
        let root = Path::new("/srv/ftp");
        assert_eq!(below(root, Path::new("/a/b")).unwrap(), Path::new("/srv/ftp/a/b"));
        assert!(below(root, Path::new("../etc")).is_err());
    }
}
