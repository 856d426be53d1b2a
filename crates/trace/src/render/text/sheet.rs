//! A part of the page at a time.

use crate::ladder::Ladder;

use super::TextOptions;
use super::canvas::Line;
use super::glyphs::{ASCII, UNICODE};
use super::layout::Layout;
use super::page::{Page, lives};

/// A ladder set out as text, of which a part at a time is drawn.
#[derive(Clone, Debug)]
pub struct Sheet {
    ladder: Ladder,
    options: TextOptions,
    layout: Layout,
    lives: Vec<Vec<std::ops::Range<usize>>>,
}

impl Sheet {
    /// Sets a ladder out as [`text`](super::text) does.
    pub fn new(ladder: Ladder, options: TextOptions) -> Sheet {
        let layout = Layout::new(&ladder, width(&options));
        Sheet::laid_out(ladder, options, layout)
    }

    /// Sets a ladder out that is the one `before` with more rows: columns stay where they were for as long as there are no
    /// others, and ports of one host and use share one.
    pub fn steady(ladder: Ladder, options: TextOptions, before: Option<&Sheet>) -> Sheet {
        let layout = Layout::steady(&ladder, width(&options), before.map(|sheet| &sheet.layout));
        Sheet::laid_out(ladder, options, layout)
    }

    /// Sets a ladder out with a column for each lane: it may be wider than was asked for.
    pub fn unfolded(ladder: Ladder, options: TextOptions) -> Sheet {
        let layout = Layout::unfolded(&ladder, width(&options));
        Sheet::laid_out(ladder, options, layout)
    }

    fn laid_out(ladder: Ladder, options: TextOptions, layout: Layout) -> Sheet {
        let lives = lives(&ladder, &layout);
        Sheet { ladder, options, layout, lives }
    }

    /// What is drawn.
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// What is drawn, and nothing more of how.
    pub fn into_ladder(self) -> Ladder {
        self.ladder
    }

    /// How many columns a line has at the most.
    pub fn width(&self) -> usize {
        self.layout.width
    }

    /// How many columns the times at the left have: behind them the lanes begin.
    pub fn margin(&self) -> usize {
        self.layout.lanes.start
    }

    /// Whether the heads of the lanes stand where those of another sheet do, and say the same.
    pub fn has_heads_of(&self, other: &Sheet) -> bool {
        let labels = |sheet: &Sheet| -> Vec<String> {
            sheet.layout.columns.columns.iter().map(|column| column.label.clone()).collect()
        };
        self.layout.x == other.layout.x && labels(self) == labels(other)
    }

    /// The title with the facts under it.
    pub fn title(&self) -> Vec<Line> {
        self.draw(|page| page.title())
    }

    /// Title, facts, findings, contents.
    pub fn opening(&self) -> Vec<Line> {
        self.draw(|page| page.heading())
    }

    /// What is wrong with the session.
    pub fn findings(&self) -> Vec<Line> {
        self.draw(|page| page.findings())
    }

    /// The heads of the lanes.
    pub fn heads(&self) -> Vec<Line> {
        self.draw(|page| page.heads())
    }

    /// The banner of a section, by its index in [`Ladder::sections`].
    pub fn banner(&self, section: usize) -> Vec<Line> {
        self.draw(|page| {
            if let Some(section) = self.ladder.sections.get(section) {
                page.banner(section);
            }
        })
    }

    /// A row, by its index in [`Ladder::rows`].
    pub fn row(&self, row: usize) -> Vec<Line> {
        self.draw(|page| {
            if let Some(of) = self.ladder.rows.get(row) {
                page.row(row, of);
            }
        })
    }

    fn draw(&self, part: impl FnOnce(&mut Page<'_>)) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut out = |line: Line| lines.push(line);
        let glyphs = if self.options.ascii { &ASCII } else { &UNICODE };
        let (ladder, options, layout, lives) = (&self.ladder, &self.options, &self.layout, self.lives.as_slice());
        part(&mut Page { ladder, options, glyphs, layout, lives, out: &mut out, since_heads: 0 });
        lines
    }
}

fn width(options: &TextOptions) -> usize {
    options.width.clamp(TextOptions::MIN_WIDTH, TextOptions::MAX_WIDTH)
}
