//! The ladder as text, for a terminal or a plain file.
//!
//! | module | what it is |
//! |---|---|
//! | `page`, `rows` | the page from its heading to its legend, and the rows on it |
//! | `sheet` | a part of the page at a time: for rows that are added, and for a terminal's view |
//! | `layout` | where everything stands in the width that there is |
//! | `canvas`, `glyphs` | cells with colours, and the characters that lines are drawn with |

mod canvas;
mod glyphs;
mod layout;
mod page;
mod rows;
mod sheet;

pub use canvas::{Ink, Line};
pub use page::in_ascii;
pub use sheet::Sheet;

use crate::ladder::Ladder;

/// How the text is to look.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Columns of the terminal; [`TextOptions::MIN_WIDTH`] at least. Default: 100.
    pub width: usize,
    /// Only ASCII characters; others in names become escapes. Default: no.
    pub ascii: bool,
    /// Colours by ANSI escape sequences. Default: no.
    pub colour: bool,
}

impl TextOptions {
    /// The least width that can be drawn in; a smaller one is taken as this.
    pub const MIN_WIDTH: usize = 60;
    /// The greatest width that is of use; a greater one is taken as this.
    pub const MAX_WIDTH: usize = 240;
}

impl Default for TextOptions {
    fn default() -> TextOptions {
        TextOptions { width: 100, ascii: false, colour: false }
    }
}

/// Draws the ladder as text. No line is wider than the width asked for.
pub fn text(ladder: &Ladder, options: &TextOptions) -> String {
    page::draw(ladder, options)
}
