//! Who may log in, and what that gives: accounts and the authenticators that find them.
//!
//! | module | what it is |
//! |---|---|
//! | [`password`] | hashes of passwords, and how many are checked at a time |
//! | [`records`] | accounts that are kept somewhere, and what a login to them needs |
//! | [`guard`] | what failed logins lead to |
//! | [`standing`] | whether what a login has given still holds |

pub mod guard;
pub mod password;
pub mod records;
pub mod standing;

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use port21_proto::server::{Grant, LoginError};
use port21_proto::verb::Permissions;
use port21_proto::{FtpPath, Secret};

use self::standing::Standing;
use crate::storage::{BoxFuture, LocalFs, LocalSettings, Storage, UploadPolicy};
use crate::tls::TlsPeer;

/// What a login gives: a name, files, and what may be done with them.
#[derive(Clone)]
pub struct Account {
    /// The account's name, for logs and limits; not the e-mail address that an anonymous guest gave.
    pub name: String,
    /// The account's files.
    pub storage: Arc<dyn Storage>,
    /// The working directory to begin with.
    pub start: FtpPath,
    /// What may be done.
    pub permissions: Permissions,
    /// Whether everybody may be this one: the greeting of anonymous guests, and never a write by default.
    pub anonymous: bool,
    /// The most sessions at a time under this name; nothing: only the server's own limits.
    pub max_sessions: Option<usize>,
    /// How fast all sessions under this name together may be; default no limit.
    pub rates: Rates,
    /// How fast each of them may be; default no limit.
    pub session_rates: Rates,
    /// How uploads become files. What is kept of interrupted ones is the storage's matter
    /// ([`LocalSettings::owner`]).
    pub uploads: Arc<UploadPolicy>,
    /// Whether it still holds: withdrawn, it ends the sessions that have it. Default: nobody withdraws it.
    pub standing: Standing,
}

impl Account {
    /// An account with the files below a directory of this machine, beginning at its root, with no limit of its own.
    /// `settings.permissions` becomes `permissions`.
    ///
    /// # Errors
    /// Where the directory cannot be opened.
    pub fn local(
        name: impl Into<String>,
        root: impl AsRef<Path>,
        permissions: Permissions,
        settings: LocalSettings,
    ) -> io::Result<Account> {
        let storage = Arc::new(LocalFs::open(root, LocalSettings { permissions, ..settings })?);
        Ok(Account::new(name, storage, permissions))
    }

    /// An account with these files, beginning at their root, with no limit of its own.
    pub fn new(name: impl Into<String>, storage: Arc<dyn Storage>, permissions: Permissions) -> Account {
        Account {
            name: name.into(),
            storage,
            start: FtpPath::root(),
            permissions,
            anonymous: false,
            max_sessions: None,
            rates: Rates::default(),
            session_rates: Rates::default(),
            uploads: Arc::default(),
            standing: Standing::default(),
        }
    }

    /// What the session is told of the account.
    pub fn grant(&self) -> Grant {
        Grant {
            home: self.start.clone(),
            anonymous: self.anonymous,
            permissions: self.permissions,
            upload_eof: self.uploads.eof,
        }
    }
}

/// How fast transfers may be, in bytes a second; nothing: as fast as they can. Listings are transfers.
///
/// A rate below [`SessionSettings::min_rate`](port21_proto::server::SessionSettings::min_rate) makes every transfer one
/// that crawls, and is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rates {
    /// From the server to the client.
    pub down: Option<NonZeroU64>,
    /// From the client to the server.
    pub up: Option<NonZeroU64>,
}

/// One try to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The name given with USER.
    pub user: &'a [u8],
    /// The password given with PASS.
    pub password: &'a Secret,
    /// Where the control connection comes from.
    pub peer: IpAddr,
    /// What TLS tells of the client; nothing where the password came in clear. An account that takes no password in
    /// clear is answered [`LoginError::NeedsTls`], and only where the password was right.
    pub tls: Option<&'a TlsPeer>,
}

