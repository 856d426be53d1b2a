//! The rows of the page: arrows, crosses, sentences, remarks, and the lanes behind them.

use crate::ladder::{Row, Seen, Shape, Tone, Weight};
use crate::render::wrap::{cells, cells_of, fit, wrap, wrap_even, wrap_most};
use crate::words;

use super::canvas::{Ink, Line};
use super::page::Page;

impl Page<'_> {
    pub(super) fn row(&mut self, n: usize, row: &Row) {
        let mut lines = vec![self.lanes_at(n)];
        if let Some(line) = lines.first_mut() {
            let time = self.ladder.seconds(row);
            line.put(self.layout.time_end.saturating_sub(time.len()), &time, Ink::Faint);
            if let (Some(end), Some(took)) = (self.layout.took_end, row.latency) {
                let took = self.say(&words::duration(took)).into_owned();
                line.put(end.saturating_sub(cells(&took)), &took, Ink::Faint);
            }
        }
        let under = match row.shape {
            Shape::Arrow { from, to } => {
                let (from, to) = (self.layout.columns.of(from), self.layout.columns.of(to));
                self.arrow(&mut lines, n, row, from, to)
            }
            Shape::At(lane) => {
                let x = self.layout.at(self.layout.columns.of(lane));
                self.cross(&mut lines, row, x);
                x + 2
            }
            Shape::Across => {
                let dash = self.glyphs.dash;
                let room = self.layout.lanes.len().max(20) - 6;
                let (first, last) = (self.layout.lanes.start, self.layout.lanes.end.saturating_sub(1));
                for (i, part) in
                    wrap_most(&self.say(&row.label), room, 4, self.glyphs.ellipsis, &cells_of).iter().enumerate()
                {
                    self.more(&mut lines, n, i + 1);
                    let text = if i == 0 { format!(" {dash} {part} {dash} ") } else { format!(" {part} ") };
                    if let Some(line) = lines.get_mut(i) {
                        self.centred(line, first, last, &text, Ink::Tone(row.tone));
                    }
                }
                first
            }
        };
        self.remark(&mut lines, n, row, under);
        lines.into_iter().for_each(|line| self.write(line));
    }

    /// Draws a cross beside a lane, and words on the side where there is more room.
    fn cross(&self, lines: &mut [Line], row: &Row, x: usize) {
        let (leftward, rightward) =
            (x.saturating_sub(self.layout.lanes.start), self.layout.lanes.end.saturating_sub(x));
        let room = leftward.max(rightward).saturating_sub(4);
        let (cross, ink) = (self.glyphs.cross, Ink::Tone(row.tone));
        let label = self.say(&row.label);
        let mut text =
            if row.detail.is_empty() { label.to_string() } else { format!("{label}: {}", self.say(&row.detail)) };
        if cells(&text) > room {
            text = fit(&label, room, self.glyphs.ellipsis, &cells_of);
        }
        if let Some(line) = lines.first_mut() {
            if leftward > rightward {
                line.put(x.saturating_sub(cells(&text) + 4), &format!(" {text} {cross} "), ink);
            } else {
                line.put(x + 1, &format!(" {cross} {text} "), ink);
            }
        }
    }

    /// Draws an arrow with its words on it, or under it where they have no room; says where words under it begin.
    fn arrow(&self, lines: &mut Vec<Line>, n: usize, row: &Row, from: usize, to: usize) -> usize {
        let (a, b) = (self.layout.at(from), self.layout.at(to));
        let right = a <= b;
        let (left_x, right_x) = (a.min(b), a.max(b));
        let inner = right_x.saturating_sub(left_x + 1);
        let ink = Ink::Tone(row.tone);
        let stroke = match (row.tone, row.seen) {
            (Tone::Data, _) => self.glyphs.heavy,
            (_, Seen::Inferred) => self.glyphs.dashed,
            _ => self.glyphs.solid,
        };
        let room = inner.saturating_sub(4);
        let (on, rest) = self.parted(row, room);
        if let Some(line) = lines.first_mut() {
            line.fill(left_x + 1..right_x, stroke, ink);
            let leaves = if self.alive(from, n) { self.glyphs.leaves_alive } else { self.glyphs.leaves };
            let [leaves_right, leaves_left] = leaves;
            let [head_right, head_left] = self.glyphs.heads;
            if right {
                line.fill(left_x..left_x + 1, leaves_right, Ink::Faint);
                line.fill(right_x.saturating_sub(1)..right_x, head_right, ink);
            } else {
                line.fill(right_x..right_x + 1, leaves_left, Ink::Faint);
                line.fill(left_x + 1..left_x + 2, head_left, ink);
            }
            if !on.is_empty() {
                let strokes = inner.saturating_sub(3 + cells(&on));
                let before = (strokes / 2).max(1) + usize::from(!right);
                line.put(left_x + 1 + before, &format!(" {on} "), ink);
            }
        }
        if rest.is_empty() {
            return left_x + 2;
        }
        let narrow = inner < 24;
        let most = (rest.matches('\n').count() + 3).clamp(4, 12);
        let parts = if narrow {
            let width = 24.min(self.layout.width.saturating_sub(left_x + 3));
            wrap_most(&rest, width, most, self.glyphs.ellipsis, &cells_of)
        } else {
            wrap_even(&rest, inner - 2, most, self.glyphs.ellipsis, &cells_of)
        };
        for (i, part) in parts.iter().enumerate() {
            self.more(lines, n, i + 2);
            let Some(line) = lines.get_mut(i + 1) else { continue };
            if narrow {
                line.put(left_x + 1, &format!(" {part} "), Ink::Plain);
            } else {
                self.centred(line, left_x, right_x, &format!(" {part} "), Ink::Plain);
            }
        }
        left_x + 2
    }

    /// A row's words: those on the arrow, and those that have no room there.
    fn parted(&self, row: &Row, room: usize) -> (String, String) {
        let label = self.say(&row.label).into_owned();
        let detail = self.say(&row.detail);
        let whole = if detail.is_empty() { label.clone() } else { format!("{label} {detail}") };
        if cells(&whole) <= room && !whole.contains('\n') {
            return (whole, String::new());
        }
        if cells(&label) <= room {
            return (label, detail.into_owned());
        }
        let mut parts = wrap(&whole, room, &cells_of).into_iter();
        (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>().join(" "))
    }

    /// Puts the remark into its column; where there is none, only what must not be missed, under the row.
    fn remark(&self, lines: &mut Vec<Line>, n: usize, row: &Row, under: usize) {
        let Some(remark) = &row.remark else { return };
        let ink = match remark.weight {
            Weight::Narration => Ink::Dim,
            Weight::Notice => Ink::Tone(remark.tone.unwrap_or(row.tone)),
        };
        let text = self.say(&remark.text);
        match self.layout.remarks {
            Some((x, width)) => {
                for (i, part) in wrap_most(&text, width, 6, self.glyphs.ellipsis, &cells_of).iter().enumerate() {
                    self.more(lines, n, i + 1);
                    if let Some(line) = lines.get_mut(i) {
                        line.put(x, part, ink);
                    }
                }
            }
            None if remark.weight == Weight::Notice => {
                let room = self.layout.width.saturating_sub(under + 1);
                let (x, room) = if room < 30 {
                    (self.layout.lanes.start + 1, self.layout.width - self.layout.lanes.start - 2)
                } else {
                    (under, room)
                };
                let parts = wrap_most(&text, room, 4, self.glyphs.ellipsis, &cells_of);
                let at = lines.len();
                for (i, part) in parts.iter().enumerate() {
                    self.more(lines, n, at + i + 1);
                    if let Some(line) = lines.get_mut(at + i) {
                        line.put(x.saturating_sub(1), &format!(" {part} "), ink);
                    }
                }
            }
            None => {}
        }
    }

    /// Makes sure that a row has so many lines.
    fn more(&self, lines: &mut Vec<Line>, n: usize, count: usize) {
        while lines.len() < count {
            lines.push(self.lanes_after(n));
        }
    }

    /// The lanes beside a row.
    fn lanes_at(&self, n: usize) -> Line {
        self.lanes(|page, column| page.alive(column, n))
    }

    /// The lanes between a row and the next.
    pub(super) fn lanes_after(&self, n: usize) -> Line {
        self.lanes(|page, column| {
            let lives = page.lives.get(column).map(Vec::as_slice).unwrap_or_default();
            let at = lives.partition_point(|r| r.end <= n);
            lives.get(at).is_some_and(|r| r.contains(&n) && r.contains(&(n + 1)))
        })
    }

    fn lanes(&self, alive: impl Fn(&Self, usize) -> bool) -> Line {
        let mut line = Line::new(self.layout.width);
        for (column, &x) in self.layout.x.iter().enumerate() {
            let (glyph, ink) =
                if alive(self, column) { (self.glyphs.alive, Ink::Plain) } else { (self.glyphs.idle, Ink::Faint) };
            line.fill(x..x + 1, glyph, ink);
        }
        line
    }

    fn alive(&self, column: usize, n: usize) -> bool {
        let lives = self.lives.get(column).map(Vec::as_slice).unwrap_or_default();
        let at = lives.partition_point(|r| r.end <= n);
        lives.get(at).is_some_and(|r| r.contains(&n))
    }
}
