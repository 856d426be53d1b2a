//! The local file system as a [`Storage`]. For Linux: it stands on openat2 (with a slower way where that is missing),
//! on /proc and on renames that do not replace.
//!
//! | module | what it is |
//! |---|---|
//! | `tree` | confinement: from a path to an open file beneath the root |
//! | `begin`, `upload` | uploads: which file they are written to; written aside and renamed, or in place |
//! | `aside`, `writers` | the hidden files of uploads, and parts; one writer a file |
//! | `attributes` | what a file takes over from the one that it replaces |
//! | `disk`, `directory` | what makes a file and its name last; syncs of a directory that many wait for |
//! | `listing` | directories, in batches |
//! | `hold` | files that nobody else touches meanwhile |
//! | `count` | what a tree holds, for quotas |
//! | `rename`, `remove` | renames, those that replace and those that must not; files that go, and parts with them |
//! | `facts`, `failure` | what the system tells of files, and its errors |
//!
//! **Where system calls run.** What only looks (RETR's open, SIZE, MDTM, CWD) is tried at once, on the session's own
//! thread, under `RESOLVE_CACHED`: the kernel answers from its caches in a microsecond or two, or says that it would
//! have to wait. Then, and for everything that lists or removes something or is to last, the call goes to tokio's pool of blocking
//! threads, which costs 10 to 20 µs. A change that mostly takes less than that, and yet may wait for the file system's journal
//! behind somebody else's fsync, is made on the session's thread while that leaves others for all other sessions (see
//! `crate::brief`). File systems that are not on this machine always use the
//! pool.

mod aside;
mod attributes;
mod begin;
mod count;
mod directory;
mod disk;
mod facts;
mod failure;
mod hold;
mod listing;
mod remove;
mod rename;
#[cfg(test)]
mod tests;
mod tree;
mod upload;
mod writers;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use port21_proto::FtpPath;
use port21_proto::listing::Entry;
use port21_proto::server::{ListRequest, Part, Representation, StorageError};
use port21_proto::verb::Permissions;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::fs::{chmodat, fchmod, fstat, fstatvfs, futimens, mkdirat, symlinkat, utimensat};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, timeout_at};

use self::aside::Ages;
use self::begin::Begin;
use self::facts::{Facts, Rights};
use self::failure::Failure;
use self::tree::{CAREFUL, LOOK, Lookup, Place, Tree};
use self::writers::Claim;
use super::ledger::Used;
use super::{Answer, CommitMode, Hold, Listing, Quota, Source, Storage, Upload, UploadRequest};

pub use self::failure::storage_error;

/// How long those are waited for who have a file and are about to let go of it.
const GIVING_WAY: Duration = Duration::from_secs(5);

/// Settings of a [`LocalFs`].
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The permission bits that new files (of 0666) and directories (of 0777) do not get. Default 0o022. The process's
    /// own umask is taken away as well: a program that wants these bits to be exact sets its own to 0 when it starts.
    pub umask: u32,
    /// Whether listings tell the numbers of owners and groups. Default no: everything is owned by `ftp`. They mean
    /// nothing on the client's machine, and tell something about this one.
    pub show_owners: bool,
    /// What the account may do, for the `perm` fact of MLSx. Default all. It is told, not enforced: the session does
    /// that.
    pub permissions: Permissions,
    /// The most names of a directory that are sorted; of a larger one the rest follows in no order. Default 16,384: some
    /// 1 MB of memory for a listing by name, 5 MB for one by time or size.
    pub sorted: usize,
    /// The most entries of a recursive listing (LIST -R). Default 100,000.
    pub recursive_entries: usize,
    /// How deep a recursive listing goes. Default 32.
    pub recursive_depth: usize,
    /// How old a left-over of an upload must be before it is removed, if no upload holds it. Default 1 hour.
    pub stale_after: Duration,
    /// The account whose files these are, where one client at a time uses it: what comes of an interrupted upload is
    /// kept as a hidden part, for this account alone to go on with, and a newer upload of it displaces one that stalls.
    /// Default none, as it must be for anonymous and for accounts that several people share: what one of them began
    /// another would go on with.
    pub owner: Option<Arc<str>>,
    /// How long such a part is kept. Default 7 days: who comes back after a weekend goes on where they were. Parts take
    /// room that no listing shows. With zero there are none.
    pub parts_kept: Duration,
    /// Parts that nobody has written to since then are not gone on with. Default the start of this machine, as its clocks
    /// tell it now: a part is not forced to the disk, and what a power cut has left of one may have its length and yet lack
    /// bytes. Earlier trusts the file system with them.
    pub parts_since: SystemTime,
    /// How long an upload must have carried nothing before a newer one of the same account displaces it. Default 10 s.
    /// Shorter takes an upload from a client that is only slow; longer keeps one whose network was cut from its retry.
    pub displace_after: Duration,
    /// What these files may take up. Default no limit.
    pub quota: Option<Arc<dyn Quota>>,
}

