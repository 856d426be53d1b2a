//! What the readers of all dialects share: a line's columns, and the ways not to be an entry.

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
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// What a line is that is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEntry {
    /// It belongs to the dialect and names nothing: `total 12`.
    Heading,
    /// It is not of this dialect.
    Foreign,
}
