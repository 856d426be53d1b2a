//! Which sizes a session was told: an interrupted upload may be gone on with by whoever was told how much of it is there,
//! and by no one else.
//!
//! A client that was told nothing does not know that there is a part: its APPE means a new file, and its STOR too. A
//! client that was told has its local file placed behind that many bytes: were the part another one by then, a file would
//! come out that nobody has sent. So the storage compares what was told with what is there.

use std::collections::VecDeque;

use super::action::Told;
use crate::path::FtpPath;

/// The most that are remembered: a client asks for a size and then goes on with that file.
const MOST: usize = 64;

/// What a session was told and has made no use of yet.
#[derive(Debug, Default)]
pub(super) struct SizesTold {
    /// On the heap: few sessions ever need it, and thousands may wait.
    told: Option<Box<List>>,
}

#[derive(Debug, Default)]
struct List {
    /// The last one at the end.
    sizes: VecDeque<(FtpPath, Told)>,
}

impl SizesTold {
    /// The client is told this of a path.
    pub(super) fn tell(&mut self, path: FtpPath, size: Told) {
        self.forget(&path);
        let List { sizes } = &mut **self.told.get_or_insert_default();
        if sizes.len() >= MOST {
            sizes.pop_front();
        }
        sizes.push_back((path, size));
    }

    /// What was told of this path, which is used up by that.
    pub(super) fn take(&mut self, path: &FtpPath) -> Option<Told> {
        let List { sizes } = self.told.as_deref_mut()?;
        let at = sizes.iter().position(|(told, _)| told == path)?;
        sizes.remove(at).map(|(_, size)| size)
    }

    /// The path is another thing from now on.
    pub(super) fn forget(&mut self, path: &FtpPath) {
        self.take(path);
    }

    /// Another user, who was told nothing.
    pub(super) fn clear(&mut self) {
        self.told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::Part;
    use super::*;

    fn part(size: u64) -> Told {
        Told::Part(Part { size, identity: [0; 2] })
    }

    fn path(text: &str) -> FtpPath {
        FtpPath::new(text).unwrap()
    }

    #[test]
    fn what_was_told_last_is_used_once() {
        let mut told = SizesTold::default();
        told.tell(path("/a"), part(1));
        told.tell(path("/b"), part(2));
        told.tell(path("/a"), Told::File(3));
        assert_eq!(told.take(&path("/a")), Some(Told::File(3)));
        assert_eq!(told.take(&path("/a")), None);
        told.forget(&path("/b"));
        assert_eq!(told.take(&path("/b")), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut told = SizesTold::default();
        for n in 0..1000 {
            told.tell(path(&n.to_string()), Told::File(n));
        }
        assert_eq!(told.told.as_ref().map(|told| told.sizes.len()), Some(MOST));
        assert_eq!(told.take(&path("999")), Some(Told::File(999)));
    }
}
