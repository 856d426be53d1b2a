//! The arguments of commands that are more than a path or a number.

use jiff::Timestamp;

use super::site::SiteVerb;
use crate::listing::ListOptions;
use crate::parameters::Algorithm;
use crate::path::{PathArg, PathError};
use crate::verb::Verb;

/// A word or more in a command: bytes without CR, LF and NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Box<[u8]>);

impl Text {
    /// Checks the bytes.
    ///
    /// # Errors
    /// [`PathError::Forbidden`] for CR, LF or NUL; [`PathError::TooLong`] beyond [`crate::path::MAX_PATH`] bytes;
    /// [`PathError::Empty`] where there is nothing.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Text, PathError> {
        PathArg::new(bytes).map(|arg| Text(Box::from(arg.as_bytes())))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::text::Shown(&self.0).fmt(f)
    }
}

/// The argument of EPSV (RFC 2428 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsv {
    /// None: the protocol of the control connection.
    Same,
    /// `1`: IPv4.
    V4,
    /// `2`: IPv6.
    V6,
    /// `ALL`: no PORT, PASV or EPRT will come any more.
    All,
}

/// The argument of LIST, NLST and STAT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The options of `ls`.
    pub options: ListOptions,
    /// What to list; the working directory where it is nothing.
    pub path: Option<PathArg>,
}

impl Listing {
    /// A listing of `path`, without options.
    pub fn of(path: Option<PathArg>) -> Listing {
        Listing { options: ListOptions::default(), path }
    }
}

/// An MDTM that sets a time, unless there is a file of the whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// The time.
    pub at: Timestamp,
    /// The file whose time it is to be.
    pub path: PathArg,
    /// The whole argument.
    pub whole: PathArg,
}

/// A command that asks for a digest, with its own algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The verb, which [`Digest::algorithm`] is of.
    pub verb: Verb,
    /// Which file.
    pub path: PathArg,
    /// The first byte that counts.
    pub from: u64,
    /// The first that does not count any more; nothing: all to the end.
    pub to: Option<u64>,
}

impl Digest {
    /// The algorithm that the verb names.
    pub fn algorithm(&self) -> Algorithm {
        match self.verb {
            Verb::Xcrc => Algorithm::Crc32,
            Verb::Xmd5 | Verb::Md5 => Algorithm::Md5,
            Verb::Xsha256 => Algorithm::Sha256,
            Verb::Xsha512 => Algorithm::Sha512,
            _ => Algorithm::Sha1,
        }
    }
}

/// The commands behind SITE, with their arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Site {
    /// `SITE CHMOD MODE PATH`: the mode is 0 to 0o777.
    Chmod(u32, PathArg),
    /// `SITE UTIME YYYYMMDDhhmm[ss] PATH`, or `SITE UTIME PATH` with the times of access, change and making, and `UTC`:
    /// only that of change is set.
    Utime(Timestamp, PathArg),
    /// `SITE SYMLINK TARGET LINK`.
    Symlink {
        /// What the link leads to.
        target: PathArg,
        /// Its name.
        link: PathArg,
    },
    /// `SITE WHO`.
    Who,
    /// `SITE HELP`.
    Help,
}

impl Site {
    /// Which command it is.
    pub fn verb(&self) -> SiteVerb {
        match self {
            Site::Chmod(..) => SiteVerb::Chmod,
            Site::Utime(..) => SiteVerb::Utime,
            Site::Symlink { .. } => SiteVerb::Symlink,
            Site::Who => SiteVerb::Who,
            Site::Help => SiteVerb::Help,
        }
    }
}

/// The options of OPTS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opts {
    /// `OPTS UTF8 ON|OFF`.
    Utf8(bool),
    /// `OPTS MLST fact;fact;`: the facts as they were written.
    Mlst(Vec<u8>),
    /// `OPTS HASH [NAME]`: asks for the algorithm of HASH, or sets it.
    Hash(Option<Algorithm>),
    /// `OPTS MODE Z [ENGINE ZLIB] [LEVEL 1..9]`.
    ModeZ(Option<u8>),
}

/// The mechanisms of AUTH, which are all TLS and differ in what holds for data connections until PROT says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `TLS`, and `TLS-C`, its older name: data stays clear until PROT (RFC 4217 section 17).
    Tls,
    /// `SSL`, and `TLS-P`, its older name: data is private at once, as clients that send it take for granted.
    Ssl,
}
