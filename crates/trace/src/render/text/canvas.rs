//! Lines of cells with colours.

use crate::ladder::Tone;

use crate::render::wrap::{cells, cells_of};

/// What a cell is, for its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// As any text.
    #[default]
    Plain,
    /// A name, a heading.
    Bold,
    /// What may be passed over.
    Dim,
    /// Lines of the drawing, times.
    Faint,
    /// A row's own colour.
    Tone(Tone),
}

impl Ink {
    /// The parameters of the SGR sequence (ECMA-48 section 8.3.117) that terminals know it by; empty for [`Ink::Plain`].
    pub const fn sgr(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Faint | Ink::Tone(Tone::Tcp | Tone::Quiet) => "90",
            Ink::Tone(Tone::User) => "1;34",
            Ink::Tone(Tone::Command) => "34",
            Ink::Tone(Tone::Dns) => "35",
            Ink::Tone(Tone::Preliminary) => "37",
            Ink::Tone(Tone::Completion) => "32",
            Ink::Tone(Tone::Intermediate) => "33",
            Ink::Tone(Tone::Transient) => "38;5;208",
            Ink::Tone(Tone::Permanent) => "1;31",
            Ink::Tone(Tone::Data) => "36",
        }
    }
}

/// One cell; the second one of a wide character is covered.
#[derive(Clone, Debug, Default)]
enum Cell {
    #[default]
    Blank,
    Char(char, Ink),
    /// With characters that take no cell of their own, such as accents.
    Joined(char, Ink, String),
    Covered,
}

/// A line of a drawing: cells with colours.
#[derive(Clone, Debug)]
pub struct Line {
    cells: Vec<Cell>,
}

impl Line {
    pub(super) fn new(width: usize) -> Line {
        Line { cells: vec![Cell::Blank; width] }
    }

    /// A line that is this text.
    pub(crate) fn of(text: &str, ink: Ink) -> Line {
        let mut line = Line::new(cells(text));
        line.put(0, text, ink);
        line
    }

    /// Puts a text at a cell. What does not fit into the line is left out.
    pub(super) fn put(&mut self, x: usize, text: &str, ink: Ink) {
        let mut at = x;
        for c in text.chars() {
            match cells_of(c) {
                0 => self.join(at, c),
                wide => {
                    if at + wide > self.cells.len() {
                        return;
                    }
                    self.set(at, Cell::Char(c, ink));
                    (1..wide).for_each(|more| self.set(at + more, Cell::Covered));
                    at += wide;
                }
            }
        }
    }

    /// Puts the same character at some cells.
    pub(super) fn fill(&mut self, cells: std::ops::Range<usize>, c: char, ink: Ink) {
        cells.for_each(|x| self.set(x, Cell::Char(c, ink)));
    }

    /// A character of no width belongs to the one before it. The one that asks for an emoji's shape, and so for two
    /// cells where one is reckoned with, is left out.
    fn join(&mut self, at: usize, mark: char) {
        if mark == '\u{fe0f}' || mark.is_control() {
            return;
        }
        let before = at.checked_sub(1).and_then(|i| self.cells.get(i).map(|c| (i, c)));
        let i = match before {
            Some((i, Cell::Covered)) => i.saturating_sub(1),
            Some((i, _)) => i,
            None => return,
        };
        if let Some(cell) = self.cells.get_mut(i) {
            match cell {
                Cell::Char(c, ink) => *cell = Cell::Joined(*c, *ink, mark.into()),
                // A tower of accents is a way to draw over other lines.
                Cell::Joined(_, _, marks) if marks.chars().count() < 3 => marks.push(mark),
                _ => {}
            }
        }
    }

    fn set(&mut self, x: usize, cell: Cell) {
        if let Some(slot) = self.cells.get_mut(x) {
            *slot = cell;
        }
    }

    /// The line as runs of one ink each, without blanks at its end.
    pub fn spans(&self) -> Vec<(Ink, String)> {
        let mut spans: Vec<(Ink, String)> = Vec::new();
        for (c, ink, marks) in self.shown() {
            let same = spans.last().is_some_and(|(last, _)| c == ' ' || *last == ink);
            if !same {
                spans.push((ink, String::new()));
            }
            if let Some((_, text)) = spans.last_mut() {
                text.push(c);
                text.push_str(marks);
            }
        }
        spans
    }

    /// The characters up to the last that is not blank, each with its ink and what is joined to it.
    fn shown(&self) -> impl Iterator<Item = (char, Ink, &str)> {
        let last = self.cells.iter().rposition(|c| !matches!(c, Cell::Blank | Cell::Char(' ', _)));
        self.cells.iter().take(last.map_or(0, |last| last + 1)).filter_map(|cell| match cell {
            Cell::Blank => Some((' ', Ink::Plain, "")),
            Cell::Char(c, ink) => Some((*c, *ink, "")),
            Cell::Joined(c, ink, marks) => Some((*c, *ink, marks.as_str())),
            Cell::Covered => None,
        })
    }

    /// Appends the line and its end, without blanks before that; colours are ANSI escape sequences.
    pub fn write(&self, out: &mut String, colour: bool) {
        let mut now = Ink::Plain;
        for (c, ink, marks) in self.shown() {
            let ink = if c == ' ' { now } else { ink };
            if colour && ink.sgr() != now.sgr() {
                let reset = if now.sgr().is_empty() { "" } else { "0;" };
                match ink.sgr() {
                    "" => out.push_str("\x1b[0m"),
                    sgr => out.extend(["\x1b[", reset, sgr, "m"]),
                }
            }
            now = ink;
            out.push(c);
            out.push_str(marks);
        }
        if colour && !now.sgr().is_empty() {
            out.push_str("\x1b[0m");
        }
        out.push('\n');
    }
}
