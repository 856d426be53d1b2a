//! One row with all that is known of it, and its bytes.

use std::borrow::Cow;

use port21_trace::Message;
use port21_trace::findings::Severity;
use port21_trace::ladder::Tone;
use port21_trace::render::{Ink, in_ascii, wrapped};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::ladder::Opened;
use super::style::{Glyphs, style};

/// The columns of the names of facts.
const NAMES: usize = 24;

/// So many bytes stand in a line, where there is room; else half of them.
const BYTES: usize = 16;
const ROOM: usize = 80;

/// A row that is read.
#[derive(Debug)]
pub(super) struct Reading {
    message: Message,
    /// All but the bytes, laid out.
    lines: Vec<Glyphs>,
    /// For this width.
    width: usize,
    top: usize,
    page: usize,
}

impl Reading {
    /// Reads the row at the cursor.
    pub(super) fn new(opened: &Opened) -> Option<Reading> {
        let message = Message::of(opened.session(), opened.ladder(), opened.row()?)?;
        Some(Reading { message, lines: Vec::new(), width: 0, top: 0, page: 1 })
    }

    pub(super) fn step(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by);
    }

    pub(super) fn turn_page(&mut self, by: isize) {
        self.step(by * isize::try_from(self.page.max(2) - 1).unwrap_or(1));
    }

    pub(super) fn first(&mut self) {
        self.top = 0;
    }

    pub(super) fn last(&mut self) {
        self.top = usize::MAX;
    }

    /// How many bytes stand in a line.
    fn each(&self) -> usize {
        if self.width >= ROOM { BYTES } else { BYTES / 2 }
    }

    fn lay_out(&mut self, opened: &Opened, width: usize, ascii: bool, colour: bool) {
        (self.width, self.lines) = (width, Vec::new());
        let say = |text: &str| if ascii { in_ascii(text).into_owned() } else { text.to_owned() };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let dim = style(Ink::Dim, colour);
        let room = width.saturating_sub(NAMES + 2).max(20);
        let Reading { message, lines, .. } = self;
        lines.push(Glyphs::text(&format!(" {}", say(&message.title)), bold));
        lines.push(Glyphs::default());
        for (name, value) in &message.facts {
            for (n, part) in wrapped(&say(value), room).iter().enumerate() {
                let name = if n == 0 { name } else { "" };
                let mut line = Glyphs::text(&format!(" {name:<NAMES$}"), dim);
                line.push(part, Style::new());
                lines.push(line);
            }
        }
        if !message.lines.is_empty() {
            lines.push(Glyphs::default());
            for text in &message.lines {
                let parts = wrapped(&say(text), width.saturating_sub(4).max(20));
                lines.extend(parts.iter().map(|part| Glyphs::text(&format!("  {part}"), Style::new())));
            }
        }
        for marked in message.findings.iter().filter_map(|n| opened.ladder().findings.get(*n)) {
            lines.push(Glyphs::default());
            lines.push(severity(marked.finding.rule.severity, marked.finding.rule.name, colour));
            for (text, style) in [(marked.finding.text.as_str(), Style::new()), (marked.finding.rule.advice, dim)] {
                let parts = wrapped(&say(text), width.min(110).saturating_sub(12).max(20));
                lines.extend(parts.iter().map(|part| Glyphs::text(&format!("          {part}"), style)));
            }
        }
        lines.push(Glyphs::default());
        let about = match message.bytes.len() {
            0 => Cow::Borrowed(message.about_bytes),
            n => Cow::Owned(format!("{}. {}", port21_trace::words::bytes(n as u64), message.about_bytes)),
        };
        let parts = wrapped(&about, width.min(110).saturating_sub(2).max(20));
        lines.extend(parts.iter().map(|part| Glyphs::text(&format!(" {part}"), dim)));
    }

    pub(super) fn draw(&mut self, opened: &Opened, ascii: bool, colour: bool, buffer: &mut Buffer, area: Rect) {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        if self.width != width {
            self.lay_out(opened, width, ascii, colour);
        }
        self.page = height.max(1);
        let all = self.lines.len() + self.message.bytes.len().div_ceil(self.each());
        self.top = self.top.min(all.saturating_sub(height));
        for (y, n) in (area.y..area.bottom()).zip(self.top..all) {
            match self.lines.get(n) {
                Some(line) => line.paint(buffer, area.x, y, width, 0, 0),
                None => self.bytes(n - self.lines.len()).paint(buffer, area.x, y, width, 0, 0),
            }
        }
    }

    /// A line of bytes: where it begins, in hexadecimal, and as text.
    fn bytes(&self, n: usize) -> Glyphs {
        let each = self.each();
        let bytes = self.message.bytes.chunks(each).nth(n).unwrap_or_default();
        let mut hex: String = bytes.iter().map(|b| format!("{b:02x} ")).collect();
        hex.extend(std::iter::repeat_n(' ', 3 * (each - bytes.len())));
        let text: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        Glyphs::text(&format!("  {:08x}  {hex} {text}", n * each), Style::new())
    }
}

/// The head of a finding.
pub(super) fn severity(severity: Severity, rule: &str, colour: bool) -> Glyphs {
    let (word, ink) = match severity {
        Severity::Fault => ("FAULT", Ink::Tone(Tone::Permanent)),
        Severity::Warning => ("WARNING", Ink::Tone(Tone::Transient)),
        Severity::Note => ("NOTE", Ink::Dim),
    };
    let mut line = Glyphs::text(&format!(" {word:<9}"), style(ink, colour));
    line.push(rule, style(Ink::Faint, colour));
    line
}
