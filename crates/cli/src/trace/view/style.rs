//! Lines of the drawing on a terminal: cells with a style, of which a part is shown.

use port21_trace::render::{Ink, Line};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar as _;

/// One character with what is joined to it.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    text: String,
    width: usize,
    style: Style,
}

/// A line on its way to the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Glyphs(Vec<Glyph>);

impl Glyphs {
    /// A line of the drawing.
    pub(super) fn of(line: &Line, colour: bool) -> Glyphs {
        let mut glyphs = Glyphs::default();
        for (ink, text) in line.spans() {
            glyphs.push(&text, style(ink, colour));
        }
        glyphs
    }

    /// A text of one style.
    pub(super) fn text(text: &str, style: Style) -> Glyphs {
        let mut glyphs = Glyphs::default();
        glyphs.push(text, style);
        glyphs
    }

    /// Adds a text.
    pub(super) fn push(&mut self, text: &str, style: Style) {
        for c in text.chars() {
            match (c.width().unwrap_or(0), self.0.last_mut()) {
                (0, Some(last)) if !c.is_control() => last.text.push(c),
                (0, _) => {}
                (width, _) => self.0.push(Glyph { text: c.into(), width, style }),
            }
        }
    }

    /// Adds a line.
    pub(super) fn append(&mut self, other: Glyphs) {
        self.0.extend(other.0);
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|glyph| glyph.width).sum()
    }

    /// Gives a further style to columns.
    pub(super) fn mark(&mut self, columns: std::ops::Range<usize>, style: Style) {
        let mut at = 0;
        for glyph in &mut self.0 {
            if columns.contains(&at) {
                glyph.style = glyph.style.patch(style);
            }
            at += glyph.width;
        }
    }

    /// Puts a text over what stands at a column.
    pub(super) fn over(&mut self, column: usize, text: &str, style: Style) {
        let mut at = 0;
        let mut chars = text.chars().peekable();
        for glyph in &mut self.0 {
            if at >= column && glyph.width == 1 {
                let Some(c) = chars.next() else { return };
                *glyph = Glyph { text: c.into(), width: 1, style };
            }
            at += glyph.width;
        }
        while at < column {
            self.push(" ", Style::new());
            at += 1;
        }
        self.push(&chars.collect::<String>(), style);
    }

    /// Marks each place where `needle` stands.
    pub(super) fn highlight(&mut self, needle: &Needle, style: Style) {
        let count = needle.chars.len();
        let mut at = 0;
        while count > 0 && at + count <= self.0.len() {
            let here = self.0.get(at..at + count).unwrap_or_default();
            let same = here
                .iter()
                .zip(&needle.chars)
                .all(|(glyph, c)| glyph.text.chars().next().map(|has| needle.fold(has)) == Some(*c));
            if same {
                self.0.iter_mut().skip(at).take(count).for_each(|glyph| glyph.style = glyph.style.patch(style));
            }
            at += if same { count } else { 1 };
        }
    }

    /// Puts it on the screen: the first `margin` columns, and behind them those from `scrolled` further on.
    pub(super) fn paint(&self, buffer: &mut Buffer, x: u16, y: u16, room: usize, margin: usize, scrolled: usize) {
        let mut at = 0;
        for glyph in &self.0 {
            let column = if at < margin { Some(at) } else { at.checked_sub(scrolled).filter(|at| *at >= margin) };
            at += glyph.width;
            let Some(column) = column.filter(|column| column + glyph.width <= room) else { continue };
            let Some(x) = u16::try_from(column).ok().and_then(|column| x.checked_add(column)) else { return };
            buffer.set_string(x, y, &glyph.text, glyph.style);
        }
    }
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needle {
    /// As it was typed.
    pub(super) text: String,
    chars: Vec<char>,
    exact: bool,
}

impl Needle {
    /// Small letters mean large ones, too.
    pub(super) fn new(text: &str) -> Needle {
        let exact = text.chars().any(char::is_uppercase);
        Needle { text: text.to_owned(), chars: text.chars().collect(), exact }
    }

    fn fold(&self, c: char) -> char {
        if self.exact { c } else { c.to_lowercase().next().unwrap_or(c) }
    }

    /// Whether a text holds it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.exact {
            return text.contains(&self.text);
        }
        let needle = self.text.as_bytes();
        if self.text.is_ascii() {
            return text.as_bytes().windows(needle.len().max(1)).any(|part| part.eq_ignore_ascii_case(needle));
        }
        let folded: String = text.chars().map(|c| self.fold(c)).collect();
        folded.contains(&self.text)
    }

    /// Whether two texts hold it that are shown with a blank between them.
    pub(super) fn is_in_both(&self, one: &str, other: &str) -> bool {
        let across = || self.chars.contains(&' ') && self.is_in(&format!("{one} {other}"));
        self.is_in(one) || self.is_in(other) || across()
    }
}

/// How an ink looks: what its SGR sequence says, or without colours how strong it is.
pub(super) fn style(ink: Ink, colour: bool) -> Style {
    let mut style = Style::new();
    let mut parameters = ink.sgr().split(';').filter_map(|n| n.parse::<u8>().ok());
    while let Some(parameter) = parameters.next() {
        style = match parameter {
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            30..=37 if colour => style.fg(Color::Indexed(parameter - 30)),
            90..=97 if colour => style.fg(Color::Indexed(parameter - 82)),
            38 => match (parameters.next(), parameters.next()) {
                (Some(5), Some(index)) if colour => style.fg(Color::Indexed(index)),
                _ => style,
            },
            _ => style,
        };
    }
    style
}

#[cfg(test)]
mod tests {
    use port21_trace::ladder::Tone;

    use super::*;

    #[test]
    fn inks_look_as_their_sequences_say() {
        assert_eq!(style(Ink::Plain, true), Style::new());
        assert_eq!(style(Ink::Tone(Tone::Command), true), Style::new().fg(Color::Indexed(4)));
        assert_eq!(style(Ink::Tone(Tone::Transient), true), Style::new().fg(Color::Indexed(208)));
        assert_eq!(style(Ink::Faint, true), Style::new().fg(Color::Indexed(8)));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        assert_eq!(style(Ink::Tone(Tone::Permanent), false), bold);
    }

    #[test]
    fn needles_and_columns() {
        assert!(Needle::new("retr").is_in("RETR a") && !Needle::new("Retr").is_in("RETR a"));
        let mut glyphs = Glyphs::text("日本 abc", Style::new());
        assert_eq!(glyphs.width(), 8);
        glyphs.over(5, "X", Style::new());
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, 6, 1));
        glyphs.paint(&mut buffer, 0, 0, 6, 2, 2);
        assert_eq!(buffer, Buffer::with_lines(["日 Xbc"]));
    }
}
