//! The picture: heading, heads of the lanes, bars, banners, rows, legend.

use crate::findings::Severity;
use crate::ladder::{Ladder, LaneUse, Marked, Role, Row, Section, Seen, Shape, Tone, Weight};
use crate::words;

use super::SvgOptions;
use super::layout::{LANES, Layout, MARGIN, TIMES};
use super::measure::{BANNER, BODY, LABEL, REMARK, SMALL, TINY, TITLE, Type};
use super::style::{self, TONES, class};
use super::write::{Anchor, Canvas};

/// Half the width of a connection's bar.
const BAR: i64 = 4;
/// The width of what stands before a finding: how much it matters.
const ASIDE: i64 = 66;
/// So many lines are drawn under an arrow.
const UNDER: usize = 4;

pub(super) fn draw(ladder: &Ladder, options: &SvgOptions) -> String {
    let layout = Layout::new(ladder, options.max_lanes);
    let mut picture = Picture { ladder, layout, front: Canvas::default(), y: 0, middles: Vec::new() };
    picture.heading();
    let lanes_from = picture.heads();
    for section in &ladder.sections {
        picture.banner(section);
        for n in section.rows.clone() {
            if let Some(row) = ladder.rows.get(n) {
                picture.row(row);
            }
        }
        picture.y += 14;
    }
    let lanes_until = picture.y;
    let behind = picture.behind(lanes_from, lanes_until);
    picture.legend();
    picture.assemble(&behind)
}

struct Picture<'a> {
    ladder: &'a Ladder,
    layout: Layout,
    /// What stands before the lanes.
    front: Canvas,
    /// What comes next comes here.
    y: i64,
    /// The middle of each row.
    middles: Vec<i64>,
}

