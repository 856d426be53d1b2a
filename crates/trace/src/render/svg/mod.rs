//! The ladder as SVG: stands alone and in a page, light and dark, without fonts or scripts of its own.
//!
//! | module | what it is |
//! |---|---|
//! | `sheet` | the looks of the picture as a style sheet |
//! | `write` | its marks as elements |

mod sheet;
mod write;

use crate::ladder::Ladder;
use crate::render::picture::{LANES, Layout, Picture};

pub(super) use super::picture::{TONES, class, colours, numbers};
pub(super) use write::escape;

/// A picture is never narrower.
const LEAST: i64 = 720;

/// How the picture is to look.
#[derive(Clone, Debug)]
pub struct SvgOptions {
    /// The most lanes that are drawn beside each other; where there are more, ports are folded. Default: 12.
    pub max_lanes: usize,
}

impl Default for SvgOptions {
    fn default() -> SvgOptions {
        SvgOptions { max_lanes: 12 }
    }
}

/// Draws the ladder as SVG. The same ladder gives the same bytes.
///
/// Colours follow the reader's preference for light or dark pages; a viewer that does not know of it shows the light
/// ones. A row tells its exact time, ends and words when the pointer rests on it.
pub fn svg(ladder: &Ladder, options: &SvgOptions) -> String {
    let mut picture = Picture::new(ladder, Layout::new(ladder, options.max_lanes, LEAST));
    picture.title(&[&ladder.product, &ladder.date]);
    picture.opening();
    ladder.listed().iter().for_each(|listed| picture.finding(listed));
    picture.contents();
    picture.y += 8;
    let lanes_from = picture.heads();
    for section in &ladder.sections {
        picture.banner(section);
        for row in ladder.rows.get(section.rows.clone()).unwrap_or_default() {
            picture.row(row);
        }
        picture.y += 14;
    }
    let behind = picture.behind(lanes_from, picture.y, 0..ladder.rows.len());
    picture.legend(LANES);
    write::document(ladder, (picture.layout.width, picture.y), [&behind, &picture.sketch])
}
