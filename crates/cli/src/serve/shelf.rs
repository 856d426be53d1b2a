//! Where recordings are kept: there is a limit to what they take up and to how old they get.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// How often it is looked for those that are too old.
const EVERY: Duration = Duration::from_secs(3600);

/// What a file takes up is a multiple of this, as file systems have it.
const BLOCK: u64 = 4096;

/// The directory of recordings.
pub(super) struct Shelf {
    dir: PathBuf,
    /// How many bytes they may take up.
    most: u64,
    /// How old they may get.
    age: Duration,
    /// How many they take up, as far as is known: never fewer than there are.
    bytes: Rc<Cell<u64>>,
    /// When it is looked at next, or sooner where there are more bytes than this.
    next: Instant,
    look_at: u64,
}

/// A recording of which each byte counts.
pub(super) struct Counted {
    file: File,
    bytes: Rc<Cell<u64>>,
}

/// A recording as it is found.
struct Found {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

impl Shelf {
    /// It is looked at for the first time at once.
    pub(super) fn new(dir: PathBuf, most: u64, age: Duration) -> Shelf {
        Shelf { dir, most, age, bytes: Rc::default(), next: Instant::now(), look_at: most }
    }

    /// A new file counts.
    pub(super) fn counted(&self, file: File) -> Counted {
        self.bytes.set(self.bytes.get() + BLOCK);
        Counted { file, bytes: self.bytes.clone() }
    }

    /// The most bytes of one recording.
    pub(super) fn most_of_one(&self) -> u64 {
        self.most / 4
    }

    /// How long nothing has to be looked at, if nothing is written.
    pub(super) fn rest(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Whether it is time to [tidy](Shelf::tidy).
    pub(super) fn is_due(&self) -> bool {
        self.bytes.get() > self.look_at || self.rest().is_zero()
    }

    /// Removes what is too old, and the oldest for as long as there is too much, with some room to spare: gives those that are
    /// still `written`, which are to be closed.
    pub(super) fn tidy(&mut self, now: SystemTime, written: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        let mut ended = Vec::new();
        self.next = Instant::now() + EVERY;
        let found = match self.found() {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("cannot look for old recordings in {}: {error}", self.dir.display());
                self.look_at = self.bytes.get().saturating_add(self.most / 8);
                return ended;
            }
        };
        let mut bytes: u64 = found.iter().map(|one| one.bytes).sum();
        let enough = if bytes > self.most { self.most - self.most / 8 } else { self.most };
        let mut removed = 0;
        for one in found {
            let is_written = written(&one.path);
            let is_old = !is_written && now.duration_since(one.changed).is_ok_and(|age| age > self.age);
            if !is_old && bytes <= enough {
                continue;
            }
            match std::fs::remove_file(&one.path) {
                Ok(()) => {
                    bytes = bytes.saturating_sub(one.bytes);
                    removed += 1;
                    ended.extend(is_written.then_some(one.path));
                }
                // Somebody else was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => bytes = bytes.saturating_sub(one.bytes),
                Err(error) => tracing::warn!("cannot remove the old recording {}: {error}", one.path.display()),
            }
        }
        if removed > 0 {
            tracing::info!(removed, "removed the oldest recordings");
        }
        self.bytes.set(bytes);
        // Where not enough could be removed it is not tried at every byte.
        self.look_at = if bytes <= self.most { self.most } else { bytes.saturating_add(self.most / 8) };
        ended
    }

