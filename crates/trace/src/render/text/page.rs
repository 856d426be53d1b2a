//! The page: heading, heads of the lanes, banners, rows, legend.

use std::borrow::Cow;

use crate::ladder::{Ladder, Role, Row, Section, Seen, Shape, Tone, Weight};
use crate::words;

use super::TextOptions;
use super::canvas::{Ink, Line};
use super::layout::Layout;
use crate::render::wrap::{cells, cells_of, fit, wrap, wrap_even, wrap_most};

/// After so many lines a banner has the heads of the lanes again.
const HEADS_AGAIN: usize = 45;

/// The characters that lines are drawn with.
struct Glyphs {
    idle: char,
    alive: char,
    /// Where an arrow leaves a lane to the right or to the left; of one that is alive.
    leaves: [char; 2],
    leaves_alive: [char; 2],
    heads: [char; 2],
    solid: char,
    dashed: char,
    heavy: char,
    rule: char,
    corners: [char; 2],
    cross: &'static str,
    dash: &'static str,
    dot: &'static str,
    ellipsis: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    idle: '│',
    alive: '┃',
    leaves: ['├', '┤'],
    leaves_alive: ['┠', '┨'],
    heads: ['▶', '◀'],
    solid: '─',
    dashed: '╌',
    heavy: '━',
    rule: '─',
    corners: ['╭', '╮'],
    cross: "✗",
    dash: "—",
    dot: "·",
    ellipsis: "…",
};

const ASCII: Glyphs = Glyphs {
    idle: ':',
    alive: '|',
    leaves: [':', ':'],
    leaves_alive: ['|', '|'],
    heads: ['>', '<'],
    solid: '-',
    dashed: '~',
    heavy: '=',
    rule: '-',
    corners: ['.', '.'],
    cross: "x",
    dash: "--",
    dot: "-",
    ellipsis: "...",
};

pub(super) fn draw(ladder: &Ladder, options: &TextOptions) -> String {
    let width = options.width.clamp(TextOptions::MIN_WIDTH, TextOptions::MAX_WIDTH);
    let glyphs = if options.ascii { &ASCII } else { &UNICODE };
    let layout = Layout::new(ladder, width);
    let columns = layout.columns.columns.len();
    let mut lives = vec![Vec::new(); columns];
    for bar in &ladder.bars {
        if let Some(of_column) = lives.get_mut(layout.columns.of(bar.lane)) {
            of_column.push(bar.rows.clone());
        }
    }
    let lives = lives.into_iter().map(joined).collect();
    let mut page = Page { ladder, options, glyphs, layout, lives, out: String::new(), since_heads: 0 };
    page.heading();
    page.heads();
    for section in &ladder.sections {
        page.banner(section);
        for n in section.rows.clone() {
            if let Some(row) = ladder.rows.get(n) {
                page.row(n, row);
            }
        }
    }
    page.legend();
    page.out
}

/// Ranges in order, those that touch or overlap as one.
fn joined(mut ranges: Vec<std::ops::Range<usize>>) -> Vec<std::ops::Range<usize>> {
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<std::ops::Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

struct Page<'a> {
    ladder: &'a Ladder,
    options: &'a TextOptions,
    glyphs: &'a Glyphs,
    layout: Layout,
    /// For each column, the rows during which a connection lives.
    lives: Vec<Vec<std::ops::Range<usize>>>,
    out: String,
    since_heads: usize,
}