/// Turns a login attempt into an account.
pub trait Authenticator: Send + Sync {
    /// The account of `attempt`. The answer for an unknown name and for a wrong password is one and takes one time.
    ///
    /// # Errors
    /// [`LoginError`].
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>>;

    /// The account of whom their certificate alone lets in. Asked at USER, when there is no password yet (that of
    /// `attempt` is empty), and only where there is a certificate. A refusal counts as nothing: PASS is asked for, and then
    /// [`Authenticator::login`]. Default: nobody.
    ///
    /// # Errors
    /// [`LoginError`].
    fn recognise<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        let _ = attempt;
        Box::pin(std::future::ready(Err(LoginError::Refused)))
    }

    /// Whether it looks at passwords, so that its [`LoginError::Refused`] may be the answer to a wrong one. Default: yes.
    /// No is for those that let in by the name alone: what they refuse counts as no failed login where the next
    /// authenticator fails.
    fn looks_at_passwords(&self) -> bool {
        true
    }

    /// Whether an account has this name, as far as this can tell without asking anybody else: a name that nobody has may be a
    /// password that was typed one field too early, and is kept out of the log. Default: yes, as where nobody can tell.
    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        let _ = user;
        Box::pin(std::future::ready(true))
    }
}

/// Lets guests in: the names `anonymous` and `ftp`, in any case, with any password (RFC 1635 asks guests for their
/// e-mail address; nobody can know whether it is one).
pub struct Anonymous(Account);

impl Anonymous {
    /// Guests get this account, marked as anonymous.
    pub fn new(account: Account) -> Anonymous {
        Anonymous(Account { anonymous: true, ..account })
    }

    /// Whether a name given with USER is that of a guest.
    pub fn is_guest(user: &[u8]) -> bool {
        user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp")
    }
}

impl Authenticator for Anonymous {
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        let answer = if Anonymous::is_guest(attempt.user) { Ok(self.0.clone()) } else { Err(LoginError::Refused) };
        Box::pin(std::future::ready(answer))
    }

    fn looks_at_passwords(&self) -> bool {
        false
    }

    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(Anonymous::is_guest(user)))
    }
}

/// A list of accounts with their passwords in memory, for trying out (`--user NAME:PASSWORD`).
#[derive(Default)]
pub struct Users(Vec<User>);

struct User {
    /// As the user gives it with USER: compared with the same care as the password.
    name: Vec<u8>,
    password: Secret,
    account: Account,
}

impl Users {
    /// Adds an account, under its own name. A name that is added again gets the password and account of the last time.
    pub fn add(&mut self, password: Secret, account: Account) {
        let name = account.name.clone().into_bytes();
        self.0.retain(|user| user.name != name);
        self.0.push(User { name, password, account });
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Authenticator for Users {
    /// Every name and every password is compared on every try, each in a time that depends on what was tried alone: how
    /// long the answer takes tells nothing of who is in the list.
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        let tried = Secret::new(attempt.user);
        let mut found = None;
        for user in &self.0 {
            let (name, password) = (tried.matches(&user.name), attempt.password.matches(user.password.expose()));
            if name & password {
                found = Some(&user.account);
            }
        }
        Box::pin(std::future::ready(found.cloned().ok_or(LoginError::Refused)))
    }

    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        let tried = Secret::new(user);
        let known = self.0.iter().fold(false, |known, user| known | tried.matches(&user.name));
        Box::pin(std::future::ready(known))
    }
}

/// Asks several authenticators, one after the other, until one knows the user.
#[derive(Default)]
pub struct FirstOf(Vec<Arc<dyn Authenticator>>);

impl FirstOf {
    /// Asks them in this order.
    pub fn new(authenticators: Vec<Arc<dyn Authenticator>>) -> FirstOf {
        FirstOf(authenticators)
    }
}

