//! A local directory, and what is below it: nothing that a server names leads out of it.
//!
//! The directory is held open, and everything below it is opened relative to it by names that are no `..` and through no
//! symbolic link, as the kernel sees to (`openat2`, `O_NOFOLLOW`): no path is checked first and opened afterwards.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, mkdirat, open, openat, openat2, readlinkat, renameat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// A directory that is open.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

/// A name in a directory that is open.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    dir: Arc<OwnedFd>,
    name: OsString,
    /// How people call it.
    path: PathBuf,
}

/// What a name stands for; a link is looked at itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    pub(crate) len: u64,
    pub(crate) modified: SystemTime,
    /// Its file system, and the file in it.
    pub(crate) id: (u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    /// A device, a FIFO, a socket.
    Other,
}

/// For a directory to look things up in.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a directory of the user's, whose path is followed as usual.
    pub(crate) fn open(path: &Path) -> io::Result<Folder> {
        Ok(Folder { dir: open(path, DIRECTORY, Mode::empty())?, path: path.to_owned() })
    }

    /// As [`Folder::open`], and makes it where it is not there, with those above it.
    pub(crate) fn make(path: &Path) -> io::Result<Folder> {
        std::fs::create_dir_all(path)?;
        Folder::open(path)
    }

    /// How people call what is below it.
    pub(crate) fn shown(&self, relative: &[u8]) -> PathBuf {
        if relative.is_empty() { self.path.clone() } else { self.path.join(OsStr::from_bytes(relative)) }
    }

    /// A place below it. The directory that holds it must be there.
    pub(crate) fn spot(&self, relative: &[u8]) -> io::Result<Spot> {
        check(relative)?;
        let at = relative.iter().rposition(|&b| b == b'/');
        let (above, name) = match at {
            Some(at) => (relative.get(..at).unwrap_or_default(), relative.get(at + 1..).unwrap_or_default()),
            None => (&b""[..], relative),
        };
        let dir = Arc::new(self.directory(above, DIRECTORY)?);
        Ok(Spot { dir, name: OsStr::from_bytes(name).to_owned(), path: self.shown(relative) })
    }

    /// What is at a place below it; nothing where the place, or a directory on the way to it, is not there.
    pub(crate) fn look(&self, relative: &[u8]) -> io::Result<Option<Facts>> {
        match self.spot(relative) {
            Ok(spot) => spot.look(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a directory below it; whether it was not there before. Those above it must be there. A link in its place is
    /// no directory.
    pub(crate) fn make_directory(&self, relative: &[u8]) -> io::Result<bool> {
        let spot = self.spot(relative)?;
        match mkdirat(&spot.dir, &spot.name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => match spot.look()? {
                Some(Facts { kind: Kind::Directory, .. }) => Ok(false),
                _ => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no directory has this name")),
            },
            Err(errno) => Err(errno.into()),
        }
    }

    /// What is in a directory below it (or in itself, for no path), in the order of names.
    pub(crate) fn list(&self, relative: &[u8]) -> io::Result<Vec<(Vec<u8>, Facts)>> {
        let dir = self.directory(relative, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&dir)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if matches!(name.as_slice(), b"." | b"..") {
                continue;
            }
            // Where it has gone since, it is not there.
            if let Some(facts) = look(&dir, OsStr::from_bytes(&name))? {
                entries.push((name, facts));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// Opens a directory below it, through no link.
    fn directory(&self, relative: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW;
        if relative.is_empty() {
            return Ok(openat(&self.dir, ".", flags, Mode::empty())?);
        }
        check(relative)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.dir, relative, flags, Mode::empty(), resolve) {
            // It is not to be had everywhere; or something was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::INTR) => {}
            answer => return Ok(answer?),
        }
        let mut at: Option<OwnedFd> = None;
        let mut parts = relative.split(|&b| b == b'/').peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { DIRECTORY | OFlags::NOFOLLOW } else { flags };
            at = Some(openat(at.as_ref().unwrap_or(&self.dir), part, flags, Mode::empty())?);
        }
        at.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Spot {
    /// The place of a path of the user's, which is followed as usual, but for its last part.
    pub(crate) fn of(path: &Path) -> io::Result<Spot> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = Arc::new(open(above, DIRECTORY, Mode::empty())?);
        Ok(Spot { dir, name, path: path.to_owned() })
    }

    /// Another name in the same directory.
    pub(crate) fn beside(&self, name: OsString) -> Spot {
        Spot { dir: self.dir.clone(), path: self.path.with_file_name(&name), name }
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// How people call it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What has the name.
    pub(crate) fn look(&self) -> io::Result<Option<Facts>> {
        look(&self.dir, &self.name)
    }

    /// Opens what has the name, where it is no link. What is no regular file is not waited for: it may be a FIFO.
    pub(crate) fn open(&self, flags: OFlags) -> io::Result<std::fs::File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let file = openat(&self.dir, &self.name, flags, mode).map_err(|errno| match errno {
            Errno::LOOP => io::Error::new(io::ErrorKind::AlreadyExists, "a symbolic link stands in its place"),
            errno => errno.into(),
        })?;
        Ok(file.into())
    }

    /// Gives what has the name another one in the same directory; what has that one is replaced.
    pub(crate) fn rename(&self, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.dir, &self.name, &self.dir, to)?)
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.dir, &self.name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self) -> io::Result<()> {
        Ok(unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR)?)
    }

    /// Where the link of this name leads.
    pub(crate) fn read_link(&self) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.dir, &self.name, Vec::new())?.into_bytes())
    }

    /// Makes a symbolic link; a link or a file that has the name is replaced.
    pub(crate) fn link(&self, target: &[u8]) -> io::Result<()> {
        let mut aside = self.name.clone().into_vec();
        aside.extend_from_slice(crate::file::PART.as_bytes());
        let aside = self.beside(OsString::from_vec(aside));
        match symlinkat(target, &aside.dir, &aside.name) {
            Err(Errno::EXIST) => {
                aside.remove()?;
                symlinkat(target, &aside.dir, &aside.name)?;
            }
            answer => answer?,
        }
        aside.rename(&self.name)
    }
}

