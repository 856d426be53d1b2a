//! A line's columns.

/// The first columns of a line, parted by blanks.
pub(super) struct Columns<'a> {
    /// The columns.
    pub(super) texts: Vec<&'a [u8]>,
    /// What stands behind each of them, with the blanks before it.
    rests: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// At most `most` columns of a line.
    pub(super) fn of(line: &'a [u8], most: usize) -> Columns<'a> {
        let mut columns = Columns { texts: Vec::with_capacity(most), rests: Vec::with_capacity(most) };
        let mut rest = line;
        while columns.texts.len() < most {
            let start = rest.iter().position(|&b| !is_blank(b)).unwrap_or(rest.len());
            rest = rest.get(start..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let end = rest.iter().position(|&b| is_blank(b)).unwrap_or(rest.len());
            let (text, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            columns.texts.push(text);
            columns.rests.push(tail);
            rest = tail;
        }
        columns
    }

    /// The columns from one on.
    pub(super) fn from(&self, at: usize) -> &[&'a [u8]] {
        self.texts.get(at..).unwrap_or_default()
    }

    /// What stands behind a column and the `blanks` that follow it (or all blanks, where there are fewer): a name may
    /// begin with more of them.
    pub(super) fn behind(&self, at: usize, blanks: usize) -> &'a [u8] {
        let rest = self.rests.get(at).copied().unwrap_or_default();
        let found = rest.iter().take_while(|&&b| is_blank(b)).count();
        rest.get(found.min(blanks)..).unwrap_or_default()
    }

    /// How many blanks stand behind a column.
    pub(super) fn blanks_behind(&self, at: usize) -> usize {
        self.rests.get(at).copied().unwrap_or_default().iter().take_while(|&&b| is_blank(b)).count()
    }

    /// How many bytes of `line` stand before a column, and how many up to its end.
    pub(super) fn span(&self, at: usize, line: &[u8]) -> Option<(usize, usize)> {
        let end = line.len().checked_sub(self.rests.get(at)?.len())?;
        Some((end.checked_sub(self.texts.get(at)?.len())?, end))
    }
}

/// Columns as one text, with a blank between each two; nothing where there are none.
pub(super) fn joined(columns: &[&[u8]]) -> Option<Vec<u8>> {
    (!columns.is_empty()).then(|| columns.join(&b' '))
}

/// Whether the text is digits alone, and not empty.
pub(super) fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// A number of digits alone.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if is_number(text) { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// Digits alone, read to another base (at most 16).
pub(super) fn radix(text: &[u8], base: u32) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(|&b| char::from(b).is_digit(base));
    digits.then(|| u64::from_str_radix(std::str::from_utf8(text).ok()?, base).ok()).flatten()
}

/// The text before and behind the first byte of this value.
pub(super) fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (head, tail) = text.split_at_checked(text.iter().position(|&b| b == at)?)?;
    Some((head, tail.get(1..)?))
}

/// Whether `part` is somewhere in `text`, in whatever case.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Whether `text` begins with `part`, in whatever case.
pub(super) fn begins(text: &[u8], part: &[u8]) -> bool {
    text.get(..part.len()).is_some_and(|head| head.eq_ignore_ascii_case(part))
}

pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}
