//! Which marks stand on which page. Lengths are the picture's pixels; [`Pages::scale`] makes points of them.

use std::collections::HashMap;
use std::ops::Range;

use super::PdfOptions;
use crate::ladder::{Ladder, Section};
use crate::render::picture::{Anchor, BANNER, BODY, Layout, Look, MARGIN, Mark, Picture, Point, Sketch, numbers};

/// The edge of the paper that is left blank, in points, around the picture's own margin.
const EDGE: f32 = 14.0;
/// The size at which a drawing is printed that has room enough, and the one below which it cannot be read: points a
/// pixel, of which the smallest text has 9.5.
const BEST: f32 = 0.72;
const SMALLEST: f32 = 0.56;
/// Fewer lanes do not make a drawing readable that is too wide with so many.
const LEAST_LANES: usize = 4;
/// What stands under the heading of a page begins here.
const TOP: i64 = 50;
/// What is drawn leaves so much blank below itself, at least.
const BLANK: i64 = 12;
/// The height of a line of text.
const LINE: i64 = 17;

/// A drawing in pages.
pub(super) struct Pages {
    /// How many pages of the document stand before these.
    pub(super) before: usize,
    pub(super) pages: Vec<Page>,
    /// The page of each section, from 0 for the first of these, and where on it.
    pub(super) sections: HashMap<usize, (usize, i64)>,
    /// Points a pixel.
    pub(super) scale: f32,
}

/// A page.
#[derive(Default)]
pub(super) struct Page {
    /// What stands behind, and what stands before it.
    pub(super) sketches: [Sketch; 2],
    /// The rows on it.
    pub(super) rows: Range<usize>,
}

impl Pages {
    /// The pages of all parts of a document. The first may be a list of the others.
    pub(super) fn of(ladders: &[&Ladder], listed: bool, options: &PdfOptions) -> Vec<Pages> {
        // What page a section is on is known when all pages are there; numbers take the same room whatever they are.
        let first: Vec<Known> =
            ladders.iter().map(|ladder| Known::of(Pager::new(ladder, options, Known::default()).all())).collect();
        let all = first.iter().map(|part| part.pages).sum();
        let parts = ladders.len() - usize::from(listed);
        let begin = |before: &mut usize, part: &Known| {
            *before += part.pages;
            Some(*before - part.pages)
        };
        let begins: Vec<usize> = first.iter().scan(0, begin).collect();
        let known = first.into_iter().zip(&begins).enumerate().map(|(n, (part, &before))| {
            let is_list = listed && n == 0;
            let sections =
                if is_list { (1..).zip(begins.iter().skip(1).map(|page| (*page, 0))).collect() } else { part.sections };
            let part = (listed && n > 0).then_some((n, parts));
            Known { pages: all, before, part, sections }
        });
        ladders.iter().zip(known).map(|(ladder, known)| Pager::new(ladder, options, known).all()).collect()
    }

    /// A point of the picture on paper, in points.
    pub(super) fn on_paper(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (EDGE + x * self.scale, EDGE + y * self.scale)
    }
}

/// What the first pass has found out for the second.
#[derive(Default)]
struct Known {
    /// The pages of the document, and how many of them stand before these.
    pages: usize,
    before: usize,
    /// Which of how many sessions this is, where there are several.
    part: Option<(usize, usize)>,
    sections: HashMap<usize, (usize, i64)>,
}

impl Known {
    fn of(pages: Pages) -> Known {
        Known { pages: pages.pages.len(), sections: pages.sections, ..Known::default() }
    }
}

struct Pager<'a> {
    picture: Picture<'a>,
    known: Known,
    pages: Pages,
    /// The page that is drawn now.
    page: Page,
    /// Where the lanes begin on it, if they do.
    lanes: Option<i64>,
    /// What goes on, where the next page begins in the middle of a section.
    within: Option<String>,
    /// Nothing stands below this.
    bottom: i64,
}

