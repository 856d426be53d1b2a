//! The options of `ls` that LIST and NLST take: which names they show, and in which order.

use std::cmp::Ordering;

use super::Entry;

/// The options of `ls` that LIST and NLST understand; all others are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListOptions {
    /// `-a`: names that begin with a dot, and `.` and `..`.
    pub all: bool,
    /// `-A`: names that begin with a dot.
    pub almost_all: bool,
    /// `-l`: the long form, for NLST.
    pub long: bool,
    /// `-R`: directories within.
    pub recursive: bool,
    /// `-t`: newest first.
    pub by_time: bool,
    /// `-S`: largest first.
    pub by_size: bool,
    /// `-r`: the other way round.
    pub reverse: bool,
    /// `-1`: names alone, for LIST.
    pub one: bool,
    /// `-d`: a directory itself, not what is in it.
    pub directory: bool,
    /// `-F`: a mark behind names: `/` for directories, `@` for links, `*` for programs.
    pub classify: bool,
}

impl ListOptions {
    /// Turns on what the letters of an option word ask for; unknown ones are passed over.
    pub(crate) fn read(&mut self, letters: &[u8]) {
        for &letter in letters {
            for (name, flag) in self.flags() {
                *flag |= name == letter;
            }
        }
    }

    /// The letters of all options that are on.
    pub(crate) fn letters(mut self) -> Vec<u8> {
        self.flags().into_iter().filter(|(_, flag)| **flag).map(|(name, _)| name).collect()
    }

    /// The one table of letters.
    fn flags(&mut self) -> [(u8, &mut bool); 10] {
        [
            (b'a', &mut self.all),
            (b'A', &mut self.almost_all),
            (b'l', &mut self.long),
            (b'R', &mut self.recursive),
            (b't', &mut self.by_time),
            (b'S', &mut self.by_size),
            (b'r', &mut self.reverse),
            (b'1', &mut self.one),
            (b'd', &mut self.directory),
            (b'F', &mut self.classify),
        ]
    }

    /// Whether a name that stands in the listed directory is shown: one that begins with a dot is with `-a` or `-A`,
    /// and `.` and `..` are with `-a` alone.
    pub fn shows(&self, name: &[u8]) -> bool {
        match name {
            b"." | b".." => self.all,
            [b'.', ..] => self.all || self.almost_all,
            _ => true,
        }
    }

    /// The order of two entries: by name, byte by byte as in the C locale; with `-S` larger ones first, with `-t`
    /// newer ones first (and before `-S`), equal ones by name. `-r` turns all of it round. What has no size or time
    /// counts as the smallest or oldest.
    pub fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        let time = |e: &Entry| e.modified.map(|m| m.at);
        let mut order = Ordering::Equal;
        if self.by_time {
            order = time(b).cmp(&time(a));
        } else if self.by_size {
            order = b.size.cmp(&a.size);
        }
        order = order.then_with(|| a.name.cmp(&b.name));
        if self.reverse { order.reverse() } else { order }
    }

    /// Puts entries into the order of [`ListOptions::compare`].
    pub fn sort(&self, entries: &mut [Entry]) {
        entries.sort_unstable_by(|a, b| self.compare(a, b));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::listing::{EntryKind, Modified, Precision};

    fn entry(name: &str, size: Option<u64>, secs: Option<i64>) -> Entry {
        let modified =
            secs.map(|s| Modified { at: Timestamp::from_second(s).unwrap(), precision: Precision::Second, utc: true });
        Entry { size, modified, ..Entry::new(EntryKind::File, name) }
    }

    fn sorted(options: ListOptions) -> String {
        let mut entries = [
            entry("b", Some(5), Some(100)),
            entry("B", Some(9), Some(300)),
            entry("c", None, None),
            entry("a", Some(5), Some(200)),
        ];
        options.sort(&mut entries);
        entries.iter().map(|e| e.name[0] as char).collect()
    }

    #[test]
    fn orders_are_those_of_ls() {
        let o = ListOptions::default();
        assert_eq!(sorted(o), "Babc");
        assert_eq!(sorted(ListOptions { reverse: true, ..o }), "cbaB");
        assert_eq!(sorted(ListOptions { by_time: true, ..o }), "Babc");
        assert_eq!(sorted(ListOptions { by_time: true, reverse: true, ..o }), "cbaB");
        assert_eq!(sorted(ListOptions { by_size: true, ..o }), "Babc");
        assert_eq!(sorted(ListOptions { by_size: true, reverse: true, ..o }), "cbaB");
        assert_eq!(sorted(ListOptions { by_size: true, by_time: true, ..o }), "Babc");
    }

    #[test]
    fn names_with_a_dot_are_hidden_until_asked_for() {
        let shown = |o: ListOptions| [".", "..", ".rc", "a"].map(|n| o.shows(n.as_bytes()));
        let o = ListOptions::default();
        assert_eq!(shown(o), [false, false, false, true]);
        assert_eq!(shown(ListOptions { almost_all: true, ..o }), [false, false, true, true]);
        assert_eq!(shown(ListOptions { all: true, ..o }), [true; 4]);
    }
}
