//! The ladder in its forms.
//!
//! | module | what it is |
//! |---|---|
//! | `text` | lines for a terminal or a file |
//! | `svg` | a picture |
//! | `pdf` | pages |
//! | `html` | a page that folds, and can be searched |
//! | `mermaid` | a diagram in Markdown |
//! | `json` | the session itself, for programs |
//! | `picture` | what SVG and PDF draw: marks in their places |
//! | `wrap`, `busiest` | for all: text measured and broken; the columns that most is said between |

mod busiest;
mod html;
mod json;
mod mermaid;
mod pdf;
mod picture;
mod svg;
mod text;
mod wrap;

pub use html::{HtmlOptions, html};
pub use json::{VERSION as JSON_VERSION, json};
pub use mermaid::mermaid;
pub use pdf::{NoSuchPaper, Paper, PdfError, PdfOptions, pdf};
pub use svg::{SvgOptions, svg};
pub use text::{Ink, Line, Sheet, TextOptions, in_ascii, text};

/// A text in lines of at most so many cells, broken at its line ends and at blanks, within words where it must be.
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    wrap::wrap(text, room, &wrap::cells_of)
}

/// A text where it has room, else its head and the mark of what is missing.
pub fn fitted(text: &str, room: usize, ascii: bool) -> String {
    wrap::fit(text, room, if ascii { "..." } else { "…" }, &wrap::cells_of)
}
