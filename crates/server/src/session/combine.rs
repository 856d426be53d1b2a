//! COMB: several files become one.

use std::io::{Read, Write};
use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::listing::Entry;
use port21_proto::server::{Placement, Representation, StorageError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;

use crate::data::upload::Cancel;
use crate::session::fault::Fault;
use crate::storage::{CommitMode, Hold, Sink, Source, Storage, Upload, UploadRequest, storage_error};

/// How much is copied at a time; between two copies it can be stopped.
const BUFFER: usize = 1 << 20;

/// What is to be combined.
pub(super) struct Combination<'a> {
    pub(super) target: &'a FtpPath,
    pub(super) parts: &'a [FtpPath],
    pub(super) overwrite: bool,
    pub(super) commit: CommitMode,
}

impl Combination<'_> {
    /// Writes the target anew, what it had first and then the parts in their order, gives it its name, and only then
    /// removes the parts; `removed` is told of each. Cancelled before the name is given, or where any part may not be
    /// removed, nothing has happened. A part that stays after all, `stayed` is told of: the target has its bytes, and a
    /// client that is told of a failure would put them there once more.
    pub(super) async fn run(
        &self,
        storage: &dyn Storage,
        cancel: &mut Cancel,
        removed: impl Fn(&FtpPath),
        stayed: impl Fn(&FtpPath, &StorageError),
    ) -> Result<(), Fault> {
        let (mut upload, held) = self.begin(storage).await?;
        let written = tokio::select! {
            biased;
            _ = &mut *cancel => Err(StorageError::Cancelled),
            written = self.write(storage, &mut *upload, &held) => written,
        };
        if let Err(error) = written {
            upload.let_go().await;
            return Err(error.into());
        }
        upload.commit().await?;
        for (path, part) in self.parts.iter().zip(held) {
            match part.remove().await {
                Ok(()) => removed(path),
                Err(error) => stayed(path, &error),
            }
        }
        Ok(())
    }

    /// The target as it will be, and the parts, which nobody else changes meanwhile.
    async fn begin(&self, storage: &dyn Storage) -> Result<(Box<dyn Upload>, Vec<Box<dyn Hold>>), Fault> {
        let mut held: Vec<Box<dyn Hold>> = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            match storage.hold(part).await {
                Ok(part) => held.push(part),
                Err(error) => return Err(Fault::at(part, refused(storage, error, part, &held).await)),
            }
        }
        let old = match storage.size(self.target, Representation::Image).await {
            Ok(size) => Some(size),
            Err(StorageError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let total = held.iter().map(|part| part.size()).fold(old.unwrap_or(0), u64::saturating_add);
        let request = UploadRequest {
            path: self.target,
            placement: Placement::Whole,
            overwrite: self.overwrite && old.is_some(),
            announced: Some(total),
            // Written under its own name, the target would lose what it had before that was read.
            commit: if self.commit == CommitMode::Direct { CommitMode::Atomic } else { self.commit },
            told: None,
            representation: Representation::Image,
            adds: true,
        };
        let mut upload = match storage.create(request).await {
            Ok(upload) => upload,
            Err(error) => return Err(refused(storage, error, self.target, &held).await.into()),
        };
        // The parts are still there: nothing of the target is worth to be kept before it is whole.
        upload.spoil();
        Ok((upload, held))
    }

    async fn write(
        &self,
        storage: &dyn Storage,
        upload: &mut dyn Upload,
        held: &[Box<dyn Hold>],
    ) -> Result<(), StorageError> {
        match storage.open_read(self.target, 0).await {
            Ok(old) => copy(old, upload).await?,
            Err(StorageError::NotFound) => {}
            Err(error) => return Err(error),
        }
        for part in held {
            copy(part.open().await?, upload).await?;
        }
        upload.sync().await
    }
}

/// Why a file cannot be had. Where this very command has it already, under that name or another (through a link to its
/// directory, for one), it would be put to itself, and then removed.
async fn refused(storage: &dyn Storage, error: StorageError, path: &FtpPath, held: &[Box<dyn Hold>]) -> StorageError {
    if error == StorageError::Busy
        && let Ok(Entry { unique: Some(unique), .. }) = storage.stat(path).await
        && held.iter().any(|part| part.unique() == unique)
    {
        return StorageError::SameFile;
    }
    error
}

/// Copies all of a source. A source that ends early would make a target that is not whole.
async fn copy(mut source: Source, upload: &mut dyn Upload) -> Result<(), StorageError> {
    let mut left = match &source {
        Source::File { len, .. } => Some(*len),
        Source::Reader { len, .. } => *len,
    };
    loop {
        let wanted = left.map_or(BUFFER, |left| usize::try_from(left).unwrap_or(BUFFER).min(BUFFER));
        if wanted == 0 {
            return Ok(());
        }
        let bytes;
        (source, bytes) = read(source, wanted).await?;
        match (bytes.len(), &mut left) {
            (0, None) => return Ok(()),
            (0, Some(_)) => return Err(StorageError::Io("a part became shorter while it was read".into())),
            (read, Some(left)) => *left = left.saturating_sub(read as u64),
            (_, None) => {}
        }
        write(upload, bytes).await?;
    }
}

async fn read(source: Source, wanted: usize) -> Result<(Source, Vec<u8>), StorageError> {
    let mut bytes = Vec::new();
    match source {
        Source::File { mut file, len } => {
            in_pool(move || {
                (&mut file).take(wanted as u64).read_to_end(&mut bytes)?;
                Ok((Source::File { file, len }, bytes))
            })
            .await
        }
        Source::Reader { mut reader, len } => {
            (&mut reader).take(wanted as u64).read_to_end(&mut bytes).await.map_err(|e| storage_error(&e))?;
            Ok((Source::Reader { reader, len }, bytes))
        }
    }
}

async fn write(upload: &mut dyn Upload, bytes: Vec<u8>) -> Result<(), StorageError> {
    upload.take(bytes.len() as u64)?;
    match upload.sink() {
        Sink::File(file) => in_pool(move || (&*Arc::clone(&file)).write_all(&bytes)).await,
        Sink::Writer(writer) => {
            writer.write_all(&bytes).await.map_err(|e| storage_error(&e))?;
            writer.flush().await.map_err(|e| storage_error(&e))
        }
    }
}

async fn in_pool<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    match spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| storage_error(&error)),
        Err(error) => Err(StorageError::Io(error.to_string())),
    }
}
