//! The ladder as a picture of marks, before it is SVG or pages: what both have in common.
//!
//! | module | what it is |
//! |---|---|
//! | `heading` | what stands before the lanes: the title, the facts, the opening, findings |
//! | `rows` | arrows and what stands beside them |
//! | `marks` | what a picture is made of |
//! | `looks` | colours, sizes and widths |
//! | `layout`, `measure` | where the columns stand; how wide text is, without the font |

mod heading;
mod layout;
mod looks;
mod marks;
mod measure;
mod rows;

use std::ops::Range;

pub(super) use layout::{LANES, Layout, MARGIN};
pub(super) use looks::{LOOKS, Look, Pair, Style, TONES, class, colours};
pub(super) use marks::{Anchor, Mark, Point, Sketch};
pub(super) use measure::{BANNER, BODY, SMALL};

use crate::ladder::{Ladder, LaneUse, Role, Section, Seen, Shape, Tone};
use layout::TIMES;
use measure::{LABEL, TINY};

/// Half the width of a connection's bar.
const BAR: i64 = 4;

/// A picture that grows downwards.
pub(super) struct Picture<'a> {
    pub(super) ladder: &'a Ladder,
    pub(super) layout: Layout,
    /// What stands before the lanes.
    pub(super) sketch: Sketch,
    /// What comes next comes here.
    pub(super) y: i64,
    /// The middle of each row that has been drawn.
    middles: Vec<i64>,
}

/// A place in a picture to go back to.
#[derive(Clone, Copy)]
pub(super) struct Place {
    marks: usize,
    rows: usize,
    y: i64,
}

