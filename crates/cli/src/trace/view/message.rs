//! One row with all that is known of it, and its bytes.

use std::borrow::Cow;
use std::ops::Range;

use port21_trace::Message;
use port21_trace::capture::{Found, Frame};
use port21_trace::findings::Severity;
use port21_trace::ladder::Tone;
use port21_trace::render::{Ink, in_ascii, wrapped};
use port21_trace::words::{bytes as in_bytes, counted};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::frames::Answer;
use super::ladder::Opened;
use super::style::{Glyphs, style};

/// The columns of the names of facts.
const NAMES: usize = 24;

/// The columns of the names of layers.
const LAYERS: usize = 13;

/// So many bytes stand in a line, where there is room; else half of them.
const BYTES: usize = 16;
const ROOM: usize = 80;

/// A row that is read.
#[derive(Debug)]
pub(super) struct Reading {
    message: Message,
    /// Its event, and what is known of the frames that it came in.
    pub(super) event: Option<usize>,
    frames: Captured,
    lines: Vec<Line>,
    /// For this width.
    width: usize,
    top: usize,
    page: usize,
}

/// What is known of the frames of a row.
#[derive(Debug)]
pub(super) enum Captured {
    /// There are none: this was not captured, or cannot be read again, as a sentence then says.
    No(&'static str),
    /// They are being looked for.
    Sought,
    /// They were looked for.
    Found(Answer),
}

/// A line of the screen.
#[derive(Debug)]
enum Line {
    Text(Glyphs),
    /// Bytes of a frame, by its index, or those that are kept.
    Bytes(Option<usize>, Range<usize>),
}

impl Reading {
    /// Reads the row at the cursor.
    pub(super) fn new(opened: &Opened, frames: Captured) -> Option<Reading> {
        let row = opened.row()?;
        let event = opened.ladder().rows.get(row)?.event;
        let message = Message::of(opened.session(), opened.ladder(), row)?;
        let frames = if event.is_some() { frames } else { Captured::No("") };
        Some(Reading { message, event, frames, lines: Vec::new(), width: 0, top: 0, page: 1 })
    }

    /// Whether frames are looked for.
    pub(super) fn is_sought(&self) -> bool {
        matches!(self.frames, Captured::Sought)
    }

    /// Its frames were looked for.
    pub(super) fn found(&mut self, answer: Answer) {
        // All is laid out anew.
        (self.frames, self.width) = (Captured::Found(answer), 0);
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
        self.width = width;
        let page = Page { width, ascii, colour };
        let mut lines = page.message(&self.message, opened);
        match &self.frames {
            Captured::Found(Ok(found)) if !found.frames.is_empty() => lines.extend(page.found(found, self.each())),
            frames => {
                let all = 0..self.message.bytes.len();
                let count = in_bytes(all.len() as u64);
                lines.extend(match all.len() {
                    0 => page.words(self.message.about_bytes),
                    _ => page.words(&format!("{count}. {}", self.message.about_bytes)),
                });
                lines.extend(page.missing(frames));
                lines.extend(each(None, all, self.each()));
            }
        }
        self.lines = lines;
    }

    pub(super) fn draw(&mut self, opened: &Opened, ascii: bool, colour: bool, buffer: &mut Buffer, area: Rect) {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        if self.width != width {
            self.lay_out(opened, width, ascii, colour);
        }
        self.page = height.max(1);
        self.top = self.top.min(self.lines.len().saturating_sub(height));
        for (y, line) in (area.y..area.bottom()).zip(self.lines.iter().skip(self.top)) {
            let bytes;
            let line = match line {
                Line::Text(line) => line,
                Line::Bytes(frame, part) => {
                    bytes = self.bytes(*frame, part);
                    &bytes
                }
            };
            line.paint(buffer, area.x, y, width, 0, 0);
        }
    }

    /// A line of bytes: where it begins, in hexadecimal, and as text.
    fn bytes(&self, frame: Option<usize>, part: &Range<usize>) -> Glyphs {
        let all = match (&self.frames, frame) {
            (Captured::Found(Ok(found)), Some(frame)) => found.frames.get(frame).map(|frame| &frame.bytes),
            _ => Some(&self.message.bytes),
        };
        let bytes = all.and_then(|all| all.get(part.clone())).unwrap_or_default();
        let mut hex: String = bytes.iter().map(|b| format!("{b:02x} ")).collect();
        hex.extend(std::iter::repeat_n(' ', 3 * self.each().saturating_sub(bytes.len())));
        let text: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        Glyphs::text(&format!("  {:08x}  {hex} {text}", part.start), Style::new())
    }
}

/// Bytes in lines of so many.
fn each(frame: Option<usize>, all: Range<usize>, each: usize) -> impl Iterator<Item = Line> {
    let end = all.end;
    all.step_by(each).map(move |at| Line::Bytes(frame, at..(at + each).min(end)))
}

/// How text is laid out.
struct Page {
    width: usize,
    ascii: bool,
    colour: bool,
}

impl Page {
    fn say<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.ascii { in_ascii(text) } else { Cow::Borrowed(text) }
    }

