//! Which bytes of a file are there, where it is fetched in segments; and the note of it beside the file's part.

use std::ops::Range;

/// What is put behind the name of a file that is fetched in segments, for the note of which are there.
pub(crate) const STATE: &str = ".port21-segments";

/// The longest note that is read: one that is longer is none of ours.
const MAX_STATE: usize = 1024 * 1024;

const FIRST_LINE: &str = "port21 segments 1";

/// Bytes that are there: ranges in order, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

/// The note beside a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How many bytes the server's file had.
    pub(crate) size: u64,
    /// When it was last changed, in seconds since the epoch, where the server told.
    pub(crate) modified: Option<i64>,
    pub(crate) done: Ranges,
}

impl Ranges {
    /// Adds bytes that are there now.
    pub(crate) fn add(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let (mut start, mut end) = (new.start, new.end);
        self.0.retain(|old| {
            let touches = old.start <= end && start <= old.end;
            if touches {
                (start, end) = (start.min(old.start), end.max(old.end));
            }
            !touches
        });
        let at = self.0.partition_point(|old| old.start < start);
        self.0.insert(at, start..end);
    }

    /// How many bytes are there from the first on without a gap.
    pub(crate) fn prefix(&self) -> u64 {
        self.0.first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }

    /// Behind the last byte that is there.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// How many bytes are there.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// What is missing of a file of this size.
    pub(crate) fn gaps(&self, size: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for range in &self.0 {
            if range.start > at {
                gaps.push(at..range.start.min(size));
            }
            at = at.max(range.end);
        }
        if at < size {
            gaps.push(at..size);
        }
        gaps
    }
}

impl State {
    /// Reads a note; nothing where it is none, or says what cannot be.
    pub(crate) fn parse(text: &[u8]) -> Option<State> {
        let text = std::str::from_utf8(text.get(..MAX_STATE).unwrap_or(text)).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
        let modified = match lines.next()?.strip_prefix("modified ")? {
            "-" => None,
            seconds => Some(seconds.parse().ok()?),
        };
        let mut done = Ranges::default();
        for line in lines {
            let (start, end) = line.strip_prefix("done ")?.split_once('-')?;
            let range = start.parse::<u64>().ok()?..end.parse::<u64>().ok()?;
            if range.is_empty() || range.end > size {
                return None;
            }
            done.add(range);
        }
        Some(State { size, modified, done })
    }

    /// The note as it is written.
    pub(crate) fn text(&self) -> String {
        let modified = self.modified.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string());
        let mut text = format!("{FIRST_LINE}\nsize {}\nmodified {modified}\n", self.size);
        for range in &self.done.0 {
            text += &format!("done {}-{}\n", range.start, range.end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut done = Ranges::default();
        for range in [10..20, 30..40, 0..5, 20..30, 5..5] {
            done.add(range);
        }
        assert_eq!(done.0, [0..5, 10..40]);
        assert_eq!((done.prefix(), done.total(), done.end()), (5, 35, 40));
        assert_eq!(done.gaps(50), [5..10, 40..50]);
        done.add(3..12);
        assert_eq!((done.prefix(), done.gaps(40)), (40, vec![]));
        assert_eq!(Ranges::default().gaps(7).first(), Some(&(0..7)));
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let mut done = Ranges::default();
        done.add(0..5);
        done.add(7..9);
        for modified in [None, Some(-5), Some(1_115_068_020)] {
            let state = State { size: 10, modified, done: done.clone() };
            assert_eq!(State::parse(state.text().as_bytes()), Some(state));
        }
        for bad in ["", "x", "port21 segments 1\nsize 5\nmodified -\ndone 0-6\n", "port21 segments 1\nsize -1\n"] {
            assert_eq!(State::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
