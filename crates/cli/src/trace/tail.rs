//! A recording that still grows, read on a thread of its own.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use port21_trace::recording::{Header, ReadError, Reader, Record};
use tokio::sync::mpsc;

/// How often a file is looked at that has nothing new.
const LOOK: Duration = Duration::from_millis(100);

/// So many events wait for being drawn; then reading waits.
const WAITING: usize = 1024;

/// What is read.
#[derive(Debug)]
pub(super) enum Told {
    /// An event, and the header that it stands behind.
    Event(Box<Header>, Record),
    /// Something to say.
    Note(String),
    /// Nothing can be read any more.
    Failed(ReadError),
}

/// Reads a recording, and what is added to it. The channel ends where nothing can be added: at the end of a pipe.
pub(super) fn read(path: &Path) -> anyhow::Result<mpsc::Receiver<Told>> {
    let (to, from) = mpsc::channel(WAITING);
    let input: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        match file.metadata() {
            Ok(about) if about.is_file() => Box::new(Tail::new(path, file, to.clone())),
            _ => Box::new(file),
        }
    };
    let thread = std::thread::Builder::new().name("recording".to_owned());
    // It ends with the channel, at the latest when there is something to send.
    thread.spawn(move || send(input, &to)).context("cannot start a thread")?;
    Ok(from)
}

fn send(input: Box<dyn Read + Send>, to: &mpsc::Sender<Told>) {
    let mut reader = match Reader::new(BufReader::new(input)) {
        Ok(reader) => reader,
        // Whoever waits for a recording that never begins has been told nothing wrong.
        Err(ReadError::Empty) => return,
        Err(error) => return drop(to.blocking_send(Told::Failed(error))),
    };
    loop {
        let told = match reader.read() {
            Ok(Some(record)) => Told::Event(Box::new(reader.header().clone()), record),
            Ok(None) => return,
            // What a program left half written when it ended is no reason to look away from what follows.
            Err(error @ ReadError::Line { .. }) => Told::Note(error.to_string()),
            Err(error) => return drop(to.blocking_send(Told::Failed(error))),
        };
        if to.blocking_send(told).is_err() {
            return;
        }
    }
}

/// A file that has no end: at its end it is waited for more. A file that is cut is read anew, and one that another takes the
/// place of is left for that other, once it is read.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    read: u64,
    /// Whether what was read ends within a line.
    within: bool,
    to: mpsc::Sender<Told>,
}

impl Tail {
    fn new(path: &Path, file: File, to: mpsc::Sender<Told>) -> Tail {
        Tail { path: path.to_owned(), file, read: 0, within: false, to }
    }

    /// Begins anew where there is reason to: whether there was.
    fn turn(&mut self) -> io::Result<bool> {
        let here = self.file.metadata()?;
        let name = self.path.display();
        let what = match std::fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) != (here.dev(), here.ino()) => {
                self.file = File::open(&self.path)?;
                format!("{name} is another file now: it is read from its begin")
            }
            _ if here.len() < self.read => {
                self.file.seek(SeekFrom::Start(0))?;
                format!("{name} was begun anew: it is read from its begin")
            }
            // Where the name is gone, the file may still be written to.
            _ => return Ok(false),
        };
        self.read = 0;
        let _ = self.to.blocking_send(Told::Note(what));
        Ok(true)
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(buffer)?;
            if let Some(last) = buffer.get(..count).and_then(<[u8]>::last) {
                self.read += count as u64;
                self.within = *last != b'\n';
                return Ok(count);
            }
            if self.turn()? {
                // What was torn off is a line of its own, and no part of the first one of what comes now.
                if std::mem::take(&mut self.within)
                    && let Some(first) = buffer.first_mut()
                {
                    *first = b'\n';
                    return Ok(1);
                }
                continue;
            }
            if self.to.is_closed() {
                return Ok(0);
            }
            std::thread::sleep(LOOK);
        }
    }
}
