//! What a picture is made of. All numbers are whole pixels.

use super::looks::Look;
use crate::ladder::Tone;

/// One thing that is drawn, or that holds others together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::render) enum Mark {
    /// Words on a base line.
    Text { at: Point, look: Look, anchor: Anchor, text: String },
    /// A rectangle with round corners.
    Rect { at: Point, size: Point, radius: i64, look: Look },
    /// A line.
    Line { from: Point, to: Point, look: Look },
    /// The head of an arrow whose point is here.
    Head { at: Point, right: bool, tone: Tone },
    /// A cross with its middle here.
    Cross { at: Point, tone: Tone },
    /// The begin of what belongs together: a section, or a row with all of it in words.
    Begin { section: Option<usize>, tip: String },
    /// The end of it.
    End,
    /// The begin of a link to a section.
    Link { section: usize },
    /// The end of it.
    EndLink,
}

/// To the right, and down.
pub(in crate::render) type Point = (i64, i64);

/// Where a text's anchor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::render) enum Anchor {
    Start,
    Middle,
    End,
}

/// Marks in the order in which they are drawn.
#[derive(Clone, Debug, Default)]
pub(in crate::render) struct Sketch {
    pub(in crate::render) marks: Vec<Mark>,
}

impl Sketch {
    pub(in crate::render) fn text(&mut self, x: i64, y: i64, look: Look, anchor: Anchor, text: &str) {
        self.marks.push(Mark::Text { at: (x, y), look, anchor, text: text.to_owned() });
    }

    pub(super) fn rect(&mut self, x: i64, y: i64, width: i64, height: i64, radius: i64, look: Look) {
        self.marks.push(Mark::Rect { at: (x, y), size: (width, height), radius, look });
    }

    pub(in crate::render) fn line(&mut self, from: Point, to: Point, look: Look) {
        self.marks.push(Mark::Line { from, to, look });
    }

    pub(super) fn head(&mut self, x: i64, y: i64, right: bool, tone: Tone) {
        self.marks.push(Mark::Head { at: (x, y), right, tone });
    }

    pub(super) fn cross(&mut self, x: i64, y: i64, tone: Tone) {
        self.marks.push(Mark::Cross { at: (x, y), tone });
    }

    pub(super) fn begin(&mut self, section: Option<usize>, tip: String) {
        self.marks.push(Mark::Begin { section, tip });
    }

    pub(super) fn end(&mut self) {
        self.marks.push(Mark::End);
    }

    pub(super) fn link(&mut self, section: usize) {
        self.marks.push(Mark::Link { section });
    }

    pub(super) fn end_link(&mut self) {
        self.marks.push(Mark::EndLink);
    }
}
