//! Digests of files, computed while they are read.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use md5::Digest as _;
use port21_proto::server::{Algorithm, DigestRequest, Digested, StorageError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;

use crate::storage::{Source, Storage, storage_error};

/// How much is read at a time; between two reads it can be stopped.
const BUFFER: usize = 128 * 1024;

/// Computes a digest. Each keeps a processor busy, so that at most as many run at a time as `places` has permits; the
/// others wait. Dropped, it stops at the next read.
pub(super) async fn digest(
    storage: &dyn Storage,
    request: &DigestRequest,
    places: &Semaphore,
) -> Result<Digested, StorageError> {
    let _place = places.acquire().await.map_err(|error| StorageError::Io(error.to_string()))?;
    let source = storage.open_read(&request.path, request.from).await?;
    let wanted = request.to.map_or(u64::MAX, |to| to.saturating_sub(request.from));
    let most = request.most.unwrap_or(u64::MAX);
    let hasher = Hasher::new(request.algorithm);
    let (bytes, digest) = match source {
        Source::File { len, .. } if len.min(wanted) > most => return Err(StorageError::TooLarge),
        Source::File { file, len } => of_file(file, len.min(wanted), hasher).await?,
        Source::Reader { len: Some(len), .. } if len.min(wanted) > most => return Err(StorageError::TooLarge),
        Source::Reader { reader, len } => of_reader(reader, len.unwrap_or(u64::MAX).min(wanted), most, hasher).await?,
    };
    Ok(Digested { from: request.from, to: request.from.saturating_add(bytes), digest })
}

/// In the blocking pool, for the disk may have to be waited for.
async fn of_file(mut file: File, len: u64, mut hasher: Hasher) -> Result<(u64, Vec<u8>), StorageError> {
    let stop = Stop::default();
    let stopped = stop.0.clone();
    let work = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; BUFFER];
        let mut left = len;
        while left > 0 {
            if stopped.load(Ordering::Relaxed) {
                return Err(StorageError::Cancelled);
            }
            let wanted = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            match file.read(part) {
                Ok(0) => return Err(StorageError::Io("the file became shorter while it was read".into())),
                Ok(read) => {
                    hasher.update(part.get(..read).unwrap_or_default());
                    left = left.saturating_sub(read as u64);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(storage_error(&error)),
            }
        }
        Ok((len, hasher.finish()))
    });
    let result = work.await.map_err(|error| StorageError::Io(error.to_string()))?;
    drop(stop);
    result
}

async fn of_reader(
    mut reader: Box<dyn AsyncRead + Send + Unpin>,
    len: u64,
    most: u64,
    mut hasher: Hasher,
) -> Result<(u64, Vec<u8>), StorageError> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut done = 0;
    while done < len {
        buffer.clear();
        let wanted = usize::try_from(len - done).unwrap_or(BUFFER).min(BUFFER);
        let read = (&mut reader).take(wanted as u64).read_buf(&mut buffer).await.map_err(|e| storage_error(&e))?;
        if read == 0 {
            break;
        }
        done += read as u64;
        if done > most {
            return Err(StorageError::TooLarge);
        }
        hasher.update(&buffer);
    }
    Ok((done, hasher.finish()))
}

/// Tells the thread that reads to stop, once nobody waits for it any more.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

enum Hasher {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha(Context),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha(Context::new(&SHA256)),
            Algorithm::Sha512 => Hasher::Sha(Context::new(&SHA512)),
            Algorithm::Sha1 => Hasher::Sha(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::Md5 => Hasher::Md5(md5::Md5::default()),
            Algorithm::Crc32 => Hasher::Crc32(crc32fast::Hasher::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Md5(hasher) => hasher.update(bytes),
            Hasher::Sha(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            Hasher::Md5(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha(hasher) => hasher.finish().as_ref().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        bytes.chunks(2).for_each(|part| hasher.update(part));
        hasher.finish().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The published values for "abc" (FIPS 180-4, RFC 1321), and the check value of CRC-32.
    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(hex(Algorithm::Sha256, b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            hex(Algorithm::Sha512, b"abc"),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert_eq!(hex(Algorithm::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(Algorithm::Md5, b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(Algorithm::Crc32, b"123456789"), "cbf43926");
    }

    #[tokio::test]
    async fn from_a_reader_as_far_as_is_wanted_and_no_more_than_may_be() {
        let of = |len, most| {
            let reader = Box::new(std::io::Cursor::new(b"123456789 and more".to_vec()));
            of_reader(reader, len, most, Hasher::new(Algorithm::Crc32))
        };
        assert_eq!(of(9, 9).await, Ok((9, vec![0xcb, 0xf4, 0x39, 0x26])));
        assert_eq!(of(u64::MAX, u64::MAX).await.map(|(bytes, _)| bytes), Ok(18));
        assert_eq!(of(u64::MAX, 17).await, Err(StorageError::TooLarge));
    }
}
