//! What stands before the lanes.

use super::looks::Look;
use super::marks::Anchor;
use super::measure::{BODY, TITLE};
use super::{MARGIN, Picture, numbers};
use crate::findings::Severity;
use crate::ladder::{Listed, Marked, Tone};
use crate::words;

/// Lines of the opening and of findings are no longer: longer ones are hard to read.
const LINE: i64 = 900;
/// The width of what stands before a finding: how much it matters.
const ASIDE: i64 = 66;

impl Picture<'_> {
    /// The title, and beside it the program and the date, or what else stands there.
    pub(in crate::render) fn title(&mut self, aside: &[&str]) {
        let widest = aside.iter().map(|line| BODY.width(line)).max().unwrap_or(0);
        let room = self.layout.width - 2 * MARGIN - widest - 24;
        let end = self.layout.width - MARGIN;
        let mut below = 36;
        for line in aside {
            self.sketch.text(end, below, Look::Faint, Anchor::End, line);
            below += 20;
        }
        self.y = 36;
        for (i, part) in TITLE.wrap(&self.ladder.title, room, 3).iter().enumerate() {
            self.y += if i > 0 { 24 } else { 0 };
            self.sketch.text(MARGIN, self.y, Look::Title, Anchor::Start, part);
        }
        self.y += 22;
        for part in BODY.wrap(&self.ladder.summary.join(" · "), room, 3) {
            self.sketch.text(MARGIN, self.y, Look::Facts, Anchor::Start, &part);
            self.y += 17;
        }
        self.y += 9;
    }

    /// What the session is.
    pub(in crate::render) fn opening(&mut self) {
        for part in BODY.wrap(&self.ladder.opening, (self.layout.width - 2 * MARGIN).min(LINE), 8) {
            self.sketch.text(MARGIN, self.y, Look::Faint, Anchor::Start, &part);
            self.y += 17;
        }
    }

    /// A finding: how much it matters, what it is, when, and what can be done. It leads to its section.
    pub(in crate::render) fn finding(&mut self, listed: &Listed<'_>) {
        let Marked { finding, row, at } = listed.marked;
        let room = (self.layout.width - 2 * MARGIN).min(LINE) - ASIDE;
        let (word, tone) = match finding.rule.severity {
            Severity::Fault => ("Fault", Tone::Permanent),
            Severity::Warning => ("Warning", Tone::Transient),
            Severity::Note => ("Note", Tone::Quiet),
        };
        self.y += 6;
        let mut sections = self.ladder.sections.iter();
        let around = sections.find(|section| row.is_some_and(|row| section.rows.contains(&row)));
        if let Some(section) = around {
            self.sketch.link(section.number);
        }
        self.sketch.text(MARGIN, self.y, Look::Label(tone), Anchor::Start, word);
        let place = format!("{} at {} s", finding.rule.name, self.ladder.seconds_at(*at));
        self.sketch.text(MARGIN + ASIDE, self.y, Look::Faint, Anchor::Start, &place);
        if around.is_some() {
            self.sketch.end_link();
        }
        let others = listed.told();
        let below = [listed.advice, others.as_deref()].into_iter().flatten().map(|text| (text, Look::Faint));
        for (text, look) in [(finding.text.as_str(), Look::Facts)].into_iter().chain(below) {
            for part in BODY.wrap(text, room, 6) {
                self.y += 16;
                self.sketch.text(MARGIN + ASIDE, self.y, look, Anchor::Start, &part);
            }
        }
        self.y += 16;
    }

    /// The numbered sections, as links.
    pub(in crate::render) fn contents(&mut self) {
        const MOST: usize = 24;
        self.y += 7;
        let mut x = MARGIN;
        for section in self.ladder.sections.iter().take(MOST) {
            let text = format!("{}\u{2002}{}", numbers(section), words::clip(&section.title, 48));
            let width = BODY.width(&text);
            if x > MARGIN && x + width > self.layout.width - MARGIN {
                (x, self.y) = (MARGIN, self.y + 17);
            }
            self.sketch.link(section.number);
            self.sketch.text(x, self.y, Look::Facts, Anchor::Start, &text);
            self.sketch.end_link();
            x += width + 22;
        }
        if self.ladder.sections.len() > MOST {
            self.sketch.text(x, self.y, Look::Facts, Anchor::Start, "…");
        }
        self.y += 14;
    }
}
