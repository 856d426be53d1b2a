//! Lines for a file or for standard error, written by a thread of their own: nobody who logs waits for a disk or a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::budget::Budget;

/// So many lines may wait; what comes beyond is left out and counted. A line is some 200 bytes.
const WAITING: usize = 16_384;

/// And so many bytes of them: strangers can cause long ones.
const WAITING_BYTES: usize = 8 << 20;

/// Longer lines are cut: the longest that a session can cause is that of a path, twice, each byte escaped.
const MAX_LINE: usize = 64 * 1024;

/// How often a file is looked at for having been renamed away, while lines come.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of the server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where lines are put. Clones put them into the same file. They wait until [`Lines::begin`]: the thread that writes them
/// has to have the sandbox, and the file the owner that the server has by then.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: SyncSender<Message>,
    room: Budget,
    lost: AtomicU64,
    reopen: AtomicBool,
    /// For the thread, until it begins: what it reads.
    to_begin: Mutex<Option<Receiver<Message>>>,
    path: Option<PathBuf>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Something else is to be looked at.
    Wake,
    /// All lines before this are written: tells so.
    Flush(SyncSender<()>),
}

impl Lines {
    /// For this file, or for standard error.
    pub(super) fn new(path: Option<PathBuf>) -> Lines {
        let (sender, messages) = sync_channel(WAITING);
        let to_begin = Mutex::new(Some(messages));
        let (room, lost, reopen) = (Budget::new(WAITING_BYTES), AtomicU64::new(0), AtomicBool::new(false));
        Lines { shared: Arc::new(Shared { sender, room, lost, reopen, to_begin, path }) }
    }

    /// The file; nothing where it is standard error.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.shared.path.clone()
    }

    /// Opens the file, which is made where it is not there, readable for its owner and group, and starts the thread. Once
    /// that has happened it does nothing.
    ///
    /// # Errors
    /// Where the file cannot be opened, or no thread started.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        let to_begin = self.shared.to_begin.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(messages) = to_begin else { return Ok(()) };
        let target = match self.path() {
            Some(path) => {
                let file = open(&path).with_context(|| format!("cannot write to {}", path.display()))?;
                Target::File { path, file, looked: Instant::now() }
            }
            None => Target::Standard,
        };
        let (of_thread, room) = (Arc::downgrade(&self.shared), self.shared.room.clone());
        let thread = std::thread::Builder::new().name("lines".to_owned());
        let work = move || {
            write(&messages, target, &room, || {
                let shared = of_thread.upgrade();
                shared.map_or((0, false), |s| {
                    (s.lost.swap(0, Ordering::Relaxed), s.reopen.swap(false, Ordering::Relaxed))
                })
            });
        };
        thread.spawn(work).context("cannot start a thread")?;
        Ok(())
    }

    /// Puts a line, which ends in a line end. Whether there was room for it.
    pub(super) fn put(&self, mut line: Vec<u8>) -> bool {
        if line.len() > MAX_LINE {
            line.truncate(MAX_LINE - 1);
            line.push(b'\n');
        }
        line.shrink_to_fit();
        let (room, bytes) = (&self.shared.room, line.len());
        let taken = room.take(bytes);
        let put = taken && self.shared.sender.try_send(Message::Line(line)).is_ok();
        if taken && !put {
            room.give_back(bytes);
        }
        if !put {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        put
    }

    /// Opens the file anew, soon: it may have been renamed.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Relaxed);
        // Where there is no room, there are lines, and the file is looked at before each.
        let _ = self.shared.sender.try_send(Message::Wake);
    }

    /// Waits, a little, until all that was put is written.
    pub(super) fn flush(&self) {
        if self.begin().is_err() {
            return;
        }
        let (tell, told) = sync_channel(1);
        let end = Instant::now() + PATIENCE;
        let mut message = Message::Flush(tell);
        while let Err(error) = self.shared.sender.try_send(message) {
            let std::sync::mpsc::TrySendError::Full(back) = error else { return };
            if Instant::now() > end {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever is too slow for that loses the last lines.
        let _ = told.recv_timeout(PATIENCE);
    }
}

/// What the log writes through: each call of `write` is a line.
pub(super) struct LineWriter(pub(super) Lines);

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // One byte more tells that it is too long.
        self.0.put(line.get(..=MAX_LINE).unwrap_or(line).to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Target {
    Standard,
    File { path: PathBuf, file: File, looked: Instant },
}

fn write(messages: &Receiver<Message>, mut target: Target, room: &Budget, state: impl Fn() -> (u64, bool)) {
    for message in messages {
        let (lost, reopen) = state();
        target.look(reopen);
        if lost > 0 {
            target.write(format!("{lost} lines are missing here: there was no room for them\n").as_bytes());
        }
        match message {
            Message::Line(line) => {
                target.write(&line);
                room.give_back(line.len());
            }
            Message::Wake => {}
            Message::Flush(tell) => {
                // Nobody may be waiting any more.
                let _ = tell.send(());
            }
        }
    }
}

impl Target {
    /// There is nobody to tell where this fails: a full disk is seen by other means.
    fn write(&mut self, line: &[u8]) {
        let _ = match self {
            Target::Standard => io::stderr().write_all(line),
            Target::File { file, .. } => file.write_all(line),
        };
    }

    /// Opens the file anew where that is asked for, or it is not the one of its name any more.
    fn look(&mut self, reopen: bool) {
        let Target::File { path, file, looked } = self else { return };
        if !reopen && looked.elapsed() < LOOK {
            return;
        }
        *looked = Instant::now();
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let stays = std::fs::metadata(&*path).ok().zip(file.metadata().ok()).is_some_and(|(a, b)| same(a, b));
        // Where it cannot be opened, the old file goes on.
        if !stays && let Ok(new) = open(path) {
            *file = new;
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_renamed_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let lines = Lines::new(Some(path.clone()));
        assert!(lines.put(b"one\n".to_vec()));
        lines.flush();
        std::fs::rename(&path, &old).unwrap();
        lines.reopen();
        lines.put(b"two\n".to_vec());
        lines.flush();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert!(Lines::new(Some("/nowhere/at/all".into())).begin().is_err());
    }

    #[test]
    fn long_lines_have_no_more_room_than_short_ones() {
        // Nobody writes them yet.
        let lines = Lines::new(None);
        let long = [&[b'x'; MAX_LINE][..], b"\n"].concat();
        let put = (0..WAITING).filter(|_| lines.put(long.clone())).count();
        assert_eq!(put, WAITING_BYTES / MAX_LINE);
        assert!(!lines.put(b"x\n".to_vec()));
    }

    #[test]
    fn what_has_no_room_is_left_out_and_said() {
        // A FIFO that nobody reads stands for a disk that hangs.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let lines = Lines::new(Some(path));
        lines.begin().unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let put = (0..WAITING + 2000).filter(|_| lines.put(line.clone())).count();
        assert!(put < WAITING + 2000, "it waits for nobody");
        let mut reader = io::BufReader::new(reader);
        let mut read = String::new();
        while !read.contains("lines are missing") {
            read.clear();
            io::BufRead::read_line(&mut reader, &mut read).unwrap();
        }
    }
}
