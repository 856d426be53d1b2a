//! The ladder of one session: what is in view is laid out, and nothing else.

use std::collections::HashSet;

use port21_proto::Time;
use port21_proto::event::EventKind;
use port21_trace::ladder::{self, Ladder, Row};
use port21_trace::render::{Sheet, TextOptions};
use port21_trace::session::Session;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::filter::Filter;
use super::held::Held;
use super::style::{Glyphs, Needle};

/// What stands in the ladder, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The banner of a section, by its index.
    Banner(usize),
    /// A row, by its index.
    Row(usize),
}

/// A session whose ladder is shown.
#[derive(Debug)]
pub(super) struct Opened {
    /// Which session.
    pub(super) key: String,
    pub(super) revision: u64,
    session: Session,
    sheet: Sheet,
    /// Whether it goes on.
    pub(super) goes_on: bool,
    /// Why it is not judged.
    pub(super) unjudged: Option<&'static str>,
    /// How it is drawn.
    pub(super) options: ladder::Options,
    text: TextOptions,
    pub(super) growing: bool,
    all_lanes: bool,
    items: Vec<Item>,
    filter: Filter,
    folded: HashSet<usize>,
    needle: Option<Needle>,
    /// The rows that hold it.
    hits: Vec<usize>,
    cursor: usize,
    top: usize,
    /// How far lanes are scrolled to the left.
    scrolled: usize,
    /// Whether it stays at its end while rows are added.
    pub(super) sticks: bool,
    /// How many items were in view.
    page: usize,
}

/// A row's name while others are added: when it began, what it says, and which of its like it is.
struct Anchor {
    begun: Time,
    label: String,
    nth: usize,
    place: usize,
    above: usize,
}

impl Opened {
    /// Draws a session in a window of this width.
    pub(super) fn new(held: &Held, options: ladder::Options, text: TextOptions) -> Opened {
        let (ladder, session) = held.ladder(&options);
        let growing = held.is_growing();
        let sheet = set_out(ladder, &text, growing, false, None);
        let mut opened = Opened {
            key: held.key.clone(),
            revision: held.revision,
            goes_on: held.goes_on(),
            unjudged: held.unjudged(),
            session,
            sheet,
            options,
            text,
            growing,
            all_lanes: false,
            items: Vec::new(),
            filter: Filter::All,
            folded: HashSet::new(),
            needle: None,
            hits: Vec::new(),
            cursor: 0,
            top: 0,
            scrolled: 0,
            sticks: growing,
            page: 1,
        };
        opened.arrange();
        // The first row says more than the banner over it.
        opened.cursor = usize::from(matches!(opened.items.get(1), Some(Item::Row(_))));
        if growing {
            opened.last();
        }
        opened
    }

    pub(super) fn ladder(&self) -> &Ladder {
        self.sheet.ladder()
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn filter(&self) -> Filter {
        self.filter
    }

    pub(super) fn needle(&self) -> Option<&Needle> {
        self.needle.as_ref()
    }

    /// The row at the cursor; of a banner, the first that it stands over.
    pub(super) fn row(&self) -> Option<usize> {
        match *self.items.get(self.cursor)? {
            Item::Row(row) => Some(row),
            Item::Banner(section) => Some(self.ladder().sections.get(section)?.rows.start),
        }
    }

    /// What is at the cursor.
    pub(super) fn item(&self) -> Option<Item> {
        self.items.get(self.cursor).copied()
    }

    /// Draws the session anew: it has grown, or is to look otherwise.
    pub(super) fn redraw(&mut self, held: &Held, options: ladder::Options) {
        let anchor = self.anchor();
        (self.revision, self.goes_on, self.unjudged) = (held.revision, held.goes_on(), held.unjudged());
        self.options = options;
        let (ladder, session) = held.redrawn(std::mem::take(&mut self.session), &self.options);
        let before = (self.growing && !self.all_lanes).then_some(&self.sheet);
        self.sheet = set_out(ladder, &self.text, self.growing, self.all_lanes, before);
        self.session = session;
        self.arrange();
        self.find();
        self.restore(anchor);
    }

    /// Sets it out in another width, or with other lanes.
    fn lay_out(&mut self, text: TextOptions, all_lanes: bool) {
        self.text = text;
        self.all_lanes = all_lanes;
        let nothing = Sheet::new(Ladder::new(&Session::default(), &ladder::Options::default()), self.text.clone());
        let ladder = std::mem::replace(&mut self.sheet, nothing).into_ladder();
        self.sheet = set_out(ladder, &self.text, self.growing, all_lanes, None);
    }

    /// The window has another width.
    pub(super) fn resize(&mut self, width: usize) {
        if width != self.text.width {
            self.lay_out(TextOptions { width, ..self.text.clone() }, self.all_lanes);
        }
    }

    /// A lane for each port, or as many as there is room for.
    pub(super) fn lanes(&mut self) {
        self.lay_out(self.text.clone(), !self.all_lanes);
        self.scrolled = 0;
    }

    /// Shows only these rows.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        let anchor = self.anchor();
        self.filter = filter;
        self.arrange();
        self.find();
        self.restore(anchor);
    }

