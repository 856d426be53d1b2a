//! The place of a file that is being fetched: aside until it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, OFlags};

use crate::error::Error;
use crate::file::{PART, local};
use crate::folder::{Facts, Kind, Spot};
use crate::ranges::{STATE, State};

/// A file that is being fetched. Dropped, it leaves what is there for a resumption, and nothing where nothing is; the
/// file itself, where that had taken the part's place and nothing has come, is back under its name.
pub(crate) struct Part {
    pub(crate) file: File,
    /// How many bytes are there already.
    pub(crate) len: u64,
    /// When they were last added to.
    pub(crate) modified: SystemTime,
    /// Where it is written.
    path: PathBuf,
    /// The part, and the name that it gets when it is whole; nothing where it is written directly.
    whole: Option<(Spot, OsString)>,
    /// It was the whole file before, and has taken its place: an attempt that brings nothing puts it back.
    pub(crate) moved: bool,
    /// The server sends it: what is there is a part.
    pub(crate) began: bool,
}

/// What of an earlier attempt is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// What was left aside, with its gaps: see [`Part::note`].
    Segments,
    /// What was left aside.
    Part,
    /// What was left aside, or else the file itself, where it is shorter than this.
    PartOrShorter(Option<u64>),
}

impl Part {
    /// Opens the place of a path of the user's, where a link leads to the file behind it. The place is locked: no two
    /// transfers write it.
    pub(crate) fn open(path: &Path, keep: Keep) -> Result<Part, Error> {
        let facts = match fs::metadata(path) {
            Ok(facts) => Some(facts),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(local(path)(error)),
        };
        if facts.as_ref().is_some_and(|f| f.file_type().is_char_device()) {
            let file = OpenOptions::new().write(true).open(path).map_err(local(path))?;
            let modified = SystemTime::UNIX_EPOCH;
            let path = path.to_owned();
            return Ok(Part { file, len: 0, modified, path, whole: None, moved: false, began: false });
        }
        // A link stays a link: the file behind it is replaced.
        let whole = if facts.is_some() { fs::canonicalize(path).map_err(local(path))? } else { path.to_owned() };
        Part::open_at(&Spot::of(&whole).map_err(local(path))?, keep)
    }

    /// As [`Part::open`], for a place that is not to be left: a link there is replaced itself.
    pub(crate) fn open_at(whole: &Spot, keep: Keep) -> Result<Part, Error> {
        let failed = local(whole.path());
        let facts = whole.look().map_err(&failed)?;
        match facts.map(|facts| facts.kind) {
            Some(Kind::Directory) => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Some(Kind::Other) => return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))),
            Some(Kind::File | Kind::Symlink) | None => {}
        }
        let aside = whole.beside(aside_name(whole.name(), PART));
        let shorter = match (keep, facts) {
            (Keep::PartOrShorter(Some(size)), Some(Facts { kind: Kind::File, len, .. })) => len <= size,
            _ => false,
        };
        let moved = shorter && aside.look().map_err(&failed)?.is_none();
        if moved {
            whole.rename(aside.name()).map_err(&failed)?;
        }
        let file = open_locked(&aside).map_err(local(aside.path()))?;
        let facts = file.metadata().map_err(local(aside.path()))?;
        let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let path = aside.path().to_owned();
        let whole = Some((aside, whole.name().to_owned()));
        let mut part = Part { file, len: facts.len(), modified, path, whole, moved, began: false };
        if keep != Keep::Segments {
            part.forget_segments()?;
        }
        let size = if let Keep::PartOrShorter(size) = keep { size } else { None };
        if keep == Keep::Nothing || size.is_some_and(|size| part.len > size) {
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

    /// A part that was fetched in segments has gaps: what is before the first one is kept, and the note of them goes.
    fn forget_segments(&mut self) -> Result<(), Error> {
        let Some(note) = self.note() else { return Ok(()) };
        let failed = local(&self.path);
        if note.look().map_err(&failed)?.is_none() {
            return Ok(());
        }
        let known = read_note(&note).map_or(0, |state| state.done.prefix());
        self.len = self.len.min(known);
        self.file.set_len(self.len).map_err(&failed)?;
        note.remove().map_err(&failed)
    }

    /// Where the note of a part's segments is.
    pub(crate) fn note(&self) -> Option<Spot> {
        let (aside, whole) = self.whole.as_ref()?;
        Some(aside.beside(aside_name(whole, STATE)))
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

    /// Whether it is written directly, to what is no regular file.
    pub(crate) fn is_direct(&self) -> bool {
        self.whole.is_none()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file is whole: gives it its name.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        let Some((aside, whole)) = self.whole.take() else { return Ok(()) };
        let shown = aside.path().with_file_name(&whole);
        if !self.moved
            && let Ok(old) = aside.beside(whole.clone()).open(OFlags::PATH)
            && let Ok(facts) = old.metadata()
        {
            // The new file stands in for the old one, as far as that is allowed.
            let _ = self.file.set_permissions(facts.permissions());
        }
        aside.rename(&whole).map_err(local(&shown))
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
        let Some((aside, whole)) = &self.whole else { return };
        // Where either fails the file stays aside, and a resumption finds it.
        if self.moved && !self.began {
            let _ = aside.rename(whole);
        } else if self.file.metadata().is_ok_and(|facts| facts.len() == 0) {
            let _ = aside.remove();
        }
    }
}

/// The note beside a part, where there is one that can be read.
pub(crate) fn read_note(note: &Spot) -> Option<State> {
    let mut text = Vec::new();
    note.open(OFlags::RDONLY).ok()?.take(1024 * 1024).read_to_end(&mut text).ok()?;
    State::parse(&text)
}

/// Opens the file aside, and locks it for as long as it is open.
fn open_locked(aside: &Spot) -> io::Result<File> {
    loop {
        let file = aside.open(OFlags::RDWR | OFlags::CREATE)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io::Error::new(error.kind(), "another transfer is writing this file"))?;
        // Who held the lock may have finished in between, and given the file its name: it is whole then, and not to be
        // written.
        if is_at(&file, aside)? {
            return Ok(file);
        }
    }
}

