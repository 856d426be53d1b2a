//! LIST as Windows CE sends it: that of `dir`, with wider columns and a clock of 12 hours, or with narrower ones and one of 24.
//!
//! The shapes are known from Indy and from Apache Commons Net's test data. What differs is where names begin, which matters for
//! those that begin with a blank: wherever a line is one of `dir` as well, that is what it is.

use super::dos::Parts;
use super::line::{Context, Line};

/// Where `<DIR>` begins, and how many columns behind that a name does: in the wide form and in the narrow one.
const WIDE: (usize, usize) = (27, 23);
const NARROW: (usize, usize) = (22, 15);

/// Where the size of a file ends in the narrow form.
const NARROW_SIZE: usize = 36;

/// At least here it ends in the wide one; `dir` has it end at 38.
const WIDE_SIZE: usize = 45;

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    let mut trial = *context;
    let Some(parts) = Parts::of(line, &mut trial) else { return Line::Foreign };
    let (start, end) = parts.span;
    let width = match (parts.kind(), parts.has_halves) {
        (Some(_), true) if start == WIDE.0 => WIDE.1,
        (Some(_), false) if start == NARROW.0 => NARROW.1,
        (None, true) if end >= WIDE_SIZE => WIDE.1,
        (None, false) if end == NARROW_SIZE => NARROW.1,
        _ => return Line::Foreign,
    };
    *context = trial;
    Line::of(parts.entry(width))
}
