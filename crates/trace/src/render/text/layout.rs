//! Where everything stands in the width that there is.

use crate::ladder::{Columns, Ladder, LaneUse, Role, Row};

use crate::render::busiest::busiest;
use crate::render::wrap::cells;

/// The least distance of two lanes.
const GAP: usize = 5;
/// More lanes than this are hard to follow: ports are folded even if they had room.
const MOST_COLUMNS: usize = 12;
/// A remark column of less than this is none.
const LEAST_REMARKS: usize = 28;
/// Beyond this a line of remarks is hard to read.
const MOST_REMARKS: usize = 64;
/// From this width on, the time that a reply took has a column of its own.
const WITH_TOOK: usize = 130;
/// More lanes than this are folded even where all of them are wanted.
const MOST_UNFOLDED: usize = 200;
/// Of a drawing that grows: the room of a time, and what is said between the control connection's ends at the most.
const TIME: usize = 9;
const SAID: usize = 46;

/// The places of everything.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The whole width.
    pub(super) width: usize,
    /// The times end here.
    pub(super) time_end: usize,
    /// The times that replies took end here, where they are shown.
    pub(super) took_end: Option<usize>,
    /// The lanes as columns.
    pub(super) columns: Columns,
    /// The cell of each column.
    pub(super) x: Vec<usize>,
    /// Where the remarks begin and how wide they are, where there is room for them.
    pub(super) remarks: Option<(usize, usize)>,
    /// What text across the lanes may use.
    pub(super) lanes: std::ops::Range<usize>,
}

impl Layout {
    pub(super) fn new(ladder: &Ladder, width: usize) -> Layout {
        let time = time(ladder);
        let (.., room) = edges(time, width);
        let mut columns = ladder.columns((room / GAP).min(MOST_COLUMNS));
        let mut gaps = least_gaps(&columns);
        // Ports fold as far as it takes; what then still has no room is drawn closer.
        let mut most = columns.columns.len();
        while needed(&columns, &gaps) > room && most > 1 {
            most -= 1;
            let fewer = ladder.columns(most);
            if fewer.columns.len() < columns.columns.len() {
                columns = fewer;
                gaps = least_gaps(&columns);
            }
        }
        let busiest = busiest(ladder, &columns, wants);
        Layout::of(columns, busiest, time, width)
    }

    /// A layout with a column for each lane: the lanes that most is said between, all others and remarks have room in it,
    /// however wide that makes it.
    pub(super) fn unfolded(ladder: &Ladder, width: usize) -> Layout {
        let columns = ladder.columns(MOST_UNFOLDED);
        let busiest = busiest(ladder, &columns, wants);
        let time = time(ladder);
        let (.., left, _) = edges(time, WITH_TOOK);
        let lanes = needed(&columns, &least_gaps(&columns)) + SAID;
        Layout::of(columns, busiest, time, width.max(left + lanes + LEAST_REMARKS + 3))
    }

    /// Sets columns out; between two of them the most is said.
    fn of(columns: Columns, busiest: Option<(usize, usize, usize)>, time: usize, width: usize) -> Layout {
        let (time_end, took_end, left, room) = edges(time, width);
        let mut gaps = least_gaps(&columns);
        while needed(&columns, &gaps) > room && gaps.iter().any(|&g| g > 2) {
            gaps.iter_mut().max_by_key(|g| **g).into_iter().for_each(|g| *g -= 1);
        }
        let mut spare = room.saturating_sub(needed(&columns, &gaps));
        let mut remarks = 0;
        if spare >= LEAST_REMARKS + 3 + 10 {
            remarks = LEAST_REMARKS;
            spare -= LEAST_REMARKS + 3;
        }
        // The lanes that most is said between come apart, so that it has room on the arrow.
        for (span, beside) in [(38, 44), (60, MOST_REMARKS)] {
            if let Some((first, last, longest)) = busiest {
                let inner = gaps.get_mut(first..last).unwrap_or_default();
                let want = longest.min(span).saturating_sub(inner.iter().sum::<usize>());
                spare -= spread(inner, want.min(spare));
            }
            if remarks > 0 {
                let more = beside.saturating_sub(remarks).min(spare);
                remarks += more;
                spare -= more;
            }
        }
        let wider = gaps.len() * 6;
        spread(&mut gaps, spare.min(wider));
        let mut x = Vec::with_capacity(columns.columns.len());
        let mut at = left + half(columns.columns.first().map_or("", |c| &c.label));
        for gap in gaps.iter().copied().chain([0]) {
            x.push(at);
            at += gap;
        }
        x.truncate(columns.columns.len());
        let end = x.last().map_or(left, |&last| last + 1 + half(columns.columns.last().map_or("", |c| &c.label)));
        let remarks = (remarks > 0).then_some((end + 2, remarks));
        Layout { width, time_end, took_end, columns, x, remarks, lanes: left..end.max(left + 1) }
    }

