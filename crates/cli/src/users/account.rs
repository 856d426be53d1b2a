//! From an entry to what a session may do.

use std::num::NonZeroU64;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use port21_proto::verb::{Permission, Permissions};
use port21_server::Account;
use port21_server::account::Rates;
use port21_server::account::records::Record;
use port21_server::storage::rules::{Rule, Rules};
use port21_server::storage::{Guarded, Ledger, LocalFs, QuotaLimits};

use crate::config::accounts::entry::Entry;
use crate::config::home::below;
use crate::config::{Anonymous, Config, Uploads};
use crate::sandbox;
use crate::text::Text;
use crate::units::Size;

/// What the configuration says for all accounts.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    root: PathBuf,
    permissions: Permissions,
    uploads: Uploads,
    quota_recount: Duration,
    /// The name of the `[[host]]` that they are of, if any.
    host: Option<String>,
}

impl Common {
    /// As the configuration has it.
    pub(crate) fn new(config: &Config) -> Common {
        let permissions = if config.accounts.write { Permissions::ALL } else { Permissions::READ_ONLY };
        let quota_recount = config.limits.quota_recount;
        let (uploads, host) = (config.uploads.clone(), config.host().map(str::to_owned));
        Common { root: config.root(), permissions, uploads, quota_recount, host }
    }

    /// What a login to the account of an entry needs.
    pub(crate) fn record(entry: &Entry) -> Record {
        Record {
            password: entry.password.clone(),
            networks: entry.networks.iter().map(|network| network.0).collect(),
            tls_required: entry.tls_required,
            certificates: entry.certificates.iter().map(|certificate| certificate.0.clone()).collect(),
            certificate_alone: entry.certificate_alone,
            disabled: entry.disabled,
        }
    }

    /// What the account of an entry may do where.
    pub(crate) fn rules(&self, entry: &Entry) -> Rules {
        let everywhere = entry.permissions.map_or(self.permissions, |allowed| allowed.0);
        let paths = entry.paths.iter().map(|rule| Rule { paths: rule.path.0.clone(), permissions: rule.permissions.0 });
        Rules::new(everywhere, paths.collect())
    }

    /// The account of an entry: its home is opened, and made where it is not there.
    ///
    /// # Errors
    /// Where that cannot be.
    pub(crate) fn open(&self, entry: &Entry) -> anyhow::Result<Account> {
        let mut uploads = self.uploads.policy();
        if let Some(commit) = entry.commit {
            // The account's own word wins over those for paths of all.
            (uploads.commit, uploads.commit_by_path) = (Some(commit.into()), Vec::new());
        }
        if let Some(eof) = entry.upload_eof {
            uploads.eof = eof.into();
        }
        let files = Files {
            home: entry.home.as_deref(),
            owner: (!entry.shared).then_some(entry.name.as_str()),
            rules: self.rules(entry),
            limits: entry.limits(),
            umask: entry.umask.map(|umask| umask.0.0),
        };
        Ok(Account {
            max_sessions: entry.max_sessions,
            rates: rates(entry.rate_down, entry.rate_up),
            session_rates: rates(entry.session_rate_down, entry.session_rate_up),
            uploads: Arc::new(uploads),
            ..self.account(&entry.name, files)?
        })
    }

    /// An account with these files and no limits but theirs.
    ///
    /// # Errors
    /// Where its home cannot be opened or made.
    pub(crate) fn account(&self, name: &str, files: Files<'_>) -> anyhow::Result<Account> {
        let home = below(&self.root, files.home)?;
        let cannot = || format!("cannot serve {}", home.display());
        let mut settings = self.uploads.files(files.owner.map(|name| self.owner(name)).as_deref());
        settings.umask = files.umask.unwrap_or(settings.umask);
        if files.home.is_some() && !home.exists() {
            let mode = 0o777 & !settings.umask;
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(&home).with_context(cannot)?;
            tracing::info!(account = name, home = %home.display(), "made the home of an account");
        }
        let permissions = files.rules.anywhere();
        sandbox::check_home(&home, permissions.allows(Permission::Write))?;
        // Where rules tell paths apart, they narrow down what is told of each.
        settings.permissions = if files.rules.is_uniform() { permissions } else { Permissions::ALL };
        let ledger = match files.limits.is_limited() {
            true => Some(Ledger::open(&home, files.limits).with_context(cannot)?),
            false => None,
        };
        settings.quota = ledger.clone().map(|ledger| Arc::new(ledger) as _);
        let storage = Arc::new(LocalFs::open(&home, settings).with_context(cannot)?);
        if let Some(ledger) = ledger {
            ledger.keep(&storage, self.quota_recount);
        }
        Ok(Account::new(name, Guarded::over(storage, files.rules), permissions))
    }
}

