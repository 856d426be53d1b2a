//! The page: heading, heads of the lanes, banners, rows, legend.

use std::borrow::Cow;

use crate::findings::Severity;
use crate::ladder::{Ladder, Marked, Role, Row, Section, Seen, Shape, Tone};

use super::TextOptions;
use super::canvas::{Ink, Line};
use super::glyphs::{ASCII, Glyphs, UNICODE};
use super::layout::Layout;
use crate::render::wrap::{cells, cells_of, fit, wrap};
use crate::words;

/// After so many lines a banner has the heads of the lanes again.
const HEADS_AGAIN: usize = 45;

pub(super) fn draw(ladder: &Ladder, options: &TextOptions) -> String {
    let width = options.width.clamp(TextOptions::MIN_WIDTH, TextOptions::MAX_WIDTH);
    let glyphs = if options.ascii { &ASCII } else { &UNICODE };
    let layout = Layout::new(ladder, width);
    let lives = lives(ladder, &layout);
    let mut text = String::new();
    let mut out = |line: Line| line.write(&mut text, options.colour);
    let mut page = Page { ladder, options, glyphs, layout: &layout, lives: &lives, out: &mut out, since_heads: 0 };
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
    text
}

/// For each column, the rows during which a connection lives.
pub(super) fn lives(ladder: &Ladder, layout: &Layout) -> Vec<Vec<std::ops::Range<usize>>> {
    let mut lives = vec![Vec::new(); layout.columns.columns.len()];
    for bar in &ladder.bars {
        if let Some(of_column) = lives.get_mut(layout.columns.of(bar.lane)) {
            of_column.push(bar.rows.clone());
        }
    }
    lives.into_iter().map(joined).collect()
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

pub(super) struct Page<'a> {
    pub(super) ladder: &'a Ladder,
    pub(super) options: &'a TextOptions,
    pub(super) glyphs: &'a Glyphs,
    pub(super) layout: &'a Layout,
    /// For each column, the rows during which a connection lives.
    pub(super) lives: &'a [Vec<std::ops::Range<usize>>],
    /// Takes each line as soon as it is drawn.
    pub(super) out: &'a mut dyn FnMut(Line),
    pub(super) since_heads: usize,
}