impl Authenticator for FirstOf {
    /// The first account; else, where one of them could not tell, that, and whether another one has refused the password;
    /// else a refusal. Whether that one knows the name makes no difference, as strangers could learn who is known from
    /// what their tries lead to. Too many sessions of an account are an answer too.
    fn login<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            let (mut has_refused, mut has_failed) = (false, false);
            for authenticator in &self.0 {
                match authenticator.login(attempt).await {
                    Err(LoginError::Refused) => has_refused |= authenticator.looks_at_passwords(),
                    Err(LoginError::Unavailable) => has_failed = true,
                    Err(LoginError::Undecided) => (has_refused, has_failed) = (true, true),
                    answer => return answer,
                }
            }
            Err(match (has_refused, has_failed) {
                (_, false) => LoginError::Refused,
                (true, true) => LoginError::Undecided,
                (false, true) => LoginError::Unavailable,
            })
        })
    }

    /// Where any of them does.
    fn looks_at_passwords(&self) -> bool {
        self.0.iter().any(|authenticator| authenticator.looks_at_passwords())
    }

    /// Where any of them does.
    fn knows<'a>(&'a self, user: &'a [u8]) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let mut known = false;
            for authenticator in &self.0 {
                known |= authenticator.knows(user).await;
            }
            known
        })
    }

    /// The first account.
    fn recognise<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
        Box::pin(async move {
            for authenticator in &self.0 {
                if let Ok(account) = authenticator.recognise(attempt).await {
                    return Ok(account);
                }
            }
            Err(LoginError::Refused)
        })
    }
}

#[cfg(test)]
mod tests {
    use port21_proto::verb::Permission;

    use super::*;

    fn account(name: &str) -> Account {
        Account::local(name, "/", Permissions::READ_ONLY, LocalSettings::default()).unwrap()
    }

    async fn login(to: &dyn Authenticator, user: &str, password: &str) -> Result<(String, bool), LoginError> {
        let password = Secret::new(password);
        let attempt =
            Attempt { user: user.as_bytes(), password: &password, peer: IpAddr::from([127, 0, 0, 1]), tls: None };
        to.login(attempt).await.map(|account| (account.name, account.anonymous))
    }

    struct Broken(LoginError);

    impl Authenticator for Broken {
        fn login<'a>(&'a self, _: Attempt<'a>) -> BoxFuture<'a, Result<Account, LoginError>> {
            Box::pin(std::future::ready(Err(self.0.clone())))
        }
    }

    #[tokio::test]
    async fn a_name_is_known_where_somebody_may_have_it() {
        let mut users = Users::default();
        users.add(Secret::new("secret"), account("ann"));
        let own: Vec<Arc<dyn Authenticator>> =
            vec![Arc::new(Anonymous::new(account("guest"))), Arc::new(users), Arc::new(FirstOf::default())];
        let all = FirstOf::new(own.clone());
        for (name, known) in [("ann", true), ("FTP", true), ("Ann", false), ("secret", false), ("", false)] {
            assert_eq!(all.knows(name.as_bytes()).await, known, "{name}");
        }
        // Of one that asks somebody else nobody knows whom it would let in.
        let all = FirstOf::new(own.into_iter().chain([Arc::new(Broken(LoginError::Refused)) as _]).collect());
        assert!(all.knows(b"secret").await);
    }

    #[tokio::test]
    async fn guests_have_two_names_and_any_password() {
        let guests = Anonymous::new(account("guest"));
        for name in ["anonymous", "ftp", "FTP", "Anonymous"] {
            assert_eq!(login(&guests, name, "").await, Ok(("guest".into(), true)));
        }
        for name in ["", "ftpd", "anonymous2", "root"] {
            assert_eq!(login(&guests, name, "me@home").await, Err(LoginError::Refused));
        }
    }

    #[tokio::test]
    async fn users_need_their_own_password() {
        let mut users = Users::default();
        assert!(users.is_empty());
        users.add(Secret::new("old"), account("ann"));
        users.add(Secret::new("one"), account("ann"));
        users.add(Secret::new("two"), account("bob"));
        assert_eq!(login(&users, "ann", "one").await, Ok(("ann".into(), false)));
        assert_eq!(login(&users, "bob", "two").await, Ok(("bob".into(), false)));
        for (name, password) in [("ann", "old"), ("ann", "two"), ("ann", ""), ("Ann", "one"), ("eve", "one"), ("", "")]
        {
            assert_eq!(login(&users, name, password).await, Err(LoginError::Refused), "{name}");
        }
    }

