//! Why an operation was not done. Each says who erred; `wording` turns it into a reply.

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::TlsFailure;

/// Why a transfer did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// No data connection came to stand.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data connection broke.
    #[error("the data connection broke: {0}")]
    Broken(String),
    /// TLS on the data connection: it did not come to stand, is not the client's, or did not end as it must.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What came is no whole stream of [`Mode::Deflate`](super::Mode::Deflate): the text says why.
    #[error("the data is not as MODE Z has it: {0}")]
    Garbled(&'static str),
    /// The file could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It was stopped by [`Output::Cancel`](super::Output::Cancel).
    #[error("cancelled")]
    Cancelled,
    /// An upload that carried nothing for some seconds gave way to a newer one of the same file by the same account.
    #[error("a newer upload of the same file has taken its place")]
    Displaced,
}

impl TransferError {
    /// For the log, as [`StorageError::detail`].
    pub fn detail(&self) -> String {
        match self {
            TransferError::Storage(error) => error.detail(),
            error => error.to_string(),
        }
    }
}

/// What went wrong with TLS. The peer erred, or somebody between.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The handshake failed: why, for people.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// The handshake did not end in time.
    #[error("no TLS handshake within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The session of a data connection is not that of its control connection: it may be anybody's.
    #[error("the data connection's TLS session is not the control connection's")]
    NotResumed,
    /// A data connection came with another client certificate than its control connection.
    #[error("the data connection's client certificate is not the control connection's")]
    OtherClient,
    /// The connection ended without close_notify: whether all has come cannot be known. Whatever came was written.
    #[error("the connection ended without close_notify")]
    Truncated,
    /// Anything else: a record that cannot be read, an alert.
    #[error("TLS: {0}")]
    Broken(String),
}

impl TlsError {
    /// What it is, as events tell it.
    pub fn failure(&self) -> TlsFailure {
        match self {
            TlsError::Handshake(_) | TlsError::TimedOut(_) | TlsError::OtherClient => TlsFailure::Handshake,
            TlsError::NotResumed => TlsFailure::NotResumed,
            TlsError::Truncated => TlsFailure::Truncated,
            TlsError::Broken(_) => TlsFailure::Broken,
        }
    }
}

/// Why there is no data connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The client's port refused it.
    #[error("{0} refused the connection")]
    Refused(SocketAddr),
    /// The client's port cannot be reached.
    #[error("no connection to {0}: {1}")]
    Unreachable(SocketAddr, String),
    /// No passive port is free.
    #[error("no passive port is free")]
    NoPort,
    /// The passive port was given up: nobody had used it for so long after it was offered.
    #[error("the passive port was given up after {} s", .0.as_secs_f64())]
    Unused(Duration),
    /// PASV where the client has come by IPv6, or the other way round.
    #[error("this needs a control connection over IPv4")]
    Family,
}

/// Why a login was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Unknown name, wrong password, or not from here: one answer for all.
    #[error("login incorrect")]
    Refused,
    /// The account is not let in in clear. Told only to who knows the password.
    #[error("this account needs TLS")]
    NeedsTls,
    /// Not now: too many sessions of this account.
    #[error("too many sessions for this account")]
    TooMany,
    /// The answer could not be found out.
    #[error("the accounts cannot be asked")]
    Unavailable,
    /// One authenticator has refused the password, and another one, which may know better, failed. Answered as
    /// [`LoginError::Unavailable`], and counted as a failed login: else whoever guesses passwords waits for an outage.
    #[error("refused, and other accounts cannot be asked")]
    Undecided,
}