impl Page<'_> {
    pub(super) fn heading(&mut self) {
        self.title();
        if !self.ladder.opening.is_empty() {
            self.write(Line::new(self.layout.width));
            let opening = self.say(&self.ladder.opening).into_owned();
            self.lines(&opening, Ink::Dim);
        }
        self.findings();
        self.contents();
        self.write(Line::new(self.layout.width));
    }

    /// The title with the facts under it.
    pub(super) fn title(&mut self) {
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
    }

    /// What is wrong, with the time of its row and what can be done.
    pub(super) fn findings(&mut self) {
        let ladder = self.ladder;
        if !ladder.findings.is_empty() {
            self.write(Line::new(self.layout.width));
        }
        for listed in ladder.listed() {
            let Marked { finding, at, .. } = listed.marked;
            let (severity, ink) = match finding.rule.severity {
                Severity::Fault => ("FAULT", Ink::Tone(Tone::Permanent)),
                Severity::Warning => ("WARNING", Ink::Tone(Tone::Transient)),
                Severity::Note => ("NOTE", Ink::Dim),
            };
            let mut head = Line::new(self.layout.width);
            head.put(1, severity, ink);
            head.put(10, &format!("{} at {} s", finding.rule.name, ladder.seconds_at(*at)), Ink::Faint);
            self.write(head);
            let others = listed.told();
            let below = [listed.advice, others.as_deref()].into_iter().flatten().map(|text| (text, Ink::Dim));
            let texts = [(finding.text.as_str(), Ink::Plain)].into_iter().chain(below);
            for (text, ink) in texts {
                let text = self.say(text).into_owned();
                for part in wrap(&text, self.layout.width.min(110) - 11, &cells_of) {
                    let mut line = Line::new(self.layout.width);
                    line.put(10, &part, ink);
                    self.write(line);
                }
            }
        }
    }

    /// The numbered sections.
    fn contents(&mut self) {
        const MOST: usize = 24;
        let room = self.layout.width.min(110) - 2;
        let mut line = String::new();
        let sections = self.ladder.sections.iter();
        let named = sections.map(|s| format!("{}  {}", numbers(s), self.say(&words::clip(&s.title, 48))));
        let mut parts: Vec<String> = named.take(MOST).collect();
        if self.ladder.sections.len() > MOST {
            parts.push(self.glyphs.ellipsis.to_owned());
        }
        if parts.len() < 2 {
            return;
        }
        self.write(Line::new(self.layout.width));
        for part in parts {
            if !line.is_empty() && cells(&line) + 4 + cells(&part) > room {
                self.contents_line(&std::mem::take(&mut line));
            }
            line.push_str(if line.is_empty() { "" } else { "    " });
            line.push_str(&part);
        }
        self.contents_line(&line);
    }

    fn contents_line(&mut self, text: &str) {
        let mut line = Line::new(self.layout.width);
        line.put(1, &fit(text, self.layout.width - 2, self.glyphs.ellipsis, &cells_of), Ink::Plain);
        self.write(line);
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
    pub(super) fn heads(&mut self) {
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
        let place = |(name, roles): (&'_ str, &[Role])| {
            self.layout.host(|role| roles.contains(&role)).map(|(first, last)| (name.to_owned(), first, last))
        };
        let groups: Vec<_> = groups.into_iter().filter_map(place).collect();
        // A name may be wider than its lanes, as far as the lanes beside it let it: nothing else stands in this line.
        let begins: Vec<usize> = groups.iter().map(|&(_, first, _)| first).chain([self.layout.width]).collect();
        let ends: Vec<usize> = [0].into_iter().chain(groups.iter().map(|g| g.2)).collect();
        for (((name, first, last), before), after) in groups.into_iter().zip(ends).zip(begins.into_iter().skip(1)) {
            let (from, until) = (first.saturating_sub(1), last + 2);
            let beside = (first.saturating_sub(before)).min(after.saturating_sub(last)).saturating_sub(1);
            let name = fit(&name, (until - from).max(last - first + beside).max(7), self.glyphs.ellipsis, &cells_of);
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

    pub(super) fn ports(&mut self) {
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
    pub(super) fn centred(&self, line: &mut Line, first: usize, last: usize, text: &str, ink: Ink) {
        let width = cells(text);
        let x = (first + last + 1).saturating_sub(width) / 2;
        line.put(x.min(self.layout.width.saturating_sub(width)), text, ink);
    }

    pub(super) fn banner(&mut self, section: &Section) {
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
        let detail = match section.detail.as_str() {
            "" => String::new(),
            detail => format!(" {} {}", self.glyphs.dot, self.say(detail)),
        };
        let title = fit(
            &format!("{}  {}", numbers(section), self.say(&section.title)),
            width - 10,
            self.glyphs.ellipsis,
            &cells_of,
        );
        let detail = if cells(&title) + cells(&detail) + 9 <= width { detail } else { String::new() };
        line.put(4, " ", Ink::Plain);
        line.put(5, &title, Ink::Bold);
        line.put(5 + cells(&title), &format!("{detail} "), Ink::Plain);
        self.write(line);
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
            keys.push((format!("{dashed}{dashed}{head}"), "inferred"));
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

    pub(super) fn write(&mut self, line: Line) {
        (self.out)(line);
        self.since_heads += 1;
    }

    /// A text as it can be shown here: in ASCII, where only that is wanted.
    pub(super) fn say<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.options.ascii { in_ascii(text) } else { Cow::Borrowed(text) }
    }
}

/// A text in ASCII alone; what has no likeness there becomes an escape.
pub fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
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

/// The number of a section, or those of the sections that it stands for.
fn numbers(section: &Section) -> String {
    match section.through {
        through if through > section.number => format!("{}-{through}", section.number),
        _ => section.number.to_string(),
    }
}
