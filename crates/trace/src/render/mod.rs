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
pub use text::{Ink, Line, Sheet, TextOptions, text};