impl Default for LocalSettings {
    fn default() -> LocalSettings {
        LocalSettings {
            umask: 0o022,
            show_owners: false,
            permissions: Permissions::ALL,
            sorted: 16_384,
            recursive_entries: 100_000,
            recursive_depth: 32,
            stale_after: Duration::from_secs(3600),
            owner: None,
            parts_kept: Duration::from_secs(7 * 24 * 3600),
            parts_since: started(),
            displace_after: Duration::from_secs(10),
            quota: None,
        }
    }
}

impl LocalSettings {
    /// The account that parts are kept for.
    fn parts_of(&self) -> Option<Arc<str>> {
        self.owner.clone().filter(|_| !self.parts_kept.is_zero())
    }
}

/// When this machine was started.
fn started() -> SystemTime {
    let up = clock_gettime(ClockId::Boottime);
    let up = Duration::try_from(up).unwrap_or_default();
    SystemTime::now().checked_sub(up).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How long a change takes.
#[derive(Clone, Copy)]
enum Takes {
    /// Microseconds, where no disk is waited for.
    Brief,
    /// Perhaps longer: a large file goes, or something is to last.
    Long,
}

/// The files below a directory of this machine; nothing outside it can be reached through any name or link.
pub struct LocalFs {
    root: PathBuf,
    tree: Arc<Tree>,
    settings: Arc<LocalSettings>,
}

impl LocalFs {
    /// Opens a directory as an account's root. It is held open: that its path is renamed or mounted over later changes
    /// nothing.
    ///
    /// # Errors
    /// Where it cannot be opened or is no directory.
    pub fn open(root: impl AsRef<Path>, settings: LocalSettings) -> io::Result<LocalFs> {
        let root = root.as_ref();
        let tree = Arc::new(Tree::new(root)?);
        // As it was opened; where it cannot be told, as it was named.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Ok(LocalFs { root, tree, settings: Arc::new(settings) })
    }

    /// Removes what uploads left behind when the server was killed, and parts that were kept for long enough, in the whole
    /// tree. Tells how many files. To be done at the start and then daily, beside serving: it reads every directory.
    /// Dropped, it stops.
    ///
    /// # Errors
    /// Where the root cannot be read.
    pub async fn collect_stale(&self) -> Result<usize, StorageError> {
        let (tree, ages) = (Arc::clone(&self.tree), Ages::of(&self.settings));
        // The pool does not know that nobody waits any more, and a runtime that shuts down waits for the pool.
        let waits = Arc::new(());
        let waited_for = Arc::downgrade(&waits);
        let removed = blocking(move || settle(aside::collect(&tree, ages, || waited_for.strong_count() > 0))).await;
        drop(waits);
        let removed = removed?;
        remove::give_back(self.settings.quota.as_ref(), removed);
        Ok(removed.files)
    }

    /// Counts what there is below the root, and waits for the disk meanwhile. Before each directory it asks whether to
    /// `go_on`.
    pub(crate) fn count(&self, go_on: impl Fn() -> bool) -> Result<Used, StorageError> {
        settle(count::count(&self.tree, go_on))
    }

    /// Runs what only looks at a path: at once where the kernel's caches have the answer, else on the pool.
    async fn look<T: Send + 'static>(
        &self,
        path: &FtpPath,
        look: impl Fn(&Tree, &FtpPath, Lookup) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StorageError> {
        if aside::has_aside(path) {
            return Err(StorageError::NotFound);
        }
        if self.tree.is_quick() {
            match look(&self.tree, path, Lookup::Cached) {
                Err(Failure::Os(Errno::AGAIN)) => {}
                answer => return settle(answer),
            }
        }
        let (tree, path) = (Arc::clone(&self.tree), path.clone());
        blocking(move || settle(look(&tree, &path, Lookup::Full))).await
    }

    /// Runs what changes something. `taboo` is the answer where a name is one of an upload's own.
    async fn change<T: Send + 'static>(
        &self,
        takes: Takes,
        path: &FtpPath,
        taboo: StorageError,
        change: impl Fn(&Tree, &FtpPath) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<T, StorageError> {
        if aside::has_aside(path) {
            return Err(taboo);
        }
        let path = path.clone();
        self.alone(takes, move |tree| change(tree, &path)).await
    }

    /// Runs what may need a file for itself. Where another one has the file, it is waited for if it ends in a
    /// moment or is to give way, and else not.
    async fn alone<T: Send + 'static>(
        &self,
        takes: Takes,
        work: impl Fn(&Tree) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<T, StorageError> {
        let (work, until) = (Arc::new(work), Instant::now() + GIVING_WAY);
        loop {
            let (tree, work) = (Arc::clone(&self.tree), Arc::clone(&work));
            let done = move || match work(&tree) {
                Err(Failure::Taken(writer)) => Ok(Err(writer)),
                done => settle(done).map(Ok),
            };
            let done = match takes {
                Takes::Brief if self.tree.is_quick() => brief(done).await,
                Takes::Brief | Takes::Long => blocking(done).await,
            };
            let taken = match done? {
                Ok(done) => return Ok(done),
                Err(taken) => taken,
            };
            let gives_way = taken.gives_way(self.settings.owner.as_ref(), self.settings.displace_after);
            // It may wait for a disk.
            if !gives_way || timeout_at(until, taken.ended()).await.is_err() {
                return Err(StorageError::Busy);
            }
        }
    }
}

impl Storage for LocalFs {
    fn local_path(&self, path: &FtpPath) -> Option<PathBuf> {
        Some(self.root.join(OsStr::from_bytes(path.relative())))
    }

    fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source> {
        Box::pin(self.look(path, move |tree, path, lookup| open_read(tree, path, from, lookup)))
    }

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        let UploadRequest { path, placement, overwrite, announced, commit, told, representation, adds } = request;
        let (owner, quota) = (self.settings.owner.clone(), self.settings.quota.clone());
        let (path, mode, parts_of) = (path.clone(), self.mode(0o666), self.settings.parts_of());
        let parts_since = self.settings.parts_since;
        let begin = Begin {
            path,
            placement,
            overwrite,
            announced,
            commit,
            told,
            representation,
            adds,
            mode,
            owner,
            parts_of,
            parts_since,
            quota,
        };
        Box::pin(self.begin(begin))
    }

    fn part<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Part> {
        Box::pin(async move {
            let Some(owner) = self.settings.parts_of() else { return Err(StorageError::NotFound) };
            let since = self.settings.parts_since;
            self.change(Takes::Long, path, StorageError::NotFound, move |tree, path| match begin::target(tree, path)? {
                (place, None) => aside::part(&place.dir, &aside::part_name(&owner, &place.name), since),
                (_, Some(_)) => Err(StorageError::NotFound.into()),
            })
            .await
        })
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>> {
        Box::pin(async {
            if aside::has_aside(&request.path) {
                return Err(StorageError::NotFound);
            }
            let (tree, settings) = (Arc::clone(&self.tree), Arc::clone(&self.settings));
            let request = request.clone();
            // As for `collect_stale`: a client that asks and aborts, again and again, must not fill the pool.
            let waits = Arc::new(());
            let waited_for = Arc::downgrade(&waits);
            let listing = blocking(move || settle(listing::open(tree, &settings, request, waited_for))).await?;
            Ok(Box::new(listing.wanted_while(waits)) as Box<dyn Listing>)
        })
    }

    fn stat<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Entry> {
        let settings = Arc::clone(&self.settings);
        Box::pin(self.look(path, move |tree, path, lookup| {
            let facts = Facts::from(fstat(tree.open(path, LOOK, lookup)?)?);
            // The directory by the path's text: of a link's target it may be another, and the link can be removed there.
            let parent = Facts::from(fstat(tree.open(&path.parent(), LOOK, lookup)?)?);
            let mut entry = facts::entry(path.as_bytes().to_vec(), &facts, settings.show_owners);
            entry.unique = Some(facts::unique(&facts));
            entry.perm = Some(Rights::now(settings.permissions, tree.root()).perm(&facts, &parent));
            Ok(entry)
        }))
    }

    fn size<'a>(&'a self, path: &'a FtpPath, representation: Representation) -> Answer<'a, u64> {
        Box::pin(async move {
            match representation {
                Representation::Image => {
                    self.look(path, |tree, path, lookup| regular_size(&tree.open(path, LOOK, lookup)?)).await
                }
                Representation::Ascii => {
                    self.open_read(path, 0).await?.wire_size(representation).await.ok_or(StorageError::TooCostly)
                }
            }
        })
    }

    fn enter<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        Box::pin(self.look(path, |tree, path, lookup| {
            tree.open_inside(path, lookup)?;
            Ok(())
        }))
    }

    fn rename<'a>(&'a self, from: &'a FtpPath, to: &'a FtpPath, overwrite: bool) -> Answer<'a, ()> {
        let (new, settings) = (to.clone(), Arc::clone(&self.settings));
        Box::pin(async move {
            if aside::has_aside(to) {
                return Err(StorageError::BadName);
            }
            self.change(Takes::Brief, from, StorageError::NotFound, move |tree, from| {
                rename::rename(tree, from, &new, overwrite, &settings)
            })
            .await
        })
    }

    fn remove_file<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        let settings = Arc::clone(&self.settings);
        Box::pin(
            self.change(Takes::Brief, path, StorageError::NotFound, move |tree, path| {
                remove::file(tree, path, &settings)
            }),
        )
    }

    fn remove_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        let settings = Arc::clone(&self.settings);
        Box::pin(self.change(Takes::Long, path, StorageError::NotFound, move |tree, path| {
            remove::directory(tree, path, &settings)
        }))
    }

    fn at_rest<'a>(&'a self, directory: &'a FtpPath) -> Answer<'a, ()> {
        let settings = Arc::clone(&self.settings);
        Box::pin(self.change(Takes::Long, directory, StorageError::NotFound, move |tree, path| {
            remove::at_rest(tree, path, &settings)
        }))
    }

    fn make_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        let (mode, quota) = (self.mode(0o777), self.settings.quota.clone());
        Box::pin(async move {
            self.quota_is_ready().await;
            self.change(Takes::Brief, path, StorageError::BadName, move |tree, path| {
                if path.is_root() {
                    return Err(StorageError::Exists.into());
                }
                let place = tree.parent(path)?;
                counted(quota.as_ref(), &place, || mkdirat(&place.dir, place.name.as_slice(), mode))
            })
            .await
        })
    }

    fn link<'a>(&'a self, target: &'a FtpPath, link: &'a FtpPath) -> Answer<'a, ()> {
        let (text, quota) = (relative(target, link), self.settings.quota.clone());
        Box::pin(async move {
            if aside::has_aside(target) {
                return Err(StorageError::BadName);
            }
            self.quota_is_ready().await;
            self.change(Takes::Brief, link, StorageError::BadName, move |tree, link| {
                let place = tree.parent(link)?;
                counted(quota.as_ref(), &place, || symlinkat(text.as_slice(), &place.dir, place.name.as_slice()))
            })
            .await
        })
    }

    fn hold<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Box<dyn Hold>> {
        Box::pin(async move {
            if aside::has_aside(path) {
                return Err(StorageError::NotFound);
            }
            let (path, tree, settings) = (path.clone(), Arc::clone(&self.tree), Arc::clone(&self.settings));
            self.alone(Takes::Long, move |_| Ok(Box::new(hold::hold(&tree, &path, &settings)?) as Box<dyn Hold>)).await
        })
    }

    fn available<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, u64> {
        Box::pin(async move {
            self.quota_is_ready().await;
            let left = self.settings.quota.as_ref().and_then(|quota| quota.room()).unwrap_or(u64::MAX);
            self.look(path, move |tree, path, lookup| {
                let system = fstatvfs(tree.open_inside(path, lookup)?)?;
                Ok(system.f_bavail.saturating_mul(system.f_frsize).min(left))
            })
            .await
        })
    }

    fn set_modified<'a>(&'a self, path: &'a FtpPath, at: Timestamp) -> Answer<'a, ()> {
        Box::pin(self.change(Takes::Brief, path, StorageError::NotFound, move |tree, path| {
            let nanos = at.as_nanosecond();
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec {
                    tv_sec: nanos.div_euclid(1_000_000_000) as _,
                    tv_nsec: nanos.rem_euclid(1_000_000_000) as _,
                },
            };
            let file = attributable(tree, path)?.0;
            match utimensat(CWD, tree::own_name(&file), &times, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(futimens(reopened(tree, path)?, &times)?),
                answer => Ok(answer?),
            }
        }))
    }

    fn set_mode<'a>(&'a self, path: &'a FtpPath, mode: u32) -> Answer<'a, ()> {
        Box::pin(self.change(Takes::Brief, path, StorageError::NotFound, move |tree, path| {
            let (file, facts) = attributable(tree, path)?;
            // A directory keeps its set-group-ID and sticky bits, as with chmod(1); a file loses them.
            let kept = if facts.is_directory() { facts.mode & 0o7000 } else { 0 };
            let mode = Mode::from_raw_mode(kept | mode & 0o777);
            match chmodat(CWD, tree::own_name(&file), mode, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(fchmod(reopened(tree, path)?, mode)?),
                answer => Ok(answer?),
            }
        }))
    }
}

