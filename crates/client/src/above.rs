//! Directories that are one of those above them, as a link that leads back up makes them.

use std::sync::Arc;

use port21_proto::listing::Entry;

/// What tells a directory from others is kept up to this length: file systems need 20 to 40 bytes.
const LONGEST: usize = 64;

/// A directory of a tree and those above it, by the fact that MLSD has for it: `unique` is the same for two names of one file,
/// and differs otherwise (RFC 3659 section 7.5.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Above(Option<Arc<Step>>);

#[derive(Debug)]
struct Step {
    path: Vec<u8>,
    unique: Vec<u8>,
    above: Above,
}

/// Whether what a server says is unique differs at all: there are some that say the same of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uniques {
    first: Option<Vec<u8>>,
    differ: bool,
}

impl Above {
    /// The chain of a directory below this one.
    pub(crate) fn below(&self, path: &[u8], entry: &Entry) -> Above {
        match unique(entry) {
            Some(unique) => {
                let step = Step { path: path.to_vec(), unique: unique.to_vec(), above: self.clone() };
                Above(Some(Arc::new(step)))
            }
            None => self.clone(),
        }
    }

    /// The path of the one above that an entry is.
    pub(crate) fn find(&self, entry: &Entry) -> Option<&[u8]> {
        let unique = unique(entry)?;
        let steps = std::iter::successors(self.0.as_deref(), |step| step.above.0.as_deref());
        steps.into_iter().find(|step| step.unique == unique).map(|step| step.path.as_slice())
    }
}

impl Uniques {
    /// Takes notice of an entry.
    pub(crate) fn see(&mut self, entry: &Entry) {
        if let (false, Some(unique)) = (self.differ, unique(entry)) {
            let first = self.first.get_or_insert_with(|| unique.to_vec());
            self.differ = first.as_slice() != unique;
        }
    }

    /// Takes notice of what others have seen.
    pub(crate) fn join(&mut self, others: &Uniques) {
        self.differ |= others.differ || self.first.is_some() && others.first.is_some() && self.first != others.first;
        self.first = self.first.take().or_else(|| others.first.clone());
    }

    /// Whether two were not the same.
    pub(crate) fn differ(&self) -> bool {
        self.differ
    }
}

/// What tells an entry from others, where the server says so.
pub(crate) fn unique(entry: &Entry) -> Option<&[u8]> {
    entry.unique.as_deref().filter(|unique| (1..=LONGEST).contains(&unique.len()))
}

#[cfg(test)]
mod tests {
    use port21_proto::listing::EntryKind;

    use super::*;

    fn directory(unique: &str) -> Entry {
        Entry { unique: Some(unique.as_bytes().to_vec()), ..Entry::new(EntryKind::Directory, "d") }
    }

    #[test]
    fn the_one_above_that_it_is() {
        let root = Above::default();
        let below = root.below(b"a", &directory("1")).below(b"a/b", &directory("2"));
        let deep = below.below(b"a/b/c", &Entry::new(EntryKind::Directory, "c"));
        assert_eq!(deep.find(&directory("1")), Some(&b"a"[..]));
        assert_eq!(deep.find(&directory("2")), Some(&b"a/b"[..]));
        assert_eq!((deep.find(&directory("3")), root.find(&directory("1"))), (None, None));
        assert_eq!(deep.find(&Entry::new(EntryKind::Directory, "x")), None);
    }

    #[test]
    fn what_is_said_of_everything_tells_nothing() {
        let mut uniques = Uniques::default();
        for _ in 0..3 {
            uniques.see(&directory("0"));
            uniques.see(&Entry::new(EntryKind::File, "f"));
        }
        assert!(!uniques.differ());
        uniques.see(&directory("1"));
        assert!(uniques.differ());
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((unique(&directory(&long)), unique(&directory(""))), (None, None));
    }
}