/// Whether every part of the path is a plain name.
fn check(relative: &[u8]) -> io::Result<()> {
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    match relative.split(|&b| b == b'/').all(plain) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the name could lead out of the directory")),
    }
}

fn look(dir: impl AsFd, name: &OsStr) -> io::Result<Option<Facts>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Facts::from(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

impl From<&Stat> for Facts {
    fn from(stat: &Stat) -> Facts {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            _ => Kind::Other,
        };
        let (seconds, nanos) = (i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
        Facts {
            kind,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: at(seconds * 1_000_000_000 + nanos),
            id: (stat.st_dev, stat.st_ino),
        }
    }
}

/// So many nanoseconds after (or before) the epoch.
fn at(nanos: i128) -> SystemTime {
    let distance = Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap_or(u64::MAX));
    let moved = if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moved.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        for bad in [&b".."[..], b"../x", b"/etc/passwd", b"a//b", b"a/./b", b"a/../../x", b"", b"a\0b", b"a/"] {
            assert!(folder.spot(bad).is_err(), "{bad:?}");
            assert!(folder.make_directory(bad).is_err(), "{bad:?}");
        }
        assert!(folder.spot(b"link/x").is_err() && folder.make_directory(b"link/x").is_err());
        assert!(folder.make_directory(b"link").is_err());
        assert!(folder.list(b"link").is_err());
        assert!(folder.spot(b"link").unwrap().open(OFlags::WRONLY | OFlags::CREATE).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::make(&dir.path().join("new/one")).unwrap();
        assert!(folder.make_directory(b"a").unwrap() && !folder.make_directory(b"a").unwrap());
        assert!(folder.make_directory(b"a/..b").unwrap());
        let spot = folder.spot(b"a/..b/back\\slash").unwrap();
        drop(spot.open(OFlags::WRONLY | OFlags::CREATE).unwrap());
        spot.beside("link".into()).link(b"x").unwrap();
        spot.beside("link".into()).link(b"../y").unwrap();
        assert_eq!(spot.beside("link".into()).read_link().unwrap(), b"../y");
        let names: Vec<_> =
            folder.list(b"a/..b").unwrap().into_iter().map(|(name, facts)| (name, facts.kind)).collect();
        assert_eq!(names, [(b"back\\slash".to_vec(), Kind::File), (b"link".to_vec(), Kind::Symlink)]);
        assert_eq!(folder.look(b"a/none/x").unwrap(), None);
        assert!(spot.remove_directory().is_err());
        spot.remove().unwrap();
        assert_eq!(spot.look().unwrap(), None);
    }

    #[test]
    fn times_before_the_epoch() {
        assert_eq!(at(-1_500_000_000), UNIX_EPOCH - Duration::from_millis(1500));
    }
}
