//! The ladder in its forms.
//!
//! | module | what it is |
//! |---|---|
//! | `text` | lines for a terminal or a file |
//! | `svg` | a picture |
//! | `wrap` | text measured and broken, for both |

mod svg;
mod text;
mod wrap;

pub use svg::{SvgOptions, svg};
pub use text::{TextOptions, text};