impl<'a> Picture<'a> {
    pub(super) fn new(ladder: &'a Ladder, layout: Layout) -> Picture<'a> {
        Picture { ladder, layout, sketch: Sketch::default(), y: 0, middles: Vec::new() }
    }

    /// How many rows have been drawn.
    pub(super) fn rows(&self) -> usize {
        self.middles.len()
    }

    pub(super) fn place(&self) -> Place {
        Place { marks: self.sketch.marks.len(), rows: self.middles.len(), y: self.y }
    }

    /// Takes back what has been drawn since.
    pub(super) fn back_to(&mut self, place: Place) {
        self.sketch.marks.truncate(place.marks);
        self.middles.truncate(place.rows);
        self.y = place.y;
    }

    /// The heads of the lanes; says where the lanes begin.
    pub(in crate::render) fn heads(&mut self) -> i64 {
        let top = self.y;
        let address = |role| self.ladder.lanes.iter().filter(|l| l.role == role).find_map(|l| l.address);
        let groups: [(&str, &[Role]); 3] =
            [("Internet", &[Role::Dns, Role::Server]), ("", &[Role::Client]), ("Console", &[Role::User])];
        for (name, roles) in groups {
            let Some((left, right)) = self.layout.hosts(roles) else { continue };
            let room = right - left + 8;
            self.sketch.rect(left - 4, top, room, 66, 6, Look::Group);
            if !name.is_empty() {
                let name = LABEL.fit(name, room - 4);
                self.sketch.text((left + right) / 2, top + 15, Look::HostName, Anchor::Middle, &name);
            }
            for &role in roles {
                let Some((left, right)) = self.layout.hosts(&[role]) else { continue };
                let (middle, room) = ((left + right) / 2, right - left);
                let (y, height) = if name.is_empty() { (top + 4, 58) } else { (top + 23, 39) };
                self.sketch.rect(left, y, room, height, 4, Look::Host);
                let address = address(role).map(|a| a.to_string()).filter(|a| TINY.width(a) <= room);
                let baseline = y + height / 2 + if address.is_some() { -2 } else { 4 };
                self.sketch.text(middle, baseline, Look::HostName, Anchor::Middle, &LABEL.fit(role.title(), room - 2));
                if let Some(address) = address {
                    self.sketch.text(middle, baseline + 13, Look::Address, Anchor::Middle, &address);
                }
            }
        }
        let pills = top + 74;
        for (column, &x) in self.layout.columns.columns.iter().zip(&self.layout.x) {
            if column.role != Role::User {
                let width = (LABEL.width(&column.label) + 18).max(46);
                self.sketch.rect(x - width / 2, pills, width, 20, 10, Look::Port);
                self.sketch.text(x, pills + 14, Look::PortName, Anchor::Middle, &column.label);
            }
        }
        self.sketch.text(TIMES, pills + 14, Look::Time, Anchor::End, "seconds");
        self.sketch.text(self.layout.remarks.0, pills + 14, Look::Time, Anchor::Start, "Remarks");
        self.y = pills + 34;
        pills + 20
    }

    /// The banner of a section.
    pub(in crate::render) fn banner(&mut self, section: &Section) {
        let (x, width) = (LANES - 12, self.layout.width - MARGIN - LANES + 12);
        self.sketch.begin(Some(section.number), String::new());
        self.sketch.rect(x, self.y, width, 24, 5, Look::Banner);
        let title = BANNER.fit(&format!("{}\u{2002}{}", numbers(section), section.title), width - 28);
        let used = BANNER.width(&title);
        self.sketch.text(x + 12, self.y + 16, Look::BannerTitle, Anchor::Start, &title);
        if !section.detail.is_empty() && width - used > 90 {
            let detail = BODY.fit(&section.detail, width - used - 52);
            self.sketch.text(x + 12 + used + 14, self.y + 16, Look::Faint, Anchor::Start, &detail);
        }
        self.sketch.end();
        self.y += 42;
    }

    /// The lanes and the bars beside these rows: they stand behind everything else.
    pub(super) fn behind(&self, from: i64, until: i64, rows: Range<usize>) -> Sketch {
        let mut sketch = Sketch::default();
        for &x in &self.layout.x {
            sketch.line((x, from), (x, until), Look::Lane);
        }
        let middle = |row: usize| self.middles.get(row).copied();
        for bar in &self.ladder.bars {
            let last = bar.rows.end.saturating_sub(1).max(bar.rows.start);
            if bar.rows.start >= rows.end || last < rows.start {
                continue;
            }
            let goes_on = bar.rows.end >= self.ladder.rows.len() && !self.closes(bar.rows.end);
            let top = if bar.rows.start < rows.start { None } else { middle(bar.rows.start) };
            let bottom = if last >= rows.end || goes_on { None } else { middle(last) };
            let look = match bar.of {
                LaneUse::Data => Look::DataBar,
                LaneUse::Dns => Look::DnsBar,
                LaneUse::Control | LaneUse::Console => Look::ControlBar,
            };
            let x = self.layout.at(self.layout.columns.of(bar.lane));
            let (top, bottom) = (top.map_or(from, |y| y - 8), bottom.map_or(until, |y| y + 8));
            sketch.rect(x - BAR, top, 2 * BAR, bottom - top, 3, look);
        }
        sketch
    }

    /// Whether the row before this one ends a connection.
    fn closes(&self, row: usize) -> bool {
        let last = row.checked_sub(1).and_then(|n| self.ladder.rows.get(n));
        last.is_some_and(|row| row.label.starts_with("FIN") || row.label.starts_with("RST") || row.label == "ACK")
    }

    /// The kinds of lines that the picture has.
    pub(super) fn legend(&mut self, left: i64) {
        self.y += 20;
        let arrows = || self.ladder.rows.iter().filter(|row| matches!(row.shape, Shape::Arrow { .. }));
        let mut x = left;
        for tone in TONES {
            let Some(first) = arrows().find(|row| row.tone == tone) else { continue };
            let name = match tone {
                Tone::User => "user",
                Tone::Command => "command",
                Tone::Preliminary => "1yz reply: begun",
                Tone::Completion => "2yz: done",
                Tone::Intermediate => "3yz: go on",
                Tone::Transient => "4yz: not now",
                Tone::Permanent => "5yz: no",
                Tone::Dns => "DNS",
                Tone::Data => "data",
                Tone::Tcp if first.seen == Seen::Inferred => "TCP, inferred",
                Tone::Tcp => "TCP",
                Tone::Quiet => continue,
            };
            let width = 28 + SMALL.width(name);
            if x > left && x + width > self.layout.width - MARGIN {
                (x, self.y) = (left, self.y + 20);
            }
            let dashed = tone == Tone::Tcp && first.seen == Seen::Inferred;
            self.sketch.line((x, self.y), (x + 20, self.y), Look::Arrow(tone, dashed));
            self.sketch.text(x + 28, self.y + 4, Look::Time, Anchor::Start, name);
            x += width + 22;
        }
        self.y += 24;
    }
}

/// A section's number, or the numbers that it stands for.
pub(super) fn numbers(section: &Section) -> String {
    match section.through {
        through if through > section.number => format!("{}–{through}", section.number),
        _ => section.number.to_string(),
    }
}
