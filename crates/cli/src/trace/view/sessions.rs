//! The list of sessions.

use std::cmp::Ordering;

use port21_trace::findings::Severity;
use port21_trace::ladder::Tone;
use port21_trace::render::{Ink, fitted, in_ascii};
use port21_trace::words::duration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::held::{Facts, Held};
use super::ladder::hit_style;
use super::style::{Glyphs, Needle, style};
use crate::units::show_size;

/// What the list can be sorted by, in the order of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Number,
    Worst,
    Client,
    Server,
    User,
    Start,
    Duration,
    Transfers,
    Bytes,
}

const COLUMNS: [(By, &str); 9] = [
    (By::Number, "#"),
    (By::Worst, "worst"),
    (By::Client, "client"),
    (By::Server, "server"),
    (By::User, "user"),
    (By::Start, "start (UTC)"),
    (By::Duration, "took"),
    (By::Transfers, "transfers"),
    (By::Bytes, "bytes"),
];

/// The most columns that a text of a peer has.
const WIDEST: usize = 24;

/// The list: the order of the sessions, and what is in view of them.
#[derive(Debug)]
pub(super) struct List {
    /// Indices of sessions.
    order: Vec<usize>,
    by: By,
    reversed: bool,
    cursor: usize,
    top: usize,
    page: usize,
    scrolled: usize,
    needle: Option<Needle>,
}

impl Default for List {
    fn default() -> List {
        List {
            order: Vec::new(),
            by: By::Number,
            reversed: false,
            cursor: 0,
            top: 0,
            page: 1,
            scrolled: 0,
            needle: None,
        }
    }
}

impl List {
    /// The session at the cursor.
    pub(super) fn chosen(&self) -> Option<usize> {
        self.order.get(self.cursor).copied()
    }

    /// Puts sessions in order; the cursor stays at its session.
    pub(super) fn arrange(&mut self, sessions: &mut [Held], key: Option<&str>) {
        let facts: Vec<(usize, Facts)> = sessions.iter_mut().map(|held| (held.number, held.facts().clone())).collect();
        self.order = (0..facts.len()).collect();
        let (by, reversed) = (self.by, self.reversed);
        self.order.sort_by(|a, b| match (facts.get(*a), facts.get(*b)) {
            (Some(a), Some(b)) if reversed => compare(b, a, by),
            (Some(a), Some(b)) => compare(a, b, by),
            _ => Ordering::Equal,
        });
        let is_it = |n: &usize| sessions.get(*n).map(|held| held.key.as_str()) == key;
        let place = key.and_then(|_| self.order.iter().position(is_it));
        self.cursor = place.unwrap_or(self.cursor).min(self.order.len().saturating_sub(1));
    }

    /// Sorts by the next column.
    pub(super) fn sort(&mut self) {
        let at = COLUMNS.iter().position(|(by, _)| *by == self.by).unwrap_or(0);
        self.by = COLUMNS.get(at + 1).unwrap_or(&COLUMNS[0]).0;
        // What is most is looked for first.
        self.reversed = matches!(self.by, By::Duration | By::Transfers | By::Bytes | By::Worst);
    }

    pub(super) fn reverse(&mut self) {
        self.reversed = !self.reversed;
    }