    /// A layout that stays as it was while rows are added: a column for each host and use, at its old place for as long as
    /// there is no other.
    pub(super) fn steady(ladder: &Ladder, width: usize, before: Option<&Layout>) -> Layout {
        let columns = ladder.steady_columns();
        let heads =
            |columns: &Columns| -> Vec<_> { columns.columns.iter().map(|c| (c.role, c.of, c.label.clone())).collect() };
        match before {
            Some(before) if before.width == width && heads(&before.columns) == heads(&columns) => {
                Layout { columns, ..before.clone() }
            }
            _ => {
                let control = |role| columns.columns.iter().position(|c| (c.role, c.of) == (role, LaneUse::Control));
                let said = control(Role::Server).zip(control(Role::Client)).map(|(a, b)| (a, b, SAID));
                Layout::of(columns, said, TIME, width)
            }
        }
    }

    /// The cell of a column.
    pub(super) fn at(&self, column: usize) -> usize {
        self.x.get(column).copied().unwrap_or(self.lanes.start)
    }

    /// The cells between the outer lanes of a host.
    pub(super) fn host(&self, means: impl Fn(Role) -> bool) -> Option<(usize, usize)> {
        let mut of = self.columns.columns.iter().zip(&self.x).filter(|(c, _)| means(c.role)).map(|(_, &x)| x);
        let first = of.next()?;
        Some((first, of.next_back().unwrap_or(first)))
    }
}

/// The room of a time.
fn time(ladder: &Ladder) -> usize {
    ladder.rows.last().map_or(5, |row| ladder.seconds(row).len()).max(7)
}

/// Where times end, where the times that replies took end, where the lanes begin, and their room.
fn edges(time: usize, width: usize) -> (usize, Option<usize>, usize, usize) {
    let time_end = time + 1;
    let took_end = (width >= WITH_TOOK).then_some(time_end + 9);
    let left = took_end.unwrap_or(time_end) + 2;
    (time_end, took_end, left, width.saturating_sub(left + 1))
}

fn half(label: &str) -> usize {
    cells(label) / 2 + 1
}

/// The least distances: heads of lanes and the names of hosts over them must not touch.
fn least_gaps(columns: &Columns) -> Vec<usize> {
    let columns = &columns.columns;
    let pairs = columns.iter().zip(columns.iter().skip(1));
    let mut gaps: Vec<usize> =
        pairs.map(|(a, b)| ((cells(&a.label) + cells(&b.label)).div_ceil(2) + 1).max(GAP)).collect();
    let roles = [Role::Dns, Role::Server, Role::Client, Role::User];
    let place = |role: Role| {
        let first = columns.iter().position(|c| c.role == role)?;
        Some((first, columns.iter().rposition(|c| c.role == role)?, cells(role.title())))
    };
    let hosts: Vec<(usize, usize, usize)> = roles.into_iter().filter_map(place).collect();
    for (a, b) in hosts.iter().zip(hosts.iter().skip(1)) {
        let sum = |from: usize, to: usize| gaps.get(from..to).unwrap_or_default().iter().sum::<usize>();
        let between = sum(a.1, b.0) + (sum(a.0, a.1) + sum(b.0, b.1)) / 2;
        let short = ((a.2 + b.2).div_ceil(2) + 2).saturating_sub(between);
        gaps.get_mut(a.1).into_iter().for_each(|gap| *gap += short);
    }
    // The group over the user's lane has a name wider than the lane's own.
    if let (Some(last), Some(Role::User)) = (gaps.last_mut(), columns.last().map(|c| c.role)) {
        *last = (*last).max(7);
    }
    gaps
}

fn needed(columns: &Columns, gaps: &[usize]) -> usize {
    let ends =
        columns.columns.first().map_or(0, |c| half(&c.label)) + columns.columns.last().map_or(0, |c| half(&c.label));
    gaps.iter().sum::<usize>() + ends + 1
}

/// The distance that a row's text wants: all of it on the arrow.
fn wants(row: &Row) -> usize {
    cells(&row.label) + if row.detail.is_empty() { 0 } else { 1 + cells(&row.detail) } + 6
}

/// Gives the gaps so much more, in even parts; says how much it was.
fn spread(gaps: &mut [usize], more: usize) -> usize {
    if gaps.is_empty() {
        return 0;
    }
    let (each, rest) = (more / gaps.len(), more % gaps.len());
    for (i, gap) in gaps.iter_mut().enumerate() {
        *gap += each + usize::from(i < rest);
    }
    more
}
