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

/// How many names are held at once that are to be removed, and how long they are: a server may list as many as it likes.
#[derive(Debug)]
pub(crate) struct Held {
    names: usize,
    bytes: usize,
    most: usize,
    full: bool,
}

impl Held {
    pub(crate) fn new(settings: &Builder) -> Held {
        Held { names: 0, bytes: 0, most: settings.max_entries.saturating_mul(4), full: false }
    }

    /// Whether a name is held as well.
    pub(crate) fn take(&mut self, path: &[u8]) -> bool {
        let (names, bytes) = (self.names.saturating_add(1), self.bytes.saturating_add(path.len()));
        let fits = !self.full && names <= self.most && bytes <= self.most.saturating_mul(256);
        match fits {
            true => (self.names, self.bytes) = (names, bytes),
            false => self.full = true,
        }
        fits
    }

    /// What to say where not all names were held.
    pub(crate) fn left(&self) -> Option<Error> {
        let why = || format!("after {} names: another run removes the rest (see the limit max_entries)", self.names);
        self.full.then(|| Error::TooMuch { phase: Phase::Command, why: why() })
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

    #[test]
    fn names_are_held_so_far() {
        let mut held = Held::new(&Client::builder().max_entries(2));
        assert!((0..8).all(|_| held.take(b"name")) && held.left().is_none());
        assert!(!held.take(b"name") && !held.take(b"name"));
        assert!(held.left().unwrap().to_string().contains("after 8 names"));
        assert!(!Held::new(&Client::builder().max_entries(2)).take(&[b'x'; 8 * 256 + 1]));
    }
}
