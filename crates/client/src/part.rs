//! The place of a file that is being fetched: aside until it is whole.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;

use crate::error::Error;
use crate::file::{PART, local};

/// A file that is being fetched. Dropped, it leaves what is there for a resumption, and nothing where nothing is; the
/// file itself, where that had taken the part's place and nothing has come, is back under its name.
pub(crate) struct Part {
    pub(crate) file: File,
    /// How many bytes are there already.
    pub(crate) len: u64,
    /// Where it is written.
    path: PathBuf,
    /// The name that it gets when it is whole; nothing where it is written directly.
    whole: Option<PathBuf>,
    /// It was the whole file before, and has taken its place: an attempt that brings nothing puts it back.
    moved: bool,
    /// The server sends it: what is there is a part.
    pub(crate) began: bool,
}

impl Part {
    /// Opens the place of `path`. With `resume` what is there is kept: a part, or else the file itself where it is
    /// shorter than that many bytes. The place is locked: no two transfers write it.
    pub(crate) fn open(path: &Path, resume: Option<u64>, keep: bool) -> Result<Part, Error> {
        let facts = match fs::metadata(path) {
            Ok(facts) => Some(facts),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(local(path)(error)),
        };
        if facts.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(local(path)(io::ErrorKind::IsADirectory.into()));
        }
        if facts.as_ref().is_some_and(|f| !f.is_file() && !f.file_type().is_char_device()) {
            return Err(local(path)(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        if facts.as_ref().is_some_and(|f| !f.is_file()) {
            let file = OpenOptions::new().write(true).open(path).map_err(local(path))?;
            return Ok(Part { file, len: 0, path: path.to_owned(), whole: None, moved: false, began: false });
        }
        // A link stays a link: the file behind it is replaced.
        let whole = if facts.is_some() { fs::canonicalize(path).map_err(local(path))? } else { path.to_owned() };
        let aside = aside(&whole).ok_or_else(|| local(path)(io::ErrorKind::InvalidInput.into()))?;
        let shorter = facts.as_ref().zip(resume).is_some_and(|(facts, size)| facts.len() <= size);
        let moved = keep && shorter && !aside.exists();
        if moved {
            fs::rename(&whole, &aside).map_err(local(&whole))?;
        }
        let file = open_locked(&aside).map_err(local(&aside))?;
        let mut part = Part { file, len: 0, path: aside, whole: Some(whole), moved, began: false };
        part.len = part.file.metadata().map_err(local(&part.path))?.len();
        if !keep || resume.is_some_and(|size| part.len > size) {
            part.start_anew()?;
        }
        Ok(part)
    }

    /// Throws away what is there.
    pub(crate) fn start_anew(&mut self) -> Result<(), Error> {
        if self.whole.is_some() {
            self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(local(&self.path))?;
        }
        self.len = 0;
        Ok(())
    }

    /// The last `count` bytes that are there; the file stands behind them.
    pub(crate) fn tail(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut tail = Vec::new();
        self.file
            .seek(SeekFrom::Start(self.len.saturating_sub(count)))
            .and_then(|_| self.file.read_to_end(&mut tail))
            .map_err(local(&self.path))?;
        Ok(tail)
    }

    /// Sets when the file was last changed; whether that was done.
    pub(crate) fn set_modified(&self, at: SystemTime) -> bool {
        self.whole.is_some() && self.file.set_modified(at).is_ok()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file is whole: gives it its name.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        let Some(whole) = self.whole.take() else { return Ok(()) };
        if !self.moved
            && let Ok(facts) = fs::metadata(&whole)
        {
            // The new file stands in for the old one, as far as that is allowed.
            let _ = self.file.set_permissions(facts.permissions());
        }
        fs::rename(&self.path, &whole).map_err(local(&whole))
    }

    /// The file did not become whole: leaves what is there aside, and says so.
    pub(crate) fn keep(self, error: Error) -> Error {
        let bytes = self.file.metadata().map_or(0, |facts| facts.len());
        if self.whole.is_none() || !self.began || bytes == 0 {
            return error;
        }
        Error::Partial { bytes, kept: Some(self.path.clone()), source: Box::new(error) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some(whole) = &self.whole else { return };
        // Where either fails the file stays aside, and a resumption finds it.
        if self.moved && !self.began {
            let _ = fs::rename(&self.path, whole);
        } else if self.file.metadata().is_ok_and(|facts| facts.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file aside, and locks it for as long as it is open.
fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io::Error::new(error.kind(), "another transfer is writing this file"))?;
        // Who held the lock may have finished in between, and given the file its name: it is whole then, and not to be
        // written.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Whether this is the file that the path leads to.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(facts) => Ok((facts.dev(), facts.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The most bytes that a name has on the file systems in use.
const NAME_MAX: usize = 255;

/// `NAME.port21-part` beside `NAME`; nothing where the path has no name at its end. Where that would be too long a name
/// a hash stands for its end: two long names that begin alike have a part each.
fn aside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.as_bytes();
    let mut part = name.to_vec();
    if part.len() + PART.len() > NAME_MAX {
        let mark = format!("-{:016x}", fnv1a(name));
        let most = NAME_MAX - PART.len() - mark.len();
        // Between two characters, for the file systems that take nothing but UTF-8.
        let cut = (0..=most).rev().find(|at| name.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80));
        part.truncate(cut.unwrap_or(most));
        part.extend_from_slice(mark.as_bytes());
    }
    part.extend_from_slice(PART.as_bytes());
    Some(path.with_file_name(OsStr::from_bytes(&part)))
}

/// Fowler, Noll and Vo's hash: the same in every version, so that a part is found again.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_takes_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut part = Part::open(&path, None, false).unwrap();
        part.file.write_all(b"x").unwrap();
        assert_eq!(names(dir.path()), ["a.port21-part"]);
        part.commit().unwrap();
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn nothing_is_left_of_nothing_and_a_part_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let part = Part::open(&path, None, false).unwrap();
        assert!(matches!(part.keep(Error::Usage("x")), Error::Usage(_)));
        assert!(names(dir.path()).is_empty());
        let mut part = Part::open(&path, None, false).unwrap();
        part.began = true;
        part.file.write_all(b"12345").unwrap();
        assert!(matches!(part.keep(Error::Usage("x")), Error::Partial { bytes: 5, .. }));
        let mut part = Part::open(&path, Some(9), true).unwrap();
        assert_eq!((part.len, part.tail(2).unwrap()), (5, b"45".to_vec()));
        assert_eq!(Part::open(&path, Some(4), true).map(|p| p.len).ok(), None, "it is locked");
        drop(part);
        assert_eq!(Part::open(&path, Some(4), true).unwrap().len, 0, "longer than the server's");
    }

    #[test]
    fn the_longest_names_have_a_part_each() {
        let dir = tempfile::tempdir().unwrap();
        let name = |last: &str| dir.path().join(format!("{}{last}", "\u{e9}".repeat(127)));
        for name in [name("a"), name("b")] {
            let mut part = Part::open(&name, None, false).unwrap();
            part.file.write_all(b"x").unwrap();
            part.began = true;
            drop(part);
            assert_eq!(Part::open(&name, Some(9), true).unwrap().len, 1, "it is found again");
        }
        assert_eq!(names(dir.path()).len(), 2);
        Part::open(&name("a"), Some(9), true).unwrap().commit().unwrap();
        assert!(name("a").exists() && !name("b").exists());
    }

    #[test]
    fn a_short_file_is_gone_on_with_and_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"123").unwrap();
        let part = Part::open(&path, Some(9), true).unwrap();
        assert_eq!((part.len, names(dir.path())), (3, vec!["a.port21-part".to_owned()]));
        assert!(matches!(part.keep(Error::Usage("x")), Error::Usage(_)));
        assert_eq!(fs::read(&path).unwrap(), b"123");
        let part = Part::open(&path, Some(2), true).unwrap();
        assert_eq!((part.len, fs::read(&path).unwrap()), (0, b"123".to_vec()));
    }

    #[test]
    fn an_attempt_that_is_given_up_leaves_no_less_than_there_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        drop(Part::open(&path, None, false).unwrap());
        assert!(names(dir.path()).is_empty());
        fs::write(&path, b"123").unwrap();
        drop(Part::open(&path, Some(9), true).unwrap());
        assert_eq!(names(dir.path()), ["a"]);
        let mut part = Part::open(&path, Some(9), true).unwrap();
        part.began = true;
        drop(part);
        assert_eq!(names(dir.path()), ["a.port21-part"]);
    }

    #[test]
    fn a_file_that_has_got_its_name_is_no_part_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (aside, whole) = (dir.path().join("a.port21-part"), dir.path().join("a"));
        let file = open_locked(&aside).unwrap();
        assert!(is_at(&file, &aside).unwrap());
        fs::rename(&aside, &whole).unwrap();
        assert!(!is_at(&file, &aside).unwrap());
        fs::write(&aside, b"another").unwrap();
        assert!(!is_at(&file, &aside).unwrap());
    }

    #[test]
    fn links_stay_and_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let mut part = Part::open(&link, None, false).unwrap();
        part.file.write_all(b"new").unwrap();
        part.commit().unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(matches!(Part::open(dir.path(), None, false), Err(Error::Local { .. })));
        assert!(Part::open(Path::new("/dev/null"), None, false).unwrap().whole.is_none());
    }
}
