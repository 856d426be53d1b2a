//! The rows: arrows, words at a lane, sentences across, and what stands beside them.

use super::looks::Look;
use super::marks::Anchor;
use super::measure::{LABEL, REMARK, SMALL, Type};
use super::{BAR, LANES, Picture, TIMES};
use crate::ladder::{Row, Seen, Shape, Tone, Weight};
use crate::words;

/// So many lines are drawn under an arrow.
const UNDER: usize = 4;

impl Picture<'_> {
    /// Draws a row: all of it, its remark as well.
    pub(in crate::render) fn row(&mut self, row: &Row) {
        let y = self.y;
        self.middles.push(y);
        self.sketch.begin(None, self.tip(row));
        if row.shape != Shape::Across {
            self.sketch.text(TIMES, y + 4, Look::Time, Anchor::End, &self.ladder.seconds(row));
        }
        if let Some(took) = row.latency {
            self.sketch.text(TIMES, y + 16, Look::Time, Anchor::End, &format!("+{}", words::duration(took)));
        }
        let (below, right) = match row.shape {
            Shape::Arrow { from, to } => self.arrow(row, self.layout.columns.of(from), self.layout.columns.of(to)),
            Shape::At(lane) => self.at(row, self.layout.at(self.layout.columns.of(lane))),
            Shape::Across => self.across(row),
        };
        let beside = self.remark(row, right);
        self.sketch.end();
        let least = if row.tone == Tone::Tcp { 22 } else { 28 };
        self.y += (below + if below > 0 { 20 } else { 16 }).max(beside + 21).max(least).max(if row.latency.is_some() {
            30
        } else {
            0
        });
    }

    /// Draws an arrow; says how far below its middle its text reaches, and where it ends on the right.
    fn arrow(&mut self, row: &Row, from: usize, to: usize) -> (i64, i64) {
        let y = self.y;
        let (a, b) = (self.layout.at(from), self.layout.at(to));
        let right = b >= a;
        let step = if right { 1 } else { -1 };
        let (tail, point) = (a + step * (BAR + 1), b - step * (BAR + 1));
        let dashed = row.seen == Seen::Inferred && row.tone != Tone::Data;
        self.sketch.line((tail, y), (point - step * 6, y), Look::Arrow(row.tone, dashed));
        self.sketch.head(point, y, right, row.tone);
        let (middle, span) = ((a + b) / 2, (a - b).abs());
        let (on, rest) = parted(row, span - 44);
        let width = LABEL.width(&on);
        if !on.is_empty() {
            // The line is not broken under the words, only covered: a page's colour behind them.
            self.sketch.rect(middle - width / 2 - 5, y - 8, width + 10, 16, 8, Look::Chip);
            self.sketch.text(middle, y + 4, Look::Label(row.tone), Anchor::Middle, &on);
        }
        let most = rest.matches('\n').count() + UNDER;
        let parts = SMALL.wrap_even(&rest, (span - 16).max(150), most.min(12));
        let mut below = 0;
        for (i, part) in (0..).zip(&parts) {
            below = 20 + i * 13;
            self.sketch.text(middle, y + below, Look::Under, Anchor::Middle, part);
        }
        (below, a.max(b))
    }

    /// Draws a cross at a lane, and words beside it.
    fn at(&mut self, row: &Row, x: i64) -> (i64, i64) {
        self.sketch.cross(x, self.y, row.tone);
        let text = if row.detail.is_empty() { row.label.clone() } else { format!("{}: {}", row.label, row.detail) };
        let rightward = self.layout.lanes_end - x > x - LANES;
        let room = if rightward { self.layout.lanes_end - x - 14 } else { x - LANES - 14 };
        let mut below = 0;
        let mut end = x;
        for (i, part) in (0..).zip(LABEL.wrap(&text, room.max(120), 3)) {
            below = i * 14;
            let width = LABEL.width(&part);
            let (start, anchor, at) =
                if rightward { (x + 8, Anchor::Start, x + 12) } else { (x - 16 - width, Anchor::End, x - 12) };
            self.sketch.rect(start, self.y + below - 8, width + 8, 16, 4, Look::Chip);
            self.sketch.text(at, self.y + below + 4, Look::Label(row.tone), anchor, &part);
            end = if rightward { end.max(at + width) } else { end };
        }
        (below, end)
    }

    /// Draws a sentence across the lanes.
    fn across(&mut self, row: &Row) -> (i64, i64) {
        let (from, until) = (LANES, self.layout.lanes_end);
        let middle = (from + until) / 2;
        let parts = SMALL.wrap(&row.label, (until - from - 60).max(160), 4);
        let widest = parts.iter().map(|part| LABEL.width(part)).max().unwrap_or(0);
        self.sketch.line((from, self.y), (until, self.y), Look::Leader);
        let tall = 14 * i64::try_from(parts.len()).unwrap_or(1) + 4;
        self.sketch.rect(middle - widest / 2 - 8, self.y - 9, widest + 16, tall, 8, Look::Chip);
        let mut below = 0;
        for (i, part) in (0..).zip(&parts) {
            below = i * 14;
            self.sketch.text(middle, self.y + below + 4, Look::Label(row.tone), Anchor::Middle, part);
        }
        (below, until)
    }

    /// Draws the remark; says how far below the row's middle it reaches.
    fn remark(&mut self, row: &Row, from: i64) -> i64 {
        let Some(remark) = &row.remark else { return 0 };
        let (x, width) = self.layout.remarks;
        if x - 8 - (from + 12) > 12 {
            self.sketch.line((from + 12, self.y), (x - 8, self.y), Look::Leader);
        }
        let look = match remark.weight {
            Weight::Narration => Look::Remark,
            Weight::Notice => Look::Label(remark.tone.unwrap_or(row.tone)),
        };
        let face: Type = if remark.weight == Weight::Notice { LABEL } else { REMARK };
        let mut below = 0;
        for (i, part) in (0..).zip(face.wrap(&remark.text, width, 6)) {
            below = i * 14;
            self.sketch.text(x, self.y + below + 4, look, Anchor::Start, &part);
        }
        below
    }

    /// All of a row in words.
    fn tip(&self, row: &Row) -> String {
        let name = |lane: crate::ladder::LaneId| {
            self.ladder.lanes.get(lane.0).map(|lane| lane.name().to_string()).unwrap_or_default()
        };
        let ends = match row.shape {
            Shape::Arrow { from, to } => format!("{} → {}: ", name(from), name(to)),
            Shape::At(lane) => format!("{}: ", name(lane)),
            Shape::Across => String::new(),
        };
        let detail = words::clip(&row.detail.trim_start().replace('\n', ", "), 240);
        let detail = if detail.is_empty() { detail } else { format!(" {detail}") };
        let seen = if row.seen == Seen::Inferred { " (inferred)" } else { "" };
        format!("{} s · {ends}{}{detail}{seen}", self.ladder.seconds(row), row.label)
    }
}

