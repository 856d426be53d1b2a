//! What kind of operation it is, which tells what becomes of it that did not come to its end.

use port21_proto::server::{Action, DataError, LoginError, Outcome, StorageError, TransferError, Transferred};

/// What kind of operation it is: which outcome it has, and whether it may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Login,
    Listen,
    Open,
    Create,
    Transfer,
    Entry,
    Size,
    Digest,
    Site,
    Tree,
    Describe,
    Text,
    Sync,
    Enter,
    Change,
}

impl Kind {
    pub(super) fn of(action: &Action) -> Kind {
        match action {
            Action::Authenticate { .. } | Action::Recognise { .. } => Kind::Login,
            Action::Listen { .. } => Kind::Listen,
            Action::Open { .. } | Action::List(_) => Kind::Open,
            Action::Create { .. } => Kind::Create,
            Action::FindSite(_) => Kind::Site,
            Action::Digest(_) => Kind::Digest,
            Action::RemoveTree(_) => Kind::Tree,
            Action::Transfer { .. } => Kind::Transfer,
            Action::Sync { .. } => Kind::Sync,
            Action::Describe(_) => Kind::Describe,
            Action::Who { .. } => Kind::Text,
            Action::Stat(_) | Action::Named(_) | Action::Facts(_) => Kind::Entry,
            Action::Size { .. } | Action::TreeSize(_) | Action::Available(_) => Kind::Size,
            Action::Enter(_) => Kind::Enter,
            Action::StartTls { .. }
            | Action::StopTls
            | Action::Commit(_)
            | Action::Rename { .. }
            | Action::RemoveFile(_)
            | Action::RemoveDirectory(_)
            | Action::MakeDirectory(_)
            | Action::SetFacts(..)
            | Action::Link { .. }
            | Action::Combine { .. } => Kind::Change,
        }
    }

    /// Not what changes something, in one step: nobody could tell whether it was done.
    pub(super) fn is_stoppable(self) -> bool {
        !matches!(self, Kind::Create | Kind::Sync | Kind::Change)
    }

    /// The outcome of an operation of this kind that failed.
    pub(super) fn failed(self, error: StorageError, bytes: u64) -> Outcome {
        match self {
            Kind::Login => Outcome::Login(Err(LoginError::Unavailable)),
            Kind::Listen => Outcome::Listening(Err(DataError::NoPort)),
            Kind::Open => Outcome::Opened(Err(error)),
            Kind::Create => Outcome::Created(Err(error)),
            Kind::Transfer => {
                let error = match error {
                    StorageError::Cancelled => TransferError::Cancelled,
                    error => error.into(),
                };
                Outcome::Transferred(Transferred { bytes, result: Err(error), digest: None })
            }
            Kind::Entry => Outcome::Entry(Err(error)),
            Kind::Size => Outcome::Size(Err(error)),
            Kind::Digest => Outcome::Digest(Err(error)),
            Kind::Site => Outcome::Site(None),
            Kind::Describe => Outcome::Described(Err(error)),
            Kind::Text => Outcome::Text(Err(error)),
            Kind::Sync | Kind::Enter | Kind::Tree | Kind::Change => Outcome::Done(Err(error)),
        }
    }
}