impl LocalFs {
    fn mode(&self, all: u32) -> Mode {
        Mode::from_raw_mode(all & !self.settings.umask)
    }

    async fn quota_is_ready(&self) {
        if let Some(quota) = &self.settings.quota {
            quota.ready().await;
        }
    }

    async fn begin(&self, begin: Begin) -> Result<Box<dyn Upload>, StorageError> {
        if aside::has_aside(&begin.path) {
            return Err(StorageError::BadName);
        }
        self.quota_is_ready().await;
        // A durable one may have to wait for its directory.
        let takes = if begin.commit == CommitMode::Durable { Takes::Long } else { Takes::Brief };
        self.alone(takes, move |tree| Ok(Box::new(begin.clone().begin(tree)?) as Box<dyn Upload>)).await
    }
}

/// Makes something new of this name that a quota counts, and that is no file.
fn counted(
    quota: Option<&Arc<dyn Quota>>,
    place: &Place,
    make: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Failure> {
    let mut claim = Claim::for_a_moment();
    claim.name(place)?;
    if let Some(quota) = quota {
        quota.take(0, 1)?;
    }
    make().map_err(|errno| {
        remove::give(quota, (0, 1));
        errno.into()
    })
}

/// The text of a link that leads to `target`: from the link's own directory, so that it leads to the same file for whoever
/// comes by another way than through this server, and out of the root for nobody.
fn relative(target: &FtpPath, link: &FtpPath) -> Vec<u8> {
    let (to, from): (Vec<&[u8]>, Vec<&[u8]>) = (target.parts().collect(), link.parts().collect());
    let above = from.len().saturating_sub(1);
    let shared = to.iter().zip(from.iter().take(above)).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(&b".."[..], above - shared);
    let parts: Vec<&[u8]> = up.chain(to.into_iter().skip(shared)).collect();
    if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

fn open_read(tree: &Tree, path: &FtpPath, from: u64, lookup: Lookup) -> Result<Source, Failure> {
    let opened = tree.open(path, OFlags::RDONLY | CAREFUL, lookup)?;
    let size = regular_size(&opened)?;
    let len = size.checked_sub(from).ok_or(StorageError::BadOffset)?;
    let mut file = File::from(opened);
    if from > 0 {
        file.seek(SeekFrom::Start(from)).map_err(|e| storage_error(&e))?;
    }
    Ok(Source::File { file, len })
}

/// The size of an open regular file; an error for anything else.
fn regular_size(file: &OwnedFd) -> Result<u64, Failure> {
    let facts = Facts::from(fstat(file)?);
    match facts.kind() {
        FileType::RegularFile => Ok(facts.size),
        FileType::Directory => Err(StorageError::IsADirectory.into()),
        _ => Err(StorageError::NotARegularFile.into()),
    }
}

/// Opens a file or directory whose attributes are to be changed: to look at, so that no permission on it is needed but
/// being its owner.
fn attributable(tree: &Tree, path: &FtpPath) -> Result<(OwnedFd, Facts), Failure> {
    let file = tree.open(path, LOOK, Lookup::Full)?;
    let facts = Facts::from(fstat(&file)?);
    if !facts.is_file() && !facts.is_directory() {
        return Err(StorageError::NotARegularFile.into());
    }
    Ok((file, facts))
}

/// The same once more, opened to be read: for where /proc is not mounted.
fn reopened(tree: &Tree, path: &FtpPath) -> Result<OwnedFd, Failure> {
    Ok(tree.open(path, OFlags::RDONLY | CAREFUL, Lookup::Full)?)
}

/// Runs what may wait for a disk where waiting is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(e) => Err(StorageError::Io(e.to_string())),
    }
}

/// Runs what takes microseconds unless it waits for a disk of this machine.
async fn brief<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match crate::brief::brief(work).await {
        Ok(answer) => answer,
        Err(e) => Err(StorageError::Io(e.to_string())),
    }
}

/// Gives an answer the words that sessions understand.
fn settle<T, E: Into<Failure>>(answer: Result<T, E>) -> Result<T, StorageError> {
    answer.map_err(|e| e.into().into())
}
