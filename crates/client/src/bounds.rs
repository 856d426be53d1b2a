//! How deep and how large the trees of a server may be: one may have no end.

use port21_proto::client::Phase;

use crate::builder::Builder;
use crate::error::Error;

/// The most directories that one lies in within its tree. A link that leads back to a directory above looks like a tree without
/// end; no tree that people make is half as deep.
pub const MAX_DEPTH: usize = 256;

/// The most directories of one tree, which may have no end in its breadth as well.
pub const MAX_DIRECTORIES: u64 = 4_000_000;

/// What of a tree is still to come.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Directories that are to be listed.
    waiting: usize,
    most_waiting: usize,
    all: u64,
}

impl Bounds {
    pub(crate) fn new(settings: &Builder) -> Bounds {
        Bounds { waiting: 0, most_waiting: settings.max_entries.saturating_mul(2), all: 0 }
    }

    /// Whether a directory of this path, from the tree's root on, may be listed as well.
    pub(crate) fn check(&self, relative: &[u8]) -> Result<(), Error> {
        let why = if relative.split(|&b| b == b'/').count() > MAX_DEPTH {
            format!("more than {MAX_DEPTH} directories deep: it may lead back to one above")
        } else if self.all >= MAX_DIRECTORIES {
            format!("a tree of more than {MAX_DIRECTORIES} directories: it may have no end")
        } else if self.waiting >= self.most_waiting {
            format!("more than {} directories wait to be listed: see the limit max_entries", self.most_waiting)
        } else {
            return Ok(());
        };
        Err(Error::TooMuch { phase: Phase::Command, why })
    }

    /// A directory is to be listed.
    pub(crate) fn enter(&mut self) {
        self.waiting += 1;
        self.all += 1;
    }

    /// It was listed, or cannot be.
    pub(crate) fn leave(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn trees_have_an_end() {
        let mut bounds = Bounds::new(&Client::builder().max_entries(2));
        let path = |depth: usize| vec!["d"; depth].join("/").into_bytes();
        bounds.check(&path(MAX_DEPTH)).unwrap();
        let error = bounds.check(&path(MAX_DEPTH + 1)).unwrap_err();
        assert!(matches!(&error, Error::TooMuch { why, .. } if why.contains("deep")), "{error}");
        for _ in 0..4 {
            bounds.check(b"d").unwrap();
            bounds.enter();
        }
        assert!(bounds.check(b"d").is_err());
        bounds.leave();
        bounds.check(b"d").unwrap();
        bounds.all = MAX_DIRECTORIES;
        assert!(bounds.check(b"d").is_err());
    }
}