    fn dim(&self) -> Style {
        style(Ink::Dim, self.colour)
    }

    /// What is said of all, in the width that is read with ease.
    fn words(&self, text: &str) -> Vec<Line> {
        let parts = wrapped(&self.say(text), self.width.min(110).saturating_sub(2).max(20));
        parts.iter().map(|part| Line::Text(Glyphs::text(&format!(" {part}"), self.dim()))).collect()
    }

    /// A name, and what is to be said of it.
    fn fact(&self, name: &str, names: usize, value: &str) -> Vec<Line> {
        let parts = wrapped(&self.say(value), self.width.saturating_sub(names + 2).max(20));
        let line = |(n, part): (usize, &String)| {
            let mut line = Glyphs::text(&format!(" {:<names$}", if n == 0 { name } else { "" }), self.dim());
            line.push(part, Style::new());
            Line::Text(line)
        };
        parts.iter().enumerate().map(line).collect()
    }

    /// All but the bytes.
    fn message(&self, message: &Message, opened: &Opened) -> Vec<Line> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut lines = vec![Line::Text(Glyphs::text(&format!(" {}", self.say(&message.title)), bold)), Line::blank()];
        lines.extend(message.facts.iter().flat_map(|(name, value)| self.fact(name, NAMES, value)));
        if !message.lines.is_empty() {
            lines.push(Line::blank());
            for text in &message.lines {
                let parts = wrapped(&self.say(text), self.width.saturating_sub(4).max(20));
                lines.extend(parts.iter().map(|p| Line::Text(Glyphs::text(&format!("  {p}"), Style::new()))));
            }
        }
        for marked in message.findings.iter().filter_map(|n| opened.ladder().findings.get(*n)) {
            let rule = marked.finding.rule;
            lines.push(Line::blank());
            lines.push(Line::Text(severity(rule.severity, rule.name, self.colour)));
            for (text, style) in [(marked.finding.text.as_str(), Style::new()), (rule.advice, self.dim())] {
                let parts = wrapped(&self.say(text), self.width.min(110).saturating_sub(12).max(20));
                lines.extend(parts.iter().map(|p| Line::Text(Glyphs::text(&format!("          {p}"), style))));
            }
        }
        lines.push(Line::blank());
        lines
    }

    /// Why no frames are shown.
    fn missing(&self, frames: &Captured) -> Vec<Line> {
        match frames {
            Captured::No("") => Vec::new(),
            Captured::No(why) => self.words(why),
            Captured::Sought => self.words("The capture is read for the frames of this row."),
            Captured::Found(Ok(found)) if found.notes.is_empty() => Vec::new(),
            Captured::Found(Ok(found)) => found.notes.iter().flat_map(|note| self.words(note)).collect(),
            Captured::Found(Err(why)) => self.words(why),
        }
    }

    /// Frames, layer by layer.
    fn found(&self, found: &Found, in_line: usize) -> Vec<Line> {
        let shown = found.frames.len();
        let mut lines = match found.count {
            1 => Vec::new(),
            n if n == shown as u64 => self.words(&format!("It came in {n} frames.")),
            n => {
                let frames = counted(n, "frame", "frames");
                self.words(&format!("It came in {frames}: these are the first {shown}."))
            }
        };
        lines.extend(found.notes.iter().flat_map(|note| self.words(note)));
        for (n, frame) in found.frames.iter().enumerate() {
            if !lines.is_empty() {
                lines.push(Line::blank());
            }
            lines.push(Line::Text(Glyphs::text(
                &format!(" {}", self.say(&head(frame))),
                Style::new().add_modifier(Modifier::BOLD),
            )));
            if frame.masked {
                lines.extend(
                    self.words("A secret is in it: * stands for each of its bytes, and for what comes behind it."),
                );
            }
            for layer in &frame.layers {
                lines.extend(self.fact(layer.name, LAYERS, &layer.says));
                lines.extend(each(Some(n), layer.bytes.clone(), in_line));
            }
        }
        lines
    }
}

impl Line {
    fn blank() -> Line {
        Line::Text(Glyphs::default())
    }
}

/// `Frame 12 of a.pcap, 2026-07-01T12:00:00.000000000Z, 1,514 bytes, 96 bytes captured`.
fn head(frame: &Frame) -> String {
    let of = frame.file.as_ref().map(|file| format!(" of {file}")).unwrap_or_default();
    let length = in_bytes(frame.length.into());
    let cut = match frame.bytes.len() {
        all if all as u64 >= u64::from(frame.length) => String::new(),
        some => format!(", {} captured", in_bytes(some as u64)),
    };
    format!("Frame {}{of}, {:.9}, {length}{cut}", frame.number, frame.at.timestamp())
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