    /// All recordings, the oldest first: their names begin with the time.
    fn found(&self) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            // It may be gone by now.
            let Some(facts) = entry.metadata().ok().filter(std::fs::Metadata::is_file) else { continue };
            if entry.file_name().to_str().is_some_and(is_recording) {
                // One that is there has a block, if not now then soon.
                let bytes = facts.len().max(1).next_multiple_of(BLOCK);
                let changed = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                all.push(Found { path: entry.path(), bytes, changed });
            }
        }
        all.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(all)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes.set(self.bytes.get() + written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether a server has given a file this name: `20050502T210700Z-000017-192.0.2.1.jsonl`. Whatever else is there is not
/// touched.
fn is_recording(name: &str) -> bool {
    let Some(name) = name.strip_suffix(".jsonl") else { return false };
    let mut parts = name.splitn(3, '-');
    let (Some(time), Some(number), Some(peer)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let is_time = time.len() == 16
        && time.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    is_time && number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit()) && !peer.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The name of the recording of this minute.
    fn name(minute: u32) -> String {
        format!("20050502T21{minute:02}00Z-{minute:06}-192.0.2.1.jsonl")
    }

    fn fill(dir: &Path, name: &str, bytes: usize) {
        std::fs::write(dir.join(name), vec![b'x'; bytes]).unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        for minute in 0..10 {
            fill(dir.path(), &name(minute), 200 << 10);
        }
        for other in
            ["20050502T210000Z-000001-x.txt", "notes.jsonl", "2005-05-02.jsonl", "20050502T2100000-000001-x.jsonl"]
        {
            fill(dir.path(), other, 200 << 10);
        }
        std::fs::create_dir(dir.path().join("20050502T200000Z-000001-x.jsonl")).unwrap();
        let mut shelf = Shelf::new(dir.path().to_owned(), 1 << 20, HOUR);
        assert!(shelf.is_due(), "it is looked at at the start");
        assert_eq!(shelf.tidy(SystemTime::now(), |_| false), Vec::<PathBuf>::new());
        // Four of them are 800 KiB, and five would be more than seven eighths of the limit.
        let left = names(dir.path());
        let recordings: Vec<&String> = left.iter().filter(|name| name.ends_with("192.0.2.1.jsonl")).collect();
        assert_eq!(recordings, [&name(6), &name(7), &name(8), &name(9)]);
        assert_eq!(left.len(), 9, "others are left alone: {left:?}");
        assert!(!shelf.is_due());
        // What is written counts at once.
        let mut file = shelf.counted(File::create(dir.path().join(name(20))).unwrap());
        file.write_all(&[b'x'; 200 << 10]).unwrap();
        assert!(!shelf.is_due());
        file.write_all(&[b'x'; 100 << 10]).unwrap();
        assert!(shelf.is_due());
        shelf.tidy(SystemTime::now(), |path| path.ends_with(name(20)));
        assert!(!shelf.is_due() && !names(dir.path()).contains(&name(6)));
    }

    #[test]
    fn one_that_is_written_is_no_exception() {
        let dir = tempfile::tempdir().unwrap();
        for minute in 0..3 {
            fill(dir.path(), &name(minute), 600 << 10);
        }
        let mut shelf = Shelf::new(dir.path().to_owned(), 1 << 20, HOUR);
        let ended = shelf.tidy(SystemTime::now(), |path| path.ends_with(name(1)));
        assert_eq!(ended, [dir.path().join(name(1))]);
        assert_eq!(names(dir.path()), [name(2)]);
    }

    #[test]
    fn those_that_are_too_old_go_unless_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        for minute in 0..3 {
            fill(dir.path(), &name(minute), 1);
        }
        let mut shelf = Shelf::new(dir.path().to_owned(), 1 << 20, HOUR);
        shelf.tidy(SystemTime::now(), |_| false);
        assert_eq!(names(dir.path()).len(), 3);
        assert!(shelf.tidy(SystemTime::now() + 2 * HOUR, |path| path.ends_with(name(1))).is_empty());
        assert_eq!(names(dir.path()), [name(1)]);
        assert!(shelf.rest() <= EVERY && !shelf.is_due());
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_tried_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(dir.path().join("gone"), 1 << 20, HOUR);
        assert!(shelf.tidy(SystemTime::now(), |_| false).is_empty());
        assert!(!shelf.is_due());
    }
}