impl Page {
    /// Where a click leads to a section: the corners of the words that do, and its number.
    pub(super) fn links(&self) -> Vec<(Point, Point, usize)> {
        let mut links = Vec::new();
        let mut link: Option<(Point, Point, usize)> = None;
        for mark in self.sketches.iter().flat_map(|sketch| &sketch.marks) {
            match (mark, &mut link) {
                (Mark::Link { section }, _) => link = Some(((i64::MAX, i64::MAX), (0, 0), *section)),
                (Mark::EndLink, _) => links.extend(link.take()),
                (Mark::Text { at: (x, y), look, anchor, text }, Some((top, bottom, _))) => {
                    let width = look.style().face.map_or(0, |face| face.width(text));
                    let left = match anchor {
                        Anchor::Start => *x,
                        Anchor::Middle => x - width / 2,
                        Anchor::End => x - width,
                    };
                    *top = (top.0.min(left), top.1.min(y - 13));
                    *bottom = (bottom.0.max(left + width), bottom.1.max(y + 4));
                }
                _ => {}
            }
        }
        links
    }
}

impl<'a> Pager<'a> {
    fn new(ladder: &'a Ladder, options: &PdfOptions, known: Known) -> Pager<'a> {
        let (layout, scale) = fitted(ladder, options);
        let height = (options.paper.points().1 - 2.0 * EDGE) / scale;
        Pager {
            picture: Picture::new(ladder, layout),
            pages: Pages { before: known.before, pages: Vec::new(), sections: HashMap::new(), scale },
            known,
            page: Page::default(),
            lanes: None,
            within: None,
            bottom: height as i64 - MARGIN,
        }
    }

    fn all(mut self) -> Pages {
        let ladder = self.picture.ladder;
        let session = self.known.part.map(|(n, all)| format!("session {n} of {all}"));
        let number = self.number();
        let aside = [&ladder.product, &ladder.date].into_iter().chain(&session).chain([&number]);
        self.picture.title(&aside.map(String::as_str).collect::<Vec<_>>());
        self.opening();
        for section in &ladder.sections {
            self.section(section.number, section.rows.clone());
        }
        self.end_page();
        if ladder.rows.is_empty() {
            // A list of sessions: they are on other pages.
            self.pages.sections = self.known.sections;
        }
        self.pages
    }

    /// What the session is, what is wrong with it, its sections, and what the colours mean.
    fn opening(&mut self) {
        self.picture.opening();
        for listed in self.picture.ladder.listed() {
            self.keep(|picture, _| picture.finding(&listed));
        }
        self.contents();
        self.keep(|picture, _| picture.legend(MARGIN));
    }

    /// The sections with their pages, in two columns where there are many; each page's are filled from left to right.
    fn contents(&mut self) {
        let mut rest = self.picture.ladder.sections.as_slice();
        let columns = if rest.len() > 8 && !self.picture.ladder.rows.is_empty() { 2 } else { 1 };
        while !rest.is_empty() {
            let room = usize::try_from((self.bottom - self.picture.y) / LINE).unwrap_or(0);
            let here = rest.len().min(room * columns);
            let (part, more) = rest.split_at_checked(here).unwrap_or((rest, &[]));
            let top = self.picture.y;
            let lines = part.len().div_ceil(columns).max(1);
            for (column, of_column) in (0..).zip(part.chunks(lines)) {
                self.picture.y = top;
                of_column.iter().for_each(|section| self.line(section, column, columns));
            }
            self.picture.y = top + LINE * i64::try_from(part.len().div_ceil(columns)).unwrap_or(0);
            rest = more;
            if !rest.is_empty() {
                self.turn();
            }
        }
    }

    /// A line of the contents.
    fn line(&mut self, section: &Section, column: i64, columns: usize) {
        let whole = self.picture.layout.width - 2 * MARGIN;
        let widest = if self.picture.ladder.rows.is_empty() { whole } else { 560 };
        let width = (whole / i64::try_from(columns).unwrap_or(1)).min(widest);
        self.picture.y += LINE;
        let (left, y) = (MARGIN + column * width, self.picture.y);
        let right = left + width - 40;
        let page = self.known.sections.get(&section.number);
        let page = page.map(|(page, _)| (self.known.before + page + 1).to_string()).unwrap_or_default();
        let title = BODY.fit(&format!("{}\u{2002}{}", numbers(section), section.title), right - left - 60);
        let from = left + BODY.width(&title) + 8;
        let sketch = &mut self.picture.sketch;
        sketch.marks.push(Mark::Link { section: section.number });
        sketch.text(left, y, Look::Facts, Anchor::Start, &title);
        sketch.text(right, y, Look::Facts, Anchor::End, &page);
        sketch.marks.push(Mark::EndLink);
        if from < right - 24 {
            sketch.line((from, y - 3), (right - 24, y - 3), Look::Leader);
        }
    }

    /// A section: its banner is never parted from its first row, and no row is parted at all.
    fn section(&mut self, number: usize, rows: Range<usize>) {
        let ladder = self.picture.ladder;
        let Some(section) = ladder.sections.iter().find(|section| section.number == number) else { return };
        for (n, row) in ladder.rows.get(rows).unwrap_or_default().iter().enumerate() {
            let has_lanes = self.lanes.is_some();
            self.within = (n > 0).then(|| format!("{}\u{2002}{}, continued", numbers(section), section.title));
            let mut banner_at = None;
            let heads = self.keep(|picture, is_new| {
                let heads = (is_new || !has_lanes).then(|| picture.heads());
                if n == 0 {
                    banner_at = Some(picture.y);
                    picture.banner(section);
                }
                picture.row(row);
                heads
            });
            self.lanes = heads.or(self.lanes);
            if let Some(y) = banner_at {
                self.pages.sections.insert(number, (self.pages.pages.len(), y));
            }
            self.page.rows.end = self.picture.rows();
        }
        self.picture.y += 14;
    }

    /// Draws something that must not be parted: on the next page, where it has no room on this one; whether that has
    /// just begun is told to what draws.
    fn keep<T>(&mut self, mut draw: impl FnMut(&mut Picture<'a>, bool) -> T) -> T {
        let place = self.picture.place();
        let drawn = draw(&mut self.picture, false);
        if self.picture.y <= self.bottom + BLANK {
            return drawn;
        }
        self.picture.back_to(place);
        self.turn();
        draw(&mut self.picture, true)
    }

    /// Begins the next page.
    fn turn(&mut self) {
        self.end_page();
        let rows = self.picture.rows();
        self.page = Page { rows: rows..rows, ..Page::default() };
        self.heading();
    }

    /// Puts the page to the others. Lanes go on to its end, but on the last one.
    fn end_page(&mut self) {
        if let Some(from) = self.lanes.take() {
            let is_last = self.page.rows.end >= self.picture.ladder.rows.len();
            let until = if is_last { self.picture.y.min(self.bottom) } else { self.bottom };
            self.page.sketches[0] = self.picture.behind(from, until, self.page.rows.clone());
        }
        self.page.sketches[1] = std::mem::take(&mut self.picture.sketch);
        self.pages.pages.push(std::mem::take(&mut self.page));
    }

    /// The heading of a page that is not the first.
    fn heading(&mut self) {
        let picture = &mut self.picture;
        let ladder = picture.ladder;
        let number = number(self.pages.pages.len(), &self.known);
        let aside = format!("{} · {} · {number}", ladder.product, ladder.date);
        let (left, right) = (MARGIN, picture.layout.width - MARGIN);
        let room = right - left - BODY.width(&aside) - 24;
        let title = BANNER.fit(&ladder.title, room);
        picture.sketch.text(left, 30, Look::BannerTitle, Anchor::Start, &title);
        let used = BANNER.width(&title) + 18;
        if let Some(within) = self.within.as_ref().filter(|_| room - used > 120) {
            let within = BODY.fit(within, room - used);
            picture.sketch.text(left + used, 30, Look::Faint, Anchor::Start, &within);
        }
        picture.sketch.text(right, 30, Look::Faint, Anchor::End, &aside);
        picture.sketch.line((left, 40), (right, 40), Look::Lane);
        picture.y = TOP;
    }

    fn number(&self) -> String {
        number(self.pages.pages.len(), &self.known)
    }
}

/// `page 2 of 4`.
fn number(page: usize, known: &Known) -> String {
    format!("page {} of {}", known.before + page + 1, known.pages)
}

/// The layout in as many lanes as can be read on the paper, and points a pixel.
fn fitted(ladder: &Ladder, options: &PdfOptions) -> (Layout, f32) {
    let room = options.paper.points().0 - 2.0 * EDGE;
    let least = (room / BEST) as i64;
    let mut lanes = options.max_lanes.max(1);
    loop {
        let layout = Layout::new(ladder, lanes, least);
        let scale = room / layout.width as f32;
        if scale >= SMALLEST || lanes <= LEAST_LANES {
            return (layout, scale);
        }
        lanes -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use port21_proto::event::{ConnectionId, EventKind};
    use port21_proto::{Code, SessionEvent, Time};

    use crate::Session;
    use crate::ladder::Options;
    use crate::recording::Recording;
    use crate::render::Paper;

    /// The reference session, with lines of fields under each arrow, so that it takes several pages.
    fn reference() -> Ladder {
        let recording = Recording::read(&include_bytes!("../../../tests/data/reference.jsonl")[..]).unwrap();
        let session = Session::from_events(recording.sessions[0].events.iter().cloned());
        Ladder::new(&session, &Options { fields: true, ..Options::default() })
    }

    fn pages(ladder: &Ladder, paper: Paper) -> Pages {
        Pages::of(&[ladder], false, &PdfOptions { paper, ..PdfOptions::default() }).remove(0)
    }

    fn texts(page: &Page, of: Look) -> Vec<&str> {
        let marks = page.sketches[1].marks.iter();
        let texts = marks.filter_map(|mark| match mark {
            Mark::Text { look, text, .. } if *look == of => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn every_row_is_whole_and_on_one_page() {
        let ladder = reference();
        for paper in [Paper::A4, Paper::Letter] {
            let pages = pages(&ladder, paper);
            assert!(pages.pages.len() > 4);
            let mut next = 0;
            for page in &pages.pages {
                assert_eq!(page.rows.start, next);
                next = page.rows.end;
                let marks = &page.sketches[1].marks;
                let begun = marks.iter().filter(|mark| matches!(mark, Mark::Begin { section: None, .. })).count();
                let ended = marks.iter().filter(|mark| matches!(mark, Mark::End)).count();
                let banners = marks.iter().filter(|mark| matches!(mark, Mark::Begin { section: Some(_), .. })).count();
                assert_eq!((begun, ended), (page.rows.len(), page.rows.len() + banners));
                // What is beside an arrow is with it: as many remarks as its rows have.
                let rows = &ladder.rows[page.rows.clone()];
                let times = texts(page, Look::Time);
                assert!(rows.iter().all(|row| times.contains(&ladder.seconds(row).as_str())));
                let remarks = texts(page, Look::Remark).join(" ");
                for remark in rows.iter().filter_map(|row| row.remark.as_ref()) {
                    let first = remark.text.split(' ').next().unwrap();
                    assert!(remarks.contains(first) || marks_say(page, first), "{}", remark.text);
                }
            }
            assert_eq!(next, ladder.rows.len());
        }
    }

    fn marks_say(page: &Page, word: &str) -> bool {
        page.sketches[1].marks.iter().any(|mark| matches!(mark, Mark::Text { text, .. } if text.contains(word)))
    }

    #[test]
    fn every_page_has_its_heading_and_its_lanes() {
        let ladder = reference();
        let pages = pages(&ladder, Paper::A4);
        let all = pages.pages.len();
        let ports = ["53", "20", "21", "1030", "1175", "5001", "5002"];
        for (n, page) in (1..).zip(&pages.pages) {
            let faint = texts(page, Look::Faint).join("\n");
            for said in [&ladder.product, &ladder.date, &format!("page {n} of {all}")] {
                assert!(faint.contains(said), "{said} on page {n}");
            }
            let title = if n == 1 { Look::Title } else { Look::BannerTitle };
            assert!(texts(page, title).contains(&ladder.title.as_str()));
            assert_eq!(texts(page, Look::PortName), ports);
            let section = ladder.sections.iter().find(|section| section.rows.contains(&page.rows.start)).unwrap();
            let goes_on = format!("{}\u{2002}{}, continued", section.number, section.title);
            assert_eq!(faint.contains(&goes_on), section.rows.start < page.rows.start, "page {n}");
            assert!(!page.rows.is_empty());
        }
    }

    #[test]
    fn nothing_stands_beyond_the_paper() {
        let ladder = reference();
        for paper in [Paper::A4, Paper::Letter] {
            let pages = pages(&ladder, paper);
            let (width, height) = paper.points();
            for mark in pages.pages.iter().flat_map(|page| &page.sketches).flat_map(|sketch| &sketch.marks) {
                let far = match mark {
                    Mark::Text { at, .. } | Mark::Head { at, .. } | Mark::Cross { at, .. } => *at,
                    Mark::Rect { at, size, .. } => (at.0 + size.0, at.1 + size.1),
                    Mark::Line { from, to, .. } => (from.0.max(to.0), from.1.max(to.1)),
                    _ => continue,
                };
                let (x, y) = pages.on_paper((far.0 as f32, far.1 as f32));
                assert!(x <= width - EDGE && y <= height - EDGE, "{mark:?}");
            }
        }
    }

    #[test]
    fn contents_tell_the_pages_of_sections() {
        let ladder = reference();
        let pages = pages(&ladder, Paper::A4);
        let facts = texts(&pages.pages[0], Look::Facts);
        let linked = ladder.findings.iter().filter(|marked| marked.row.is_some()).count();
        for section in &ladder.sections {
            let (page, _) = pages.sections[&section.number];
            let banner = Mark::Begin { section: Some(section.number), tip: String::new() };
            assert!(pages.pages[page].sketches[1].marks.contains(&banner));
            let line = format!("{}\u{2002}{}", section.number, section.title);
            let at = facts.iter().position(|text| **text == line).unwrap();
            assert_eq!(facts[at + 1], (page + 1).to_string());
        }
        assert_eq!(pages.pages[0].links().len(), ladder.sections.len() + linked);
    }

    #[test]
    fn contents_that_fill_pages_go_on_in_order() {
        let events = (1..=200u64).flat_map(|n| {
            let command = EventKind::command(ConnectionId::CONTROL, format!("CWD d{n}").as_bytes());
            let code = Code::new(250).unwrap();
            let reply =
                EventKind::Reply { connection: ConnectionId::CONTROL, code, lines: vec![b"Done.".to_vec().into()] };
            [command, reply].map(|kind| SessionEvent { at: Time::from_unix_secs(n), kind })
        });
        let ladder = Ladder::new(&Session::from_events(events), &Options { fold: false, ..Options::default() });
        let pages = pages(&ladder, Paper::A4);
        let links = pages.pages.iter().flat_map(Page::links).map(|(_, _, section)| section);
        assert!(links.eq(ladder.sections.iter().map(|section| section.number)));
        assert!(ladder.sections.len() > 100 && pages.pages[1].rows.is_empty() && !pages.pages[1].links().is_empty());
    }

    #[test]
    fn several_sessions_are_numbered_through() {
        let (ladder, other) = (reference(), reference());
        let list = super::super::several::list(&[ladder.clone(), other.clone()]);
        let parts = Pages::of(&[&list, &ladder, &other], true, &PdfOptions::default());
        let each = parts[1].pages.len();
        assert_eq!(parts.iter().map(|part| part.before).collect::<Vec<_>>(), [0, 1, 1 + each]);
        let facts = texts(&parts[0].pages[0], Look::Facts);
        assert!(facts.contains(&"2") && facts.contains(&(2 + each).to_string().as_str()), "{facts:?}");
        assert_eq!(parts[0].sections[&2], (1 + each, 0));
        let first = &parts[2].pages[0];
        let faint = texts(first, Look::Faint);
        let number = format!("page {} of {}", 2 + each, 1 + 2 * each);
        assert!(faint.contains(&"session 2 of 2") && faint.contains(&number.as_str()), "{faint:?}");
        let contents = texts(first, Look::Facts);
        let (page, _) = parts[2].sections[&1];
        assert!(contents.contains(&(2 + each + page).to_string().as_str()), "{contents:?}");
    }

    #[test]
    fn an_empty_session_has_a_page() {
        let ladder = Ladder::new(&Session::from_events([]), &Options::default());
        assert_eq!(pages(&ladder, Paper::A4).pages.len(), 1);
    }
}
