//! What an account may take up: asked before it grows, told when it shrinks.

use std::fmt;
use std::sync::Arc;

use port21_proto::server::StorageError;

use super::BoxFuture;

/// The count of what an account takes up, against what it may.
///
/// Counted are the bytes of regular files and the number of files, directories and symbolic links below the account's root;
/// what is kept of interrupted uploads too (the files are hidden, not gone: a look at the disk finds them). A file counts
/// under each of its names. The bytes of an upload that replaces a file count beside it until it has taken its place, for
/// that is the room that it needs.
///
/// What changes behind the server's back, and what it removes itself for its age, is not told: look at the disk again
/// now and then.
pub trait Quota: fmt::Debug + Send + Sync {
    /// Takes so much more, or nothing where that is too much. It is asked for every buffer of an upload (256 KiB): be
    /// quick, and do not wait for anything.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`].
    fn take(&self, bytes: u64, files: u64) -> Result<(), StorageError>;

    /// So much is free again.
    fn give(&self, bytes: u64, files: u64);

    /// Keeps so many bytes free for an upload that has announced them. They count as taken from now on; but they are not on
    /// the disk yet, and who counts that must not lose them.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`].
    fn reserve(&self, bytes: u64) -> Result<(), StorageError> {
        self.take(bytes, 0)
    }

    /// So many of the reserved bytes are written next: they are taken like all others.
    fn take_reserved(&self, bytes: u64) {
        let _ = bytes;
    }

    /// So many of the reserved bytes will not be written.
    fn release(&self, bytes: u64) {
        self.give(bytes, 0);
    }

    /// How many bytes more there may be; nothing where there is no limit.
    fn room(&self) -> Option<u64>;

    /// Waits until it is known what there is, so that [`Quota::take`] can tell. It is asked before each upload and each
    /// new directory: no longer than a client has patience, and no time at all once it is known. Default: it is known.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What one upload has taken.
#[derive(Debug)]
pub(super) struct Charge {
    quota: Option<Arc<dyn Quota>>,
    /// Where the next byte goes.
    at: u64,
    /// How many bytes of the file are counted.
    counted: u64,
    /// How many bytes more are kept free for it.
    reserved: u64,
    /// How many files.
    files: u64,
}

impl Charge {
    /// For a file of `size` bytes that is counted already, and is written from `at` on.
    pub(super) fn of_file(quota: Option<&Arc<dyn Quota>>, size: u64, at: u64) -> Charge {
        Charge { quota: quota.cloned(), at, counted: size, reserved: 0, files: 1 }
    }

    /// For one that is made: it counts as a file of its own unless it will replace one.
    pub(super) fn of_new(quota: Option<&Arc<dyn Quota>>, replaces: bool) -> Result<Charge, StorageError> {
        let files = u64::from(!replaces);
        if let Some(quota) = quota {
            quota.take(0, files)?;
        }
        Ok(Charge { quota: quota.cloned(), at: 0, counted: 0, reserved: 0, files })
    }

    /// Whether so many bytes would have room.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), StorageError> {
        let more = self.at.saturating_add(bytes).saturating_sub(self.counted);
        match self.quota.as_ref().and_then(|quota| quota.room()) {
            Some(room) if more > room => Err(StorageError::OverQuota),
            _ => Ok(()),
        }
    }

    /// So many bytes were announced: nobody else gets their room. What of it is not used in the end is given back by
    /// [`Charge::settle`].
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), StorageError> {
        let more = self.at.saturating_add(bytes).saturating_sub(self.counted);
        if let Some(quota) = &self.quota {
            quota.reserve(more)?;
            self.reserved = more;
        }
        Ok(())
    }

    /// So many bytes are written next.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), StorageError> {
        let end = self.at.saturating_add(bytes);
        if end > self.counted {
            let kept = self.reserved.min(end - self.counted);
            if let Some(quota) = &self.quota {
                quota.take(end - self.counted - kept, 0)?;
                quota.take_reserved(kept);
            }
            self.reserved -= kept;
            self.counted = end;
        }
        self.at = end;
        Ok(())
    }

    /// The file is so long in the end.
    pub(super) fn settle(&mut self, size: u64) {
        self.give(self.counted.saturating_sub(size), 0);
        self.counted = self.counted.min(size);
        if let Some(quota) = &self.quota
            && self.reserved > 0
        {
            quota.release(std::mem::take(&mut self.reserved));
        }
    }

    /// It has taken its place. The file of this size is gone that was there until then; or, where there was none any more,
    /// it counts as a file of its own now.
    pub(super) fn replaced(&mut self, size: Option<u64>) {
        match (size, &self.quota) {
            (Some(size), _) => self.give(size, 0),
            // It is there, whether there may be one more or not: beyond the limit the next count will find it.
            (None, Some(quota)) => self.files += u64::from(quota.take(0, 1).is_ok()),
            (None, None) => {}
        }
    }

    /// There is no such file any more.
    pub(super) fn undo(&mut self) {
        self.give(self.counted, self.files);
        (self.counted, self.files) = (0, 0);
    }

    fn give(&self, bytes: u64, files: u64) {
        if let Some(quota) = &self.quota
            && (bytes, files) != (0, 0)
        {
            quota.give(bytes, files);
        }
    }
}
