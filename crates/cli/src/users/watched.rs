//! The file of accounts as a server uses it: looked at on each login and every second, read when it has changed. Sessions of
//! accounts that have gone or changed are ended.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use port21_proto::server::LoginError;
use port21_server::Account;
use port21_server::account::password::{Cost, PasswordHash};
use port21_server::account::records::{Found, Record, Records};
use port21_server::account::standing::{Standing, Withdrawn};
use port21_server::storage::BoxFuture;

use super::account::Common;
use crate::config::accounts::entry::Entry;
use crate::config::accounts::file::UserFile;
use crate::exit::{Exit, Fault, sentence};
use crate::helper::{Helper, Stamp};

/// How often the file is looked at for the sake of those who are logged in. A change counts for them once it was seen twice: a
/// file that is being written by an editor is half there for a moment.
const LOOK: Duration = Duration::from_secs(1);

/// The accounts of a file that may change at any time.
///
/// A file that is broken, out of reach or gone changes nothing: those that it had when it was whole go on being let in, and the
/// mistake is logged, once. A file that nobody looks at any more, as the helper is gone, lets nobody in: what it says now may be
/// that they must not.
pub(crate) struct Watched {
    path: PathBuf,
    /// The `[[host]]` that they are of; nothing: the site to begin with.
    host: Option<String>,
    /// Who reads it: it may be out of reach for the server itself.
    helper: Helper,
    common: Common,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the file when it was last looked at, whole or broken.
    stamp: Option<Stamp>,
    users: HashMap<String, User>,
    decoy: Option<Arc<PasswordHash>>,
    /// The accounts that sessions may have, each as the file had it.
    given: Vec<(Entry, Standing)>,
    /// Of the file, when it was last looked at for the sake of sessions.
    seen: Option<Stamp>,
    /// Whether the sessions that there are were compared with the accounts as they are now.
    compared: bool,
    /// The configuration in force does not name it any more: nobody is let in by it, and nobody looks at it.
    retired: bool,
    /// What was told last of what is wrong.
    told: Option<String>,
}

struct User {
    entry: Entry,
    record: Arc<Record>,
    /// Once somebody has logged in: it holds the home open.
    account: Option<Account>,
}

impl Watched {
    /// The accounts of this file, which need not be there yet. It waits for the helper: it is not for tasks.
    ///
    /// # Errors
    /// Where it is broken from the beginning.
    pub(crate) fn open(path: PathBuf, host: Option<String>, helper: Helper, common: Common) -> anyhow::Result<Watched> {
        let watched = Watched { path, host, helper, common, state: Mutex::default() };
        let stamp = watched.stamp().map_err(advised)?;
        let file = watched.read().map_err(advised)?;
        warn_of_readers(&watched.path, stamp);
        watched.lock().take(stamp, file);
        Ok(watched)
    }

    /// Whether there was a file when it was last looked at.
    pub(crate) fn is_there(&self) -> bool {
        self.lock().stamp.is_some()
    }

    fn find_now(&self, name: &[u8]) -> Result<Found, LoginError> {
        let is_known = self.look();
        let mut state = self.lock();
        if state.retired || !is_known || self.helper.wrong().is_some() {
            return Err(LoginError::Unavailable);
        }
        let decoy = state.decoy.get_or_insert_with(|| Arc::new(PasswordHash::decoy(Cost::default()))).clone();
        Ok(Found { record: state.user(name).map(|user| user.record.clone()), decoy })
    }

    fn open_now(&self, name: &[u8]) -> Result<Account, LoginError> {
        let mut state = self.lock();
        if state.retired {
            return Err(LoginError::Unavailable);
        }
        let user = state.user(name).ok_or(LoginError::Refused)?;
        if let Some(account) = &user.account {
            return Ok(account.clone());
        }
        let account = self.common.open(&user.entry).map_err(|error| {
            tracing::error!(account = %user.entry.name, "{}", sentence(&error));
            LoginError::Unavailable
        })?;
        let account = user.account.insert(account).clone();
        let given = (user.entry.clone(), account.standing.clone());
        state.given.push(given);
        Ok(account)
    }

