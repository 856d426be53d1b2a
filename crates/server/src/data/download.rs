//! A file to the data connection.

use std::fs::File;
use std::io::Read;

use port21_proto::server::{StorageError, TransferError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::spawn_blocking;

use crate::data::connection::DataConnection;
use crate::data::encoding::{Encoder, Encoding};
use crate::storage::Source;

/// How much is read at a time where bytes pass through this process: large enough that the step to the blocking pool
/// is small beside the copying.
const BUFFER: usize = 256 * 1024;

/// Sends all of `source` and ends the connection in order.
pub(crate) async fn download(
    mut data: DataConnection,
    source: Source,
    encoding: Encoding,
) -> Result<(), TransferError> {
    data.sends();
    match source {
        #[cfg(target_os = "linux")]
        Source::File { file, len } if encoding.is_plain() => match data.is_protected() {
            false => cached::send(&mut data, file, len, encoding).await?,
            true => cached::send_protected(&mut data, file, len).await?,
        },
        Source::File { file, len } => send_file(&mut data, file, len, encoding).await?,
        Source::Reader { reader, len } => send_reader(&mut data, reader, len, encoding).await?,
    }
    data.finish().await
}

/// Reads and converts in the blocking pool, sends from here.
async fn send_file(
    data: &mut DataConnection,
    mut file: File,
    len: u64,
    encoding: Encoding,
) -> Result<(), TransferError> {
    let mut encoder = Encoder::new(encoding);
    let mut buffer = Vec::new();
    let mut left = len;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let (read, encoded);
        (file, buffer, encoder, read, encoded) = in_pool(move || {
            buffer.clear();
            let read = (&mut file).take(want as u64).read_to_end(&mut buffer);
            let encoded = encoder.encode(&buffer);
            (file, buffer, encoder, read, encoded)
        })
        .await?;
        let read = read.map_err(cannot_read)?;
        encoded?;
        if read == 0 {
            return Err(cut_short());
        }
        left = left.saturating_sub(read as u64);
        data.send(encoder.ready()).await?;
    }
    encoder.finish()?;
    data.send(encoder.ready()).await
}

async fn send_reader(
    data: &mut DataConnection,
    mut reader: Box<dyn AsyncRead + Send + Unpin>,
    len: Option<u64>,
    encoding: Encoding,
) -> Result<(), TransferError> {
    let mut encoder = Encoder::new(encoding);
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut left = len.unwrap_or(u64::MAX);
    while left > 0 {
        buffer.clear();
        let want = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let read = (&mut reader).take(want as u64).read_buf(&mut buffer).await.map_err(cannot_read)?;
        match (read, len) {
            (0, None) => break,
            (0, Some(_)) => return Err(cut_short()),
            _ => {}
        }
        left = left.saturating_sub(read as u64);
        encoder.encode(&buffer)?;
        data.send(encoder.ready()).await?;
    }
    encoder.finish()?;
    data.send(encoder.ready()).await
}

/// Runs what may block. Its own panic is told as an error.
async fn in_pool<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TransferError> {
    spawn_blocking(work).await.map_err(|error| StorageError::Io(error.to_string()).into())
}

fn cannot_read(error: std::io::Error) -> TransferError {
    StorageError::Io(format!("reading: {error}")).into()
}

/// The client was told how many bytes there would be: fewer must not pass for all.
fn cut_short() -> TransferError {
    StorageError::Io("the file became shorter while it was sent".into()).into()
}

