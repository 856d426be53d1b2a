//! The one table from what the system says to what a session understands.

use std::io;
use std::sync::Arc;

use port21_proto::server::StorageError;
use rustix::io::Errno;

use super::writers::Writer;

/// Why something did not work, inside this storage: the system's word is kept until the end, since some of them mean
/// "try another way" on the road.
pub(super) enum Failure {
    /// The system's word.
    Os(Errno),
    /// Already understood.
    Is(StorageError),
    /// Another upload is at it.
    Taken(Arc<Writer>),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Os(errno)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        Failure::Is(error)
    }
}

impl From<Arc<Writer>> for Failure {
    fn from(writer: Arc<Writer>) -> Failure {
        Failure::Taken(writer)
    }
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> StorageError {
        match failure {
            Failure::Os(errno) => meaning(errno),
            Failure::Is(error) => error,
            Failure::Taken(_) => StorageError::Busy,
        }
    }
}

/// What an error of reading or writing a file means to a session.
pub fn storage_error(error: &io::Error) -> StorageError {
    match Errno::from_io_error(error) {
        Some(errno) => meaning(errno),
        None => StorageError::Io(error.to_string()),
    }
}

fn meaning(errno: Errno) -> StorageError {
    match errno {
        Errno::NOENT => StorageError::NotFound,
        // A ring of links, or a magic link that openat2 was told not to follow.
        Errno::LOOP => StorageError::Denied,
        Errno::ACCESS | Errno::PERM => StorageError::Forbidden(errno.to_string()),
        Errno::ROFS => StorageError::ReadOnly,
        Errno::EXIST => StorageError::Exists,
        Errno::NOTDIR => StorageError::NotADirectory,
        Errno::ISDIR => StorageError::IsADirectory,
        // What opening a FIFO without a reader, a socket or a device without a driver gives.
        Errno::NXIO | Errno::NODEV => StorageError::NotARegularFile,
        Errno::NOTEMPTY => StorageError::NotEmpty,
        // EINVAL is what a file system says to a name that it cannot have, and rename to a move into oneself.
        Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL => StorageError::BadName,
        Errno::NOSPC => StorageError::NoSpace,
        Errno::DQUOT | Errno::FBIG => StorageError::OverQuota,
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => StorageError::Busy,
        // EXDEV: a rename from one file system to another. FTP has no copy, and a slow one here would be no rename.
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV | Errno::MLINK => StorageError::Unsupported,
        errno => StorageError::Io(errno.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_files_are_understood_and_others_are_kept_for_the_log() {
        assert_eq!(storage_error(&Errno::NOSPC.into()), StorageError::NoSpace);
        assert_eq!(storage_error(&Errno::ROFS.into()), StorageError::ReadOnly);
        let forbidden = storage_error(&Errno::ACCESS.into());
        assert_eq!(forbidden.to_string(), StorageError::Denied.to_string());
        assert!(forbidden.detail().contains("os error 13"), "{}", forbidden.detail());
        assert_eq!(storage_error(&Errno::DQUOT.into()), StorageError::OverQuota);
        assert!(matches!(storage_error(&Errno::IO.into()), StorageError::Io(text) if !text.is_empty()));
        assert_eq!(storage_error(&io::Error::other("lost")), StorageError::Io("lost".into()));
    }
}
