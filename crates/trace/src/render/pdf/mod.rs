//! The ladder as a PDF: pages as the reference document has them, in a font of their own.
//!
//! | module | what it is |
//! |---|---|
//! | `pages` | which marks stand on which page |
//! | `several` | the page that stands before several sessions |
//! | `font` | the font, and what it cannot show |
//! | `paint` | marks to a page's content |

mod font;
mod pages;
mod paint;
mod several;

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use krilla::Document;
use krilla::geom::Point;
use krilla::metadata::{DateTime as PdfDate, Metadata};
use krilla::outline::{Outline, OutlineNode};

use super::picture::numbers;
use crate::ladder::Ladder;
use font::Fonts;
use pages::Pages;

/// How the pages are to look.
#[derive(Clone, Debug)]
pub struct PdfOptions {
    /// The paper, which lies on its long side. Default: A4.
    pub paper: Paper,
    /// The most lanes that are drawn beside each other; where there are more, or they would become too small to read,
    /// ports are folded. Default: 12.
    pub max_lanes: usize,
}

impl Default for PdfOptions {
    fn default() -> PdfOptions {
        PdfOptions { paper: Paper::default(), max_lanes: 12 }
    }
}

/// A size of paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Paper {
    /// ISO 216 A4: 297 × 210 mm.
    #[default]
    A4,
    /// US Letter: 11 × 8.5 inches.
    Letter,
}

impl Paper {
    /// Its width and height in points, on its long side.
    pub const fn points(self) -> (f32, f32) {
        match self {
            Paper::A4 => (841.89, 595.28),
            Paper::Letter => (792.0, 612.0),
        }
    }
}

/// A word that names no [`Paper`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are a4 and letter")]
pub struct NoSuchPaper;

impl FromStr for Paper {
    type Err = NoSuchPaper;

    fn from_str(word: &str) -> Result<Paper, NoSuchPaper> {
        match word.to_ascii_lowercase().as_str() {
            "a4" => Ok(Paper::A4),
            "letter" => Ok(Paper::Letter),
            _ => Err(NoSuchPaper),
        }
    }
}

/// Why there is no PDF: a fault of this program, not of what it draws.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PDF could not be made: {0}")]
pub struct PdfError(String);

/// Draws ladders as pages, one after the other. The same ladders give the same bytes.
///
/// The first page of each opens with what the session is, what is wrong with it, its sections with their pages, and what the
/// colours mean. Each page has its heading and the heads of the lanes, and a row is never parted. A character that the font
/// lacks is shown by its code point. Before several sessions stands a list of them with their pages.
///
/// # Errors
/// [`PdfError`], which only a fault of this program can cause.
pub fn pdf(ladders: &[Ladder], options: &PdfOptions) -> Result<Vec<u8>, PdfError> {
    let fonts = Fonts::load().ok_or_else(|| PdfError("its font cannot be read".to_owned()))?;
    // Bookmarks are the viewer's to show, in fonts of its own: the pages' texts alone are spelled.
    let spelled: Vec<Ladder> = ladders.iter().map(|ladder| font::spelled(ladder, &fonts)).collect();
    let list = (ladders.len() > 1).then(|| several::list(&spelled));
    let all: Vec<&Ladder> = list.iter().chain(&spelled).collect();
    let parts = Pages::of(&all, list.is_some(), options);
    let mut document = Document::new();
    if let Some(first) = list.as_ref().or(ladders.first()) {
        document.set_metadata(metadata(first));
    }
    for pages in &parts {
        for page in &pages.pages {
            paint::page(&mut document, pages, page, &fonts, options.paper)
                .ok_or_else(|| PdfError("a page has no size".to_owned()))?;
        }
    }
    let mut outline = Outline::new();
    for (ladder, pages) in ladders.iter().zip(parts.iter().skip(usize::from(list.is_some()))) {
        let sections = ladder.sections.iter().filter_map(|section| {
            let &(page, y) = pages.sections.get(&section.number)?;
            let text = format!("{}  {}", numbers(section), section.title);
            Some(OutlineNode::new(text, paint::place(pages, page, y)))
        });
        if list.is_none() {
            sections.for_each(|section| outline.push_child(section));
            continue;
        }
        let mut session = OutlineNode::new(several::told(ladder), paint::place(pages, 0, 0));
        sections.for_each(|section| session.push_child(section));
        outline.push_child(session);
    }
    document.set_outline(outline);
    document.finish().map_err(|error| PdfError(format!("{error:?}")))
}

fn metadata(ladder: &Ladder) -> Metadata {
    let metadata = Metadata::new()
        .title(ladder.title.clone())
        .description(ladder.opening.clone())
        .creator(ladder.product.clone())
        .producer(ladder.product.clone())
        .language("en".to_owned());
    match date(ladder) {
        Some(date) => metadata.creation_date(date),
        None => metadata,
    }
}

/// The date of the heading, where it is one that can be read, else that of the session.
fn date(ladder: &Ladder) -> Option<PdfDate> {
    let text = ladder.date.trim_end_matches(" UTC");
    let read = text.parse::<Timestamp>().map(|time| time.to_zoned(TimeZone::UTC).datetime());
    let read = read.or_else(|_| text.parse::<DateTime>());
    let date = read.unwrap_or_else(|_| ladder.start.timestamp().to_zoned(TimeZone::UTC).datetime());
    let part = |n: i8| u8::try_from(n).ok();
    let day = PdfDate::new(u16::try_from(date.year()).ok()?).month(part(date.month())?).day(part(date.day())?);
    let time = day.hour(part(date.hour())?).minute(part(date.minute())?).second(part(date.second())?);
    Some(time.utc_offset_hour(0).utc_offset_minute(0))
}

/// A point on paper.
fn point((x, y): (f32, f32)) -> Point {
    Point::from_xy(x, y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Session;
    use crate::ladder::Options;

    fn dated(date: &str) -> Option<PdfDate> {
        let options = Options { date: Some(date.to_owned()), ..Options::default() };
        super::date(&Ladder::new(&Session::from_events([]), &options))
    }

    #[test]
    fn the_date_of_the_heading_is_that_of_the_file() {
        let want = PdfDate::new(2005).month(5).day(2).utc_offset_hour(0).utc_offset_minute(0);
        let noon = want.hour(12).minute(30).second(9);
        assert_eq!(dated("2005-05-02"), Some(want.hour(0).minute(0).second(0)));
        assert_eq!(dated("2005-05-02T12:30:09Z"), Some(noon));
        assert_eq!(dated("2005-05-02 12:30:09 UTC"), Some(noon));
        // Words are printed, but are no date: the session's stands in the file.
        assert_eq!(dated("last spring"), dated("1970-01-01"));
    }

    #[test]
    fn papers_have_names() {
        assert_eq!("A4".parse(), Ok(Paper::A4));
        assert_eq!("letter".parse(), Ok(Paper::Letter));
        assert_eq!("".parse::<Paper>(), Err(NoSuchPaper));
    }
}
