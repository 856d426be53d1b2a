//! Why something with many files was not done, and at which of them.

use port21_proto::FtpPath;
use port21_proto::server::{Outcome, StorageError};

/// What stood in the way.
#[derive(Debug)]
pub(super) struct Fault {
    /// The file or directory, where it is not the one that the client has named first.
    pub(super) at: Option<FtpPath>,
    pub(super) error: StorageError,
}

impl Fault {
    /// With this file.
    pub(super) fn at(path: &FtpPath, error: StorageError) -> Fault {
        Fault { at: Some(path.clone()), error }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Fault {
        Fault { at: None, error }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Outcome {
        match fault {
            // That it was cancelled is no fault of any file.
            Fault { at: Some(at), error } if error != StorageError::Cancelled => Outcome::Refused { at, error },
            Fault { error, .. } => Outcome::Done(Err(error)),
        }
    }
}