    /// Takes the file up where it has changed, and ends sessions of accounts that are not what they were.
    fn look_at_sessions(&self) {
        if self.lock().retired {
            return;
        }
        self.look();
        let stamp = self.stamp();
        let mut state = self.lock();
        let Ok(stamp) = stamp else { return };
        let still = std::mem::replace(&mut state.seen, stamp) == stamp && state.stamp == stamp;
        if still && !std::mem::replace(&mut state.compared, true) {
            state.compare();
        }
    }

    /// Ends the sessions that have come by it, and lets nobody in any more.
    fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        state.users.clear();
        state.given.drain(..).for_each(|(_, standing)| standing.withdraw(Withdrawn::Revoked));
    }

    /// Takes the file up where it has changed. Whether that could be found out: what takes its time, as a file system does that
    /// hangs, may have changed, and where it cannot be used all stays as it is.
    fn look(&self) -> bool {
        if self.lock().retired {
            return true;
        }
        let stamp = match self.stamp() {
            Ok(stamp) => stamp,
            Err(error) => return self.tell(error),
        };
        let before = {
            let mut state = self.lock();
            if state.stamp == stamp {
                state.told = None;
                return true;
            }
            if stamp.is_none() {
                drop(state);
                // An editor, a backup that is being restored, a mistake: whoever means it says so.
                let gone = "is gone: put it back, or leave an empty file to let nobody in";
                return self.tell(anyhow!("{} {gone}", self.path.display()));
            }
            // What follows is done once, and others go on with what there was.
            std::mem::replace(&mut state.stamp, stamp)
        };
        match self.read_what_is_there() {
            Ok(file) => {
                tracing::info!(accounts = file.users.len(), "took up {}", self.path.display());
                warn_of_readers(&self.path, stamp);
                self.lock().take(stamp, file);
                true
            }
            Err(error) => {
                // A mistake in it is looked at once; what could not be read is tried again at the next login.
                if error.is::<io::Error>() {
                    self.lock().stamp = before;
                }
                self.tell(error)
            }
        }
    }

    /// Says what is wrong with the file, once for as long as it is the same, and whether it is known all the same who may log in.
    /// What is wrong with the helper is said by its own end.
    fn tell(&self, error: anyhow::Error) -> bool {
        let is_known = error.downcast_ref::<io::Error>().is_none_or(|error| error.kind() != ErrorKind::TimedOut);
        let wrong = sentence(&advised(error));
        if self.helper.wrong().is_none() && self.lock().told.replace(wrong.clone()).is_none_or(|told| told != wrong) {
            match is_known {
                true => tracing::error!("the accounts stay as they are: {wrong}"),
                false => {
                    tracing::error!("until it can be looked at nobody logs in by {}: {wrong}", self.path.display())
                }
            }
        }
        is_known
    }

    fn read(&self) -> anyhow::Result<UserFile> {
        UserFile::read_by(&self.path, |path| self.helper.read_and_wait(path))
    }

    /// As [`Watched::read`], of a file that was there a moment ago: none is not the same as one without accounts.
    fn read_what_is_there(&self) -> anyhow::Result<UserFile> {
        UserFile::read_by(&self.path, |path| {
            self.helper.read_and_wait(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => io::Error::other("it is gone"),
                _ => error,
            })
        })
    }

    fn stamp(&self) -> anyhow::Result<Option<Stamp>> {
        match self.helper.look_and_wait(&self.path) {
            Ok(stamp) => Ok(Some(stamp)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", self.path.display())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // What is taken up is put together before it is taken.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The group may read it: the service's, where the file is root's.
fn warn_of_readers(path: &Path, stamp: Option<Stamp>) {
    if stamp.is_some_and(|stamp| stamp.mode() & 0o037 != 0) {
        tracing::warn!("others can read or change the hashes of passwords: chmod 640 {}", path.display());
    }
}

/// The error, with what to do about it where the file is there and may not be read.
fn advised(error: anyhow::Error) -> anyhow::Error {
    let is_denied = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if !is_denied {
        return error;
    }
    let advice = "the user that the server runs as must be able to read it: chown it to them, or chgrp it to their group and \
                  chmod 640";
    Fault::new(Exit::Local, format!("{}: {advice}", sentence(&error))).into()
}

impl State {
    /// What did not change keeps its open home, and what was counted of it.
    fn take(&mut self, stamp: Option<Stamp>, file: UserFile) {
        // The most that any account costs: one that costs less shows that it is there, so let them all be made alike.
        let costs = file.users.iter().filter_map(|entry| entry.password.as_ref()).map(PasswordHash::cost);
        let cost = costs.max_by_key(|cost| u64::from(cost.memory) * u64::from(cost.passes)).unwrap_or_default();
        self.decoy = Some(Arc::new(PasswordHash::decoy(cost)));
        let mut old = std::mem::take(&mut self.users);
        for entry in file.users {
            let known = old.remove(&entry.name).filter(|user| user.entry == entry);
            let record = Arc::new(Common::record(&entry));
            let user = known.unwrap_or(User { entry, record, account: None });
            self.users.insert(user.entry.name.clone(), user);
        }
        self.stamp = stamp;
        self.compared = false;
        self.told = None;
    }

    /// Withdraws what was given of accounts that are not there any more, or not as they were.
    fn compare(&mut self) {
        let users = &self.users;
        self.given.retain(|(entry, standing)| {
            let now = users.get(&entry.name).map(|user| &user.entry);
            if now == Some(entry) {
                return standing.is_held();
            }
            let same_proof = now.is_some_and(|now| !now.disabled && now.proof() == entry.proof());
            standing.withdraw(if same_proof { Withdrawn::Changed } else { Withdrawn::Revoked });
            false
        });
    }

    fn user(&mut self, name: &[u8]) -> Option<&mut User> {
        self.users.get_mut(std::str::from_utf8(name).ok()?)
    }
}

/// The records of a [`Watched`], looked up where waiting is allowed.
pub(crate) struct Shared(Arc<Watched>);

impl Shared {
    /// From now on it is looked at by `watches`.
    pub(crate) fn new(watched: Watched, watches: &Watches) -> Shared {
        let watched = Arc::new(watched);
        watches.lock().push(Arc::downgrade(&watched));
        Shared(watched)
    }
}

/// All files of accounts that sessions may have come by: also as configurations had them that are not in force any more.
#[derive(Clone, Default)]
pub(crate) struct Watches(Arc<Mutex<Vec<Weak<Watched>>>>);

impl Watches {
    /// Looks at them every second, for as long as it is not dropped.
    pub(crate) async fn keep(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let watches = self.clone();
            // It waits for the helper. Where it has panicked, that was told.
            let _ = tokio::task::spawn_blocking(move || watches.look()).await;
        }
    }

    /// Ends all sessions of files that are `named` no more, for the same host (nothing: the site to begin with): from now on
    /// nobody could end them by their file.
    pub(crate) fn retire(&self, named: impl Fn(Option<&str>, &Path) -> bool) {
        let gone = |watched: &Arc<Watched>| !named(watched.host.as_deref(), &watched.path);
        let mut all = self.lock();
        all.retain(|watched| match watched.upgrade() {
            Some(watched) if gone(&watched) => {
                watched.retire();
                tracing::info!("no accounts of {} any more: ending their sessions", watched.path.display());
                false
            }
            Some(_) => true,
            None => false,
        });
    }

    /// Whether a file was there under this name, for the same host, and sessions may have come by it.
    pub(crate) fn knew(&self, host: Option<&str>, path: &Path) -> bool {
        let all: Vec<Arc<Watched>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        all.iter().any(|one| one.host.as_deref() == host && one.path == path && one.lock().stamp.is_some())
    }

    fn look(&self) {
        let all: Vec<Arc<Watched>> = {
            let mut all = self.lock();
            // A configuration goes with its last session.
            all.retain(|watched| watched.strong_count() > 0);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        all.iter().for_each(|watched| watched.look_at_sessions());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Watched>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for Shared {
    fn find<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Found, LoginError>> {
        let (watched, name) = (Arc::clone(&self.0), name.to_vec());
        Box::pin(async move {
            // It reads files.
            let found = tokio::task::spawn_blocking(move || watched.find_now(&name)).await;
            found.unwrap_or(Err(LoginError::Unavailable))
        })
    }

    fn open<'a>(&'a self, name: &'a [u8]) -> BoxFuture<'a, Result<Account, LoginError>> {
        let (watched, name) = (Arc::clone(&self.0), name.to_vec());
        Box::pin(async move {
            // It opens a home, and may make it.
            let opened = tokio::task::spawn_blocking(move || watched.open_now(&name)).await;
            opened.unwrap_or(Err(LoginError::Unavailable))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Site};

    struct Place {
        dir: tempfile::TempDir,
        watched: Watched,
    }

    impl Place {
        fn new(text: &str) -> Place {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("root");
            std::fs::create_dir(&root).unwrap();
            let path = dir.path().join("users.toml");
            std::fs::write(&path, text).unwrap();
            let config = Config { site: Site { root: Some(root), ..Site::default() }, ..Config::default() };
            Place { watched: Watched::open(path, None, Helper::default(), Common::new(&config)).unwrap(), dir }
        }

        fn write(&self, text: &str) {
            // As `port21 user` does: under the same name, another file.
            let new = self.dir.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.dir.path().join("users.toml")).unwrap();
        }

        fn find(&self, name: &str) -> Option<Arc<Record>> {
            self.watched.find_now(name.as_bytes()).unwrap().record
        }

        fn open(&self, name: &str) -> Account {
            self.watched.open_now(name.as_bytes()).unwrap()
        }
    }

    #[test]
    fn changes_are_taken_up_at_the_next_login_and_broken_ones_are_not() {
        let place = Place::new("[[user]]\nname = \"ann\"\nhome = \"/ann\"\n[[user]]\nname = \"bob\"\n");
        assert!(place.find("ann").is_some());
        assert!(!place.dir.path().join("root/ann").exists(), "nobody has proven to be ann");
        let ann = place.open("ann");
        assert!(place.dir.path().join("root/ann").is_dir(), "a home that is not there is made");
        place.write("[[user]]\nname = \"ann\"\nhome = \"/ann\"\n[[user]]\nname = \"eve\"\ndisabled = true\n");
        assert!(place.find("bob").is_none() && place.find("eve").unwrap().disabled);
        assert!(Arc::ptr_eq(&ann.storage, &place.open("ann").storage), "what did not change is kept");
        place.write("[[user]]\nname = \"ann\"\nhome = nowhere\n");
        assert!(place.find("eve").is_some() && place.find("ann").is_some());
        place.write("[[user]]\nname = \"bob\"\n");
        assert!(place.find("bob").is_some() && place.find("eve").is_none());
        assert!(place.watched.find_now(b"\xff").unwrap().record.is_none());
        assert_eq!(place.watched.open_now(b"eve").err(), Some(LoginError::Refused));
    }

    #[test]
    fn sessions_end_with_what_they_have_logged_in_to() {
        let file = |ann: &str, bob: &str| format!("[[user]]\nname = \"ann\"\n{ann}[[user]]\nname = \"bob\"\n{bob}");
        let place = Place::new(&file("", ""));
        let given = || place.watched.lock().given.iter().map(|(entry, _)| entry.name.clone()).collect::<Vec<_>>();
        let (ann, _bob) = (place.open("ann"), place.open("bob"));
        assert!(Arc::ptr_eq(&ann.storage, &place.open("ann").storage));
        assert_eq!(given(), ["ann", "bob"]);
        place.watched.look_at_sessions();
        // Whoever looks while the file is being written would find nobody in it.
        place.write("");
        place.watched.look_at_sessions();
        place.write(&file("", "quota = \"1MiB\"\n"));
        place.watched.look_at_sessions();
        assert_eq!(given(), ["ann", "bob"]);
        place.watched.look_at_sessions();
        assert_eq!(given(), ["ann"]);
        place.write(&file("quota = nothing\n", ""));
        place.watched.look_at_sessions();
        place.watched.look_at_sessions();
        assert_eq!(given(), ["ann"], "a broken file ends nobody");
        place.write(&file("disabled = true\n", ""));
        place.watched.look_at_sessions();
        place.watched.look_at_sessions();
        assert!(given().is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_tried_again() {
        let place = Place::new("[[user]]\nname = \"ann\"\n");
        // It is there, and cannot be read.
        std::fs::remove_file(place.dir.path().join("users.toml")).unwrap();
        std::fs::create_dir(place.dir.path().join("users.toml")).unwrap();
        assert!(place.find("ann").is_some());
        assert_ne!(place.watched.lock().stamp, place.watched.stamp().unwrap());
        // A mistake in it is told once.
        std::fs::remove_dir(place.dir.path().join("users.toml")).unwrap();
        place.write("[[user]]\nname = ann\n");
        assert!(place.find("ann").is_some());
        assert_eq!(place.watched.lock().stamp, place.watched.stamp().unwrap());
    }

    #[test]
    fn a_file_that_is_gone_is_not_one_without_accounts() {
        let place = Place::new("[[user]]\nname = \"ann\"\n");
        let file = place.dir.path().join("users.toml");
        let told = || place.watched.lock().told.clone();
        std::fs::remove_file(&file).unwrap();
        for _ in 0..3 {
            place.watched.look_at_sessions();
            assert!(place.find("ann").is_some());
        }
        assert!(told().is_some_and(|told| told.contains("users.toml is gone")), "{:?}", told());
        // Who is gone between two looks is not there either.
        assert!(place.watched.read_what_is_there().is_err() && place.watched.read().unwrap().users.is_empty());
        place.write("");
        assert!(place.find("ann").is_none() && told().is_none());
    }

    #[test]
    fn what_is_wrong_with_it_is_told_once() {
        let place = Place::new("[[user]]\nname = \"ann\"\n");
        let told = || place.watched.lock().told.clone();
        place.watched.tell(anyhow!("this"));
        place.watched.tell(anyhow!("that"));
        assert_eq!(told().as_deref(), Some("that"));
        // It is as it was: what goes wrong from now on is told again.
        place.watched.look();
        assert_eq!(told(), None);
    }

    #[test]
    fn who_may_not_read_it_is_told_what_to_do() {
        let read =
            |error: io::Error| UserFile::read_by(Path::new("f"), |_| Err(io::Error::from(error.kind()))).unwrap_err();
        let denied = sentence(&advised(read(ErrorKind::PermissionDenied.into())));
        assert!(denied.starts_with("cannot read f: ") && denied.contains("chmod 640"), "{denied}");
        let other = sentence(&advised(read(ErrorKind::IsADirectory.into())));
        assert!(!other.contains("chmod"), "{other}");
    }

    #[test]
    fn a_broken_file_is_an_error_at_the_start() {
        let place = Place::new("");
        place.write("[[user]]\n");
        let common = Common::new(&Config::default());
        assert!(Watched::open(place.dir.path().join("users.toml"), None, Helper::default(), common).is_err());
    }

    #[test]
    fn a_file_that_is_named_no_more_lets_nobody_in() {
        let Place { dir, watched } = Place::new("[[user]]\nname = \"ann\"\n");
        let (path, watches) = (watched.path.clone(), Watches::default());
        let Shared(watched) = Shared::new(watched, &watches);
        let ann = watched.open_now(b"ann").unwrap();
        watches.retire(|host, file| host.is_none() && file == path);
        assert!(watched.find_now(b"ann").is_ok() && watches.lock().len() == 1);
        watches.retire(|host, _| host == Some("a.example"));
        assert!(watches.lock().is_empty() && watched.lock().given.is_empty());
        assert_eq!(watched.find_now(b"ann").err(), Some(LoginError::Unavailable));
        assert_eq!(watched.open_now(b"ann").err(), Some(LoginError::Unavailable));
        drop((dir, ann));
    }

    #[test]
    fn an_unknown_name_costs_as_much_as_the_accounts_do() {
        let cheap = PasswordHash::new(&port21_proto::Secret::new("x"), Cost { memory: 64, passes: 3 }).unwrap();
        let place = Place::new(&format!("[[user]]\nname = \"ann\"\npassword = \"{}\"\n", cheap.as_str()));
        assert_eq!(place.watched.find_now(b"nobody").unwrap().decoy.cost(), cheap.cost());
    }
}
