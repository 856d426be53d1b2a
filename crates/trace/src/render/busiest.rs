//! The columns that most is said between: where there is room to spare, it is given to them.

use std::cmp::Reverse;

use crate::ladder::{Columns, Ladder, Row, Shape};

/// So many pairs of columns are counted; a drawing has fewer columns than it takes to have more.
const MOST: usize = 64;

/// The two columns, the left one first, that most rows are between, and the most that one of those rows `wants`.
pub(super) fn busiest<W: Ord>(
    ladder: &Ladder,
    columns: &Columns,
    wants: impl Fn(&Row) -> W,
) -> Option<(usize, usize, W)> {
    let mut spans: Vec<((usize, usize), usize, W)> = Vec::new();
    for row in &ladder.rows {
        let Shape::Arrow { from, to } = row.shape else { continue };
        let (a, b) = (columns.of(from), columns.of(to));
        let key = (a.min(b), a.max(b));
        let wants = wants(row);
        let has_room = spans.len() < MOST;
        match spans.iter_mut().find(|(k, ..)| *k == key) {
            Some((_, count, most)) => {
                *count += 1;
                if wants > *most {
                    *most = wants;
                }
            }
            None if has_room => spans.push((key, 1, wants)),
            None => {}
        }
    }
    let ((a, b), _, wants) = spans.into_iter().max_by_key(|&(pair, count, _)| (count, Reverse(pair)))?;
    Some((a, b, wants))
}
