//! The ladder in its forms.
//!
//! | module | what it is |
//! |---|---|
//! | `text` | lines for a terminal or a file |
//! | `svg` | a picture |
//! | `wrap`, `busiest` | for both: text measured and broken; the columns that most is said between |

mod busiest;
mod svg;
mod text;
mod wrap;

pub use svg::{SvgOptions, svg};
pub use text::{TextOptions, text};