impl Picture<'_> {
    fn heading(&mut self) {
        let width = self.layout.width;
        let aside = BODY.width(&self.ladder.product).max(BODY.width(&self.ladder.date));
        let room = width - 2 * MARGIN - aside - 24;
        let end = width - MARGIN;
        self.front.text(end, 36, "sub", Anchor::End, &self.ladder.product);
        self.front.text(end, 56, "sub", Anchor::End, &self.ladder.date);
        self.y = 36;
        for (i, part) in TITLE.wrap(&self.ladder.title, room, 3).iter().enumerate() {
            self.y += if i > 0 { 24 } else { 0 };
            self.front.text(MARGIN, self.y, "h1", Anchor::Start, part);
        }
        self.y += 22;
        for part in BODY.wrap(&self.ladder.summary.join(" · "), room, 3) {
            self.front.text(MARGIN, self.y, "sum", Anchor::Start, &part);
            self.y += 17;
        }
        self.y += 9;
        for part in BODY.wrap(&self.ladder.opening, (width - 2 * MARGIN).min(900), 8) {
            self.front.text(MARGIN, self.y, "sub", Anchor::Start, &part);
            self.y += 17;
        }
        self.findings();
        self.contents();
        self.y += 8;
    }

    /// What is wrong, with the time of its row and what can be done.
    fn findings(&mut self) {
        let ladder = self.ladder;
        let room = (self.layout.width - 2 * MARGIN).min(900) - ASIDE;
        for Marked { finding, row, at } in &ladder.findings {
            let (word, tone) = match finding.rule.severity {
                Severity::Fault => ("Fault", Tone::Permanent),
                Severity::Warning => ("Warning", Tone::Transient),
                Severity::Note => ("Note", Tone::Quiet),
            };
            self.y += 6;
            let around = ladder.sections.iter().find(|section| row.is_some_and(|row| section.rows.contains(&row)));
            if let Some(section) = around {
                self.front.link(&format!("s{}", section.number));
            }
            self.front.text(MARGIN, self.y, &format!("lb f {}", class(tone)), Anchor::Start, word);
            let place = format!("{} at {} s", finding.rule.name, ladder.seconds_at(*at));
            self.front.text(MARGIN + ASIDE, self.y, "sub", Anchor::Start, &place);
            if around.is_some() {
                self.front.end_link();
            }
            let texts: &[(&str, &str)] = match finding.rule.severity {
                // That is said in docs/findings.md; a list of notes is to be short.
                Severity::Note => &[(&finding.text, "sum")],
                _ => &[(&finding.text, "sum"), (finding.rule.advice, "sub")],
            };
            for (text, look) in texts {
                for part in BODY.wrap(text, room, 6) {
                    self.y += 16;
                    self.front.text(MARGIN + ASIDE, self.y, look, Anchor::Start, &part);
                }
            }
            self.y += 16;
        }
    }

    /// The numbered sections, as links.
    fn contents(&mut self) {
        const MOST: usize = 24;
        self.y += 7;
        let mut x = MARGIN;
        for section in self.ladder.sections.iter().take(MOST) {
            let text = format!("{}\u{2002}{}", numbers(section), words::clip(&section.title, 48));
            let width = BODY.width(&text);
            if x > MARGIN && x + width > self.layout.width - MARGIN {
                (x, self.y) = (MARGIN, self.y + 17);
            }
            self.front.link(&format!("s{}", section.number));
            self.front.text(x, self.y, "sum", Anchor::Start, &text);
            self.front.end_link();
            x += width + 22;
        }
        if self.ladder.sections.len() > MOST {
            self.front.text(x, self.y, "sum", Anchor::Start, "…");
        }
        self.y += 14;
    }

    /// The heads of the lanes; says where the lanes begin.
    fn heads(&mut self) -> i64 {
        let top = self.y;
        let address = |role| self.ladder.lanes.iter().filter(|l| l.role == role).find_map(|l| l.address);
        let groups: [(&str, &[Role]); 3] =
            [("Internet", &[Role::Dns, Role::Server]), ("", &[Role::Client]), ("Console", &[Role::User])];
        for (name, roles) in groups {
            let Some((first, last)) = self.layout.hosts(roles) else { continue };
            let room = last - first + 76;
            self.front.rect(first - 38, top, room, 66, 6, "gr");
            if !name.is_empty() {
                self.front.text((first + last) / 2, top + 15, "hn", Anchor::Middle, &LABEL.fit(name, room - 4));
            }
            for &role in roles {
                let Some((first, last)) = self.layout.hosts(&[role]) else { continue };
                let (middle, room) = ((first + last) / 2, last - first + 68);
                let (y, height) = if name.is_empty() { (top + 4, 58) } else { (top + 23, 39) };
                self.front.rect(first - 34, y, room, height, 4, "ho");
                let address = address(role).map(|a| a.to_string()).filter(|a| TINY.width(a) <= room);
                let baseline = y + height / 2 + if address.is_some() { -2 } else { 4 };
                self.front.text(middle, baseline, "hn", Anchor::Middle, &LABEL.fit(role.title(), room - 2));
                if let Some(address) = address {
                    self.front.text(middle, baseline + 13, "ad", Anchor::Middle, &address);
                }
            }
        }
        let pills = top + 74;
        for (column, &x) in self.layout.columns.columns.iter().zip(&self.layout.x) {
            if column.role != Role::User {
                let width = (LABEL.width(&column.label) + 18).max(46);
                self.front.rect(x - width / 2, pills, width, 20, 10, "pt");
                self.front.text(x, pills + 14, "pn", Anchor::Middle, &column.label);
            }
        }
        self.front.text(TIMES, pills + 14, "tm", Anchor::End, "seconds");
        self.front.text(self.layout.remarks.0, pills + 14, "tm", Anchor::Start, "Remarks");
        self.y = pills + 34;
        pills + 20
    }

    fn banner(&mut self, section: &Section) {
        let (x, width) = (LANES - 12, self.layout.width - MARGIN - LANES + 12);
        self.front.begin(&format!("s{}", section.number), "");
        self.front.rect(x, self.y, width, 24, 5, "ba");
        let title = BANNER.fit(&format!("{}\u{2002}{}", numbers(section), section.title), width - 28);
        let used = BANNER.width(&title);
        self.front.text(x + 12, self.y + 16, "bt", Anchor::Start, &title);
        if !section.detail.is_empty() && width - used > 90 {
            let detail = BODY.fit(&section.detail, width - used - 52);
            self.front.text(x + 12 + used + 14, self.y + 16, "sub", Anchor::Start, &detail);
        }
        self.front.end();
        self.y += 42;
    }

    fn row(&mut self, row: &Row) {
        let y = self.y;
        self.middles.push(y);
        self.front.begin("", &self.tip(row));
        if row.shape != Shape::Across {
            self.front.text(TIMES, y + 4, "tm", Anchor::End, &self.ladder.seconds(row));
        }
        if let Some(took) = row.latency {
            self.front.text(TIMES, y + 16, "tm", Anchor::End, &format!("+{}", words::duration(took)));
        }
        let (below, right) = match row.shape {
            Shape::Arrow { from, to } => self.arrow(row, self.layout.columns.of(from), self.layout.columns.of(to)),
            Shape::At(lane) => self.at(row, self.layout.at(self.layout.columns.of(lane))),
            Shape::Across => self.across(row),
        };
        let beside = self.remark(row, right);
        self.front.end();
        let least = if row.tone == Tone::Tcp { 22 } else { 28 };
        self.y += (below + if below > 0 { 20 } else { 16 }).max(beside + 21).max(least).max(if row.latency.is_some() {
            30
        } else {
            0
        });
    }

    /// Draws an arrow; says how far below its middle its text reaches, and where it ends on the right.
    fn arrow(&mut self, row: &Row, from: usize, to: usize) -> (i64, i64) {
        let y = self.y;
        let class = class(row.tone);
        let (a, b) = (self.layout.at(from), self.layout.at(to));
        let right = b >= a;
        let step = if right { 1 } else { -1 };
        let (tail, point) = (a + step * (BAR + 1), b - step * (BAR + 1));
        let dashed = if row.seen == Seen::Inferred && row.tone != Tone::Data { " inf" } else { "" };
        self.front.line((tail, y), (point - step * 6, y), &format!("a {class}{dashed}"));
        self.front.head(point, y, right, class);
        let (middle, span) = ((a + b) / 2, (a - b).abs());
        let (on, rest) = parted(row, span - 44);
        let width = LABEL.width(&on);
        if !on.is_empty() {
            // The line is not broken under the words, only covered: a page's colour behind them.
            self.front.rect(middle - width / 2 - 5, y - 8, width + 10, 16, 8, "chip");
            self.front.text(middle, y + 4, &format!("lb f {class}"), Anchor::Middle, &on);
        }
        let most = rest.matches('\n').count() + UNDER;
        let parts = SMALL.wrap_even(&rest, (span - 16).max(150), most.min(12));
        let mut below = 0;
        for (i, part) in (0..).zip(&parts) {
            below = 20 + i * 13;
            self.front.text(middle, y + below, "pr", Anchor::Middle, part);
        }
        (below, a.max(b))
    }

    /// Draws a cross at a lane, and words beside it.
    fn at(&mut self, row: &Row, x: i64) -> (i64, i64) {
        let class = class(row.tone);
        self.front.cross(x, self.y, class);
        let text = if row.detail.is_empty() { row.label.clone() } else { format!("{}: {}", row.label, row.detail) };
        let rightward = self.layout.lanes_end - x > x - LANES;
        let room = if rightward { self.layout.lanes_end - x - 14 } else { x - LANES - 14 };
        let mut below = 0;
        let mut end = x;
        for (i, part) in (0..).zip(LABEL.wrap(&text, room.max(120), 3)) {
            below = i * 14;
            let width = LABEL.width(&part);
            let (start, anchor, at) =
                if rightward { (x + 8, Anchor::Start, x + 12) } else { (x - 16 - width, Anchor::End, x - 12) };
            self.front.rect(start, self.y + below - 8, width + 8, 16, 4, "chip");
            self.front.text(at, self.y + below + 4, &format!("lb f {class}"), anchor, &part);
            end = if rightward { end.max(at + width) } else { end };
        }
        (below, end)
    }

    /// Draws a sentence across the lanes.
    fn across(&mut self, row: &Row) -> (i64, i64) {
        let (from, until) = (LANES, self.layout.lanes_end);
        let middle = (from + until) / 2;
        let parts = SMALL.wrap(&row.label, (until - from - 60).max(160), 4);
        let widest = parts.iter().map(|part| LABEL.width(part)).max().unwrap_or(0);
        self.front.line((from, self.y), (until, self.y), "ld");
        let tall = 14 * i64::try_from(parts.len()).unwrap_or(1) + 4;
        self.front.rect(middle - widest / 2 - 8, self.y - 9, widest + 16, tall, 8, "chip");
        let mut below = 0;
        for (i, part) in (0..).zip(&parts) {
            below = i * 14;
            self.front.text(middle, self.y + below + 4, &format!("lb f {}", class(row.tone)), Anchor::Middle, part);
        }
        (below, until)
    }

    /// Draws the remark; says how far below the row's middle it reaches.
    fn remark(&mut self, row: &Row, from: i64) -> i64 {
        let Some(remark) = &row.remark else { return 0 };
        let (x, width) = self.layout.remarks;
        if x - 8 - (from + 12) > 12 {
            self.front.line((from + 12, self.y), (x - 8, self.y), "ld");
        }
        let look = match remark.weight {
            Weight::Narration => "rm".to_owned(),
            Weight::Notice => format!("lb f {}", class(row.tone)),
        };
        let face: Type = if remark.weight == Weight::Notice { LABEL } else { REMARK };
        let mut below = 0;
        for (i, part) in (0..).zip(face.wrap(&remark.text, width, 6)) {
            below = i * 14;
            self.front.text(x, self.y + below + 4, &look, Anchor::Start, &part);
        }
        below
    }

    /// All of a row in words.
    fn tip(&self, row: &Row) -> String {
        let name = |lane: crate::ladder::LaneId| {
            self.ladder.lanes.get(lane.0).map(|lane| lane.name().to_string()).unwrap_or_default()
        };
        let ends = match row.shape {
            Shape::Arrow { from, to } => format!("{} → {}: ", name(from), name(to)),
            Shape::At(lane) => format!("{}: ", name(lane)),
            Shape::Across => String::new(),
        };
        let detail = words::clip(&row.detail.trim_start().replace('\n', ", "), 240);
        let detail = if detail.is_empty() { detail } else { format!(" {detail}") };
        let seen = if row.seen == Seen::Inferred { " (inferred)" } else { "" };
        format!("{} s · {ends}{}{detail}{seen}", self.ladder.seconds(row), row.label)
    }

    /// The lanes and the bars: they stand behind everything else.
    fn behind(&self, from: i64, until: i64) -> String {
        let mut canvas = Canvas::default();
        for &x in &self.layout.x {
            canvas.line((x, from), (x, until), "ln");
        }
        for bar in &self.ladder.bars {
            let middle = |row: usize| self.middles.get(row).copied();
            let Some(top) = middle(bar.rows.start) else { continue };
            let bottom = middle(bar.rows.end.saturating_sub(1)).unwrap_or(top);
            let open = bar.rows.end > self.middles.len().saturating_sub(1) && bar.rows.end >= self.ladder.rows.len();
            let bottom = if open && !self.closes(bar.rows.end) { until } else { bottom + 8 };
            let class = match bar.of {
                LaneUse::Data => "bd",
                LaneUse::Dns => "bn",
                LaneUse::Control | LaneUse::Console => "bc",
            };
            let x = self.layout.at(self.layout.columns.of(bar.lane));
            canvas.rect(x - BAR, top - 8, 2 * BAR, bottom - top + 8, 3, class);
        }
        canvas.finish()
    }

    /// Whether the row before this one ends a connection.
    fn closes(&self, row: usize) -> bool {
        let last = row.checked_sub(1).and_then(|n| self.ladder.rows.get(n));
        last.is_some_and(|row| row.label.starts_with("FIN") || row.label.starts_with("RST") || row.label == "ACK")
    }

    /// The kinds of lines that the picture has.
    fn legend(&mut self) {
        self.y += 20;
        let arrows = || self.ladder.rows.iter().filter(|row| matches!(row.shape, Shape::Arrow { .. }));
        let mut x = LANES;
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
            if x > LANES && x + width > self.layout.width - MARGIN {
                (x, self.y) = (LANES, self.y + 20);
            }
            let dashed = if tone == Tone::Tcp && first.seen == Seen::Inferred { " inf" } else { "" };
            self.front.line((x, self.y), (x + 20, self.y), &format!("a {}{dashed}", class(tone)));
            self.front.text(x + 28, self.y + 4, "tm", Anchor::Start, name);
            x += width + 22;
        }
        self.y += 24;
    }

    fn assemble(self, behind: &str) -> String {
        let (width, height) = (self.layout.width, self.y);
        let mut canvas = Canvas::default();
        canvas.raw(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">"
        ));
        canvas.escaped(&self.ladder.title);
        canvas.raw("</title>\n<desc id=\"d\">");
        canvas.escaped(&self.ladder.opening);
        canvas.raw("</desc>\n<style>\n");
        canvas.raw(&style::sheet());
        canvas.raw("</style>\n");
        canvas.raw(&format!(
            "<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\" class=\"pg\"/>\n",
            width - 1,
            height - 1
        ));
        canvas.raw(behind);
        canvas.raw(&self.front.finish());
        canvas.raw("</svg>\n");
        canvas.finish()
    }
}

pub(in crate::render) fn numbers(section: &Section) -> String {
    match section.through {
        through if through > section.number => format!("{}–{through}", section.number),
        _ => section.number.to_string(),
    }
}

/// A row's words: those on the arrow, and those under it. The text of a reply stands under it always, a command's
/// argument only where it has no room beside the verb.
fn parted(row: &Row, room: i64) -> (String, String) {
    let label = row.label.clone();
    let joins = row.tone == Tone::Command && !row.detail.is_empty() && !row.detail.contains('\n');
    let whole = if joins { format!("{label} {}", row.detail) } else { label.clone() };
    if LABEL.width(&whole) <= room {
        return (whole, if joins { String::new() } else { row.detail.clone() });
    }
    if LABEL.width(&label) <= room {
        return (label, row.detail.clone());
    }
    let mut parts = LABEL.wrap(&label, room.max(20), 8).into_iter();
    let on = parts.next().unwrap_or_default();
    let rest = parts.chain((!row.detail.is_empty()).then(|| row.detail.clone()));
    (on, rest.collect::<Vec<_>>().join(" "))
}
