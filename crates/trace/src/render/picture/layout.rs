//! Where the columns of the picture stand.

use crate::ladder::{Column, Columns, Ladder, Role, Row};

use super::measure::{LABEL, SMALL};
use crate::render::busiest::busiest;

/// The blank edge.
pub(in crate::render) const MARGIN: i64 = 24;
/// The times end here.
pub(super) const TIMES: i64 = 86;
/// The lanes' part begins here.
pub(in crate::render) const LANES: i64 = 104;
/// The distance of two lanes, and of two hosts' lanes.
const GAP: i64 = 74;
const HOST_GAP: i64 = 82;
/// The distance that the lanes most is said between may be given.
const WIDEST: i64 = 300;
/// So much is added at most between two lanes where there is room to spare.
const MOST_SPARE: i64 = 120;
/// The width of the remarks.
const REMARKS: i64 = 268;

pub(in crate::render) struct Layout {
    pub(in crate::render) width: i64,
    pub(super) columns: Columns,
    pub(super) x: Vec<i64>,
    /// The lanes' part ends here.
    pub(super) lanes_end: i64,
    /// Where the remarks begin, and how wide they are.
    pub(super) remarks: (i64, i64),
}

impl Layout {
    /// For at most about so many lanes, and at least so wide.
    pub(in crate::render) fn new(ladder: &Ladder, max_lanes: usize, least: i64) -> Layout {
        let columns = ladder.columns(max_lanes.max(1));
        let pairs = columns.columns.iter().zip(columns.columns.iter().skip(1));
        let mut gaps: Vec<i64> = pairs
            .map(|(a, b)| {
                let heads = (LABEL.width(&a.label) + LABEL.width(&b.label)) / 2 + 28;
                let hosts = beyond(&columns, a.role) + beyond(&columns, b.role) + 14;
                heads.max(if a.role == b.role { GAP } else { HOST_GAP.max(hosts) })
            })
            .collect();
        if let Some((first, last, longest)) = busiest(ladder, &columns, wants) {
            let inner = gaps.get_mut(first..last).unwrap_or_default();
            let more = (longest.min(WIDEST) - inner.iter().sum::<i64>()).max(0);
            let parts = i64::try_from(inner.len()).unwrap_or(1).max(1);
            inner.iter_mut().for_each(|gap| *gap += more / parts);
        }
        let ends =
            |at: Option<&Column>| at.map_or(0, |c| (LABEL.width(&c.label) / 2 + 16).max(beyond(&columns, c.role) + 8));
        // Where lanes have room to spare, half of it goes between them, the rest to the remarks.
        let outer = ends(columns.columns.first()) + ends(columns.columns.last());
        let spare = least - (LANES + outer + gaps.iter().sum::<i64>() + 20 + REMARKS + MARGIN);
        let each = (spare / 2 / i64::try_from(gaps.len()).unwrap_or(1).max(1)).clamp(0, MOST_SPARE);
        gaps.iter_mut().for_each(|gap| *gap += each);
        let mut at = LANES + ends(columns.columns.first());
        let mut x = Vec::with_capacity(columns.columns.len());
        for gap in gaps.into_iter().chain([0]) {
            x.push(at);
            at += gap;
        }
        x.truncate(columns.columns.len());
        let lanes_end = x.last().map_or(LANES, |&last| last + ends(columns.columns.last()));
        let width = (lanes_end + 20 + REMARKS + MARGIN).max(least);
        let remarks = (lanes_end + 20, width - MARGIN - lanes_end - 20);
        Layout { width, columns, x, lanes_end, remarks }
    }

    /// The middle of a column.
    pub(super) fn at(&self, column: usize) -> i64 {
        self.x.get(column).copied().unwrap_or(LANES)
    }

    /// Where the boxes of some hosts begin and end.
    pub(super) fn hosts(&self, roles: &[Role]) -> Option<(i64, i64)> {
        let mut of = self.columns.columns.iter().zip(&self.x).filter(|(c, _)| roles.contains(&c.role));
        let (first, left) = of.next()?;
        let (last, right) = of.next_back().unwrap_or((first, left));
        Some((left - beyond(&self.columns, first.role), right + beyond(&self.columns, last.role)))
    }
}

/// How far a host's box reaches beyond its outer lanes: its name has its room over one lane, too.
pub(super) fn beyond(columns: &Columns, role: Role) -> i64 {
    match columns.columns.iter().filter(|column| column.role == role).count() {
        1 => (LABEL.width(role.title()) / 2 + 6).max(34),
        _ => 34,
    }
}

/// The distance that a row's text wants: that a label has its room on the arrow, and most texts under it one line.
fn wants(row: &Row) -> i64 {
    let under = row.detail.split('\n').map(|line| SMALL.width(line)).max().unwrap_or(0);
    (LABEL.width(&row.label) + 60).max(under + 24)
}
