//! The ladder as SVG: stands alone and in a page, light and dark, without fonts or scripts of its own.
//!
//! | module | what it is |
//! |---|---|
//! | `picture` | the picture from its heading to its legend |
//! | `layout`, `measure` | where the columns stand; how wide text is, without the font |
//! | `style`, `write` | the colours; elements as text |

mod layout;
mod measure;
mod picture;
mod style;
mod write;

use crate::ladder::Ladder;

pub(super) use picture::numbers;
pub(super) use style::{TONES, class, colours};
pub(super) use write::escape;

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
    picture::draw(ladder, options)
}