    /// How many rows are shown of how many.
    pub(super) fn counts(&self) -> (usize, usize) {
        let rows = self.items.iter().filter(|item| matches!(item, Item::Row(_))).count();
        (rows, self.ladder().rows.len())
    }

    fn arrange(&mut self) {
        let shown = self.filter.shown(&self.session, self.sheet.ladder());
        let shows = |row: &usize| shown.get(*row) == Some(&true);
        self.items.clear();
        for (n, section) in self.sheet.ladder().sections.iter().enumerate() {
            if self.filter == Filter::All || section.rows.clone().any(|row| shows(&row)) {
                self.items.push(Item::Banner(n));
            }
            if !self.folded.contains(&section.number) {
                self.items.extend(section.rows.clone().filter(shows).map(Item::Row));
            }
        }
        self.cursor = self.cursor.min(self.items.len().saturating_sub(1));
    }

    fn anchor(&self) -> Option<Anchor> {
        let place = self.row()?;
        let rows = &self.ladder().rows;
        let (begun, label) = self.named(rows.get(place)?);
        let same = |row: &&Row| self.named(row) == (begun, label);
        let nth = rows.iter().take(place).filter(same).count();
        Some(Anchor { begun, label: label.to_owned(), nth, place, above: self.cursor.saturating_sub(self.top) })
    }