impl Common {
    /// Whose the uploads of an account are. Two sites may have people of one name, and trees that lie within each other:
    /// nobody goes on with what somebody else has begun. No name of an account has a line end.
    fn owner(&self, name: &str) -> String {
        self.host.as_ref().map_or_else(|| name.to_owned(), |host| format!("{name}\n{}", host.to_ascii_lowercase()))
    }
}

/// Where an account's files are, and what may be done with them.
pub(crate) struct Files<'a> {
    /// Within the root; nothing: the root itself.
    pub(crate) home: Option<&'a str>,
    /// Whose parts are kept; nothing: nobody's.
    pub(crate) owner: Option<&'a str>,
    pub(crate) rules: Rules,
    pub(crate) limits: QuotaLimits,
    pub(crate) umask: Option<u32>,
}

impl<'a> Files<'a> {
    /// Those of guests: to read, and where they may drop some, to write and nothing else. No parts are kept: what one
    /// guest began another would go on with.
    pub(crate) fn of_guests(guests: &'a Anonymous) -> Files<'a> {
        let drop = Permissions::NONE.with(Permission::Write);
        let rules = guests.drop.iter().map(|paths| Rule { paths: paths.0.clone(), permissions: drop }).collect();
        Files {
            home: guests.home.as_deref(),
            owner: None,
            rules: Rules::new(Permissions::READ_ONLY, rules),
            limits: QuotaLimits { bytes: guests.quota.map(|size| size.0.0), files: guests.quota_files },
            umask: Some(guests.umask.0.0),
        }
    }
}

/// Rates as the library takes them.
pub(crate) fn rates(down: Option<Text<Size>>, up: Option<Text<Size>>) -> Rates {
    let rate = |size: Option<Text<Size>>| size.and_then(|size| NonZeroU64::new(size.0.0));
    Rates { down: rate(down), up: rate(up) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use port21_proto::FtpPath;
    use port21_proto::server::{Placement, Representation, StorageError};
    use port21_server::storage::{CommitMode, Sink, UploadRequest};

    use super::*;

    #[tokio::test]
    async fn nobody_goes_on_with_what_somebody_of_that_name_at_another_site_has_begun() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        let host = |name: &str| {
            format!(
                "[[host]]\nnames = [\"{name}.example\"]\nroot = \"{root}\"\naccounts = {{ file = \"{name}.toml\" }}\n"
            )
        };
        let text = format!("[site]\nroot = \"{root}\"\n{}{}", host("a"), host("b"));
        let file = dir.path().join("port21.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        let ann = Entry { name: "ann".to_owned(), ..Entry::default() };
        let open = || config.sites().map(|site| Common::new(&site).open(&ann).unwrap()).collect::<Vec<_>>();
        let path = FtpPath::new("/file").unwrap();
        let request = UploadRequest {
            path: &path,
            placement: Placement::Whole,
            overwrite: true,
            announced: None,
            commit: CommitMode::Atomic,
            told: None,
            representation: Representation::Image,
            adds: false,
        };
        let mut upload = open()[1].storage.create(request).await.unwrap();
        match upload.sink() {
            Sink::File(file) => (&*file).write_all(b"half").unwrap(),
            Sink::Writer(_) => unreachable!("local files are files"),
        }
        upload.let_go().await;
        let mut told = Vec::new();
        // As they are opened anew, after a reload or a restart.
        for account in open() {
            told.push(account.storage.part(&path).await.map(|part| part.size));
        }
        assert_eq!(told, [Err(StorageError::NotFound), Ok(4), Err(StorageError::NotFound)]);
    }
}