/// Why a storage did not do what was asked. One table in this crate turns it into a reply: 550 for what is not there, is
/// in the way or is not allowed; 553 and 554 for names and offsets; 450, 451, 452 and 552 for what time, the operator or room
/// may mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Nothing has this name.
    #[error("No such file or directory")]
    NotFound,
    /// The account may not do it; also what leads out of the root.
    #[error("Permission denied")]
    Denied,
    /// The system does not let the server do it: its own words, for the log. The client is told what it is told of `Denied`.
    #[error("Permission denied")]
    Forbidden(String),
    /// Nothing can be written where the file is.
    #[error("Read-only file system")]
    ReadOnly,
    /// The name is taken.
    #[error("File exists")]
    Exists,
    /// A part of the path is no directory, or a directory was needed.
    #[error("Not a directory")]
    NotADirectory,
    /// A directory was named where a file is needed.
    #[error("Is a directory")]
    IsADirectory,
    /// A device, FIFO or socket: only regular files are transferred.
    #[error("Not a plain file")]
    NotARegularFile,
    /// The directory has something in it.
    #[error("Directory not empty")]
    NotEmpty,
    /// The name cannot be a name here.
    #[error("File name not allowed")]
    BadName,
    /// One file was named twice, or by two names, where that would destroy it.
    #[error("A file cannot be put to itself, nor be a part twice")]
    SameFile,
    /// REST beyond the end of the file.
    #[error("Restart offset is beyond the end of the file")]
    BadOffset,
    /// More or fewer bytes came than RANG had named.
    #[error("Not as many bytes came as RANG has named")]
    WrongLength,
    /// The client goes on with an upload from where that did not end, or adds to another file than it had begun to send:
    /// bytes of two files would become one.
    #[error("An upload of this file broke off and cannot go on from there: send it whole")]
    NoResume,
    /// The file system is full.
    #[error("No space left on device")]
    NoSpace,
    /// The account's quota is used up.
    #[error("Quota exceeded")]
    OverQuota,
    /// Another session writes it.
    #[error("File is busy")]
    Busy,
    /// It would take too long to find out.
    #[error("Too costly to find out, use TYPE I")]
    TooCostly,
    /// The file is larger than what may be asked of it.
    #[error("Too large for this")]
    TooLarge,
    /// More names than a listing may have.
    #[error("Too many files")]
    TooMany,
    /// This storage cannot do that.
    #[error("Not supported here")]
    Unsupported,
    /// The operation was stopped by [`Output::Cancel`](super::Output::Cancel).
    #[error("Cancelled")]
    Cancelled,
    /// Anything else, for the log; the client is told no detail.
    #[error("Local error")]
    Io(String),
}

impl StorageError {
    /// For the log: with the system's own words, where there are some, and whose refusal it is.
    pub fn detail(&self) -> String {
        match self {
            StorageError::Denied => "not allowed to this account".into(),
            StorageError::Forbidden(system) => format!("the system does not allow it to the server: {system}"),
            StorageError::Io(system) => system.clone(),
            error => error.to_string(),
        }
    }

    /// Whether it is for the operator to mend: a disk that is full, broken, or not to be written to.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, StorageError::NoSpace | StorageError::ReadOnly | StorageError::Io(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_more_than_the_client() {
        let io = StorageError::Io("Input/output error (os error 5)".to_owned());
        assert_eq!(
            (io.to_string(), io.detail()),
            ("Local error".to_owned(), "Input/output error (os error 5)".to_owned())
        );
        let forbidden = StorageError::Forbidden("EACCES".to_owned());
        assert!(!forbidden.to_string().contains("EACCES") && forbidden.detail().ends_with("EACCES"));
        assert_eq!(StorageError::Denied.detail(), "not allowed to this account");
        assert_eq!(StorageError::OverQuota.detail(), "Quota exceeded");
        assert_eq!(TransferError::from(io.clone()).detail(), io.detail());
        assert_eq!(TransferError::Cancelled.detail(), "cancelled");
    }

    #[test]
    fn what_an_operator_has_to_mend() {
        for error in [StorageError::NoSpace, StorageError::ReadOnly, StorageError::Io(String::new())] {
            assert!(error.is_of_the_disk());
        }
        for error in [StorageError::Denied, StorageError::OverQuota, StorageError::Forbidden(String::new())] {
            assert!(!error.is_of_the_disk());
        }
    }
}