    fn named<'a>(&self, row: &'a Row) -> (Time, &'a str) {
        let event = row.event.and_then(|event| self.session.events().get(event));
        let begun = match event.map(|event| &event.kind) {
            Some(EventKind::Data { since, .. }) => *since,
            _ => row.at,
        };
        (begun, &row.label)
    }

    fn restore(&mut self, anchor: Option<Anchor>) {
        let Some(Anchor { begun, label, nth, place, above }) = anchor else { return };
        if self.sticks {
            return self.last();
        }
        let rows = &self.ladder().rows;
        let same = |(_, row): &(usize, &Row)| self.named(row) == (begun, label.as_str());
        let found = rows.iter().enumerate().filter(same).nth(nth).map(|(n, _)| n);
        let later = || rows.iter().position(|row| self.named(row).0 >= begun);
        let row = found.or_else(later).unwrap_or(place);
        self.cursor = self.place(row);
        self.top = self.cursor.saturating_sub(above);
    }

    /// The item of a row; of one that is not shown, the next one.
    fn place(&self, row: usize) -> usize {
        let before = |item: &Item| match *item {
            Item::Row(n) => n < row,
            Item::Banner(section) => self.ladder().sections.get(section).is_some_and(|s| s.rows.start <= row),
        };
        let at = self.items.partition_point(before);
        // Of a row in a section that is folded, its banner.
        let is_row = self.items.get(at) == Some(&Item::Row(row));
        let at = if is_row { at } else { at.saturating_sub(usize::from(!self.is_shown(row))) };
        at.min(self.items.len().saturating_sub(1))
    }

    fn is_shown(&self, row: usize) -> bool {
        let section = self.ladder().sections.iter().find(|section| section.rows.contains(&row));
        section.is_some_and(|section| !self.folded.contains(&section.number))
    }

    /// Goes to a row; the section that it is in is unfolded.
    pub(super) fn go_to(&mut self, row: usize) {
        let section = self.ladder().sections.iter().find(|section| section.rows.contains(&row)).map(|s| s.number);
        if section.is_some_and(|number| self.folded.remove(&number)) {
            self.arrange();
        }
        self.sticks = false;
        self.cursor = self.place(row);
        if self.cursor < self.top || self.cursor >= self.top + self.page {
            self.top = self.cursor.saturating_sub(self.page / 3);
        }
    }

    pub(super) fn step(&mut self, by: isize) {
        let last = self.items.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.sticks = self.growing && self.cursor == last && by > 0;
    }

    /// To the next row, past banners.
    pub(super) fn step_row(&mut self, by: isize) {
        let before = self.cursor;
        self.step(by);
        while self.cursor > 0 && self.cursor + 1 < self.items.len() && matches!(self.item(), Some(Item::Banner(_))) {
            self.step(by);
        }
        if matches!(self.item(), Some(Item::Banner(_))) {
            self.cursor = before;
        }
    }

    /// Whether a row stands for sections that are folded into one.
    pub(super) fn stands_for_more(&self, row: usize) -> bool {
        let section = self.ladder().sections.iter().find(|section| section.rows.contains(&row));
        section.is_some_and(|section| section.through > section.number)
    }

    pub(super) fn turn_page(&mut self, by: isize) {
        let by = by * isize::try_from(self.page.max(2) - 1).unwrap_or(1);
        self.top = self.top.saturating_add_signed(by);
        self.step(by);
    }

    pub(super) fn first(&mut self) {
        (self.cursor, self.top, self.sticks) = (0, 0, false);
    }

    pub(super) fn last(&mut self) {
        self.cursor = self.items.len().saturating_sub(1);
        self.sticks = self.growing;
    }

    pub(super) fn scroll(&mut self, by: isize, room: usize) {
        let most = self.sheet.width().saturating_sub(room);
        self.scrolled = self.scrolled.saturating_add_signed(by).min(most);
    }

    /// The next row behind the cursor, or the one before, of these.
    fn jump(&mut self, rows: &[usize], forward: bool) -> bool {
        let Some(now) = self.row() else { return false };
        // On a banner the row under it is not passed yet.
        let on_banner = matches!(self.item(), Some(Item::Banner(_)));
        let next = match forward {
            true => rows.iter().find(|row| **row > now || on_banner && **row == now).or(rows.first()),
            false => rows.iter().rev().find(|row| **row < now).or(rows.last()),
        };
        next.copied().inspect(|row| self.go_to(*row)).is_some()
    }

    /// To the next row with a finding, around the end; whether there is one.
    pub(super) fn jump_finding(&mut self, forward: bool) -> bool {
        let mut rows: Vec<usize> = self.ladder().findings.iter().filter_map(|marked| marked.row).collect();
        rows.sort_unstable();
        rows.dedup();
        self.jump(&rows, forward)
    }

    /// To the next banner, or the one before.
    pub(super) fn jump_section(&mut self, forward: bool) {
        let is_banner = |n: &usize| matches!(self.items.get(*n), Some(Item::Banner(_)));
        let found = match forward {
            true => (self.cursor + 1..self.items.len()).find(is_banner),
            false => (0..self.cursor).rev().find(is_banner),
        };
        if let Some(place) = found {
            (self.cursor, self.top, self.sticks) = (place, place, false);
        }
    }

    /// Looks for a text, from the cursor on; nothing ends the search.
    pub(super) fn search(&mut self, needle: Option<Needle>) -> bool {
        self.needle = needle;
        self.find();
        let here = self.row().is_some_and(|row| self.hits.binary_search(&row).is_ok());
        here || self.jump_hit(true)
    }

    /// To the next hit, around the end; whether there is one.
    pub(super) fn jump_hit(&mut self, forward: bool) -> bool {
        let hits = std::mem::take(&mut self.hits);
        let found = self.jump(&hits, forward);
        self.hits = hits;
        found
    }

    /// Which hit is at the cursor, from 1, and of how many.
    pub(super) fn hit(&self) -> (usize, usize) {
        let row = self.row().unwrap_or(0);
        (self.hits.partition_point(|hit| *hit <= row), self.hits.len())
    }

    fn find(&mut self) {
        self.hits.clear();
        let Some(needle) = &self.needle else { return };
        let shown = self.filter.shown(&self.session, self.sheet.ladder());
        let holds = |row: &Row| {
            needle.is_in_both(&row.label, &row.detail)
                || row.remark.as_ref().is_some_and(|remark| needle.is_in(&remark.text))
        };
        let rows = self.sheet.ladder().rows.iter().zip(shown).enumerate();
        self.hits.extend(rows.filter(|(_, (row, shown))| *shown && holds(row)).map(|(n, _)| n));
        // A banner is found at the row under it.
        let sections = self.sheet.ladder().sections.iter().filter(|section| needle.is_in(&section.title));
        self.hits.extend(sections.map(|section| section.rows.start));
        self.hits.sort_unstable();
        self.hits.dedup();
    }

    /// Folds the section at the cursor, or unfolds it.
    pub(super) fn fold(&mut self) {
        let Some(row) = self.row() else { return };
        let Some(at) = self.ladder().sections.iter().position(|s| s.rows.contains(&row)) else { return };
        let Some(number) = self.ladder().sections.get(at).map(|s| s.number) else { return };
        if !self.folded.remove(&number) {
            self.folded.insert(number);
        }
        self.sticks = false;
        self.arrange();
        self.cursor = self.items.iter().position(|item| *item == Item::Banner(at)).unwrap_or(self.cursor);
    }

    pub(super) fn fold_all(&mut self, fold: bool) {
        let anchor = self.anchor();
        self.folded.clear();
        if fold {
            self.folded.extend(self.sheet.ladder().sections.iter().map(|section| section.number));
        }
        self.arrange();
        self.restore(anchor);
    }

    /// The ladder without the rows that are filtered out.
    pub(super) fn shown(&self) -> Ladder {
        let mut ladder = self.ladder().clone();
        if self.filter != Filter::All {
            let shown = self.filter.shown(&self.session, &ladder);
            ladder.retain(|row, _| shown.get(row) == Some(&true));
        }
        ladder
    }

    /// The lines of an item.
    fn lines(&self, item: Item) -> Vec<Glyphs> {
        let colour = self.text.colour;
        let lines = match item {
            Item::Banner(section) => self.sheet.banner(section),
            Item::Row(row) => self.sheet.row(row),
        };
        let mut lines: Vec<Glyphs> = lines.iter().map(|line| Glyphs::of(line, colour)).collect();
        if let (Item::Banner(section), Some(line)) = (item, lines.last_mut()) {
            self.folding(section, line);
        }
        lines
    }

    /// The sign before a section's number, and how much is folded in it.
    fn folding(&self, section: usize, line: &mut Glyphs) {
        let Some(section) = self.ladder().sections.get(section) else { return };
        let folded = self.folded.contains(&section.number);
        let signs = if self.text.ascii { ["-", "+"] } else { ["▾", "▸"] };
        let [open, shut] = signs;
        line.over(2, if folded { shut } else { open }, Style::new());
        if folded {
            let rows = match section.rows.len() {
                1 => " 1 row ".to_owned(),
                n => format!(" {n} rows "),
            };
            let end = line.width().saturating_sub(rows.len() + 4);
            line.over(end, &rows, Style::new().add_modifier(Modifier::DIM));
        }
    }

    fn height(&self, place: usize) -> usize {
        self.items.get(place).map_or(1, |item| self.lines(*item).len())
    }

    /// Moves what is in view until the cursor is in it.
    fn settle(&mut self, room: usize) {
        let fill = |end: usize| {
            let mut used = self.height(end);
            let mut first = end;
            while let Some(before) = first.checked_sub(1) {
                used += self.height(before);
                if used > room {
                    break;
                }
                first = before;
            }
            first
        };
        let last = self.items.len().saturating_sub(1);
        let least = fill(self.cursor);
        let most = if last.saturating_sub(self.top) < room { fill(last) } else { last };
        self.top = self.top.max(least).min(most).min(self.cursor);
    }

    /// Draws it: what it is, the heads of its lanes, its rows.
    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect) {
        let room = usize::from(area.width);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut y = area.y;
        let end = area.bottom();
        for line in self.sheet.title().iter().take(3) {
            Glyphs::of(line, self.text.colour).paint(buffer, area.x, y, room, 0, 0);
            y += 1;
        }
        let margin = self.sheet.margin();
        for line in self.sheet.heads() {
            if y < end {
                Glyphs::of(&line, self.text.colour).paint(buffer, area.x, y, room, margin, self.scrolled);
            }
            y += 1;
        }
        self.settle(usize::from(end.saturating_sub(y)));
        self.page = 0;
        let hit = hit_style(self.text.colour);
        for place in self.top..self.items.len() {
            let Some(item) = self.items.get(place).copied() else { break };
            for (n, mut line) in self.lines(item).into_iter().enumerate() {
                if y >= end {
                    return;
                }
                if let Some(needle) = &self.needle {
                    line.highlight(needle, hit);
                }
                // Over a banner the lanes go on.
                let has_cursor = matches!(item, Item::Row(_)) || n > 0 || self.height(place) == 1;
                if place == self.cursor && has_cursor {
                    let sign = if self.text.ascii { ">" } else { "▌" };
                    line.over(0, sign, bold);
                    let columns = if matches!(item, Item::Row(_)) { margin.saturating_sub(1) } else { room };
                    line.mark(1..columns, Style::new().add_modifier(Modifier::REVERSED));
                }
                line.paint(buffer, area.x, y, room, margin, self.scrolled);
                y += 1;
            }
            self.page += 1;
        }
    }

    /// When the row at the cursor was: `0.157 s`.
    pub(super) fn seconds(&self) -> Option<String> {
        let row = self.ladder().rows.get(self.row()?)?;
        Some(format!("{} s", self.ladder().seconds(row)))
    }
}

/// How a hit of a search looks.
pub(super) fn hit_style(colour: bool) -> Style {
    match colour {
        true => Style::new().fg(ratatui::style::Color::Black).bg(ratatui::style::Color::Yellow),
        false => Style::new().add_modifier(Modifier::REVERSED),
    }
}

fn set_out(ladder: Ladder, text: &TextOptions, growing: bool, all_lanes: bool, before: Option<&Sheet>) -> Sheet {
    match (all_lanes, growing) {
        (true, _) => Sheet::unfolded(ladder, text.clone()),
        (false, true) => Sheet::steady(ladder, text.clone(), before),
        (false, false) => Sheet::new(ladder, text.clone()),
    }
}