/// Whether this is the file that the name leads to.
fn is_at(file: &File, spot: &Spot) -> io::Result<bool> {
    let opened = file.metadata()?;
    Ok(spot.look()?.is_some_and(|facts| facts.id == (opened.dev(), opened.ino())))
}

/// The most bytes that a name has on the file systems in use.
const NAME_MAX: usize = 255;

/// `NAME.port21-part` beside `NAME`. Where that would be too long a name a hash stands for its end: two long names that
/// begin alike have a part each.
pub(crate) fn aside_name(name: &OsStr, ending: &str) -> OsString {
    let name = name.as_bytes();
    let mut part = name.to_vec();
    if part.len() + ending.len() > NAME_MAX {
        let mark = format!("-{:016x}", fnv1a(name));
        let most = NAME_MAX - ending.len() - mark.len();
        // Between two characters, for the file systems that take nothing but UTF-8.
        let cut = (0..=most).rev().find(|at| name.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80));
        part.truncate(cut.unwrap_or(most));
        part.extend_from_slice(mark.as_bytes());
    }
    part.extend_from_slice(ending.as_bytes());
    OsString::from_vec(part)
}

/// Fowler, Noll and Vo's hash: the same in every version, so that a part is found again.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::ranges::Ranges;

    const SHORTER_THAN_9: Keep = Keep::PartOrShorter(Some(9));

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
        let mut part = Part::open(&path, Keep::Nothing).unwrap();
        part.file.write_all(b"x").unwrap();
        assert_eq!(names(dir.path()), ["a.port21-part"]);
        part.commit().unwrap();
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn nothing_is_left_of_nothing_and_a_part_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let part = Part::open(&path, Keep::Nothing).unwrap();
        assert!(matches!(part.keep(Error::Usage("x")), Error::Usage(_)));
        assert!(names(dir.path()).is_empty());
        let mut part = Part::open(&path, Keep::Nothing).unwrap();
        part.began = true;
        part.file.write_all(b"12345").unwrap();
        assert!(matches!(part.keep(Error::Usage("x")), Error::Partial { bytes: 5, .. }));
        let mut part = Part::open(&path, SHORTER_THAN_9).unwrap();
        assert_eq!((part.len, part.tail(2).unwrap()), (5, b"45".to_vec()));
        assert_eq!(Part::open(&path, Keep::PartOrShorter(Some(4))).map(|p| p.len).ok(), None, "it is locked");
        drop(part);
        assert_eq!(Part::open(&path, Keep::PartOrShorter(Some(4))).unwrap().len, 0, "longer than the server's");
    }

    #[test]
    fn the_longest_names_have_a_part_each() {
        let dir = tempfile::tempdir().unwrap();
        let name = |last: &str| dir.path().join(format!("{}{last}", "\u{e9}".repeat(127)));
        for name in [name("a"), name("b")] {
            let mut part = Part::open(&name, Keep::Nothing).unwrap();
            part.file.write_all(b"x").unwrap();
            part.began = true;
            drop(part);
            assert_eq!(Part::open(&name, SHORTER_THAN_9).unwrap().len, 1, "it is found again");
        }
        assert_eq!(names(dir.path()).len(), 2);
        Part::open(&name("a"), SHORTER_THAN_9).unwrap().commit().unwrap();
        assert!(name("a").exists() && !name("b").exists());
    }

    #[test]
    fn a_short_file_is_gone_on_with_and_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"123").unwrap();
        let part = Part::open(&path, SHORTER_THAN_9).unwrap();
        assert_eq!((part.len, names(dir.path())), (3, vec!["a.port21-part".to_owned()]));
        assert!(matches!(part.keep(Error::Usage("x")), Error::Usage(_)));
        assert_eq!(fs::read(&path).unwrap(), b"123");
        let part = Part::open(&path, Keep::PartOrShorter(Some(2))).unwrap();
        assert_eq!((part.len, fs::read(&path).unwrap()), (0, b"123".to_vec()));
    }

    #[test]
    fn an_attempt_that_is_given_up_leaves_no_less_than_there_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        drop(Part::open(&path, Keep::Nothing).unwrap());
        assert!(names(dir.path()).is_empty());
        fs::write(&path, b"123").unwrap();
        drop(Part::open(&path, SHORTER_THAN_9).unwrap());
        assert_eq!(names(dir.path()), ["a"]);
        let mut part = Part::open(&path, SHORTER_THAN_9).unwrap();
        part.began = true;
        drop(part);
        assert_eq!(names(dir.path()), ["a.port21-part"]);
    }

    #[test]
    fn a_file_that_has_got_its_name_is_no_part_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let aside = Spot::of(&dir.path().join("a.port21-part")).unwrap();
        let file = open_locked(&aside).unwrap();
        assert!(is_at(&file, &aside).unwrap());
        aside.rename("a".as_ref()).unwrap();
        assert!(!is_at(&file, &aside).unwrap());
        fs::write(aside.path(), b"another").unwrap();
        assert!(!is_at(&file, &aside).unwrap());
    }

    #[test]
    fn links_stay_and_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let mut part = Part::open(&link, Keep::Nothing).unwrap();
        part.file.write_all(b"new").unwrap();
        part.commit().unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(matches!(Part::open(dir.path(), Keep::Nothing), Err(Error::Local { .. })));
        assert!(Part::open(Path::new("/dev/null"), Keep::Nothing).unwrap().whole.is_none());
    }

    #[test]
    fn a_place_that_is_not_to_be_left() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        fs::write(&victim, b"mine").unwrap();
        let spot = Spot::of(&dir.path().join("a")).unwrap();
        // The link itself is replaced.
        std::os::unix::fs::symlink(&victim, dir.path().join("a")).unwrap();
        let mut part = Part::open_at(&spot, SHORTER_THAN_9).unwrap();
        part.file.write_all(b"new").unwrap();
        part.commit().unwrap();
        assert_eq!(
            (fs::read(dir.path().join("a")).unwrap(), fs::read(&victim).unwrap()),
            (b"new".to_vec(), b"mine".to_vec())
        );
        // One where the part is to be written is an error.
        std::os::unix::fs::symlink(&victim, dir.path().join("a.port21-part")).unwrap();
        assert!(Part::open_at(&spot, Keep::Part).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
    }

    #[test]
    fn of_a_part_with_gaps_what_is_before_them_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut done = Ranges::default();
        done.add(0..4);
        done.add(6..8);
        fs::write(dir.path().join("a.port21-part"), b"1234__789").unwrap();
        let note = dir.path().join("a.port21-segments");
        fs::write(&note, State { size: 9, modified: None, done }.text()).unwrap();
        assert_eq!(Part::open(&path, SHORTER_THAN_9).unwrap().len, 4);
        assert!(!note.exists());
        fs::write(dir.path().join("a.port21-part"), b"1234").unwrap();
        fs::write(&note, "nonsense").unwrap();
        assert_eq!(Part::open(&path, SHORTER_THAN_9).unwrap().len, 0);
    }
}