    #[tokio::test]
    async fn the_first_that_knows_the_user_answers() {
        let mut users = Users::default();
        users.add(Secret::new("one"), account("ann"));
        let guests: Arc<dyn Authenticator> = Arc::new(Anonymous::new(account("guest")));
        let users: Arc<dyn Authenticator> = Arc::new(users);
        let both = FirstOf::new(vec![Arc::clone(&users), Arc::clone(&guests)]);
        assert_eq!(login(&both, "ann", "one").await, Ok(("ann".into(), false)));
        assert_eq!(login(&both, "ftp", "x").await, Ok(("guest".into(), true)));
        assert_eq!(login(&both, "ann", "x").await, Err(LoginError::Refused));
        assert_eq!(login(&FirstOf::default(), "ann", "one").await, Err(LoginError::Refused));

        for (first, then) in [
            (LoginError::Unavailable, LoginError::Undecided),
            (LoginError::Undecided, LoginError::Undecided),
            (LoginError::Refused, LoginError::Refused),
            (LoginError::TooMany, LoginError::TooMany),
        ] {
            let broken: Arc<dyn Authenticator> = Arc::new(Broken(first.clone()));
            let chain = FirstOf::new(vec![broken, Arc::clone(&users)]);
            assert_eq!(login(&chain, "eve", "x").await, Err(then));
            assert_eq!(login(&chain, "ann", "one").await.is_ok(), first != LoginError::TooMany);
        }
    }

    /// A password that was compared and is wrong is a failed login, whatever the next one says; a name that is no guest's
    /// is none.
    #[tokio::test]
    async fn a_refusal_before_or_behind_a_failure_is_told() {
        let mut users = Users::default();
        users.add(Secret::new("one"), account("ann"));
        let users: Arc<dyn Authenticator> = Arc::new(users);
        let guests: Arc<dyn Authenticator> = Arc::new(Anonymous::new(account("guest")));
        let broken: Arc<dyn Authenticator> = Arc::new(Broken(LoginError::Unavailable));
        let nested: Arc<dyn Authenticator> = Arc::new(FirstOf::new(vec![Arc::clone(&guests), Arc::clone(&broken)]));
        let named: Arc<dyn Authenticator> = Arc::new(FirstOf::new(vec![Arc::clone(&guests)]));
        for (chain, want) in [
            (vec![&users, &broken], LoginError::Undecided),
            (vec![&broken, &users], LoginError::Undecided),
            (vec![&guests, &users, &nested], LoginError::Undecided),
            (vec![&guests, &broken], LoginError::Unavailable),
            (vec![&named, &broken], LoginError::Unavailable),
            (vec![&broken], LoginError::Unavailable),
            (vec![&guests, &users], LoginError::Refused),
        ] {
            let chain = FirstOf::new(chain.into_iter().map(Arc::clone).collect());
            for name in ["ann", "eve"] {
                assert_eq!(login(&chain, name, "wrong").await.err(), Some(want.clone()), "{name}");
            }
        }
    }

    #[test]
    fn a_session_is_told_what_the_account_may_do() {
        let guests = Anonymous::new(account("guest"));
        let grant = guests.0.grant();
        assert!(grant.anonymous && grant.home.is_root());
        assert!(grant.permissions.allows(Permission::Read) && !grant.permissions.allows(Permission::Write));
    }

    #[test]
    fn a_root_that_is_no_directory_is_refused() {
        assert!(Account::local("x", "/nowhere/at/all", Permissions::ALL, LocalSettings::default()).is_err());
        assert!(Account::local("x", "/etc/passwd", Permissions::ALL, LocalSettings::default()).is_err());
    }
}
