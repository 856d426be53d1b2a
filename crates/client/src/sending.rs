//! The bytes of a local file on their way into an upload: what is in memory already, without a step to another thread; the
//! rest read ahead by one.

use std::fs::File;
use std::future::poll_fn;
use std::io;

use crate::digest::Hasher;
use crate::disk::Reader;
use crate::error::Error;
use crate::file::Progress;
use crate::rate::{Rate, pay};
use crate::upload::UploadStream;

/// What of a file is sent, and how fast.
pub(crate) struct Sending<'a> {
    /// The byte that is next.
    pub(crate) at: u64,
    /// How many the file has, where that is known.
    pub(crate) total: Option<u64>,
    pub(crate) rate: Option<&'a Rate>,
    pub(crate) progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// Why a file has not gone, or come.
pub(crate) enum Failure {
    /// It cannot be read, or written.
    Local(io::Error),
    Session(Error),
}

impl Sending<'_> {
    /// Sends a file from `at`, which is where it stands, to its end. Where there is a hasher it sees all of that, and is given
    /// back.
    pub(crate) async fn send(
        &mut self,
        stream: &mut UploadStream<'_>,
        file: File,
        hasher: Option<Hasher>,
    ) -> Result<Option<Hasher>, Failure> {
        #[cfg(target_os = "linux")]
        if hasher.is_none() && self.total.is_some() && cached::tells(&file) {
            return self.send_cached(stream, file).await.map(|()| None);
        }
        self.send_by_thread(stream, file, hasher).await
    }

    async fn send_by_thread(
        &mut self,
        stream: &mut UploadStream<'_>,
        file: File,
        hasher: Option<Hasher>,
    ) -> Result<Option<Hasher>, Failure> {
        let mut reader = Reader::new(file, hasher);
        loop {
            let chunk = reader.next().await.map_err(Failure::Local)?;
            if chunk.bytes().is_empty() {
                return Ok(reader.finish().await);
            }
            self.send_bytes(stream, chunk.bytes()).await?;
            reader.give_back(chunk);
        }
    }

    async fn send_bytes(&mut self, stream: &mut UploadStream<'_>, mut rest: &[u8]) -> Result<(), Failure> {
        while !rest.is_empty() {
            let at_once = self.rate.map_or(usize::MAX, Rate::at_once);
            let some = rest.get(..at_once).unwrap_or(rest);
            let written = poll_fn(|cx| stream.poll_bytes(cx, some)).await.map_err(Failure::Session)?;
            rest = rest.get(written..).unwrap_or_default();
            self.at += written as u64;
            if self.rate.is_some() || rest.is_empty() {
                (self.progress)(Progress { done: self.at, total: self.total });
            }
            pay(self.rate, written).await;
        }
        Ok(())
    }
}

/// What the page cache has is read where it is sent: a copy that stays in the processor's cache, and nobody to wait for.
/// (sendfile would save that copy, and costs this side half as much. But on one machine the receiver copies then what no processor
/// has just touched, page by page, and the whole takes a third longer; over a network it is not what takes the time.)
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::sync::Arc;

    use rustix::fs::{Advice, fadvise, fstatfs};
    use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
    use tokio::task::spawn_blocking;

    use super::{Failure, Sending, UploadStream};
    use port21_io::Buffer;

    /// How much of a file is seen to be in memory at a time.
    const WINDOW: u64 = 4 * 1024 * 1024;

    /// How much is read at a time: it is to be in the processor's cache still when it is sent.
    const PIECE: usize = 128 * 1024;

    impl Sending<'_> {
        /// Sends a file from `at` to its end.
        pub(super) async fn send_cached(&mut self, stream: &mut UploadStream<'_>, file: File) -> Result<(), Failure> {
            let file = Arc::new(file);
            let mut buffer = Buffer::new(PIECE);
            let mut loaded = self.at;
            loop {
                if self.at >= loaded {
                    load(&file, self.at).await;
                    loaded = self.at.saturating_add(WINDOW);
                }
                match pread(&*file, &mut *buffer, self.at) {
                    Ok(0) => return Ok(()),
                    Ok(read) => self.send_bytes(stream, buffer.get(..read).unwrap_or_default()).await?,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(Failure::Local(error.into())),
                }
            }
        }
    }

    /// Sees to it that the next window is in the page cache: who reads it would wait for the disk, and with it everything else
    /// on its thread, timeouts too. Mostly it is there, which a read of its first and of its last byte tells without waiting.
    async fn load(file: &Arc<File>, from: u64) {
        let last = file.metadata().map_or(0, |facts| facts.len().saturating_sub(1)).min(from + WINDOW - 1);
        if !would_wait(file, from) && !would_wait(file, last) {
            return;
        }
        let file = file.clone();
        let read = spawn_blocking(move || {
            // What comes behind it can come while this is sent. It is a hint: nothing is lost where it is not taken.
            let _ = fadvise(&*file, from, std::num::NonZeroU64::new(2 * WINDOW), Advice::WillNeed);
            let mut buffer = Buffer::new(PIECE);
            let mut at = from;
            // Errors are left to whoever reads it in earnest.
            while at <= last {
                match pread(&*file, &mut *buffer, at) {
                    Ok(read) if read > 0 => at += read as u64,
                    Err(Errno::INTR) => {}
                    _ => break,
                }
            }
        });
        // It cannot panic, and nothing depends on it.
        let _ = read.await;
    }

    fn would_wait(file: &File, at: u64) -> bool {
        read_now(file, at) == Err(Errno::AGAIN)
    }

    /// Whether it can be told of a file that reading it would wait. Where it cannot, as with most that come over a network,
    /// a thread reads it, which may wait.
    pub(super) fn tells(file: &File) -> bool {
        matches!(read_now(file, 0), Ok(_) | Err(Errno::AGAIN)) || is_memory(file)
    }

    fn read_now(file: &File, at: u64) -> Result<usize, Errno> {
        preadv2(file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT)
    }

    /// A file system in memory cannot tell, and never waits but for swap.
    fn is_memory(file: &File) -> bool {
        /// As statfs(2) has it. The width and sign of the type differ between machines.
        const TMPFS_MAGIC: u64 = 0x0102_1994;
        fstatfs(file).is_ok_and(|facts| facts.f_type as u64 & 0xffff_ffff == TMPFS_MAGIC)
    }
}