/// A row's words: those on the arrow, and those under it. The text of a reply stands under it always, a command's
/// argument only where it has no room beside the verb.
fn parted(row: &Row, room: i64) -> (String, String) {
    let label = row.label.clone();
    let joins = row.tone == Tone::Command && !row.detail.is_empty() && !row.detail.contains('\n');
    let whole = if joins { format!("{label} {}", row.detail) } else { label.clone() };
    if LABEL.width(&whole) <= room {
        return (whole, if joins { String::new() } else { row.detail.clone() });
    }
    if LABEL.width(&label) <= room {
        return (label, row.detail.clone());
    }
    let on = LABEL.wrap(&label, room.max(20), 8).into_iter().next().unwrap_or_default();
    // A word that is wider than the arrow is broken: what is left of it begins the text under it.
    let left = label.strip_prefix(on.as_str()).unwrap_or(&label).trim_start();
    let rest = if row.detail.is_empty() { left.to_owned() } else { format!("{left} {}", row.detail) };
    (on, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::{Ladder, Options};
    use crate::session::Session;
    use port21_proto::event::EventKind;
    use port21_proto::{SessionEvent, Time};

    #[test]
    fn words_that_are_broken_stay_as_they_are() {
        let text = "get ftp://bob@127.0.0.1:2921/a-name-that-is-wider-than-an-arrow.bin".to_owned();
        let event = SessionEvent { at: Time::from_unix_secs(1), kind: EventKind::User { text: text.clone() } };
        let opened = SessionEvent {
            at: Time::from_unix_secs(1),
            kind: EventKind::command(port21_proto::event::ConnectionId::CONTROL, b"NOOP"),
        };
        let ladder = Ladder::new(&Session::from_events([event, opened]), &Options::default());
        let row = ladder.rows.iter().find(|row| row.tone == Tone::User).unwrap();
        for room in [30, 60, 120] {
            let (on, rest) = parted(row, room);
            let whole = format!("{on}{rest}").replace(' ', "");
            assert_eq!(whole, format!("{}{}", row.label, row.detail).replace(' ', ""));
            assert!(rest.split(' ').count() <= text.split(' ').count(), "{on}|{rest}");
        }
    }
}