    pub(super) fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.order.len().saturating_sub(1));
    }

    /// Moves columns to the left or to the right.
    pub(super) fn scroll(&mut self, by: isize) {
        self.scrolled = self.scrolled.saturating_add_signed(by);
    }

    pub(super) fn turn_page(&mut self, by: isize) {
        self.step(by * isize::try_from(self.page.max(2) - 1).unwrap_or(1));
    }

    pub(super) fn first(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn last(&mut self) {
        self.cursor = self.order.len().saturating_sub(1);
    }

    pub(super) fn needle(&self) -> Option<&Needle> {
        self.needle.as_ref()
    }

    /// Looks for a text from the cursor on.
    pub(super) fn search(&mut self, needle: Option<Needle>, sessions: &mut [Held]) -> bool {
        self.needle = needle;
        self.jump(0, true, sessions)
    }

    /// To the next session that holds what is searched for, around the end; whether there is one.
    pub(super) fn jump_hit(&mut self, forward: bool, sessions: &mut [Held]) -> bool {
        self.jump(1, forward, sessions)
    }

    fn jump(&mut self, from: usize, forward: bool, sessions: &mut [Held]) -> bool {
        let Some(needle) = self.needle.clone() else { return true };
        let count = self.order.len();
        let found = (from..=count).find_map(|away| {
            let away = away % count.max(1);
            let place = if forward { self.cursor + away } else { self.cursor + count - away } % count.max(1);
            let held = sessions.get_mut(*self.order.get(place)?)?;
            cells(held).iter().any(|cell| needle.is_in(cell)).then_some(place)
        });
        self.cursor = found.unwrap_or(self.cursor);
        found.is_some()
    }

    pub(super) fn draw(&mut self, sessions: &mut [Held], ascii: bool, colour: bool, buffer: &mut Buffer, area: Rect) {
        let room = usize::from(area.width);
        let rows = usize::from(area.height).saturating_sub(1);
        self.page = rows.max(1);
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(rows), self.cursor);
        self.top = self.top.min(self.order.len().saturating_sub(rows));
        let mut table: Vec<[String; COLUMNS.len()]> = Vec::new();
        for n in self.order.iter().skip(self.top).take(rows) {
            let Some(held) = sessions.get_mut(*n) else { continue };
            table.push(cells(held).map(|cell| if ascii { in_ascii(&cell).into_owned() } else { cell }));
        }
        let sign = match (self.reversed, ascii) {
            (false, false) => "▴",
            (true, false) => "▾",
            (false, true) => "^",
            (true, true) => "v",
        };
        let heads = COLUMNS.map(|(by, head)| if by == self.by { format!("{head}{sign}") } else { head.to_owned() });
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|n| {
                let cells = table.iter().chain([&heads]).filter_map(|row| row.get(n));
                cells.map(|cell| Glyphs::text(cell, Style::new()).width()).max().unwrap_or(0).min(WIDEST + 24)
            })
            .collect();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let heads = line(&heads, &widths, ascii, |_| bold);
        // Numbers and what is wrong stay in view.
        let margin = widths.iter().take(2).map(|width| width + 2).sum();
        self.scrolled = self.scrolled.min(heads.width().saturating_sub(room));
        heads.paint(buffer, area.x, area.y, room, margin, self.scrolled);
        for (n, row) in table.iter().enumerate() {
            let Some(y) = u16::try_from(n + 1).ok().map(|n| area.y + n) else { break };
            let worst = row.get(1).map(String::as_str).unwrap_or_default();
            let mut line = line(row, &widths, ascii, |column| match (column == 1, worst) {
                (true, "fault") => style(Ink::Tone(Tone::Permanent), colour),
                (true, "warning") => style(Ink::Tone(Tone::Transient), colour),
                _ => Style::new(),
            });
            if let Some(needle) = &self.needle {
                line.highlight(needle, hit_style(colour));
            }
            if self.top + n == self.cursor {
                line.push(&" ".repeat(room.saturating_sub(line.width())), Style::new());
                line.mark(0..usize::MAX, Style::new().add_modifier(Modifier::REVERSED));
            }
            line.paint(buffer, area.x, y, room, margin, self.scrolled);
        }
    }
}

/// A row of the table.
fn line(cells: &[String; COLUMNS.len()], widths: &[usize], ascii: bool, style: impl Fn(usize) -> Style) -> Glyphs {
    let mut line = Glyphs::default();
    for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = Glyphs::text(&fitted(cell, *width, ascii), style(n));
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        // Numbers end where the others do.
        let right = matches!(COLUMNS.get(n), Some((By::Number | By::Duration | By::Transfers | By::Bytes, _)));
        line.push(" ", Style::new());
        if right {
            line.push(&pad, Style::new());
        }
        line.append(cell);
        if !right {
            line.push(&pad, Style::new());
        }
        line.push(" ", Style::new());
    }
    line
}

/// What the list says of a session.
fn cells(held: &mut Held) -> [String; COLUMNS.len()] {
    let number = held.number.to_string();
    let name = held.name.as_ref().map(|name| port21_proto::text::Shown(name.as_bytes()).to_string());
    let facts = held.facts();
    let end = |end: Option<std::net::SocketAddr>| end.map_or_else(|| "?".to_owned(), |end| end.to_string());
    let worst = match facts.worst {
        _ if facts.goes_on => "goes on",
        Some(Severity::Fault) => "fault",
        Some(Severity::Warning) => "warning",
        Some(Severity::Note) => "note",
        None => "",
    };
    let number = match name {
        Some(name) if name != number => format!("{number} [{}]", fitted(&name, WIDEST, true)),
        _ => number,
    };
    [
        number,
        worst.to_owned(),
        end(facts.client),
        end(facts.server),
        fitted(&facts.user, WIDEST, true),
        facts.start.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string(),
        duration(facts.took),
        facts.transfers.to_string(),
        show_size(facts.bytes),
    ]
}

fn compare((n, a): &(usize, Facts), (m, b): &(usize, Facts), by: By) -> Ordering {
    let end = |end: Option<std::net::SocketAddr>| end.map(|end| (end.ip().to_canonical(), end.port()));
    let order = match by {
        By::Number => Ordering::Equal,
        By::Client => end(a.client).cmp(&end(b.client)),
        By::Server => end(a.server).cmp(&end(b.server)),
        By::User => a.user.cmp(&b.user),
        By::Start => a.start.cmp(&b.start),
        By::Duration => a.took.cmp(&b.took),
        By::Transfers => a.transfers.cmp(&b.transfers),
        By::Bytes => a.bytes.cmp(&b.bytes),
        By::Worst => a.worst.cmp(&b.worst),
    };
    order.then(n.cmp(m))
}
