//! Which sizes of interrupted uploads a session was told: it may go on with those, and with no others.
//!
//! A client that was told nothing does not know that there is a part: its APPE means a new file, and its STOR too. A
//! client that was told has its local file placed behind that many bytes: were the part another one by then, a file would
//! come out that nobody has sent. So the storage compares what was told with what is there.

use std::collections::VecDeque;

use crate::path::FtpPath;

/// The most that are remembered: a client asks for a size and then goes on with that file.
const MOST: usize = 64;

/// What a session was told and has made no use of yet.
#[derive(Debug, Default)]
pub(super) struct PartsTold {
    /// On the heap: few sessions ever need it, and thousands may wait.
    told: Option<Box<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    /// The last one at the end.
    sizes: VecDeque<(FtpPath, u64)>,
}

impl PartsTold {
    /// The client is told that so many bytes of an upload to this path are there.
    pub(super) fn tell(&mut self, path: FtpPath, size: u64) {
        self.forget(&path);
        let Told { sizes } = &mut **self.told.get_or_insert_default();
        if sizes.len() >= MOST {
            sizes.pop_front();
        }
        sizes.push_back((path, size));
    }

    /// What was told of this path, which is used up by that.
    pub(super) fn take(&mut self, path: &FtpPath) -> Option<u64> {
        let Told { sizes } = self.told.as_deref_mut()?;
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
    use super::*;

    fn path(text: &str) -> FtpPath {
        FtpPath::new(text).unwrap()
    }

    #[test]
    fn what_was_told_last_is_used_once() {
        let mut told = PartsTold::default();
        told.tell(path("/a"), 1);
        told.tell(path("/b"), 2);
        told.tell(path("/a"), 3);
        assert_eq!(told.take(&path("/a")), Some(3));
        assert_eq!(told.take(&path("/a")), None);
        told.forget(&path("/b"));
        assert_eq!(told.take(&path("/b")), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut told = PartsTold::default();
        for n in 0..1000 {
            told.tell(path(&n.to_string()), n);
        }
        assert_eq!(told.told.as_ref().map(|told| told.sizes.len()), Some(MOST));
        assert_eq!(told.take(&path("999")), Some(999));
    }
}
