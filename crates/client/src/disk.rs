//! Local files read and written by a thread of their own, while the network goes on.

use std::fs::File;
use std::io::{self, Read, Write};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::digest::Hasher;
use port21_io::Buffer;

/// How many bytes go to or come from the disk at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many chunks are under way at once: what one transfer takes of memory is so many times [`CHUNK`].
const CHUNKS: usize = 4;

/// A piece of a file: the first `len` bytes of a buffer that is used again.
pub(crate) struct Chunk {
    pub(crate) buffer: Buffer,
    pub(crate) len: usize,
}

impl Chunk {
    fn new() -> Chunk {
        Chunk { buffer: Buffer::new(CHUNK), len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// Writes to a file, from where it stands.
pub(crate) struct Writer {
    full: mpsc::Sender<Chunk>,
    empty: mpsc::Receiver<Chunk>,
    made: usize,
    thread: JoinHandle<io::Result<Option<Hasher>>>,
}

impl Writer {
    /// What is written goes through the hasher as well.
    pub(crate) fn new(mut file: File, mut hasher: Option<Hasher>) -> Writer {
        let (full, mut to_write) = mpsc::channel::<Chunk>(CHUNKS);
        let (written, empty) = mpsc::channel(CHUNKS);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(chunk) = to_write.blocking_recv() {
                file.write_all(chunk.bytes())?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(chunk.bytes());
                }
                // Nobody may want it any more; what was given is written all the same.
                let _ = written.try_send(chunk);
            }
            Ok(hasher)
        });
        Writer { full, empty, made: 0, thread }
    }

    /// A buffer to fill. Where writing has failed any will do: [`Writer::write`] tells.
    pub(crate) async fn buffer(&mut self) -> Chunk {
        if let Ok(chunk) = self.empty.try_recv() {
            return chunk;
        }
        if self.made < CHUNKS {
            self.made += 1;
            return Chunk::new();
        }
        self.empty.recv().await.unwrap_or_else(Chunk::new)
    }

    /// Hands a chunk over; whether the file still takes any: where not, [`Writer::finish`] tells why.
    pub(crate) async fn write(&mut self, chunk: Chunk) -> bool {
        self.full.send(chunk).await.is_ok()
    }

    /// Waits until all is written, and gives the hasher back.
    pub(crate) async fn finish(self) -> io::Result<Option<Hasher>> {
        drop(self.full);
        self.thread.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

/// Reads a file, from where it stands to its end.
pub(crate) struct Reader {
    full: mpsc::Receiver<io::Result<Chunk>>,
    empty: mpsc::Sender<Chunk>,
    thread: JoinHandle<Option<Hasher>>,
}

impl Reader {
    /// What is read goes through the hasher as well.
    pub(crate) fn new(mut file: impl Read + Send + 'static, mut hasher: Option<Hasher>) -> Reader {
        let (read, full) = mpsc::channel(CHUNKS);
        let (empty, mut to_fill) = mpsc::channel(CHUNKS);
        for _ in 0..CHUNKS {
            // There is room for just so many.
            let _ = empty.try_send(Chunk::new());
        }
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(mut chunk) = to_fill.blocking_recv() {
                let result = fill(&mut file, &mut chunk.buffer).map(|len| chunk.len = len);
                let end = result.is_err() || chunk.len == 0;
                if let (Ok(()), Some(hasher)) = (&result, &mut hasher) {
                    hasher.update(chunk.bytes());
                }
                if read.blocking_send(result.map(|()| chunk)).is_err() || end {
                    break;
                }
            }
            hasher
        });
        Reader { full, empty, thread }
    }

    /// The next piece; an empty one at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Chunk> {
        self.full.recv().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Gives a piece back.
    pub(crate) fn give_back(&mut self, chunk: Chunk) {
        let _ = self.empty.try_send(chunk);
    }

    /// Gives the hasher back, which has seen all that was read.
    pub(crate) async fn finish(self) -> Option<Hasher> {
        drop((self.full, self.empty));
        self.thread.await.ok().flatten()
    }
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
