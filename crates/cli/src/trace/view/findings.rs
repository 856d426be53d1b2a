//! What is wrong with a session: each finding with the rows that show it, and what can be done.

use std::collections::{HashMap, HashSet};

use port21_trace::ladder::Row;
use port21_trace::render::{Ink, fitted, in_ascii, wrapped};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::ladder::Opened;
use super::message::severity;
use super::style::{Glyphs, style};

/// So many rows of a finding are listed.
const ROWS: usize = 16;

/// The findings of the session whose ladder is open.
#[derive(Debug)]
pub(super) struct Findings {
    /// Its lines; those that lead to a row have that.
    lines: Vec<(Glyphs, Option<usize>)>,
    /// For this width, and the session as it was then.
    of: (usize, u64),
    cursor: usize,
    top: usize,
    page: usize,
}

impl Findings {
    /// What is wrong with it.
    pub(super) fn new() -> Findings {
        Findings { lines: Vec::new(), of: (0, 0), cursor: 0, top: 0, page: 1 }
    }

    /// The row that the cursor is at.
    pub(super) fn row(&self) -> Option<usize> {
        self.lines.get(self.cursor).and_then(|(_, row)| *row)
    }

    /// To the next line that leads to a row; where there is none, the view moves.
    pub(super) fn step(&mut self, by: isize) {
        let mut at = self.cursor;
        loop {
            let next = at.saturating_add_signed(by.signum());
            if next == at || next >= self.lines.len() {
                self.top = self.top.saturating_add_signed(by.signum());
                return;
            }
            at = next;
            if self.lines.get(at).is_some_and(|(_, row)| row.is_some()) {
                self.cursor = at;
                return;
            }
        }
    }

    pub(super) fn turn_page(&mut self, by: isize) {
        for _ in 0..self.page.max(2) / 2 {
            self.step(by);
        }
    }

    pub(super) fn first(&mut self) {
        (self.cursor, self.top) = (0, 0);
        if self.row().is_none() {
            self.step(1);
        }
        self.top = 0;
    }

    pub(super) fn last(&mut self) {
        self.cursor = self.lines.len();
        self.step(-1);
    }

    fn lay_out(&mut self, opened: &Opened, width: usize, ascii: bool, colour: bool) {
        let ladder = opened.ladder();
        let say = |text: &str| if ascii { in_ascii(text).into_owned() } else { text.to_owned() };
        let dim = style(Ink::Dim, colour);
        let mut lines: Vec<(Glyphs, Option<usize>)> = Vec::new();
        let mut tell = |text: &str, indent: usize, style: Style| {
            for part in wrapped(&say(text), width.min(110).saturating_sub(indent + 1).max(20)) {
                lines.push((Glyphs::text(&format!("{:indent$}{part}", ""), style), None));
            }
        };
        tell(&ladder.title, 1, Style::new().add_modifier(Modifier::BOLD));
        tell(&ladder.opening, 1, dim);
        if ladder.findings.is_empty() {
            tell(" ", 1, Style::new());
            let nothing = opened.unjudged.unwrap_or("Nothing is wrong with this session, as far as it can be seen.");
            tell(nothing, 1, Style::new());
        }
        let rows = evidence(opened);
        for marked in &ladder.findings {
            let finding = &marked.finding;
            lines.push((Glyphs::default(), None));
            let mut head = severity(finding.rule.severity, finding.rule.name, colour);
            head.push(&format!(" at {} s", ladder.seconds_at(marked.at)), style(Ink::Faint, colour));
            lines.push((head, marked.row));
            for (text, style) in [(finding.text.as_str(), Style::new()), (finding.rule.advice, dim)] {
                for part in wrapped(&say(text), width.min(110).saturating_sub(12).max(20)) {
                    lines.push((Glyphs::text(&format!("          {part}"), style), None));
                }
            }
            let mut shown: Vec<usize> = finding.rows.iter().filter_map(|event| rows.get(event).copied()).collect();
            shown.dedup();
            let more = shown.len().saturating_sub(ROWS);
            for row in shown.into_iter().take(ROWS) {
                let Some(drawn) = ladder.rows.get(row) else { continue };
                let text = say(&format!("{:>10} s  {}", ladder.seconds(drawn), said(drawn)));
                let text = fitted(&text, width.saturating_sub(12), ascii);
                lines.push((
                    Glyphs::text(&format!("          {text}"), style(Ink::Tone(drawn.tone), colour)),
                    Some(row),
                ));
            }
            if more > 0 {
                lines.push((Glyphs::text(&format!("          and {more} more"), dim), None));
            }
        }
        self.lines = lines;
        self.of = (width, opened.revision);
        self.cursor = self.cursor.min(self.lines.len().saturating_sub(1));
        if self.row().is_none() {
            self.step(1);
            self.top = 0;
        }
    }

    pub(super) fn draw(&mut self, opened: &Opened, ascii: bool, colour: bool, buffer: &mut Buffer, area: Rect) {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        if self.of != (width, opened.revision) || self.lines.is_empty() {
            self.lay_out(opened, width, ascii, colour);
        }
        self.page = height.max(1);
        if self.row().is_some() {
            // What a finding says stands above the rows that lead on.
            self.top = self.top.clamp(
                (self.cursor + 2).saturating_sub(height),
                self.cursor.saturating_sub(1).max(self.top.min(self.cursor)),
            );
        }
        self.top = self.top.min(self.lines.len().saturating_sub(height));
        for (y, n) in (area.y..area.bottom()).zip(self.top..self.lines.len()) {
            let Some((line, row)) = self.lines.get(n) else { break };
            let mut line = line.clone();
            if n == self.cursor && row.is_some() {
                line.over(0, if ascii { ">" } else { "▌" }, Style::new().add_modifier(Modifier::BOLD));
                let end = line.width();
                line.mark(1..end, Style::new().add_modifier(Modifier::REVERSED));
            }
            line.paint(buffer, area.x, y, width, 0, 0);
        }
    }
}

/// The rows that draw the events of findings; of an event that has none, that of the same connection and time.
fn evidence(opened: &Opened) -> HashMap<usize, usize> {
    let events = opened.session().events();
    let like = |event: usize| events.get(event).map(|event| (event.kind.connection(), event.at));
    let wanted = || opened.ladder().findings.iter().flat_map(|marked| marked.finding.rows.iter().copied());
    let mut rows: HashMap<usize, usize> = HashMap::new();
    let mut alike: HashMap<_, Option<usize>> = wanted().map(|event| (like(event), None)).collect();
    let own: HashSet<usize> = wanted().collect();
    for (n, row) in opened.ladder().rows.iter().enumerate() {
        let Some(event) = row.event else { continue };
        if own.contains(&event) {
            rows.insert(event, n);
        }
        if let Some(place) = alike.get_mut(&like(event)) {
            place.get_or_insert(n);
        }
    }
    for event in own {
        if let Some(place) = alike.get(&like(event)).copied().flatten() {
            rows.entry(event).or_insert(place);
        }
    }
    rows
}

/// What a row says.
fn said(row: &Row) -> String {
    format!("{} {}", row.label, row.detail.replace('\n', " "))
}