impl Page<'_> {
    fn heading(&mut self) {
        let width = self.layout.width;
        let aside = [&self.ladder.product, &self.ladder.date];
        let aside: Vec<Cow<'_, str>> = aside.into_iter().filter(|t| !t.is_empty()).map(|t| self.say(t)).collect();
        let aside = aside.join(&format!(" {} ", self.glyphs.dot));
        let title = self.say(&self.ladder.title).into_owned();
        let mut line = Line::new(width);
        let together = cells(&title) + cells(&aside) + 4 <= width;
        for (i, part) in wrap(&title, width - 2, &cells_of).iter().enumerate() {
            if i > 0 {
                self.write(std::mem::replace(&mut line, Line::new(width)));
            }
            line.put(1, part, Ink::Bold);
        }
        if !together {
            self.write(std::mem::replace(&mut line, Line::new(width)));
            line.put(1, &fit(&aside, width - 2, self.glyphs.ellipsis, &cells_of), Ink::Faint);
        } else {
            line.put(width - 1 - cells(&aside), &aside, Ink::Faint);
        }
        self.write(line);
        let summary: Vec<Cow<'_, str>> = self.ladder.summary.iter().map(|fact| self.say(fact)).collect();
        let summary = summary.join(&format!(" {} ", self.glyphs.dot));
        self.lines(&summary, Ink::Plain);
        if !self.ladder.opening.is_empty() {
            self.write(Line::new(width));
            let opening = self.say(&self.ladder.opening).into_owned();
            self.lines(&opening, Ink::Dim);
        }
        self.write(Line::new(width));
    }

    /// A paragraph over the whole width.
    fn lines(&mut self, text: &str, ink: Ink) {
        for part in wrap(text, self.layout.width.min(110) - 2, &cells_of) {
            let mut line = Line::new(self.layout.width);
            line.put(1, &part, ink);
            self.write(line);
        }
    }

    /// The heads of the lanes: groups, hosts, ports.
    fn heads(&mut self) {
        if self.layout.columns.columns.is_empty() {
            return;
        }
        let address = |role| {
            let of = |lane: &&crate::ladder::Lane| lane.role == role && lane.address.is_some();
            let lane = self.ladder.lanes.iter().find(of)?;
            lane.address.map(|a| a.to_string())
        };
        let client = address(Role::Client).unwrap_or_else(|| Role::Client.group().to_owned());
        let mut line = Line::new(self.layout.width);
        let groups: [(&str, &[Role]); 3] = [
            (Role::Dns.group(), &[Role::Dns, Role::Server]),
            (&client, &[Role::Client]),
            (Role::User.group(), &[Role::User]),
        ];
        for (name, roles) in groups {
            let Some((first, last)) = self.layout.host(|role| roles.contains(&role)) else { continue };
            let (from, until) = (first.saturating_sub(1), last + 2);
            let name = fit(name, (until - from).max(7), self.glyphs.ellipsis, &cells_of);
            if until - from > cells(&name) + 5 {
                line.fill(from + 1..until - 1, self.glyphs.rule, Ink::Faint);
                line.fill(from..from + 1, self.glyphs.corners[0], Ink::Faint);
                line.fill(until - 1..until, self.glyphs.corners[1], Ink::Faint);
                self.centred(&mut line, first, last, &format!(" {name} "), Ink::Plain);
            } else {
                self.centred(&mut line, first, last, &name, Ink::Plain);
            }
        }
        self.write(line);
        let mut line = Line::new(self.layout.width);
        for role in [Role::Dns, Role::Server, Role::Client, Role::User] {
            if let Some((first, last)) = self.layout.host(|r| r == role) {
                self.centred(&mut line, first, last, role.title(), Ink::Bold);
            }
        }
        self.write(line);
        self.ports();
    }

    fn ports(&mut self) {
        let mut line = Line::new(self.layout.width);
        let time = "seconds";
        line.put(self.layout.time_end.saturating_sub(time.len()), time, Ink::Faint);
        if let Some(end) = self.layout.took_end {
            line.put(end - 4, "took", Ink::Faint);
        }
        for (column, &x) in self.layout.columns.columns.iter().zip(&self.layout.x) {
            if column.role == Role::User {
                line.fill(x..x + 1, self.glyphs.idle, Ink::Faint);
            } else {
                self.centred(&mut line, x, x, &column.label, Ink::Bold);
            }
        }
        if let Some((x, _)) = self.layout.remarks {
            line.put(x, "Remarks", Ink::Faint);
        }
        self.write(line);
        self.since_heads = 0;
    }

    /// Puts a text over the middle of two cells.
    fn centred(&self, line: &mut Line, first: usize, last: usize, text: &str, ink: Ink) {
        let width = cells(text);
        let x = (first + last + 1).saturating_sub(width) / 2;
        line.put(x.min(self.layout.width.saturating_sub(width)), text, ink);
    }

    fn banner(&mut self, section: &Section) {
        let n = section.rows.start;
        if n > 0 {
            self.write(self.lanes_after(n - 1));
        }
        if self.since_heads > HEADS_AGAIN {
            self.ports();
        }
        let mut line = Line::new(self.layout.width);
        let width = self.layout.width;
        line.fill(1..width - 1, self.glyphs.rule, Ink::Faint);
        let number = match section.through {
            through if through > section.number => format!("{}-{through}", section.number),
            _ => section.number.to_string(),
        };
        let detail = match section.detail.as_str() {
            "" => String::new(),
            detail => format!(" {} {}", self.glyphs.dot, self.say(detail)),
        };
        let title =
            fit(&format!("{number}  {}", self.say(&section.title)), width - 10, self.glyphs.ellipsis, &cells_of);
        let detail = fit(&detail, (width - 9).saturating_sub(cells(&title)), self.glyphs.ellipsis, &cells_of);
        line.put(4, " ", Ink::Plain);
        line.put(5, &title, Ink::Bold);
        line.put(5 + cells(&title), &format!("{detail} "), Ink::Plain);
        self.write(line);
    }

    fn row(&mut self, n: usize, row: &Row) {
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
                let mut text = format!("{} {}", self.glyphs.cross, self.say(&row.label));
                if !row.detail.is_empty() {
                    text.push_str(&format!(": {}", self.say(&row.detail)));
                }
                let room = self.layout.lanes.end.saturating_sub(x + 2).max(24);
                self.beside(
                    &mut lines,
                    n,
                    x + 2,
                    &wrap_most(&text, room, 3, self.glyphs.ellipsis, &cells_of),
                    Ink::Tone(row.tone),
                );
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
        let marks = row.marks.iter().map(|m| m.word()).filter(|_| !matches!(row.tone, Tone::Permanent));
        let marks: String = marks.map(|word| format!(" ({word})")).collect();
        let label = format!("{}{marks}", self.say(&row.label));
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
            Weight::Notice => Ink::Tone(row.tone),
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

    fn beside(&self, lines: &mut Vec<Line>, n: usize, x: usize, parts: &[String], ink: Ink) {
        for (i, part) in parts.iter().enumerate() {
            self.more(lines, n, i + 1);
            if let Some(line) = lines.get_mut(i) {
                line.put(x, &format!("{part} "), ink);
            }
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
    fn lanes_after(&self, n: usize) -> Line {
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

    fn legend(&mut self) {
        if self.ladder.rows.is_empty() {
            return;
        }
        let Glyphs { solid, dashed, heavy, alive, idle, heads: [head, _], .. } = *self.glyphs;
        let mut keys: Vec<(String, &str)> = Vec::new();
        let has = |test: &dyn Fn(&Row) -> bool| self.ladder.rows.iter().any(test);
        if has(&|row| matches!(row.shape, Shape::Arrow { .. }) && row.seen == Seen::Observed) {
            keys.push((format!("{solid}{solid}{head}"), "seen"));
        }
        if has(&|row| row.tone == Tone::Data) {
            keys.push((format!("{heavy}{heavy}{head}"), "data"));
        }
        if has(&|row| row.seen == Seen::Inferred) {
            keys.push((format!("{dashed}{dashed}{head}"), "inferred from the sockets"));
        }
        keys.push((alive.to_string(), "connected"));
        keys.push((idle.to_string(), "not connected"));
        self.write(Line::new(self.layout.width));
        let mut line = Line::new(self.layout.width);
        let mut x = 1;
        for (sign, meaning) in keys {
            let width = cells(&sign) + 1 + meaning.len();
            if x + width > self.layout.width {
                self.write(std::mem::replace(&mut line, Line::new(self.layout.width)));
                x = 1;
            }
            line.put(x, &sign, Ink::Plain);
            line.put(x + cells(&sign) + 1, meaning, Ink::Faint);
            x += width + 3;
        }
        self.write(line);
    }

    fn write(&mut self, line: Line) {
        line.write(&mut self.out, self.options.colour);
        self.since_heads += 1;
    }

    /// A text as it can be shown here: in ASCII, where only that is wanted.
    fn say<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.options.ascii || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '…' => out.push_str("..."),
                '·' => out.push('-'),
                '—' => out.push_str("--"),
                'µ' => out.push('u'),
                c if c.is_ascii() => out.push(c),
                c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            }
        }
        Cow::Owned(out)
    }
}