/// From the page cache, on the session's thread: without a copy in this process where none is needed.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::{IoSliceMut, Seek};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use port21_proto::server::TransferError;
    use rustix::fs::fstatfs;
    use rustix::io::{Errno, ReadWriteFlags};
    use tokio::io::Interest;
    use tokio::task::yield_now;

    use super::{cannot_read, cut_short, in_pool, send_file};
    use crate::data::connection::DataConnection;
    use crate::data::encoding::Encoding;

    /// How much one call may send. A call returns earlier where the socket's buffer is full, which it mostly is after a
    /// few hundred KiB, so this only bounds how long one transfer can hold its thread: about 0.1 ms.
    const CHUNK: u64 = 1024 * 1024;

    /// How much is read at a time to be encrypted: with what comes of that it has room in a processor's own cache.
    const PIECE: usize = 128 * 1024;

    /// So long a transfer keeps its thread before others get to it. To let them costs some 20 µs: another thread wakes to look
    /// for work.
    const TURN: Duration = Duration::from_millis(1);

    /// No page of the cache is smaller.
    const PAGE: u64 = 4096;

    /// A reader that is as fast as the file must not hold a thread for the whole of it.
    struct Turn(Instant);

    impl Turn {
        fn begin() -> Turn {
            Turn(Instant::now())
        }

        /// Lets others go first, if this one has been on for long enough.
        async fn may_end(&mut self) {
            if self.0.elapsed() >= TURN {
                yield_now().await;
                *self = Turn::begin();
            }
        }
    }

    /// Sends `len` bytes from the file's position on.
    pub(super) async fn send(
        data: &mut DataConnection,
        mut file: File,
        len: u64,
        encoding: Encoding,
    ) -> Result<(), TransferError> {
        let mut at = file.stream_position().map_err(cannot_read)?;
        let end = at.saturating_add(len);
        let file = Arc::new(file);
        // Nothing before this offset needs to be looked for in the page cache again.
        let mut cached_to = at;
        let mut turn = Turn::begin();
        while at < end {
            let chunk = (end - at).min(CHUNK);
            if at + chunk > cached_to {
                turn.may_end().await;
                load(&file, at, chunk).await?;
                cached_to = at + chunk;
            }
            // The chunk may take several calls; what is left of it is cached still.
            let mut offset = at;
            let count = usize::try_from(cached_to.min(end) - at).unwrap_or(usize::MAX);
            let count = data.may_move(count).await;
            let send = || Ok(rustix::fs::sendfile(data.stream(), &*file, Some(&mut offset), count)?);
            match data.stream().once(Interest::WRITABLE, send).await {
                Ok(0) => return Err(cut_short()),
                Ok(sent) => {
                    data.count(sent);
                    at += sent as u64;
                }
                // Some file systems have no sendfile.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    let mut file = file.try_clone().map_err(cannot_read)?;
                    file.seek(std::io::SeekFrom::Start(at)).map_err(cannot_read)?;
                    return send_file(data, file, end - at, encoding).await;
                }
                // Of the two it is the disk: a socket has no such error.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => return Err(cannot_read(error)),
                Err(error) => return Err(data.broke(error)),
            }
        }
        Ok(())
    }

    /// As [`send`], by way of a buffer, where all is to be encrypted. What is cached is read here and now: to have it done by
    /// another thread takes longer. All else is left to one.
    pub(super) async fn send_protected(
        data: &mut DataConnection,
        mut file: File,
        len: u64,
    ) -> Result<(), TransferError> {
        let mut at = file.stream_position().map_err(cannot_read)?;
        let end = at.saturating_add(len);
        let in_memory = is_in_memory(&file);
        let file = Arc::new(file);
        let mut buffer = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
        let mut turn = Turn::begin();
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            buffer.truncate(wanted);
            let mut read = match in_memory {
                true => rustix::io::pread(&file, &mut *buffer, at),
                false => read_cached(&file, &mut buffer, at),
            };
            if matches!(read, Err(Errno::AGAIN | Errno::OPNOTSUPP)) {
                let file = file.clone();
                (buffer, read) = in_pool(move || {
                    let read = rustix::io::pread(&file, &mut *buffer, at);
                    (buffer, read)
                })
                .await?;
            }
            match read {
                Ok(0) => return Err(cut_short()),
                Ok(read) => {
                    data.send(buffer.get(..read).unwrap_or_default()).await?;
                    at += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(cannot_read(errno.into())),
            }
            turn.may_end().await;
        }
        Ok(())
    }

    /// Reads what is in the page cache: EAGAIN where nothing is, EOPNOTSUPP where the file system cannot tell.
    fn read_cached(file: &File, room: &mut [u8], at: u64) -> Result<usize, Errno> {
        rustix::io::preadv2(file, &mut [IoSliceMut::new(room)], at, ReadWriteFlags::NOWAIT)
    }

    /// Whether there is no disk to be waited for: tmpfs.
    fn is_in_memory(file: &File) -> bool {
        // The type's width and sign differ between machines.
        fstatfs(file).is_ok_and(|system| system.f_type as u64 & 0xffff_ffff == 0x0102_1994)
    }

    /// Sees to it that the chunk is in the page cache: sendfile would wait for the disk, and with it every session of
    /// this thread. Mostly it is there, which two reads of a byte each tell without waiting; else it is read in the
    /// blocking pool. Where the file system cannot tell (EOPNOTSUPP) it is taken to be fast.
    async fn load(file: &Arc<File>, at: u64, chunk: u64) -> Result<(), TransferError> {
        if !would_wait(file, at) && (chunk <= PAGE || !would_wait(file, at + chunk - 1)) {
            return Ok(());
        }
        let file = file.clone();
        in_pool(move || {
            let mut buffer = vec![0; 64 * 1024];
            let mut from = at;
            // Errors are left to sendfile, which meets them again.
            while from < at + chunk {
                match rustix::io::pread(&file, &mut buffer, from) {
                    Ok(read) if read > 0 => from += read as u64,
                    Err(Errno::INTR) => {}
                    _ => break,
                }
            }
        })
        .await
    }

    fn would_wait(file: &File, at: u64) -> bool {
        read_cached(file, &mut [0], at) == Err(Errno::AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use port21_proto::server::{Mode, Representation};

    use super::*;
    use crate::data::connection::loopback;

    /// What a client gets, and how it ended.
    async fn fetch(source: Source, representation: Representation) -> (Vec<u8>, Result<(), TransferError>) {
        let (data, mut client) = loopback().await;
        let mut bytes = Vec::new();
        let (result, read) =
            tokio::join!(download(data, source, Encoding { representation, mode: Mode::Stream, level: 6 }), async {
                let read = client.read_to_end(&mut bytes).await;
                drop(client);
                read
            });
        read.unwrap();
        (bytes, result)
    }

    fn file(bytes: &[u8], from: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(from)).unwrap();
        file
    }

    fn reader(bytes: &[u8], len: Option<u64>) -> Source {
        Source::Reader { reader: Box::new(std::io::Cursor::new(bytes.to_vec())), len }
    }

    #[tokio::test]
    async fn from_the_files_position_as_many_as_were_promised() {
        let bytes: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
        let file = file(&bytes, 5);
        // On file systems that have a cache of their own to lose, the disk is waited for in the pool.
        #[cfg(target_os = "linux")]
        {
            file.sync_all().unwrap();
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        let len = bytes.len() as u64 - 10;
        let (got, result) = fetch(Source::File { file, len }, Representation::Image).await;
        result.unwrap();
        assert!(got == bytes[5..bytes.len() - 5]);
    }

    #[tokio::test]
    async fn fewer_than_were_promised_are_an_error() {
        for representation in [Representation::Image, Representation::Ascii] {
            let (got, result) = fetch(Source::File { file: file(b"short", 0), len: 6 }, representation).await;
            assert_eq!(got, b"short");
            assert!(matches!(result, Err(TransferError::Storage(_))), "{result:?}");
            let (got, result) = fetch(reader(b"short", Some(6)), representation).await;
            assert_eq!(got, b"short");
            assert!(matches!(result, Err(TransferError::Storage(_))), "{result:?}");
        }
    }

    #[tokio::test]
    async fn from_a_reader_in_both_forms() {
        for (representation, want) in [(Representation::Image, &b"a\nb\n"[..]), (Representation::Ascii, b"a\r\nb\r\n")]
        {
            for len in [None, Some(4)] {
                let (got, result) = fetch(reader(b"a\nb\n", len), representation).await;
                result.unwrap();
                assert_eq!(got, want);
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_a_whole_file_too() {
        let (got, result) = fetch(Source::File { file: file(b"", 0), len: 0 }, Representation::Image).await;
        result.unwrap();
        assert!(got.is_empty());
    }
}
