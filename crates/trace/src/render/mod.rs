//! The ladder in its forms.
//!
//! | module | what it is |
//! |---|---|
//! | `text` | lines for a terminal or a file |
//! | `svg` | a picture |
//! | `html` | a page that folds, and can be searched |
//! | `mermaid` | a diagram in Markdown |
//! | `json` | the session itself, for programs |
//! | `wrap`, `busiest` | for both: text measured and broken; the columns that most is said between |

mod busiest;
mod html;
mod json;
mod mermaid;
mod svg;
mod text;
mod wrap;

pub use html::{HtmlOptions, html};
pub use json::{VERSION as JSON_VERSION, json};
pub use mermaid::mermaid;
pub use svg::{SvgOptions, svg};
pub use text::{Ink, Line, Sheet, TextOptions, text};
