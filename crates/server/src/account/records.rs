//! Accounts that are kept somewhere: what a login needs, checked in one place for all of them.

use std::net::IpAddr;
use std::sync::Arc;

use port21_proto::Secret;
use port21_proto::server::LoginError;

use super::password::{PasswordHash, Passwords};
use super::{Account, Attempt, Authenticator};
use crate::network::Network;
use crate::storage::BoxFuture;

/// An account, and what a login to it needs.
#[derive(Clone)]
pub struct Record {
    /// What the login gives.
    pub account: Account,
    /// The hash of the password; nothing: no password is right.
    pub password: Option<PasswordHash>,
    /// Where logins may come from; empty: from anywhere.
    pub networks: Vec<Network>,
    /// Whether logins are refused for now.
    pub disabled: bool,
}

/// Finds the records of accounts.
pub trait Records: Send + Sync {
    /// The record of a name, as USER has it; [`Found::decoy`] for one that nobody has.
    ///
    /// # Errors
    /// [`LoginError::Unavailable`] where it cannot be found out.
    fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>>;
}

/// What was found under a name.
#[derive(Clone)]
pub struct Found {
    /// The record, if somebody has the name.
    pub record: Option<Arc<Record>>,
    /// What the password is checked against where there is no hash of it: it should cost as much as that of the accounts
    /// that there are.
    pub decoy: Arc<PasswordHash>,
}

/// Lets in whose password is that of a record, from where the record allows it.
///
/// The password is always hashed: that of an unknown name, of an account without one, or from a wrong network against a
/// decoy. So whatever is wrong, the answer is one and takes the time of one hash.
pub struct ByRecord {
    records: Arc<dyn Records>,
    passwords: Arc<Passwords>,
}

impl ByRecord {
    /// `passwords` may be shared with others: it is what bounds the cost of all.
    pub fn new(records: Arc<dyn Records>, passwords: Arc<Passwords>) -> ByRecord {
        ByRecord { records, passwords }
    }

    async fn judge(&self, attempt: Attempt<'_>) -> Result<Account, LoginError> {
        let Found { record, decoy } = self.records.find(attempt.user).await?;
        let hash = record.as_ref().and_then(|record| record.password.as_ref()).unwrap_or(&decoy);
        let is_right = self.is_right(hash, attempt.password).await?;
        let record = record.filter(|record| is_right && !record.disabled && is_within(&record.networks, attempt.peer));
        let record = record.ok_or(LoginError::Refused)?;
        Ok(record.account.clone())
    }

    async fn is_right(&self, hash: &PasswordHash, password: &Secret) -> Result<bool, LoginError> {
        self.passwords.matches(hash, password).await.map_err(|_| LoginError::Unavailable)
    }
}

impl Authenticator for ByRecord {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(self.judge(attempt))
    }
}

fn is_within(networks: &[Network], peer: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(peer))
}

#[cfg(test)]
mod tests {
    use port21_proto::verb::Permissions;

    use super::*;
    use crate::account::password::Cost;
    use crate::storage::LocalSettings;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    struct One(Arc<Record>);

    impl Records for One {
        fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>> {
            let record = (name == b"ann").then(|| Arc::clone(&self.0));
            let found = Found { record, decoy: Arc::new(PasswordHash::decoy(CHEAP)) };
            Box::pin(std::future::ready(if name == b"broken" { Err(LoginError::Unavailable) } else { Ok(found) }))
        }
    }

    fn ann() -> Record {
        let account = Account::local("ann", "/", Permissions::READ_ONLY, LocalSettings::default()).unwrap();
        let password = Some(PasswordHash::new(&Secret::new("right"), CHEAP).unwrap());
        Record { account, password, networks: Vec::new(), disabled: false }
    }

    async fn login(record: Record, user: &str, password: &str, peer: &str) -> Result<String, LoginError> {
        let by = ByRecord::new(Arc::new(One(Arc::new(record))), Arc::default());
        let password = Secret::new(password);
        let attempt = Attempt { user: user.as_bytes(), password: &password, peer: peer.parse().unwrap(), tls: None };
        by.login(attempt).await.map(|account| account.name)
    }

    #[tokio::test]
    async fn one_answer_for_all_that_is_wrong() {
        assert_eq!(login(ann(), "ann", "right", "10.0.0.1").await, Ok("ann".into()));
        let networks = vec!["192.0.2.0/24".parse().unwrap(), "::1".parse().unwrap()];
        let inside = Record { networks, ..ann() };
        assert_eq!(login(inside.clone(), "ann", "right", "192.0.2.7").await, Ok("ann".into()));
        for (record, user, password) in [
            (ann(), "ann", "wrong"),
            (ann(), "ann", ""),
            (ann(), "bob", "right"),
            (inside, "ann", "right"),
            (Record { disabled: true, ..ann() }, "ann", "right"),
            (Record { password: None, ..ann() }, "ann", ""),
        ] {
            assert_eq!(login(record, user, password, "10.0.0.1").await, Err(LoginError::Refused), "{user} {password}");
        }
        assert_eq!(login(ann(), "broken", "right", "10.0.0.1").await, Err(LoginError::Unavailable));
    }
}
